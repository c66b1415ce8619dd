-module(caravan_task_tests).

-include_lib("eunit/include/eunit.hrl").

-define(GUARD_MS, 30000).

in(Milliseconds) ->
    erlang:monotonic_time(millisecond) + Milliseconds.

a_call_gives_what_became_of_the_function_test() ->
    ?assertEqual({ok, 3}, caravan_task:call(fun() -> 1 + 2 end, in(?GUARD_MS))),
    ?assertEqual({raised, {throw, away}}, caravan_task:call(fun() -> throw(away) end, in(?GUARD_MS))),
    ?assertEqual({raised, {error, badarg}}, caravan_task:call(fun() -> error(badarg) end, in(?GUARD_MS))),
    ?assertEqual({raised, {exit, normal}}, caravan_task:call(fun() -> exit(normal) end, in(?GUARD_MS))),
    ?assertEqual({exit, killed}, caravan_task:call(fun() -> exit(self(), kill) end, in(?GUARD_MS))).

a_function_that_takes_too_long_is_ended_and_leaves_no_message_test() ->
    Test = self(),
    Hang = fun() ->
        Test ! {runs, self()},
        receive after infinity -> ok end
    end,
    ?assertEqual(timeout, caravan_task:call(Hang, in(-1))),
    ?assertEqual(timeout, caravan_task:call(Hang, in(10))),
    [receive {runs, Pid} -> await_end(Pid) after 0 -> ok end || _ <- [1, 2]],
    ?assertEqual({message_queue_len, 0}, process_info(self(), message_queue_len)).

await_end(Pid) ->
    Monitor = monitor(process, Pid),
    receive {'DOWN', Monitor, _, _, _} -> ok end.

each_task_ends_with_one_message_of_its_own_test() ->
    Fast = caravan_task:start(fun() -> fast end, ?GUARD_MS),
    Slow = caravan_task:start(fun() -> receive after infinity -> ok end end, 10),
    Tasks = maps:from_list([{caravan_task:reference(Task), Task} || Task <- [Fast, Slow]]),
    ?assertEqual([timeout, {ok, fast}], lists:sort([next_result(Tasks), next_result(Tasks)])),
    ?assertEqual({message_queue_len, 0}, process_info(self(), message_queue_len)).

next_result(Tasks) ->
    receive
        Message ->
            caravan_task:result(Message, maps:get(caravan_task:reference_of(Message), Tasks))
    end.

%% A topology may be killed while a user's function hangs.
a_function_ends_with_its_owner_test() ->
    Test = self(),
    Hang = fun() ->
        Test ! {runs, self()},
        receive after infinity -> ok end
    end,
    Owner = spawn(fun() ->
        _ = caravan_task:start(Hang, ?GUARD_MS),
        receive after infinity -> ok end
    end),
    receive {runs, Pid} -> ok end,
    true = exit(Owner, kill),
    await_end(Pid).

a_message_that_is_no_end_of_a_task_has_no_reference_test() ->
    [?assertEqual(none, caravan_task:reference_of(Message)) || Message <- [hello, {timeout, make_ref(), look}, {}]].

%% The function has ended and its message is in the mailbox when the task is cancelled.
a_cancelled_task_leaves_no_message_test() ->
    Test = self(),
    Task = caravan_task:start(fun() -> Test ! {runs, self()} end, 0),
    receive {runs, Pid} -> await_end(Pid) end,
    ok = caravan_task:cancel(Task),
    ?assertEqual({message_queue_len, 0}, process_info(self(), message_queue_len)).

%% The process is terminated from outside with a reason that looks like a result.
an_exit_reason_from_outside_is_no_result_test() ->
    Forge = fun() ->
        Task = self(),
        _ = spawn(fun() -> exit(Task, {caravan_task, {ok, forged}}) end),
        receive after infinity -> ok end
    end,
    ?assertEqual({exit, {caravan_task, {ok, forged}}}, caravan_task:call(Forge, in(?GUARD_MS))),
    Task = caravan_task:start(Forge, ?GUARD_MS),
    ?assertEqual({exit, {caravan_task, {ok, forged}}}, next_result(#{caravan_task:reference(Task) => Task})).

%% erlang:raise/3 may give any stack.
an_undefined_function_has_its_name_where_the_stack_says_it_test() ->
    [?assertEqual({raised, {error, Expected}}, caravan_task:call(fun() -> erlang:raise(error, undef, Stack) end, in(?GUARD_MS)))
     || {Expected, Stack} <- [{{undef, {m, f, 2}}, [{m, f, 2, []}]}, {{undef, {m, f, 1}}, [{m, f, [a], []}]}, {undef, []}]].
