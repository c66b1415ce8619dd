%% Real nodes without epmd that find each other through caravan_epmd.
-module(caravan_epmd_nodes_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/2, boot/3, free_port/0, node_name/3, start/3]).
-import(caravan_test_node, [await_exit/1, await_output/2, await_peer/2, call/4, listening_ports/1]).
-import(caravan_test_node, [stop/1, write/2]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).
-define(IPV6_NODES(Test), ?NODES(with_ipv6(fun() -> Test end))).

-define(LOCALHOST, {127, 0, 0, 1}).
-define(LOCALHOST6, {0, 0, 0, 0, 0, 0, 0, 1}).

%% Protocols

inet_tcp_test_() ->
    ?NODES(two_nodes_connect(#{})).

inet6_tcp_test_() ->
    ?IPV6_NODES(two_nodes_connect(#{host => "::1", interface => ?LOCALHOST6,
                                    flags => ["-proto_dist", "inet6_tcp"]})).

inet_tls_test_() ->
    ?NODES(with_tls("inet_tls", ?LOCALHOST, fun two_nodes_connect/1)).

inet6_tls_test_() ->
    ?IPV6_NODES(with_tls("inet6_tls", ?LOCALHOST6, fun two_nodes_connect/1)).

a_node_that_speaks_no_tls_is_refused_test_() ->
    ?NODES(with_tls("inet_tls", ?LOCALHOST, fun(#{flags := Flags} = Options) ->
        with(Options#{flags := []}, fun(Network) ->
            {A, _} = boot(Network, node_name(Network, "a", free_port()), Flags),
            {_, NodeB} = boot(Network, "b"),
            ?assertEqual(false, connect(NodeB, A))
        end)
    end)).

%% IPv4 addresses in names of nodes that use IPv6: they are reached by their mapped addresses.
an_ipv4_address_is_reached_over_ipv6_test_() ->
    ?IPV6_NODES(two_nodes_connect(#{interface => inet:ipv4_mapped_ipv6_address(?LOCALHOST),
                                    flags => ["-proto_dist", "inet6_tcp"]})).

short_names_test_() ->
    ?NODES(two_nodes_connect(#{name_flag => "-sname", host => "localhost"})).

%% The test listens on the port of epmd, and its queue would hold every connection.
no_node_asks_an_epmd_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        #{epmd_port := Port} = Network,
        {ok, Epmd} = gen_tcp:listen(Port, [{ip, ?LOCALHOST}]),
        {_, NodeA} = boot(Network, "a"),
        {B, NodeB} = boot(Network, "b"),
        ?assertEqual(true, connect(NodeA, B)),
        ?assertMatch({ok, [_ | _]}, call(NodeA, net_adm, names, [])),
        ?assertMatch({exited, 0, _}, stop(NodeB)),
        ?assertEqual({error, timeout}, gen_tcp:accept(Epmd, 0)),
        ok = gen_tcp:close(Epmd)
    end)).

%% Names

a_second_node_of_a_name_fails_and_leaves_the_first_alone_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {A, NodeA} = boot(Network, "a"),
        {exited, Status, Output} = await_exit(start(Network, A, [])),
        ?assertEqual(1, Status),
        ?assertMatch({match, _}, re:run(Output, "eaddrinuse")),
        {_, NodeB} = boot(Network, "b"),
        ?assertEqual(true, connect(NodeB, A)),
        ?assertEqual(A, call(NodeA, erlang, node, []))
    end)).

a_restarted_node_has_another_creation_and_not_the_old_pids_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {A, First} = boot(Network, "a"),
        {_, NodeB} = boot(Network, "b"),
        FirstCreation = call(First, erlang, system_info, [creation]),
        Pid = call(NodeB, rpc, call, [A, erlang, whereis, [init]]),
        ?assertEqual(true, call(NodeB, rpc, call, [A, erlang, is_process_alive, [Pid]])),
        ?assertMatch({exited, 0, _}, stop(First)),
        {A, Second} = boot(Network, A, []),
        ?assertNotEqual(FirstCreation, call(Second, erlang, system_info, [creation])),
        ?assertEqual(false, call(NodeB, rpc, call, [A, erlang, is_process_alive, [Pid]]))
    end)).

%% Creations up to 3 belong to the first protocol of epmd, and OTP 27 replaces each of them by 4.
a_creation_has_32_bits_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {_, Node} = boot(Network, "a"),
        Creation = call(Node, erlang, system_info, [creation]),
        ?assert(Creation > 4 andalso Creation < 1 bsl 32)
    end)).

a_hidden_node_listens_on_its_own_port_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {A, NodeA} = boot(Network, node_name(Network, "a", free_port()), ["-hidden"]),
        {B, NodeB} = boot(Network, "b"),
        ?assertEqual(true, connect(NodeB, A)),
        ?assertEqual(ok, await_peer(NodeA, B)),
        ?assertEqual([A], call(NodeB, erlang, nodes, [hidden])),
        ?assertEqual([B], call(NodeA, erlang, nodes, [hidden])),
        ?assertEqual([], call(NodeB, erlang, nodes, []))
    end)).

%% net_kernel accepts no such name as its own, but a caller may have it from anywhere.
names_that_no_node_can_have_are_dialled_in_vain_test_() ->
    ?NODES(caravan_test_directory:with(fun(Directory) ->
        Hosts = caravan_test_network:hosts(Directory, "node.test", ?LOCALHOST),
        with(#{node => #{env => [Hosts]}}, fun(Network) ->
            {_, NodeA} = boot(Network, "a"),
            {B, _} = boot(Network, "b"),
            Names = ['узел-4370@127.0.0.1', 'a-4370@узел.test', '@', '@127.0.0.1', 'a-4370@', 'a@b@c',
                     list_to_atom("a-" ++ lists:duplicate(200, $9) ++ "@127.0.0.1"),
                     list_to_atom("a@" ++ lists:duplicate(250, $ж)), list_to_atom([0, $@, 0])],
            [?assertEqual(false, connect(NodeA, Name)) || Name <- Names],
            ?assertEqual(true, connect(NodeA, B))
        end)
    end)).

%% Nodes that join a running one

helper_nodes_reach_the_node_whose_name_they_carry_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {A, NodeA} = boot(Network, "app"),
        [begin
             Name = list_to_atom(Prefix ++ atom_to_list(A)),
             {Name, Helper} = boot(Network, Name, ["-hidden"]),
             ?assertEqual(pong, call(Helper, net_adm, ping, [A])),
             ?assertEqual(ok, await_peer(NodeA, Name))
         end
         || Prefix <- ["rem-1f3a-", "rpc-00c4-", "rpc-31999-", "maint1f3a-", "remsh0a-", "longname1f-"]]
    end)).

nodes_without_a_name_reach_a_running_one_test_() ->
    [?NODES(with(#{name_flag => NameFlag, host => Host}, fun(Network) ->
        {A, _} = boot(Network, "app"),
        {none, Helper} = boot(Network, none, [NameFlag, Dynamic]),
        ?assertEqual(true, connect(Helper, A)),
        ?assertEqual(A, call(Helper, rpc, call, [A, erlang, node, []]))
     end))
     || {NameFlag, Host, Dynamic} <- [{"-sname", "localhost", "undefined"},
                                      {"-name", "127.0.0.1", "undefined@127.0.0.1"}]].

a_node_that_does_not_listen_reaches_a_running_one_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {A, NodeA} = boot(Network, "app"),
        Name = node_name(Network, "app", free_port()),
        {Name, Silent} = boot(Network, Name, ["-dist_listen", "false"]),
        ?assertEqual([], listening_ports(Silent)),
        ?assertEqual(true, connect(Silent, A)),
        ?assertEqual(ok, await_peer(NodeA, Name))
    end)).

a_remote_shell_runs_in_the_node_it_is_for_test_() ->
    ?NODES(with(#{name_flag => "-sname", host => "localhost", node => #{pty => true}}, fun(Network) ->
        {A, _} = boot(Network#{node := #{}}, "app"),
        {none, Shell} = boot(Network, none, ["-sname", "undefined", "-remsh", atom_to_list(A)]),
        ok = write(Shell, "{shell_of, node()}.\n"),
        ?assertEqual(ok, await_output(Shell, io_lib:format("{shell_of,'~s'}", [A])))
    end)).

%% What a node knows of others

names_are_those_of_the_node_and_its_peers_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        [A, B] = [{lists:concat([Basename, "-", Port]), Port}
                  || {Basename, Port} <- [{"a", free_port()}, {"b", free_port()}]],
        {_, NodeA} = boot(Network, node_name(Network, "a", element(2, A)), []),
        {NameB, _} = boot(Network, node_name(Network, "b", element(2, B)), []),
        Own = fun(Host) -> call(NodeA, caravan_epmd, names, [Host]) end,
        Hosts = ["127.0.0.1", '127.0.0.1', ?LOCALHOST, "localhost", localhost],
        [?assertEqual({Host, {ok, [A]}}, {Host, Own(Host)}) || Host <- Hosts],
        true = connect(NodeA, NameB),
        [?assertEqual({Host, {ok, [A, B]}}, {Host, Own(Host)}) || Host <- Hosts],
        ?assertEqual({ok, [A, B]}, call(NodeA, caravan_epmd, names, [])),
        ?assertEqual({ok, [A, B]}, call(NodeA, net_adm, names, [])),
        ?assertEqual({ok, [A, B]}, call(NodeA, net_adm, names, ['127.0.0.1'])),
        ?assertEqual({ok, []}, Own("10.0.0.1"))
    end)).

with(Options, Test) ->
    caravan_test_network:with(Options, Test).

connect(Node, Name) ->
    call(Node, net_kernel, connect_node, [Name]).

with_ipv6(Test) ->
    case caravan_test_network:has_ipv6() of
        true -> Test();
        false -> io:format(user, "SKIP: this machine has no IPv6 loopback~n", [])
    end.

%% OTP 25 looks for the host of a node in the certificate as a DNS name only, so it must be one.
with_tls(Protocol, Ip, Test) ->
    caravan_test_directory:with(fun(Directory) ->
        Hosts = caravan_test_network:hosts(Directory, "node.test", Ip),
        Certificates = caravan_test_certificates:create(Directory, "node.test"),
        Test(#{host => "node.test", interface => Ip, node => #{env => [Hosts]},
               flags => ["-proto_dist", Protocol, "-ssl_dist_optfile", Certificates]})
    end).

%% In both directions, since connecting and accepting are different code.
two_nodes_connect(Options) ->
    with(Options, fun(Network) ->
        {A, NodeA} = boot(Network, "a"),
        {B, NodeB} = boot(Network, "b"),
        ?assertEqual(true, connect(NodeA, B)),
        ?assertEqual(B, call(NodeA, rpc, call, [B, erlang, node, []])),
        ok = caravan_test_node:await_peers(NodeB, [A]),
        {_, NodeC} = boot(Network, "c"),
        ?assertEqual(true, connect(NodeC, A)),
        ?assertEqual(ok, await_peer(NodeC, B))
    end).
