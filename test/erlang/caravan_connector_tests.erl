-module(caravan_connector_tests).

-include_lib("eunit/include/eunit.hrl").

-define(GUARD_MS, 10000).

%% This VM is not distributed: every attempt to connect ends at once and in vain. A process for each test, as attempts
%% that a test leaves behind report to it.
connector_test_() ->
    [
        {spawn, fun attempts_are_limited/0},
        {spawn, fun a_node_that_failed_is_left_alone_for_a_while/0},
        {spawn, fun the_end_of_a_backoff_is_known/0},
        {spawn, fun no_retry_is_due_while_no_attempt_can_start/0},
        {spawn, fun a_node_that_does_not_answer_is_given_up/0},
        {spawn, fun strangers_messages_are_ignored/0}
    ].

new(Overrides) ->
    caravan_connector:new(maps:merge(#{connect_timeout => ?GUARD_MS, max_connecting => 2}, Overrides)).

next_event(State) ->
    receive
        Message -> caravan_connector:handle_info(Message, State)
    after ?GUARD_MS -> error(no_event)
    end.

attempts_are_limited() ->
    State = caravan_connector:connect(['a@x', 'b@x', 'c@x'], new(#{})),
    ?assertEqual(['a@x', 'b@x'], lists:sort(caravan_connector:connecting(State))),
    {failed, _, refused, 1, Next} = next_event(State),
    Full = caravan_connector:connect(['a@x', 'b@x', 'c@x'], Next),
    ?assertEqual(2, length(caravan_connector:connecting(Full))),
    ?assert(lists:member('c@x', caravan_connector:connecting(Full))).

a_node_that_failed_is_left_alone_for_a_while() ->
    {failed, 'a@x', refused, 1, State} = next_event(caravan_connector:connect(['a@x'], new(#{}))),
    ?assertEqual(#{'a@x' => #{count => 1, reason => refused}}, caravan_connector:failing(State)),
    ?assertEqual([], caravan_connector:connecting(caravan_connector:connect(['a@x'], State))),
    Forgotten = caravan_connector:forget('a@x', State),
    ?assertEqual(#{}, caravan_connector:failing(Forgotten)),
    ?assertEqual(['a@x'], caravan_connector:connecting(caravan_connector:connect(['a@x'], Forgotten))).

the_end_of_a_backoff_is_known() ->
    ?assertEqual(none, caravan_connector:next_retry(['a@x'], new(#{}))),
    {failed, 'a@x', refused, 1, State} = next_event(caravan_connector:connect(['a@x'], new(#{}))),
    First = caravan_connector:next_retry(['a@x', 'b@x'], State),
    ?assert(First > 0 andalso First =< 1000),
    ?assertEqual(none, caravan_connector:next_retry(['b@x'], State)),
    ?assertEqual(none, caravan_connector:next_retry(['a@x'], caravan_connector:keep(['b@x'], State))).

no_retry_is_due_while_no_attempt_can_start() ->
    {failed, 'a@x', refused, 1, State} = next_event(caravan_connector:connect(['a@x'], new(#{}))),
    Full = caravan_connector:connect(['b@x', 'c@x'], State),
    ?assertEqual(2, length(caravan_connector:connecting(Full))),
    ?assertEqual(none, caravan_connector:next_retry(['a@x', 'b@x', 'c@x'], Full)).

a_node_that_does_not_answer_is_given_up() ->
    State = caravan_connector:connect(['a@x'], new(#{})),
    %% The message that the timer of the attempt would send, with the attempt still running as far as anybody knows.
    {Monitor, Others} =
        receive
            {'DOWN', Ref, process, _, _} = Down -> {Ref, [Down]}
        after ?GUARD_MS -> error(no_event)
        end,
    Timeout = {timeout, make_ref(), {caravan_connector, Monitor}},
    {failed, 'a@x', timeout, 1, Next} = caravan_connector:handle_info(Timeout, State),
    ?assertEqual([], caravan_connector:connecting(Next)),
    ?assertEqual([ignore], [caravan_connector:handle_info(Other, Next) || Other <- Others]).

strangers_messages_are_ignored() ->
    State = new(#{}),
    ?assertEqual(ignore, caravan_connector:handle_info(hello, State)),
    ?assertEqual(ignore, caravan_connector:handle_info({'DOWN', make_ref(), process, self(), normal}, State)),
    ?assertEqual(ignore, caravan_connector:handle_info({timeout, make_ref(), other}, State)).
