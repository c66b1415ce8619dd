%% @doc A rolling restart of real nodes with the defaults of OTP: what their logs say of it, and whether anybody loses a node that
%% nobody has stopped.
-module(caravan_network_rolling).

-export([main/0]).

-import(caravan_network_log, [entries/1, print/2, shapes/1]).
-import(caravan_network_nodes, [await_mesh/1, boot/2, boot_all/2, now_ms/0, publish/2, run/1, watch/1]).

-define(NODES, 20).

%% What a node has seen from its start to its end, and who was stopped meanwhile.
-record(life, {
    name :: node(),
    events :: [caravan_network_record:event()],
    stopped :: [node()],
    output :: binary()
}).

%% @doc Ends the VM with status 1 where Caravan has warned of anything, or a node has lost another one that was not stopped.
-spec main() -> no_return().
main() ->
    Began = now_ms(),
    Lives = caravan_network_nodes:with(fun restart_all/1),
    io:format("~b nodes restarted one after the other, and stopped together, in ~b s~n", [?NODES, (now_ms() - Began) div 1000]),
    Entries = [{Name, Entry} || #life{name = Name, output = Output} <- Lives, Entry <- entries(Output)],
    Warnings = [Entry || {_, {Level, "caravan" ++ _}} = Entry <- Entries, Level =/= "NOTICE", Level =/= "INFO"],
    Losses = lists:append([losses(Life) || Life <- Lives]),
    print("lines of OTP", shapes([Entry || {_, {_, Line}} = Entry <- Entries, string:prefix(Line, "caravan") =:= nomatch])),
    print("lines of Caravan at notice", shapes([Entry || {_, {"NOTICE", "caravan" ++ _}} = Entry <- Entries])),
    print("lines of Caravan above that", [{Entry, 1} || Entry <- Warnings]),
    print("nodes lost that were not stopped", [{Loss, 1} || Loss <- Losses]),
    io:format("~b times a node was connected again while it ended~n", [lists:sum([again(Life) || Life <- Lives])]),
    halt(case {Warnings, Losses} of {[], []} -> 0; _ -> 1 end).

restart_all(#{network := Network} = World) ->
    Names = caravan_test_mesh:names(Network, ?NODES),
    ok = publish(World, Names),
    Nodes = boot_all(World, Names),
    ok = watch(Nodes),
    ok = run(Nodes),
    ok = await_mesh(Nodes),
    {First, Last} = lists:mapfoldl(fun(Name, Running) -> restart(Name, Running, World) end, [{Node, []} || Node <- Nodes], Names),
    Seen = [{Node, events(Node), Stopped} || {Node, Stopped} <- Last],
    %% Each of them ends at its own pace.
    Ends = [{Seeing, caravan_test_node:async(Node, fun() -> init:stop() end)} || {{_, Node}, _, _} = Seeing <- Seen],
    [receive {End, ok} -> ok end || {_, End} <- Ends],
    First ++ [life(Name, Events, Stopped, caravan_test_node:await_exit(Node)) || {{Name, Node}, Events, Stopped} <- Seen].

%% The nodes that run come with those that were stopped since their start.
restart(Name, Nodes, World) ->
    {[{{Name, Node}, Stopped}], Others} = lists:partition(fun({{Own, _}, _}) -> Own =:= Name end, Nodes),
    Life = life(Name, events({Name, Node}), Stopped, caravan_test_node:stop(Node)),
    Successor = boot(World, Name),
    ok = watch([Successor]),
    ok = run([Successor]),
    Running = [{Successor, []} | [{Other, [Name | Before]} || {Other, Before} <- Others]],
    ok = await_mesh([Pair || {Pair, _} <- Running]),
    {Life, Running}.

life(Name, Events, Stopped, {exited, 0, Output}) ->
    #life{name = Name, events = Events, stopped = Stopped, output = Output}.

events({_, Node}) ->
    caravan_test_node:call(Node, caravan_network_record, events, []).

losses(#life{name = Name, events = Events, stopped = Stopped}) ->
    [{Name, Peer, Reason} || {_, down, Peer, Reason} <- Events, not lists:member(Peer, Stopped)].

again(#life{events = Events, stopped = Stopped}) ->
    length([Peer || {_, down, Peer, _} <- Events, lists:member(Peer, Stopped)]) - length(Stopped).
