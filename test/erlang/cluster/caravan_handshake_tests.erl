%% What other servers than nodes answer when a node asks for their name, and what nodes answer that refuse.
-module(caravan_handshake_tests).

-include_lib("eunit/include/eunit.hrl").

-define(CHALLENGE(Name), <<$N, 0:64, 7:32, 0:32, (byte_size(Name)):16, Name/binary>>).

answers_test_() ->
    [{lists:flatten(io_lib:format("~0p", [Said])), ?_assertEqual(Expected, ask(Said))}
     || {Expected, Said} <- [
            {{ok, #{name => <<"a@b">>, flags => 0, challenge => 7}}, [message(<<"sok">>), message(?CHALLENGE(<<"a@b">>))]},
            {{ok, #{name => <<"a@b">>, flags => 0, challenge => 7}}, [message(<<"sok_simultaneous">>), message(?CHALLENGE(<<"a@b">>))]},
            {not_allowed, [message(<<"snot_allowed">>)]},
            {busy, [message(<<"snok">>)]},
            {busy, [message(<<"salive">>)]},
            {no_node, [message(<<"swhat">>)]},
            {no_node, [message(<<"sok">>), message(<<"Nonsense">>)]},
            {no_node, [message(<<"sok">>), message(?CHALLENGE(<<>>))]},
            {no_node, [message(<<"sok">>), message(?CHALLENGE(<<"a b">>))]},
            {no_node, [message(<<"sok">>), message(?CHALLENGE(<<"\e[2J">>))]},
            {no_node, [message(<<"sok">>), message(?CHALLENGE(<<255, 254>>))]},
            {no_node, [message(<<"sok">>), message(?CHALLENGE(<<"a@b", 16#202E/utf8, "c">>))]},
            {closed, [message(<<"sok">>)]},
            {closed, [<<9:16, "so">>]},
            {closed, []},
            {no_node, [<<"HTTP/1.1 400 Bad Request\r\n">>]},
            {speaks_tls, [<<21, 3, 3, 2:16, 2, 10>>]}
        ]].

%% A line-based server is silent until it gets a line. Then it answers, hangs up, or stays silent.
servers_that_wait_for_a_line_test_() ->
    [?_assertEqual(Expected, with_server(AfterLine, fun(Connection) -> caravan_handshake:ask(Connection, <<"x@y">>, deadline(500)) end))
     || {Expected, AfterLine} <- [
            {timeout, fun(Socket) -> ok = await_line(Socket), ok = gen_tcp:send(Socket, message(<<"sok">>)), wait(Socket) end},
            {no_node, fun(Socket) -> ok = await_line(Socket), ok = gen_tcp:send(Socket, "500 what?\r\n"), wait(Socket) end},
            {no_node, fun(Socket) -> ok = await_line(Socket) end},
            {timeout, fun(Socket) -> wait(Socket) end}
        ]].

proofs_test_() ->
    Introduction = #{name => <<"a@b">>, flags => 0, challenge => 7},
    Prove = fun(Connection) -> caravan_handshake:prove(Connection, Introduction, secret, deadline(10000)) end,
    [?_assertEqual(Expected, with_server(Answer, Prove))
     || {Expected, Answer} <- [
            {ok, fun(Socket) -> proof(Socket, <<"secret">>) end},
            {no_node, fun(Socket) -> proof(Socket, <<"another">>) end},
            {closed, fun(Socket) -> {ok, _} = gen_tcp:recv(Socket, 23) end}
        ]].

proof(Socket, Cookie) ->
    {ok, <<21:16, $r, Ours:32, _/binary>>} = gen_tcp:recv(Socket, 23),
    ok = gen_tcp:send(Socket, message(<<$a, (erlang:md5([Cookie, integer_to_list(Ours)]))/binary>>)),
    wait(Socket).

a_connection_that_is_closed_test() ->
    with_server(fun wait/1, fun({tcp, Socket} = Connection) ->
        ok = gen_tcp:close(Socket),
        ?assertEqual(closed, caravan_handshake:ask(Connection, <<"x@y">>, deadline(10000))),
        ?assertEqual(closed, caravan_handshake:prove(Connection, #{name => <<"a@b">>, flags => 0, challenge => 7}, secret, deadline(10000)))
    end).

message(Text) -> <<(byte_size(Text)):16, Text/binary>>.

deadline(Milliseconds) -> erlang:monotonic_time(millisecond) + Milliseconds.

%% A server that sends this and then waits for the end. One that has sent nothing, or a part, hangs up.
ask(Said) ->
    Answer = fun(Socket) ->
        {ok, <<Size:16>>} = gen_tcp:recv(Socket, 2),
        {ok, _} = gen_tcp:recv(Socket, Size),
        ok = gen_tcp:send(Socket, Said)
    end,
    with_server(Answer, fun(Connection) -> caravan_handshake:ask(Connection, <<"x@y">>, deadline(10000)) end).

with_server(Answer, Test) ->
    {ok, Listen} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Listen),
    {Server, Monitor} = spawn_monitor(fun() ->
        {ok, Socket} = gen_tcp:accept(Listen),
        Answer(Socket),
        ok = gen_tcp:close(Socket)
    end),
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    Result = Test({tcp, Socket}),
    ok = gen_tcp:close(Socket),
    receive {'DOWN', Monitor, process, Server, Reason} -> ?assertEqual(normal, Reason) end,
    ok = gen_tcp:close(Listen),
    Result.

await_line(Socket) ->
    {ok, Octets} = gen_tcp:recv(Socket, 0),
    case binary:match(Octets, <<"\r\n">>) of
        nomatch -> await_line(Socket);
        _ -> ok
    end.

wait(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, _} -> wait(Socket);
        {error, _} -> ok
    end.
