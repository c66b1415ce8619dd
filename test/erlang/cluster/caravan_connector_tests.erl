-module(caravan_connector_tests).

-include_lib("eunit/include/eunit.hrl").

-define(GUARD_MS, 10000).

%% Functions of the tests connect, so that no attempt depends on the machine. A process for each test, as attempts that
%% a test leaves behind report to it.
-export([result/2, hang/2, raise/1, raise_with_a_pid/1]).

connector_test_() ->
    [
        {spawn, fun attempts_are_limited/0},
        {spawn, fun a_node_that_is_connected_is_an_event_and_left_alone_until_it_is_seen/0},
        {spawn, fun a_node_that_failed_is_left_alone_for_a_while/0},
        {spawn, {timeout, 30, fun a_reason_is_new_once/0}},
        {spawn, fun the_end_of_a_backoff_is_known/0},
        {spawn, fun no_retry_is_due_while_no_attempt_can_start/0},
        {spawn, fun a_node_that_does_not_answer_is_given_up_and_delays_nobody/0},
        {spawn, fun a_connection_that_was_lost_soon_is_a_failure_of_its_own/0},
        {spawn, fun a_connection_that_has_lasted_ends_that/0},
        {spawn, fun a_connection_that_fell_silent_is_none_that_flaps/0},
        {spawn, fun an_operator_ends_it_too/0},
        {spawn, {timeout, 30, fun who_was_never_tried_has_its_turn_first_and_then_who_has_waited_longest/0}},
        {spawn, {timeout, 30, fun a_reason_with_a_pid_in_it_is_new_once/0}},
        {spawn, fun what_the_connect_function_does_is_the_reason/0},
        {spawn, fun a_node_that_is_not_distributed_connects_to_nobody/0},
        {spawn, fun strangers_messages_are_ignored/0}
    ].

result(Result, _Node) -> Result.

raise(_Node) -> error(on_purpose).

%% Tells the test that it has begun, and never ends.
hang(Pid, Node) ->
    Pid ! {hangs, Node},
    receive never -> true end.

new(Overrides) ->
    caravan_connector:new(maps:merge(
        #{connect => connect_gives(false), connect_timeout => ?GUARD_MS, max_connecting => 2}, Overrides
    )).

connect(Nodes, State) -> caravan_connector:connect(Nodes, now_ms(), State).

next_retry(Nodes, State) -> caravan_connector:next_retry(Nodes, now_ms(), State).

failing(State) -> caravan_connector:failing(now_ms(), State).

%% It was up.
forget(Node, State) ->
    {[], Up} = caravan_connector:connected([Node], now_ms(), State),
    Up.

now_ms() -> erlang:monotonic_time(millisecond).

connect_gives(Result) -> {?MODULE, result, [Result]}.

next_event(State) ->
    receive
        Message -> caravan_connector:handle_info(Message, now_ms(), State)
    after ?GUARD_MS -> error(no_event)
    end.

attempts_are_limited() ->
    State = connect(['a@x', 'b@x', 'c@x'], new(#{})),
    ?assertEqual(2, length(caravan_connector:connecting(State))),
    {{failed, _, {result, false}, new, _}, Next} = next_event(State),
    Full = connect(['a@x', 'b@x', 'c@x'], Next),
    ?assertEqual(2, length(caravan_connector:connecting(Full))).

a_node_that_is_connected_is_an_event_and_left_alone_until_it_is_seen() ->
    State = connect(['a@x'], new(#{connect => connect_gives(true)})),
    {{connected, 'a@x', Duration}, Next} = next_event(State),
    ?assert(Duration > 0),
    ?assertMatch(#{'a@x' := #{reason := not_listed}}, failing(Next)),
    ?assertEqual([], caravan_connector:connecting(connect(['a@x'], Next))),
    ?assertEqual(#{}, failing(forget('a@x', Next))).

a_node_that_failed_is_left_alone_for_a_while() ->
    {{failed, 'a@x', _, new, _}, State} = next_event(connect(['a@x'], new(#{}))),
    ?assertMatch(#{'a@x' := #{count := 1, reason := {result, false}}}, failing(State)),
    ?assertEqual([], caravan_connector:connecting(connect(['a@x'], State))),
    Forgotten = forget('a@x', State),
    ?assertEqual(#{}, failing(Forgotten)),
    ?assertEqual(['a@x'], caravan_connector:connecting(connect(['a@x'], Forgotten))).

a_reason_is_new_once() ->
    Fail = fun(Result, State) ->
        Changed = caravan_connector:change(#{
            connect => connect_gives(Result), connect_timeout => ?GUARD_MS, max_connecting => 2
        }, State),
        {{failed, 'a@x', _, Novelty, _}, Next} = next_event(retry('a@x', Changed)),
        {Novelty, Next}
    end,
    {Novelties, State} = lists:mapfoldl(Fail, new(#{}), [no, other, no]),
    ?assertEqual([new, new, known], Novelties),
    ?assertMatch(#{'a@x' := #{count := 3, reason := {result, no}}}, failing(State)),
    {Again, _} = Fail(no, forget('a@x', State)),
    ?assertEqual(new, Again).

%% Awaits the end of the back-off.
retry(Node, State) ->
    case next_retry([Node], State) of
        none ->
            connect([Node], State);
        After ->
            Timer = erlang:start_timer(After, self(), retry),
            receive {timeout, Timer, retry} -> connect([Node], State) end
    end.

the_end_of_a_backoff_is_known() ->
    ?assertEqual(none, next_retry(['a@x'], new(#{}))),
    {{failed, 'a@x', _, _, _}, State} = next_event(connect(['a@x'], new(#{}))),
    First = next_retry(['a@x', 'b@x'], State),
    ?assert(First > 0 andalso First =< 1000),
    #{'a@x' := #{retry_in := RetryIn}} = failing(State),
    ?assert(RetryIn > 0 andalso RetryIn =< 1000),
    ?assertEqual(none, next_retry(['b@x'], State)),
    ?assertEqual(none, next_retry(['a@x'], caravan_connector:keep(['b@x'], State))).

no_retry_is_due_while_no_attempt_can_start() ->
    {{failed, 'a@x', _, _, _}, State} = next_event(connect(['a@x'], new(#{}))),
    Full = connect(['b@x', 'c@x'], State),
    ?assertEqual(2, length(caravan_connector:connecting(Full))),
    ?assertEqual(none, next_retry(['a@x', 'b@x', 'c@x'], Full)).

%% Both attempts have begun before the first is given up.
a_node_that_does_not_answer_is_given_up_and_delays_nobody() ->
    State = connect(['a@x', 'b@x'], new(#{connect => {?MODULE, hang, [self()]}, connect_timeout => 1})),
    [receive {hangs, Node} -> ok end || Node <- ['a@x', 'b@x']],
    {{failed, One, timeout, new, _}, Next} = next_event(State),
    {{failed, Other, timeout, new, _}, Last} = next_event(Next),
    ?assertEqual(['a@x', 'b@x'], lists:sort([One, Other])),
    ?assertEqual([], caravan_connector:connecting(Last)).

a_connection_that_was_lost_soon_is_a_failure_of_its_own() ->
    {Flaps, Times} = lists:mapfoldl(fun(_, {At, State}) ->
        {[], Up} = caravan_connector:connected(['a@x'], At, State),
        {[{'a@x', Count, LeftAlone}], Lost} = caravan_connector:connected([], At + 1000, Up),
        ?assertMatch(#{'a@x' := #{count := Count, reason := lost_soon, retry_in := LeftAlone}}, caravan_connector:failing(At + 1000, Lost)),
        ?assertEqual(LeftAlone, caravan_connector:next_retry(['a@x'], At + 1000, Lost)),
        ?assertEqual([], caravan_connector:connecting(caravan_connector:connect(['a@x'], At + 999 + LeftAlone, Lost))),
        {{Count, LeftAlone}, {At + 1000 + LeftAlone, Lost}}
    end, {0, new(#{})}, lists:seq(1, 6)),
    [
        ?assert(LeftAlone >= Longest * 3 div 4 andalso LeftAlone =< Longest)
     || {{Count, LeftAlone}, Longest} <- lists:zip(Flaps, [10000, 40000, 160000, 600000, 600000, 600000]), Count > 0
    ],
    {At, State} = Times,
    ?assertEqual(['a@x'], caravan_connector:connecting(caravan_connector:connect(['a@x'], At, State))).

a_connection_that_has_lasted_ends_that() ->
    {[], First} = caravan_connector:connected(['a@x'], 0, new(#{})),
    {[], Steady} = caravan_connector:connected([], 30000, First),
    ?assertEqual(['a@x'], caravan_connector:connecting(caravan_connector:connect(['a@x'], 30000, Steady))),
    {[_], Flapped} = caravan_connector:connected([], 29999, First),
    {[], Again} = caravan_connector:connected(['a@x'], 100000, Flapped),
    {[], Ended} = caravan_connector:connected([], 130000, Again),
    ?assertEqual(#{}, caravan_connector:failing(130000, Ended)).

%% As when a link is down, or the node was stopped for a while.
a_connection_that_fell_silent_is_none_that_flaps() ->
    {[], Up} = caravan_connector:connected(['a@x'], 0, new(#{})),
    {Flaps, Lost} = caravan_connector:connected([], 1000, caravan_connector:lost_by_silence('a@x', Up)),
    ?assertEqual({[], #{}}, {Flaps, caravan_connector:failing(1000, Lost)}),
    ?assertEqual(['a@x'], caravan_connector:connecting(caravan_connector:connect(['a@x'], 1000, Lost))).

an_operator_ends_it_too() ->
    {[], Up} = caravan_connector:connected(['a@x'], 0, new(#{})),
    {[_], Flapped} = caravan_connector:connected([], 1000, Up),
    Due = caravan_connector:all_due(1000, Flapped),
    ?assertEqual(['a@x'], caravan_connector:connecting(caravan_connector:connect(['a@x'], 1000, Due))).

%% However many do not answer: both are behind this node by name.
who_was_never_tried_has_its_turn_first_and_then_who_has_waited_longest() ->
    Options = #{max_connecting => 1},
    {{failed, 'p@x', _, _, _}, First} = next_event(connect(['p@x'], new(Options))),
    ok = await_due(['p@x'], First),
    NeverTried = connect(['p@x', 'z@x'], First),
    ?assertEqual(['z@x'], caravan_connector:connecting(NeverTried)),
    {{failed, 'z@x', _, _, _}, Second} = next_event(NeverTried),
    ok = await_due(['z@x'], Second),
    ?assertEqual(['p@x'], caravan_connector:connecting(connect(['z@x', 'p@x'], Second))).

await_due(Nodes, State) ->
    Timer = erlang:start_timer(next_retry(Nodes, State), self(), due),
    receive {timeout, Timer, due} -> ok end.

%% Each time with another pid.
a_reason_with_a_pid_in_it_is_new_once() ->
    State = new(#{connect => {?MODULE, raise_with_a_pid, []}}),
    {{failed, 'a@x', _, First, _}, Next} = next_event(connect(['a@x'], State)),
    {{failed, 'a@x', _, Second, _}, _} = next_event(retry('a@x', Next)),
    ?assertEqual({new, known}, {First, Second}).

raise_with_a_pid(_Node) -> error({gone, [self(), make_ref()], #{on => self()}}).

what_the_connect_function_does_is_the_reason() ->
    [
        begin
            {{failed, 'a@x', Reason, new, _}, _} = next_event(connect(['a@x'], new(#{connect => Connect}))),
            ?assertEqual(Expected, Reason)
        end
     || {Connect, Expected} <- [
            {connect_gives(ignored), not_distributed},
            {connect_gives(whatever), {result, whatever}},
            {{?MODULE, raise, []}, {raised, {error, on_purpose}}},
            {{erlang, exit, []}, {raised, {exit, 'a@x'}}},
            {{no_such_module, connect, []}, {raised, {error, {undef, {no_such_module, connect, 1}}}}}
        ]
    ].

a_node_that_is_not_distributed_connects_to_nobody() ->
    ?assertNot(is_alive()),
    State = new(#{connect => {net_kernel, connect_node, []}}),
    ?assertMatch({{failed, 'a@x', not_distributed, new, _}, _}, next_event(connect(['a@x'], State))).

strangers_messages_are_ignored() ->
    State = new(#{}),
    ?assertEqual(ignore, caravan_connector:handle_info(hello, 0, State)),
    ?assertEqual(ignore, caravan_connector:handle_info({'DOWN', make_ref(), process, self(), normal}, 0, State)),
    ?assertEqual(ignore, caravan_connector:handle_info({timeout, make_ref(), other}, 0, State)).
