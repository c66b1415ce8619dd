%% Real nodes that find each other in DNS, and what becomes of them when DNS fails.
-module(caravan_cluster_nodes_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3, free_port/0, node_name/3]).
-import(caravan_test_node, [await_exit/1, await_peer/2, call/4]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).
-define(QUERY, "app.test").
-define(HOST, "n.test").

nodes_that_dns_lists_connect_test_() ->
    ?NODES(with_mesh(3, fun(_Network, Server, Mesh) ->
        assert_mesh(Mesh),
        %% The addresses of the targets came with the SRV records.
        ?assertEqual([srv], lists:usort([Type || #{type := Type} <- caravan_dns_server:queries(Server)]))
    end)).

%% It looks for nobody itself, so it is the others that connect to it.
a_node_that_comes_back_is_connected_again_test_() ->
    ?NODES(with_mesh(3, fun(Network, _Server, [{Name, Node} | Others]) ->
        OsPid = call(Node, os, getpid, []),
        _ = os:cmd("kill -KILL " ++ OsPid),
        ?assertMatch({exited, 137, _}, await_exit(Node)),
        Back = boot(Network, Name, ["-connect_all", "false"]),
        await_mesh([Back | Others])
    end)).

a_node_that_is_added_joins_test_() ->
    ?NODES(with_mesh(2, fun(Network, Server, Mesh) ->
        Added = node_name(Network, "app", free_port()),
        publish(Server, [Added | [Name || {Name, _} <- Mesh]]),
        Node = start(Network, Server, Added),
        [_ = await_status(Each, last_lookup, fresh) || Each <- [Node | Mesh]],
        await_mesh([Node | Mesh])
    end)).

%% Whatever DNS says or does not say, those that are connected stay so, by the very same connections, and know the same
%% nodes.
no_fault_of_dns_disconnects_anybody_test_() ->
    ?NODES(with_mesh(3, fun(_Network, Server, Mesh) ->
        Connections = connections(Mesh),
        [
            begin
                ok = caravan_dns_server:put(Server, ?QUERY, srv, Fault),
                assert_kept(Mesh, Outcome)
            end
         || {Fault, Outcome} <- [
                {servfail, {failed, servfail}},
                {refused, {failed, refused}},
                {{raw, fun garbage/1}, {failed, badresp}},
                {drop, {failed, timeout}},
                {nxdomain, {empty, nxdomain}},
                {[], {empty, nodata}}
            ]
        ],
        ok = caravan_dns_server:close_sockets(Server),
        assert_kept(Mesh, {failed, connrefused}),
        ok = caravan_dns_server:reopen(Server),
        publish(Server, [Name || {Name, _} <- Mesh]),
        assert_kept(Mesh, fresh),
        ?assertEqual(Connections, connections(Mesh))
    end)).

%% The header and the question as they came, then a record that claims more than there is.
garbage(<<Id:2/binary, _Flags:2/binary, _Counts:8/binary, Question:14/binary, _/binary>>) ->
    <<Id/binary, 16#8180:16, 1:16, 9:16, 0:32, Question/binary, 16#c00c:16, 33:16, 1:16, 1:32, 999:16>>.

%% The nodes know no nameserver but the server of the test, and each has started when the function is called.
with_mesh(Count, Test) ->
    ok = caravan_nif:load(),
    {ok, Server} = caravan_dns_server:start_link(#{}),
    try
        caravan_test_network:with(#{host => ?HOST, node => #{code_path => code_path()}}, fun(Network) ->
            Names = [node_name(Network, "app", free_port()) || _ <- lists:seq(1, Count)],
            ok = caravan_dns_server:put(Server, ?HOST, a, [{a, 0, {127, 0, 0, 1}}]),
            publish(Server, Names),
            Mesh = [start(Network, Server, Name) || Name <- Names],
            await_mesh(Mesh),
            Test(Network, Server, Mesh)
        end)
    after
        caravan_dns_server:stop(Server)
    end.

code_path() ->
    [filename:dirname(code:where_is_file(Beam)) || Beam <- ["caravan_epmd.beam", "caravan_test_topology.beam"]].

publish(Server, Names) ->
    Ports = [caravan_epmd:dist_port(Name) || Name <- Names],
    ok = caravan_dns_server:put(Server, ?QUERY, srv, [{srv, 0, 1, 1, Port, ?HOST} || Port <- Ports]).

start(Network, Server, Name) ->
    Topology = #{query => ?QUERY, node_basename => "app", poll_interval => 1000, timeout => 300},
    Flags = [
        "-caravan",
        "nameservers", term([caravan_dns_server:nameserver(Server)]),
        "topologies", term([{mesh, Topology}]),
        %% Every connection is then one that Caravan has made, and none that global has.
        "-connect_all", "false"
    ],
    {Name, Node} = boot(Network, Name, Flags),
    {ok, _} = call(Node, application, ensure_all_started, [caravan]),
    {Name, Node}.

term(Term) ->
    lists:flatten(io_lib:format("~0p", [Term])).

await_mesh(Mesh) ->
    [?assertEqual(ok, await_peer(Node, Other)) || {Name, Node} <- Mesh, {Other, _} <- Mesh, Other =/= Name].

await_status({_Name, Node}, Key, Value) ->
    call(Node, caravan_test_topology, await, [mesh, Key, Value]).

assert_kept(Mesh, Outcome) ->
    Kept = [await_status(Each, last_lookup, Outcome) || Each <- Mesh],
    [
        ?assertEqual({Outcome, others(Name, Mesh)}, {Outcome, lists:sort(maps:get(wanted, Status))})
     || {{Name, _}, Status} <- lists:zip(Mesh, Kept)
    ],
    assert_mesh(Mesh).

%% A connection that was made anew has another controller.
connections(Mesh) ->
    [{Name, lists:sort(call(Node, erlang, system_info, [dist_ctrl]))} || {Name, Node} <- Mesh].

assert_mesh(Mesh) ->
    [
        ?assertEqual({Name, others(Name, Mesh)}, {Name, lists:sort(call(Node, erlang, nodes, []))})
     || {Name, Node} <- Mesh
    ].

others(Name, Mesh) ->
    lists:sort([Other || {Other, _} <- Mesh, Other =/= Name]).
