%% Lookups as a table has them: every contender in turn, several rounds each, compared within the round.
-module(bench_resolver_rows).

-export([measure/5]).

-export_type([measured/0, contender/0, key/0]).

-type contender() :: bench_resolver_load:contender() | bare.
%% Lookups a second; nanoseconds of time, and of CPU time for each lookup.
-type key() :: rate | p50 | p99 | cpu.
-type measured() :: #{
    row := bench_resolver:row(),
    %% The greatest share of lookups of Caravan that failed in a round, if any is too great: then there is nothing else.
    void => float(),
    values => #{key() => number()},
    %% `void' where too many lookups of the other one failed, `none' where it does not take part.
    ratios => #{{inet_res | bare, key()} => number() | {void, float()} | none}
}.

-define(KEYS, [rate, p50, p99, cpu]).
-define(ROUND_NS, 300000000).
-define(MAX_WINDOW, 100).
-define(MAX_LOOKUPS, 60000).
-define(BARE_LIMIT_MS, 70000).
%% Where datagrams are lost, three attempts of a lookup may be.
-define(MOST_FAILURES_OF_LOSS, 0.01).

%% Calls `Done' with each row as soon as it is measured, and with those before it. `Idle' is bench_resolver_load:idle_cpu().
-spec measure(
    [bench_resolver:row()], Rounds :: pos_integer(), bench_resolver:rig(), Idle :: float(),
    Done :: fun((measured(), Earlier :: [measured()]) -> _)
) -> [measured()].
measure(Rows, Rounds, #{server := Server, cares_loop := CaresLoop}, Idle, Done) ->
    Bare = open_port({spawn_executable, CaresLoop}, [{line, 200}, use_stdio]),
    Measured = lists:foldl(
        fun(Row, Earlier) ->
            Summary = summary(Row, in_condition(Row, fun() -> rounds(Row, Rounds, Server, Bare, Idle) end)),
            _ = Done(Summary, Earlier),
            Earlier ++ [Summary]
        end,
        [],
        Rows
    ),
    true = port_close(Bare),
    Measured.

in_condition(#{condition := calm}, Measure) ->
    Measure();
in_condition(#{condition := busy}, Measure) ->
    bench_resolver_load:with_busy_schedulers(Measure);
in_condition(#{condition := {lost, Percent}}, Measure) ->
    ok = bench_resolver_loss:lose(Percent),
    try Measure() after bench_resolver_loss:lose(0) end.

%% The bare loop has no scheduler of this VM to wait for.
contenders(#{condition := busy}) -> [caravan, inet_res];
contenders(_Row) -> [caravan, inet_res, bare].

rounds(Row, Rounds, Server, Bare, Idle) ->
    [round(Row, Counts, Server, Bare, Idle) || Counts <- lists:duplicate(Rounds, counts(Row, Server, Bare))].

%% As many lookups as a contender makes in the length of a round; found with a short one, which warms up too.
counts(#{callers := Callers}, _Server, _Bare) when Callers >= 10000 ->
    %% inet_res takes seconds for one lookup each.
    #{caravan => 6 * Callers, inet_res => Callers, bare => 2 * Callers};
counts(#{condition := {lost, _}, callers := Callers}, _Server, _Bare) ->
    %% Enough that the last ones, which wait for seconds, do not decide.
    #{caravan => 40 * Callers, inet_res => 10 * Callers, bare => 10 * Callers};
counts(#{callers := Callers} = Row, Server, Bare) ->
    Probe = max(20, Callers),
    maps:from_list([
        begin
            #{wall := Wall} = measure_one(Contender, Row, Probe, Server, Bare),
            {Contender, min(max(?MAX_LOOKUPS, Callers), max(2 * Callers, Probe * ?ROUND_NS div Wall))}
        end
     || Contender <- contenders(Row)
    ]).

round(Row, Counts, Server, Bare, Idle) ->
    maps:from_list([
        {Contender, per_lookup(Contender, measure_one(Contender, Row, maps:get(Contender, Counts), Server, Bare), Idle)}
     || Contender <- contenders(Row)
    ]).

per_lookup(Contender, #{lookups := Lookups, failures := Failures, wall := Wall, cpu := Cpu, p50 := P50, p99 := P99}, Idle) ->
    Own = Cpu - idle(Contender, Idle) * Wall,
    #{failed => Failures / Lookups, rate => Lookups * 1.0e9 / Wall, cpu => max(1, Own) / Lookups, p50 => P50, p99 => P99}.

idle(bare, _Idle) -> 0;
idle(_Contender, Idle) -> Idle.

measure_one(bare, #{transport := Transport, records := Records} = Row, Lookups, Server, Bare) ->
    Task = io_lib:format("~s ~b ~s ~b ~b ~b~n", [
        Transport, Server, bench_resolver_load:name(Records, 1), Records, window(Row), Lookups
    ]),
    true = port_command(Bare, Task),
    receive
        {Bare, {data, {eol, Line}}} ->
            [Lookups, Wall, Cpu, Failures, P50, P99] = [list_to_integer(Word) || Word <- string:lexemes(Line, " ")],
            #{lookups => Lookups, failures => Failures, wall => Wall, cpu => Cpu, p50 => P50, p99 => P99}
    after ?BARE_LIMIT_MS -> error(bare_loop_hangs)
    end;
measure_one(Contender, Row, Lookups, Server, _Bare) ->
    bench_resolver_load:measure(Contender, Row, Lookups, Server).

%% With more in flight, its one socket overflows and every lost answer costs seconds.
window(#{transport := udp, records := 50, callers := Callers}) -> min(Callers, ?MAX_WINDOW * 2 div 5);
window(#{callers := Callers}) -> min(Callers, ?MAX_WINDOW).

summary(Row, Rounds) ->
    case failed(caravan, Row, Rounds) of
        0 -> #{row => Row, values => values(Row, Rounds), ratios => ratios(Row, Rounds)};
        Share -> #{row => Row, void => Share}
    end.

values(Row, Rounds) ->
    maps:from_list([{Key, bench_report:median([maps:get(Key, Own) || #{caravan := Own} <- Rounds])} || Key <- keys(Row)]).

ratios(Row, Rounds) ->
    maps:from_list([
        {{Rival, Key}, ratio(Rival, Key, lists:member(Rival, contenders(Row)), failed(Rival, Row, Rounds), Rounds)}
     || Rival <- [inet_res, bare], Key <- keys(Row)
    ]).

ratio(_Rival, _Key, false, _Failed, _Rounds) ->
    none;
ratio(Rival, Key, true, 0, Rounds) ->
    bench_report:median([maps:get(Key, Own) / maps:get(Key, Others) || #{caravan := Own, Rival := Others} <- Rounds]);
ratio(_Rival, _Key, true, Share, _Rounds) ->
    {void, Share}.

%% Where all schedulers compute, most of the CPU time of the process is none of the lookups'.
keys(#{condition := busy}) -> ?KEYS -- [cpu];
keys(_Row) -> ?KEYS.

%% The greatest share of a round, or 0 where that is allowed.
failed(Contender, #{condition := Condition}, Rounds) ->
    case lists:max([0 | [Share || #{Contender := #{failed := Share}} <- Rounds]]) of
        Share when Share > ?MOST_FAILURES_OF_LOSS -> Share;
        Share when Condition =:= calm; Condition =:= busy -> zero(Share);
        _ -> 0
    end.

zero(Share) when Share == 0 -> 0;
zero(Share) -> Share.
