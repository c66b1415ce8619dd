%% Resolvers that a caller opens, their lifetimes, and the default resolver.
-module(caravan_dns_resolver_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_dns_fixture, [await/1, open/2]).

-export([log/2]).

-define(GUARD_MS, 10000).
-define(WRONG_RESOLVER(Value), {error, {bad_option, resolver, Value, "what caravan_dns:open/1 gave"}}).

resolver_test_() ->
    caravan_dns_fixture:tests([
        fun closed_resolver_answers_closed/1,
        fun close_ends_open_lookups/1,
        fun close_leaves_other_resolvers_alone/1,
        fun what_is_no_resolver_is_said/1,
        fun resolver_of_another_term_form_is_the_same/1,
        fun each_asks_its_own_nameservers/1,
        fun nameservers_of_a_lookup_win/1,
        fun forgotten_resolver_is_collected_and_still_answers/1,
        fun default_follows_the_nameservers_configured/1,
        fun default_follows_the_options_configured/1,
        fun default_stays_while_nothing_changes/1,
        fun lookups_through_a_bad_default_say_why/1
    ]).

closed_resolver_answers_closed(Server) ->
    put_address(Server),
    Resolver = open(Server, #{}),
    {ok, _} = lookup(Resolver),
    ?assertEqual(ok, caravan_dns:close(Resolver)),
    ?assertEqual({error, closed}, lookup(Resolver)),
    ?assertEqual({error, closed}, await(lookup_async(Resolver, "n1.test"))),
    ?assertEqual({error, closed}, caravan_dns:stats(Resolver)),
    ?assertEqual(ok, caravan_dns:close(Resolver)),
    ?assertEqual(1, caravan_dns_server:count(Server)).

close_ends_open_lookups(Server) ->
    ok = caravan_dns_server:put(Server, "silent.test", a, drop),
    %% All but the first one are queued.
    Resolver = open(Server, #{timeout => 3600000, max_inflight => 1}),
    Refs = [lookup_async(Resolver, Name) || Name <- ["silent.test", "n2.test", "n3.test"]],
    ok = caravan_dns_server:await_queries(Server, 1, ?GUARD_MS),
    ok = caravan_dns:close(Resolver),
    ?assertEqual([{error, closed} || _ <- Refs], [await(Ref) || Ref <- Refs]),
    ?assertEqual({messages, []}, process_info(self(), messages)).

close_leaves_other_resolvers_alone(Server) ->
    Gate = caravan_dns_gate:new(),
    ok = caravan_dns_server:put(Server, "n1.test", a, caravan_dns_gate:hold(Gate, [{a, 30, {10, 0, 0, 1}}])),
    [Closed, Left] = [open(Server, #{}) || _ <- [1, 2]],
    [Ended, Open] = [lookup_async(Resolver, "n1.test") || Resolver <- [Closed, Left]],
    ok = caravan_dns:close(Closed),
    ?assertEqual({error, closed}, await(Ended)),
    ok = caravan_dns_gate:open(Gate),
    ?assertMatch({ok, _}, await(Open)).

what_is_no_resolver_is_said(Server) ->
    Lookup = lookup_async(open(Server, #{}), "none.test"),
    _ = await(Lookup),
    [
        begin
            ?assertEqual(?WRONG_RESOLVER(Wrong), caravan_dns:stats(Wrong)),
            ?assertEqual(?WRONG_RESOLVER(Wrong), caravan_dns:close(Wrong)),
            [
                ?assertMatch({error, {bad_option, resolver, Wrong, _}}, caravan_dns:lookup("n1.test", a, Options))
             || Options <- [#{resolver => Wrong}, [{resolver, Wrong}], #{resolver => Wrong, timeout => 100}]
            ]
        end
     || Wrong <- [make_ref(), Lookup, none, self(), <<"resolver">>]
    ].

resolver_of_another_term_form_is_the_same(Server) ->
    put_address(Server),
    Resolver = open(Server, #{}),
    ?assertMatch({ok, _}, lookup(binary_to_term(term_to_binary(Resolver)))).

each_asks_its_own_nameservers(Server) ->
    with_another_server(fun(Another) ->
        put_address(Server),
        Resolvers = [Here, There] = [open(Server, #{}), open(Another, #{})],
        [?assertMatch({error, nxdomain}, lookup(There)) || _ <- [1, 2]],
        ?assertMatch({ok, _}, lookup(Here)),
        ?assertEqual([1, 2], [caravan_dns_server:count(Asked) || Asked <- [Server, Another]]),
        ?assertMatch([{ok, #{queries := 1}}, {ok, #{queries := 2}}], [caravan_dns:stats(R) || R <- Resolvers])
    end).

nameservers_of_a_lookup_win(Server) ->
    with_another_server(fun(Another) ->
        put_address(Server),
        Options = #{resolver => open(Another, #{}), nameservers => [caravan_dns_server:nameserver(Server)]},
        ?assertMatch({ok, _}, caravan_dns:lookup("n1.test", a, Options)),
        ?assertEqual(0, caravan_dns_server:count(Another))
    end).

%% The external term gives the resolver as long as that exists, but does not keep it alive.
forgotten_resolver_is_collected_and_still_answers(Server) ->
    Gate = caravan_dns_gate:new(),
    ok = caravan_dns_server:put(Server, "n1.test", a, caravan_dns_gate:hold(Gate, [{a, 30, {10, 0, 0, 1}}])),
    {Ref, External} = ask_and_forget(Server),
    ok = caravan_dns_server:await_queries(Server, 1, ?GUARD_MS),
    ?assertMatch({ok, _}, caravan_dns:stats(binary_to_term(External))),
    true = garbage_collect(),
    ?assertMatch(?WRONG_RESOLVER(_), caravan_dns:stats(binary_to_term(External))),
    ok = caravan_dns_gate:open(Gate),
    ?assertMatch({ok, _}, await(Ref)).

ask_and_forget(Server) ->
    Resolver = open(Server, #{}),
    {lookup_async(Resolver, "n1.test"), term_to_binary(Resolver)}.

default_follows_the_nameservers_configured(Server) ->
    with_another_server(fun(Another) ->
        put_address(Server),
        with_env(nameservers, [caravan_dns_server:nameserver(Server)], fun() ->
            ?assertMatch({ok, _}, caravan_dns:lookup("n1.test", a)),
            ok = application:set_env(caravan, nameservers, [caravan_dns_server:nameserver(Another)]),
            ?assertEqual({error, nxdomain}, caravan_dns:lookup("n1.test", a))
        end)
    end).

default_follows_the_options_configured(Server) ->
    with_env(nameservers, [caravan_dns_server:nameserver(Server)], fun() ->
        put_address(Server),
        {ok, _} = caravan_dns:lookup("n1.test", a),
        with_env(resolver, [{transport, tcp}], fun() -> {ok, _} = caravan_dns:lookup("n1.test", a) end),
        {ok, _} = caravan_dns:lookup("n1.test", a),
        Transports = [Transport || #{transport := Transport} <- caravan_dns_server:queries(Server)],
        ?assertEqual([udp, tcp, udp], Transports)
    end).

default_stays_while_nothing_changes(Server) ->
    with_env(nameservers, [caravan_dns_server:nameserver(Server)], fun() ->
        [{error, nxdomain} = caravan_dns:lookup("none.test", a) || _ <- [1, 2, 3]],
        ?assertMatch({ok, #{queries := 3}}, caravan_dns:stats())
    end).

lookups_through_a_bad_default_say_why(Server) ->
    put_address(Server),
    [
        with_env(Key, Value, fun() ->
            Expected = {error, {bad_option, {Named, environment}, Wrong, Allowed}},
            ?assertEqual(Expected, caravan_dns:lookup("n1.test", a)),
            ?assertEqual(Expected, caravan_dns:stats()),
            ?assertMatch({ok, _}, lookup(open(Server, #{})))
        end)
     || {Key, Value, Named, Wrong, Allowed} <- [
            {resolver, #{timeout => 0}, timeout, 0, "an integer from 1 to 3600000"},
            {resolver, 5, resolver, 5, "a map or a list of options"},
            {nameservers, [], nameservers, [],
                "system, or 1 to 16 of \"Address\", \"IPv4:Port\" or \"[IPv6]:Port\""}
        ]
    ].

application_with_a_bad_resolver_starts_and_says_so_test() ->
    %% Loading an application sets the keys of its file and keeps those that are set.
    _ = application:load(caravan),
    with_env(resolver, #{tries => 0}, fun() ->
        ok = logger:add_handler(?MODULE, ?MODULE, #{level => error, config => self()}),
        try
            {ok, _} = application:ensure_all_started(caravan),
            ?assertMatch(#{event := bad_resolver, error := {bad_option, {tries, environment}, 0, _}}, logged()),
            ok = application:stop(caravan)
        after
            logger:remove_handler(?MODULE)
        end
    end).

%% Called by logger.
log(#{msg := {report, #{event := _} = Report}}, #{config := Test}) ->
    Test ! {logged, Report};
log(_, _) ->
    ok.

logged() ->
    receive
        {logged, Report} -> Report
    after ?GUARD_MS -> error(nothing_logged)
    end.

put_address(Server) ->
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 30, {10, 0, 0, 1}}]).

lookup(Resolver) ->
    caravan_dns:lookup("n1.test", a, #{resolver => Resolver}).

lookup_async(Resolver, Name) ->
    caravan_dns:lookup_async(Name, a, #{resolver => Resolver}).

with_another_server(Test) ->
    {ok, Another} = caravan_dns_server:start_link(#{}),
    try
        Test(Another)
    after
        caravan_dns_server:stop(Another)
    end.

with_env(Key, Value, Test) ->
    ok = application:set_env(caravan, Key, Value),
    try
        Test()
    after
        application:unset_env(caravan, Key)
    end.
