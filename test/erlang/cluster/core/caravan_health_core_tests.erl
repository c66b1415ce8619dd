%% Whether a topology is ready, degraded or not ready, at given times.
-module(caravan_health_core_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_core, [
    all/3, answer/2, answered/1, both/2, connected/2, facts/0, facts/1, failed/0, incomplete/1, listing/2, looked/3, new/1, next/3,
    no/1, not_distributed/1, options/1, polled/1, several/0, started/1, step/3, step/4, wake_at/1
]).

-define(OWN, <<"m@x">>).
-define(A, <<"a@x">>).
-define(B, <<"b@x">>).
-define(C, <<"c@x">>).
-define(MINUTE, 60000).

health(State) -> health(0, State).

health(Now, State) -> caravan_topology_core:health(Now, State).

is_ready(Now, State) ->
    case health(Now, State) of
        {not_ready, _} -> false;
        _ -> true
    end.

%% All answers of these tests list `self', except in tests about that.
all_of(Names) -> [?OWN | Names].

whole(Overrides) -> connected(all_of([?A, ?B]), Overrides).

becomes_ready(Actions) -> [ready || ready <- Actions].

%% Not ready

nobody_is_ready_before_the_first_answer_test() ->
    Started = started(#{}),
    ?assertEqual({not_ready, [no_answer]}, health(Started)),
    {Actions, Failed} = step(failed(), 0, Started),
    ?assertEqual([], becomes_ready(Actions)),
    ?assertEqual({not_ready, [no_answer, {lookup_failed, timeout}]}, health(Failed)),
    {Answered, Ready} = step(answered(all_of([])), 0, Failed),
    ?assertEqual([ready], becomes_ready(Answered)),
    ?assertEqual(ok, health(Ready)).

%% This node is listed only when it is ready.
an_empty_answer_makes_the_first_node_ready_test_() ->
    [
        {atom_to_list(Reason), fun() ->
            {Actions, State} = step(polled({error, Reason}), 0, started(#{})),
            ?assertEqual([ready], becomes_ready(Actions)),
            ?assertEqual({degraded, [{no_records, Reason}]}, health(State))
        end}
     || Reason <- [nxdomain, nodata]
    ].

an_incomplete_answer_is_an_answer_test() ->
    {Actions, State} = step(incomplete(all_of([])), 0, started(#{})),
    ?assertEqual([ready], becomes_ready(Actions)),
    ?assertEqual({degraded, [incomplete_answer]}, health(State)).

each_query_has_to_have_an_answer_test() ->
    One = next(both(answer(all_of([]), #{}), {error, servfail}), 0, started(several())),
    ?assertEqual({not_ready, [no_answer, {lookup_failed, servfail}]}, health(One)),
    Both = looked(both(answer(all_of([]), #{}), {error, nxdomain}), 5000, One),
    ?assert(is_ready(5000, Both)).

a_fixed_list_of_nodes_needs_no_answer_test() ->
    {Actions, State} = new(#{queries => [], nodes => [?A]}),
    ?assertEqual([ready], becomes_ready(Actions)),
    ?assertEqual(ok, health(State)).

a_node_that_is_not_distributed_is_not_ready_test() ->
    {_, State} = step(answered([?A]), 0, not_distributed(<<"nonode@nohost">>), started(#{})),
    ?assertMatch({not_ready, [not_distributed | _]}, health(State)),
    {_, Named} = step(check, 1, facts(), State),
    ?assert(is_ready(1, Named)),
    %% Also at a later time.
    {_, Stopped} = step(check, 2, not_distributed(?OWN), Named),
    ?assertMatch({not_ready, [not_distributed | _]}, health(2, Stopped)).

as_many_other_nodes_must_be_connected_as_are_expected_test() ->
    State = next({nodeup, ?A}, 0, listing(all_of([?A, ?B]), #{expect => 2})),
    ?assertEqual({not_ready, [{too_few_nodes, #{expected => 2, connected => 1}}]}, health(State)),
    ?assertEqual(ok, health(next({nodeup, ?B}, 0, State))).

%% Counts as `await' does.
a_member_that_is_not_listed_any_more_counts_as_expected_test() ->
    State = looked(answered(all_of([?A])), 5000, whole(#{expect => 2})),
    ?assertEqual(ok, health(5000, State)).

%% Half of three is two.
a_fraction_is_of_the_wanted_nodes_and_rounded_up_test() ->
    Names = all_of([?A, ?B, ?C]),
    One = next({nodeup, ?A}, 0, listing(Names, #{expect => {fraction, 0.5}})),
    ?assertEqual({not_ready, [{too_few_nodes, #{expected => 2, connected => 1}}]}, health(One)),
    ?assertEqual(ok, health(next({nodeup, ?B}, 0, One))).

%% 0.07 * 100 is slightly more than 7 as a float.
a_fraction_of_a_float_is_no_node_more_test() ->
    Names = [<<"n", (integer_to_binary(Number))/binary, "@x">> || Number <- lists:seq(1, 100)],
    State = all([{nodeup, Name} || Name <- lists:sublist(Names, 7)], 0, listing(all_of(Names), #{expect => {fraction, 0.07}})),
    ?assertEqual(ok, health(State)).

a_fraction_of_nobody_is_nobody_test() ->
    ?assertEqual(ok, health(listing(all_of([]), #{expect => {fraction, 1}}))).

%% `b' is excluded by the options, `c' for a while.
nodes_that_are_kept_out_are_no_part_of_the_fraction_test() ->
    Listing = listing(all_of([?A, ?B, ?C]), #{expect => {fraction, 1}, exclude => [?B]}),
    State = all([{nodeup, ?A}, {exclude, ?C, 1000}], 0, Listing),
    ?assertEqual(ok, health(State)),
    ?assertEqual({not_ready, [{too_few_nodes, #{expected => 2, connected => 1}}]}, health(1000, next(wake, 1000, State))).

%% A record gives a name for each of two basenames, of which at most one is right.
names_of_one_listener_are_one_node_of_the_fraction_test() ->
    Listener = fun(Name) -> lists:last(binary:split(Name, <<"-">>)) end,
    Names = [<<Basename/binary, "-", Host/binary>> || Host <- [<<"1@x">>, <<"2@x">>, <<"3@x">>], Basename <- [<<"a">>, <<"b">>]],
    Own = facts(#{own => <<"b-3@x">>}),
    Overrides = options(#{expect => {fraction, 1}, listener => Listener}),
    {_, Started} = caravan_topology_core:new(Overrides, [], [], 0, Own),
    State = lists:foldl(
        fun(Event, Next) -> element(2, step(Event, 0, Own, Next)) end, Started, [answered(Names), {nodeup, <<"a-1@x">>}]
    ),
    ?assertEqual({not_ready, [{too_few_nodes, #{expected => 2, connected => 1}}]}, health(State)),
    {_, Whole} = step({nodeup, <<"b-2@x">>}, 0, Own, State),
    ?assertEqual(ok, health(Whole)).

%% Stable

nothing_may_have_changed_for_so_long_test() ->
    Up = next({nodeup, ?A}, 1000, listing(all_of([?A]), #{stable_for => 3000})),
    ?assertEqual({not_ready, [{unstable, #{stable_for => 3000, left => 2000}}]}, health(2000, Up)),
    %% The line of the log has been written.
    State = next(wake, 2000, Up),
    ?assertEqual(4000, wake_at(State)),
    {Actions, Ready} = step(wake, 4000, State),
    ?assertEqual([ready], becomes_ready(Actions)),
    ?assertEqual(ok, health(4000, Ready)).

%% Neither an equal answer nor a failed attempt is a change.
what_changes_begins_the_time_again_test_() ->
    [
        {lists:flatten(io_lib:format("~0p", [Event])), fun() ->
            State = next({nodeup, ?A}, 0, listing(all_of([?A]), #{stable_for => 3000})),
            ?assertMatch({not_ready, [{unstable, #{left := Left}} | _]}, health(1000, next(Event, 1000, next(poll, 1000, State))))
        end}
     || {Event, Left} <- [
            {answered(all_of([?A, ?B])), 3000},
            {answered(all_of([])), 3000},
            {{nodedown, ?A, closed}, 3000},
            {answered(all_of([?A])), 2000},
            {polled({error, nxdomain}), 2000},
            {failed(), 2000},
            {{nodeup, <<"no-member@x">>}, 2000}
        ]
    ].

the_first_answer_is_a_change_test() ->
    State = next(polled({error, nxdomain}), 9000, started(#{stable_for => 3000})),
    ?assertMatch({not_ready, [{unstable, #{left := 3000}} | _]}, health(9000, State)).

%% Something else prevents readiness: a wake-up time in the past would wake the topology repeatedly.
nobody_is_woken_while_something_else_is_in_the_way_test() ->
    State = listing(all_of([?A]), #{stable_for => 100, expect => 1}),
    ?assert(wake_at(State) > 100),
    ?assertEqual(wake_at(State), wake_at(next(wake, 100, State))),
    Up = next({nodeup, ?A}, 200, State),
    ?assertEqual(300, wake_at(Up)).

%% Ready

%% During a deployment.
changes_take_no_readiness_away_test() ->
    State = next(wake, 3000, whole(#{stable_for => 3000})),
    ?assertEqual(ok, health(3000, State)),
    Changed = all([{nodedown, ?A, closed}, {nodedown, ?B, closed}], 3000, looked(answered(all_of([?C])), 3000, State)),
    ?assert(is_ready(3000, Changed)).

no_failure_of_dns_takes_readiness_away_test_() ->
    [
        {lists:flatten(io_lib:format("~0p", [Outcome])), fun() ->
            Ready = next(wake, 1000, whole(#{stable_for => 1000, expect => {fraction, 1}})),
            Later = lists:foldl(
                fun(Now, State) -> looked(polled(Outcome), Now, State) end, Ready, lists:seq(?MINUTE, 60 * ?MINUTE, ?MINUTE)
            ),
            ?assertMatch({degraded, _}, health(61 * ?MINUTE, Later))
        end}
     || Outcome <- [{error, timeout}, {error, {client, down}}, {error, nxdomain}, {error, nodata}, answer([], #{complete => false})]
    ].

%% The node is cut off.
fewer_nodes_than_expected_take_readiness_away_test() ->
    State = all([{nodedown, ?A, closed}, {nodedown, ?B, closed}], 1000, whole(#{expect => 1})),
    ?assertMatch({not_ready, [{too_few_nodes, #{expected := 1, connected := 0}} | _]}, health(1000, State)),
    ?assert(is_ready(1000, next({nodeup, ?A}, 1000, State))).

%% During an outage of DNS.
who_was_ready_is_so_after_a_crash_test() ->
    Overrides = options(#{stable_for => 1000}),
    Again = fun(WasReady) -> element(2, caravan_topology_core:new(Overrides, [?A], [?A], 0, facts(#{was_ready => WasReady}))) end,
    ?assertEqual({degraded, [{lookup_failed, timeout}]}, health(next(failed(), 0, Again(true)))),
    ?assertMatch({not_ready, [no_answer | _]}, health(next(failed(), 0, Again(false)))).

who_was_ready_is_so_with_other_options_test() ->
    State = next({change, options(#{queries => [other], stable_for => 1000})}, 0, whole(#{})),
    ?assertEqual(ok, health(State)),
    ?assertMatch({not_ready, [{too_few_nodes, _}]}, health(next({change, options(#{expect => 3})}, 0, State))).

it_is_told_once_test() ->
    {Actions, _} = step(answered(all_of([?A])), 5000, next(poll, 5000, whole(#{}))),
    ?assertEqual([], becomes_ready(Actions)).

%% Degraded

a_whole_cluster_is_not_degraded_test() ->
    ?assertEqual(ok, health(whole(#{}))).

a_node_that_dns_does_not_list_is_degraded_test() ->
    ?assertEqual({degraded, [not_listed]}, health(connected([?A], #{}))),
    %% An answer with a part of the records says nothing about the others.
    ?assertEqual(ok, health(next(incomplete([]), 0, started(#{answers => sampled})))),
    ?assertEqual({degraded, [incomplete_answer]}, health(next(incomplete([]), 0, started(#{})))).

a_lookup_that_fails_degrades_test() ->
    ?assertEqual({degraded, [{lookup_failed, timeout}]}, health(5000, looked(failed(), 5000, whole(#{})))).

%% A minute and three polls.
an_old_answer_degrades_test_() ->
    [
        {integer_to_list(Interval), fun() ->
            State = looked(failed(), Interval, whole(#{poll_interval => Interval})),
            ?assertEqual({degraded, [{lookup_failed, timeout}]}, health(Limit, State)),
            Old = {old_answer, #{age => Limit + 1, limit => Limit}},
            ?assertEqual({degraded, [{lookup_failed, timeout}, Old]}, health(Limit + 1, State))
        end}
     || {Interval, Limit} <- [{5000, ?MINUTE}, {30000, 90000}]
    ].

%% The TTL may be an hour.
an_answer_is_not_old_while_its_ttl_runs_test() ->
    State = next(polled(answer(all_of([]), #{ttl => 3600})), 0, started(#{})),
    ?assertEqual(ok, health(59 * ?MINUTE, State)).

names_that_are_refused_degrade_test() ->
    State = next(polled(answer(all_of([]), #{invalid => 2, unresolved => 1})), 0, started(#{})),
    ?assertEqual({degraded, [incomplete_answer, {names_refused, #{invalid => 2, unresolved => 1}}]}, health(State)).

nodes_that_fail_degrade_test() ->
    Both = all([no(?A), no(?B)], 0, listing(all_of([?A, ?B]), #{})),
    {degraded, [{isolated, #{wanted := 2}}, {nodes_failing, Failing}]} = health(Both),
    ?assertMatch(#{?A := #{count := 1, reason := no, retry_in := _}, ?B := _}, Failing),
    ?assertMatch(
        {degraded, [{partly_connected, #{wanted := 2, connected := 1}}, {nodes_failing, #{?B := _}}]},
        health(next({nodeup, ?A}, 0, Both))
    ).

%% It may be connected in a moment.
a_node_that_is_being_tried_degrades_nobody_test() ->
    ?assertEqual(ok, health(listing(all_of([?A]), #{}))).

%% A node that is restarted soon after its start has one short connection.
connections_that_do_not_last_are_said_from_the_second_one_on_test() ->
    Once = next({nodedown, ?A, closed}, 1000, whole(#{})),
    ?assertEqual({degraded, [{partly_connected, #{wanted => 2, connected => 1}}]}, health(1000, Once)),
    Twice = all([{nodeup, ?A}, {nodedown, ?A, closed}], 2000, Once),
    ?assertMatch(
        {degraded, [{partly_connected, #{wanted := 2, connected := 1}}, {flapping, #{?A := #{count := 2, reason := lost_soon}}}]},
        health(2000, Twice)
    ).

%% `c' has left, and counts again when its time is over.
nodes_that_have_left_are_no_part_of_the_fraction_test() ->
    Listing = listing(all_of([?A, ?B, ?C]), #{expect => {fraction, 1}}),
    State = all([{nodeup, ?A}, {nodeup, ?B}, {nodeup, ?C}, {leaving, ?C, 60000}, {nodedown, ?C, disconnect}], 0, Listing),
    ?assertEqual(ok, health(State)),
    ?assertMatch(#{missing := 0, left := 1}, caravan_topology_core:gauges(0, State)),
    ?assertMatch(#{missing := 1, left := 0}, caravan_topology_core:gauges(60000, next(wake, 60000, State))),
    ?assertMatch({not_ready, [{too_few_nodes, #{expected := 3, connected := 2}} | _]}, health(60000, next(wake, 60000, State))).

%% It takes no traffic while it has left, and takes it again after its return.
who_leaves_is_not_ready_until_it_is_back_test() ->
    Away = all([{leave, 60000}, {nodedown, ?A, disconnect}, {nodedown, ?B, disconnect}], 1000, whole(#{})),
    ?assertMatch({not_ready, [{leaving, #{left := 60000}} | _]}, health(1000, Away)),
    ?assertNot(is_ready(60999, Away)),
    ?assert(is_ready(61000, next(wake, 61000, Away))),
    ?assert(is_ready(2000, next(reconnect, 2000, Away))).
