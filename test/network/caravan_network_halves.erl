%% @doc Three and three real nodes whose network is cut in the middle again and again, each time soon after it has healed: how
%% long until they are a mesh again. test/network/halves makes the network.
-module(caravan_network_halves).

-export([main/1]).

-import(caravan_network_nodes, [now_ms/0, sleep_until/1]).

-define(OF_EACH, 3).

%% Connections over which nothing comes end after 6 to 10 s.
-define(NET_TICKTIME, "8").
-define(CUT_MS, 15000).
-define(HEALTHY_MS, 2000).
-define(PATIENCE_MS, 1200000).

%% @doc Prints it for each of so many cuts, in which packets are `lost', or connections `closed' as well.
-spec main([string()]) -> no_return().
main([Cuts, Way | Pids]) ->
    Halves = lists:zip([1, 2], Pids),
    ok = wire(Halves, healed),
    caravan_network_nodes:with(fun(World) ->
        Nodes = boot(Halves, World),
        Began = now_ms(),
        ok = caravan_network_nodes:run(Nodes),
        io:format("a mesh after ~s~n", [await_mesh(Nodes, Began)]),
        [cut(Nodes, Halves, Way, Number) || Number <- lists:seq(1, list_to_integer(Cuts))]
    end),
    halt(0).

boot(Halves, #{server := Loopback, network := Network} = World) ->
    ok = caravan_dns_server:stop(Loopback),
    {ok, Server} = caravan_dns_server:start_link(#{ip => {0, 0, 0, 0}}),
    [ok = caravan_dns_server:put(Server, host(Half), a, [{a, 0, {10, 9, 0, Half}}]) || {Half, _} <- Halves],
    Worlds = [{World#{server := Server, network := Network#{
        host := host(Half),
        interface := any,
        flags := ["-kernel", "net_ticktime", ?NET_TICKTIME],
        node := (maps:get(node, Network))#{prefix => ["nsenter", "-t", Pid, "--net"], control_ip => {10, 7, Half, 1}}
    }}, nameserver(Half, Server)} || {Half, Pid} <- Halves],
    Named = [{Each, Nameserver, caravan_test_mesh:names(maps:get(network, Each), ?OF_EACH)} || {Each, Nameserver} <- Worlds],
    ok = caravan_test_mesh:publish(Server, lists:append([Names || {_, _, Names} <- Named])),
    lists:append([caravan_network_nodes:boot_all(Each, Nameserver, Names) || {Each, Nameserver, Names} <- Named]).

host(Half) ->
    lists:concat(["h", Half, ".test"]).

nameserver(Half, Server) ->
    lists:concat(["10.7.", Half, ".1:", caravan_dns_server:port(Server)]).

cut(Nodes, Halves, Way, Number) ->
    ok = sleep_until(now_ms() + ?HEALTHY_MS),
    ok = wire(Halves, cut),
    ok = close(Way, Halves),
    ok = sleep_until(now_ms() + ?CUT_MS),
    Connected = lists:sum([length(peers(Node)) || Node <- Nodes]),
    Healed = now_ms(),
    ok = wire(Halves, healed),
    io:format("cut ~b: ~b ends of connections left before it healed, a mesh again after ~s~n", [Number, Connected, await_mesh(Nodes, Healed)]).

%% Packets to an address of the link layer that nobody has are lost, and nobody is told.
wire(Halves, State) ->
    lists:foreach(fun({Half, Pid}) ->
        Peer = 3 - Half,
        Command = "nsenter -t ~s --net ip neighbour replace 10.9.0.~b lladdr ~s nud permanent dev half~b",
        [] = os:cmd(lists:flatten(io_lib:format(Command, [Pid, Peer, link_address(State, Peer), Half])))
    end, Halves).

%% Some firewalls close connections rather than forget them: both ends know at once.
close("lost", _Halves) ->
    ok;
close("closed", Halves) ->
    lists:foreach(fun({Half, Pid}) ->
        Command = "nsenter -t ~s --net ss -K dst 10.9.0.~b",
        _ = os:cmd(lists:flatten(io_lib:format(Command, [Pid, 3 - Half])))
    end, Halves).

link_address(healed, Half) -> lists:concat(["02:00:00:00:00:0", Half]);
link_address(cut, _) -> "02:00:00:00:00:99".

await_mesh(Nodes, Since) ->
    Now = now_ms(),
    case lists:all(fun(Node) -> length(peers(Node)) =:= length(Nodes) - 1 end, Nodes) of
        true -> io_lib:format("~.1f s", [(Now - Since) / 1000]);
        false when Now - Since > ?PATIENCE_MS -> error({no_mesh, [{Name, peers(Node)} || {Name, _} = Node <- Nodes]});
        false -> ok = sleep_until(Now + 50), await_mesh(Nodes, Since)
    end.

peers({_, Node}) ->
    caravan_test_node:call(Node, erlang, nodes, []).
