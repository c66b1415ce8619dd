%% @doc Nodes that should all be connected to each other, by a topology called `mesh' in each.
%%
%% ```
%% caravan_test_mesh:with(3, fun(_Network, Server, Mesh) ->
%%     ok = caravan_dns_server:put(Server, caravan_test_mesh:query(), srv, servfail),
%%     caravan_test_mesh:assert_kept(Mesh, {failed, servfail})
%% end).
%% '''
-module(caravan_test_mesh).

-export([with/2, query/0, network/0, names/2, start/4, publish/2, record/1, kill/1]).
-export([await_full/1, await_status/3, looks/2, expire_addresses/1]).
-export([assert_full/1, assert_kept/2, assert_kept/3, assert_wanted/2, assert_looks_fail/2, connections/1]).

-export_type([mesh/0]).

-include_lib("stdlib/include/assert.hrl").

-type mesh() :: [{node(), Node :: pid()}].

-define(QUERY, "app.test").
-define(HOST, "n.test").

%% @doc Calls a function with a full mesh of the given number of nodes, and with the DNS server that lists them. It is the
%% only nameserver of the nodes.
-spec with(pos_integer(), fun((caravan_test_network:network(), Server :: pid(), mesh()) -> Result)) -> Result.
with(Count, Test) ->
    ok = caravan_nif:load(),
    %% A port that no lookup of a node can take while a test has closed the server.
    {ok, Server} = caravan_dns_server:start_link(#{port => caravan_test_network:free_port()}),
    try
        caravan_test_network:with((network())#{host => ?HOST}, fun(Network) ->
            ok = caravan_dns_server:put(Server, ?HOST, a, [{a, 0, {127, 0, 0, 1}}]),
            Names = names(Network, Count),
            publish(Server, Names),
            Mesh = start(Network, caravan_dns_server:nameserver(Server), ?QUERY, Names),
            await_full(Mesh),
            Test(Network, Server, Mesh)
        end)
    after
        caravan_dns_server:stop(Server)
    end.

%% @doc The name that has the SRV records.
-spec query() -> string().
query() ->
    ?QUERY.

%% @doc Options of `caravan_test_network:with/2' for nodes of a mesh.
-spec network() -> caravan_test_network:options().
network() ->
    Beams = ["caravan_epmd.beam", "caravan_test_topology.beam"],
    #{node => #{code_path => [filename:dirname(code:where_is_file(Beam)) || Beam <- Beams]}}.

%% @doc Returns different names that belong to no node.
-spec names(caravan_test_network:network(), pos_integer()) -> [node()].
names(Network, Count) ->
    names(Network, Count, []).

names(_Network, Count, Names) when length(Names) =:= Count ->
    Names;
names(Network, Count, Names) ->
    Name = caravan_test_network:node_name(Network, "app", caravan_test_network:free_port()),
    names(Network, Count, lists:usort([Name | Names])).

%% @doc Starts nodes all at once, and waits until they have booted, each with its topology.
-spec start(caravan_test_network:network(), Nameserver :: string(), Query :: string(), [node()]) -> mesh().
start(Network, Nameserver, Query, Names) ->
    Topology = #{query => Query, node_basename => "app", poll_interval => 1000, timeout => 1000},
    Flags = [
        "-caravan", "nameservers", term([Nameserver]), "topologies", term([{mesh, Topology}]),
        "-eval", "{ok, _} = application:ensure_all_started(caravan).",
        %% Many nodes share the machine.
        "+S", "1:1", "+SDcpu", "1:1", "+SDio", "1", "+A", "1", "+sbwt", "none"
    ],
    Mesh = [{Name, caravan_test_network:start(Network, Name, Flags)} || Name <- Names],
    [?assertEqual(ok, caravan_test_node:await_boot(Node)) || {_, Node} <- Mesh],
    Mesh.

term(Term) ->
    lists:flatten(io_lib:format("~0p", [Term])).

%% @doc Makes the server list these nodes, and no others.
-spec publish(Server :: pid(), [node()]) -> ok.
publish(Server, Names) ->
    caravan_dns_server:put(Server, ?QUERY, srv, [record(Name) || Name <- Names]).

%% @doc The SRV record of a node.
-spec record(node()) -> caravan_dns_wire:resource_record().
record(Name) ->
    [_, Host] = string:split(atom_to_list(Name), "@"),
    {srv, 0, 1, 1, caravan_epmd:dist_port(Name), Host}.

%% @doc Kills nodes as the kernel does when memory runs out.
-spec kill(mesh()) -> ok.
kill(Mesh) ->
    [
        begin
            _ = os:cmd("kill -KILL " ++ caravan_test_node:call(Node, os, getpid, [])),
            ?assertMatch({exited, 137, _}, caravan_test_node:await_exit(Node))
        end
     || {_, Node} <- Mesh
    ],
    ok.

%% @doc Waits until each node is connected to all others and to no other node.
-spec await_full(mesh()) -> ok.
await_full(Mesh) ->
    [?assertEqual(ok, caravan_test_node:await_peers(Node, others(Name, Mesh))) || {Name, Node} <- Mesh],
    ok.

%% @doc `caravan_test_topology:await/3' in each node.
-spec await_status(mesh(), Key :: atom(), Value :: term()) -> [caravan_cluster:status()].
await_status(Mesh, Key, Value) ->
    on_each(Mesh, fun() -> caravan_test_topology:await(mesh, Key, Value) end).

%% @doc `caravan_test_topology:looks/2' in each node.
-spec looks(mesh(), pos_integer()) -> [[LastLookup :: term()]].
looks(Mesh, Count) ->
    on_each(Mesh, fun() -> caravan_test_topology:looks(mesh, Count) end).

%% @doc Makes each node poll a number of times, each time without success.
-spec assert_looks_fail(mesh(), pos_integer()) -> ok.
assert_looks_fail(Mesh, Count) ->
    %% A poll that began before may end otherwise.
    _ = looks(Mesh, 1),
    Succeeded = [LastLookup || Looks <- looks(Mesh, Count), LastLookup <- Looks, not is_failure(LastLookup)],
    ?assertEqual([], Succeeded).

is_failure({failed, _}) -> true;
is_failure(_) -> false.

%% @doc Makes the addresses that nodes have learnt from SRV answers expire.
-spec expire_addresses(mesh()) -> ok.
expire_addresses(Mesh) ->
    _ = on_each(Mesh, fun() ->
        Now = erlang:monotonic_time(millisecond),
        [ets:update_element(caravan_glue, Target, {3, Now}) || {Target, _, _} <- ets:tab2list(caravan_glue)]
    end),
    ok.

%% All nodes at the same time, since a poll may take until its timeout.
on_each(Mesh, Fun) ->
    Refs = [caravan_test_node:async(Node, Fun) || {_, Node} <- Mesh],
    [receive {Ref, Result} -> Result end || Ref <- Refs].

%% @doc `assert_kept/3' for nodes that know each other and no other node.
-spec assert_kept(mesh(), LastLookup :: term()) -> ok.
assert_kept(Mesh, LastLookup) ->
    assert_kept(Mesh, LastLookup, [Name || {Name, _} <- Mesh]).

%% @doc Waits until each node wants all of the given ones but itself and a poll of it has ended with the given outcome.
%% Asserts that it still wants them and that the mesh is full.
-spec assert_kept(mesh(), LastLookup :: term(), Wanted :: [node()]) -> ok.
assert_kept(Mesh, LastLookup, Wanted) ->
    _ = on_each(Mesh, fun() ->
        _ = caravan_test_topology:await(mesh, wanted, lists:sort(lists:delete(node(), Wanted))),
        caravan_test_topology:await(mesh, last_lookup, LastLookup)
    end),
    assert_wanted(Mesh, Wanted),
    assert_full(Mesh).

%% @doc Asserts that each node wants all of the given ones but itself.
-spec assert_wanted(mesh(), Wanted :: [node()]) -> ok.
assert_wanted(Mesh, Wanted) ->
    [
        begin
            #{wanted := Has} = caravan_test_node:call(Node, caravan_cluster, status, [mesh]),
            ?assertEqual({Name, lists:sort(lists:delete(Name, Wanted))}, {Name, Has})
        end
     || {Name, Node} <- Mesh
    ],
    ok.

%% @doc Asserts that each node is connected to all others and to no other node.
-spec assert_full(mesh()) -> ok.
assert_full(Mesh) ->
    [?assertEqual({Name, others(Name, Mesh)}, {Name, connected(Node)}) || {Name, Node} <- Mesh],
    ok.

connected(Node) ->
    lists:sort(caravan_test_node:call(Node, erlang, nodes, [connected])).

others(Name, Mesh) ->
    lists:sort([Other || {Other, _} <- Mesh, Other =/= Name]).

%% @doc Returns the connections among the nodes. A connection that was made again has another controller.
-spec connections(mesh()) -> [{node(), [{node(), Controller :: term()}]}].
connections(Mesh) ->
    [{Name, lists:sort([Connection || {Peer, _} = Connection <- controllers(Node), lists:keymember(Peer, 1, Mesh)])}
     || {Name, Node} <- Mesh].

controllers(Node) ->
    caravan_test_node:call(Node, erlang, system_info, [dist_ctrl]).
