%% The table: every contender in turn, several rounds each, compared within the round.
-module(bench_resolver_rows).

-export([run/4]).

-define(CONTENDERS, [caravan, inet_res, bare]).
-define(ROUND_NS, 300000000).
-define(MAX_WINDOW, 100).
-define(MAX_LOOKUPS, 60000).
-define(BARE_LIMIT_MS, 70000).

-spec run([bench_resolver:row()], pos_integer(), inet:port_number(), file:filename()) -> ok | failed.
run(Rows, Rounds, Server, CaresLoop) ->
    Bare = open_port({spawn_executable, CaresLoop}, [{line, 200}, use_stdio]),
    Idle = bench_resolver_load:idle_cpu(),
    io:format(
        "Caravan beside inet_res and a bare c-ares poll loop: medians of ~b interleaved rounds.~n"
        "CPU: user and system time of the whole process; this VM runs with +sbwt none +sbwtdcpu none +sbwtdio none,~n"
        "and what it takes when idle (~.2f % of a core) is taken off. /i: ratio to inet_res, /b: to the bare loop~n"
        "(as many queries in flight as there are callers, 100 at most), own: to the rate with 100 callers;~n"
        "void: lookups of that contender failed, with their share. Load average before the run: ~ts.~n~n",
        [Rounds, 100 * Idle, load_average()]
    ),
    line(["", "records", "callers", "rate/s", "/i", "/b", "own", "p50 us", "/i", "/b", "p99 us", "/i", "/b", "CPU us", "/i", "/b", " short of"]),
    {Void, _} = lists:foldl(
        fun(Row, {Void, Rates}) ->
            Measured = [round(Row, Counts, Server, Bare, Idle) || Counts <- lists:duplicate(Rounds, counts(Row, Server, Bare))],
            print(Row, Measured, Rates, Void)
        end,
        {0, #{}},
        Rows
    ),
    true = port_close(Bare),
    result(Void).

%% Where it exceeds the number of cores, the rows say little: other programs decide who runs.
load_average() ->
    {ok, Text} = file:read_file("/proc/loadavg"),
    hd(binary:split(Text, <<" ">>)).

result(0) -> ok;
result(Void) -> io:format("~nRows in which a lookup of Caravan failed: ~b~n", [Void]), failed.

%% As many lookups as a contender makes in the length of a round; found with a short one, which warms up too.
counts(#{callers := Callers}, _Server, _Bare) when Callers >= 10000 ->
    %% inet_res takes seconds for one lookup each.
    #{caravan => 6 * Callers, inet_res => Callers, bare => 2 * Callers};
counts(#{callers := Callers} = Row, Server, Bare) ->
    Probe = max(20, Callers),
    maps:from_list([
        begin
            #{wall := Wall} = measure(Contender, Row, Probe, Server, Bare),
            {Contender, min(max(?MAX_LOOKUPS, Callers), max(2 * Callers, Probe * ?ROUND_NS div Wall))}
        end
     || Contender <- ?CONTENDERS
    ]).

round(Row, Counts, Server, Bare, Idle) ->
    maps:from_list([
        {Contender, per_lookup(Contender, measure(Contender, Row, maps:get(Contender, Counts), Server, Bare), Idle)}
     || Contender <- ?CONTENDERS
    ]).

per_lookup(Contender, #{lookups := Lookups, failures := Failures, wall := Wall, cpu := Cpu, p50 := P50, p99 := P99}, Idle) ->
    Own = Cpu - idle(Contender, Idle) * Wall,
    #{failed => Failures / Lookups, rate => Lookups * 1.0e9 / Wall, cpu => max(1, Own) / Lookups, p50 => P50, p99 => P99}.

idle(bare, _Idle) -> 0;
idle(_Contender, Idle) -> Idle.

measure(bare, #{transport := Transport, records := Records, callers := Callers}, Lookups, Server, Bare) ->
    %% With more in flight, its one socket overflows and every lost answer costs seconds.
    Window = min(Callers, ?MAX_WINDOW),
    Task = io_lib:format("~s ~b ~s ~b ~b ~b~n", [
        Transport, Server, bench_resolver_load:name(Records, 1), Records, Window, Lookups
    ]),
    true = port_command(Bare, Task),
    receive
        {Bare, {data, {eol, Line}}} ->
            [Lookups, Wall, Cpu, Failures, P50, P99] = [list_to_integer(Word) || Word <- string:lexemes(Line, " ")],
            #{lookups => Lookups, failures => Failures, wall => Wall, cpu => Cpu, p50 => P50, p99 => P99}
    after ?BARE_LIMIT_MS -> error(bare_loop_hangs)
    end;
measure(Contender, Row, Lookups, Server, _Bare) ->
    bench_resolver_load:measure(Contender, Row, Lookups, Server).

print(#{transport := Transport, records := Records, callers := Callers} = Row, Rounds, Rates, Void) ->
    Head = [atom_to_list(Transport), integer_to_list(Records), integer_to_list(Callers)],
    case failed(caravan, Rounds) of
        Share when Share > 0 ->
            line(Head ++ [shown({void, Share})]),
            {Void + 1, Rates};
        _ ->
            Values = [{Key, value(Key, Rounds), ratio(inet_res, Key, Rounds), ratio(bare, Key, Rounds)} || Key <- [rate, p50, p99, cpu]],
            [{_, Rate, _, _} | _] = Values,
            Known = remember(Row, Rate, Rates),
            Own = own(Row, Rate, Known),
            [RateCells | Cells] = [[shown(Key, Value), shown(ToInet), shown(ToBare)] || {Key, Value, ToInet, ToBare} <- Values],
            line(Head ++ RateCells ++ [shown(Own)] ++ lists:append(Cells) ++ [" " ++ short_of(Row, Values, Own)]),
            {Void, Known}
    end.

remember(#{transport := Transport, records := Records, callers := 100}, Rate, Rates) ->
    Rates#{{Transport, Records} => Rate};
remember(_Row, _Rate, Rates) ->
    Rates.

own(#{transport := Transport, records := Records}, Rate, Rates) ->
    case Rates of
        #{{Transport, Records} := Base} -> Rate / Base;
        #{} -> none
    end.

failed(Contender, Rounds) -> lists:max([maps:get(failed, maps:get(Contender, Round)) || Round <- Rounds]).

value(Key, Rounds) -> median([maps:get(Key, maps:get(caravan, Round)) || Round <- Rounds]).

ratio(Contender, Key, Rounds) ->
    case failed(Contender, Rounds) == 0 of
        true -> median([maps:get(Key, maps:get(caravan, R)) / maps:get(Key, maps:get(Contender, R)) || R <- Rounds]);
        false -> {void, failed(Contender, Rounds)}
    end.

median(Values) -> lists:nth((length(Values) + 1) div 2, lists:sort(Values)).

%% The aims that this row misses.
short_of(#{callers := Callers}, Values, Own) ->
    [{rate, _, RateInet, RateBare}, {p50, _, P50Inet, _}, _P99, {cpu, _, CpuInet, _}] = Values,
    Aims = [
        {1, "p50 0.5/i", P50Inet, fun(Ratio) -> Ratio =< 0.5 end},
        {100, "rate 8/i", RateInet, fun(Ratio) -> Ratio >= 8 end},
        {100, "CPU 0.14/i", CpuInet, fun(Ratio) -> Ratio =< 1 / 7 end},
        {100, "rate 0.6/b", RateBare, fun(Ratio) -> Ratio >= 0.6 end},
        {10000, "own 0.9", Own, fun(Ratio) -> Ratio >= 0.9 end}
    ],
    lists:append(lists:join(", ", [Name || {For, Name, Ratio, Met} <- Aims, For =:= Callers, is_number(Ratio), not Met(Ratio)])).

shown(rate, Value) -> io_lib:format("~b", [round(Value)]);
shown(_Nanoseconds, Value) -> io_lib:format("~.1f", [Value / 1000]).

shown(none) -> "";
shown({void, Share}) -> io_lib:format("void ~.1f%", [100.0 * Share]);
shown(Ratio) when Ratio >= 100 -> io_lib:format("~b", [round(Ratio)]);
shown(Ratio) -> io_lib:format("~.2f", [Ratio * 1.0]).

line(Cells) ->
    Widths = [3, 8, 8, 8, 11, 11, 6, 10, 7, 7, 10, 7, 7, 8, 7, 7, 1],
    io:format("~ts~n", [lists:append([pad(Cell, Width) || {Cell, Width} <- lists:zip(Cells, lists:sublist(Widths, length(Cells)))])]).

pad(Cell, Width) -> lists:flatten(string:pad(lists:flatten(Cell), Width, leading)).
