%% The test DNS server on the network: ports, connections, hanging, going away, garbage.
-module(caravan_dns_listener_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_dns_client, [ask/3, decode/1, open/2, query/2, query/3, reply/1, send/2]).

-define(LOCALHOST, {127, 0, 0, 1}).
-define(LOCALHOST6, {0, 0, 0, 0, 0, 0, 0, 1}).

udp_and_tcp_share_the_port_that_nameserver_names_test() ->
    with_server(#{}, fun(Server) ->
        Port = caravan_dns_server:port(Server),
        ?assertEqual("127.0.0.1:" ++ integer_to_list(Port), caravan_dns_server:nameserver(Server)),
        ?assertMatch(#{answer := [_]}, ask(udp, Server, query("n.test", a))),
        ?assertMatch(#{answer := [_]}, ask(tcp, Server, query("n.test", a)))
    end).

%% Containers often come without ::1.
ipv6_test_() ->
    case gen_udp:open(0, [inet6, {ip, ?LOCALHOST6}]) of
        {ok, Socket} ->
            gen_udp:close(Socket),
            fun serve_ipv6/0;
        {error, Reason} ->
            io:format(user, "skipped: IPv6 on loopback is ~p~n", [Reason]),
            []
    end.

serve_ipv6() ->
    with_server(#{ip => ?LOCALHOST6}, fun(Server) ->
        Port = integer_to_list(caravan_dns_server:port(Server)),
        ?assertEqual("[::1]:" ++ Port, caravan_dns_server:nameserver(Server)),
        [?assertEqual("127.0.0.1\n", os:cmd("dig @::1 +short +tries=1 n.test -p " ++ Port ++ Transport))
         || Transport <- [" +notcp", " +tcp"]]
    end).

%% A process of its own: it traps exits.
port_in_use_is_an_error_and_stop_frees_it_test_() ->
    {spawn, fun port_in_use_is_an_error_and_stop_frees_it/0}.

port_in_use_is_an_error_and_stop_frees_it() ->
    with_server(#{}, fun(Server) ->
        Port = caravan_dns_server:port(Server),
        process_flag(trap_exit, true),
        without_reports(fun() ->
            ?assertEqual({error, {tcp, Port, eaddrinuse}}, caravan_dns_server:start_link(#{port => Port})),
            ?assertEqual({error, {udp, Port, eaddrinuse}},
                         caravan_dns_server:start_link(#{port => Port, transports => [udp]}))
        end),
        ok = caravan_dns_server:stop(Server),
        {ok, Next} = caravan_dns_server:start_link(#{port => Port}),
        ?assertEqual(Port, caravan_dns_server:port(Next)),
        ok = caravan_dns_server:stop(Next)
    end).

transports_left_out_are_refused_test() ->
    with_server(#{transports => [udp]}, fun(Server) ->
        ?assertMatch(#{answer := [_]}, ask(udp, Server, query("n.test", a))),
        ?assertEqual({error, econnrefused}, connect(Server))
    end),
    with_server(#{transports => [tcp]}, fun(Server) ->
        ?assertMatch(#{answer := [_]}, ask(tcp, Server, query("n.test", a))),
        ?assertEqual({error, econnrefused}, ask(udp, Server, query("n.test", a)))
    end).

connection_serves_pipelined_queries_test() ->
    with_server(#{}, fun(Server) ->
        {tcp, Socket} = open(tcp, Server),
        Ids = lists:seq(1, 100),
        Queries = [query("n.test", a, #{id => Id}) || Id <- Ids],
        ok = inet:setopts(Socket, [{packet, raw}]),
        ok = gen_tcp:send(Socket, [<<(byte_size(Query)):16, Query/binary>> || Query <- Queries]),
        ok = inet:setopts(Socket, [{packet, 2}]),
        ?assertEqual(Ids, [id({tcp, Socket}) || _ <- Ids])
    end).

connections_are_served_side_by_side_test() ->
    with_server(#{}, fun(Server) ->
        Sockets = [{open(Transport, Server), Id} || Transport <- [udp, tcp], Id <- lists:seq(1, 50)],
        [ok = send(Socket, query("n.test", a, #{id => Id})) || {Socket, Id} <- Sockets],
        [?assertEqual(Id, id(Socket)) || {Socket, Id} <- Sockets]
    end).

paused_server_answers_nothing_until_resumed_test() ->
    with_server(#{}, fun(Server) ->
        Established = open(tcp, Server),
        ok = caravan_dns_server:pause(Server),
        Sockets = [Established, open(tcp, Server), open(udp, Server)],
        [ok = send(Socket, query("n.test", a, #{id => Id})) || Socket <- Sockets, Id <- [1, 2]],
        ?assertEqual({error, timeout}, caravan_dns_server:await_queries(Server, 1, 50)),
        [?assertEqual({error, timeout}, reply_within(Socket, 0)) || Socket <- Sockets],
        ok = caravan_dns_server:resume(Server),
        [?assertEqual([1, 2], [id(Socket), id(Socket)]) || Socket <- Sockets],
        ?assertEqual(6, caravan_dns_server:count(Server))
    end).

delayed_reply_waits_for_the_end_of_a_pause_test() ->
    with_server(#{}, fun(Server) ->
        caravan_dns_server:put(Server, "late.test", a, {delay, 250, []}),
        Socket = open(udp, Server),
        ok = send(Socket, query("late.test", a)),
        ok = caravan_dns_server:await_queries(Server, 1, 5000),
        ok = caravan_dns_server:pause(Server),
        ?assertEqual({error, timeout}, reply_within(Socket, 300)),
        ok = caravan_dns_server:resume(Server),
        ?assertEqual(1, id(Socket))
    end).

closed_sockets_refuse_and_reopen_on_the_same_port_test() ->
    with_server(#{}, fun(Server) ->
        Port = caravan_dns_server:port(Server),
        Established = open(tcp, Server),
        ok = send(Established, query("n.test", a, #{id => 1})),
        ?assertEqual(1, id(Established)),
        ok = caravan_dns_server:close_sockets(Server),
        ?assertEqual({error, closed}, reply(Established)),
        ?assertEqual({error, econnrefused}, connect(Server)),
        ?assertEqual({error, econnrefused}, ask(udp, Server, query("n.test", a))),
        ok = caravan_dns_server:reopen(Server),
        ok = caravan_dns_server:reopen(Server),
        ?assertEqual(Port, caravan_dns_server:port(Server)),
        ?assertMatch(#{answer := [_]}, ask(udp, Server, query("n.test", a))),
        ?assertMatch(#{answer := [_]}, ask(tcp, Server, query("n.test", a))),
        ?assertEqual(3, caravan_dns_server:count(Server))
    end).

%% A process of its own: it traps exits.
server_stops_when_a_function_of_the_table_fails_test_() ->
    {spawn, fun server_stops_when_a_function_of_the_table_fails/0}.

server_stops_when_a_function_of_the_table_fails() ->
    process_flag(trap_exit, true),
    {ok, Server} = caravan_dns_server:start_link(#{}),
    caravan_dns_server:put(Server, "bad.test", a, fun(_, _) -> exit(on_purpose) end),
    Socket = open(udp, Server),
    without_reports(fun() ->
        ok = send(Socket, query("bad.test", a)),
        receive {'EXIT', Server, Reason} -> ?assertEqual(on_purpose, Reason) end
    end).

malformed_queries_get_formerr_or_nothing_test() ->
    with_server(#{}, fun(Server) ->
        <<Id:16, Flags:16, _:64, Question/binary>> = Query = query("n.test", a, #{id => 5}),
        TwoQuestions = <<Id:16, Flags:16, 2:16, 0:48, Question/binary, Question/binary>>,
        CompressionLoop = <<Id:16, Flags:16, 1:16, 0:48, 3:2, 12:14, 1:16, 1:16>>,
        %% Points at the header's last byte, a zero: the root.
        CompressedQuestion = <<Id:16, Flags:16, 1:16, 0:48, 3:2, 11:14, 1:16, 1:16>>,
        Label = <<63, (binary:copy(<<"a">>, 63))/binary>>,
        LongName = <<Id:16, Flags:16, 1:16, 0:48, (binary:copy(Label, 4))/binary, 0, 1:16, 1:16>>,
        Truncated = <<Id:16, 0:6, 1:1, 0:9, 1:16, 0:48>>,
        TrailingBytes = <<Query/binary, "more">>,
        [?assertMatch(#{id := 5, rcode := 1, question := []}, ask(Transport, Server, Bytes))
         || Bytes <- [TwoQuestions, CompressionLoop, CompressedQuestion, LongName, Truncated, TrailingBytes],
            Transport <- [udp, tcp]],
        StatusQuery = <<Id:16, 0:1, 2:4, 0:11, 1:16, 0:48, Question/binary>>,
        ?assertMatch(#{rcode := 4}, ask(udp, Server, StatusQuery)),
        Response = <<Id:16, 1:1, 0:15, 1:16, 0:48, Question/binary>>,
        [begin
             Socket = open(Transport, Server),
             [ok = send(Socket, Bytes) || Bytes <- [Response, <<>>, <<1>>, <<Id:16, Flags:16, 1:16>>]],
             ok = send(Socket, query("n.test", a, #{id => 6})),
             ?assertEqual(6, id(Socket))
         end
         || Transport <- [udp, tcp]],
        ?assertEqual(2, caravan_dns_server:count(Server))
    end).

label_with_an_escaped_dot_at_its_end_is_a_query_like_others_test() ->
    with_server(#{}, fun(Server) ->
        ?assertMatch(#{rcode := 3, question := [{"n.test\\.", a}]}, ask(udp, Server, query("n.test\\.", a))),
        ?assertMatch([#{name := "n.test\\."}], caravan_dns_server:queries(Server))
    end).

server_survives_random_bytes_test_() ->
    {timeout, 60, fun random_bytes/0}.

random_bytes() ->
    with_server(#{}, fun(Server) ->
        Query = query("n.test", a, #{id => 9, edns_size => 1232}),
        Sockets = [open(udp, Server), open(tcp, Server)],
        lists:foldl(fun(Id, Random) ->
                            {Damaged, Next} = damaged(Query, Random),
                            [ok = served_after(Damaged, Id, Socket) || Socket <- Sockets],
                            Next
                    end,
                    rand:seed_s(exsss, 1035),
                    lists:seq(10001, 15000))
    end).

%% Helpers

with_server(Options, Test) ->
    {ok, Server} = caravan_dns_server:start_link(Options),
    ok = caravan_dns_server:put(Server, "n.test", a, [{a, 30, ?LOCALHOST}]),
    try
        Test(Server)
    after
        is_process_alive(Server) andalso caravan_dns_server:stop(Server)
    end.

connect(Server) ->
    gen_tcp:connect(?LOCALHOST, caravan_dns_server:port(Server), [], 5000).

id(Socket) ->
    {ok, Bytes} = reply(Socket),
    maps:get(id, decode(Bytes)).

reply_within({udp, Socket}, Milliseconds) -> gen_udp:recv(Socket, 0, Milliseconds);
reply_within({tcp, Socket}, Milliseconds) -> gen_tcp:recv(Socket, 0, Milliseconds).

%% A query with one to four bytes overwritten, cut off somewhere in half of the cases.
damaged(Query, Random0) ->
    {Count, Random1} = rand:uniform_s(4, Random0),
    {Damaged, Random2} = lists:foldl(fun(_, {Bytes, State}) -> overwritten(Bytes, State) end,
                                     {Query, Random1},
                                     lists:seq(1, Count)),
    {Size, Random3} = rand:uniform_s(2 * byte_size(Query), Random2),
    {binary:part(Damaged, 0, min(Size, byte_size(Query))), Random3}.

overwritten(Bytes, Random0) ->
    {Position, Random1} = rand:uniform_s(byte_size(Bytes), Random0),
    {Byte, Random2} = rand:uniform_s(256, Random1),
    <<Before:(Position - 1)/binary, _, After/binary>> = Bytes,
    {<<Before/binary, (Byte - 1), After/binary>>, Random2}.

%% Sends damaged bytes and then a query; its answer shows that the server has handled both.
served_after(Damaged, Id, Socket) ->
    ok = send(Socket, Damaged),
    ok = send(Socket, query("n.test", a, #{id => Id})),
    read_until_answer(Id, Socket).

read_until_answer(Id, Socket) ->
    case reply(Socket) of
        {ok, <<Id:16, _Flags:16, 1:16, 1:16, _/binary>>} -> ok;
        {ok, _} -> read_until_answer(Id, Socket)
    end.

without_reports(Test) ->
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, none),
    try
        Test()
    after
        logger:set_primary_config(level, Level)
    end.
