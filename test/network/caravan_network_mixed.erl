%% @doc A rolling upgrade: nodes of an earlier Caravan and of this one are one cluster, and stay so while each of the earlier
%% ones is replaced.
-module(caravan_network_mixed).

-export([main/1]).

-import(caravan_network_nodes, [await_mesh/1, boot/2, boot_all/2, now_ms/0, publish/2, run/1, sleep_until/1, watch/1, with_code/2]).

-define(OF_EACH, 3).

%% Beyond several polls, whose interval is 5 s, and beyond the back-offs of nodes that came and went.
-define(OBSERVED_MS, 30000).

-define(LEFT_MS, 3000).

%% @doc Ends the VM with status 1 where a node has lost another one that nobody has stopped. The directory has the earlier
%% Caravan's modules.
-spec main([EarlierEbin :: file:filename()]) -> no_return().
main([Ebin]) ->
    Unexpected = caravan_network_nodes:with(fun(World) -> upgrade(World, with_code(Ebin, World)) end),
    io:format("~b connections lost that nobody has ended~n", [length(Unexpected)]),
    [io:format("  ~0tp~n", [Loss]) || Loss <- Unexpected],
    halt(case Unexpected of [] -> 0; _ -> 1 end).

%% One of this version says to all others that it leaves, and comes back.
leave({Name, Node}, Nodes) ->
    Began = now_ms(),
    ok = caravan_test_node:call(Node, caravan_cluster, leave, [app, ?LEFT_MS]),
    ok = await_cluster(io_lib:format("~s has left for ~b ms", [Name, ?LEFT_MS]), Began, Nodes).

upgrade(#{network := Network} = World, Earlier) ->
    {EarlierNames, [NewName | _] = LaterNames} = lists:split(?OF_EACH, caravan_test_mesh:names(Network, 2 * ?OF_EACH)),
    ok = publish(World, EarlierNames ++ LaterNames),
    Old = boot_all(Earlier, EarlierNames),
    New = boot_all(World, LaterNames),
    ok = watch(Old ++ New),
    Began = now_ms(),
    ok = run(Old ++ New),
    ok = await_cluster("half of each version", Began, Old ++ New),
    ok = sleep_until(now_ms() + ?OBSERVED_MS),
    [Leaver | _] = New,
    ok = leave(Leaver, Old ++ New),
    %% One keeps its name, as on a host with a fixed port; the others get another port.
    [First, {SecondName, _} = Second, Third] = Old,
    {Seen1, Nodes1} = replace(First, another(NewName, Network), Old ++ New, World),
    {Seen2, Nodes2} = replace(Second, SecondName, Nodes1, World),
    {Seen3, Nodes3} = replace(Third, another(NewName, Network), Nodes2, World),
    ok = sleep_until(now_ms() + ?OBSERVED_MS),
    ok = await_mesh(Nodes3),
    Stopped = [Name || {Name, _} <- Old],
    lists:append([unexpected(without(NewName, Seen), Stopped) || Seen <- [Seen1, Seen2, Seen3] ++ [seen(Node) || Node <- Nodes3]]).

another(Name, Network) ->
    case caravan_test_mesh:names(Network, 1) of
        [Name] -> another(Name, Network);
        [Other] -> Other
    end.

%% What the node has seen, and the nodes afterwards.
replace({Name, Node} = Old, SuccessorName, Nodes, World) ->
    Others = lists:delete(Old, Nodes),
    Seen = seen(Old),
    {exited, 0, Output} = caravan_test_node:stop(Node),
    %% The word that one leaves is nothing to it.
    nomatch = re:run(Output, "(ERROR|CRASH) REPORT|caravan_leaving|caravan_departures"),
    ok = publish(World, [SuccessorName | [Other || {Other, _} <- Others]]),
    Successor = boot(World, SuccessorName),
    ok = watch([Successor]),
    Began = now_ms(),
    ok = run([Successor]),
    Changed = [Successor | Others],
    ok = await_cluster(io_lib:format("~s replaced by ~s", [Name, SuccessorName]), Began, Changed),
    {Seen, Changed}.

await_cluster(What, Began, Nodes) ->
    ok = await_mesh(Nodes),
    io:format("~ts: ~b nodes are one cluster after ~b ms~n", [What, length(Nodes), now_ms() - Began]).

seen({Name, Node}) ->
    {Name, caravan_test_node:call(Node, caravan_network_record, events, [])}.

%% Who leaves loses all, and is lost; those that do not know the word connect to it again, as often as it leaves.
without(Leaver, {Leaver, _Events}) -> {Leaver, []};
without(Leaver, {Name, Events}) -> {Name, [Event || Event <- Events, element(3, Event) =/= Leaver]}.

%% Each node that was stopped is lost once.
unexpected({Name, Events}, Stopped) ->
    Lost = [{Peer, Reason} || {_, down, Peer, Reason} <- Events],
    [{Name, lost, Peer, Reason} || {Peer, Reason} <- lists:foldl(fun(Peer, Left) -> lists:keydelete(Peer, 1, Left) end, Lost, Stopped)].
