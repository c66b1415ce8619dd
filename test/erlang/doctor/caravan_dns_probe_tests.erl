%% A reply as it is on the wire.
-module(caravan_dns_probe_tests).

-include_lib("eunit/include/eunit.hrl").

-define(NAME, <<"_app._tcp.test">>).

what_a_client_has_to_make_good_is_seen_test() ->
    with_server(#{oversize => trim}, fun(Server) ->
        ok = fill(Server, 300),
        {ok, #{answers := Few, truncated := false, rcode := 0, edns := true, octets := Octets}} = ask(Server, udp),
        {ok, #{answers := 300, truncated := false}} = ask(Server, tcp),
        ?assert(Few < 300),
        ?assert(Octets =< 1232)
    end).

a_truncated_reply_says_so_test() ->
    with_server(#{}, fun(Server) ->
        ok = fill(Server, 300),
        ?assertMatch({ok, #{truncated := true}}, ask(Server, udp))
    end).

a_nameserver_without_edns_is_seen_test() ->
    with_server(#{edns => false}, fun(Server) ->
        ok = fill(Server, 1),
        ?assertMatch({ok, #{rcode := 1, edns := false, answers := 0}}, ask(Server, udp))
    end).

no_answer_is_an_error_test() ->
    with_server(#{}, fun(Server) ->
        ok = caravan_dns_server:put(Server, ?NAME, srv, drop),
        ?assertEqual({error, timeout}, ask(Server, udp)),
        ok = caravan_dns_server:put(Server, ?NAME, srv, close),
        ?assertEqual({error, econnreset}, ask(Server, tcp)),
        ok = caravan_dns_server:close_sockets(Server),
        ?assertEqual({error, econnrefused}, ask(Server, udp)),
        ?assertEqual({error, econnrefused}, ask(Server, tcp))
    end).

a_reply_of_another_question_is_passed_over_test() ->
    with_server(#{}, fun(Server) ->
        ok = caravan_dns_server:put(Server, ?NAME, srv, {raw, fun(<<Id:16, _/binary>>) -> <<(Id bxor 1):16, 0:80>> end}),
        ?assertEqual({error, timeout}, ask(Server, udp))
    end).

a_reply_that_is_none_is_an_error_test() ->
    with_server(#{}, fun(Server) ->
        ok = caravan_dns_server:put(Server, ?NAME, srv, {raw, fun(<<Id:16, _/binary>>) -> <<Id:16, 0>> end}),
        ?assertEqual({error, badresp}, ask(Server, udp)),
        ?assertEqual({error, badresp}, ask(Server, tcp))
    end).

fill(Server, Count) ->
    caravan_dns_server:put(Server, ?NAME, srv, [{srv, 30, 1, 1, 4000 + Number, "host.test"} || Number <- lists:seq(1, Count)]).

ask(Server, Transport) ->
    Deadline = erlang:monotonic_time(millisecond) + 300,
    caravan_dns_probe:ask({{127, 0, 0, 1}, caravan_dns_server:port(Server)}, Transport, ?NAME, srv, Deadline).

with_server(Options, Test) ->
    {ok, Server} = caravan_dns_server:start_link(Options),
    try
        Test(Server)
    after
        ok = caravan_dns_server:stop(Server)
    end.
