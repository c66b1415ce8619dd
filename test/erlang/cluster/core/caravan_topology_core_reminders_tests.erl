%% What is logged about failures, and about faults that persist.
-module(caravan_topology_core_reminders_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_core, [
    started/1, listing/2, connected/2, step/3, step/4, next/3, all/3, answered/1, incomplete/1, failed/0, polled/1, no/1, look/3,
    looked/3, not_distributed/1, facts/1, options/1, several/0, both/2, wake_at/1, function/1
]).

-define(OWN, <<"m@x">>).
-define(A, <<"a@x">>).
-define(B, <<"b@x">>).
-define(C, <<"c@y">>).
-define(MINUTE, 60000).

%% Returns the lines of the log of these kinds.
lines(Kinds, Actions) -> [Report || {report, Report} <- Actions, lists:member(element(1, Report), Kinds)].

lines(Actions) -> lines([lost, connect_failed, connected, alone, failing, never_answered, not_self_listed], Actions).

a_node_that_is_lost_and_refuses_is_one_line_test() ->
    State = next(wake, 500, connected([?A, ?B, ?OWN], #{})),
    Lost = next(no(?A), 100040, next({nodedown, ?A, connection_closed}, 100000, State)),
    {Actions, Told} = step(wake, 100500, Lost),
    ?assertEqual([{lost, [{?A, connection_closed, true, none}], [{?A, no}], 1}], lines(Actions)),
    ?assertEqual([], lines(element(1, step(wake, 101000, Told)))).

a_node_that_is_back_already_has_not_failed_test() ->
    State = all([no(?A), {nodeup, ?A}], 0, listing([?A], #{})),
    ?assertEqual([{connected, [?A], 1}], lines(element(1, step(wake, 500, State)))).

nodes_that_fail_for_one_reason_are_one_line_test() ->
    Raised = fun(Name) -> {attempted, Name, {failed, {raised, self()}}, 0} end,
    State = all([no(?B), Raised(?C), no(?A)], 0, listing([?A, ?B, ?C], #{})),
    ?assertMatch([{connect_failed, no, [?A, ?B]}, {connect_failed, {raised, _}, [?C]}], lines(element(1, step(wake, 500, State)))).

a_cluster_without_members_says_so_after_a_minute_ten_and_an_hour_test() ->
    State = listing([?A, ?B, ?OWN], #{}),
    Failed = next(wake, 500, next(no(?A), 0, State)),
    {Actions, Told} = step(wake, ?MINUTE, Failed),
    ?assertEqual([{alone, 2, ?MINUTE, [{?A, no}]}], lines(Actions)),
    ?assertEqual([], lines([alone], element(1, step(wake, 11 * ?MINUTE - 1, Told)))),
    {Again, ToldAgain} = step(wake, 11 * ?MINUTE, Told),
    ?assertMatch([{alone, 2, _, _}], lines([alone], Again)),
    {Later, _} = step(wake, 71 * ?MINUTE, ToldAgain),
    ?assertMatch([{alone, 2, _, _}], lines([alone], Later)),
    Up = next({nodeup, ?B}, ?MINUTE, Told),
    ?assertEqual([], lines([alone], element(1, step(wake, 100 * ?MINUTE, Up)))).

who_wants_nobody_or_does_not_know_is_not_alone_test() ->
    Later = fun(State) -> lines([alone], element(1, step(wake, 2 * ?MINUTE, State))) end,
    ?assertEqual([], Later(listing([?OWN], #{}))),
    ?assertEqual([], Later(listing([?A, ?OWN], function(#{})))),
    Alone = not_distributed(<<"nonode@nohost">>),
    {_, State} = caravan_topology_core:new(options(#{queries => [], nodes => [?A]}), [], [], 0, Alone),
    ?assertEqual([], lines([alone], element(1, step(wake, 2 * ?MINUTE, Alone, State)))).

a_node_that_fails_on_is_named_again_test() ->
    State = all([{nodeup, ?B}, no(?A)], 1000, listing([?A, ?B, ?OWN], #{})),
    {Actions, Told} = step(wake, 2 * ?MINUTE, next(wake, 1500, State)),
    ?assertEqual([{failing, [{?A, no, 119000}]}], lines(Actions)),
    ?assertEqual([], lines(element(1, step(wake, 12 * ?MINUTE - 1, Told)))),
    ?assertMatch([{failing, [{?A, no, _}]}], lines(element(1, step(wake, 12 * ?MINUTE, Told)))),
    %% It is silent as soon as the condition ends, no matter how.
    Ends = [{nodeup, ?A}, {exclude, ?A, 10000000}],
    [?assertEqual([], lines([failing], element(1, step(wake, 12 * ?MINUTE, next(End, 3 * ?MINUTE, Told))))) || End <- Ends],
    Unlisted = next(answered([?B, ?OWN]), 3 * ?MINUTE, Told),
    ?assertEqual([], lines([failing], element(1, step(wake, 12 * ?MINUTE, Unlisted)))).

%% Its earlier failures are over.
a_node_that_was_up_meanwhile_fails_anew_test() ->
    State = all([{nodeup, ?B}, no(?A), {nodeup, ?A}], 0, listing([?A, ?B, ?OWN], #{})),
    Down = all([{nodedown, ?A, net_tick_timeout}, no(?A)], 100000, State),
    ?assertEqual([], lines([failing], element(1, step(wake, 159000, Down)))),
    ?assertMatch([{failing, [{?A, no, 80000}]}], lines([failing], element(1, step(wake, 180000, Down)))).

%% The second, the fourth and the eighth are logged, and then that a connection lasts.
connections_that_do_not_last_are_said_at_a_growing_interval_test() ->
    {Lines, State} = lists:mapfoldl(
        fun(Round, Before) ->
            Now = Round * 10000,
            Lost = all([{nodeup, ?A}, {nodedown, ?A, connection_closed}], Now, Before),
            {Actions, Next} = step(wake, Now + 500, Lost),
            {[{Round, Line} || {lost, [{_, _, _, Line}], _, _} <- lines([lost], Actions)] ++ lines([connected], Actions), Next}
        end,
        next({nodeup, ?B}, 0, listing([?A, ?B, ?OWN], #{})),
        lists:seq(1, 9)
    ),
    ?assertMatch(
        [{1, none}, {connected, [?B], 1}, {2, {?A, 2, _}}, {4, {?A, 4, _}}, {8, {?A, 8, _}}], lists:append(Lines)
    ),
    Up = next({nodeup, ?A}, 100000, State),
    ?assertEqual([], lines([connected], element(1, step(wake, 100500, Up)))),
    {Lasting, Said} = step(wake, 180000, Up),
    ?assertEqual([{connected, [?A, 2]}], [{connected, Names ++ [Count]} || {connected, Names, Count} <- lines([connected], Lasting)]),
    ?assertEqual([], lines([connected], element(1, step(wake, 10000000, Said)))).

%% Each of these losses has been logged already.
connections_that_do_not_last_are_no_failures_that_go_on_test() ->
    State = all([{nodeup, ?B}, no(?A), {nodeup, ?A}, {nodedown, ?A, connection_closed}], 0, listing([?A, ?B, ?OWN], #{})),
    ?assertEqual([], lines([failing], element(1, step(wake, 2 * ?MINUTE, State)))).

a_query_without_any_answer_is_said_after_a_minute_test_() ->
    Said = fun(Reports) -> lines([never_answered], element(1, step(wake, 70000, Reports))) end,
    Failed = next(failed(), 1000, started(#{})),
    [
        ?_assertEqual([{never_answered, [{q, {failed, timeout}}], 69000}], Said(Failed)),
        ?_assertEqual([{never_answered, [{q, {empty, nxdomain}}], 70000}], Said(next(polled({error, nxdomain}), 0, started(#{})))),
        ?_assertEqual([], Said(looked(answered([]), 5000, Failed))),
        %% One of two queries.
        ?_assertEqual(
            [{never_answered, [{two, {failed, servfail}}], 70000}],
            Said(next(both(caravan_test_core:answer([?A]), {error, servfail}), 0, started(several())))
        )
    ].

a_query_that_is_answered_no_more_is_told_after_ten_minutes_and_each_hour_test() ->
    Said = fun({Actions, _}) -> lines([unanswered, never_answered], Actions) end,
    Failed = looked(failed(), 5000, listing([?A], #{})),
    ?assertEqual([], Said(step(wake, 5000 + 10 * ?MINUTE - 1, Failed))),
    {_, Told} = First = step(wake, 5000 + 10 * ?MINUTE, Failed),
    ?assertEqual([{unanswered, [{q, {failed, timeout}}], 10 * ?MINUTE}], Said(First)),
    ?assertEqual([], Said(step(wake, 5000 + 70 * ?MINUTE - 1, Told))),
    ?assertEqual([{unanswered, [{q, {failed, timeout}}], 70 * ?MINUTE}], Said(step(wake, 5000 + 70 * ?MINUTE, Told))),
    Answered = looked(answered([?A]), 10000, Failed),
    ?assertEqual([], Said(step(wake, 20 * ?MINUTE, Answered))),
    %% A change that keeps the query answers nothing.
    Changed = next({change, options(#{max_connecting => 3})}, 10000, Failed),
    ?assertEqual([{unanswered, [{q, {failed, timeout}}], 10 * ?MINUTE}], Said(step(wake, 5000 + 10 * ?MINUTE, Changed))),
    Dropped = next({change, options(#{queries => [], nodes => [?A]})}, 10000, Failed),
    ?assertEqual([], Said(step(wake, 20 * ?MINUTE, Dropped))).

a_query_that_was_answered_once_is_no_such_query_test() ->
    State = looked(failed(), 5000, listing([?A], #{})),
    ?assertEqual([], lines([never_answered], element(1, step(wake, 2 * ?MINUTE, State)))).

whether_there_was_an_answer_is_said_of_a_failure_test() ->
    Was = fun(Actions) -> [WasAnswered || {report, {looked_up, _, _, _, WasAnswered, _}} <- Actions] end,
    {First, Failed} = step(failed(), 0, started(#{})),
    ?assertEqual([false], Was(First)),
    {Second, Answered} = look(answered([?A]), 5000, Failed),
    ?assertEqual([false], Was(Second)),
    {Third, _} = look(failed(), 10000, Answered),
    ?assertEqual([true], Was(Third)).

a_node_that_dns_does_not_list_is_told_once_test() ->
    State = listing([?A, <<"n@X">>, ?C], #{}),
    Steady = looked(answered([?A, <<"n@X">>, ?C]), 30000, State),
    {Actions, Told} = step(wake, ?MINUTE, Steady),
    ?assertEqual([{not_self_listed, ?OWN, [?A, <<"n@X">>]}], lines([not_self_listed], Actions)),
    ?assertEqual([], lines([not_self_listed], element(1, step(wake, 100 * ?MINUTE, Told)))),
    %% Listed at first, and not any more.
    Again = looked(answered([?A]), 300000, next(answered([?A, ?OWN]), 200000, Told)),
    ?assertEqual([{not_self_listed, ?OWN, [?A]}], lines([not_self_listed], element(1, step(wake, 360000, Again)))).

%% A node that boots is not registered yet.
a_node_that_is_listed_within_a_minute_is_not_told_test() ->
    State = looked(answered([?A, ?OWN]), 50000, listing([?A], #{})),
    ?assertEqual([], lines([not_self_listed], element(1, step(wake, 2 * ?MINUTE, State)))).

only_a_complete_answer_says_that_this_node_is_not_listed_test_() ->
    Said = fun(State) -> lines([not_self_listed], element(1, step(wake, 2 * ?MINUTE, State))) end,
    Alone = not_distributed(<<"nonode@nohost">>),
    {_, New} = caravan_topology_core:new(options(#{}), [], [], 0, Alone),
    {_, Nameless} = step(answered([?A]), 1, Alone, New),
    [
        ?_assertEqual([], Said(next(incomplete([?A]), 0, started(#{})))),
        ?_assertEqual([], Said(listing([?A], #{nodes => [?OWN]}))),
        ?_assertEqual([], Said(listing([?A], #{answers => sampled}))),
        ?_assertEqual([], lines([not_self_listed], element(1, step(wake, 2 * ?MINUTE, Alone, Nameless))))
    ].

%% With another name or other options it is another condition.
another_name_begins_again_test() ->
    State = listing([?A], #{}),
    {_, Renamed} = step(answered([?A]), 50000, facts(#{own => <<"z@x">>}), next(poll, 50000, State)),
    Later = fun(Now) -> lines([not_self_listed], element(1, step(wake, Now, facts(#{own => <<"z@x">>}), Renamed))) end,
    ?assertEqual([], Later(?MINUTE)),
    ?assertEqual([{not_self_listed, <<"z@x">>, [?A]}], Later(110000)).

other_options_begin_again_test() ->
    State = next({change, options(#{queries => [other]})}, 1000, next(failed(), 0, started(#{}))),
    ?assertEqual([], lines([never_answered], element(1, step(wake, 2 * ?MINUTE, State)))).

%% No matter what else is logged.
what_is_said_rarely_needs_no_line_of_the_budget_test() ->
    Names = [<<"n", C, "@x">> || C <- lists:seq($a, $z)],
    Failed = all([{attempted, Name, {failed, {no, Name}}, 0} || Name <- Names], 0, listing(Names, #{max_connecting => 100})),
    Spent = next(wake, 500, Failed),
    ?assertMatch([{alone, 26, _, _}, {not_self_listed, _, _}], lines(element(1, step(wake, ?MINUTE, Spent)))),
    ?assertEqual(60000, wake_at(next(wake, 59999, Spent))).
