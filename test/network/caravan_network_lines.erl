%% @doc How much a small cluster logs in which something is wrong all the time: three nodes are well, DNS lists one more that does not
%% run, and one that is killed and started again every twenty seconds.
-module(caravan_network_lines).

-export([main/0]).

-import(caravan_network_log, [entries/1, print/2, shapes/1]).
-import(caravan_network_nodes, [await_mesh/1, boot/2, boot_all/2, now_ms/0, publish/2, run/1, sleep_until/1]).

-define(MINUTES, 5).
-define(LIFE_MS, 20000).
%% What a node may log in this time: more than these is more than anybody reads.
-define(MAX_LINES, 30).
-define(MAX_WARNINGS, 10).

%% @doc Ends the VM with status 1 where a node has logged more than is allowed.
-spec main() -> no_return().
main() ->
    Outputs = caravan_network_nodes:with(fun flap/1),
    Lines = [{Name, [Entry || {_, "caravan" ++ _} = Entry <- entries(Output)]} || {Name, Output} <- Outputs],
    Counts = [{length(Entries), length([Entry || {Level, _} = Entry <- Entries, Level =/= "NOTICE", Level =/= "INFO"])} || {_, Entries} <- Lines],
    [print(atom_to_list(Name), shapes([{Name, Entry} || Entry <- Entries])) || {Name, Entries} <- Lines],
    io:format("lines and warnings of each of ~b nodes in ~b minutes: ~0tp~n", [length(Lines), ?MINUTES, Counts]),
    halt(case [many || {Count, Warnings} <- Counts, Count > ?MAX_LINES orelse Warnings > ?MAX_WARNINGS] of [] -> 0; _ -> 1 end).

flap(#{network := Network} = World) ->
    [Dead, Flapping | Well] = Names = caravan_test_mesh:names(Network, 5),
    ok = publish(World, Names),
    Nodes = boot_all(World, Well),
    ok = run(Nodes),
    ok = await_mesh(Nodes),
    false = lists:keymember(Dead, 1, Nodes),
    ok = lives(Flapping, World, now_ms(), now_ms() + ?MINUTES * 60000),
    [ended(Name, caravan_test_node:stop(Node)) || {Name, Node} <- Nodes].

ended(Name, {exited, 0, Output}) -> {Name, Output}.

lives(_Name, _World, Now, End) when Now >= End ->
    ok;
lives(Name, World, Now, End) ->
    {Name, Node} = boot(World, Name),
    ok = run([{Name, Node}]),
    ok = sleep_until(min(End, Now + ?LIFE_MS)),
    _ = os:cmd("kill -KILL " ++ caravan_test_node:call(Node, os, getpid, [])),
    {exited, _, _} = caravan_test_node:await_exit(Node),
    lives(Name, World, now_ms(), End).
