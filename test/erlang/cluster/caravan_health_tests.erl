%% The responses to probes over HTTP, and what hostile probes cost.
-module(caravan_health_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_log, [next_report/1, with_reports/2]).
-import(caravan_test_topology, [put_nodes/2]).

-define(GUARD_MS, 30000).
-define(LOOPBACK, {127, 0, 0, 1}).

%% Requests

requests_test_() ->
    [
        {lists:flatten(io_lib:format("~0p", [binary:part(Octets, 0, min(60, byte_size(Octets)))])), ?_assertEqual(Request, caravan_health_http:request(Octets))}
     || {Octets, Request} <- [
            {<<"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n">>, {ok, get, <<"/ready">>}},
            {<<"HEAD /live HTTP/1.0\r\n\r\n">>, {ok, head, <<"/live">>}},
            {<<"GET /ready?verbose=1 HTTP/1.1\r\n\r\n">>, {ok, get, <<"/ready">>}},
            {<<"GET http://a:4380/ready HTTP/1.1\r\n\r\n">>, {ok, get, <<"/ready">>}},
            {<<"GET http://a:4380 HTTP/1.1\r\n\r\n">>, {ok, get, <<"/">>}},
            {<<"GET /live HTTP/1.1\n\n">>, {ok, get, <<"/live">>}},
            {<<"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n">>, {ok, get, <<"/a">>}},
            {<<>>, more},
            {<<"GE">>, more},
            {<<"GET /live HTTP/1.1\r\n">>, more},
            {<<"GET /live HTTP/1.1\r\nHost: a\r\n">>, more},
            {<<"POST /live HTTP/1.1\r\n\r\n">>, {error, 405}},
            {<<"OPTIONS * HTTP/1.1\r\n\r\n">>, {error, 405}},
            {<<"VERSION-CONTROL / HTTP/1.1\r\n\r\n">>, {error, 405}},
            {<<"GET /live\r\n\r\n">>, {error, 400}},
            {<<"GET /live HTTP/2.0\r\n\r\n">>, {error, 400}},
            {<<"GET  /live HTTP/1.1\r\n\r\n">>, {error, 400}},
            {<<"GET live HTTP/1.1\r\n\r\n">>, {error, 400}},
            {<<"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n">>, {error, 400}},
            %% A TLS ClientHello, and a request without an end.
            {<<22, 3, 1, 0, 200>>, {error, 400}},
            {<<"\r\n">>, {error, 400}},
            {<<"get / HTTP/1.1\r\n\r\n">>, {error, 400}},
            {binary:copy(<<"A">>, 20), more},
            {binary:copy(<<"A">>, 21), {error, 400}},
            {<<"GET / HTTP/1.1\r\nA: ", (binary:copy(<<"a">>, 8000))/binary>>, more},
            {<<"GET / HTTP/1.1\r\nA: ", (binary:copy(<<"a">>, 8192))/binary>>, {error, 431}}
        ]
    ].

an_answer_to_head_has_the_headers_alone_test() ->
    Answer = {200, <<"text/plain">>, <<"ok\n">>},
    Get = iolist_to_binary(caravan_health_http:response(get, Answer)),
    Head = iolist_to_binary(caravan_health_http:response(head, Answer)),
    ?assertEqual(<<Head/binary, "ok\n">>, Get),
    ?assertNotEqual(nomatch, binary:match(Head, <<"Content-Length: 3\r\n">>)).

%% The listener

listener_test_() ->
    {foreach, fun start/0, fun stop/1, [
        named(Test)
     || Test <- [
            fun a_node_without_topologies_lives_and_is_not_ready/1,
            fun a_topology_that_is_not_to_be_started_makes_no_node_unready/1,
            fun a_topology_that_cannot_be_started_makes_the_node_unready/1,
            fun what_is_not_there_is_said/1,
            fun a_request_may_come_in_pieces/1,
            fun who_sends_too_slowly_is_answered_in_time/1,
            fun who_sends_too_much_gets_an_answer/1,
            fun who_has_closed_a_half_gets_an_answer/1,
            fun who_only_connects_costs_nothing/1,
            fun two_hundred_at_once_are_answered/1,
            fun those_who_say_nothing_keep_nobody_out_for_long/1,
            fun garbage_is_answered_and_makes_no_atoms/1,
            fun a_listener_that_crashes_is_started_again/1,
            fun a_listener_moves_with_the_configuration/1
        ]
    ]}.

named(Test) ->
    {name, Name} = erlang:fun_info(Test, name),
    fun(Port) -> {atom_to_list(Name), {timeout, 60, fun() -> Test(Port) end}} end.

start() ->
    Port = caravan_test_network:free_port(),
    ok = configure(#{port => Port}),
    with_reports(notice, fun() ->
        {ok, _} = application:ensure_all_started(caravan),
        #{port := Port, ip := ?LOOPBACK} = next_report(health_listening)
    end),
    Port.

configure(Health) ->
    _ = application:load(caravan),
    application:set_env(caravan, health, Health).

stop(_Port) ->
    ok = application:stop(caravan),
    ok = application:unset_env(caravan, topologies),
    ok = application:unset_env(caravan, health).

connect(Port) ->
    {ok, Socket} = gen_tcp:connect(?LOOPBACK, Port, [binary, {active, false}], ?GUARD_MS),
    Socket.

%% The status, the headers and the body.
get(Port, Path) -> request(Port, ["GET ", Path, " HTTP/1.1\r\nHost: localhost\r\n\r\n"]).

request(Port, Octets) ->
    Socket = connect(Port),
    ok = gen_tcp:send(Socket, Octets),
    answer(Socket).

answer(Socket) ->
    Answer = read_all(Socket, <<>>),
    ok = gen_tcp:close(Socket),
    [Head, Body] = binary:split(Answer, <<"\r\n\r\n">>),
    <<"HTTP/1.1 ", Status:3/binary, " ", _/binary>> = Head,
    {binary_to_integer(Status), Head, Body}.

read_all(Socket, Read) ->
    case gen_tcp:recv(Socket, 0, ?GUARD_MS) of
        {ok, More} -> read_all(Socket, <<Read/binary, More/binary>>);
        {error, closed} -> Read
    end.

code({Status, _Head, _Body}) -> Status.

a_node_without_topologies_lives_and_is_not_ready(Port) ->
    ?assertMatch({200, _, <<"ok\n">>}, get(Port, "/live")),
    ?assertMatch({503, _, <<"not ready\nno topology runs\n">>}, get(Port, "/ready")),
    {200, Head, Body} = get(Port, "/status"),
    ?assertEqual(<<"{\"health\":\"not_ready\",\"node\":\"", (atom_to_binary(node()))/binary, "\",\"topologies\":{}}\n">>, Body),
    [
        ?assertNotEqual({Header, nomatch}, {Header, binary:match(Head, Header)})
     || Header <- [<<"Content-Type: application/json">>, <<"Connection: close">>, <<"Cache-Control: no-store">>]
    ].

a_topology_that_is_not_to_be_started_makes_no_node_unready(Port) ->
    ok = application:set_env(caravan, topologies, [{app, [{query, nil}]}]),
    ?assertMatch({200, _, <<"ok\n", _/binary>>}, get(Port, "/ready")),
    ok = application:unset_env(caravan, topologies),
    ?assertEqual(503, code(get(Port, "/ready"))),
    %% Under a user's supervisor.
    ignore = caravan_cluster:start_link(#{name => app, query => nil}),
    ?assertEqual(200, code(get(Port, "/ready"))).

a_topology_that_cannot_be_started_makes_the_node_unready(Port) ->
    ok = application:set_env(caravan, topologies, [{app, [{query, "app.test"}, {poll_interval, soon}]}]),
    ?assertMatch({503, _, <<"not ready\napp: not ready: no such topology runs\n">>}, get(Port, "/ready")),
    ?assertMatch({_, {match, _}}, {Port, re:run(element(3, get(Port, "/status")), "\"app\":{\"health\":\"not_ready\"")}).

what_is_not_there_is_said(Port) ->
    ?assertEqual(404, code(get(Port, "/"))),
    ?assertEqual(404, code(get(Port, "/ready/"))),
    ?assertEqual(404, code(get(Port, "/READY"))),
    ?assertMatch({200, _, <<>>}, request(Port, "HEAD /live HTTP/1.1\r\n\r\n")),
    {405, Head, _} = request(Port, "POST /ready HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"),
    ?assertNotEqual(nomatch, binary:match(Head, <<"\r\nAllow: GET, HEAD">>)),
    ?assertEqual(400, code(request(Port, <<22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3>>))).

a_request_may_come_in_pieces(Port) ->
    Socket = connect(Port),
    ok = inet:setopts(Socket, [{nodelay, true}]),
    [ok = gen_tcp:send(Socket, <<Octet>>) || <<Octet>> <= <<"GET /live HTTP/1.1\r\nHost: a\r\n\r\n">>],
    ?assertEqual(200, code(answer(Socket))).

%% Sends one octet after another without an end.
who_sends_too_slowly_is_answered_in_time(Port) ->
    Socket = connect(Port),
    ok = gen_tcp:send(Socket, "GET /live HTTP/1.1\r\n"),
    Slow = spawn_link(fun() -> drip(Socket) end),
    ?assertEqual(408, code(answer(Socket))),
    unlink(Slow),
    exit(Slow, kill).

drip(Socket) ->
    case gen_tcp:send(Socket, "a") of
        ok -> receive after 100 -> drip(Socket) end;
        {error, _} -> ok
    end.

%% The rest of the request is read for a while, so that the client gets the response and no reset.
who_sends_too_much_gets_an_answer(Port) ->
    ?assertEqual(431, code(request(Port, ["GET / HTTP/1.1\r\n", [["A: ", integer_to_list(N), "\r\n"] || N <- lists:seq(1, 4000)]]))).

who_has_closed_a_half_gets_an_answer(Port) ->
    [
        begin
            Socket = connect(Port),
            ok = gen_tcp:send(Socket, Octets),
            ok = gen_tcp:shutdown(Socket, write),
            ?assertEqual(Status, code(answer(Socket)))
        end
     || {Octets, Status} <- [{"GET /live HTTP/1.1\r\n\r\n", 200}, {"GET /live HTTP/1.1\r\n", 400}]
    ].

who_only_connects_costs_nothing(Port) ->
    [ok = gen_tcp:close(connect(Port)) || _ <- lists:seq(1, 100)],
    ?assertEqual(200, code(get(Port, "/live"))).

two_hundred_at_once_are_answered(Port) ->
    %% Each sends at once, because the time for a request begins with the connection.
    Sockets = [
        begin
            Socket = connect(Port),
            ok = gen_tcp:send(Socket, "GET /live HTTP/1.1\r\n\r\n"),
            Socket
        end
     || _ <- lists:seq(1, 200)
    ],
    ?assertEqual([200], lists:usort([code(answer(Socket)) || Socket <- Sockets])).

%% One connection more than may be open: the oldest one is closed.
those_who_say_nothing_keep_nobody_out_for_long(Port) ->
    Sockets = [connect(Port) || _ <- lists:seq(1, 32)],
    ?assertEqual(200, code(get(Port, "/live"))),
    {Ended, Answered} = lists:partition(fun(Answer) -> Answer =:= <<>> end, [read_all(Socket, <<>>) || Socket <- Sockets]),
    ?assertEqual({[<<>>], 31}, {Ended, length([timeout || <<"HTTP/1.1 408 ", _/binary>> <- Answered])}).

garbage_is_answered_and_makes_no_atoms(Port) ->
    _ = get(Port, "/ready"),
    _ = garbage(Port, rand:seed_s(exsss, 1)),
    Atoms = erlang:system_info(atom_count),
    with_reports(warning, fun() ->
        _ = lists:foldl(fun(_, Random) -> garbage(Port, Random) end, rand:seed_s(exsss, 2), lists:seq(1, 200)),
        ?assertEqual(200, code(get(Port, "/live"))),
        receive
            Report -> error(Report)
        after 0 -> ok
        end
    end),
    ?assertEqual(Atoms, erlang:system_info(atom_count)).

garbage(Port, Random0) ->
    {Octets, Random1} = octets(Random0),
    {Begin, Random2} = rand:uniform_s(4, Random1),
    Request = [element(Begin, {"", "GET /", "GET /ready HTTP/1.1\r\n", "XYZ-METHOD /"}), Octets, "\r\n\r\n"],
    Socket = connect(Port),
    _ = gen_tcp:send(Socket, Request),
    _ = gen_tcp:shutdown(Socket, write),
    {Status, _, _} = answer(Socket),
    ?assert(lists:member(Status, [200, 400, 404, 405, 431, 503])),
    Random2.

octets(Random0) ->
    {Size, Random1} = rand:uniform_s(300, Random0),
    lists:mapfoldl(fun(_, Random) -> {Octet, Next} = rand:uniform_s(256, Random), {Octet - 1, Next} end, Random1, lists:seq(1, Size)).

a_listener_that_crashes_is_started_again(Port) ->
    Health = whereis(caravan_health),
    {links, Links} = process_info(Health, links),
    [Listener] = Links -- [whereis(caravan_sup)],
    with_reports(notice, fun() ->
        true = exit(Listener, kill),
        ?assertMatch(#{reason := killed, port := Port}, next_report(health_crashed)),
        ?assertMatch(#{port := Port}, next_report(health_listening))
    end),
    ?assertEqual(Health, whereis(caravan_health)),
    ?assertEqual(200, code(get(Port, "/live"))).

a_listener_moves_with_the_configuration(Port) ->
    Other = caravan_test_network:free_port(),
    Reload = fun(Health) -> ok = configure(Health), ok = caravan_app:config_change([{health, Health}], [], []) end,
    with_reports(notice, fun() ->
        Reload([{port, Other}, {ip, "127.0.0.1"}]),
        #{port := Other} = next_report(health_listening),
        ?assertEqual(200, code(get(Other, "/live"))),
        ?assertEqual({error, econnrefused}, gen_tcp:connect(?LOOPBACK, Port, [])),
        %% A value that is not allowed leaves the listener where it is.
        Reload([{port, 0}]),
        ?assertMatch(#{error := {bad_option, {health, environment}, [{port, 0}], _}}, next_report(bad_value)),
        ?assertEqual(200, code(get(Other, "/live"))),
        Reload(none),
        {error, unknown_request} = gen_server:call(caravan_health, settled),
        ?assertEqual({error, econnrefused}, gen_tcp:connect(?LOOPBACK, Other, []))
    end).

%% The application

it_is_off_by_default_test() ->
    {ok, _} = application:ensure_all_started(caravan),
    {error, unknown_request} = gen_server:call(caravan_health, settled),
    ?assertEqual({links, [whereis(caravan_sup)]}, process_info(whereis(caravan_health), links)),
    ok = application:stop(caravan).

a_busy_port_ends_nothing_and_is_tried_again_test_() ->
    {timeout, 60, fun() ->
        {ok, Holder} = gen_tcp:listen(0, [{ip, ?LOOPBACK}]),
        {ok, Port} = inet:port(Holder),
        ok = configure(#{port => Port, ip => ?LOOPBACK}),
        with_reports(notice, fun() ->
            {ok, _} = application:ensure_all_started(caravan),
            Report = next_report(health_not_listening),
            ?assertMatch(#{port := Port, reason := eaddrinuse, holder := _}, Report),
            ok = caravan_test_log:assert_line(caravan_health, Report, [Port, "127.0.0.1", "health"]),
            %% The fault is not logged again while it persists.
            {error, unknown_request} = gen_server:call(caravan_health, settled),
            ok = caravan_test_log:assert_no_report(health_not_listening),
            ok = gen_tcp:close(Holder),
            ?assertMatch(#{port := Port}, next_report(health_listening)),
            ?assertEqual(200, code(get(Port, "/live")))
        end),
        stop(Port)
    end}.

every_event_has_a_line_test_() ->
    At = #{ip => {0, 0, 0, 0, 0, 0, 0, 1}, port => 4380},
    [
        {atom_to_list(Event), fun() ->
            ok = caravan_test_log:assert_line(caravan_health, maps:merge(At#{event => Event}, Facts), ["::1", 4380 | Named])
        end}
     || {Event, Facts, Named} <- [
            {health_listening, #{}, []},
            {health_not_listening, #{reason => eacces}, [eacces]},
            {health_not_listening, #{reason => eaddrinuse, holder => {ok, #{os_pid => "12", command => "nginx"}}}, ["nginx", "12"]},
            {health_crashed, #{reason => killed}, [killed]}
        ]
    ] ++ [?_assertMatch({"caravan" ++ _, [_]}, caravan_health:format(#{event => health_listening})),
          ?_assertEqual("caravan: the health of this node is told at nonsense port 1 (health)", lists:flatten(told(nonsense))),
          ?_assertEqual("caravan: the health of this node is told at ::1 port 1 (health)", lists:flatten(told({0, 0, 0, 0, 0, 0, 0, 1})))].

told(Ip) ->
    {Format, Arguments} = caravan_health:format(#{event => health_listening, ip => Ip, port => 1}),
    io_lib:format(Format, Arguments).

what_is_unknown_crashes_nothing_test() ->
    {ok, Pid} = caravan_health:start_link(),
    ok = gen_server:cast(Pid, unknown),
    Pid ! unknown,
    ?assertEqual({error, unknown_request}, gen_server:call(Pid, unknown)),
    ok = gen_server:stop(Pid).

bad_values_test_() ->
    [
        {lists:flatten(io_lib:format("~0p", [Value])),
            ?_assertMatch({error, {bad_option, health, Value, [_ | _]}}, caravan_option:check(health, Value, caravan_option:health()))}
     || Value <- [
            5, [], off, #{}, [{port, 0}], [{port, 65536}], [{port, "4380"}], [{port, 1}, {port, 2}], [{port, 4380}, {ip, "localhost"}],
            [{port, 4380}, {ip, {1, 2, 3}}], [{port, 4380}, {ip, any}], [{port, 4380}, {address, "0.0.0.0"}]
        ]
    ].

good_values_test_() ->
    [
        {lists:flatten(io_lib:format("~0p", [Value])),
            ?_assertEqual({ok, Checked}, caravan_option:check(health, Value, caravan_option:health()))}
     || {Value, Checked} <- [
            {none, none},
            {[{port, 4380}], #{port => 4380, ip => ?LOOPBACK}},
            {#{port => 4380, ip => <<"0.0.0.0">>}, #{port => 4380, ip => {0, 0, 0, 0}}},
            {#{port => 4380, ip => "::"}, #{port => 4380, ip => {0, 0, 0, 0, 0, 0, 0, 0}}},
            {#{port => 4380, ip => {0, 0, 0, 0}}, #{port => 4380, ip => {0, 0, 0, 0}}}
        ]
    ].

%% Topologies

topologies_test_() ->
    caravan_dns_fixture:tests([
        fun all_topologies_have_to_be_ready/1,
        fun a_busy_topology_keeps_no_probe_waiting/1,
        fun a_crashed_topology_is_told_of/1
    ]).

options(Server, Name, Overrides) ->
    Options = maps:merge(caravan_test_topology:options(Server), caravan_test_peers:options(caravan_test_peers:new())),
    maps:merge(Options#{name => Name}, Overrides).

response(Path) ->
    {Status, _ContentType, Body} = caravan_health:response(Path),
    {Status, Body}.

all_topologies_have_to_be_ready(Server) ->
    put_nodes(Server, [4371]),
    {ok, _} = caravan_cluster:start(options(Server, one, #{})),
    {ok, _} = caravan_cluster:await(one, 1, ?GUARD_MS),
    {200, Degraded} = response(<<"/ready">>),
    ?assertEqual("degraded\none: degraded: DNS does not list this node\n", unicode:characters_to_list(Degraded)),
    {ok, _} = caravan_cluster:start(options(Server, two, #{expect => 2})),
    {ok, _} = caravan_cluster:await(two, 1, ?GUARD_MS),
    {503, Body} = response(<<"/ready">>),
    ?assertMatch(
        [<<"not ready">>, <<"one: degraded: ", _/binary>>, <<"two: not ready: 1 other node is connected and 2 are expected", _/binary>>],
        binary:split(Body, <<"\n">>, [global, trim])
    ),
    {200, Json} = response(<<"/status">>),
    [
        ?assertNotEqual({nomatch, Part, Json}, {binary:match(Json, Part), Part, Json})
     || Part <- [
            <<"{\"health\":\"not_ready\",\"node\":">>,
            <<"\"facts\":{\"connected\":1,\"expected\":2},\"reason\":\"too_few_nodes\"">>,
            <<"\"wanted\":[\"app-4371@n.test\"]">>,
            <<"\"last_lookup\":{\"outcome\":\"fresh\"}">>,
            <<"\"source\":\"caller\"">>
        ]
    ],
    [ok = caravan_cluster:stop(Name) || Name <- [one, two]].

%% The timeouts of several topologies run at the same time.
a_busy_topology_keeps_no_probe_waiting(Server) ->
    put_nodes(Server, [4371]),
    Names = [one, two, three],
    Pids = [begin {ok, Pid} = caravan_cluster:start(options(Server, Name, #{})), Pid end || Name <- Names],
    [{ok, _} = caravan_cluster:await(Name, ready, ?GUARD_MS) || Name <- Names],
    [ok = sys:suspend(Pid) || Pid <- Pids],
    ?assertEqual(
        {200, <<"degraded\none: degraded: the topology does not answer\nthree: degraded: the topology does not answer\n"
            "two: degraded: the topology does not answer\n">>},
        response(<<"/ready">>)
    ),
    {200, Json} = response(<<"/status">>),
    ?assertNotEqual(nomatch, binary:match(Json, <<"\"status\":null">>)),
    [ok = sys:resume(Pid) || Pid <- Pids],
    [ok = caravan_cluster:stop(Name) || Name <- Names].

a_crashed_topology_is_told_of(Server) ->
    put_nodes(Server, [4371]),
    {ok, Pid} = caravan_cluster:start_link(options(Server, one, #{})),
    {ok, _} = caravan_cluster:await(one, ready, ?GUARD_MS),
    true = unlink(Pid),
    Monitor = monitor(process, Pid),
    true = exit(Pid, kill),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    ?assertEqual({200, <<"degraded\none: degraded: no such topology runs\n">>}, response(<<"/ready">>)),
    ok = caravan_topology_registry:withdraw(one),
    ?assertMatch({503, _}, response(<<"/ready">>)).
