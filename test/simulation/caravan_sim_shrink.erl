%% Makes a scenario that fails small: it leaves out faults, nodes and time one after the other, as long as the same invariant
%% fails.
-module(caravan_sim_shrink).

-export([shrink/2, shrink/3]).

%% Small worlds fail fast; a large one has to be good enough after so many runs, each of which counts for as many as a large one takes
%% the time of.
-define(RUNS, 150).
-define(LARGE, 25).

-spec shrink(caravan_sim_world:scenario(), Invariant :: atom()) -> caravan_sim_world:scenario().
shrink(Scenario, Invariant) ->
    shrink(Scenario, Invariant, fun caravan_sim_judge:verdict/1).

-spec shrink(caravan_sim_world:scenario(), Invariant :: atom(), fun((caravan_sim_world:scenario()) -> tuple())) ->
    caravan_sim_world:scenario().
shrink(Scenario, Invariant, Judge) ->
    until_same(Scenario, {Invariant, Judge}, ?RUNS).

until_same(Scenario, Fault, Left) ->
    case smaller(candidates(Scenario), Fault, Left) of
        none -> Scenario;
        {Smaller, Rest} -> until_same(Smaller, Fault, Rest)
    end.

smaller([], _Fault, _Left) ->
    none;
smaller(_Candidates, _Fault, Left) when Left =< 0 ->
    none;
smaller([Candidate | Others], {Invariant, Judge} = Fault, Left) ->
    Rest = Left - cost(Candidate),
    case Judge(Candidate) of
        {violated, Invariant, _, _} -> {Candidate, Rest};
        _ -> smaller(Others, Fault, Rest)
    end.

cost(#{size := Size}) -> 1 + Size div ?LARGE.

%% The largest steps first.
candidates(#{faults := Faults} = Scenario) ->
    Halves = [Scenario#{faults := Half} || length(Faults) > 3, Half <- halves(Faults)],
    Fewer = [Scenario#{faults := lists:delete(Fault, Faults)} || Fault <- Faults],
    Halves ++ Fewer ++ sizes(Scenario) ++ plainer(Scenario) ++ shorter(Scenario).

halves(Faults) ->
    tuple_to_list(lists:split(length(Faults) div 2, Faults)).

%% Faults that name hosts which are no more do nothing.
sizes(#{size := Size} = Scenario) ->
    [Scenario#{size := Less} || Less <- lists:usort([2, 3, Size div 2, Size - 1]), Less >= 2, Less < Size].

%% What a world has by default says least.
plainer(#{dns := Dns, network := Network, options := Options, queries := Queries} = Scenario) ->
    [
        Other
     || Other <- [
            Scenario#{dns := Dns#{caches := false}},
            Scenario#{dns := Dns#{ttl := 0}},
            Scenario#{network := Network#{prevent_overlapping := true, connect_all := true}},
            Scenario#{basenames := [<<"a">>], options := Options#{listener := none, names_per_record := 1}},
            Scenario#{options := Options#{list_nodes := otp}},
            Scenario#{options := Options#{prune := false}},
            Scenario#{options := Options#{poll_interval := 5000}},
            Scenario#{options := Options#{max_connecting := 16}},
            Scenario#{queries := lists:sublist(Queries, 1), options := Options#{queries := lists:sublist(Queries, 1)}}
        ],
        Other =/= Scenario
    ].

shorter(#{faults := Faults, steady := none} = Scenario) ->
    [
        Scenario#{faults := lists:delete(Fault, Faults) ++ [{From, From + (To - From) div 2, What}]}
     || {From, To, What} = Fault <- Faults, To - From > 10000
    ] ++ [
        Scenario#{ends := Ends}
     || Ends <- [lists:max([60000 | [To || {_, To, _} <- Faults]]) + 1000], Ends < maps:get(ends, Scenario)
    ];
shorter(_Steady) ->
    [].
