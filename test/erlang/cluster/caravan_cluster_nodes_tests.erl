%% Real nodes that find each other in DNS, and what happens when DNS fails.
-module(caravan_cluster_nodes_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_mesh, [
    assert_full/1, assert_kept/2, await_full/1, await_status/3, connections/1, kill/1, names/2, publish/2, query/0,
    start/4, with/2
]).

-define(MESH, 10).
-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

nodes_that_dns_lists_connect_test_() ->
    ?NODES(with(?MESH, fun(_Network, Server, Mesh) ->
        assert_full(Mesh),
        %% The addresses of the targets came with the SRV records; otherwise each node would ask for those of all others.
        %% Only nodes that `global' connects before the node has an answer, and that do not answer in time, are asked for.
        Asked = [Type || #{type := Type} <- caravan_dns_server:queries(Server), Type =/= srv],
        ?assert(length(Asked) < ?MESH * (?MESH - 1) div 2)
    end)).

%% By the default handler of each node.
what_changes_is_on_the_terminal_test_() ->
    ?NODES(with(2, fun(_Network, _Server, [{_, Node}, {Other, _} = Killed]) ->
        await_line(Node, #{event => connected, topology => mesh, nodes => [Other], connected => 1}),
        kill([Killed]),
        await_line(Node, #{event => node_down, topology => mesh, node => Other, reason => unknown, connected => 0})
    end)).

await_line(Node, Report) ->
    ?assertEqual(ok, caravan_test_node:await_output(Node, caravan_test_log:pattern(caravan_report, Report))).

%% It does not poll itself, so the others connect to it.
a_node_that_comes_back_is_connected_again_test_() ->
    ?NODES(with(3, fun(Network, _Server, [{Name, _} = Killed | Others]) ->
        kill([Killed]),
        Back = caravan_test_network:boot(Network, Name, []),
        await_full([Back | Others])
    end)).

a_node_that_is_added_joins_test_() ->
    ?NODES(with(2, fun(Network, Server, Mesh) ->
        Added = names(Network, 1),
        publish(Server, Added ++ [Name || {Name, _} <- Mesh]),
        Larger = Mesh ++ start(Network, caravan_dns_server:nameserver(Server), query(), Added),
        _ = await_status(Larger, last_lookup, fresh),
        await_full(Larger)
    end)).

%% Whatever DNS answers or fails to answer, connected nodes stay connected by the same connections and know the same nodes.
no_fault_of_dns_disconnects_anybody_test_() ->
    ?NODES(with(3, fun(_Network, Server, Mesh) ->
        Connections = connections(Mesh),
        [
            begin
                ok = caravan_dns_server:put(Server, query(), srv, Fault),
                assert_kept(Mesh, Outcome)
            end
         || {Fault, Outcome} <- [
                {servfail, {failed, servfail}},
                {refused, {failed, refused}},
                {{raw, fun caravan_dns_fixture:malformed/1}, {failed, badresp}},
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
