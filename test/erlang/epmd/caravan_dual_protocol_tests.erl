%% Nodes that use IPv4 and IPv6 at the same time: `-proto_dist inet_tcp inet6_tcp'.
-module(caravan_dual_protocol_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3, free_port/0, node_name/3]).
-import(caravan_test_node, [call/4]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> with_ipv6(fun() -> Test end) end}}).

-define(LOCALHOST, {127, 0, 0, 1}).
-define(LOCALHOST6, {0, 0, 0, 0, 0, 0, 0, 1}).

a_node_listens_on_its_port_with_both_protocols_test_() ->
    [?NODES(with_hosts([{"dual.test", ?LOCALHOST}, {"dual.test", ?LOCALHOST6}], fun(_Directory, Options) ->
        reached_by_each(Protocols, Options#{host => "dual.test"})
    end))
     || Protocols <- [["inet_tcp", "inet6_tcp"], ["inet6_tcp", "inet_tcp"]]].

reached_by_each(Protocols, Options) ->
    with(Options, fun(Network) ->
        Port = free_port(),
        {A, NodeA} = boot(Network, node_name(Network, "a", Port), ["-proto_dist" | Protocols]),
        [?assertEqual({Protocols, Ip, ok}, {Protocols, Ip, connect_and_close(Ip, Port)})
         || Ip <- [?LOCALHOST, ?LOCALHOST6]],
        Peers = [begin
                     {B, NodeB} = boot(Network, node_name(Network, "b", free_port()), ["-proto_dist", Protocol]),
                     ?assertEqual({Protocol, true}, {Protocol, call(NodeB, net_kernel, connect_node, [A])}),
                     B
                 end
                 || Protocol <- Protocols],
        ?assertEqual(lists:sort(Peers), lists:sort(call(NodeA, erlang, nodes, [])))
    end).

connect_and_close(Ip, Port) ->
    Family = case tuple_size(Ip) of 4 -> inet; 8 -> inet6 end,
    case gen_tcp:connect(Ip, Port, [Family]) of
        {ok, Socket} -> gen_tcp:close(Socket);
        {error, _} = Error -> Error
    end.

%% net_kernel chooses the protocol before it can wait for an address, so the first attempt may only show which family the
%% host lacks.
a_node_reaches_hosts_that_have_one_protocol_only_test_() ->
    [?NODES(with_hosts([{"four.test", ?LOCALHOST}, {"six.test", ?LOCALHOST6}], fun(_Directory, Options) ->
        with(Options#{host => "four.test", flags => ["-connect_all", "false"]}, fun(Network) ->
            {_, NodeA} = boot(Network, node_name(Network, "a", free_port()), ["-proto_dist" | Protocols]),
            ?assertEqual(ok, call(NodeA, application, start, [caravan])),
            [begin
                 {B, _} = boot(Network#{host := Host}, node_name(Network#{host := Host}, "b", free_port()),
                                   ["-proto_dist", Protocol]),
                 ?assertEqual({Protocols, Host, true}, {Protocols, Host, connect_twice(NodeA, B)}),
                 ?assertEqual(B, call(NodeA, rpc, call, [B, erlang, node, []]))
             end
             || {Host, Protocol} <- [{"four.test", "inet_tcp"}, {"six.test", "inet6_tcp"}]]
        end)
    end))
     || Protocols <- [["inet_tcp", "inet6_tcp"], ["inet6_tcp", "inet_tcp"]]].

connect_twice(Node, Peer) ->
    call(Node, net_kernel, connect_node, [Peer]) orelse call(Node, net_kernel, connect_node, [Peer]).

%% OTP asks where to listen for each protocol.
digits_that_are_no_port_are_warned_of_once_test_() ->
    ?NODES(with(#{interface => any}, fun(Network) ->
        caravan_test_log:with_file(Network, fun(Logging, Log) ->
            Port = free_port(),
            Flags = ["-caravan", "default_port", integer_to_list(Port), "-proto_dist", "inet_tcp", "inet6_tcp"],
            {_, Node} = boot(Logging, 'app-80@127.0.0.1', Flags),
            ok = call(Node, application, start, [caravan]),
            ?assertMatch({exited, 0, _}, caravan_test_node:stop(Node)),
            Report = #{event => digits_ignored, name => 'app-80@127.0.0.1', port => Port},
            ?assertEqual([{warning, caravan_test_log:line(caravan_announce, Report)}], [Entry || {warning, _} = Entry <- Log()])
        end)
    end)).

%% Calls a function with a directory, and with options of a network whose nodes know some hosts and listen on all interfaces.
with_hosts(Hosts, Test) ->
    caravan_test_directory:with(fun(Directory) ->
        Test(Directory, #{interface => any, node => #{env => [caravan_test_network:hosts(Directory, Hosts)]}})
    end).

with(Options, Test) ->
    caravan_test_network:with(Options, Test).

with_ipv6(Test) ->
    case caravan_test_network:has_ipv6() of
        true -> Test();
        false -> io:format(user, "SKIP: this machine has no IPv6 loopback~n", [])
    end.
