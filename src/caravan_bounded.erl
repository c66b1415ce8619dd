%% @private
%% Calls that may take longer than there is time, or leave messages behind: made in a process of their own.
-module(caravan_bounded).

-export([call/2, remaining/1]).

%% It hands its result over as the reason of its exit.
-dialyzer({nowarn_function, call/2}).

%% The deadline is in monotonic milliseconds.
-spec call(fun(() -> Result), Deadline :: integer()) -> {ok, Result} | failed | timeout.
call(Fun, Deadline) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({answer, Fun()}) end),
    receive
        {'DOWN', Monitor, process, Pid, {answer, Answer}} -> {ok, Answer};
        {'DOWN', Monitor, process, Pid, _} -> failed
    after remaining(Deadline) ->
        true = exit(Pid, kill),
        true = demonitor(Monitor, [flush]),
        timeout
    end.

-spec remaining(Deadline :: integer()) -> non_neg_integer().
remaining(Deadline) ->
    max(0, Deadline - erlang:monotonic_time(millisecond)).
