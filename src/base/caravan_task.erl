%% @private
%% A function that runs in a process of its own, within a bound: it may take longer than there is time, crash, or leave
%% messages behind, and none of that reaches its owner.
-module(caravan_task).

-export([call/2, start/2, await/1, reference/1, reference_of/1, result/2, cancel/1, remaining/1]).

-export_type([task/1, result/1]).

%% The process hands its result over as the reason of its exit.
-dialyzer({nowarn_function, [call/2, start/2, spawn_guarded/2]}).

-record(task, {
    %% Of this task alone: whatever else the process may exit with is no result.
    id :: reference(),
    monitor :: reference(),
    pid :: pid(),
    timer :: reference()
}).

-opaque task(_Result) :: #task{}.

%% `raised' is an exception of the function, with the function that is undefined where that is the exception; `exit' is the
%% end of the process from outside.
-type result(Result) ::
    {ok, Result} | {raised, {error | exit | throw, term()}} | {exit, Reason :: term()} | timeout.

%% Calls the function and waits for it until the deadline, in monotonic milliseconds. Leaves no message behind.
-spec call(fun(() -> Result), Deadline :: integer()) -> result(Result).
call(Fun, Deadline) ->
    Id = make_ref(),
    %% Beside the receive, so that the compiler sees that no earlier message can match and none is looked at.
    {Pid, Monitor} = spawn_guarded(Id, Fun),
    receive
        {'DOWN', Monitor, process, Pid, Reason} -> finished(Id, Reason)
    after remaining(Deadline) ->
        true = demonitor(Monitor, [flush]),
        true = exit(Pid, kill),
        timeout
    end.

%% Starts the function. Its owner, the caller, gets one message within `Timeout' milliseconds: the one whose
%% reference_of/1 is the reference/1 of the task, and which result/2 takes.
-spec start(fun(() -> Result), Timeout :: non_neg_integer()) -> task(Result).
start(Fun, Timeout) ->
    Id = make_ref(),
    {Pid, Monitor} = spawn_guarded(Id, Fun),
    #task{id = Id, monitor = Monitor, pid = Pid, timer = erlang:start_timer(Timeout, self(), {?MODULE, Monitor})}.

%% Waits for the end of a task, or for its time-out.
-spec await(task(Result)) -> result(Result).
await(#task{monitor = Monitor} = Task) ->
    receive
        {'DOWN', Monitor, process, _, _} = Message -> result(Message, Task);
        {timeout, _, {?MODULE, Monitor}} = Message -> result(Message, Task)
    end.

%% It ends with its owner, who may be killed.
spawn_guarded(Id, Fun) ->
    Owner = self(),
    spawn_monitor(fun() ->
        ok = guard(Owner, self()),
        exit({Id, run(Fun)})
    end).

guard(Owner, Worker) ->
    _ = spawn(fun() ->
        OfOwner = monitor(process, Owner),
        OfWorker = monitor(process, Worker),
        receive
            {'DOWN', OfOwner, process, Owner, _} -> exit(Worker, kill);
            {'DOWN', OfWorker, process, Worker, _} -> true
        end
    end),
    ok.

run(Fun) ->
    try
        {ok, Fun()}
    catch
        error:undef:Stack -> {raised, {error, undefined(Stack)}};
        Class:Reason -> {raised, {Class, Reason}}
    end.

undefined([{Module, Function, Arity, _} | _]) when is_integer(Arity) -> {undef, {Module, Function, Arity}};
undefined([{Module, Function, Arguments, _} | _]) when is_list(Arguments) -> {undef, {Module, Function, length(Arguments)}};
undefined(_) -> undef.

-spec reference(task(_)) -> reference().
reference(#task{monitor = Monitor}) ->
    Monitor.

%% The reference of the task that a message may be the end of.
-spec reference_of(Message :: term()) -> reference() | none.
reference_of({'DOWN', Monitor, process, _, _}) -> Monitor;
reference_of({timeout, _, {?MODULE, Monitor}}) -> Monitor;
reference_of(_Message) -> none.

%% How the task ended. When it ran out of time, it ends here.
-spec result(Message :: term(), task(Result)) -> result(Result).
result({'DOWN', Monitor, process, _, Reason}, #task{id = Id, monitor = Monitor, timer = Timer}) ->
    ok = cancel_timer(Timer),
    finished(Id, Reason);
result({timeout, Timer, _}, #task{timer = Timer} = Task) ->
    ok = cancel(Task),
    timeout.

finished(Id, {Id, Result}) -> Result;
finished(_Id, Reason) -> {exit, Reason}.

%% Ends the task without a result; no message of it comes after this.
-spec cancel(task(_)) -> ok.
cancel(#task{monitor = Monitor, pid = Pid, timer = Timer}) ->
    true = demonitor(Monitor, [flush]),
    true = exit(Pid, kill),
    cancel_timer(Timer).

%% The mailbox is looked through only where the timer has sent its message.
cancel_timer(Timer) ->
    flush_timeout(erlang:cancel_timer(Timer), Timer).

flush_timeout(false, Timer) ->
    receive
        {timeout, Timer, _} -> ok
    after 0 -> ok
    end;
flush_timeout(_Left, _Timer) ->
    ok.

%% Milliseconds until a deadline, 0 when it is past.
-spec remaining(Deadline :: integer()) -> non_neg_integer().
remaining(Deadline) ->
    max(0, Deadline - erlang:monotonic_time(millisecond)).
