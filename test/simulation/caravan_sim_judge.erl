%% Whether a scenario runs clean: the run itself, and what is counted in it under a steady fault.
-module(caravan_sim_judge).

-export([verdict/1, verdict/2, trace/1]).

-export_type([verdict/0]).

-type verdict() :: {ok, caravan_sim:result()} | {violated, Invariant :: atom(), At :: integer(), Details :: term()}.

-spec verdict(caravan_sim_world:scenario()) -> verdict().
verdict(Scenario) ->
    verdict(Scenario, caravan_sim:run(Scenario, #{})).

-spec verdict(caravan_sim_world:scenario(), caravan_sim:result()) -> verdict().
verdict(#{ends := Ends} = Scenario, #{outcome := ok, measures := Measures} = Result) ->
    try
        ok = caravan_sim_invariants:steady(Scenario, Measures),
        ok = as_plain(Scenario, Measures),
        {ok, Result}
    catch
        throw:{violated, Invariant, Details} -> {violated, Invariant, Ends, Details}
    end;
verdict(_Scenario, #{outcome := Violated}) ->
    Violated.

%% The rival has the same world. It looks every five seconds whatever the options say, and makes so much of a large world that
%% there is no time for it.
as_plain(#{steady := none}, _Measures) ->
    ok;
as_plain(#{size := Size}, _Measures) when Size > 20 ->
    ok;
as_plain(#{options := #{poll_interval := Interval}}, _Measures) when Interval < 5000 ->
    ok;
as_plain(Scenario, Measures) ->
    #{outcome := ok, measures := Plain} = caravan_sim:run(Scenario, #{core => caravan_sim_plain, checks => false}),
    caravan_sim_invariants:no_worse_than_plain(Scenario, Measures, Plain).

%% The same run once more, as text.
-spec trace(caravan_sim_world:scenario()) -> iolist().
trace(Scenario) ->
    #{outcome := Outcome, trace := Trace} = caravan_sim:run(Scenario, #{trace => true}),
    caravan_sim_trace:format(Trace, concerned(Outcome, Trace)).

%% The VMs that the details of a violation name.
concerned(ok, _Trace) ->
    all;
concerned({violated, _Invariant, _At, Details}, Trace) ->
    Vms = lists:usort([Who || {_, Who, _} <- Trace, is_binary(Who)]),
    case [Name || Name <- Vms, names(Name, Details)] of
        [] -> all;
        Names -> lists:sublist(Names, 3)
    end.

names(Name, Name) -> true;
names(Name, [Head | Tail]) -> names(Name, Head) orelse names(Name, Tail);
names(Name, Tuple) when is_tuple(Tuple) -> names(Name, tuple_to_list(Tuple));
names(_Name, _Other) -> false.
