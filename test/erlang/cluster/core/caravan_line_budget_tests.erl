-module(caravan_line_budget_tests).

-include_lib("eunit/include/eunit.hrl").

-define(REFILL_MS, 60000).

spend(Count, Now, State) ->
    lists:mapfoldl(fun(_, Next) -> caravan_line_budget:spend(kind, Now, Next) end, State, lists:seq(1, Count)).

%% The initial lines are spent.
spent() ->
    {_, State} = spend(20, 0, caravan_line_budget:new(0)),
    State.

twenty_events_have_a_line_each_test() ->
    {Lines, State} = spend(22, 0, caravan_line_budget:new(0)),
    ?assertEqual(lists:duplicate(20, true) ++ [false, false], Lines),
    ?assertEqual(?REFILL_MS, caravan_line_budget:due_at(State)).

what_had_no_line_is_counted_by_kind_test() ->
    {[false, false], State} = spend(2, 0, spent()),
    {false, Both} = caravan_line_budget:spend(other, 0, State),
    ?assertMatch({none, _}, caravan_line_budget:summary(?REFILL_MS - 1, Both)),
    {Counts, Told} = caravan_line_budget:summary(?REFILL_MS, Both),
    ?assertEqual(#{kind => 2, other => 1}, Counts),
    ?assertMatch({none, _}, caravan_line_budget:summary(2 * ?REFILL_MS, Told)),
    ?assertEqual(none, caravan_line_budget:due_at(Told)).

%% The summary comes first, so that readers of the log see that events were not logged.
no_event_has_a_line_before_the_summary_test() ->
    {[false], State} = spend(1, 0, spent()),
    {[false], Later} = spend(1, ?REFILL_MS, State),
    {#{kind := 2}, Told} = caravan_line_budget:summary(?REFILL_MS, Later),
    ?assertMatch({[false], _}, spend(1, ?REFILL_MS, Told)),
    ?assertMatch({[true], _}, spend(1, 2 * ?REFILL_MS, Told)).

one_more_comes_each_minute_and_twenty_at_most_test() ->
    ?assertMatch({[true, false], _}, spend(2, 2 * ?REFILL_MS - 1, spent())),
    ?assertMatch({[true, true, false], _}, spend(3, 2 * ?REFILL_MS, spent())),
    {Lines, _} = spend(21, 1000 * ?REFILL_MS, spent()),
    ?assertEqual(20, length([yes || true <- Lines])).

without_an_event_nothing_is_due_test() ->
    ?assertEqual(none, caravan_line_budget:due_at(caravan_line_budget:new(0))),
    ?assertMatch({none, _}, caravan_line_budget:summary(?REFILL_MS, spent())).

%% It is overdue if it was not asked for while the budget was refilled.
a_summary_that_has_a_line_is_due_at_once_test() ->
    {[false], State} = spend(1, 0, spent()),
    {false, Filled} = caravan_line_budget:spend(kind, 3 * ?REFILL_MS, State),
    ?assert(caravan_line_budget:due_at(Filled) =< 3 * ?REFILL_MS),
    ?assertMatch({#{kind := 2}, _}, caravan_line_budget:summary(3 * ?REFILL_MS, Filled)).
