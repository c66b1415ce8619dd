%% What a resolver counts.
-module(caravan_dns_stats_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_dns_fixture, [await/1, await_value/2, open/2]).

-define(GUARD_MS, 10000).
-define(MINUTE, 60000).

stats_test_() ->
    caravan_dns_fixture:tests([
        fun nothing_has_happened_at_first/1,
        fun outcomes_by_reason/1,
        fun refused_lookups_are_counted/1,
        fun name_that_is_none_is_counted/1,
        fun queries_as_the_nameserver_got_them/1,
        fun repeated_questions_are_retries/1,
        fun who_does_not_know_edns_is_asked_without/1,
        fun truncated_answers_are_fallbacks/1,
        fun equal_lookups_share_a_question/1,
        fun different_lookups_share_none/1,
        fun answers_from_the_cache_are_hits/1,
        fun dead_callers_lookup_is_abandoned/1,
        fun living_caller_gets_what_a_dead_one_asked/1,
        fun cancelled_lookup_is_an_outcome/1,
        fun in_flight_and_queued/1,
        fun latency_counts_every_answer/1
    ]).

nothing_has_happened_at_first(Server) ->
    #{outcomes := Outcomes, latency := Latency} = Stats = stats(open(Server, #{})),
    Reasons = [nxdomain, nodata, servfail, refused, formerr, notimp, timeout, connrefused, badname, badresp, closed,
               overload, system],
    ?assertEqual(maps:from_keys([ok, cancelled | Reasons], 0), Outcomes),
    Counters = [abandoned, coalesced, cache_hits, in_flight, queued, queries, retries, tcp_fallbacks, edns_fallbacks,
                channel_rebuilds],
    ?assertEqual(maps:from_keys(Counters, 0), maps:without([outcomes, latency], Stats)),
    {Bounds, Counts} = lists:unzip(Latency),
    %% In the order of terms, atoms are greater than numbers.
    ?assertEqual({Bounds, infinity}, {lists:usort(Bounds), lists:last(Bounds)}),
    ?assertEqual(0, lists:sum(Counts)).

outcomes_by_reason(Server) ->
    Resolver = open(Server, #{transport => udp}),
    Rcodes = [nxdomain, servfail, refused, formerr, notimp],
    Answers = [{ok, [{a, 30, {10, 0, 0, 1}}]}, {nodata, []}, {timeout, drop}, {badresp, {raw, fun caravan_dns_fixture:malformed/1}}] ++
        [{Rcode, Rcode} || Rcode <- Rcodes],
    [
        begin
            ok = caravan_dns_server:put(Server, "n1.test", a, Answer),
            Before = outcomes(Resolver),
            _ = caravan_dns:lookup("n1.test", a, #{resolver => Resolver, timeout => timeout_for(Answer)}),
            ok = await_value(Before#{Outcome := maps:get(Outcome, Before) + 1}, fun() -> outcomes(Resolver) end)
        end
     || {Outcome, Answer} <- Answers
    ],
    ok = caravan_dns_server:close_sockets(Server),
    {error, connrefused} = lookup(Resolver, "n1.test"),
    await_value(1, fun() -> maps:get(connrefused, outcomes(Resolver)) end).

%% Each question gets a part of the 100 ms, which is too little for the others on a slow machine.
timeout_for(drop) -> 100;
timeout_for(_) -> ?MINUTE.

refused_lookups_are_counted(Server) ->
    ok = caravan_dns_server:put(Server, "silent.test", a, drop),
    Resolver = open(Server, #{max_inflight => 1, max_queue => 0, timeout => ?MINUTE}),
    _ = lookup_async(Resolver, "silent.test"),
    [{error, overload} = lookup(Resolver, "n1.test") || _ <- [1, 2]],
    ?assertMatch(#{overload := 2}, outcomes(Resolver)).

name_that_is_none_is_counted(Server) ->
    Resolver = open(Server, #{}),
    {error, badname} = lookup(Resolver, "no name"),
    ?assertMatch(#{badname := 1}, outcomes(Resolver)).

queries_as_the_nameserver_got_them(Server) ->
    Resolver = open(Server, #{}),
    [_ = caravan_dns:lookup("none.test", Type, #{resolver => Resolver}) || Type <- [a, aaaa, srv]],
    #{queries := Queries, retries := Retries} = stats(Resolver),
    ?assertEqual({3, 3, 0}, {Queries, caravan_dns_server:count(Server), Retries}).

%% After FORMERR the question is sent again at once, without EDNS: to a question with EDNS, FORMERR says nothing about the
%% question itself.
repeated_questions_are_retries(Server) ->
    ok = caravan_dns_server:put(Server, "n1.test", a, {sequence, [formerr, formerr, []]}),
    Resolver = open(Server, #{edns_size => 0}),
    {error, nodata} = lookup(Resolver, "n1.test"),
    ?assertMatch(#{queries := 3, retries := 2}, stats(Resolver)).

%% RFC 6891, section 7.
who_does_not_know_edns_is_asked_without(Server) ->
    ok = caravan_dns_server:put(Server, "n1.test", a, {sequence, [formerr, [{a, 30, {10, 0, 0, 1}}]]}),
    Resolver = open(Server, #{}),
    {ok, _} = lookup(Resolver, "n1.test"),
    ?assertMatch(#{queries := 2, edns_fallbacks := 1}, stats(Resolver)),
    ?assertMatch([#{edns_size := 4096}, #{edns_size := none}], caravan_dns_server:queries(Server)).

truncated_answers_are_fallbacks(Server) ->
    Records = [{a, 30, {10, 0, 0, N}} || N <- lists:seq(1, 100)],
    ok = caravan_dns_server:put(Server, "many.test", a, Records),
    Resolver = open(Server, #{edns_size => 512}),
    {ok, _} = lookup(Resolver, "many.test"),
    ?assertMatch(#{queries := 2, tcp_fallbacks := 1, retries := 0}, stats(Resolver)).

equal_lookups_share_a_question(Server) ->
    Gate = put_held(Server, "n1.test"),
    Resolver = open(Server, #{timeout => ?MINUTE, tries => 1}),
    Refs = [lookup_async(Resolver, Name) || Name <- ["n1.test", <<"n1.test">>, "N1.TEST", "n1.test"]],
    ok = await_value(3, fun() -> maps:get(coalesced, stats(Resolver)) end),
    ok = caravan_dns_gate:open(Gate),
    ?assertMatch([{ok, _}, {ok, _}, {ok, _}, {ok, _}], [await(Ref) || Ref <- Refs]),
    ok = await_value(4, fun() -> maps:get(ok, outcomes(Resolver)) end),
    ?assertEqual(1, caravan_dns_server:count(Server)).

different_lookups_share_none(Server) ->
    Gate = put_held(Server, "n1.test"),
    ok = caravan_dns_server:put(Server, "n1.test", aaaa, [{aaaa, 30, {16#fd00, 0, 0, 0, 0, 0, 0, 1}}]),
    Resolver = open(Server, #{timeout => ?MINUTE, tries => 1}),
    Refs = [
        caravan_dns:lookup_async("n1.test", Type, Options#{resolver => Resolver})
     || {Type, Options} <- [{a, #{}}, {aaaa, #{}}, {a, #{transport => tcp}}]
    ],
    ok = await_value(3, fun() -> maps:get(queries, stats(Resolver)) end),
    ok = caravan_dns_gate:open(Gate),
    ?assertMatch([{ok, _}, {ok, _}, {ok, _}], [await(Ref) || Ref <- Refs]),
    ?assertMatch(#{coalesced := 0}, stats(Resolver)).

answers_from_the_cache_are_hits(Server) ->
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 3600, {10, 0, 0, 1}}]),
    Resolver = open(Server, #{cache => true}),
    [{ok, _} = lookup(Resolver, "n1.test") || _ <- [1, 2, 3]],
    ok = await_value(3, fun() -> maps:get(ok, outcomes(Resolver)) end),
    ?assertMatch(#{queries := 1, cache_hits := 2, coalesced := 0}, stats(Resolver)).

dead_callers_lookup_is_abandoned(Server) ->
    ok = caravan_dns_server:put(Server, "silent.test", a, drop),
    Resolver = open(Server, #{timeout => 3600000, tries => 10}),
    ask_and_die(Server, Resolver, "silent.test"),
    Asked = caravan_dns_server:count(Server),
    ok = await_value({1, 0}, fun() ->
        #{abandoned := Abandoned, in_flight := InFlight} = stats(Resolver),
        {Abandoned, InFlight}
    end),
    ?assertEqual(Asked, caravan_dns_server:count(Server)),
    ?assertMatch(#{queries := Asked}, stats(Resolver)).

%% A caller that asks first and dies does not take away the answers of the others.
living_caller_gets_what_a_dead_one_asked(Server) ->
    Gate = put_held(Server, "n1.test"),
    Resolver = open(Server, #{timeout => ?MINUTE}),
    ask_and_die(Server, Resolver, "n1.test"),
    Ref = lookup_async(Resolver, "n1.test"),
    ok = await_value(1, fun() -> maps:get(coalesced, stats(Resolver)) end),
    ok = caravan_dns_gate:open(Gate),
    ?assertMatch({ok, _}, await(Ref)),
    await_value({1, 1}, fun() ->
        #{abandoned := Abandoned, outcomes := #{ok := Ok}} = stats(Resolver),
        {Abandoned, Ok}
    end).

ask_and_die(Server, Resolver, Name) ->
    {Caller, Monitor} = spawn_monitor(fun() -> lookup(Resolver, Name) end),
    ok = caravan_dns_server:await_queries(Server, 1, ?GUARD_MS),
    exit(Caller, kill),
    receive {'DOWN', Monitor, process, Caller, Reason} -> ?assertEqual(killed, Reason) end.

cancelled_lookup_is_an_outcome(Server) ->
    Gate = put_held(Server, "n1.test"),
    Resolver = open(Server, #{timeout => ?MINUTE}),
    Ref = lookup_async(Resolver, "n1.test"),
    ok = caravan_dns:cancel(Ref),
    ok = caravan_dns_gate:open(Gate),
    await_value({1, 0, 0}, fun() ->
        #{outcomes := #{cancelled := Cancelled, ok := Ok}, in_flight := InFlight} = stats(Resolver),
        {Cancelled, Ok, InFlight}
    end).

in_flight_and_queued(Server) ->
    Gate = put_held(Server, "n1.test"),
    Resolver = open(Server, #{timeout => ?MINUTE, max_inflight => 1}),
    Refs = [lookup_async(Resolver, Name) || Name <- ["n1.test", "n2.test", "n3.test"]],
    UnderWay = fun() -> maps:with([in_flight, queued], stats(Resolver)) end,
    ok = await_value(#{in_flight => 1, queued => 2}, UnderWay),
    ok = caravan_dns_gate:open(Gate),
    _ = [await(Ref) || Ref <- Refs],
    await_value(#{in_flight => 0, queued => 0}, UnderWay).

%% A cancelled lookup has no result.
latency_counts_every_answer(Server) ->
    Gate = put_held(Server, "n1.test"),
    Resolver = open(Server, #{timeout => ?MINUTE}),
    Refs = [lookup_async(Resolver, "n1.test") || _ <- lists:seq(1, 20)],
    ok = caravan_dns:cancel(hd(Refs)),
    ok = caravan_dns_gate:open(Gate),
    _ = [await(Ref) || Ref <- tl(Refs)],
    [{error, nxdomain} = lookup(Resolver, "none.test") || _ <- lists:seq(1, 5)],
    await_value({19, 5, 24}, fun() ->
        #{outcomes := #{ok := Ok, nxdomain := NxDomain}, latency := Latency} = stats(Resolver),
        {Ok, NxDomain, lists:sum([Count || {_, Count} <- Latency])}
    end).

put_held(Server, Name) ->
    Gate = caravan_dns_gate:new(),
    ok = caravan_dns_server:put(Server, Name, a, caravan_dns_gate:hold(Gate, [{a, 30, {10, 0, 0, 1}}])),
    Gate.

stats(Resolver) ->
    {ok, Stats} = caravan_dns:stats(Resolver),
    Stats.

outcomes(Resolver) ->
    maps:get(outcomes, stats(Resolver)).

lookup(Resolver, Name) ->
    caravan_dns:lookup(Name, a, #{resolver => Resolver}).

lookup_async(Resolver, Name) ->
    caravan_dns:lookup_async(Name, a, #{resolver => Resolver}).
