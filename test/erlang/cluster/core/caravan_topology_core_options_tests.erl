%% The wanted nodes: with several queries, with fixed nodes, after a crash and after a change of options.
-module(caravan_topology_core_options_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_core, [
    options/1, facts/0, new/1, new/3, step/3, next/3, all/3, started/1, listing/2, connected/2, status/3,
    wanted/1, members/1, wake_at/1, answer/1, answer/2, answered/1, incomplete/1, failed/0, polled/1, no/1,
    connects/1, told/1, reports/1, look/3, looked/3, several/0, both/2, function/1, idle_function/1,
    disconnects/1, pruning/1, absent/1
]).

-define(OWN, <<"m@x">>).
-define(A, <<"a@x">>).
-define(B, <<"b@x">>).
-define(C, <<"c@x">>).
-define(CARRIED_MS, 600000).

%% After a crash, and with other options

what_was_wanted_before_a_crash_is_no_change_test() ->
    {Actions, State} = new(#{}, [?B, ?A], []),
    ?assertEqual([?A, ?B], connects(Actions)),
    ?assertEqual([{publish, [?A, ?B]}], [Action || {publish, _} = Action <- Actions]),
    ?assertEqual([distributed], reports(Actions)),
    ?assertEqual([?A, ?B], wanted(State)).

it_stands_until_a_complete_answer_test() ->
    {_, State} = new(#{}, [?A], []),
    Failed = next(failed(), 0, State),
    ?assertEqual([?A], wanted(Failed)),
    Empty = looked(polled({error, nxdomain}), ?CARRIED_MS, Failed),
    ?assertEqual([?A], wanted(Empty)),
    Added = looked(incomplete([?B]), 1000, Failed),
    ?assertEqual([?A, ?B], wanted(Added)),
    ?assertEqual([?B], wanted(looked(answered([?B]), 2000, Added))).

it_stands_for_ten_minutes_while_answers_are_incomplete_test() ->
    {_, State} = new(#{}, [?A], []),
    Added = next(incomplete([?B]), ?CARRIED_MS - 1, State),
    ?assertEqual([?A, ?B], wanted(Added)),
    ?assertEqual([?B], wanted(looked(incomplete([?B]), ?CARRIED_MS, Added))),
    ?assertEqual([?A, ?B], wanted(looked(failed(), ?CARRIED_MS, Added))).

it_counts_for_nothing_where_nodes_are_fixed_test() ->
    {_, State} = new(#{queries => [], nodes => [?B]}, [?A], []),
    ?assertEqual([?B], wanted(State)).

what_was_wanted_under_other_options_stands_until_the_first_answer_test() ->
    State = next({change, options(#{queries => [other]})}, 1, listing([?A], #{})),
    ?assertEqual([?A], wanted(State)),
    Failed = next({polled, [{other, {error, timeout}}], 0}, 2, State),
    ?assertEqual([?A], wanted(Failed)),
    ?assertEqual([?B], wanted(next({polled, [{other, answer([?B], #{complete => false})}], 0}, 2, State))),
    ?assertEqual([?B], wanted(looked({polled, [{other, answer([?B])}], 0}, 3, Failed))).

the_first_answer_is_that_of_all_queries_test() ->
    State = next({change, options(#{queries => [one, two]})}, 1, listing([?A], #{})),
    Half = next({polled, [{one, answer([?B])}, {two, {error, timeout}}], 0}, 2, State),
    ?assertEqual([?A, ?B], wanted(Half)),
    ?assertEqual([?B, ?C], wanted(looked({polled, [{one, answer([?B])}, {two, answer([?C])}], 0}, 3, Half))).

%% The answer of a query that stays is not carried over, and incomplete additions to it are looked up again.
a_query_that_stays_keeps_its_names_test() ->
    State = next({change, options(#{queries => [q, two]})}, 1, listing([?A], #{})),
    Both = next({polled, [{q, {error, timeout}}, {two, answer([?B])}], 0}, 2, State),
    ?assertEqual([?A, ?B], wanted(Both)).

fixed_nodes_that_are_none_any_more_are_not_wanted_at_once_test() ->
    State = listing([?A], #{nodes => [?B]}),
    ?assertEqual([?A, ?B], wanted(State)),
    ?assertEqual([?A], wanted(next({change, options(#{})}, 1, State))),
    ?assertEqual([?C], wanted(next({change, options(#{queries => [], nodes => [?C]})}, 1, State))).

members_stay_members_under_other_options_test() ->
    {Actions, State} = step({change, options(#{max_nodes => 5})}, 1, connected([?A], #{})),
    ?assertEqual({[], [?A]}, {told(Actions), members(State)}).

other_limits_hold_at_once_test() ->
    State = listing([?A, ?B, ?C], #{max_connecting => 1}),
    {Actions, _} = step({change, options(#{max_connecting => 2})}, 1, State),
    ?assertEqual(1, length(connects(Actions))),
    {Excluding, _} = step({change, options(#{max_connecting => 16, exclude => [?B]})}, 1, State),
    ?assertEqual([?C], connects(Excluding)).

other_bounds_hold_at_the_next_answer_test() ->
    State = next({change, options(pruning(#{prune_after => 2000, atom_budget => 1}))}, 5500, absent(#{})),
    ?assertEqual(1, status(atoms_left, 5500, State)),
    Still = next(answered([?B]), 6999, State),
    ?assertEqual(#{?A => 1999}, status(absent, 6999, Still)),
    ?assertEqual([?A], disconnects(element(1, look(answered([?B]), 7000, Still)))).

listeners_are_taken_at_once_when_there_are_such_test() ->
    State = connected([?A], #{exclude => [?B]}),
    Listed = looked(answered([?A, ?B, ?C]), 5000, State),
    Failed = next(no(?C), 5000, Listed),
    {Actions, _} = step({change, options(#{listener => fun is_c/1})}, 10000, Failed),
    ?assertEqual([?C], connects(Actions)).

is_c(Name) -> Name =:= ?C.

the_lists_of_a_former_function_are_not_awaited_test() ->
    Changed = next({change, options(function(#{nodes => [?A]}))}, 1, started(function(#{}))),
    State = next({listed, []}, 2, Changed),
    Connected = next({attempted, ?A, connected, 0}, 3, State),
    {Actions, _} = step({listed, []}, 4, Connected),
    ?assertEqual([{attempt, {failed, ?A, not_listed, new}, 0}], reports(Actions)).

%% One list is under way, and one more follows it for all requests made meanwhile.
two_lists_are_to_come_at_most_test() ->
    Asked = all([refresh, refresh, refresh, {listed, []}, {listed, []}], 1, idle_function([?A])),
    {Actions, _} = step({listed, []}, 3, next({attempted, ?A, connected, 0}, 2, Asked)),
    ?assertEqual([{attempt, {failed, ?A, not_listed, new}, 0}], reports(Actions)).

otp_may_say_who_is_connected_before_the_function_has_test() ->
    State = next({change, options(#{})}, 1, started(function(#{}))),
    {Early, Answered} = step(answered([?A, ?B]), 2, next({nodeup, ?A}, 1, State)),
    ?assertEqual([], connects(Early)),
    {Actions, Listed} = step({listed, [?A]}, 3, Answered),
    ?assertEqual({[?B], [?A]}, {connects(Actions), members(Listed)}),
    ?assertEqual([?A, ?B], members(next({nodeup, ?B}, 4, Listed))).

%% Several queries

what_any_query_lists_is_wanted_test() ->
    State = next(both(answer([?A, ?B]), answer([?B, ?C])), 0, started(several())),
    ?assertEqual([?A, ?B, ?C], wanted(State)),
    ?assertEqual([?A, ?B], wanted(looked(both(answer([?A]), answer([?B])), 5000, State))),
    ?assertEqual([?A, ?B, ?C], wanted(looked(both(answer([?A]), {error, timeout}), 5000, State))).

the_shortest_ttl_counts_test() ->
    Next = fun(One, Two) ->
        status(next_poll, 0, next(both(answer([?A], #{ttl => One}), answer([?B], #{ttl => Two})), 0, started(several())))
    end,
    ?assert(Next(3600, 30) >= 30000 andalso Next(3600, 30) =< 30100),
    ?assert(Next(30, 3600) =< 30100),
    ?assert(Next(0, 3600) =< 5500).

%% As long as one query is answered, polls go on at the normal interval.
looks_become_rarer_when_all_queries_fail_test() ->
    Next = fun(One, Two) -> status(next_poll, 0, next(both(One, Two), 0, started(several()))) end,
    ?assert(Next({error, timeout}, {error, timeout}) >= 9000),
    ?assert(Next({error, timeout}, answer([?A])) =< 5500).

the_status_is_that_of_the_least_sure_query_test() ->
    [
        begin
            State = next(both(One, Two), 0, started(several())),
            ?assertEqual({Expected, Complete}, {status(last_lookup, 5, State), status(complete, 5, State)})
        end
     || {Worse, Expected, Complete} <- [
            {{error, timeout}, {failed, timeout}, false},
            {{error, nxdomain}, {empty, nxdomain}, false},
            {answer([?B], #{complete => false}), fresh, false},
            {answer([?B]), fresh, true}
        ],
        {One, Two} <- [{Worse, answer([?A])}, {answer([?A]), Worse}]
    ],
    State = looked(both(answer([?A]), {error, timeout}), 100, next(both(answer([?A]), answer([?OWN])), 0, started(several()))),
    ?assertMatch(
        #{answer_age := 150, self_listed := true, complete := true}, caravan_topology_core:status(150, State)
    ).

what_is_refused_is_the_sum_test() ->
    Invalid = fun(Count) -> answer([], #{invalid => Count}) end,
    State = next(both(Invalid(1), Invalid(2)), 0, started(several())),
    ?assertMatch(
        #{names_refused := 3, last_refused := #{invalid := 3, max_nodes := 0}},
        caravan_topology_core:status(0, State)
    ).

%% The queries share one budget.
queries_share_the_budget_of_atoms_test() ->
    New = fun(Name) -> answer([Name], #{unknown => [Name]}) end,
    State = next(both(New(?A), New(?B)), 0, started((several())#{atom_budget => 1})),
    ?assertEqual({[?A], 0}, {wanted(State), status(atoms_left, 0, State)}).

a_node_that_is_connected_gives_its_atom_back_test() ->
    State = next(polled(answer([?A], #{unknown => [?A]})), 0, started(#{atom_budget => 1})),
    ?assertEqual(0, status(atoms_left, 0, State)),
    ?assertEqual(1, status(atoms_left, 0, next({nodeup, ?A}, 0, State))).

%% Of several basenames, all but one give names that belong to no node.
so_do_the_other_names_of_its_record_test() ->
    Options = #{atom_budget => 2, listener => fun(<<_, Listener/binary>>) -> Listener end},
    Names = [<<"a1@x">>, <<"b1@x">>],
    State = next(polled(answer([], #{records => [Names], unknown => Names})), 0, started(Options)),
    ?assertEqual(0, status(atoms_left, 0, State)),
    ?assertEqual(2, status(atoms_left, 0, next({nodeup, <<"b1@x">>}, 0, State))).

%% A source of new names that sort before it does not exclude it, however many queries there are.
who_was_refused_longest_comes_first_with_several_queries_test() ->
    New = fun(Names) -> answer(Names, #{unknown => Names}) end,
    Full = next(both(New([<<"x@x">>]), answer([])), 0, started((several())#{atom_budget => 1})),
    Refused = looked(both(New([<<"z@x">>]), answer([?B])), 1000, Full),
    Later = looked(both(New([?A, <<"z@x">>]), answer([?C])), 600000, Refused),
    ?assertEqual([?C, <<"x@x">>, <<"z@x">>], wanted(Later)).

%% Fixed nodes

fixed_nodes_are_wanted_without_a_look_test() ->
    {Actions, State} = new(#{queries => [], nodes => [?A, ?OWN]}),
    ?assertEqual({[?A], [?A]}, {connects(Actions), wanted(State)}),
    ?assertNot(lists:member(poll, Actions)),
    ?assertEqual([{publish, [?A]}], [Action || {publish, _} = Action <- Actions]),
    ?assertMatch(#{next_poll := none, last_lookup := none, self_listed := true}, caravan_topology_core:status(0, State)),
    Settled = next(wake, 500, all([{nodeup, ?A}, {attempted, ?A, connected, 0}], 0, State)),
    ?assertEqual(none, wake_at(Settled)),
    {Down, _} = step({nodedown, ?A, connection_closed}, 60000, Settled),
    ?assertEqual([?A], connects(Down)).

fixed_nodes_stand_beside_those_of_a_query_test() ->
    State = listing([?B], #{nodes => [?A]}),
    ?assertEqual([?A, ?B], wanted(State)),
    ?assertEqual([?A], wanted(looked(answered([]), 5000, State))).
