%% Where caravan_epmd gets the addresses of nodes, and what happens if it gets none.
-module(caravan_epmd_address_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_dns_server, [await_queries/3, count/1, pause/1, put/4, queries/1, resume/1]).
-import(caravan_test_network, [boot/2, boot/3, free_port/0, node_name/3]).
-import(caravan_test_node, [async/2, call/4, run/2]).

-define(TEST(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

-define(LOCALHOST, {127, 0, 0, 1}).
-define(LOCALHOST6, {0, 0, 0, 0, 0, 0, 0, 1}).
-define(HANG_GUARD, 60000).

%% In this VM

addresses_are_of_the_family_that_is_asked_for_test_() ->
    ?TEST(caravan_test_nameserver:with(#{}, fun(Server, _) ->
        put(Server, "n.test", a, [{a, 30, {127, 0, 0, 7}}]),
        put(Server, "n.test", aaaa, [{aaaa, 30, ?LOCALHOST6}]),
        ?assertEqual({ok, {127, 0, 0, 7}, 4834, 6}, caravan_epmd:address_please("app-4834", "n.test", inet)),
        ?assertEqual([a], types(Server)),
        ?assertEqual({ok, ?LOCALHOST6, 4834, 6}, caravan_epmd:address_please("app-4834", "n.test", inet6)),
        ?assertEqual([a, aaaa], types(Server))
    end)).

addresses_in_names_need_no_nameserver_test_() ->
    ?TEST(caravan_test_nameserver:with(#{}, fun(Server, System) ->
        [{ok, _, 4834, 6} = caravan_epmd:address_please("app-4834", Host, Family)
         || {Host, Family} <- [{"127.0.0.1", inet}, {"127.0.0.1", inet6}, {"::1", inet6}]],
        ?assertEqual({0, 0}, {count(Server), count(System)})
    end)).

what_the_nameservers_do_not_know_the_system_is_asked_test_() ->
    ?TEST(caravan_test_nameserver:with(#{}, fun(Server, System) ->
        put(System, "n.test", a, [{a, 30, ?LOCALHOST}]),
        [begin
             put(Server, "n.test", a, Answer),
             ?assertEqual({Answer, {ok, ?LOCALHOST, 4834, 6}},
                          {Answer, caravan_epmd:address_please("app-4834", "n.test", inet)})
         end
         || Answer <- [nxdomain, [], servfail, refused, drop]],
        ?assert(count(Server) > 0)
    end)).

a_host_that_nobody_knows_is_an_error_test_() ->
    ?TEST(caravan_test_nameserver:with(#{}, fun(_, _) ->
        [?assertEqual({Family, {error, nxdomain}},
                      {Family, caravan_epmd:address_please("app-4834", "n.test", Family)})
         || Family <- [inet, inet6]],
        ?assertEqual({messages, []}, process_info(self(), messages))
    end)).

%% The answers do arrive, but too late: the last lookup goes to the same sockets after them.
nameservers_that_hang_are_an_error_and_leave_no_message_test_() ->
    ?TEST(caravan_test_nameserver:with(#{}, fun(Server, System) ->
        [put(Each, Host, a, [{a, 30, ?LOCALHOST}])
         || Each <- [Server, System], Host <- ["late.test", "n.test"]],
        [ok = pause(Each) || Each <- [Server, System]],
        ?assertEqual({error, etimedout}, caravan_epmd:address_please("app-4834", "late.test", inet)),
        [ok = resume(Each) || Each <- [Server, System]],
        ?assertEqual({ok, ?LOCALHOST, 4834, 6}, caravan_epmd:address_please("app-4834", "n.test", inet)),
        ?assert(lists:member("late.test", [Name || #{name := Name} <- queries(Server) ++ queries(System)])),
        ?assertEqual({messages, []}, process_info(self(), messages))
    end)).

types(Server) ->
    [Type || #{type := Type} <- queries(Server)].

%% In nodes

nodes_connect_through_a_nameserver_test_() ->
    ?TEST(caravan_test_nameserver:with_network(#{host => "node.test"}, fun(Server, Network) ->
        put(Server, "node.test", a, [{a, 0, ?LOCALHOST}]),
        {_, NodeA} = boot(Network, "a"),
        {B, _} = boot(Network, "b"),
        ?assertEqual(true, call(NodeA, net_kernel, connect_node, [B]))
    end)).

nodes_connect_through_a_nameserver_over_ipv6_test_() ->
    ?TEST(case caravan_test_network:has_ipv6() of
        true ->
            Options = #{host => "node.test", interface => ?LOCALHOST6, flags => ["-proto_dist", "inet6_tcp"]},
            caravan_test_nameserver:with_network(Options, fun(Server, Network) ->
                put(Server, "node.test", aaaa, [{aaaa, 0, ?LOCALHOST6}]),
                {_, NodeA} = boot(Network, "a"),
                {B, _} = boot(Network, "b"),
                ?assertEqual(true, call(NodeA, net_kernel, connect_node, [B]))
            end);
        false ->
            io:format(user, "SKIP: this machine has no IPv6 loopback~n", [])
    end).

%% OTP asks in net_kernel first, then in the process that sets up the connection. The answer for which this process waits
%% comes after net_kernel has been answered, and within the budget: otherwise there would be no connection.
net_kernel_answers_while_a_nameserver_hangs_test_() ->
    ?TEST(caravan_test_nameserver:with_network(#{host => "node.test"}, fun(Server, Network) ->
        put(Server, "node.test", a, gate(self())),
        {_, NodeA} = boot(Network, "a"),
        {B, _} = boot(Network, "b"),
        Connecting = async(NodeA, fun() -> net_kernel:connect_node(B) end),
        Waiting = receive {asked, Pid} -> Pid after ?HANG_GUARD -> error(no_query) end,
        ?assert(is_integer(call(NodeA, net_kernel, get_net_ticktime, []))),
        ?assertEqual([], call(NodeA, erlang, nodes, [connected])),
        put(Server, "node.test", a, [{a, 0, ?LOCALHOST}]),
        Waiting ! open,
        ?assertEqual(true, receive {Connecting, Result} -> Result after ?HANG_GUARD -> error(no_answer) end)
    end)).

gate(Test) ->
    fun(_Transport, _Query) ->
            Test ! {asked, self()},
            receive open -> [{a, 0, ?LOCALHOST}] end
    end.

%% net_kernel kills a process that takes longer than net_setuptime, and then nothing is returned.
a_host_without_address_is_an_error_before_net_kernel_loses_patience_test_() ->
    [?TEST(caravan_test_nameserver:with_network(#{host => "node.test"}, fun(Server, Network) ->
        put(Server, "node.test", a, Answer),
        {_, NodeA} = boot(Network, "a"),
        B = node_name(Network, "b", free_port()),
        ?assertEqual({false, [{error, Error}]}, run(NodeA, fun() -> traced_connect(B) end)),
        ?assertEqual(ok, await_queries(Server, 1, 0))
     end))
     || {Answer, Error} <- [{nxdomain, nxdomain}, {[], nxdomain}, {drop, etimedout}]].

%% What address_please/3 returned outside of net_kernel. Inside it the address is ignored.
traced_connect(Name) ->
    _ = erlang:trace(all, true, [call]),
    1 = erlang:trace_pattern({caravan_epmd, address_please, 3}, [{'_', [], [{return_trace}]}], []),
    Connected = net_kernel:connect_node(Name),
    NetKernel = whereis(net_kernel),
    receive
        {trace, Pid, return_from, {caravan_epmd, address_please, 3}, Result} when Pid =/= NetKernel ->
            {Connected, [Result]}
    end.

%% A topology makes the attempts and finds out which of them fail.
start_topology(Node, Server, B) ->
    ok = put(Server, "app.test", srv, [{srv, 600, 1, 1, caravan_epmd:dist_port(B), "node.test"}]),
    {ok, _} = call(Node, application, ensure_all_started, [caravan]),
    {ok, _} = call(Node, caravan_cluster, start, [#{name => app, query => "app.test", node_basename => "b"}]).

of_two_addresses_of_a_target_the_dead_one_is_tried_once_test_() ->
    ?TEST(caravan_test_nameserver:with_network(#{host => "node.test"}, fun(Server, Network) ->
        put(Server, "node.test", a, [{a, 600, {127, 0, 0, 9}}, {a, 600, ?LOCALHOST}]),
        {_, NodeA} = boot(Network, "a"),
        {B, _} = boot(Network, "b"),
        start_topology(NodeA, Server, B),
        ok = caravan_test_node:await_peer(NodeA, B),
        %% The addresses in the answer suffice.
        ?assertEqual([srv], lists:usort(types(Server)))
    end)).

a_host_with_another_address_is_found_there_long_before_its_ttl_is_over_test_() ->
    ?TEST(caravan_test_nameserver:with_network(#{host => "node.test"}, fun(Server, Network) ->
        put(Server, "node.test", a, [{a, 600, {127, 0, 0, 9}}]),
        {_, NodeA} = boot(Network, "a"),
        {B, _} = boot(Network, "b"),
        start_topology(NodeA, Server, B),
        caravan_dns_fixture:await_value({127, 0, 0, 9}, fun() -> address(NodeA, B) end),
        put(Server, "node.test", a, [{a, 600, ?LOCALHOST}]),
        ok = caravan_test_node:await_peer(NodeA, B),
        ?assertEqual(1, length([srv || srv <- types(Server)]))
    end)).

%% The places where it was looked for without success.
address(NodeA, B) ->
    case call(NodeA, caravan_cluster, status, [app]) of
        #{failing := #{B := #{reason := {unreachable, econnrefused, {Ip, _Port}}}}} -> Ip;
        #{} -> none
    end.
