-module(caravan_sim_tests).

-include_lib("eunit/include/eunit.hrl").

-define(MINUTE, 60000).

%% The queue

what_is_first_comes_first_test() ->
    Queue = lists:foldl(
        fun({At, Item}, Next) -> caravan_sim_queue:in(At, Item, Next) end,
        caravan_sim_queue:new(),
        [{3, c}, {1, a}, {2, b}, {1, a2}, {0, z}, {3, c2}]
    ),
    ?assertEqual([z, a, a2, b, c, c2], all_out(caravan_sim_queue:out(Queue))).

what_is_put_in_for_now_or_before_comes_in_its_order_test() ->
    Queue = caravan_sim_queue:in(5, b, caravan_sim_queue:in(5, a, caravan_sim_queue:new())),
    {5, a, Left} = caravan_sim_queue:out(Queue),
    More = lists:foldl(fun({At, Item}, Next) -> caravan_sim_queue:in(At, Item, Next) end, Left, [{5, c}, {3, z}, {6, e}, {5, d}]),
    ?assertEqual([z, b, c, d, e], all_out(caravan_sim_queue:out(More))).

all_out(empty) -> [];
all_out({_At, Item, Queue}) -> [Item | all_out(caravan_sim_queue:out(Queue))].

%% Sets of numbers

as_many_of_a_set_are_counted_as_are_asked_for_test() ->
    Set = lists:foldl(fun caravan_sim_bits:add/2, 0, [0, 47, 48, 200, 499]),
    ?assertEqual([0, 47, 48, 200, 499], caravan_sim_bits:numbers(Set)),
    ?assertEqual(5, caravan_sim_bits:count(5, Set)),
    ?assertEqual(5, caravan_sim_bits:count(20, Set)),
    ?assertEqual(3, caravan_sim_bits:count(3, Set)),
    ?assert(caravan_sim_bits:is_few((1 bsl 16) - 1)),
    ?assertNot(caravan_sim_bits:is_few((1 bsl 17) - 1)).

%% Who reaches both of a pair has one of them, and all who do so have one another.
who_is_cut_off_is_counted_test() ->
    Steady = #{steady => #{broken => #{{<<"a">>, <<"b">>} => [], {<<"b">>, <<"a">>} => []}}},
    CutOff = fun(OfC, OfD) ->
        Vms = #{<<"a">> => {0, 2#1100}, <<"b">> => {1, 0}, <<"c">> => {2, OfC}, <<"d">> => {3, OfD}},
        caravan_sim_measures:names(cut_off, caravan_sim_measures:sweep(Vms, 0, Steady, caravan_sim_measures:new()))
    end,
    ?assertEqual([], CutOff(2#1001, 2#0110)),
    ?assertEqual([<<"c">>], CutOff(2#1000, 2#0101)),
    ?assertEqual([<<"d">>], CutOff(2#1001, 2#0011)).

%% DNS

answers_are_as_the_server_gives_them_test() ->
    All = zone(all),
    ?assertMatch({ok, #{records := [[<<"a">>], [<<"b">>], [<<"c">>]], complete := true, ttl := 30}}, asked(All)),
    ?assertMatch({ok, #{complete := false}}, asked(zone(unsure))),
    ?assertMatch({ok, #{records := [_, _], complete := true}}, asked(zone({sample, 2, true}))),
    ?assertEqual({error, nxdomain}, asked(caravan_sim_dns:fault(all, nxdomain, All))),
    ?assertMatch({ok, #{records := [[<<"a">>]], complete := false}}, asked(caravan_sim_dns:fault(1, {cut, 1}, All))),
    ?assertMatch({ok, #{records := [_, _, _]}}, asked(caravan_sim_dns:fault(2, {cut, 1}, All))),
    ?assertMatch({ok, #{records := [_, _], unresolved := 1}}, asked(caravan_sim_dns:fault(1, {unresolved, 1}, All))),
    Stale = caravan_sim_dns:unregister(a, caravan_sim_dns:fault(1, stale, All)),
    ?assertMatch({ok, #{records := [_, _, _]}}, asked(Stale)),
    ?assertMatch({ok, #{records := [_, _]}}, asked(caravan_sim_dns:mend(1, Stale))).

a_resolver_between_gives_what_it_has_until_the_ttl_is_over_test() ->
    Dns = zone(#{ttl => 30, caches => true, server => all}),
    {_, _, Random, Asked} = caravan_sim_dns:ask(1, 0, random(), Dns),
    Less = caravan_sim_dns:unregister(a, Asked),
    ?assertMatch({{ok, #{records := [_, _, _], ttl := 10}}, _, _, _}, caravan_sim_dns:ask(1, 20000, Random, Less)),
    ?assertMatch({{ok, #{records := [_, _], ttl := 30}}, _, _, _}, caravan_sim_dns:ask(1, 30000, Random, Less)),
    ?assertMatch({{ok, #{records := [_, _]}}, _, _, _}, caravan_sim_dns:ask(2, 20000, Random, Less)).

zone(#{} = Settings) ->
    lists:foldl(
        fun({Key, Name}, Dns) -> caravan_sim_dns:register(Key, [Name], Dns) end,
        caravan_sim_dns:new(Settings),
        [{b, <<"b">>}, {a, <<"a">>}, {c, <<"c">>}]
    );
zone(Server) ->
    zone(#{ttl => 30, caches => false, server => Server}).

asked(Dns) ->
    {Outcome, _Delay, _Random, _Dns} = caravan_sim_dns:ask(1, 0, random(), Dns),
    Outcome.

random() ->
    rand:seed_s(exsss, 1).

%% The engine

one_seed_gives_one_run_test_() ->
    {timeout, 60, fun() ->
        Scenario = caravan_sim_world:random(7, 6),
        Run = caravan_sim:run(Scenario, #{trace => true}),
        ?assertMatch([_ | _], maps:get(trace, Run)),
        ?assertEqual(Run, caravan_sim:run(Scenario, #{trace => true}))
    end}.

seeds_differ_test() ->
    ?assertNotEqual(maps:get(faults, caravan_sim_world:random(7, 6)), maps:get(faults, caravan_sim_world:random(8, 6))).

nodes_of_a_world_without_faults_are_soon_connected_test() ->
    #{outcome := ok, trace := Trace} = caravan_sim:run(world(#{size => 4, ends => ?MINUTE}), #{trace => true}),
    ?assertEqual(12, length([up || {At, _, {event, {nodeup, _}}} <- Trace, At < ?MINUTE])),
    ?assertEqual([], [down || {_, _, {event, {nodedown, _, _}}} <- Trace]).

the_rival_connects_them_too_test() ->
    Run = caravan_sim:run(world(#{size => 4, ends => ?MINUTE}), #{core => caravan_sim_plain, checks => false, trace => true}),
    ?assertEqual(12, length([up || {_, _, {event, {nodeup, _}}} <- maps:get(trace, Run)])).

%% The invariants: each of them finds a core that violates it.

doctored_test_() ->
    Dead = #{faults => [{40000, 4 * ?MINUTE, {phantoms, 3, none, for_good}}], dead => 3, ends => 4 * ?MINUTE},
    Stopped = #{faults => [{40000, ?MINUTE, {deploy, [2], 1000, 20000, same, 0}}], ends => 2 * ?MINUTE},
    Left = #{faults => [{40000, ?MINUTE, {rolling, [2], 1000, 20000, same, 0}}], ends => 2 * ?MINUTE},
    [
        {atom_to_list(Doctor), fun() -> ?assertMatch({violated, Invariant, _, _}, verdict(Doctor, Parts)) end}
     || {Doctor, Invariant, Parts} <- [
            {tries_itself, connects_sensibly, #{}},
            {tries_again_at_once, backs_off, Dead},
            {tries_nobody, tried_in_time, Dead},
            {disconnects_who_is_listed, prunes_nobody_listed, #{options => #{prune => true}}},
            {wants_too_many, wanted_is_bounded, #{}},
            {forgets, keeps_what_is_wanted, #{}},
            {looks_all_the_time, lookups_are_spread, #{}},
            {tells_twice, tells_the_truth, Stopped},
            {gives_another_reason, reports_the_truth, Stopped},
            {reports_as_new, reports_once, Dead},
            {tries_who_leaves, leaves_alone, Left},
            {warns_of_who_has_left, reports_the_truth, Left},
            {lies, status_is_true, #{}},
            {is_ready_with_dns_alone, stays_ready, #{faults => [{40000, ?MINUTE, {dns, all, servfail}}]}},
            {reports_all_the_time, lines_are_bounded, #{}},
            {reports_now_and_then, lines, #{
                faults => [], ends => 20 * ?MINUTE, steady => #{from => ?MINUTE, to => 20 * ?MINUTE, pairs => [{1, 2}, {2, 1}]}
            }}
        ]
    ].

verdict(Doctor, #{} = Parts) ->
    Options = maps:get(options, Parts, #{}),
    Scenario = world(Parts#{options => caravan_sim_world:options(Options#{doctor => Doctor})}),
    caravan_sim_judge:verdict(Scenario, caravan_sim:run(Scenario, #{core => caravan_sim_doctored})).

an_untouched_core_violates_none_test() ->
    ?assertMatch({ok, _}, verdict(none, #{})).

nodes_that_stay_apart_violate_the_first_invariant_test() ->
    Scenario = caravan_sim_world:base(),
    Missing = [{<<"a-4000@h1">>, <<"a-4000@h2">>, false}],
    Flapped = [{<<"a-4000@h1">>, <<"a-4000@h2">>, true}],
    Bound = caravan_sim_invariants:settled_after(Scenario),
    ?assertEqual(ok, caravan_sim_invariants:converges(Missing, Bound, Scenario)),
    ?assertThrow({violated, converges, _}, caravan_sim_invariants:converges(Missing, Bound + 1, Scenario)),
    ?assertEqual(ok, caravan_sim_invariants:converges(Flapped, Bound + 1, Scenario)),
    ?assertThrow({violated, converges, _}, caravan_sim_invariants:converges(Flapped, Bound + 660001, Scenario)),
    ?assertThrow({violated, stays_whole, _}, caravan_sim_invariants:stays_whole(Missing, 0)).

what_grows_violates_a_bound_test() ->
    Options = caravan_sim_world:options(#{max_nodes => 10, atom_budget => 10}),
    ?assertEqual(ok, caravan_sim_invariants:atoms_are_bounded(11, {0, 0}, Options)),
    ?assertThrow({violated, atoms_are_bounded, _}, caravan_sim_invariants:atoms_are_bounded(12, {0, 0}, Options)),
    ?assertThrow({violated, state_is_bounded, _}, caravan_sim_invariants:state_is_bounded(1000000, 3, Options)).

more_than_the_fraction_is_too_many_test() ->
    Options = caravan_sim_world:options(#{prune_max_fraction => 0.34}),
    ?assertEqual(ok, caravan_sim_invariants:prunes_within_fraction([a, b, c], 6, Options, 0)),
    ?assertThrow({violated, prunes_within_fraction, _}, caravan_sim_invariants:prunes_within_fraction([a, b, c], 5, Options, 0)).

old_samples_are_wanted_no_more_test() ->
    ?assertEqual(ok, caravan_sim_invariants:wants_no_old_samples([])),
    ?assertThrow({violated, wants_no_old_samples, _}, caravan_sim_invariants:wants_no_old_samples([a])).

who_leaves_takes_nobody_along_test() ->
    ?assertEqual(ok, caravan_sim_invariants:keeps_bystanders(<<"a">>, connection_closed, true)),
    ?assertThrow({violated, keeps_bystanders, _}, caravan_sim_invariants:keeps_bystanders(<<"a">>, connection_closed, false)).

who_has_left_tries_nobody_test() ->
    ?assertEqual(ok, caravan_sim_invariants:leaves_alone(<<"a">>, #{left => [7], away_until => 7, now => 7})),
    ?assertThrow({violated, leaves_alone, _}, caravan_sim_invariants:leaves_alone(<<"a">>, #{left => [], away_until => 8, now => 7})).

%% A disconnect of each alone takes others along: what `global:disconnect/0' spares, the model has.
one_disconnect_after_the_other_takes_bystanders_along_test() ->
    Losses = fun(Leave) ->
        Names = [<<"a">>, <<"b">>, <<"c">>, <<"d">>],
        Run = lists:foldl(
            fun({Function, Arguments}, Next) -> caravan_sim_network_run:quiet(caravan_sim_network_run:input(Function, Arguments, Next)) end,
            caravan_sim_network_run:new(Names, #{}, 1),
            [{connect, [<<"a">>, Name]} || Name <- tl(Names)]
        ),
        Left = caravan_sim_network_run:quiet(lists:foldl(
            fun({Function, Arguments}, Next) -> caravan_sim_network_run:input(Function, Arguments, Next) end, Run, Leave
        )),
        caravan_sim_network:connections(caravan_sim_network_run:net(Left))
    end,
    ?assertEqual(3, Losses([{leave, [<<"a">>]}])),
    ?assert(Losses([{disconnect, [<<"a">>, Name]} || Name <- [<<"b">>, <<"c">>]]) < 3).

%% Under a steady fault counts decide: those of the rival are too many for each of these invariants.
the_rival_violates_what_holds_under_a_steady_fault_test() ->
    Scenario = caravan_sim_known:scenario(pair_of_three),
    #{measures := Plain} = caravan_sim:run(Scenario, #{core => caravan_sim_plain, checks => false}),
    ?assertThrow({violated, tries_of_broken_peers, _}, caravan_sim_invariants:steady(Scenario, Plain)),
    #{measures := Ours} = caravan_sim:run(Scenario, #{}),
    ?assertThrow({violated, no_worse_than_plain, _}, caravan_sim_invariants:no_worse_than_plain(Scenario, Plain, Ours)).

%% Mutants: `scripts/simulate --mutants' runs them.

each_mutant_is_a_module_test_() ->
    [
        {atom_to_list(element(1, Mutant)), {timeout, 60, fun() -> ?assertMatch({ok, _}, caravan_sim_mutants:code(Mutant)) end}}
     || Mutant <- caravan_sim_mutants:all()
    ].

%% What a run that fails says

a_world_that_fails_is_made_small_test() ->
    Faults = [
        {2 * ?MINUTE, 3 * ?MINUTE, {pause, 1}},
        {?MINUTE, 4 * ?MINUTE, {cut, [{1, 2}], drop}},
        {2 * ?MINUTE, 2 * ?MINUTE, {poll, 3}},
        {?MINUTE, 2 * ?MINUTE, {scale, [7, 8], 0}}
    ],
    Options = caravan_sim_world:options(#{prune => true}),
    Scenario = world(#{size => 6, faults => Faults, ends => 5 * ?MINUTE, options => Options}),
    %% Any world with more than two nodes and a host that scales fails.
    Fails = fun(#{faults := Left, size := Size}) ->
        case Size > 2 andalso [found || {_, _, {scale, _, _}} <- Left] of
            [_ | _] -> {violated, found, 0, none};
            _ -> {ok, none}
        end
    end,
    Small = caravan_sim_shrink:shrink(Scenario, found, Fails),
    ?assertMatch(#{size := 3, faults := [{_, _, {scale, [7, 8], 0}}], options := #{prune := false}}, Small).

a_trace_is_short_enough_to_read_test() ->
    Text = unicode:characters_to_binary(caravan_sim_judge:trace(caravan_sim_world:random(7, 6))),
    Lines = binary:split(Text, <<"\n">>, [global]),
    ?assert(length(Lines) =< 100),
    ?assertNotEqual(nomatch, binary:match(Text, <<"{boot,">>)).

world(Parts) ->
    caravan_sim_world:with_broken(maps:merge(caravan_sim_world:base(), Parts)).
