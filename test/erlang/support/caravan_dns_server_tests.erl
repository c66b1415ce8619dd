%% The test DNS server's answers, faults and records of queries.
-module(caravan_dns_server_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_dns_client, [ask/3, decode/1, open/2, query/2, query/3, reply/1, send/2]).
-import(caravan_dns_server, [put/4]).

-define(LOCALHOST, {127, 0, 0, 1}).
-define(SERVED, [{a, 30, ?LOCALHOST}]).

%% Answers

dig_reads_srv_with_glue_over_udp_and_tcp_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "_app._tcp.test", srv,
            [{srv, 30, 1, 2, 4370, "a.test"}, {srv, 31, 3, 4, 4371, "b.test"}]),
        put(Server, "a.test", a, [{a, 40, {10, 0, 0, 1}}]),
        put(Server, "b.test", aaaa, [{aaaa, 41, {0, 0, 0, 0, 0, 0, 0, 2}}]),
        Expected = ["_app._tcp.test. 30 IN SRV 1 2 4370 a.test.",
                    "_app._tcp.test. 31 IN SRV 3 4 4371 b.test.",
                    "a.test. 40 IN A 10.0.0.1",
                    "b.test. 41 IN AAAA ::2"],
        [?assertEqual(Expected, dig(Server, Transport ++ " _app._tcp.test SRV"))
         || Transport <- ["+notcp", "+tcp", "+noedns"]]
    end).

inet_res_reads_every_record_type_over_udp_and_tcp_test() ->
    with_server(#{}, fun(Server) ->
        IPv6 = {16#2001, 16#db8, 0, 0, 0, 0, 0, 1},
        put(Server, "n.test", srv, [{srv, 1, 10, 20, 30, "t.test"}]),
        put(Server, "n.test", a, ?SERVED),
        put(Server, "n.test", aaaa, [{aaaa, 2, IPv6}]),
        put(Server, "n.test", cname, [{cname, 3, "m.test"}]),
        [begin
             ?assertEqual([{10, 20, 30, "t.test"}], inet_res(Server, srv, Options)),
             ?assertEqual([?LOCALHOST], inet_res(Server, a, Options)),
             ?assertEqual([IPv6], inet_res(Server, aaaa, Options)),
             ?assertEqual(["m.test"], inet_res(Server, cname, Options))
         end
         || Options <- [[], [{usevc, true}], [{edns, 0}]]]
    end).

names_match_in_any_case_and_the_question_comes_back_as_sent_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "Node.TEST.", a, ?SERVED),
        put(Server, <<"binary.test">>, a, ?SERVED),
        [?assertMatch(#{question := [{Name, a}], rd := RD, answer := [{Name, a, 30, ?LOCALHOST}]},
                      ask(udp, Server, query(Name, a, #{rd => RD})))
         || Name <- ["node.test", "nOdE.tEsT", "BINARY.test"], RD <- [true, false]]
    end).

rcodes_and_the_soa_of_negative_answers_test() ->
    with_server(#{soa_minimum => 7}, fun(Server) ->
        Soa = fun({_, soa, TTL, Data}) -> {TTL, element(7, Data)} end,
        [begin
             put(Server, "n.test", a, Answer),
             Reply = #{answer := []} = ask(Transport, Server, query("n.test", a)),
             ?assertEqual({Answer, Rcode, Negative},
                          {Answer, maps:get(rcode, Reply), lists:map(Soa, maps:get(authority, Reply))})
         end
         || {Answer, Rcode, Negative} <- [{[], 0, [{7, 7}]}, {nxdomain, 3, [{7, 7}]}, {formerr, 1, []},
                                          {servfail, 2, []}, {notimp, 4, []}, {refused, 5, []}],
            Transport <- [udp, tcp]]
    end).

unknown_name_is_nxdomain_and_unknown_type_is_nodata_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "n.test", a, ?SERVED),
        ?assertMatch(#{rcode := 3, authority := [_]}, ask(udp, Server, query("other.test", a))),
        ?assertMatch(#{rcode := 0, answer := [], authority := [_]}, ask(udp, Server, query("n.test", aaaa))),
        ?assertMatch(#{rcode := 5}, ask(udp, Server, query("n.test", a, #{class => chaos})))
    end).

cname_is_followed_in_the_table_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "alias.test", cname, [{cname, 9, "middle.test"}]),
        put(Server, "middle.test", a, [{cname, 8, "end.test"}]),
        put(Server, "end.test", a, {sequence, [?SERVED, nxdomain, drop]}),
        put(Server, "inline.test", a, [{cname, 7, "elsewhere.test"}, {a, 6, ?LOCALHOST}]),
        put(Server, "dangling.test", cname, [{cname, 5, "nowhere.test"}]),
        put(Server, "loop.test", cname, [{cname, 4, "loop.test"}]),
        Chain = [{"alias.test", cname, 9, "middle.test"}, {"middle.test", cname, 8, "end.test"}],
        Found = Chain ++ [{"end.test", a, 30, ?LOCALHOST}],
        ?assertMatch(#{rcode := 0, answer := Found}, ask(udp, Server, query("alias.test", a))),
        ?assertMatch(#{rcode := 3, answer := Chain}, ask(udp, Server, query("alias.test", a))),
        ?assertMatch(#{rcode := 0, answer := [_]}, ask(udp, Server, query("alias.test", cname))),
        ?assertMatch(#{answer := [{"inline.test", cname, 7, "elsewhere.test"},
                                  {"elsewhere.test", a, 6, ?LOCALHOST}]},
                     ask(udp, Server, query("inline.test", a))),
        ?assertMatch(#{rcode := 3, answer := [_], authority := [_]},
                     ask(udp, Server, query("dangling.test", a))),
        ?assertMatch(#{answer := [_ | _]}, ask(udp, Server, query("loop.test", a)))
    end).

glue_can_be_switched_off_test() ->
    with_server(#{glue => false}, fun(Server) ->
        put(Server, "_app._tcp.test", srv, [{srv, 30, 0, 0, 4370, "a.test"}]),
        put(Server, "a.test", a, ?SERVED),
        ?assertMatch(#{answer := [_], additional := []}, ask(udp, Server, query("_app._tcp.test", srv)))
    end).

glue_is_given_once_per_target_and_only_of_plain_records_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "_app._tcp.test", srv,
            [{srv, 30, 0, 0, Port, Target} || Port <- [1, 2], Target <- ["a.test", "b.test", "."]]),
        put(Server, "a.test", a, ?SERVED),
        put(Server, "b.test", a, {delay, 1, ?SERVED}),
        #{answer := Answer, additional := Glue} = ask(udp, Server, query("_app._tcp.test", srv)),
        ?assertEqual(6, length(Answer)),
        ?assertEqual([{"a.test", a, 30, ?LOCALHOST}], Glue)
    end).

changes_of_the_table_take_effect_at_once_test() ->
    with_server(#{}, fun(Server) ->
        Ask = fun() -> ask(udp, Server, query("_app._tcp.test", srv)) end,
        put(Server, "_app._tcp.test", srv, [{srv, 30, 0, 0, 4370, "a.test"}]),
        ?assertMatch(#{answer := [_], additional := []}, Ask()),
        put(Server, "a.test", a, ?SERVED),
        ?assertMatch(#{answer := [_], additional := [_]}, Ask()),
        caravan_dns_server:delete(Server, "A.test.", a),
        ?assertMatch(#{answer := [_], additional := []}, Ask()),
        put(Server, "_app._tcp.test", srv, servfail),
        ?assertMatch(#{rcode := 2}, Ask()),
        put(Server, "_app._tcp.test", a, ?SERVED),
        caravan_dns_server:delete(Server, "_app._tcp.test", srv),
        ?assertMatch(#{rcode := 0, answer := []}, Ask()),
        caravan_dns_server:clear(Server),
        ?assertMatch(#{rcode := 3}, Ask())
    end).

%% Faults

drop_leaves_the_query_unanswered_and_the_connection_open_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "mute.test", a, drop),
        put(Server, "n.test", a, ?SERVED),
        [begin
             Socket = open(Transport, Server),
             ok = send(Socket, query("mute.test", a, #{id => 1})),
             ok = send(Socket, query("n.test", a, #{id => 2})),
             ?assertEqual([2], ids(Socket, 1))
         end
         || Transport <- [udp, tcp]],
        ?assertEqual(4, caravan_dns_server:count(Server))
    end).

close_ends_the_tcp_connection_and_drops_over_udp_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "bye.test", a, close),
        put(Server, "n.test", a, ?SERVED),
        ?assertEqual({error, closed}, ask(tcp, Server, query("bye.test", a))),
        Udp = open(udp, Server),
        ok = send(Udp, query("bye.test", a, #{id => 1})),
        ok = send(Udp, query("n.test", a, #{id => 2})),
        ?assertEqual([2], ids(Udp, 1))
    end).

delay_holds_up_one_reply_and_no_other_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "never.test", a, {delay, 1000000, ?SERVED}),
        put(Server, "late.test", a, {delay, 1, ?SERVED}),
        [begin
             Socket = open(Transport, Server),
             ok = send(Socket, query("never.test", a, #{id => 1})),
             ok = send(Socket, query("late.test", a, #{id => 2})),
             ?assertEqual([2], ids(Socket, 1))
         end
         || Transport <- [udp, tcp]]
    end).

sequence_gives_each_query_the_next_answer_and_keeps_the_last_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "n.test", a, {sequence, [servfail, nxdomain, ?SERVED]}),
        ?assertEqual([2, 3, 0, 0], [rcode(udp, Server) || _ <- lists:seq(1, 4)])
    end).

by_transport_and_sequences_inside_it_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "n.test", a, {by_transport, #{udp => {sequence, [servfail, refused]}, tcp => ?SERVED}}),
        ?assertEqual([2, 0, 5, 0, 5], [rcode(Transport, Server) || Transport <- [udp, tcp, udp, tcp, udp]]),
        put(Server, "n.test", a, {by_transport, #{tcp => ?SERVED}}),
        ?assertEqual([3, 0], [rcode(Transport, Server) || Transport <- [udp, tcp]])
    end).

raw_sends_what_the_function_returns_test() ->
    with_server(#{}, fun(Server) ->
        Raw = fun(<<Id:16, Rest/binary>>) -> <<(Id + 1):16, Rest/binary, "tail">> end,
        put(Server, "n.test", a, {raw, Raw}),
        [begin
             Socket = open(Transport, Server),
             Query = query("n.test", a, #{id => 7}),
             ok = send(Socket, Query),
             <<7:16, Rest/binary>> = Query,
             ?assertEqual({ok, <<8:16, Rest/binary, "tail">>}, reply(Socket))
         end
         || Transport <- [udp, tcp]]
    end).

split_writes_the_reply_in_pieces_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "n.test", a, {split, ?SERVED}),
        ?assertMatch(#{answer := [_]}, ask(udp, Server, query("n.test", a))),
        ?assertMatch(#{answer := [_]}, ask(tcp, Server, query("n.test", a))),
        %% TCP may join pieces again, whereas a reply of this size that is written at once never arrives in two.
        ?assert(lists:any(fun(_) -> length(pieces(Server, query("n.test", a))) > 1 end, lists:seq(1, 10)))
    end).

function_computes_the_answer_of_each_query_test() ->
    with_server(#{}, fun(Server) ->
        put(Server, "n.test", a,
            fun(Transport, #{id := Id, transport := Transport}) -> [{a, 0, {10, 0, 0, Id}}] end),
        put(Server, "alias.test", cname, [{cname, 9, "n.test"}]),
        [?assertMatch(#{answer := [{"n.test", a, 0, {10, 0, 0, Id}}]},
                      ask(Transport, Server, query("n.test", a, #{id => Id})))
         || Id <- [3, 4], Transport <- [udp, tcp]],
        ?assertMatch(#{answer := [{"alias.test", cname, 9, "n.test"}, {"n.test", a, 0, {10, 0, 0, 1}}]},
                     ask(udp, Server, query("alias.test", a)))
    end).

server_without_edns_answers_formerr_to_an_opt_record_test() ->
    with_server(#{edns => false}, fun(Server) ->
        put(Server, "n.test", a, ?SERVED),
        ?assertMatch(#{rcode := 1, answer := [], edns_size := none, question := [{"n.test", a}]},
                     ask(udp, Server, query("n.test", a, #{edns_size => 1232}))),
        ?assertMatch(#{rcode := 0, answer := [_]}, ask(udp, Server, query("n.test", a)))
    end).

answers_the_server_does_not_know_are_refused_test() ->
    with_server(#{}, fun(Server) ->
        [?assertError({bad_answer, Answer}, put(Server, "n.test", a, Answer))
         || Answer <- [no_such_rcode, [{a, 30, "10.0.0.1"}], [{srv, 30, 0, 0, 65536, "a.test"}],
                       [{cname, 30, lists:duplicate(64, $a)}], [{cname, 30, "a..test"}], {delay, -1, []},
                       {sequence, []}, {by_transport, #{sctp => []}}, {raw, fun() -> <<>> end}]]
    end),
    ?assertError({unknown_options, [prot]}, caravan_dns_server:start_link(#{prot => 53})).

%% Records of queries

queries_are_recorded_in_order_test() ->
    with_server(#{}, fun(Server) ->
        {udp, Udp} = Socket = open(udp, Server),
        {ok, Port} = inet:port(Udp),
        ok = send(Socket, query("A.test", srv, #{id => 11, edns_size => 1232})),
        {ok, _} = reply(Socket),
        _ = ask(tcp, Server, query("b.test", 65, #{id => 12})),
        ?assertMatch([#{name := "A.test", type := srv, transport := udp, edns_size := 1232, id := 11,
                        source_port := Port},
                      #{name := "b.test", type := 65, transport := tcp, edns_size := none, id := 12}],
                     caravan_dns_server:queries(Server)),
        ?assertEqual(2, caravan_dns_server:count(Server)),
        ok = caravan_dns_server:reset_queries(Server),
        ?assertEqual({0, []}, {caravan_dns_server:count(Server), caravan_dns_server:queries(Server)})
    end).

await_queries_returns_when_enough_have_come_test() ->
    with_server(#{}, fun(Server) ->
        ?assertEqual(ok, caravan_dns_server:await_queries(Server, 0, 0)),
        ?assertEqual({error, timeout}, caravan_dns_server:await_queries(Server, 1, 0)),
        Socket = open(udp, Server),
        [ok = send(Socket, query("n.test", a)) || _ <- lists:seq(1, 3)],
        ?assertEqual(ok, caravan_dns_server:await_queries(Server, 3, 5000)),
        ?assertEqual(3, caravan_dns_server:count(Server)),
        ?assertEqual({error, timeout}, caravan_dns_server:await_queries(Server, 4, 1))
    end).

%% Helpers

with_server(Options, Test) ->
    {ok, Server} = caravan_dns_server:start_link(Options),
    try
        Test(Server)
    after
        caravan_dns_server:stop(Server)
    end.

ids(Socket, Count) ->
    [begin
         {ok, Bytes} = reply(Socket),
         maps:get(id, decode(Bytes))
     end
     || _ <- lists:seq(1, Count)].

rcode(Transport, Server) ->
    maps:get(rcode, ask(Transport, Server, query("n.test", a))).

dig(Server, Arguments) ->
    Command = io_lib:format("dig @127.0.0.1 -p ~b +noall +answer +additional +tries=1 ~s",
                            [caravan_dns_server:port(Server), Arguments]),
    [string:join(string:lexemes(Line, "\t "), " ")
     || Line <- string:lexemes(os:cmd(lists:flatten(Command)), "\n"), hd(Line) =/= $;].

inet_res(Server, Type, Options) ->
    Nameserver = {nameservers, [{?LOCALHOST, caravan_dns_server:port(Server)}]},
    inet_res:lookup("n.test", in, Type, [Nameserver | Options]).

%% The TCP segments of a reply as this process receives them.
pieces(Server, Query) ->
    {tcp, Socket} = open(tcp, Server),
    ok = gen_tcp:send(Socket, Query),
    ok = inet:setopts(Socket, [{packet, raw}]),
    {ok, First} = gen_tcp:recv(Socket, 0, 5000),
    Pieces = more_pieces(Socket, First, [First]),
    gen_tcp:close(Socket),
    Pieces.

more_pieces(_, <<Size:16, Message/binary>>, Pieces) when byte_size(Message) =:= Size ->
    Pieces;
more_pieces(Socket, Received, Pieces) ->
    {ok, Piece} = gen_tcp:recv(Socket, 0, 5000),
    more_pieces(Socket, <<Received/binary, Piece/binary>>, [Piece | Pieces]).
