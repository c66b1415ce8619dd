%% What operators do and what breaks, as steps of the engine: each fault of a scenario becomes steps with times. A fault stands
%% by itself, so that any of them can be left out of a scenario.
-module(caravan_sim_operators).

-export([ops/1]).

-export_type([fault/0]).

-type host() :: pos_integer().
-type new_life() :: same | new_port.

-type fault() :: {From :: integer(), To :: integer(), what()}.

-type what() ::
    %% Hosts that do not reach others: packets are lost, or attempts are refused, rejected or hang.
    {cut, [{host(), host()}], Fault :: drop | refuse | reject | hang}
    | {split, [host()], [host()], Fault :: drop | refuse | reject | hang}
    | {pause, host()}
    %% Hosts lose power and come back; their records go after a while, or stay.
    | {die, [host()], UnregisterAfter :: non_neg_integer() | never}
    %% Hosts crash so long after each boot, and boot so long after that.
    | {crash_loop, [host()], Up :: pos_integer(), Down :: pos_integer(), new_life(), UnregisterAfter :: non_neg_integer() | never}
    %% One host after the other is stopped and started.
    | {deploy, [host()], Every :: pos_integer(), Down :: pos_integer(), new_life(), UnregisterAfter :: non_neg_integer()}
    %% The same, where each says that it leaves.
    | {rolling, [host()], Every :: pos_integer(), Down :: pos_integer(), new_life(), UnregisterAfter :: non_neg_integer()}
    %% The host leaves, runs on, and comes back.
    | {leave, host()}
    %% Further hosts come and go again; or come and stay, and others go.
    | {scale, [host()], Every :: non_neg_integer()}
    | {replace, Old :: [host()], New :: [host()]}
    %% The host runs, and its record is gone meanwhile.
    | {unlist, host()}
    | {dns, host() | all, caravan_sim_dns:fault()}
    %% Records of nodes that are none. With `for_good' they stay when all faults end.
    | {phantoms, Count :: pos_integer(), Fault :: none | drop | refuse | reject | hang, until_end | for_good}
    | {topology_crash, host()}
    | {poll | reconnect, host()}
    | {exclude, host(), Other :: host()}
    | {change, host(), Patch :: map()}
    | ever_new_reasons
    | disconnects_fail.

-spec ops(caravan_sim_world:scenario()) -> [{At :: integer(), caravan_sim:op()}].
ops(#{size := Size, faults := Faults, seed := Seed, start := Start}) ->
    Boots = [boot(Host, spread({Seed, Host}, Start), same) || Host <- lists:seq(1, Size)],
    lists:append(Boots) ++ lists:flatmap(fun({From, To, What}) -> ops(What, From, To) end, Faults).

boot(Host, At, Port) ->
    [{At, {expect, Host, true}}, {At, {boot, Host, Port, spread({register, Host, At}, 500)}}].

leave(Host, At) ->
    [{At, {expect, Host, false}}, {At, {stop, Host, shutdown, 200}}].

%% The same each time, and another for each key.
spread(Key, Limit) ->
    erlang:phash2(Key, max(1, Limit)).

ops({cut, Pairs, Fault}, From, To) ->
    lists:append([[{From, {link, A, B, Fault}}, {To, {link, A, B, none}}] || {A, B} <- Pairs]);
ops({split, Some, Others, Fault}, From, To) ->
    ops({cut, [Pair || A <- Some, B <- Others, A =/= B, Pair <- [{A, B}, {B, A}]], Fault}, From, To);
ops({pause, Host}, From, To) ->
    [{From, {pause, Host}}, {To, {resume, Host}}];
ops({die, Hosts, UnregisterAfter}, From, To) ->
    lists:append([
        [{From + spread({Host, From}, 15000), {stop, Host, vanish, UnregisterAfter}}, {To + 20000, {boot, Host, same, 500}}]
     || Host <- Hosts
    ]);
ops({crash_loop, Hosts, Up, Down, Port, UnregisterAfter}, From, To) ->
    lists:append([
        [{At, {stop, Host, shutdown, UnregisterAfter}}, {At + Down, {boot, Host, Port, 100}}]
     || Host <- Hosts, At <- lists:seq(From + spread(Host, 1000), To, Up + Down)
    ]);
ops({deploy, Hosts, Every, Down, Port, UnregisterAfter}, From, To) ->
    lists:append([
        [{At, {stop, Host, shutdown, UnregisterAfter}}, {At + Down, {boot, Host, Port, 500}}]
     || {At, Host} <- lists:zip(lists:seq(From, From + Every * (length(Hosts) - 1), Every), Hosts), At =< To
    ]);
ops({rolling, Hosts, Every, Down, Port, UnregisterAfter}, From, To) ->
    [{At, end_of(Op)} || {At, Op} <- ops({deploy, Hosts, Every, Down, Port, UnregisterAfter}, From, To)];
ops({leave, Host}, From, To) ->
    [{From, {leave, Host, To - From}}];
ops({scale, Hosts, Every}, From, To) ->
    lists:append([
        boot(Host, From + Every * Number, same) ++ leave(Host, To + Every * Number)
     || {Number, Host} <- lists:zip(lists:seq(0, length(Hosts) - 1), Hosts)
    ]);
ops({replace, Old, New}, From, To) ->
    lists:append([boot(Host, From, same) || Host <- New] ++ [leave(Host, To) || Host <- Old]);
ops({unlist, Host}, From, To) ->
    [{From, {unlist, Host}}, {To, {list, Host}}];
ops({dns, Asker, Fault}, From, To) ->
    [{From, {dns, Asker, Fault}}, {To, {dns, Asker, none}}];
ops({phantoms, Count, Fault, Until}, From, To) ->
    lists:append([
        [{From, {phantom, Id, Fault}} | [{To, {no_phantom, Id}} || Until =:= until_end]]
     || Id <- lists:seq(1, Count)
    ]);
ops({topology_crash, Host}, From, _To) ->
    [{From, {crash, Host}}];
ops({Event, Host}, From, _To) when Event =:= poll; Event =:= reconnect ->
    [{From, {Event, Host}}];
ops({exclude, Host, Other}, From, To) ->
    [{From, {exclude, Host, Other, To - From}}];
ops({change, Host, Patch}, From, _To) ->
    [{From, {change, Host, Patch}}];
ops(ever_new_reasons, From, To) ->
    [{From, {reasons, ever_new}}, {To, {reasons, kernel}}];
ops(disconnects_fail, From, To) ->
    [{From, {disconnects, failed}}, {To, {disconnects, ok}}].

end_of({stop, Host, shutdown, UnregisterAfter}) -> {end_of, Host, UnregisterAfter};
end_of(Op) -> Op.
