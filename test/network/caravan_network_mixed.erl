%% @doc A rolling upgrade and a rolling downgrade: nodes of an earlier Caravan and of this one are one cluster, leave it, are pruned, and
%% stay one while each of the earlier ones is replaced by one of this version, and while some of these are replaced by earlier ones.
-module(caravan_network_mixed).

-export([main/1]).

-import(caravan_network_nodes, [await_mesh/1, boot/2, boot_all/2, now_ms/0, publish/2, run/1, sleep_until/1, watch/1, with_code/2]).

-define(OF_EACH, 3).

%% Beyond several polls, whose interval is 5 s, and beyond the back-offs of nodes that came and went.
-define(OBSERVED_MS, 30000).

-define(LEFT_MS, 3000).

-define(PRUNE_AFTER_MS, 10000).

%% @doc Ends the VM with status 1 where a node has lost another one that nobody has stopped. The directory has the earlier
%% Caravan's modules.
-spec main([EarlierEbin :: file:filename()]) -> no_return().
main([Ebin]) ->
    Unexpected = caravan_network_nodes:with(fun(World) ->
        Pruning = World#{topology => [{prune, true}, {prune_after, ?PRUNE_AFTER_MS}, {prune_max_fraction, 0.5}]},
        up_and_down(Pruning, with_code(Ebin, Pruning))
    end),
    io:format("~b connections lost that nobody has ended~n", [length(Unexpected)]),
    [io:format("  ~0tp~n", [Loss]) || Loss <- Unexpected],
    halt(case Unexpected of [] -> 0; _ -> 1 end).

%% One that DNS does not list any more, and that does not connect by itself, is disconnected by the nodes of both versions. What it has
%% seen, the time that it took, and the others.
let_go({Name, Node} = Unlisted, Nodes, World) ->
    Others = lists:delete(Unlisted, Nodes),
    ok = caravan_test_node:call(Node, application, stop, [caravan]),
    ok = publish(World, [Other || {Other, _} <- Others]),
    Began = now_ms(),
    ok = await_cluster(io_lib:format("~s is pruned", [Name]), Began, Others),
    ok = caravan_test_node:await_peers(Node, []),
    Seen = seen(Unlisted),
    {exited, 0, _} = caravan_test_node:stop(Node),
    {without(Name, Seen), [{Began, now_ms()}], Others}.

%% One of this version says to all others that it leaves, and comes back.
leave({Name, Node}, Nodes) ->
    Began = now_ms(),
    ok = caravan_test_node:call(Node, caravan_cluster, leave, [app, ?LEFT_MS]),
    ok = await_cluster(io_lib:format("~s has left for ~b ms", [Name, ?LEFT_MS]), Began, Nodes).

up_and_down(#{network := Network} = World, Earlier) ->
    {EarlierNames, [NewName | _] = LaterNames} = lists:split(?OF_EACH, caravan_test_mesh:names(Network, 2 * ?OF_EACH)),
    ok = publish(World, EarlierNames ++ LaterNames),
    [First, {SecondName, _} = Second, Third] = Old = boot_all(Earlier, EarlierNames),
    [Leaver, Fourth, {FifthName, _} = Fifth] = New = boot_all(World, LaterNames),
    ok = watch(Old ++ New),
    Began = now_ms(),
    ok = run(Old ++ New),
    ok = await_cluster("half of each version", Began, Old ++ New),
    ok = sleep_until(now_ms() + ?OBSERVED_MS),
    ok = leave(Leaver, Old ++ New),
    {Seen1, Pruned1, Nodes1} = let_go(Third, Old ++ New, World),
    %% Of two, the one keeps its name, as on a host with a fixed port; the other one gets another port.
    {Seen2, Nodes2} = replace(First, another(NewName, Network), Nodes1, World),
    {Seen3, Nodes3} = replace(Second, SecondName, Nodes2, World),
    {Seen4, Nodes4} = replace(Fourth, another(NewName, Network), Nodes3, Earlier),
    {Seen5, Nodes5} = replace(Fifth, FifthName, Nodes4, Earlier),
    {value, Replacement} = lists:keysearch(SecondName, 1, Nodes5),
    {Seen6, Pruned2, Nodes6} = let_go(Replacement, Nodes5, World),
    ok = sleep_until(now_ms() + ?OBSERVED_MS),
    ok = await_mesh(Nodes6),
    %% An earlier one that is stopped is lost once. One of this version leaves, and those that do not know the word connect to it again
    %% until it has ended.
    Stopped = [Name || {Name, _} <- [First, Second, Fourth, Fifth]] ++ [Name || {Name, _} <- [Fourth, Fifth], _Again <- [1, 2]],
    Seen = [Seen1, Seen2, Seen3, Seen4, Seen5, Seen6] ++ [seen(Node) || Node <- Nodes6],
    lists:append([unexpected(without(NewName, outside(Pruned1 ++ Pruned2, Each)), Stopped) || Each <- Seen]).

%% With OTP's defaults whoever prunes first loses its own connections as well, and makes them again at once.
outside(Spans, {Name, Events}) ->
    {Name, [Event || Event <- Events, not lists:any(fun({From, To}) -> From =< element(1, Event) andalso element(1, Event) =< To end, Spans)]}.

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
