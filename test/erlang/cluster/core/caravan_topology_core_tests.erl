-module(caravan_topology_core_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_core, [
    options/1, facts/1, new/1, new/3, step/3, step/4, next/3, all/3, started/1, listing/2, connected/2,
    status/3, wanted/1, members/1, wake_at/1, answer/1, answer/2, answered/1, failed/0, polled/1, no/1, connects/1, several/0, both/2,
    told/1, reports/1, look/3, looked/3
]).

-define(OWN, <<"m@x">>).
-define(A, <<"a@x">>).
-define(B, <<"b@x">>).
-define(C, <<"c@x">>).

%% Polls

a_topology_begins_with_a_look_test() ->
    {Actions, State} = new(#{}),
    ?assertEqual([{publish, []}, {report, distributed}, poll], Actions),
    ?assertEqual({none, now, []}, {wake_at(State), status(next_poll, 0, State), wanted(State)}).

the_first_answer_is_no_change_that_brings_the_next_look_sooner_test() ->
    State = listing([?A], #{max_connecting => 1}),
    ?assert(wake_at(State) >= 4500 andalso wake_at(State) =< 5500),
    ?assertEqual(wake_at(State), status(next_poll, 0, State)).

the_time_of_the_next_look_brings_it_test() ->
    State = listing([?OWN], #{}),
    At = wake_at(State),
    ?assertEqual([], element(1, step(wake, At - 1, State))),
    {[poll], Looking} = step(wake, At, State),
    ?assertEqual(none, wake_at(Looking)).

there_is_one_poll_at_a_time_test() ->
    Looking = started(#{}),
    [?assertMatch({[], _}, step(Event, 1, Looking)) || Event <- [poll, wake, {nodedown, ?A, x}]],
    Idle = next(answered([]), 1, Looking),
    {[poll], Again} = step(poll, 2, Idle),
    ?assertMatch({[], _}, step(poll, 3, Again)).

%% The answer of the running poll may be older than the loss, and have a long TTL.
a_node_that_goes_down_during_a_poll_is_looked_for_after_it_test() ->
    State = connected([?A], #{}),
    At = 120000,
    Looking = next(poll, At, State),
    Listing = {polled, [{q, answer([?A], #{ttl => 300})}], 0},
    Steady = next(Listing, At, Looking),
    ?assert(status(next_poll, At, Steady) >= 300000),
    Down = next(Listing, At, next({nodedown, ?A, net_tick_timeout}, At, Looking)),
    ?assert(status(next_poll, At, Down) =< 5500),
    %% Once.
    ?assert(status(next_poll, At, looked(Listing, At, Down)) >= 290000).

a_change_of_options_cancels_the_poll_and_looks_anew_test() ->
    {Looking, _} = step({change, options(#{})}, 1, started(#{})),
    ?assertEqual([cancel_poll, poll], [Action || Action <- Looking, Action =:= poll orelse Action =:= cancel_poll]),
    {Idle, _} = step({change, options(#{})}, 1, listing([], #{})),
    ?assertEqual([poll], [Action || Action <- Idle, Action =:= poll orelse Action =:= cancel_poll]).

a_change_makes_the_next_look_a_quick_one_and_the_one_after_it_not_test() ->
    First = listing([?A], #{}),
    Quick = looked(answered([?A, ?B]), 5000, First),
    ?assert(status(next_poll, 5000, Quick) >= 1125 andalso status(next_poll, 5000, Quick) =< 1375),
    Damped = looked(answered([?A]), 6000, Quick),
    ?assert(status(next_poll, 6000, Damped) >= 4500),
    Again = looked(answered([?A, ?C]), 11000, Damped),
    ?assert(status(next_poll, 11000, Again) =< 1375).

polls_that_fail_become_rarer_test() ->
    First = next(failed(), 0, started(#{})),
    ?assert(status(next_poll, 0, First) >= 9000),
    ?assert(status(next_poll, 0, looked(failed(), 0, First)) >= 18000),
    ?assert(status(next_poll, 0, looked(answered([]), 0, First)) =< 5500),
    ?assert(status(next_poll, 0, looked(polled({error, nxdomain}), 0, First)) =< 5500).

while_polls_fail_what_is_known_stands_test() ->
    State = listing([?A], #{}),
    lists:foldl(
        fun(Outcome, Next) ->
            {Actions, Looked} = look(polled(Outcome), 5000, Next),
            ?assert(lists:member({publish, [?A]}, Actions)),
            ?assertEqual([?A], wanted(Looked)),
            Looked
        end,
        State,
        [{error, timeout}, {error, nxdomain}, {error, nodata}]
    ).

%% Unchanged nodes are published again, which renews the time for which they count after a crash.
what_is_wanted_is_published_with_each_poll_test() ->
    {First, State} = step(answered([?B, ?A]), 0, started(#{})),
    ?assertEqual([{publish, [?A, ?B]}], [Action || {publish, _} = Action <- First]),
    ?assertEqual([{change, 2, [?A, ?B], []}], [Report || {change, _, _, _} = Report <- reports(First)]),
    {Same, Again} = look(answered([?B, ?A]), 5000, State),
    ?assertEqual([{publish, [?A, ?B]}], [Action || {publish, _} = Action <- Same]),
    {Change, Last} = look(answered([?B, ?C]), 10000, Again),
    ?assertEqual([{change, 2, [?C], [?A]}], [Report || {change, _, _, _} = Report <- reports(Change)]),
    ?assertEqual([?B, ?C], wanted(Last)).

%% Attempts

missing_nodes_are_tried_in_turn_and_so_many_at_a_time_test() ->
    Names = [?A, ?B, <<"n@x">>, <<"z@x">>],
    {Actions, State} = step(answered([?OWN | Names]), 0, started(#{max_connecting => 2})),
    ?assertEqual([<<"n@x">>, <<"z@x">>], connects(Actions)),
    ?assertEqual([<<"n@x">>, <<"z@x">>], status(connecting, 0, State)),
    {Ended, Next} = step(no(<<"z@x">>), 1, State),
    ?assertEqual([?A], connects(Ended)),
    {Connected, Last} = step({attempted, <<"n@x">>, connected, 0}, 2, next({nodeup, <<"n@x">>}, 2, Next)),
    ?assertEqual([?B], connects(Connected)),
    ?assertMatch(#{<<"z@x">> := #{count := 1, reason := no}}, status(failing, 2, Last)).

a_node_that_failed_is_tried_again_at_its_time_test() ->
    State = next(wake, 500, next(no(?A), 0, listing([?A], #{}))),
    At = wake_at(State),
    ?assert(At >= 750 andalso At =< 1000),
    ?assertEqual([], connects(element(1, step(wake, At - 1, State)))),
    ?assertEqual([?A], connects(element(1, step(wake, At, State)))),
    ?assertEqual([?A], connects(element(1, step(reconnect, 1, State)))).

a_failure_is_reported_with_its_novelty_test() ->
    {First, State} = step(no(?A), 0, listing([?A], #{})),
    ?assertEqual([{attempt, {failed, ?A, no, new}, 0}], reports(First)),
    {Second, _} = step(no(?A), 1000, next(wake, 1000, State)),
    ?assertEqual([{attempt, {failed, ?A, no, known}, 0}], reports(Second)).

failures_of_a_node_that_is_not_wanted_for_long_are_forgotten_test() ->
    Failed = next(no(?A), 0, listing([?A], #{})),
    Fails = fun(State, Now) ->
        {Actions, _} = step(no(?A), Now, looked(answered([?A]), Now, State)),
        reports(Actions)
    end,
    Unlisted = looked(answered([]), 1000, Failed),
    ?assertMatch([{attempt, {failed, ?A, no, known}, 0}], Fails(Unlisted, 2000)),
    ?assertMatch([{attempt, {failed, ?A, no, new}, 0}], Fails(looked(answered([]), 700000, Unlisted), 701000)).

a_wanted_node_that_is_connected_is_a_member_test() ->
    {Actions, State} = step({nodeup, ?A}, 0, listing([?A, ?B], #{})),
    ?assertEqual([{up, ?A}], told(Actions)),
    ?assertEqual([{up, ?A, 1}], reports(Actions)),
    ?assertEqual({[?A], [?A]}, {members(State), status(connected, 0, State)}),
    ?assert(caravan_topology_core:is_connected(?A, State)),
    ?assertMatch({[], _}, step({nodeup, ?A}, 1, State)).

other_nodes_are_none_test() ->
    {Actions, State} = step({nodeup, ?B}, 0, listing([?A], #{})),
    ?assertEqual([], Actions),
    ?assertEqual({[], true}, {members(State), caravan_topology_core:is_connected(?B, State)}),
    {Listed, Joined} = look(answered([?A, ?B]), 5000, State),
    ?assertEqual([{up, ?B}], told(Listed)),
    ?assertEqual([?B], members(Joined)),
    ?assertMatch({[], _}, step({nodedown, ?C, connection_closed}, 5000, Joined)).

%% An operator's helpers connect and disconnect.
a_node_that_is_no_member_does_not_flap_test() ->
    State = all([{nodeup, ?B}, {nodedown, ?B, connection_closed}], 0, listing([?A], #{})),
    {Actions, _} = look(answered([?A, ?B]), 5000, State),
    ?assertEqual([?B], connects(Actions)).

those_that_were_connected_before_are_no_news_of_a_connection_test() ->
    {Actions, State} = new(#{}, [?A], [?A, ?B]),
    ?assertEqual([{up, ?A}], told(Actions)),
    ?assertEqual([], connects(Actions)),
    ?assertEqual({[?A], [?A]}, {members(State), wanted(State)}).

those_that_join_are_reported_in_one_line_test() ->
    State = connected([?A, ?B], #{}),
    ?assertEqual(500, wake_at(State)),
    ?assertEqual([], reports(element(1, step(wake, 499, State)))),
    {Actions, Told} = step(wake, 500, State),
    ?assertEqual([{connected, [?A, ?B], 2}], reports(Actions)),
    ?assertEqual([], reports(element(1, step(wake, 1000, Told)))),
    OneLess = next({nodedown, ?A, connection_closed}, 1, State),
    ?assertEqual(
        [{lost, [{?A, connection_closed, true, none}], [], 1}, {connected, [?B], 1}], reports(element(1, step(wake, 500, OneLess)))
    ).

a_node_that_went_is_reported_and_looked_after_test() ->
    State = next(wake, 500, connected([?A, ?OWN], #{})),
    {Actions, Down} = step({nodedown, ?A, connection_closed}, 60000, State),
    ?assertEqual([{down, ?A}], told(Actions)),
    ?assertEqual([{down, ?A, connection_closed, 0}], reports(Actions)),
    %% Its connection had lasted.
    ?assertEqual([?A], connects(Actions)),
    ?assertEqual({[], false}, {members(Down), caravan_topology_core:is_connected(?A, Down)}),
    ?assertMatch({[], _}, step({nodedown, ?A, connection_closed}, 60000, Down)),
    ?assertEqual([{lost, [{?A, connection_closed, true, none}], [], 0}], reports(element(1, step(wake, 60500, Down)))).

a_node_that_went_makes_the_next_look_come_within_an_interval_test() ->
    Slow = looked(polled(answer([?A], #{ttl => 3600})), 0, connected([?A, ?B], #{})),
    ?assert(status(next_poll, 0, Slow) >= 3600000),
    Down = next({nodedown, ?A, connection_closed}, 60000, Slow),
    ?assert(status(next_poll, 60000, Down) > 2500 andalso status(next_poll, 60000, Down) =< 5000),
    %% `b' is not wanted.
    Other = next({nodedown, ?B, connection_closed}, 60000, Slow),
    ?assert(status(next_poll, 60000, Other) > 3000000),
    Soon = looked(answered([?A]), 60000, Slow),
    LookAt = status(next_poll, 0, Soon),
    ?assertEqual(LookAt, status(next_poll, 0, next({nodedown, ?A, connection_closed}, LookAt - 1, Soon))).

a_connection_that_did_not_last_is_reported_and_left_alone_test() ->
    State = next(wake, 500, connected([?A], #{})),
    {Actions, Down} = step({nodedown, ?A, connection_closed}, 1000, State),
    ?assertEqual([], connects(Actions)),
    #{?A := #{reason := lost_soon, retry_in := LeftAlone}} = status(failing, 1000, Down),
    ?assert(LeftAlone >= 10000),
    ?assertEqual([], connects(element(1, step(wake, 999 + LeftAlone, Down)))),
    ?assertEqual([?A], connects(element(1, step(wake, 1000 + LeftAlone, Down)))),
    ?assertEqual([?A], connects(element(1, step(reconnect, 1001, Down)))),
    %% The first time the node may have been restarted.
    {Once, Told} = step(wake, 1500, Down),
    ?assertEqual([{lost, [{?A, connection_closed, true, none}], [], 0}], reports(Once)),
    Again = all([{nodeup, ?A}, {nodedown, ?A, connection_closed}], 2000, Told),
    {Twice, _} = step(wake, 2500, Again),
    ?assertMatch([{lost, [{?A, connection_closed, true, {?A, 2, _}}], [], 0}], reports(Twice)).

%% A link is down.
a_connection_that_fell_silent_is_tried_again_at_once_test() ->
    {Actions, _} = step({nodedown, ?A, net_tick_timeout}, 1000, connected([?A], #{})),
    ?assertEqual([?A], connects(Actions)).

a_node_that_is_listed_no_more_stays_a_member_while_it_is_connected_test() ->
    {Actions, State} = look(answered([?B]), 5000, connected([?A, ?B], #{})),
    ?assertEqual([], told(Actions)),
    ?assertEqual({[?A, ?B], [?B]}, {members(State), wanted(State)}),
    ?assertEqual(#{?A => 10}, status(absent, 5010, State)),
    {Down, Gone} = step({nodedown, ?A, connection_closed}, 40000, next(wake, 500, State)),
    ?assertEqual([{lost, [{?A, connection_closed, false, none}], [], 1}], lost(40500, Gone)),
    ?assertEqual({[], #{}}, {connects(Down), status(absent, 40000, Gone)}),
    %% It comes back by itself within an hour.
    ?assertEqual([{up, ?A}], told(element(1, step({nodeup, ?A}, 3639999, Gone)))),
    ?assertEqual([], told(element(1, step({nodeup, ?A}, 3640000, Gone)))).

%% OTP's `global' makes the other nodes close their connections to the node that has closed one.
what_is_lost_because_of_a_prune_is_tried_again_at_once_test() ->
    {_, Absent} = look(answered([?B]), 5000, connected([?A, ?B], #{prune => true, prune_max_fraction => 1})),
    {Pruning, Pruned} = look(answered([?B]), 500000, Absent),
    ?assertMatch([_], [Name || {disconnect, Name, _} <- Pruning]),
    Lost = fun(Now) -> element(1, step({nodedown, ?B, disconnect}, Now, Pruned)) end,
    ?assertEqual([?B], connects(Lost(509999))),
    ?assertEqual([], connects(Lost(510000))).

what_a_node_loses_as_its_distribution_stops_is_its_own_doing_test() ->
    {_, Lost} = step({nodedown, ?A, net_kernel_terminated}, 1000, connected([?A], #{})),
    ?assertEqual(#{}, status(failing, 1000, Lost)).

lost(Now, State) -> [Lost || {lost, _, _, _} = Lost <- reports(element(1, step(wake, Now, State)))].

names_of_one_listener_are_tried_until_one_is_connected_test() ->
    ListenerOf = fun(Name) -> binary:part(Name, byte_size(Name) - 1, 1) end,
    Names = [<<"n@x">>, <<"o@x">>, <<"p@y">>],
    {Actions, State} = step(
        polled(answer([], #{records => [[<<"n@x">>, <<"o@x">>], [<<"p@y">>]]})),
        0,
        facts(#{own => <<"m@own">>}),
        started_as(<<"m@own">>, #{listener => ListenerOf})
    ),
    ?assertEqual(Names, connects(Actions)),
    Own = facts(#{own => <<"m@own">>}),
    Step = fun(Event, Now, Before) -> step(Event, Now, Own, Before) end,
    {_, Failed} = Step(no(<<"o@x">>), 0, State),
    {_, Up} = Step({nodeup, <<"n@x">>}, 1, Failed),
    ?assertEqual([], connects(element(1, Step(wake, 10000, Up)))),
    {Down, _} = Step({nodedown, <<"n@x">>, net_tick_timeout}, 10000, Up),
    ?assertEqual([<<"o@x">>], connects(Down)).

started_as(Own, Overrides) ->
    {_, State} = caravan_topology_core:new(options(Overrides), [], [], 0, facts(#{own => Own})),
    State.

%% Lines of the log

what_repeats_itself_is_no_line_test() ->
    [
        ?assertEqual({Report, IsLine}, {Report, caravan_topology_core:is_line(Report)})
     || {Report, IsLine} <- [
            {not_distributed, true},
            {distributed, false},
            {{looked_up, q, fresh, none, false, #{}}, false},
            {{looked_up, q, fresh, {failed, timeout}, true, #{}}, true},
            {{looked_up, q, {failed, timeout}, fresh, true, #{}}, true},
            {{looked_up, q, {failed, timeout}, {failed, timeout}, true, #{}}, false},
            {{looked_up, q, {empty, nxdomain}, none, false, #{}}, true},
            {{found, [?A]}, false},
            {{change, 1, [?A], []}, false},
            {{names_refused, #{invalid => 1}}, true},
            {{own_alias, [?A]}, true},
            {{samples, 8}, true},
            {{attempt, {connected, ?A}, 0}, false},
            {{attempt, {failed, ?A, no, new}, 0}, false},
            {{connect_failed, no, [?A]}, true},
            {{attempt, {failed, ?A, no, known}, 0}, false},
            {{connected, [?A], 1}, true},
            {{lost, [{?A, connection_closed, true, none}], [], 0}, true},
            {{left_out, #{connected => 1}}, true},
            {{alone, 1, 60000, [{?A, no}]}, true}
        ]
    ].

%% Twenty lines at once. Further events go to telemetry only, and one line counts them.
lines_are_limited_test() ->
    Names = [<<"n", C, "@x">> || C <- lists:seq($a, $z)],
    Failed = all([{attempted, Name, {failed, {no, Name}}, 0} || Name <- Names], 0, listing(Names, #{max_connecting => 100})),
    {Told, State} = step(wake, 500, Failed),
    ?assertEqual(lists:duplicate(20, report) ++ lists:duplicate(6, emit), [Kind || {Kind, {connect_failed, _, _}} <- Told]),
    ?assertEqual([{left_out, #{connect_failed => 6}}], [Report || {report, {left_out, _} = Report} <- element(1, step(wake, 60500, State))]).

%% Memory

%% A cluster replaces its nodes for years, with new names each time.
nothing_is_remembered_for_ever_test() ->
    Size = fun(State) -> erts_debug:flat_size(State) end,
    {Fiftieth, Names} = lists:foldl(fun replaced/2, {started(#{}), []}, lists:seq(1, 50)),
    {Hundredth, _} = lists:foldl(fun replaced/2, {Fiftieth, Names}, lists:seq(51, 100)),
    ?assertEqual(Size(Fiftieth), Size(Hundredth)).

%% All answers have the same length.
nothing_of_equally_long_answers_is_remembered_for_ever_test() ->
    Same = fun(Round, State) -> replaced(Round, 2, State) end,
    {Half, Names} = lists:foldl(Same, {started(#{max_nodes => 10}), []}, lists:seq(1, 600)),
    {Whole, _} = lists:foldl(Same, {Half, Names}, lists:seq(601, 1200)),
    %% Less than one word for each of the names since.
    ?assert(erts_debug:flat_size(Whole) - erts_debug:flat_size(Half) < 1200).

replaced(Round, {State, Before}) -> replaced(Round, 2 + Round rem 2, {State, Before}).

replaced(Round, Count, {State, Before}) ->
    Now = Round * 1000000,
    Names = [<<"n", (Round * 10 + I):16, "@x">> || I <- lists:seq(1, Count)],
    Answered = case Round of 1 -> next(answered(Names), Now, State); _ -> looked(answered(Names), Now, State) end,
    Flaps = [Event || Name <- Names, Event <- [no(Name), {nodeup, Name}, {nodedown, Name, connection_closed}]],
    Up = all([{nodeup, Name} || Name <- Names], Now + 1, all(Flaps, Now, Answered)),
    {next(wake, Now + 600, all([{nodedown, Name, connection_closed} || Name <- Before], Now + 2, Up)), Names}.

%% Gauges

what_is_listed_in_the_status_is_counted_test() ->
    State = all([no(<<"c@x">>), {nodedown, ?A, connection_closed}], 1000, connected([?A, ?B, <<"c@x">>, ?OWN], #{})),
    Up = next({nodedown, <<"c@x">>, net_tick_timeout}, 70000, next(no(<<"c@x">>), 70000, State)),
    Gauges = caravan_topology_core:gauges(70000, Up),
    ?assertMatch(
        #{
            wanted := 3, connected := 1, failing := 2, flapping := 1, absent := 0, answered := 1, answer_age := 70000, complete := 1,
            self_listed := 1, atoms_left := 500
        },
        Gauges
    ),
    #{failing := Failing} = caravan_topology_core:status(70000, Up),
    ?assertEqual(map_size(Failing), maps:get(failing, Gauges)).

%% One alert covers DNS that has never answered and DNS that stops answering.
the_age_of_an_answer_that_never_was_is_that_of_the_topology_test_() ->
    Age = fun(Now, State) -> maps:with([answer_age, answered], caravan_topology_core:gauges(Now, State)) end,
    [
        ?_assertEqual(#{answer_age => 9000, answered => 0}, Age(9000, next(failed(), 1000, started(#{})))),
        ?_assertEqual(#{answer_age => 0, answered => 1}, Age(9000, started(#{queries => [], nodes => [?A]}))),
        ?_assertEqual(
            #{answer_age => 9000, answered => 0}, Age(9000, next(both(answer([?A]), {error, servfail}), 5000, started(several())))
        )
    ].
