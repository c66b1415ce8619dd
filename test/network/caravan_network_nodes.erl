%% @doc Real nodes with the defaults of OTP, a DNS server that lists them, and topologies with the defaults of Caravan.
-module(caravan_network_nodes).

-export([with/1, with_code/2, publish/2, boot/2, boot_all/2, boot_all/3, run/1, await_mesh/1, watch/1, sleep_until/1, now_ms/0]).

-export_type([world/0, nodes/0]).

%% `topology': more options of the topologies.
-type world() :: #{network := caravan_test_network:network(), server := pid(), topology => [{atom(), term()}]}.
-type nodes() :: [{node(), Node :: pid()}].

-define(HOST, "n.test").

%% @doc Calls a function with a network without nodes and a DNS server without records.
-spec with(fun((world()) -> Result)) -> Result.
with(Test) ->
    ok = caravan_nif:load(),
    {ok, Server} = caravan_dns_server:start_link(#{}),
    ok = caravan_dns_server:put(Server, ?HOST, a, [{a, 0, {127, 0, 0, 1}}]),
    Ebin = filename:dirname(code:where_is_file("caravan_epmd.beam")),
    caravan_test_network:with(#{host => ?HOST, node => #{code_path => code_path(Ebin)}}, fun(Network) ->
        Test(#{network => Network, server => Server})
    end).

%% @doc The same world, in which nodes boot with the Caravan of another directory.
-spec with_code(Ebin :: file:filename(), world()) -> world().
with_code(Ebin, #{network := Network} = World) ->
    World#{network := Network#{node := #{code_path => code_path(Ebin)}}}.

code_path(Ebin) ->
    [Ebin, filename:dirname(code:where_is_file("caravan_network_record.beam"))].

%% @doc DNS lists these nodes from now on, and no others.
-spec publish(world(), [node()]) -> ok.
publish(#{server := Server}, Names) ->
    caravan_test_mesh:publish(Server, Names).

%% @doc Boots nodes all at once. Caravan does not run there yet.
-spec boot_all(world(), [node()]) -> nodes().
boot_all(#{server := Server} = World, Names) ->
    boot_all(World, caravan_dns_server:nameserver(Server), Names).

%% @doc The same, where nodes know the DNS server by another address.
-spec boot_all(world(), Nameserver :: string(), [node()]) -> nodes().
boot_all(#{network := Network} = World, Nameserver, Names) ->
    Topology = [{query, caravan_test_mesh:query()}, {node_basename, "app"} | maps:get(topology, World, [])],
    Flags = [
        "-caravan", "nameservers", term([Nameserver]),
        "topologies", term([{app, Topology}]),
        %% Several nodes share the machine.
        "+S", "1:1", "+SDcpu", "1:1", "+SDio", "1", "+A", "1", "+sbwt", "none"
    ],
    Nodes = [{Name, caravan_test_network:start(Network, Name, Flags)} || Name <- Names],
    [ok = caravan_test_node:await_boot(Node) || {_, Node} <- Nodes],
    Nodes.

%% @doc Boots a node.
-spec boot(world(), Name) -> {Name, Node :: pid()} when Name :: node().
boot(World, Name) ->
    [Booted] = boot_all(World, [Name]),
    Booted.

%% @doc Starts Caravan on nodes, on all of them at once: one that starts later knows nothing of what the others have tried.
-spec run(nodes()) -> ok.
run(Nodes) ->
    Starts = [caravan_test_node:async(Node, fun() -> application:ensure_all_started(caravan) end) || {_, Node} <- Nodes],
    [receive {Start, {ok, _}} -> ok end || Start <- Starts],
    ok.

%% @doc Waits until each of the nodes is connected to all the others, and to nobody else.
-spec await_mesh(nodes()) -> ok.
await_mesh(Nodes) ->
    Names = [Name || {Name, _} <- Nodes],
    [ok = caravan_test_node:await_peers(Node, lists:delete(Name, Names)) || {Name, Node} <- Nodes],
    ok.

%% @doc Has nodes write down which connections come and go.
-spec watch(nodes()) -> ok.
watch(Nodes) ->
    [ok = caravan_test_node:call(Node, caravan_network_record, start, []) || {_, Node} <- Nodes],
    ok.

%% @doc What does not happen cannot be awaited.
-spec sleep_until(Milliseconds :: integer()) -> ok.
sleep_until(Time) ->
    timer:sleep(max(0, Time - now_ms())).

%% @doc The system's time, which nodes of one machine share.
-spec now_ms() -> integer().
now_ms() ->
    os:system_time(millisecond).

term(Term) ->
    lists:flatten(io_lib:format("~0p", [Term])).
