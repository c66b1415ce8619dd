%% What the test DNS server leaves out of replies that are too large.
-module(caravan_dns_fit_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_dns_client, [ask/3, decode/1, open/2, query/3, reply/1, send/2]).

-define(NAME, "_app._tcp.test").

small_reply_is_whole_test() ->
    with_instances(3, #{}, fun(Server) ->
        ?assertMatch({#{tc := false, edns_size := none}, 3, 3}, counts(Server, #{})),
        ?assertMatch({#{tc := false, edns_size := 1232}, 3, 3}, counts(Server, #{edns_size => 512}))
    end).

truncate_gives_up_glue_before_answers_test() ->
    with_instances(12, #{}, fun(Server) ->
        {#{tc := TC}, Answers, Glue} = counts(Server, #{}),
        ?assertEqual({false, 12}, {TC, Answers}),
        ?assert(Glue > 0 andalso Glue < 12)
    end).

truncate_sets_the_tc_bit_when_answers_do_not_fit_test() ->
    with_instances(200, #{}, fun(Server) ->
        [begin
             {#{tc := true, size := Size}, Answers, 0} = counts(Server, Options),
             ?assert(Size =< Limit),
             %% One more record of this set takes at most 40 bytes.
             ?assert(Size > Limit - 40),
             ?assert(Answers > 0)
         end
         || {Options, Limit} <- [{#{}, 512}, {#{edns_size => 100}, 512}, {#{edns_size => 1232}, 1232},
                                 {#{edns_size => 4096}, 4096}]],
        ?assertMatch({#{tc := false}, 200, 200}, counts(Server, #{edns_size => 65535}))
    end).

inet_res_goes_to_tcp_after_truncation_test() ->
    case inet_res_understands_truncation() of
        true ->
            with_instances(200, #{}, fun(Server) ->
                Nameserver = {{127, 0, 0, 1}, caravan_dns_server:port(Server)},
                ?assertEqual(200, length(inet_res:lookup(?NAME, in, srv, [{nameservers, [Nameserver]}]))),
                ?assertEqual([udp, tcp], transports(Server))
            end);
        false ->
            io:format(user, "SKIP: inet_res of this OTP takes truncated replies for malformed ones (OTP PR 11247)~n", [])
    end.

dig_goes_to_tcp_after_truncation_test() ->
    with_instances(200, #{}, fun(Server) ->
        Port = caravan_dns_server:port(Server),
        Dig = os:cmd("dig @127.0.0.1 +short +tries=1 -p " ++ integer_to_list(Port) ++ " " ?NAME " SRV"),
        ?assertEqual(200, length([Line || Line <- string:lexemes(Dig, "\n"), hd(Line) =/= $;])),
        ?assertEqual([udp, tcp], transports(Server))
    end).

trim_drops_answers_with_their_glue_and_tells_nothing_test() ->
    with_instances(200, #{oversize => trim}, fun(Server) ->
        ?assertMatch({#{tc := false}, 3, 3}, counts(Server, #{})),
        [begin
             {#{tc := false, size := Size}, Answers, Answers} = counts(Server, #{edns_size => Limit}),
             ?assert(Size =< Limit),
             %% One more record of this set and its glue take at most 60 bytes.
             ?assert(Size > Limit - 60)
         end
         || Limit <- [512, 1280, 4096]],
        ?assertMatch({#{tc := false}, 200, 200}, counts(Server, #{edns_size => 65535}))
    end),
    with_instances(2, #{oversize => trim}, fun(Server) ->
        ?assertMatch({#{tc := false}, 2, 2}, counts(Server, #{}))
    end).

udp_reply_is_never_larger_than_a_datagram_test() ->
    with_instances(2500, #{}, fun(Server) ->
        ?assertMatch({#{tc := true}, _, 0}, counts(Server, #{edns_size => 65535}))
    end).

tcp_carries_a_thousand_records_with_glue_test() ->
    with_instances(1000, #{}, fun(Server) ->
        #{answer := Answer, additional := Glue} = ask(tcp, Server, query(?NAME, srv, #{})),
        ?assertEqual([4000 + I || I <- lists:seq(1, 1000)], [Port || {_, srv, _, {_, _, Port, _}} <- Answer]),
        ?assertEqual([{target(I), a, 30, address(I)} || I <- lists:seq(1, 1000)], Glue)
    end).

tcp_gives_up_glue_then_answers_servfail_test() ->
    with_instances(1600, #{}, fun(Server) ->
        #{rcode := Rcode, answer := Answer, additional := Glue} = ask(tcp, Server, query(?NAME, srv, #{})),
        ?assertEqual({0, 1600, []}, {Rcode, length(Answer), Glue})
    end),
    with_instances(2500, #{}, fun(Server) ->
        ?assertMatch(#{rcode := 2, answer := [], additional := []}, ask(tcp, Server, query(?NAME, srv, #{})))
    end).

%% Helpers

with_instances(Count, Options, Test) ->
    {ok, Server} = caravan_dns_server:start_link(Options),
    Instances = lists:seq(1, Count),
    ok = caravan_dns_server:put(Server, ?NAME, srv, [{srv, 30, 1, 1, 4000 + I, target(I)} || I <- Instances]),
    [ok = caravan_dns_server:put(Server, target(I), a, [{a, 30, address(I)}]) || I <- Instances],
    try
        Test(Server)
    after
        caravan_dns_server:stop(Server)
    end.

target(I) -> "app-" ++ integer_to_list(I) ++ ".node.test".

address(I) -> {10, 0, I div 256, I rem 256}.

transports(Server) ->
    [Transport || #{transport := Transport} <- caravan_dns_server:queries(Server)].

%% OTP 28.4.2 and versions with its security fixes do not, as Debian's 27.3.4.1; 25 and 29.1 do.
inet_res_understands_truncation() ->
    Truncated = <<1:16, 1:1, 0:4, 0:1, 1:1, 0:9, 0:64>>,
    case inet_dns:decode(Truncated) of
        {ok, _} -> true;
        {error, formerr} -> false
    end.

%% The reply over UDP, and how many records and glue records it has.
counts(Server, Options) ->
    Socket = open(udp, Server),
    ok = send(Socket, query(?NAME, srv, Options)),
    {ok, Bytes} = reply(Socket),
    #{answer := Answer, additional := Additional} = Message = decode(Bytes),
    {Message#{size => byte_size(Bytes)}, length(Answer), length(Additional)}.
