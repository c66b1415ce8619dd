-module(caravan_schedule_tests).

-include_lib("eunit/include/eunit.hrl").

-define(DRAWS, 1000).

draws(Draw) ->
    Waits = lists:map(Draw, lists:seq(1, ?DRAWS)),
    {lists:min(Waits), lists:max(Waits), length(lists:usort(Waits))}.

%% Random values lie within the limits and differ.
assert_within(Least, Most, Draw) ->
    {Min, Max, Different} = draws(Draw),
    ?assert(Min >= Least andalso Max =< Most),
    ?assert(Different > 10).

a_poll_comes_within_a_tenth_of_the_interval_test() ->
    assert_within(4500, 5500, fun(Random) -> caravan_schedule:next_poll(5000, {steady, 0}, Random) end).

a_poll_comes_sooner_after_a_change_test() ->
    assert_within(1125, 1375, fun(Random) -> caravan_schedule:next_poll(5000, {changed, 0}, Random) end),
    {Min, _, _} = draws(fun(Random) -> caravan_schedule:next_poll(100, {changed, 0}, Random) end),
    ?assert(Min >= 90).

no_answer_is_asked_for_again_while_its_ttl_runs_test() ->
    [
        assert_within(30000, 30100, fun(Random) -> caravan_schedule:next_poll(5000, {Pace, 30}, Random) end)
     || Pace <- [steady, changed]
    ],
    assert_within(4500, 5500, fun(Random) -> caravan_schedule:next_poll(5000, {steady, 4}, Random) end).

no_ttl_is_longer_than_an_hour_test() ->
    assert_within(3600000, 3600100, fun(Random) -> caravan_schedule:next_poll(5000, {steady, 16#7FFFFFFF}, Random) end).

polls_become_rarer_while_they_fail_test() ->
    assert_within(9000, 11000, fun(Random) -> caravan_schedule:next_poll(5000, {failed, 1}, Random) end),
    assert_within(36000, 44000, fun(Random) -> caravan_schedule:next_poll(5000, {failed, 3}, Random) end).

they_come_once_a_minute_at_the_least_test() ->
    [
        assert_within(54000, 66000, fun(Random) -> caravan_schedule:next_poll(5000, {failed, Count}, Random) end)
     || Count <- [4, 100, 1 bsl 70]
    ].

a_long_interval_is_kept_test() ->
    [
        assert_within(540000, 660000, fun(Random) -> caravan_schedule:next_poll(600000, Pace, Random) end)
     || Pace <- [{steady, 0}, {failed, 1}, {failed, 100}]
    ].

%% The spread of the tenth poll of 500 nodes that started at the same time.
nodes_that_start_together_do_not_poll_in_step_test() ->
    Tenth = fun(Node) ->
        lists:sum([caravan_schedule:next_poll(5000, {steady, 0}, Node * 10 + Poll) || Poll <- lists:seq(1, 10)])
    end,
    Seconds = lists:usort([Tenth(Node) div 250 || Node <- lists:seq(1, 500)]),
    ?assert(length(Seconds) > 8).

nodes_look_within_an_interval_but_not_together_after_one_went_down_test() ->
    assert_within(2500, 5000, fun(Random) -> caravan_schedule:look_after_nodedown(5000, Random) end),
    {_, Max, _} = draws(fun(Random) -> caravan_schedule:look_after_nodedown(100, Random) end),
    ?assert(Max =< 100).

a_node_whose_connections_do_not_last_is_left_alone_for_ten_minutes_in_the_end_test() ->
    [
        assert_within(Wait, Wait * 11 div 10, fun(Random) -> caravan_schedule:flap_backoff(Count, Random) end)
     || {Count, Wait} <- [{1, 30000}, {2, 120000}, {3, 480000}, {4, 600000}, {5, 600000}, {1 bsl 70, 600000}]
    ].

a_connection_is_steady_after_a_minute_test() ->
    ?assertEqual(60000, caravan_schedule:steady_after()).

a_node_is_left_alone_longer_each_time_test() ->
    [
        assert_within(Wait * 3 div 4, Wait, fun(Random) -> caravan_schedule:backoff(Count, Random) end)
     || {Count, Wait} <- [{1, 1000}, {2, 2000}, {6, 32000}, {7, 60000}, {8, 60000}, {1 bsl 70, 60000}]
    ].

%% No wait is zero, which would wake the topology repeatedly.
every_wait_is_longer_than_nothing_test() ->
    [
        ?assert(Wait > 0)
     || Random <- lists:seq(1, ?DRAWS),
        Wait <- [
            caravan_schedule:next_poll(1, {steady, 0}, Random),
            caravan_schedule:next_poll(1, {changed, 0}, Random),
            caravan_schedule:next_poll(1, {failed, 1}, Random),
            caravan_schedule:look_after_nodedown(1, Random),
            caravan_schedule:backoff(1, Random),
            caravan_schedule:flap_backoff(1, Random)
        ]
    ].

equal_arguments_give_equal_waits_test() ->
    Waits = fun() ->
        [
            {
                caravan_schedule:next_poll(5000, {steady, 0}, Random),
                caravan_schedule:look_after_nodedown(5000, Random),
                caravan_schedule:backoff(3, Random),
                caravan_schedule:flap_backoff(3, Random)
            }
         || Random <- lists:seq(1, 10)
        ]
    end,
    ?assertEqual(Waits(), Waits()).
