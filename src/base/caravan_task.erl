%% @private
%% A function that runs in a process of its own, within a bound: it may take longer than there is time, crash, or leave
%% messages behind, and none of that reaches its owner.
-module(caravan_task).

-export([call/2, start/2, reference/1, reference_of/1, result/2, cancel/1, remaining/1]).

-export_type([task/1, result/1]).

%% The process hands its result over as the reason of its exit.
-dialyzer({nowarn_function, start/2}).

-record(task, {
    monitor :: reference(),
    pid :: pid(),
    timer :: reference()
}).

-opaque task(_Result) :: #task{}.

%% `raised' is an exception of the function; `exit' is the end of the process from outside.
-type result(Result) ::
    {ok, Result} | {raised, {error | exit | throw, term()}} | {exit, Reason :: term()} | timeout.

%% Calls the function and waits for it until the deadline, in monotonic milliseconds. Leaves no message behind.
-spec call(fun(() -> Result), Deadline :: integer()) -> result(Result).
call(Fun, Deadline) ->
    #task{monitor = Monitor, timer = Timer} = Task = start(Fun, remaining(Deadline)),
    receive
        {'DOWN', Monitor, process, _, _} = Message -> result(Message, Task);
        {timeout, Timer, _} = Message -> result(Message, Task)
    end.

%% Starts the function. Its owner, the caller, gets one message within `Timeout' milliseconds: the one whose
%% reference_of/1 is the reference/1 of the task, and which result/2 takes.
-spec start(fun(() -> Result), Timeout :: non_neg_integer()) -> task(Result).
start(Fun, Timeout) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({?MODULE, run(Fun)}) end),
    #task{monitor = Monitor, pid = Pid, timer = erlang:start_timer(Timeout, self(), {?MODULE, Monitor})}.

run(Fun) ->
    try
        {ok, Fun()}
    catch
        Class:Reason -> {raised, {Class, Reason}}
    end.

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
result({'DOWN', Monitor, process, _, Reason}, #task{monitor = Monitor, timer = Timer}) ->
    ok = erlang:cancel_timer(Timer, [{async, false}, {info, false}]),
    ok = flush_timeout(Timer),
    finished(Reason);
result({timeout, Timer, _}, #task{timer = Timer} = Task) ->
    ok = cancel(Task),
    timeout.

finished({?MODULE, Result}) -> Result;
finished(Reason) -> {exit, Reason}.

%% Ends the task without a result; no message of it comes after this.
-spec cancel(task(_)) -> ok.
cancel(#task{monitor = Monitor, pid = Pid, timer = Timer}) ->
    true = demonitor(Monitor, [flush]),
    true = exit(Pid, kill),
    ok = erlang:cancel_timer(Timer, [{async, false}, {info, false}]),
    flush_timeout(Timer).

flush_timeout(Timer) ->
    receive
        {timeout, Timer, _} -> ok
    after 0 -> ok
    end.

%% Milliseconds until a deadline, 0 when it is past.
-spec remaining(Deadline :: integer()) -> non_neg_integer().
remaining(Deadline) ->
    max(0, Deadline - erlang:monotonic_time(millisecond)).
