%% What bench/resolver prints of the lookups that it has measured: a table, and rows for bench/run.
-module(bench_resolver_table).

-export([head/2, line/2, rows/1]).

-type measured() :: bench_resolver_rows:measured().

-define(KEYS, [rate, p50, p99, cpu]).

%% `Idle' is the share of a core that is taken off.
-spec head(Rounds :: pos_integer(), Idle :: float()) -> ok.
head(Rounds, Idle) ->
    io:format(
        "Caravan beside inet_res and a bare c-ares poll loop: medians of ~b interleaved rounds.~n"
        "CPU: user and system time of the whole process; this VM runs with +sbwt none +sbwtdcpu none +sbwtdio none,~n"
        "and what it takes when idle (~.2f % of a core) is taken off. /i: ratio to inet_res, /b: to the bare loop~n"
        "(as many queries in flight as there are callers, 100 at most), own: to the rate with 100 callers;~n"
        "lost: that share of datagrams, each way; busy: two processes compute for each scheduler;~n"
        "void: lookups of that contender failed, with their share. Load average before the run: ~ts.~n~n",
        [Rounds, 100 * Idle, bench_report:load_average()]
    ),
    print([
        "", "records", "callers", "", "rate/s", "/i", "/b", "own",
        "p50 us", "/i", "/b", "p99 us", "/i", "/b", "CPU us", "/i", "/b", " short of"
    ]).

%% The line of a row, which is compared with earlier ones.
-spec line(measured(), Earlier :: [measured()]) -> ok.
line(#{row := Row} = Measured, Earlier) ->
    #{transport := Transport, records := Records, callers := Callers, condition := Condition} = Row,
    print(
        [atom_to_list(Transport), integer_to_list(Records), integer_to_list(Callers), condition(Condition)]
        ++ cells(Measured, Earlier)
    ).

cells(#{void := Share}, _Earlier) ->
    [shown({void, Share})];
cells(#{values := Values, ratios := Ratios} = Measured, Earlier) ->
    [Rate | Others] = [
        [shown(Key, Value) | [shown(maps:get({Rival, Key}, Ratios, none)) || Rival <- [inet_res, bare]]]
     || Key <- ?KEYS, Value <- [maps:get(Key, Values, none)]
    ],
    Rate ++ [shown(own(Measured, Earlier))] ++ lists:append(Others) ++ [" " ++ short_of(Measured, Earlier)].

%% The rate beside that with 100 callers.
own(#{row := #{condition := calm} = Row, values := #{rate := Rate}}, Earlier) ->
    Base = Row#{callers := 100},
    case [Rate / Hundred || #{row := Other, values := #{rate := Hundred}} <- Earlier, Other =:= Base] of
        [Ratio] -> Ratio;
        [] -> none
    end;
own(_Measured, _Earlier) ->
    none.

%% What a row is about: what is compared, with whom, and how it is to compare.
points(#{condition := calm, callers := 1}) ->
    [{p50, inet_res, {at_most, 0.5}}];
points(#{condition := calm, callers := 100}) ->
    [{rate, inet_res, {at_least, 8}}, {cpu, inet_res, {at_most, 1 / 7}}, {rate, bare, {at_least, 0.6}}];
points(#{condition := calm, callers := 10000}) ->
    [{rate, own, {at_least, 0.9}}];
points(#{condition := calm}) ->
    [];
points(#{condition := busy}) ->
    [{rate, inet_res, none}, {p99, inet_res, none}];
points(#{condition := {lost, _}}) ->
    [{rate, inet_res, none}].

%% The aims that this row misses.
short_of(#{row := Row} = Measured, Earlier) ->
    lists:append(lists:join(", ", [
        aim_name(Key, Rival, Bound)
     || {Key, Rival, {_, Bound} = Aim} <- points(Row),
        Ratio <- [ratio(Key, Rival, Measured, Earlier)],
        bench_report:verdict(Aim, Ratio) =:= "missed"
    ])).

aim_name(rate, own, Bound) -> text("own ~ts", [bench_report:bound(Bound)]);
aim_name(Key, Rival, Bound) -> text("~ts ~ts/~c", [short_name(Key), bench_report:bound(Bound), hd(atom_to_list(Rival))]).

short_name(cpu) -> "CPU";
short_name(Key) -> atom_to_list(Key).

ratio(rate, own, Measured, Earlier) ->
    own(Measured, Earlier);
ratio(Key, Rival, #{ratios := Ratios}, _Earlier) ->
    case Ratios of
        #{{Rival, Key} := Ratio} when is_number(Ratio) -> Ratio;
        #{} -> none
    end.

%% Those of Caravan's lookups that failed have none.
-spec rows([measured()]) -> [bench_report:row()].
rows(All) ->
    [report(Key, Rival, Aim, Measured, All) || #{values := _, row := Row} = Measured <- All, {Key, Rival, Aim} <- points(Row)].

report(Key, Rival, Aim, #{row := Row, values := Values} = Measured, All) ->
    {Name, Unit, Scale} = in_words(Key),
    Value = maps:get(Key, Values) / Scale,
    Ratio = ratio(Key, Rival, Measured, All),
    #{
        subject => [subject(Row), ": ", Name], unit => Unit, value => Value,
        rival => rival(Rival), rival_value => rival_value(Value, Ratio), ratio => Ratio, aim => Aim
    }.

%% The ratio is the median of those within the rounds, and the rival's value goes with it.
rival_value(_Value, none) -> none;
rival_value(Value, Ratio) -> Value / Ratio.

in_words(rate) -> {"rate", "/s", 1};
in_words(p50) -> {"median", "us", 1000};
in_words(p99) -> {"99 %", "us", 1000};
in_words(cpu) -> {"CPU", "us", 1000}.

rival(inet_res) -> "inet_res";
rival(bare) -> "bare c-ares loop";
rival(own) -> "100 callers".

subject(#{transport := Transport, records := Records, callers := Callers, condition := Condition}) ->
    [
        text("lookup, ~ts, ~b records, ~b caller~ts", [
            string:uppercase(atom_to_list(Transport)), Records, Callers, [$s || Callers > 1]
        ])
        | [[", ", condition(Condition)] || Condition =/= calm]
    ].

condition(calm) -> "";
condition(busy) -> "busy";
condition({lost, Percent}) -> text("~b% lost", [Percent]).

shown(_Key, none) -> "";
shown(rate, Value) -> text("~b", [round(Value)]);
shown(_Nanoseconds, Value) -> text("~.1f", [Value / 1000]).

shown(none) -> "";
shown({void, Share}) -> text("void ~.1f%", [100.0 * Share]);
shown(Ratio) when Ratio >= 100 -> text("~b", [round(Ratio)]);
shown(Ratio) -> text("~.2f", [Ratio * 1.0]).

print(Cells) ->
    Widths = [3, 8, 8, 9, 8, 11, 11, 6, 10, 7, 7, 10, 7, 7, 8, 7, 7, 1],
    io:format("~ts~n", [[string:pad(Cell, Width, leading) || {Cell, Width} <- lists:zip(Cells, lists:sublist(Widths, length(Cells)))]]).

text(Format, Arguments) -> lists:flatten(io_lib:format(Format, Arguments)).
