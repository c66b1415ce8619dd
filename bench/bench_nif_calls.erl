%% Started by bench/nif_calls: what calls of caravan_nif take of the thread that calls, in CPU time of that thread.
-module(bench_nif_calls).

-export([main/1, cpu_time/0, noop/1]).

%% No call takes longer, whatever its arguments. What is judged is the median of the calls with one input: single ones have an
%% interrupt or a page fault in them, as those of noop/1 show.
-define(BOUND_US, 100).
%% A process makes so many calls, on a heap that has room for all of what they leave, so that none is interrupted by a garbage collection.
-define(CALLS_OF_PROCESS, 500).
-define(HEAP_WORDS, 1000000).
-define(SHOWN, 5).

-spec cpu_time() -> integer().
cpu_time() -> erlang:nif_error(not_loaded).

-spec noop(term()) -> term().
noop(_) -> erlang:nif_error(not_loaded).

%% The library of the functions below, and how many calls.
-spec main([string()]) -> no_return().
main([Library, Calls]) ->
    ok = erlang:load_nif(Library, 0),
    ok = caravan_nif:load(),
    ok = bench_nif_inputs:make(),
    Functions = bench_nif_inputs:functions(),
    Each = list_to_integer(Calls) div (length(Functions) - 1),
    io:format("us of CPU time, ~b calls each~n~-20ts~8ts~10ts~10ts~10ts~14ts~n",
              [Each, "", "inputs", "p50", "p99.99", "max", "long_schedule"]),
    Exceeding = lists:append([measure(Function, Each) || Function <- Functions]),
    [io:format("more than ~b us: ~ts~n", [?BOUND_US, Line]) || Line <- Exceeding],
    halt(case Exceeding of [] -> 0; _ -> 1 end).

measure(Function, Calls) ->
    Inputs = bench_nif_inputs:inputs(Function),
    Times = atomics:new(Calls, []),
    Module = case Function of noop -> ?MODULE; _ -> caravan_nif end,
    _ = erlang:system_monitor(self(), [{long_schedule, 1}]),
    Callers = call({Module, Function}, Inputs, Times, 1, Calls, []),
    _ = erlang:system_monitor(undefined),
    Long = length([Pid || Pid <- long_schedules(), lists:member(Pid, Callers)]),
    Sorted = lists:sort([atomics:get(Times, Call) || Call <- lists:seq(1, Calls)]),
    io:format("~-20ts~8b~10ts~10ts~10ts~14b~n",
              [Function, tuple_size(Inputs)] ++ [us(quantile(Sorted, Part)) || Part <- [0.5, 0.9999, 1]] ++ [Long]),
    Medians = [{median(Times, Index, tuple_size(Inputs), Calls), element(1, element(Index, Inputs))}
               || Index <- lists:seq(1, min(Calls, tuple_size(Inputs)))],
    [io_lib:format("~ts, ~ts: ~ts", [Function, Label, us(Ns)]) || {Ns, Label} <- shown(Medians), Ns > ?BOUND_US * 1000].

shown(Medians) -> lists:sublist(lists:reverse(lists:sort(Medians)), ?SHOWN).

%% The inputs have their turns.
call(_MF, _Inputs, _Times, First, Calls, Callers) when First > Calls ->
    Callers;
call(MF, Inputs, Times, First, Calls, Callers) ->
    Last = min(Calls, First + ?CALLS_OF_PROCESS - 1),
    {Pid, Ref} = spawn_opt(fun() -> calls(MF, Inputs, Times, First, Last) end, [monitor, {min_heap_size, ?HEAP_WORDS}]),
    receive {'DOWN', Ref, process, Pid, normal} -> ok end,
    call(MF, Inputs, Times, Last + 1, Calls, [Pid | Callers]).

calls(_MF, _Inputs, _Times, Call, Last) when Call > Last ->
    ok;
calls({Module, Function} = MF, Inputs, Times, Call, Last) ->
    {_, Arguments} = element((Call - 1) rem tuple_size(Inputs) + 1, Inputs),
    %% With all reductions left, nobody else runs before the call is over.
    true = erlang:yield(),
    Before = cpu_time(),
    _ = try apply(Module, Function, Arguments) catch error:badarg -> badarg end,
    ok = atomics:put(Times, Call, cpu_time() - Before),
    calls(MF, Inputs, Times, Call + 1, Last).

long_schedules() ->
    receive
        {monitor, Pid, long_schedule, _} -> [Pid | long_schedules()]
    after 0 -> []
    end.

median(Times, First, Step, Calls) ->
    Sorted = lists:sort([atomics:get(Times, Call) || Call <- lists:seq(First, Calls, Step)]),
    quantile(Sorted, 0.5).

quantile(Sorted, Part) ->
    lists:nth(max(1, ceil(Part * length(Sorted))), Sorted).

us(Ns) -> io_lib:format("~.1f", [Ns / 1000]).
