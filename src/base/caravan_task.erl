%% @private
%% Runs a function in a process of its own, within a time limit. The function may hang, crash or leave messages behind; none
%% of that affects the owner, which is the process that starts the task.
-module(caravan_task).

-export([call/2, start/2, await/1, reference/1, reference_of/1, result/2, cancel/1, remaining/1]).

-export_type([task/1, result/1]).

%% The worker exits with the result of the function as its exit reason.
-dialyzer({nowarn_function, [call/2, start/2, spawn_guarded/2]}).

-record(task, {
    %% Marks the result of this task. An exit reason without it comes from outside the function.
    id :: reference(),
    monitor :: reference(),
    pid :: pid(),
    timer :: reference()
}).

-opaque task(_Result) :: #task{}.

%% `raised': the function raised an exception; for `undef' with the undefined function, if the stack trace has it. `exit':
%% the process was terminated from outside.
-type result(Result) ::
    {ok, Result} | {raised, {error | exit | throw, term()}} | {exit, Reason :: term()} | timeout.

%% Calls the function and waits for it until the deadline, in monotonic milliseconds. Leaves no message in the mailbox of the
%% caller.
-spec call(fun(() -> Result), Deadline :: integer()) -> result(Result).
call(Fun, Deadline) ->
    Id = make_ref(),
    %% The monitor is created directly before the receive, so that the compiler skips all earlier messages of the mailbox.
    {Pid, Monitor} = spawn_guarded(Id, Fun),
    receive
        {'DOWN', Monitor, process, Pid, Reason} -> finished(Id, Reason)
    after remaining(Deadline) ->
        true = demonitor(Monitor, [flush]),
        true = exit(Pid, kill),
        timeout
    end.

%% Starts the function. The caller owns the task and gets exactly one message about it within `Timeout' milliseconds.
%% reference_of/1 of that message equals reference/1 of the task; pass it to result/2.
-spec start(fun(() -> Result), Timeout :: non_neg_integer()) -> task(Result).
start(Fun, Timeout) ->
    Id = make_ref(),
    {Pid, Monitor} = spawn_guarded(Id, Fun),
    #task{id = Id, monitor = Monitor, pid = Pid, timer = erlang:start_timer(Timeout, self(), {?MODULE, Monitor})}.

%% Waits until the task ends or its time is over.
-spec await(task(Result)) -> result(Result).
await(#task{monitor = Monitor} = Task) ->
    receive
        {'DOWN', Monitor, process, _, _} = Message -> result(Message, Task);
        {timeout, _, {?MODULE, Monitor}} = Message -> result(Message, Task)
    end.

%% The worker terminates when its owner does. A link would not do, because the worker must not terminate its owner.
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

%% Returns the reference of the task whose end the message may be, or `none'.
-spec reference_of(Message :: term()) -> reference() | none.
reference_of({'DOWN', Monitor, process, _, _}) -> Monitor;
reference_of({timeout, _, {?MODULE, Monitor}}) -> Monitor;
reference_of(_Message) -> none.

%% Returns the result that the message carries. If it is the time-out, terminates the task.
-spec result(Message :: term(), task(Result)) -> result(Result).
result({'DOWN', Monitor, process, _, Reason}, #task{id = Id, monitor = Monitor, timer = Timer}) ->
    ok = cancel_timer(Timer),
    finished(Id, Reason);
result({timeout, Timer, _}, #task{timer = Timer} = Task) ->
    ok = cancel(Task),
    timeout.

finished(Id, {Id, Result}) -> Result;
finished(_Id, Reason) -> {exit, Reason}.

%% Terminates the task. No message of the task arrives after this function has returned.
-spec cancel(task(_)) -> ok.
cancel(#task{monitor = Monitor, pid = Pid, timer = Timer}) ->
    true = demonitor(Monitor, [flush]),
    true = exit(Pid, kill),
    cancel_timer(Timer).

%% The mailbox is searched only if the timer has already sent its message.
cancel_timer(Timer) ->
    flush_timeout(erlang:cancel_timer(Timer), Timer).

flush_timeout(false, Timer) ->
    receive
        {timeout, Timer, _} -> ok
    after 0 -> ok
    end;
flush_timeout(_Left, _Timer) ->
    ok.

%% Returns the milliseconds until a deadline, or 0 if it has passed.
-spec remaining(Deadline :: integer()) -> non_neg_integer().
remaining(Deadline) ->
    max(0, Deadline - erlang:monotonic_time(millisecond)).
