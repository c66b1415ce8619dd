%% Which processes kept a scheduler of a VM for long, and whether they were in a function of Caravan's. What is measured is time
%% of the wall clock: a thread that the kernel has taken off its core for that long counts as well, whatever it ran.
-module(bench_schedules).

-export([watch/0]).

-define(LONG_MS, 1).

%% Appends a line to the file that CARAVAN_BENCH_SCHEDULES names for each time that a process ran a millisecond or more without
%% a break: "caravan" or "other", the milliseconds, and the functions in which it began and ended. Without the variable it does
%% nothing. It is for -run before the main function of a bench.
-spec watch() -> ok.
watch() ->
    case os:getenv("CARAVAN_BENCH_SCHEDULES") of
        false ->
            ok;
        File ->
            _ = erlang:system_monitor(spawn(fun() -> watch(File) end), [{long_schedule, ?LONG_MS}]),
            ok
    end.

watch(File) ->
    receive
        {monitor, Pid, long_schedule, Info} when is_pid(Pid) ->
            %% One write(2) in append mode: lines of several VMs do not mix.
            ok = file:write_file(File, line(Info), [append, raw]),
            watch(File);
        _OfAPort ->
            watch(File)
    end.

line(Info) ->
    [In, Out] = [proplists:get_value(Key, Info) || Key <- [in, out]],
    Whose = case lists:any(fun is_ours/1, [In, Out]) of true -> caravan; false -> other end,
    io_lib:format("~w ~b ~w ~w~n", [Whose, proplists:get_value(timeout, Info), In, Out]).

is_ours({Module, _Function, _Arity}) -> lists:prefix("caravan", atom_to_list(Module));
is_ours(undefined) -> false.
