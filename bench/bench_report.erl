%% What benchmarks have in common: medians, and the rows that they print for bench/run.
-module(bench_report).

-export([print/1, verdict/2, bound/1, median/1, number/1, load_average/0]).

-export_type([row/0, aim/0]).

%% What a ratio is to be.
-type aim() :: {at_most | at_least, number()}.
-type row() :: #{
    subject := iodata(),
    unit := string(),
    value := number(),
    rival := string(),
    %% `none' where the rival has failed.
    rival_value := number() | none,
    ratio := number() | none,
    aim := aim() | none,
    %% The aim in words, where it is about something else than the ratio, and what it is about.
    about => {string(), number()}
}.

%% A line for each row, and a tab between its cells: subject, value, rival, value of the rival, ratio, aim, verdict.
-spec print([row()]) -> ok.
print(Rows) ->
    lists:foreach(fun(Row) -> io:format("~ts~n", [lists:join($\t, cells(Row))]) end, Rows).

cells(#{subject := Subject, unit := Unit, value := Value, rival := Rival, rival_value := RivalValue, ratio := Ratio} = Row) ->
    [Subject, with_unit(Value, Unit), Rival, with_unit(RivalValue, Unit), number(Ratio) | judged(Row)].

with_unit(none, _Unit) -> "";
with_unit(Value, "") -> number(Value);
with_unit(Value, Unit) -> [number(Value), " ", Unit].

judged(#{aim := none}) -> ["", ""];
judged(#{aim := Aim, about := {Words, Value}}) -> [[aim(Aim), " ", Words], verdict(Aim, Value)];
judged(#{aim := Aim, ratio := Ratio}) -> [aim(Aim), verdict(Aim, Ratio)].

aim({at_most, Bound}) -> ["at most ", bound(Bound)];
aim({at_least, Bound}) -> ["at least ", bound(Bound)].

-spec bound(number()) -> iodata().
bound(Bound) when is_integer(Bound) -> integer_to_list(Bound);
bound(Bound) -> number(Bound).

-spec verdict(aim(), number() | none) -> string().
verdict(_Aim, none) -> "void";
verdict({at_most, Bound}, Value) when Value =< Bound -> "reached";
verdict({at_least, Bound}, Value) when Value >= Bound -> "reached";
verdict(_Aim, _Value) -> "missed".

%% The lower one of the two in the middle.
-spec median([Value, ...]) -> Value.
median(Values) -> lists:nth((length(Values) + 1) div 2, lists:sort(Values)).

%% Three digits, or all of those before the point.
-spec number(number() | none) -> iodata().
number(none) -> "";
number(Value) when abs(Value) >= 100 -> grouped(integer_to_list(round(Value)));
number(Value) when abs(Value) >= 10 -> io_lib:format("~.1f", [float(Value)]);
number(Value) when abs(Value) >= 0.1; Value == 0 -> io_lib:format("~.2f", [float(Value)]);
number(Value) -> io_lib:format("~.4f", [float(Value)]).

grouped(Digits) when length(Digits) =< 3 -> Digits;
grouped(Digits) ->
    {Front, Group} = lists:split(length(Digits) - 3, Digits),
    grouped(Front) ++ "," ++ Group.

%% Where it exceeds the number of cores, other programs decide who runs.
-spec load_average() -> binary().
load_average() ->
    {ok, Text} = file:read_file("/proc/loadavg"),
    hd(binary:split(Text, <<" ">>)).
