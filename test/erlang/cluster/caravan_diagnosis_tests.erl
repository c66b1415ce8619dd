%% Why real nodes do not connect.
-module(caravan_diagnosis_tests).

-include_lib("eunit/include/eunit.hrl").

-export([traces/0]).

-import(caravan_test_network, [boot/2, boot/3, free_port/0, node_name/3]).
-import(caravan_test_node, [call/4]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

why(Node, Other) ->
    ?assertEqual(false, call(Node, net_kernel, connect_node, [Other])),
    call(Node, caravan_diagnosis, why, [Other, 0]).

%% The nodes know the hosts of a file and ask no DNS server.
with_network(Options, Test) ->
    caravan_test_directory:with(fun(Directory) ->
        Variable = caravan_test_network:hosts(Directory, "n.test", {127, 0, 0, 1}),
        Path = [filename:dirname(code:where_is_file(Beam))
                || Beam <- ["caravan_epmd.beam", ?MODULE_STRING ".beam", "caravan_test_plain_epmd.beam"]],
        caravan_test_network:with(Options#{node => #{env => [Variable], code_path => Path}}, Test)
    end).

the_reason_is_found_by_taking_the_steps_once_more_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {Name, Node} = boot(Network, "app"),
        Port = call(Node, caravan_epmd, dist_port, [Name]),
        ?assertEqual({unreachable, econnrefused}, why(Node, node_name(Network, "app", free_port()))),
        ?assertEqual(no_address, why(Node, 'app-4370@nowhere.test')),
        ?assertEqual(no_address, call(Node, caravan_diagnosis, why, [nameonly, 0])),
        {Helper, _} = caravan_test_network:helper_name(Network, "rem-1f3a-"),
        ?assertEqual({unreachable, econnrefused}, why(Node, Helper)),
        %% OTP takes 7 s to find out that it talks to itself.
        ?assertEqual(this_node, call(Node, caravan_diagnosis, why, [node_name(Network, "other", Port), 0])),
        ?assertEqual(needs_short_names, why(Node, 'app-4370@short'))
    end)).

another_cookie_is_a_refused_handshake_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        {Other, _} = boot(Network#{cookie := "another"}, "app"),
        ?assertEqual(handshake, why(Node, Other))
    end)).

a_short_name_does_not_reach_a_long_one_test_() ->
    ?NODES(with_network(#{host => "short", name_flag => "-sname"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        ?assertEqual(needs_long_names, why(Node, 'app-4370@n.test'))
    end)).

an_epmd_module_need_not_know_addresses_test_() ->
    ?NODES(with_network(#{host => "n.test", epmd_module => "caravan_test_plain_epmd"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        ?assertEqual({unreachable, econnrefused}, why(Node, node_name(Network, "app", free_port()))),
        ?assertEqual(no_address, why(Node, 'app-4370@nowhere.test')),
        {Other, _} = boot(Network#{cookie := "another"}, "app"),
        ?assertEqual(handshake, why(Node, Other))
    end)).

who_accepts_and_says_nothing_does_not_answer_test_() ->
    ?NODES(with_network(#{host => "n.test", flags => ["-kernel", "net_setuptime", "1"]}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        %% As a VM that is stopped: its kernel accepts.
        {ok, Listen} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
        {ok, Port} = inet:port(Listen),
        ?assertEqual(timeout, caravan_test_node:run(Node, attempt(node_name(Network, "silent", Port)))),
        {Other, _} = boot(Network#{cookie := "another"}, "app"),
        ?assertEqual(handshake, caravan_test_node:run(Node, attempt(Other))),
        %% Who answers now had the whole time of net_kernel's, and did not.
        ?assertEqual(handshake, call(Node, caravan_diagnosis, why, [Other, 999])),
        ?assertEqual(timeout, call(Node, caravan_diagnosis, why, [Other, 1000])),
        ok = gen_tcp:close(Listen)
    end)).

%% Two authorities: what the one has signed the other's nodes do not know.
a_tls_fault_is_none_of_the_cookie_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) -> caravan_test_directory:with(fun(Directory) ->
        [Ours, Theirs] = [tls_flags(filename:join(Directory, Name)) || Name <- ["ours", "theirs"]],
        {_, Node} = boot(Network#{flags => Ours}, "app"),
        {Other, _} = boot(Network#{flags => Theirs}, "app"),
        ?assertEqual({tls, unknown_ca}, why(Node, Other)),
        {_, WithFlags} = boot(Network#{flags => tls_flags_without_file(filename:join(Directory, "ours"))}, "app"),
        ?assertEqual({tls, unknown_ca}, why(WithFlags, Other)),
        ?assertEqual({tls, closed}, why(Node, node_name(Network, "rude", port_that_hangs_up()))),
        %% It takes what it gets for the beginning of a long message.
        {Plain, _} = boot(Network, "plain"),
        ?assertEqual(timeout, call(Node, caravan_diagnosis, why, [Plain, 0])),
        {Stranger, _} = boot(Network#{flags => Ours, cookie => "another"}, "app"),
        ?assertEqual(handshake, why(Node, Stranger))
    end) end)).

%% The client is content, and hears later that the other side is not.
an_authority_that_the_other_side_does_not_know_is_seen_with_tls_1_3_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) -> caravan_test_directory:with(fun(Directory) ->
        [Ours, Theirs] = [tls_1_3_flags(filename:join(Directory, Name)) || Name <- ["ours", "theirs"]],
        {_, Node} = boot(Network#{flags => Ours}, "app"),
        {Other, _} = boot(Network#{flags => Theirs}, "app"),
        ?assertEqual({tls, unknown_ca}, why(Node, Other)),
        {Stranger, _} = boot(Network#{flags => Ours, cookie => "another"}, "app"),
        ?assertEqual(handshake, why(Node, Stranger))
    end) end)).

port_that_hangs_up() ->
    Test = self(),
    _ = spawn_link(fun() ->
        {ok, Listen} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
        {ok, Port} = inet:port(Listen),
        Test ! {hangs_up, Port},
        hang_up(Listen)
    end),
    receive {hangs_up, Port} -> Port end.

hang_up(Listen) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    ok = gen_tcp:close(Socket),
    hang_up(Listen).

tls_flags(Directory) ->
    ok = filelib:ensure_path(Directory),
    ["-proto_dist", "inet_tls", "-ssl_dist_optfile", caravan_test_certificates:create(Directory, "n.test")].

tls_1_3_flags(Directory) ->
    Flags = tls_flags(Directory),
    File = lists:last(Flags),
    {ok, [Config]} = file:consult(File),
    Changed = [{Role, [{versions, ['tlsv1.3']} | changed(Role, Options)]} || {Role, Options} <- Config],
    File = caravan_test_directory:write(File, io_lib:format("~p.~n", [Changed])),
    Flags.

changed(server, Options) -> Options;
changed(client, Options) -> lists:keystore(verify, 1, Options, {verify, verify_none}).

tls_flags_without_file(Directory) ->
    [Certificate, Key, Authority] = [filename:join(Directory, Name) || Name <- ["node.pem", "node.key", "authority.pem"]],
    ["-proto_dist", "inet_tls", "-ssl_dist_opt", "server_certfile", Certificate, "server_keyfile", Key,
     "client_certfile", Certificate, "client_keyfile", Key, "client_cacertfile", Authority,
     "client_verify", "verify_peer"].

attempt(Other) ->
    fun() ->
        Began = erlang:monotonic_time(),
        false = net_kernel:connect_node(Other),
        Duration = erlang:convert_time_unit(erlang:monotonic_time() - Began, native, millisecond),
        caravan_diagnosis:why(Other, Duration)
    end.

%% A node whose name is spelled otherwise, and one that has another basename.
another_name_is_said_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        Port = free_port(),
        {Other, OtherNode} = boot(Network#{host => "N.Test."}, node_name(Network#{host => "N.Test."}, "app", Port), []),
        ?assertEqual({other_name, atom_to_binary(Other)}, why(Node, node_name(Network, "app", Port))),
        ?assertEqual({other_name, atom_to_binary(Other)}, why(Node, node_name(Network, "green", Port))),
        ?assertMatch({exited, 0, _}, caravan_test_node:stop(OtherNode))
    end)).

%% What is asked leaves no trace there: no line at any level, no atom, no connection, and those that are up stay.
a_node_that_is_asked_for_its_name_notices_nothing_test_() ->
    ?NODES(with_network(#{host => "n.test", flags => ["-kernel", "logger_level", "all"]}, fun(Network) ->
        caravan_test_log:with_file(Network, fun(Logging, _Log) ->
            {A, Node} = boot(Network, "app"),
            {Other, OtherNode} = boot(Logging, "app"),
            ?assertEqual(true, call(Node, net_kernel, connect_node, [Other])),
            Before = call(OtherNode, ?MODULE, traces, []),
            Asked = node_name(Network, "green", call(Node, caravan_epmd, dist_port, [Other])),
            Why = fun() -> caravan_diagnosis:why(Asked, 0) end,
            Refs = [caravan_test_node:async(Node, Why) || _ <- lists:seq(1, 20)],
            Reasons = [receive {Ref, Reason} -> Reason end || Ref <- Refs],
            ?assert(lists:member({other_name, atom_to_binary(Other)}, Reasons)),
            ?assertEqual({other_name, atom_to_binary(Other)}, caravan_test_node:run(Node, Why)),
            ?assertEqual(Before, call(OtherNode, ?MODULE, traces, [])),
            ?assertEqual([A], call(OtherNode, erlang, nodes, [connected]))
        end)
    end)).

%% The log is a file, and net_kernel has taken note of whoever has hung up when it answers.
traces() ->
    _ = sys:get_state(net_kernel),
    {ok, #{config := #{file := File}}} = logger:get_handler_config(default),
    ok = logger_std_h:filesync(default),
    {ok, Log} = file:read_file(File),
    {Log, erlang:system_info(atom_count), ets:info(sys_dist, size)}.

every_reason_has_words_test_() ->
    [
        ?_assert(is_list(unicode:characters_to_list(caravan_diagnosis:format(Reason))))
     || Reason <- [
            no_address, {no_port, erl_epmd}, {no_port, some_module}, {unreachable, econnrefused}, handshake, {other_name, <<"a@B">>}, {other_name, filtered}, {tls, unknown_ca}, {tls, closed}, this_node,
            needs_long_names,
            needs_short_names, not_distributed, timeout, {result, {a, "b"}}, {raised, {error, x}}
        ]
    ].
