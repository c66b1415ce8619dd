-module(caravan_parallel_tests).

-include_lib("eunit/include/eunit.hrl").

-define(GUARD_MS, 30000).

deadline() -> erlang:monotonic_time(millisecond) + ?GUARD_MS.

each_has_its_result_in_order_test() ->
    ?assertEqual([{Number, {ok, 2 * Number}} || Number <- lists:seq(1, 20)],
                 caravan_parallel:map(fun(Number) -> 2 * Number end, lists:seq(1, 20), 3, deadline())).

no_more_than_so_many_at_a_time_test() ->
    Running = counters:new(1, []),
    Look = fun(_) ->
        ok = counters:add(Running, 1, 1),
        Seen = counters:get(Running, 1),
        _ = [erlang:yield() || _ <- lists:seq(1, 100)],
        ok = counters:sub(Running, 1, 1),
        Seen
    end,
    ?assert(lists:max([Seen || {_, {ok, Seen}} <- caravan_parallel:map(Look, lists:seq(1, 50), 4, deadline())]) =< 4).

%% Messages of other processes do not delay it and are discarded, so it runs in a process of its own.
messages_of_others_are_passed_over_test() ->
    self() ! hello,
    ?assertEqual([{a, {ok, a}}], caravan_parallel:map(fun(Item) -> Item end, [a], 1, deadline())).

what_there_was_no_time_for_is_not_called_test() ->
    ?assertEqual([{a, not_called}, {b, not_called}],
                 caravan_parallel:map(fun(Item) -> Item end, [a, b], 1, erlang:monotonic_time(millisecond) - 1)).
