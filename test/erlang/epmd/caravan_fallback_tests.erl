%% Clusters of nodes with an epmd and nodes of Caravan that have the key `fallback'.
-module(caravan_fallback_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3, free_port/0, node_name/3, start/3]).
-import(caravan_test_node, [async/2, await_boot/1, await_peers/2, call/4, listening_ports/1, run/2, stop/1]).

-define(TEST(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 300, fun() -> Test end}}).

-define(LOCALHOST, {127, 0, 0, 1}).
-define(HANG_GUARD, 60000).
-define(FALLBACK, ["-caravan", "fallback", "epmd"]).

%% Every pair, in both directions, without a connection. Ports that are in no name are in epmd, for both kinds of nodes.
ordinary_nodes_and_nodes_of_caravan_connect_each_way_test_() ->
    %% A message that is still on its way when a connection ends, as one of `global', would connect the nodes again.
    Explicit = ["-connect_all", "false", "-kernel", "dist_auto_connect", "never"],
    ?TEST(with_epmd(#{flags => Explicit}, fun(Network) ->
        Nodes = [ordinary(Network, Name) || Name <- ['a1@127.0.0.1', 'a2@127.0.0.1']] ++
            [with_fallback(Network, node_name(Network, "b", free_port()))] ++
            [with_fallback(Network, Name, free_port()) || Name <- ['c1@127.0.0.1', 'c2@127.0.0.1']],
        [connects(From, To) || From <- Nodes, To <- Nodes, From =/= To]
    end)).

connects({_, Node}, {Other, OtherNode}) ->
    ?assertEqual(true, connect(Node, Other)),
    ?assertEqual(Other, call(Node, rpc, call, [Other, erlang, node, []])),
    true = call(Node, erlang, disconnect_node, [Other]),
    ok = await_peers(Node, []),
    ok = await_peers(OtherNode, []).

both_protocols_are_in_epmd_with_one_port_test_() ->
    ?TEST(case caravan_test_network:has_ipv6() of
        true ->
            with_epmd(#{interface => any}, fun(Network) ->
                caravan_test_log:with_file(Network, fun(Logging, Log) ->
                    Port = free_port(),
                    Flags = ["-proto_dist", "inet_tcp", "inet6_tcp"],
                    {_, Node} = boot(Logging, 'app1@127.0.0.1', ?FALLBACK ++ listen(Port) ++ Flags),
                    ?assertEqual([Port, Port], listening_ports(Node)),
                    ?assertMatch({exited, 0, _}, stop(Node)),
                    ?assertEqual([], Log())
                end)
            end);
        false ->
            io:format(user, "SKIP: this machine has no IPv6 loopback~n", [])
    end).

without_an_epmd_a_node_boots_says_so_once_and_reaches_its_like_test_() ->
    ?TEST(with(#{flags => ["-connect_all", "false"]}, fun(Network) ->
        caravan_test_log:with_file(Network, fun(Logging, Log) ->
            Port = free_port(),
            Default = ["-caravan", "default_port", integer_to_list(Port)],
            With = fun(Name) -> boot(Logging, Name, ?FALLBACK ++ Default) end,
            A = {_, NodeA} = With('app@127.0.0.1'),
            B = boot(Network, node_name(Network, "b", free_port()), ?FALLBACK ++ Default),
            C = boot(Network, node_name(Network, "c", free_port()), Default),
            [connects(From, To) || From <- [A, B, C], To <- [A, B, C], From =/= To],
            ?assertMatch({exited, 0, _}, stop(NodeA)),
            Report = #{event => not_in_epmd, name => app, port => Port, reason => econnrefused},
            ?assertEqual([{warning, caravan_test_log:line(caravan_announce, Report)}], Log())
        end)
    end)).

a_name_that_epmd_has_already_is_refused_as_by_otp_test_() ->
    ?TEST(with_epmd(#{}, fun(Network) ->
        Second = fun(Node) ->
            {exited, 1, Output} = await_boot(Node),
            ?assertMatch({match, _}, re:run(Output, "the name a1@127.0.0.1 seems to be in use"))
        end,
        Ordinary = Network#{epmd_module := "erl_epmd"},
        First = {_, Node} = ordinary(Network, 'a1@127.0.0.1'),
        Second(start(Network, 'a1@127.0.0.1', ?FALLBACK ++ listen(free_port()))),
        connects(with_fallback(Network, 'b1@127.0.0.1', free_port()), First),
        ?assertMatch({exited, 0, _}, stop(Node)),
        _ = with_fallback(Network, 'a1@127.0.0.1', free_port()),
        Second(start(Ordinary, 'a1@127.0.0.1', []))
    end)).

digits_outside_of_port_range_are_left_to_epmd_test_() ->
    ?TEST(with_epmd(#{}, fun(Network) ->
        {Ordinary, _} = ordinary(Network, node_name(Network, "a", free_port())),
        [begin
             {_, Node} = boot(Network, Name, ?FALLBACK ++ listen(free_port()) ++ ["-caravan", "port_range", Range]),
             ?assertEqual({Range, Connects}, {Range, connect(Node, Ordinary)})
         end
         || {Name, Range, Connects} <- [{'b@127.0.0.1', "{65535,65535}", true}, {'c@127.0.0.1', "{1024,65535}", false}]]
    end)).

names_that_say_their_port_need_no_epmd_test_() ->
    ?TEST(with(#{}, fun(Network) ->
        {_, NodeA} = with_fallback(Network, node_name(Network, "a", free_port())),
        {B, _} = with_fallback(Network, node_name(Network, "b", free_port())),
        with_silent_epmd(Network, fun(Epmd) ->
            ?assertEqual(true, connect(NodeA, B)),
            ?assertEqual({error, timeout}, gen_tcp:accept(Epmd, 0))
        end)
    end)).

%% net_kernel has been answered, and the listener that has accepted is being asked. Without an answer of epmd the default
%% port is used, within the budget: otherwise net_kernel would have given up.
net_kernel_answers_while_an_epmd_hangs_test_() ->
    [?TEST(with(#{}, fun(Network) ->
        Default = ["-caravan", "default_port", integer_to_list(free_port())],
        {_, NodeA} = boot(Network, node_name(Network, "a", free_port()), ?FALLBACK ++ Default),
        {B, _} = boot(Network, 'b@127.0.0.1', ?FALLBACK ++ Default),
        with_silent_epmd(Network, fun(Epmd) ->
            Connecting = async(NodeA, fun() -> net_kernel:connect_node(B) end),
            {ok, Asked} = gen_tcp:accept(Epmd, ?HANG_GUARD),
            ?assert(is_integer(call(NodeA, net_kernel, get_net_ticktime, []))),
            ?assertEqual([], call(NodeA, erlang, nodes, [connected])),
            ok = End(Asked),
            ?assertEqual(true, receive {Connecting, Result} -> Result after ?HANG_GUARD -> error(no_answer) end)
        end)
     end))
     || End <- [fun gen_tcp:close/1, fun(_Hangs) -> ok end, fun(Socket) -> gen_tcp:send(Socket, "nonsense") end]].

net_kernel_answers_while_a_nameserver_hangs_test_() ->
    ?TEST(caravan_test_nameserver:with_network(#{host => "node.test"}, fun(Server, Network) ->
        Default = ["-caravan", "default_port", integer_to_list(free_port())],
        Gate = caravan_dns_gate:new(),
        caravan_dns_server:put(Server, "node.test", a, caravan_dns_gate:hold(Gate, [{a, 0, ?LOCALHOST}])),
        {_, NodeA} = boot(Network, node_name(Network, "a", free_port()), ?FALLBACK ++ Default),
        {B, _} = boot(Network, 'b@node.test', ?FALLBACK ++ Default),
        Connecting = async(NodeA, fun() -> net_kernel:connect_node(B) end),
        ok = caravan_dns_server:await_queries(Server, 1, ?HANG_GUARD),
        ?assert(is_integer(call(NodeA, net_kernel, get_net_ticktime, []))),
        ?assertEqual([], call(NodeA, erlang, nodes, [connected])),
        ok = caravan_dns_gate:open(Gate),
        ?assertEqual(true, receive {Connecting, Result} -> Result after ?HANG_GUARD -> error(no_answer) end)
    end)).

%% An epmd that never answers. Messages of its socket must not reach the caller.
an_epmd_that_hangs_leaves_no_message_test_() ->
    ?TEST(with(#{}, fun(Network) ->
        {_, Node} = with_fallback(Network, node_name(Network, "a", free_port())),
        with_silent_epmd(Network, fun(Epmd) ->
            Asking = async(Node, fun ask_all/0),
            Sockets = [begin
                           {ok, Socket} = gen_tcp:accept(Epmd, ?HANG_GUARD),
                           ok = gen_tcp:send(Socket, "nonsense"),
                           Socket
                       end
                       || _ <- [address_please, names]],
            {Address, Names, Messages} = receive {Asking, All} -> All after ?HANG_GUARD -> error(no_answer) end,
            ?assertEqual({ok, ?LOCALHOST, 4370, 6}, Address),
            ?assertMatch({ok, [{"a-" ++ _, _}]}, Names),
            ?assertEqual({messages, []}, Messages),
            [ok = gen_tcp:close(Socket) || Socket <- Sockets]
        end)
    end)).

ask_all() ->
    Address = caravan_epmd:address_please("app", "127.0.0.1", inet),
    Names = caravan_epmd:names("127.0.0.1"),
    {Address, Names, process_info(self(), messages)}.

%% The steps of docs/migration.md, with one node on each host: several plain names on one host would need an epmd in the end.
%% OTP itself makes the mesh.
a_cluster_moves_to_caravan_node_by_node_test_() ->
    Names = [list_to_atom(lists:concat(["app", N, "@127.0.0.", N])) || N <- lists:seq(1, 5)],
    ?TEST(with_hosts([host(Name) || Name <- Names], fun(Hosts) -> with(#{}, fun(Network) ->
        Default = ["-caravan", "default_port", integer_to_list(free_port())],
        Ordinary = fun(Name) -> boot((at(Name, Network))#{epmd_module := "erl_epmd"}, Name, []) end,
        Between = fun(Name) -> boot(at(Name, Network), Name, ?FALLBACK ++ Default) end,
        Caravan = fun(Name) -> boot(at(Name, Network), Name, Default) end,
        Epmd = caravan_test_epmd:start(Network, Hosts),
        Old = [First | Others] = [Ordinary(Name) || Name <- Names],
        [?assertEqual(true, connect(element(2, First), Name)) || {Name, _} <- Others],
        is_mesh(Old),
        Mixed = lists:foldl(replace(Between), Old, Names),
        %% One step back and forth again.
        Back = lists:foldl(replace(Ordinary), Mixed, [lists:last(Names)]),
        Forth = lists:foldl(replace(Between), Back, [lists:last(Names)]),
        New = lists:foldl(replace(Caravan), Forth, Names),
        ok = caravan_test_epmd:stop(Epmd),
        is_mesh(lists:foldl(replace(Caravan), New, Names))
    end) end)).

%% The others stay connected to each other by the same connections. The new node connects and accepts, in turn.
replace(Boot) ->
    fun(Name, Cluster) ->
        {value, {Name, Node}, Others} = lists:keytake(Name, 1, Cluster),
        Before = connections(Others, Name),
        {exited, 0, _} = stop(Node),
        is_mesh(Others),
        New = Boot(Name),
        dial(New, hd(Others), length([Each || {Each, _} <- Others, Each < Name]) rem 2),
        is_mesh([New | Others]),
        ?assertEqual(Before, connections(Others, Name)),
        Others ++ [New]
    end.

dial({_, Node}, {Other, _}, 0) -> ?assertEqual(true, connect(Node, Other));
dial({Name, _}, {_, Other}, 1) -> ?assertEqual(true, connect(Other, Name)).

is_mesh(Cluster) ->
    [ok = await_peers(Node, [Other || {Other, _} <- Cluster, Other =/= Name]) || {Name, Node} <- Cluster].

connections(Cluster, Except) ->
    [{Name, lists:sort(lists:keydelete(Except, 1, run(Node, fun controllers/0)))}
     || {Name, Node} <- Cluster].

controllers() ->
    erlang:system_info(dist_ctrl).

at(Name, Network) ->
    {ok, Ip} = inet:parse_address(host(Name)),
    Network#{interface := Ip}.

host(Name) ->
    [_, Host] = string:split(atom_to_list(Name), "@"),
    Host.

with_hosts(Hosts, Test) ->
    case [Error || Host <- Hosts, {error, _} = Error <- [listen_at(Host)]] of
        [] -> Test(Hosts);
        _ -> io:format(user, "SKIP: this machine has no ~s~n", [lists:last(Hosts)])
    end.

listen_at(Host) ->
    {ok, Ip} = inet:parse_address(Host),
    case gen_tcp:listen(0, [{ip, Ip}]) of
        {ok, Socket} -> gen_tcp:close(Socket);
        {error, _} = Error -> Error
    end.

with(Options, Test) ->
    Path = [filename:dirname(code:where_is_file(atom_to_list(Module) ++ ".beam")) || Module <- [caravan_epmd, ?MODULE]],
    caravan_test_network:with(Options#{node => #{code_path => Path}}, Test).

with_epmd(Options, Test) ->
    with(Options, fun(Network) -> caravan_test_epmd:with(Network, fun() -> Test(Network) end) end).

%% The test listens on the port of epmd.
with_silent_epmd(#{epmd_port := EpmdPort}, Test) ->
    {ok, Epmd} = gen_tcp:listen(EpmdPort, [{ip, ?LOCALHOST}, {reuseaddr, true}, {active, false}]),
    try
        Test(Epmd)
    after
        gen_tcp:close(Epmd)
    end.

ordinary(Network, Name) ->
    boot(Network#{epmd_module := "erl_epmd"}, Name, []).

with_fallback(Network, Name) ->
    boot(Network, Name, ?FALLBACK).

with_fallback(Network, Name, Port) ->
    boot(Network, Name, ?FALLBACK ++ listen(Port)).

listen(Port) ->
    ["-caravan", "listen_port", integer_to_list(Port)].

connect(Node, Name) ->
    call(Node, net_kernel, connect_node, [Name]).
