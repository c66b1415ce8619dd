-module(caravan_reminders_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_reminders, [new/0, holds/3, ends/2, is_held/2, due/2, due_at/1]).

-define(MINUTE, 60000).
-define(HOUR, 3600000).
-define(START, -576460751234).

%% The monotonic clock of a VM starts below zero.
a_condition_is_said_after_a_minute_ten_and_each_hour_test() ->
    ?assertEqual([?MINUTE, 11 * ?MINUTE, ?HOUR + 11 * ?MINUTE, 2 * ?HOUR + 11 * ?MINUTE], said(holds(alone, ?START, new()), 4)).

%% Calls due/2 only at the times that due_at/1 gives.
said(_State, 0) ->
    [];
said(State, Times) ->
    At = due_at(State),
    {[], State} = due(At - 1, State),
    {[{alone, HeldMs}], Next} = due(At, State),
    [HeldMs | said(Next, Times - 1)].

what_ends_is_not_said_and_begins_again_test() ->
    Ended = ends(alone, holds(alone, 0, new())),
    ?assertEqual({none, false, new()}, {due_at(Ended), is_held(alone, Ended), Ended}),
    ?assertEqual({50000 + ?MINUTE, true}, begun(holds(alone, 50000, Ended))),
    ?assertEqual(new(), ends(alone, new())).

begun(State) -> {due_at(State), is_held(alone, State)}.

what_holds_still_began_when_it_did_test() ->
    ?assertEqual(?MINUTE, due_at(holds(alone, 50000, holds(alone, 0, new())))).

nodes_that_fail_one_after_the_other_are_said_together_test() ->
    Failing = lists:foldl(fun(Second, State) -> holds({failing, <<Second>>}, ?START + Second * 1000, State) end, new(), lists:seq(1, 50)),
    {Lines, Said} = lines(Failing, [], 3),
    ?assertEqual(50, length(lists:append(Lines)) - length(second(Said, Lines))),
    ?assert(length(Lines) =< 3),
    [?assert(HeldMs >= ?MINUTE) || {_, HeldMs} <- lists:append(Lines)].

%% None of them is logged twice within ten minutes.
second(_Said, Lines) ->
    Names = [Subject || {Subject, HeldMs} <- lists:append(Lines), HeldMs < 10 * ?MINUTE],
    [Due || {_, HeldMs} = Due <- lists:append(Lines), HeldMs >= 10 * ?MINUTE] ++ (Names -- lists:usort(Names)).

lines(State, Lines, 0) ->
    {Lines, State};
lines(State, Lines, Times) ->
    {Due, Next} = due(due_at(State), State),
    lines(Next, Lines ++ [Due], Times - 1).

%% A node that is intentionally not in the service logs this once.
that_this_node_is_not_listed_is_said_once_test() ->
    {[{not_self_listed, ?MINUTE}], Said} = due(?MINUTE, holds(not_self_listed, 0, new())),
    ?assertEqual({none, true}, {due_at(Said), is_held(not_self_listed, Said)}),
    ?assertEqual(none, due_at(holds(not_self_listed, ?HOUR, Said))),
    ?assertEqual(new(), ends(not_self_listed, Said)).
