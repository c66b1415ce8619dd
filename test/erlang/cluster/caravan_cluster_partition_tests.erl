%% Real nodes in two networks that a bridge connects, and what happens while it is cut. As in any cluster, `global' connects
%% nodes, too, and prevents overlapping partitions.
-module(caravan_cluster_partition_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_mesh, [
    assert_full/1, assert_looks_fail/2, assert_wanted/2, await_full/1, await_status/3, connections/1,
    expire_addresses/1, looks/2, names/2, start/4
]).

-export([heals/0, heals_without_dns_in_one_half/0, heals_without_dns/0]).

-define(PREPARE, "mount -t tmpfs tmpfs /run && ip netns add probe && ip netns exec probe true").
-define(PARTITION(Function), {timeout, 180, fun() -> caravan_test_namespace:call(?PREPARE, ?MODULE, Function) end}).

-define(BRIDGE, {10, 0, 0, 1}).
%% An address of its own, so that it can be unreachable while the test is reachable.
-define(NAMESERVER, {10, 0, 0, 2}).
-define(HALVES, [{"half_a", "a.test", {10, 0, 0, 11}}, {"half_b", "b.test", {10, 0, 0, 12}}]).
-define(NODES_PER_HALF, 3).
-define(LOOKS, 3).
-define(TRIES, 10).

halves_stay_whole_and_meet_again_test_() -> ?PARTITION(heals).

halves_meet_again_when_dns_is_out_of_reach_of_one_test_() -> ?PARTITION(heals_without_dns_in_one_half).

halves_meet_again_when_dns_is_gone_test_() -> ?PARTITION(heals_without_dns).

heals() ->
    with_halves(fun(A, B, _Server) ->
        part(A, B),
        assert_looks(A, A ++ B, fresh),
        assert_looks(B, A ++ B, fresh),
        meet_again(A, B)
    end).

heals_without_dns_in_one_half() ->
    with_halves(fun(A, B, _Server) ->
        hide_nameserver(),
        assert_looks(B, A ++ B, failed),
        expire_addresses(B),
        part(A, B),
        assert_looks(A, A ++ B, fresh),
        assert_looks(B, A ++ B, failed),
        meet_again(A, B),
        assert_looks(B, A ++ B, failed),
        show_nameserver(),
        _ = await_status(B, last_lookup, fresh),
        assert_full(A ++ B)
    end).

heals_without_dns() ->
    with_halves(fun(A, B, Server) ->
        ok = caravan_dns_server:pause(Server),
        assert_looks(A ++ B, A ++ B, failed),
        expire_addresses(A ++ B),
        part(A, B),
        assert_looks(A ++ B, A ++ B, failed),
        meet_again(A, B),
        assert_looks(A ++ B, A ++ B, failed),
        ok = caravan_dns_server:resume(Server),
        _ = await_status(A ++ B, last_lookup, fresh),
        assert_full(A ++ B)
    end).

%% Each half notices that the other one is gone, and loses no connection of its own.
part(A, B) ->
    Connections = {connections(A), connections(B)},
    set_partition("on"),
    [await_full(Half) || Half <- [A, B]],
    ?assertEqual(Connections, {connections(A), connections(B)}).

meet_again(A, B) ->
    [assert_full(Half) || Half <- [A, B]],
    set_partition("off"),
    await_settled(A ++ B, ?TRIES).

%% While a mesh forms, `global' may disconnect nodes that are not yet connected to all others. A node may have lost a
%% connection again when the last one is complete.
await_settled(Mesh, 1) ->
    await_full(Mesh),
    assert_full(Mesh);
await_settled(Mesh, Tries) ->
    await_full(Mesh),
    Connections = connections(Mesh),
    _ = looks(Mesh, ?LOOKS),
    Is = connections(Mesh),
    case lists:all(fun({_Name, Peers}) -> length(Peers) =:= length(Mesh) - 1 end, Is) of
        true when Is =:= Connections -> assert_full(Mesh);
        _ -> await_settled(Mesh, Tries - 1)
    end.

%% No node is forgotten.
assert_looks(Nodes, All, failed) ->
    assert_looks_fail(Nodes, ?LOOKS),
    assert_wanted(Nodes, [Name || {Name, _} <- All]);
assert_looks(Nodes, All, fresh) ->
    _ = looks(Nodes, ?LOOKS),
    _ = await_status(Nodes, last_lookup, fresh),
    assert_wanted(Nodes, [Name || {Name, _} <- All]).

with_halves(Test) ->
    ok = caravan_nif:load(),
    connect_halves(),
    {ok, Server} = caravan_dns_server:start_link(#{ip => ?NAMESERVER}),
    Nameserver = caravan_dns_server:nameserver(Server),
    caravan_test_network:with(network(), fun(Network) ->
        Halves = [half(Half, Network) || Half <- ?HALVES],
        Names = [names(Half, ?NODES_PER_HALF) || Half <- Halves],
        [ok = caravan_dns_server:put(Server, Host, a, [{a, 0, Ip}]) || {_, Host, Ip} <- ?HALVES],
        caravan_test_mesh:publish(Server, lists:append(Names)),
        [A, B] = [start(Half, Nameserver, caravan_test_mesh:query(), Each) || {Half, Each} <- lists:zip(Halves, Names)],
        await_full(A ++ B),
        Test(A, B, Server)
    end).

%% With the defaults of `global', and a short time until a silent node counts as down.
network() ->
    (caravan_test_mesh:network())#{flags => ["-kernel", "net_ticktime", "6", "net_tickintensity", "6"]}.

half({Namespace, Host, Ip}, #{node := Options} = Network) ->
    Node = Options#{prefix => ["ip", "netns", "exec", Namespace], control_ip => ?BRIDGE},
    Network#{host := Host, interface := Ip, node := Node}.

connect_halves() ->
    sh("ip link set lo up"),
    sh("ip link add bridge type bridge"),
    [sh("ip address add ~s/24 dev bridge", [inet:ntoa(Ip)]) || Ip <- [?BRIDGE, ?NAMESERVER]],
    sh("ip link set bridge up"),
    [connect_half(Namespace, Ip) || {Namespace, _, Ip} <- ?HALVES].

connect_half(Namespace, Ip) ->
    sh("ip netns add ~s", [Namespace]),
    sh("ip link add ~s type veth peer name eth0 netns ~s", [Namespace, Namespace]),
    sh("ip link set ~s master bridge up", [Namespace]),
    sh("ip -n ~s link set lo up", [Namespace]),
    sh("ip -n ~s address add ~s/24 dev eth0", [Namespace, inet:ntoa(Ip)]),
    sh("ip -n ~s link set eth0 up", [Namespace]).

%% Isolated ports reach the bridge but not each other.
set_partition(OnOrOff) ->
    [sh("bridge link set dev ~s isolated ~s", [Namespace, OnOrOff]) || {Namespace, _, _} <- ?HALVES].

%% What the second half sends to the nameserver goes to a link-layer address that no interface has.
hide_nameserver() ->
    sh("ip -n half_b neighbour replace ~s lladdr 02:00:00:00:00:01 dev eth0 nud permanent", [inet:ntoa(?NAMESERVER)]).

show_nameserver() ->
    sh("ip -n half_b neighbour delete ~s dev eth0", [inet:ntoa(?NAMESERVER)]).

sh(Command) ->
    sh(Command, []).

sh(Format, Arguments) ->
    "" = os:cmd(lists:flatten(io_lib:format(Format, Arguments))).
