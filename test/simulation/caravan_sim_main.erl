%% The command line of `scripts/simulate': runs seeds on all schedulers, makes the first one that fails small, and prints it.
-module(caravan_sim_main).

-export([main/0, title/1]).

-define(SEEDS, 200).

-spec main() -> no_return().
main() ->
    case options(init:get_plain_arguments(), #{seeds => ?SEEDS, nodes => any, mode => seeds}) of
        {ok, Options} -> halt(status(run(Options)));
        {error, What} -> io:format("scripts/simulate: ~ts~n", [What]), halt(2)
    end.

status(ok) -> 0;
status(failed) -> 1.

options([], Options) -> {ok, Options};
options(["--seeds", N | Rest], Options) -> number("--seeds", N, 1, Rest, fun(Seeds) -> Options#{seeds := Seeds} end);
options(["--nodes", N | Rest], Options) -> number("--nodes", N, 2, Rest, fun(Nodes) -> Options#{nodes := Nodes} end);
options(["--seed", N | Rest], Options) -> number("--seed", N, 0, Rest, fun(Seed) -> Options#{mode := {seed, Seed}} end);
options(["--scenario", Name | Rest], Options) -> scenario([Known || Known <- caravan_sim_known:names(), atom_to_list(Known) =:= Name], Rest, Options);
options(["--trace" | Rest], Options) -> options(Rest, Options#{trace => true});
options(["--mutants" | Rest], Options) -> options(Rest, Options#{mode := mutants});
options(["--speed" | Rest], Options) -> options(Rest, Options#{mode := speed});
options(["--lines" | Rest], Options) -> options(Rest, Options#{mode := lines});
options(["--named" | Rest], Options) -> options(Rest, Options#{mode := named});
options(["--scenario"], _Options) -> {error, names()};
options([Argument | _], _Options) -> {error, [Argument, " is no argument; the first lines of this script have all"]}.

number(Argument, Text, Least, Rest, Options) ->
    case string:to_integer(Text) of
        {Number, []} when Number >= Least -> options(Rest, Options(Number));
        _ -> {error, io_lib:format("~ts wants a number from ~b on", [Argument, Least])}
    end.

scenario([Name], Rest, Options) -> options(Rest, Options#{mode := {scenario, Name}});
scenario([], _Rest, _Options) -> {error, names()}.

names() ->
    ["--scenario wants one of ", lists:join(" ", [atom_to_list(Name) || Name <- caravan_sim_known:names()])].

run(#{mode := {seed, Seed}, nodes := Nodes} = Options) ->
    one(caravan_sim_world:random(Seed, Nodes), Options);
run(#{mode := {scenario, Name}} = Options) ->
    one(caravan_sim_known:scenario(Name), Options);
run(#{mode := mutants}) ->
    caravan_sim_mutants:run();
run(#{mode := speed}) ->
    lists:foreach(fun speed/1, [3, 20, 500]);
run(#{mode := lines}) ->
    caravan_sim_lines:print();
run(#{mode := named}) ->
    many([caravan_sim_known:scenario(Name) || Name <- caravan_sim_known:names()], any);
run(#{mode := seeds, seeds := Count, nodes := Nodes}) ->
    many([caravan_sim_world:random(Seed, Nodes) || Seed <- lists:seq(1, Count)], Nodes).

one(Scenario, Options) ->
    io:put_chars([caravan_sim_judge:trace(Scenario) || is_map_key(trace, Options)]),
    case caravan_sim_judge:verdict(Scenario) of
        {ok, #{ended_at := Ended, events := Events}} ->
            io:format("~ts: clean, ~.1f minutes, ~b events~n", [title(Scenario), Ended / 60000, Events]);
        Violated ->
            failed(Scenario, Violated, maps:get(nodes, Options))
    end.

title(#{name := random, seed := Seed, size := Size}) -> io_lib:format("seed ~b, ~b nodes", [Seed, Size]);
title(#{name := Name}) -> atom_to_list(Name).

%% A process for each scheduler takes one scenario after the other.
many(Scenarios, Nodes) ->
    Began = erlang:monotonic_time(millisecond),
    Workers = [spawn_monitor(fun worker/0) || _ <- lists:seq(1, erlang:system_info(schedulers_online))],
    {Verdicts, Minutes} = collect(Scenarios, [Pid || {Pid, _} <- Workers], 0, [], 0),
    Took = max(1, erlang:monotonic_time(millisecond) - Began),
    Failed = [Failure || {_, Violated} = Failure <- Verdicts, element(1, Violated) =:= violated],
    io:format("~b scenarios, ~b failed, ~b simulated minutes in ~.1f s: ~b minutes per second~n", [
        length(Verdicts), length(Failed), round(Minutes), Took / 1000, round(Minutes * 1000 / Took)
    ]),
    report(Failed, Nodes).

worker() ->
    receive
        {run, From, Scenario} ->
            From ! {self(), Scenario, caravan_sim_judge:verdict(Scenario)},
            worker()
    end.

collect([], [], 0, Verdicts, Minutes) ->
    {Verdicts, Minutes};
collect([Scenario | Scenarios], [Worker | Idle], Busy, Verdicts, Minutes) ->
    Worker ! {run, self(), Scenario},
    collect(Scenarios, Idle, Busy + 1, Verdicts, Minutes);
collect([], _Idle, 0, Verdicts, Minutes) ->
    {Verdicts, Minutes};
collect(Scenarios, Idle, Busy, Verdicts, Minutes) ->
    receive
        {Worker, Scenario, {ok, #{ended_at := Ended}}} ->
            collect(Scenarios, [Worker | Idle], Busy - 1, [{Scenario, {ok, Ended}} | Verdicts], Minutes + Ended / 60000);
        {Worker, Scenario, Violated} ->
            collect(Scenarios, [Worker | Idle], Busy - 1, [{Scenario, Violated} | Verdicts], Minutes);
        {'DOWN', _, process, _, Reason} ->
            exit(Reason)
    end.

report([], _Nodes) ->
    ok;
report(Failures, Nodes) ->
    Sorted = lists:sort(fun({#{size := A, seed := B}, _}, {#{size := C, seed := D}, _}) -> {A, B} =< {C, D} end, Failures),
    Kinds = lists:usort([Invariant || {_, {violated, Invariant, _, _}} <- Sorted]),
    [
        io:format("~ts: ~b, such as ~ts~n", [
            Kind, length([hit || {_, {violated, K, _, _}} <- Sorted, K =:= Kind]),
            lists:join(", ", lists:sublist([title(Scenario) || {Scenario, {violated, K, _, _}} <- Sorted, K =:= Kind], 8))
        ])
     || Kind <- Kinds
    ],
    {Scenario, Violated} = hd(Sorted),
    failed(Scenario, Violated, Nodes).

failed(Scenario, {violated, Invariant, _At, _Details}, Nodes) ->
    Small = caravan_sim_shrink:shrink(Scenario, Invariant),
    {violated, Invariant, At, Details} = caravan_sim_judge:verdict(Small),
    io:format("~n~ts violates ~ts at ~.3f s: ~0tp~n", [title(Scenario), Invariant, At / 1000, Details]),
    io:format("made small: ~b nodes~n~ts~n", [maps:get(size, Small), description(Small)]),
    io:put_chars(caravan_sim_judge:trace(Small)),
    io:format("~nagain: ~ts~n", [command(Scenario, Nodes)]),
    failed.

description(#{dns := Dns, network := Network, options := Options, faults := Faults}) ->
    Defaults = caravan_sim_world:options(#{}),
    [
        io_lib:format("  dns ~0tp~n  network ~0tp~n", [Dns, Network]),
        io_lib:format("  options ~0tp~n", [maps:filter(fun(Key, Value) -> maps:get(Key, Defaults) =/= Value end, Options)]),
        [io_lib:format("  ~b to ~b s: ~w~n", [From div 1000, To div 1000, What]) || {From, To, What} <- Faults]
    ].

command(#{name := random, seed := Seed}, any) -> io_lib:format("scripts/simulate --seed ~b", [Seed]);
command(#{name := random, seed := Seed}, Nodes) -> io_lib:format("scripts/simulate --seed ~b --nodes ~b", [Seed, Nodes]);
command(#{name := Name}, _Nodes) -> io_lib:format("scripts/simulate --scenario ~ts", [Name]).

%% On one scheduler: nodes start, twenty of them are deployed with new ports, and ten minutes pass.
speed(Nodes) ->
    Base = caravan_sim_world:base(),
    Deploy = {120000, 240000, {deploy, lists:seq(1, min(Nodes, 20)), 3000, 2000, new_port, 0}},
    Scenario = Base#{size => Nodes, faults => [Deploy], ends => 600000},
    Runs = max(1, 60 div Nodes),
    Began = erlang:monotonic_time(millisecond),
    Ended = lists:sum([maps:get(ended_at, caravan_sim:run(Scenario#{seed => Seed}, #{})) || Seed <- lists:seq(1, Runs)]),
    Took = max(1, erlang:monotonic_time(millisecond) - Began),
    io:format("~3b nodes: ~.1f simulated minutes per second~n", [Nodes, Ended / 60 / Took]).
