%% Which nodes a node knows on a host: caravan_epmd:names/0 and names/1, and what net_adm makes of them.
-module(caravan_names_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3, free_port/0]).
-import(caravan_test_node, [await_peer/2, call/4]).

-define(TEST(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

-define(LOCALHOST, {127, 0, 0, 1}).

%% The node itself and those that it is connected to are in caravan_epmd_nodes_tests.

nodes_that_a_topology_lists_are_known_before_they_are_connected_test_() ->
    ?TEST(caravan_test_nameserver:with_network(#{}, fun(Server, Network) ->
        [A, B, Other] = [{lists:concat(["app-", Port]), Port} || Port <- [free_port(), free_port(), free_port()]],
        Records = [{srv, 0, 0, 0, Port, Target} || {{_, Port}, Target} <- [{B, "n1.test"}, {Other, "n2.test"}]],
        ok = caravan_dns_server:put(Server, "app.test", srv, Records),
        ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 0, ?LOCALHOST}]),
        ok = caravan_dns_server:put(Server, "n2.test", a, [{a, 0, {127, 0, 0, 99}}]),
        {_, Node} = boot(Network, node_of(A), []),
        Topology = #{query => "app.test", node_basename => "app", node_name => "{basename}-{port}@{ip}"},
        ok = call(Node, application, set_env, [caravan, topologies, [{app, Topology}]]),
        {ok, _} = call(Node, application, ensure_all_started, [caravan]),
        Known = lists:sort([A, B]),
        ok = caravan_dns_fixture:await_value({ok, Known}, fun() -> names(Node, "127.0.0.1") end),
        ?assertEqual([], call(Node, erlang, nodes, [connected])),
        ?assertEqual({ok, [Other]}, names(Node, {127, 0, 0, 99})),
        ?assertEqual({ok, [Other]}, call(Node, net_adm, names, ['127.0.0.99'])),
        ?assertEqual({ok, Known}, call(Node, net_adm, names, [])),
        ?assertEqual({ok, []}, names(Node, "127.0.0.98")),
        ?assertEqual({ok, []}, call(Node, net_adm, names, ['127.0.0.98']))
    end)).

%% With the port from epmd, which is in no name.
with_fallback_those_of_epmd_are_known_test_() ->
    ?TEST(with_epmd(fun(Network) ->
        [PortA, PortB] = [free_port(), free_port()],
        {A, _} = boot(Network#{epmd_module := "erl_epmd"}, 'a@127.0.0.1',
                      ["-kernel", "inet_dist_listen_min", integer_to_list(PortA)]),
        {_, NodeB} = boot(Network, 'b@127.0.0.1',
                          ["-caravan", "fallback", "epmd", "listen_port", integer_to_list(PortB)]),
        {ok, OfEpmd} = call(NodeB, erl_epmd, names, ["127.0.0.1"]),
        ?assertEqual([{"a", PortA}, {"b", PortB}], lists:sort(OfEpmd)),
        [begin
             [?assertEqual({Host, {ok, [{"a", PortA}, {"b", PortB}]}}, {Host, names(NodeB, Host)})
              || Host <- ["127.0.0.1", '127.0.0.1', ?LOCALHOST]],
             ?assertEqual({ok, [{"a", PortA}, {"b", PortB}]}, call(NodeB, net_adm, names, ['127.0.0.1'])),
             true = call(NodeB, net_kernel, connect_node, [A])
         end
         || _ <- [before_they_connect, later]],
        ?assertEqual({ok, []}, names(NodeB, "127.0.0.99"))
    end)).

%% OTP reads the hosts from a file, calls names/1 for each and pings the result.
world_connects_all_that_are_known_test_() ->
    ?TEST(caravan_test_directory:with(fun(Directory) -> with_epmd(fun(Network) ->
        _ = caravan_test_directory:write(filename:join(Directory, ".hosts.erlang"), "'127.0.0.1'.\n"),
        #{node := Options} = Network,
        {A, NodeA} = boot(Network#{epmd_module := "erl_epmd"}, 'a@127.0.0.1', []),
        Flags = [
            "-caravan", "fallback", "epmd", "default_port", integer_to_list(caravan_test_network:free_port())
        ],
        {B, NodeB} = boot(Network#{node := Options#{cd => Directory}}, 'b@127.0.0.1', Flags),
        ?assertEqual([A, B], lists:sort(call(NodeB, net_adm, world, []))),
        ?assertEqual(ok, await_peer(NodeA, B))
    end) end)).

names(Node, Host) ->
    call(Node, caravan_epmd, names, [Host]).

node_of({Basename, _}) ->
    list_to_atom(Basename ++ "@127.0.0.1").

with_epmd(Test) ->
    caravan_test_network:with(#{}, fun(Network) ->
        caravan_test_epmd:with(Network, fun() -> Test(Network) end)
    end).
