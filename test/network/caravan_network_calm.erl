%% @doc Six real nodes, two of which refuse each other, with the defaults of OTP: how many connections the other four lose
%% in ten minutes. `global' has each node that reaches both let one of them go.
-module(caravan_network_calm).

-export([main/1]).

-import(caravan_network_nodes, [boot_all/2, now_ms/0, publish/2, run/1, sleep_until/1, watch/1]).
-import(caravan_test_node, [call/4]).

-define(NODES, 6).

%% Spans of the run in seconds, and how many connections each bystander may lose meanwhile.
-define(SPANS, [{0, 30, 3}, {30, 300, any}, {300, 600, 1}]).

%% @doc Prints a table, and ends the VM with status 1 where a bystander has lost more than it may. Into the file goes what
%% each node has seen, and when.
-spec main([File :: string()]) -> no_return().
main([File]) ->
    IsCalm = caravan_network_nodes:with(fun(World) -> watch_broken_pair(World, File) end),
    halt(case IsCalm of true -> 0; false -> 1 end).

watch_broken_pair(#{network := Network, server := Server} = World, File) ->
    Names = caravan_test_mesh:names(Network, ?NODES),
    ok = publish(World, Names),
    [{A, NodeA}, {C, NodeC} | Bystanders] = Nodes = boot_all(World, Names),
    true = call(NodeA, erlang, set_cookie, [C, not_of_c]),
    true = call(NodeC, erlang, set_cookie, [A, not_of_a]),
    ok = watch(Nodes),
    Began = now_ms(),
    ok = run(Nodes),
    ok = sleep_until(Began + 1000 * lists:max([Until || {_, Until, _} <- ?SPANS])),
    Seen = [{Name, role(Name, A, C), call(Node, caravan_network_record, events, [])} || {Name, Node} <- Nodes],
    ok = write(File, Seen, Began),
    %% Who is connected to nobody has nothing to lose.
    [] = [{Name, Missing} || {Name, Node} <- Bystanders, Missing <- names(Bystanders) -- [Name | peers(Node)]],
    false = lists:member(C, peers(NodeA)),
    io:format("lost connections by seconds; ~b queries in all~n", [caravan_dns_server:count(Server)]),
    io:put_chars(row(["node", "", spans()])),
    %% All of them are printed.
    lists:foldl(fun(Node, AreCalm) -> print(Node, Began) andalso AreCalm end, true, Seen).

names(Nodes) ->
    [Name || {Name, _} <- Nodes].

peers(Node) ->
    call(Node, erlang, nodes, []).

role(Name, A, C) when Name =:= A; Name =:= C -> broken;
role(_, _, _) -> bystander.

print({Name, Role, Events}, Began) ->
    Counts = [{caravan_network_record:losses(Events, Began + 1000 * From, Began + 1000 * To), limit(Role, Max)} || {From, To, Max} <- ?SPANS],
    io:put_chars(row([atom_to_list(Name), atom_to_list(Role), [cell(Count) || Count <- Counts]])),
    lists:all(fun is_within/1, Counts).

limit(bystander, Max) -> Max;
limit(broken, _) -> any.

is_within({_, any}) -> true;
is_within({Count, Max}) -> Count =< Max.

cell({Count, any}) -> integer_to_list(Count);
cell({Count, Max}) -> io_lib:format("~b (at most ~b)", [Count, Max]).

spans() ->
    [io_lib:format("~b to ~b", [From, To]) || {From, To, _} <- ?SPANS].

row([Name, Role, Cells]) ->
    io_lib:format("~-20ts ~-10ts", [Name, Role]) ++ [io_lib:format(" ~18ts", [lists:flatten(Cell)]) || Cell <- Cells] ++ "\n".

write(File, Seen, Began) ->
    All = lists:sort([{element(1, Event) - Began, Name, tl(tuple_to_list(Event))} || {Name, _, Events} <- Seen, Event <- Events]),
    file:write_file(File, [io_lib:format("~8b ms  ~ts  ~0tp~n", [At, Name, Event]) || {At, Name, Event} <- All]).
