%% How the relay handles datagrams and connections.
-module(caravan_test_relay_tests).

-include_lib("eunit/include/eunit.hrl").

-define(LOCALHOST, {127, 0, 0, 1}).
-define(DATAGRAMS, 50).
%% A socket loses datagrams that do not fit while its process is not scheduled.
-define(UDP, [binary, {ip, ?LOCALHOST}, {recbuf, 1000000}]).
-define(OCTETS, 300000).
-define(HANG_GUARD, 10000).

datagrams_overtake_each_other_and_none_is_lost_test() ->
    with_relay(#{delay => {0, 30}, duplicate => 0}, fun(Relay, Port, #{udp := Server}) ->
        {ok, Client} = gen_udp:open(0, ?UDP),
        Sent = [<<Number>> || Number <- lists:seq(1, ?DATAGRAMS)],
        [ok = gen_udp:send(Client, ?LOCALHOST, Port, Datagram) || Datagram <- Sent],
        There = [receive {udp, Server, Ip, From, Datagram} -> ok = gen_udp:send(Server, Ip, From, Datagram), Datagram end || _ <- Sent],
        Back = [receive {udp, Client, ?LOCALHOST, Port, Datagram} -> Datagram end || _ <- Sent],
        ?assertEqual(Sent, lists:sort(There)),
        ?assertEqual(Sent, lists:sort(Back)),
        ?assertNotEqual(Sent, There),
        ?assertNotEqual(There, Back),
        #{datagrams := Count, overtaken := Overtaken, duplicated := 0} = caravan_test_relay:counts(Relay),
        ?assertEqual(2 * ?DATAGRAMS, Count),
        ?assert(Overtaken > 0)
    end).

some_datagrams_come_twice_test() ->
    with_relay(#{delay => {0, 1}, duplicate => 100}, fun(Relay, Port, #{udp := Server}) ->
        {ok, Client} = gen_udp:open(0, ?UDP),
        ok = gen_udp:send(Client, ?LOCALHOST, Port, <<"once">>),
        [receive {udp, Server, _, _, <<"once">>} -> ok end || _ <- [first, second]],
        ?assertMatch(#{datagrams := 1, duplicated := 1}, caravan_test_relay:counts(Relay))
    end).

the_octets_of_a_connection_keep_their_order_test() ->
    with_relay(#{delay => {0, 20}, duplicate => 100}, fun(Relay, Port, #{tcp := Listen}) ->
        Sent = crypto:strong_rand_bytes(?OCTETS),
        {ok, Client} = gen_tcp:connect(?LOCALHOST, Port, [binary, {active, false}]),
        {ok, Server} = gen_tcp:accept(Listen, ?HANG_GUARD),
        _ = spawn_link(fun() -> [ok = gen_tcp:send(Client, Piece) || Piece <- pieces(Sent)] end),
        ?assertEqual({ok, Sent}, gen_tcp:recv(Server, ?OCTETS, ?HANG_GUARD)),
        ok = gen_tcp:send(Server, <<"all of it">>),
        %% Octets that were sent before arrive before the end.
        ok = gen_tcp:close(Server),
        ?assertEqual({ok, <<"all of it">>}, gen_tcp:recv(Client, 9, ?HANG_GUARD)),
        ?assertEqual({error, closed}, gen_tcp:recv(Client, 0, ?HANG_GUARD)),
        ?assertMatch(#{connections := 1}, caravan_test_relay:counts(Relay))
    end).

connections_end_with_the_relay_test() ->
    {ok, Client} = with_relay(#{delay => {0, 0}, duplicate => 0}, fun(_Relay, Port, #{tcp := Listen}) ->
        {ok, Client} = gen_tcp:connect(?LOCALHOST, Port, [binary, {active, false}]),
        {ok, _} = gen_tcp:accept(Listen, ?HANG_GUARD),
        {ok, Client}
    end),
    ?assertEqual({error, closed}, gen_tcp:recv(Client, 0, ?HANG_GUARD)).

pieces(<<Piece:10000/binary, Rest/binary>>) -> [Piece | pieces(Rest)];
pieces(<<>>) -> [].

%% Both transports of a server have the same port, and so have those of a relay.
with_relay(Options, Test) ->
    [From, To] = [caravan_test_network:free_port() || _ <- [relay, server]],
    {ok, Udp} = gen_udp:open(To, ?UDP),
    {ok, Listen} = gen_tcp:listen(To, [binary, {active, false}, {ip, ?LOCALHOST}]),
    {ok, Relay} = caravan_test_relay:start_link(Options#{seed => 1, from => {?LOCALHOST, From, []}, to => {?LOCALHOST, To, []}}),
    Result = Test(Relay, From, #{udp => Udp, tcp => Listen}),
    ok = caravan_test_relay:stop(Relay),
    ok = gen_udp:close(Udp),
    ok = gen_tcp:close(Listen),
    Result.
