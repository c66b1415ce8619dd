%% What is counted, of each VM and minute, while a fault stays as it is: what a fault costs is a matter of counts, and of
%% counts in windows of ten minutes.
-module(caravan_sim_measures).

-export([new/0, observe/5, sweep/4, of_vm/4, of_all/3, names/2]).

-export_type([measures/0, measure/0]).

-type name() :: binary().

%% Lookups; attempts at peers that the fault keeps away; lines of the log; connections that were lost; looks at which a VM that the
%% fault does not concern had no connection to another such one, or to none of two that the fault keeps from each other.
-type measure() :: lookups | tries | lines | losses | cut_off.

-opaque measures() :: #{{measure(), name(), Minute :: integer()} => pos_integer()}.

-spec new() -> measures().
new() ->
    #{}.

%% Only under a steady fault: of others nobody asks.
-spec observe(name(), What :: term(), Now :: integer(), {Core :: module(), map()}, measures()) -> measures().
observe(_Name, _What, _Now, {_Core, #{steady := none}}, Measures) ->
    Measures;
observe(Name, {action, poll}, Now, _Of, Measures) ->
    count(lookups, Name, Now, Measures);
observe(Name, {action, {connect, Peer}}, Now, {_Core, #{steady := #{broken := Broken}}}, Measures) ->
    count_if(is_map_key({Name, Peer}, Broken), tries, Name, Now, Measures);
observe(Name, {action, {report, Report}}, Now, {Core, _}, Measures) ->
    count_if(Core:is_line(Report), lines, Name, Now, Measures);
observe(Name, {event, {nodedown, _, _}}, Now, _Of, Measures) ->
    count(losses, Name, Now, Measures);
observe(_Name, _What, _Now, _Of, Measures) ->
    Measures.

%% A look at all VMs, now and then: of each its number, and the numbers of those that are connected to it.
-spec sweep(#{name() => {Number :: non_neg_integer(), Connected :: caravan_sim_bits:bits()}}, Now :: integer(), map(), measures()) ->
    measures().
sweep(_Vms, _Now, #{steady := none}, Measures) ->
    Measures;
sweep(Vms, Now, #{steady := #{broken := Broken}}, Measures) ->
    Bystanders = maps:without([Name || {Name, _} <- maps:keys(Broken)], Vms),
    All = maps:fold(fun(_Name, {Number, _}, Bits) -> caravan_sim_bits:add(Number, Bits) end, 0, Bystanders),
    Pairs = pairs(maps:keys(Broken), Vms),
    maps:fold(
        fun(Name, {Number, Connected}, Next) ->
            count_if(is_cut_off(caravan_sim_bits:remove(Number, All), Connected, Pairs), cut_off, Name, Now, Next)
        end,
        Measures,
        Bystanders
    ).

%% Of nodes that run. Where one is in several pairs, it may be the one that is left out of all.
pairs(Broken, Running) ->
    [
        number(A, Running) bor number(B, Running)
     || {A, B} <- Broken, is_map_key(A, Running), is_map_key(B, Running),
        [Other || {From, _} = Other <- Broken, From =:= A orelse From =:= B] -- [{A, B}, {B, A}] =:= []
    ].

number(Name, Running) ->
    #{Name := {Number, _}} = Running,
    caravan_sim_bits:bit(Number).

is_cut_off(Others, Connected, Pairs) ->
    caravan_sim_bits:minus(Others, Connected) =/= 0 orelse lists:any(fun(Pair) -> Pair band Connected =:= 0 end, Pairs).

count_if(true, Measure, Name, Now, Measures) -> count(Measure, Name, Now, Measures);
count_if(false, _Measure, _Name, _Now, Measures) -> Measures.

count(Measure, Name, Now, Measures) ->
    maps:update_with({Measure, Name, Now div 60000}, fun(Count) -> Count + 1 end, 1, Measures).

%% In the minutes from the first one to before the second one.
-spec of_vm(measure(), name(), {From :: integer(), To :: integer()}, measures()) -> non_neg_integer().
of_vm(Measure, Name, {From, To}, Measures) ->
    lists:sum([maps:get({Measure, Name, Minute}, Measures, 0) || Minute <- lists:seq(From, To - 1)]).

-spec of_all(measure(), {From :: integer(), To :: integer()}, measures()) -> non_neg_integer().
of_all(Measure, {From, To}, Measures) ->
    maps:fold(
        fun
            ({M, _Name, Minute}, Count, Sum) when M =:= Measure, Minute >= From, Minute < To -> Sum + Count;
            (_Key, _Count, Sum) -> Sum
        end,
        0,
        Measures
    ).

%% Those of whom there is a count.
-spec names(measure(), measures()) -> [name()].
names(Measure, Measures) ->
    lists:usort([Name || {M, Name, _} <- maps:keys(Measures), M =:= Measure]).
