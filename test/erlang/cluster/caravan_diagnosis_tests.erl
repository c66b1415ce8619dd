%% Why real nodes do not connect.
-module(caravan_diagnosis_tests).

-include_lib("eunit/include/eunit.hrl").

-export([traces/0]).

-import(caravan_test_network, [boot/2, boot/3, free_port/0, node_name/3]).
-import(caravan_test_node, [call/4]).

-define(LOOPBACK, {127, 0, 0, 1}).
-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

why(Node, Other) ->
    ?assertEqual(false, call(Node, net_kernel, connect_node, [Other])),
    call(Node, caravan_diagnosis, why, [Other, 0]).

%% The nodes read a file of hosts and ask no DNS server.
with_network(Options, Test) ->
    caravan_test_directory:with(fun(Directory) ->
        Variable = caravan_test_network:hosts(Directory, "n.test", {127, 0, 0, 1}),
        Path = [filename:dirname(code:where_is_file(Beam))
                || Beam <- ["caravan_epmd.beam", ?MODULE_STRING ".beam", "caravan_test_plain_epmd.beam"]],
        caravan_test_network:with(Options#{node => #{env => [Variable], code_path => Path}}, Test)
    end).

without_a_distribution_that_is_why_test() ->
    ?assertMatch(#{result := not_distributed}, caravan_cluster:why('app-4370@n.test')).

without_the_library_nobody_says_why_test_() ->
    ?NODES(caravan_test_directory:with(fun(Directory) ->
        Ebin = caravan_test_installation:copy(filename:join(Directory, "caravan"), none),
        Eval = "{error, {not_loaded, Text}} = caravan_cluster:why('app-4370@n.test'), io:put_chars(Text), halt().",
        Seen = os:cmd("CARAVAN_NIF_DIR= erl -noinput -pa '" ++ Ebin ++ "' -eval \"" ++ Eval ++ "\""),
        ?assertMatch({_, {match, _}}, {Seen, re:run(Seen, "^caravan: cannot load .*there is no such file")})
    end)).

the_reason_is_found_by_taking_the_steps_once_more_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {Name, Node} = boot(Network, "app"),
        Port = call(Node, caravan_epmd, dist_port, [Name]),
        Free = free_port(),
        ?assertEqual({unreachable, econnrefused, {?LOOPBACK, Free}}, why(Node, node_name(Network, "app", Free))),
        ?assertEqual(no_address, why(Node, 'app-4370@nowhere.test')),
        ?assertEqual(no_address, call(Node, caravan_diagnosis, why, [nameonly, 0])),
        {Helper, _} = caravan_test_network:helper_name(Network, "rem-1f3a-"),
        ?assertMatch({unreachable, econnrefused, {?LOOPBACK, _}}, why(Node, Helper)),
        ?assertEqual(this_node, call(Node, caravan_diagnosis, why, [node_name(Network, "other", Port), 0])),
        ?assertEqual(needs_short_names, why(Node, 'app-4370@short'))
    end)).

another_cookie_is_a_refused_handshake_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        {Other, _} = boot(Network#{cookie := "another"}, "app"),
        ?assertEqual(cookie, why(Node, Other))
    end)).

a_short_name_does_not_reach_a_long_one_test_() ->
    ?NODES(with_network(#{host => "short", name_flag => "-sname"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        ?assertEqual(needs_long_names, why(Node, 'app-4370@n.test'))
    end)).

an_epmd_module_need_not_know_addresses_test_() ->
    ?NODES(with_network(#{host => "n.test", epmd_module => "caravan_test_plain_epmd"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        ?assertMatch({unreachable, econnrefused, {?LOOPBACK, _}}, why(Node, node_name(Network, "app", free_port()))),
        ?assertEqual(no_address, why(Node, 'app-4370@nowhere.test')),
        {Other, _} = boot(Network#{cookie := "another"}, "app"),
        ?assertEqual(cookie, why(Node, Other))
    end)).

who_accepts_and_says_nothing_does_not_answer_test_() ->
    ?NODES(with_network(#{host => "n.test", flags => ["-kernel", "net_setuptime", "1"]}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        %% A stopped VM: its kernel still accepts connections.
        {ok, Listen} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
        {ok, Port} = inet:port(Listen),
        ?assertEqual(timeout, caravan_test_node:run(Node, attempt(node_name(Network, "silent", Port)))),
        {Other, _} = boot(Network#{cookie := "another"}, "app"),
        ?assertEqual(cookie, caravan_test_node:run(Node, attempt(Other))),
        %% A node that answers now did not answer within net_setuptime.
        ?assertEqual(cookie, call(Node, caravan_diagnosis, why, [Other, 999])),
        ?assertEqual(timeout, call(Node, caravan_diagnosis, why, [Other, 1000])),
        ok = gen_tcp:close(Listen)
    end)).

%% Two authorities: nodes of one do not trust certificates that the other has signed.
a_tls_fault_is_none_of_the_cookie_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) -> caravan_test_directory:with(fun(Directory) ->
        [Ours, Theirs] = [tls_flags(filename:join(Directory, Name)) || Name <- ["ours", "theirs"]],
        {_, Node} = boot(Network#{flags => Ours}, "app"),
        {Other, _} = boot(Network#{flags => Theirs}, "app"),
        ?assertEqual({tls, unknown_ca, here}, why(Node, Other)),
        {_, WithFlags} = boot(Network#{flags => tls_flags_without_file(filename:join(Directory, "ours"))}, "app"),
        ?assertEqual({tls, unknown_ca, here}, why(WithFlags, Other)),
        {Rude, RudePort} = listener([close]),
        ?assertEqual({no_node, {?LOOPBACK, RudePort}}, why(Node, node_name(Network, "rude", RudePort))),
        ok = stop(Rude),
        {Plain, PlainNode} = boot(Network, "plain"),
        ?assertEqual(tls_here, call(Node, caravan_diagnosis, why, [Plain, 0])),
        ?assertEqual(tls_there, why(PlainNode, Other)),
        {Stranger, _} = boot(Network#{flags => Ours, cookie => "another"}, "app"),
        ?assertEqual(cookie, why(Node, Stranger)),
        {Green, _} = boot(Network#{flags => Ours}, "green"),
        Asked = node_name(Network, "app", call(Node, caravan_epmd, dist_port, [Green])),
        ?assertEqual({other_name, atom_to_binary(Green), not_connected}, why(Node, Asked))
    end) end)).

%% The client has completed the handshake and hears later that the server refuses it.
an_authority_that_the_other_side_does_not_know_is_seen_with_tls_1_3_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) -> caravan_test_directory:with(fun(Directory) ->
        [Ours, Theirs] = [tls_1_3_flags(filename:join(Directory, Name)) || Name <- ["ours", "theirs"]],
        {_, Node} = boot(Network#{flags => Ours}, "app"),
        {Other, _} = boot(Network#{flags => Theirs}, "app"),
        ?assertEqual({tls, unknown_ca, there}, why(Node, Other)),
        {Stranger, _} = boot(Network#{flags => Ours, cookie => "another"}, "app"),
        ?assertEqual(cookie, why(Node, Stranger))
    end) end)).

%% Servers of other protocols: one replies with an error, one waits for a line, one sends first, one hangs up, and one
%% announces a message of a node and never sends it.
another_server_is_no_node_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        [
            begin
                {Listener, Port} = listener(Behaviour),
                Other = node_name(Network, "other", Port),
                ?assertEqual({Behaviour, Reason(Port)}, {Behaviour, call(Node, caravan_diagnosis, why, [Other, 0])}),
                ok = stop(Listener)
            end
         || {Behaviour, Reason} <- [
                {[wait, <<"HTTP/1.1 400 Bad Request\r\n\r\n">>, close], fun no_node/1},
                {[wait_for_line, <<"HTTP/1.0 400 Bad Request\r\n\r\n">>, close], fun no_node/1},
                {[wait_for_line, close], fun no_node/1},
                {[wait, wait], fun(_Port) -> timeout end},
                {[<<"SSH-2.0-OpenSSH_9.2\r\n">>], fun no_node/1},
                {[close], fun no_node/1},
                {[wait, close], fun no_node/1},
                {[wait, <<0, 3, "sok", 0, 1, "N">>], fun no_node/1},
                {[wait, <<0, 3, "sok", 255, 255, "N">>], fun no_node/1},
                {[wait, <<0, 3, "sok", 0, 28, "N", 0:64, 0:32, 0:32, 9:16>>], fun(_Port) -> timeout end},
                {[wait, <<0, 3, "sok", 0, 22, "N", 0:64, 0:32, 0:32, 3:16, 27, "[m">>], fun no_node/1}
            ]
        ]
    end)).

no_node(Port) ->
    {no_node, {?LOOPBACK, Port}}.

a_node_that_allows_others_only_says_so_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        {Other, OtherNode} = boot(Network, "app"),
        ok = call(OtherNode, net_kernel, allow, [['somebody@n.test']]),
        ?assertEqual(not_allowed, why(Node, Other))
    end)).

%% The node that asks for a name does not tell its own.
a_node_that_allows_this_one_is_not_said_to_leave_it_out_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {Name, _} = {_, Node} = boot(Network, "app"),
        {Other, OtherNode} = boot(Network#{cookie => "another"}, "app"),
        ok = call(OtherNode, net_kernel, allow, [[Name]]),
        ?assertEqual(cookie, why(Node, Other))
    end)).

%% OTP logs an error for each attempt.
a_node_that_is_left_out_here_is_not_tried_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        Other = node_name(Network, "other", free_port()),
        ok = call(Node, net_kernel, allow, [['somebody@n.test']]),
        ?assertEqual(not_allowed_here, call(Node, caravan_diagnosis, beforehand, [Other])),
        ok = call(Node, net_kernel, allow, [[Other]]),
        ?assertEqual(ok, call(Node, caravan_diagnosis, beforehand, [Other]))
    end)).

%% OTP needs net_setuptime to find out that a node connects to itself, and logs an error.
a_name_of_this_nodes_own_listener_is_not_tried_test_() ->
    Flags = ["-kernel", "net_setuptime", "120"],
    ?NODES(with_network(#{host => "n.test", interface => any, flags => Flags}, fun(Network) ->
        {Name, Node} = boot(Network, "app"),
        Port = call(Node, caravan_epmd, dist_port, [Name]),
        ?assertEqual(this_node, call(Node, caravan_diagnosis, beforehand, [node_name(Network, "other", Port)])),
        %% Another address of this machine belongs to the same listener.
        Elsewhere = list_to_atom(lists:concat(["app-", Port, "@127.0.0.2"])),
        ?assertEqual(this_node, call(Node, caravan_diagnosis, beforehand, [Elsewhere])),
        ?assertEqual(ok, call(Node, caravan_diagnosis, beforehand, [node_name(Network, "other", free_port())])),
        ?assertEqual(ok, call(Node, caravan_diagnosis, beforehand, [list_to_atom(lists:concat(["app-", Port, "@192.0.2.1"]))]))
    end)).

%% With an interface of its own, another node may listen on the same port of another interface.
a_node_with_an_interface_of_its_own_has_neighbours_at_its_port_test_() ->
    Flags = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"],
    ?NODES(with_network(#{host => "n.test", flags => Flags}, fun(Network) ->
        {Name, Node} = boot(Network, "app"),
        Port = call(Node, caravan_epmd, dist_port, [Name]),
        ?assertEqual(this_node, call(Node, caravan_diagnosis, beforehand, [node_name(Network, "other", Port)])),
        ?assertEqual(ok, call(Node, caravan_diagnosis, beforehand, [list_to_atom(lists:concat(["app-", Port, "@127.0.0.2"]))]))
    end)).

%% A node accepts one of the connections that ask it under one name, and closes the others.
several_that_ask_at_once_get_the_answer_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        {Other, _} = boot(Network, "other"),
        Examine = fun() -> maps:get(result, caravan_diagnosis:examine(atom_to_binary(Other), challenge)) end,
        Refs = [caravan_test_node:async(Node, Examine) || _ <- lists:seq(1, 4)],
        ?assertEqual([reachable], lists:usort([receive {Ref, Result} -> Result end || Ref <- Refs]))
    end)).

%% The node's name is less than the word `caravan'.
several_that_finish_the_handshake_at_once_see_the_same_cookie_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {Name, Node} = boot(Network, "web"),
        {Other, _} = boot(Network, "app"),
        Method = caravan_diagnosis:whole_handshake(atom_to_binary(Name), call(Node, erlang, get_cookie, [])),
        Examine = fun() -> maps:get(result, caravan_diagnosis:examine(atom_to_binary(Other), Method)) end,
        Refs = [caravan_test_node:async(Node, Examine) || _ <- lists:seq(1, 30)],
        ?assertEqual([proven], lists:usort([receive {Ref, Result} -> Result end || Ref <- Refs]))
    end)).

%% Also with another socket option, and with a distribution that was started again without a port.
what_this_node_listened_on_before_is_anybodys_test_() ->
    Flags = ["-kernel", "inet_dist_listen_options", "[{ip,{127,0,0,2}}]"],
    ?NODES(with_network(#{host => "n.test", interface => any, flags => Flags}, fun(Network) ->
        {Name, Node} = boot(Network, "app"),
        Port = call(Node, caravan_epmd, dist_port, [Name]),
        On = fun(Host) -> list_to_atom(lists:concat(["other-", Port, "@", Host])) end,
        ?assertEqual(this_node, call(Node, caravan_diagnosis, beforehand, [On("127.0.0.2")])),
        ?assertEqual(ok, call(Node, caravan_diagnosis, beforehand, [On("127.0.0.3")])),
        ok = call(Node, caravan_listen, forget_actual_port, []),
        ?assertEqual(ok, call(Node, caravan_diagnosis, beforehand, [On("127.0.0.2")]))
    end)).

%% The whole handshake, as the doctor uses it.
a_finished_handshake_tells_the_cookie_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        {Other, OtherNode} = boot(Network, "other"),
        Examine = fun(Cookie) ->
            call(Node, caravan_diagnosis, examine, [atom_to_binary(Other), {prove, Cookie, <<"0-caravan-doctor@n.test">>}])
        end,
        Name = atom_to_binary(Other),
        ?assertMatch(#{node := Name, result := proven, name_there := Name, flags := _}, Examine(call(Node, erlang, get_cookie, []))),
        ?assertMatch(#{result := cookie}, Examine(wrong)),
        ?assertEqual([], call(OtherNode, erlang, nodes, [])),
        ?assertMatch(#{result := reachable}, call(Node, caravan_diagnosis, examine, [Name, challenge]))
    end)).

an_operator_asks_why_a_node_is_not_connected_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {Name, Node} = boot(Network, "app"),
        {Other, _} = boot(Network, "other"),
        {Stranger, _} = boot(Network#{cookie := "another"}, "stranger"),
        Why = fun(Asked) -> call(Node, caravan_cluster, why, [Asked]) end,
        Text = atom_to_binary(Other),
        Port = call(Node, caravan_epmd, dist_port, [Other]),
        ?assertEqual(
            #{
                node => Text, result => proven, address => ?LOOPBACK, port => Port, name_there => Text,
                explanation => "it answers under that name, and has the same cookie"
            },
            Why(Other)
        ),
        ?assertMatch(#{result := cookie, explanation := "the node there has that name" ++ _}, Why(atom_to_list(Stranger))),
        Absent = fun(Basename) -> atom_to_list(node_name(Network, "absent", free_port())) ++ Basename end,
        ?assertMatch(#{result := {unreachable, econnrefused, _}}, Why(Absent(""))),
        Before = call(Node, erlang, system_info, [atom_count]),
        ?assertMatch(#{result := no_address}, Why(Absent(".nowhere"))),
        ?assertEqual(Before, call(Node, erlang, system_info, [atom_count])),
        ?assertEqual(true, call(Node, net_kernel, connect_node, [Other])),
        ?assertMatch(#{result := connected}, Why(Other)),
        ?assertMatch(#{result := connected}, Why(Name)),
        [?assertMatch({error, {bad_option, node, _, _}}, Why(Bad)) || Bad <- [app, "no host", 7, <<"a@b@c">>, ""]]
    end)).

%% Accepts one connection after another and handles each in this way.
listener(Behaviour) ->
    {ok, Listen} = gen_tcp:listen(0, [{ip, ?LOOPBACK}, binary, {active, false}]),
    {ok, Port} = inet:port(Listen),
    Pid = spawn_link(fun() -> receive go -> accept(Listen, Behaviour) end end),
    ok = gen_tcp:controlling_process(Listen, Pid),
    Pid ! go,
    {Pid, Port}.

accept(Listen, Behaviour) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    lists:foreach(fun(Action) -> behave(Action, Socket) end, Behaviour),
    accept(Listen, Behaviour).

behave(wait, Socket) -> _ = gen_tcp:recv(Socket, 0), ok;
behave(wait_for_line, Socket) -> until_line(<<>>, Socket);
behave(close, Socket) -> gen_tcp:close(Socket);
behave(Octets, Socket) -> gen_tcp:send(Socket, Octets).

until_line(Octets, Socket) ->
    case binary:match(Octets, <<"\n">>) =:= nomatch andalso gen_tcp:recv(Socket, 0) of
        {ok, More} -> until_line(More, Socket);
        _LineOrEnd -> ok
    end.

stop(Listener) ->
    true = unlink(Listener),
    true = exit(Listener, kill),
    ok.

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

%% A node whose name is spelled in another way, and one with another basename.
another_name_is_said_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        Port = free_port(),
        {Other, OtherNode} = boot(Network#{host => "N.Test."}, node_name(Network#{host => "N.Test."}, "app", Port), []),
        ?assertEqual({other_name, atom_to_binary(Other), not_connected}, why(Node, node_name(Network, "app", Port))),
        ?assertEqual({other_name, atom_to_binary(Other), not_connected}, why(Node, node_name(Network, "green", Port))),
        ?assertMatch({exited, 0, _}, caravan_test_node:stop(OtherNode))
    end)).

%% An examination leaves no trace on the other node: no log line at any level, no atom, no connection; existing connections
%% stay.
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
            ?assert(lists:member({other_name, atom_to_binary(Other), connected}, Reasons)),
            ?assertEqual({other_name, atom_to_binary(Other), connected}, caravan_test_node:run(Node, Why)),
            ?assertEqual(Before, call(OtherNode, ?MODULE, traces, [])),
            ?assertEqual([A], call(OtherNode, erlang, nodes, [connected]))
        end)
    end)).

%% The log is a file. When net_kernel answers, it has handled the connections that were closed before.
traces() ->
    _ = sys:get_state(net_kernel),
    {ok, #{config := #{file := File}}} = logger:get_handler_config(default),
    ok = logger_std_h:filesync(default),
    {ok, Log} = file:read_file(File),
    {Log, erlang:system_info(atom_count), ets:info(sys_dist, size)}.

%% By the first atom of the reason.
the_table_of_reasons_has_the_doctors_causes_test_() ->
    {ok, Document} = file:read_file(caravan_test_directory:in_repository("docs/clusters.md")),
    Rows = [binary:split(Row, <<" | ">>, [global]) || <<"| `", _/binary>> = Row <- binary:split(Document, <<"\n">>, [global])],
    At = {?LOOPBACK, 4370},
    [
        {lists:flatten(io_lib:format("~0p", [Reason])), fun() ->
            [Causes] = [Causes || [Terms, Causes, _Meaning | _] <- Rows, re:run(Terms, ["`{?", first_atom(Reason), "[`,]"]) =/= nomatch],
            #{name := Cause} = caravan_cause:of_reason(Reason, <<"app-4370@127.0.0.1">>),
            ?assertMatch({match, _}, re:run(Causes, ["`", atom_to_list(Cause), "`"]))
        end}
     || Reason <- [
            no_address, {no_port, erl_epmd}, {unreachable, econnrefused, At}, {unreachable, etimedout, At}, cookie, tls_here, tls_there,
            {other_name, <<"web-4370@127.0.0.1">>, not_connected}, {other_name, <<"app-4370@127.0.0.1.">>, connected},
            {other_name, <<"web-4370@127.0.0.2">>, not_connected}, {no_node, At}, {tls, unknown_ca, here}, {tls, handshake_failure, there},
            not_allowed, not_allowed_here, handshake, this_node, needs_long_names, needs_short_names, timeout
        ]
    ].

first_atom(Reason) when is_tuple(Reason) -> atom_to_list(element(1, Reason));
first_atom(Reason) -> atom_to_list(Reason).

every_reason_has_words_test_() ->
    [
        ?_assert(is_list(unicode:characters_to_list(caravan_diagnosis:format(Reason))))
     || Reason <- [
            no_address, {no_port, erl_epmd}, {no_port, some_module}, {unreachable, econnrefused, {?LOOPBACK, 4370}},
            {unreachable, etimedout, {{0, 0, 0, 0, 0, 0, 0, 1}, 4370}}, {unreachable, filtered, filtered}, cookie,
            {other_name, <<"a@B">>, connected}, {other_name, <<"a@B">>, not_connected}, {other_name, filtered, filtered},
            {no_node, {?LOOPBACK, 80}}, {no_node, filtered}, tls_here, tls_there, not_allowed_here, {tls, unknown_ca, here}, {tls, unknown_ca, there},
            {tls, handshake_failure, here}, {tls, handshake_failure, there}, not_allowed, handshake, this_node, needs_long_names,
            needs_short_names, not_distributed, not_listed, lost_soon, timeout, connected, reachable, proven, {result, {a, "b"}},
            {raised, {error, x}}, filtered
        ]
    ].
