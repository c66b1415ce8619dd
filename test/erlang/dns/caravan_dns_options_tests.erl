%% The effect of each option on the questions that the nameserver receives.
-module(caravan_dns_options_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_dns_fixture, [await/1, open/2]).

-define(GUARD_MS, 10000).
-define(MINUTE, 60000).

options_test_() ->
    caravan_dns_fixture:tests([
        fun tries_counts_the_questions/1,
        fun final_word_is_asked_for_once/1,
        fun every_nameserver_gets_its_tries/1,
        fun rotate_begins_with_another_nameserver/1,
        fun without_rotate_the_first_is_asked/1,
        fun transport_of_the_resolver_and_of_a_lookup/1,
        fun edns_size_is_told_to_the_nameserver/1,
        fun small_edns_size_leads_to_tcp/1,
        fun timeout_of_the_resolver_and_of_a_lookup/1,
        fun full_queue_is_overload_at_once/1,
        fun without_a_queue_the_second_is_overload/1,
        fun equal_lookups_count_one_by_one/1,
        fun srv_records_by_priority/1,
        fun cached_answer_needs_no_question/1,
        fun cached_nxdomain_needs_no_question/1,
        fun failure_is_not_cached/1,
        fun without_a_cache_each_lookup_asks/1,
        fun max_ttl_of_zero_remembers_nothing/1,
        fun max_entries_keeps_the_last_used/1
    ]).

%% After FORMERR the question is sent again at once, without a timer and without EDNS: to a question with EDNS, FORMERR says
%% nothing about the question itself.
tries_counts_the_questions(Server) ->
    ok = caravan_dns_server:put(Server, "bad.test", a, formerr),
    [
        begin
            ok = caravan_dns_server:reset_queries(Server),
            Resolver = open(Server, #{tries => Tries, transport => Transport, edns_size => 0}),
            ?assertEqual({error, formerr}, lookup(Resolver, "bad.test")),
            ?assertEqual({Tries, Transport, Tries}, {Tries, Transport, caravan_dns_server:count(Server)})
        end
     || Tries <- [1, 3, 10], Transport <- [udp, tcp]
    ].

final_word_is_asked_for_once(Server) ->
    [
        begin
            ok = caravan_dns_server:reset_queries(Server),
            ok = caravan_dns_server:put(Server, "bad.test", a, Rcode),
            ?assertEqual({error, Rcode}, lookup(open(Server, #{tries => 10}), "bad.test")),
            ?assertEqual({Rcode, 1}, {Rcode, caravan_dns_server:count(Server)})
        end
     || Rcode <- [servfail, refused, notimp, nxdomain]
    ].

every_nameserver_gets_its_tries(Server) ->
    with_two_servers(Server, fun(Servers, Options) ->
        [ok = caravan_dns_server:put(Asked, "bad.test", a, formerr) || Asked <- Servers],
        ?assertEqual({error, formerr}, lookup(open(Server, Options#{tries => 2, edns_size => 0}), "bad.test")),
        ?assertEqual([2, 2], counts(Servers))
    end).

rotate_begins_with_another_nameserver(Server) ->
    with_two_servers(Server, fun(Servers, Options) ->
        Resolver = open(Server, Options#{rotate => true}),
        [{error, nxdomain} = lookup(Resolver, "none.test") || _ <- lists:seq(1, 6)],
        ?assertEqual([3, 3], counts(Servers))
    end).

without_rotate_the_first_is_asked(Server) ->
    with_two_servers(Server, fun(Servers, Options) ->
        Resolver = open(Server, Options),
        [{error, nxdomain} = lookup(Resolver, "none.test") || _ <- lists:seq(1, 6)],
        ?assertEqual([6, 0], counts(Servers))
    end).

transport_of_the_resolver_and_of_a_lookup(Server) ->
    Asked = fun(Resolver, Type, Options) ->
        ok = caravan_dns_server:reset_queries(Server),
        {error, nxdomain} = caravan_dns:lookup("none.test", Type, Options#{resolver => Resolver}),
        [#{transport := Transport}] = caravan_dns_server:queries(Server),
        Transport
    end,
    Overrides = [#{}, #{transport => default}, #{transport => udp}, #{transport => tcp}, #{transport => auto}],
    [
        ?assertEqual(
            {Default, Type, Expected}, {Default, Type, [Asked(Resolver, Type, Override) || Override <- Overrides]}
        )
     || {Default, Type, Expected} <- [
            {udp, srv, [udp, udp, udp, tcp, tcp]},
            {tcp, srv, [tcp, tcp, udp, tcp, tcp]},
            {auto, srv, [tcp, tcp, udp, tcp, tcp]},
            {udp, a, [udp, udp, udp, tcp, udp]},
            {tcp, a, [tcp, tcp, udp, tcp, udp]},
            {auto, a, [udp, udp, udp, tcp, udp]}
        ],
        Resolver <- [open(Server, #{transport => Default})]
    ].

edns_size_is_told_to_the_nameserver(Server) ->
    [
        begin
            ok = caravan_dns_server:reset_queries(Server),
            {error, nxdomain} = lookup(open(Server, #{edns_size => Size}), "none.test"),
            ?assertMatch([#{edns_size := Seen}], caravan_dns_server:queries(Server))
        end
     || {Size, Seen} <- [{0, none}, {512, 512}, {1232, 1232}, {4096, 4096}]
    ].

small_edns_size_leads_to_tcp(Server) ->
    Records = [{a, 30, {10, 0, 0, N}} || N <- lists:seq(1, 100)],
    ok = caravan_dns_server:put(Server, "many.test", a, Records),
    [
        begin
            ok = caravan_dns_server:reset_queries(Server),
            {ok, #{records := Found}} = lookup(open(Server, #{edns_size => Size}), "many.test"),
            Asked = [Transport || #{transport := Transport} <- caravan_dns_server:queries(Server)],
            ?assertEqual({Size, 100, Transports}, {Size, length(Found), Asked})
        end
     || {Size, Transports} <- [{0, [udp, tcp]}, {512, [udp, tcp]}, {4096, [udp]}]
    ].

%% The order of the answers distinguishes the times, however slow the machine is.
timeout_of_the_resolver_and_of_a_lookup(Server) ->
    ok = caravan_dns_server:put(Server, "silent.test", a, drop),
    Lookup = fun(Default, Options) ->
        Resolver = open(Server, #{timeout => Default}),
        caravan_dns:lookup_async("silent.test", a, Options#{resolver => Resolver})
    end,
    Later = [Lookup(100, #{timeout => ?MINUTE}), Lookup(?MINUTE, #{}), Lookup(?MINUTE, #{timeout => default})],
    Sooner = [Lookup(100, #{}), Lookup(?MINUTE, #{timeout => 100})],
    ?assertEqual([{error, timeout} || _ <- Sooner], [await(Ref) || Ref <- Sooner]),
    ?assertEqual({messages, []}, process_info(self(), messages)),
    lists:foreach(fun caravan_dns:cancel/1, Later).

full_queue_is_overload_at_once(Server) ->
    ?assertEqual([nxdomain, nxdomain, overload, overload], reasons_at_once(Server, 1, names(4))).

without_a_queue_the_second_is_overload(Server) ->
    ?assertEqual([nxdomain, overload, overload], reasons_at_once(Server, 0, names(3))).

equal_lookups_count_one_by_one(Server) ->
    ?assertEqual([nxdomain, nxdomain, overload], reasons_at_once(Server, 1, lists:duplicate(3, "none.test"))).

names(Count) ->
    ["n" ++ integer_to_list(N) ++ ".test" || N <- lists:seq(1, Count)].

%% Lookups that are started while the first one waits; refused ones are answered meanwhile.
reasons_at_once(Server, MaxQueue, Names) ->
    Gate = caravan_dns_gate:new(),
    [ok = caravan_dns_server:put(Server, Name, a, caravan_dns_gate:hold(Gate, nxdomain)) || Name <- Names],
    Resolver = open(Server, #{max_inflight => 1, max_queue => MaxQueue, timeout => ?MINUTE}),
    Refs = [caravan_dns:lookup_async(Name, a, #{resolver => Resolver}) || Name <- Names],
    Refused = lists:nthtail(MaxQueue + 1, Refs),
    [?assertEqual({error, overload}, await(Ref)) || Ref <- Refused],
    ok = caravan_dns_gate:open(Gate),
    [element(2, await(Ref)) || Ref <- Refs -- Refused] ++ [overload || _ <- Refused].

srv_records_by_priority(Server) ->
    Sent = [5, 1, 4, 2, 9, 3, 8, 7, 6],
    Records = [{srv, 30, Priority, 1, 4370, "n1.test"} || Priority <- Sent],
    ok = caravan_dns_server:put(Server, "app.test", srv, Records),
    [
        begin
            Options = #{resolver => open(Server, #{srv_order => Default}), srv_order => Override},
            {ok, #{records := Found}} = caravan_dns:lookup("app.test", srv, Options),
            Order = [Priority || #{priority := Priority} <- Found],
            ?assertEqual({Default, Override, Expected}, {Default, Override, Order})
        end
     || {Default, Override, Expected} <- [
            {false, default, Sent},
            {false, true, lists:sort(Sent)},
            {true, default, lists:sort(Sent)},
            {true, false, Sent}
        ]
    ].

cached_answer_needs_no_question(Server) ->
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 3600, {10, 0, 0, 1}}]),
    Resolver = open(Server, #{cache => true}),
    {ok, #{records := [#{address := Address, ttl := First}]}} = lookup(Resolver, "n1.test"),
    %% The name is the same in any case.
    {ok, #{records := [#{address := Found, ttl := Second}], ttl := Least}} = lookup(Resolver, "N1.Test"),
    ?assertEqual({Address, Second}, {Found, Least}),
    ?assert(First =:= 3600 andalso Second =< First),
    ?assertEqual(1, caravan_dns_server:count(Server)).

cached_nxdomain_needs_no_question(Server) ->
    Resolver = open(Server, #{cache => true}),
    [?assertEqual({error, nxdomain}, lookup(Resolver, "none.test")) || _ <- [1, 2]],
    ?assertEqual(1, caravan_dns_server:count(Server)).

failure_is_not_cached(Server) ->
    ok = caravan_dns_server:put(Server, "bad.test", a, servfail),
    Resolver = open(Server, #{cache => true}),
    [?assertEqual({error, servfail}, lookup(Resolver, "bad.test")) || _ <- [1, 2]],
    ?assertEqual(2, caravan_dns_server:count(Server)).

without_a_cache_each_lookup_asks(Server) ->
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 3600, {10, 0, 0, 1}}]),
    Resolver = open(Server, #{cache => false}),
    [{ok, _} = lookup(Resolver, "n1.test") || _ <- [1, 2]],
    ?assertEqual(2, caravan_dns_server:count(Server)).

max_ttl_of_zero_remembers_nothing(Server) ->
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 3600, {10, 0, 0, 1}}]),
    Resolver = open(Server, #{cache => #{max_ttl => 0}}),
    [{ok, _} = lookup(Resolver, "n1.test") || _ <- [1, 2]],
    ?assertEqual(2, caravan_dns_server:count(Server)).

max_entries_keeps_the_last_used(Server) ->
    Names = [First, Second, Third] = names(3),
    [ok = caravan_dns_server:put(Server, Name, a, [{a, 3600, {10, 0, 0, 1}}]) || Name <- Names],
    Resolver = open(Server, #{cache => [{max_entries, 2}]}),
    [{ok, _} = lookup(Resolver, Name) || Name <- [First, Second, First, Third, First, Second]],
    ?assertEqual([First, Second, Third, Second], [Name || #{name := Name} <- caravan_dns_server:queries(Server)]).

lookup(Resolver, Name) ->
    caravan_dns:lookup(Name, a, #{resolver => Resolver}).

counts(Servers) ->
    [caravan_dns_server:count(Server) || Server <- Servers].

with_two_servers(First, Test) ->
    {ok, Second} = caravan_dns_server:start_link(#{}),
    Servers = [First, Second],
    try
        Test(Servers, #{nameservers => [caravan_dns_server:nameserver(Server) || Server <- Servers]})
    after
        caravan_dns_server:stop(Second)
    end.
