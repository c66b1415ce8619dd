%% The model of distribution and of `global' does what real nodes do.
-module(caravan_sim_network_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_node, [call/4]).

-define(NODES, [a, b, c, d]).

%% Each script in a VM of four; some at a time.
real_nodes_end_as_the_model_does_test_() ->
    {timeout, 600, {inparallel, 4, [
        {atom_to_list(Name), {timeout, 300, fun() -> same_end(Script) end}}
     || {Name, _, _} = Script <- caravan_sim_network_scripts:all()
    ]}}.

same_end({_Name, Settings, Steps}) ->
    Expected = [{step_of(lists:last(Prefix)), ends(Prefix, Settings)} || Prefix <- prefixes(Steps)],
    with_nodes(Settings, fun(Real) -> lists:foldl(fun as_expected/2, Real, Expected) end).

prefixes(Steps) -> [lists:sublist(Steps, Length) || Length <- lists:seq(1, length(Steps))].

step_of({race, Step, _Ends}) -> Step;
step_of(Step) -> Step.

ends(Steps, Settings) ->
    case lists:last(Steps) of
        {race, _Step, Ends} -> [neighbours(Pairs) || Pairs <- Ends];
        _ -> [model(Steps, Settings, 1)]
    end.

neighbours(Pairs) ->
    maps:from_list([{Node, lists:sort([B || {A, B} <- Pairs, A =:= Node] ++ [A || {A, B} <- Pairs, B =:= Node])} || Node <- ?NODES]).

as_expected({Step, Ends}, Nodes) ->
    Next = really(Step, Nodes),
    try
        caravan_dns_fixture:await_value(true, fun() -> is_settled(Next) andalso lists:member(connections(Next), Ends) end)
    catch
        error:{still, _, instead_of, _} -> expect(connections(Next), Ends, Step)
    end,
    Next.

%% `global' (OTP 25) was once seen to wait for half a minute for a node that is not connected. The connections are what counts.
expect(Connections, Ends, Step) ->
    lists:member(Connections, Ends) orelse error({Step, Connections, instead_of, Ends}).

%% Whatever the seed.
the_model_ends_as_the_script_says_test_() ->
    [
        {atom_to_list(Name), fun() -> [is_among(ends(Prefix, Settings), Prefix, Settings) || Prefix <- prefixes(Steps)] end}
     || {Name, Settings, Steps} <- caravan_sim_network_scripts:all()
    ].

is_among(Ends, Steps, Settings) ->
    ?assertEqual([], lists:usort([model(Steps, Settings, Seed) || Seed <- lists:seq(1, 100)]) -- Ends).

%% Real nodes: each by its name, and its process.

with_nodes(Settings, Test) ->
    Flags = lists:append([flags(Setting) || Setting <- maps:to_list(Settings)]),
    caravan_test_network:with(#{flags => Flags}, fun(Network) ->
        Names = [{Node, caravan_test_network:node_name(Network, atom_to_list(Node), caravan_test_network:free_port())} || Node <- ?NODES],
        Started = [{Node, {Name, caravan_test_network:start(Network, Name, [])}} || {Node, Name} <- Names],
        [ok = caravan_test_node:await_boot(Process) || {_, {_, Process}} <- Started],
        Test({Network, maps:from_list(Started), []})
    end).

flags({prevent_overlapping, false}) -> ["-kernel", "prevent_overlapping_partitions", "false"];
flags({connect_all, false}) -> ["-kernel", "connect_all", "false"];
flags({net_ticktime, Milliseconds}) -> ["-kernel", "net_ticktime", integer_to_list(Milliseconds div 1000)].

really({connect, From, To}, Real) ->
    %% Whether it becomes a connection is for the end to tell.
    _ = call(process(From, Real), net_kernel, connect_node, [name(To, Real)]),
    Real;
really({disconnect, From, To}, Real) ->
    true = call(process(From, Real), erlang, disconnect_node, [name(To, Real)]),
    Real;
really({leave, From}, Real) ->
    _ = call(process(From, Real), global, disconnect, []),
    Real;
really({reject, A, B}, Real) ->
    cookies(A, B, {not_of_b, not_of_a}, Real);
really({accept, A, B}, {#{cookie := Cookie}, _, _} = Real) ->
    cookies(A, B, {list_to_atom(Cookie), list_to_atom(Cookie)}, Real);
really({stop, Node}, {Network, Nodes, Paused}) ->
    #{Node := {Name, Process}} = Nodes,
    _ = caravan_test_node:stop(Process),
    {Network, Nodes#{Node := {Name, none}}, Paused};
really({kill, Node}, {Network, Nodes, Paused} = Real) ->
    signal("KILL", call(process(Node, Real), os, getpid, [])),
    _ = caravan_test_node:await_exit(process(Node, Real)),
    #{Node := {Name, _}} = Nodes,
    {Network, Nodes#{Node := {Name, none}}, Paused};
really({hiccup, Node}, Real) ->
    really({resume, Node}, really({pause, Node}, Real));
really({boot, Node}, {Network, Nodes, Paused}) ->
    #{Node := {Name, none}} = Nodes,
    {Name, Process} = caravan_test_network:boot(Network, Name, []),
    {Network, Nodes#{Node := {Name, Process}}, Paused};
really({pause, Node}, {Network, Nodes, Paused} = Real) ->
    Pid = call(process(Node, Real), os, getpid, []),
    signal("STOP", Pid),
    {Network, Nodes, [{Node, Pid} | Paused]};
really({resume, Node}, {Network, Nodes, Paused}) ->
    {value, {Node, Pid}, Left} = lists:keytake(Node, 1, Paused),
    signal("CONT", Pid),
    {Network, Nodes, Left}.

%% Each has a cookie of its own for the other.
cookies(A, B, {Own, Other}, Real) ->
    true = call(process(A, Real), erlang, set_cookie, [name(B, Real), Own]),
    true = call(process(B, Real), erlang, set_cookie, [name(A, Real), Other]),
    Real.

signal(Signal, Pid) ->
    "" = os:cmd("kill -" ++ Signal ++ " " ++ Pid),
    ok.

name(Node, {_, Nodes, _}) ->
    {Name, _} = maps:get(Node, Nodes),
    Name.

process(Node, {_, Nodes, _}) ->
    {_, Process} = maps:get(Node, Nodes),
    Process.

%% Those that run and are not paused.
awake({_, Nodes, Paused}) ->
    [{Node, Process} || {Node, {_, Process}} <- maps:to_list(Nodes), Process =/= none, not lists:keymember(Node, 1, Paused)].

%% `global' agrees with nobody, lets nobody go, and waits for no connection. Its state is its own affair; in all of OTP's
%% versions the nodes are in one map, by name, by {pending, Name} and by {removing, Name}.
is_settled(Real) ->
    lists:all(fun({_, Process}) -> is_settled(call(Process, sys, get_state, [global_name_server]), call(Process, erlang, nodes, [])) end,
        awake(Real)).

is_settled(State, Peers) ->
    Keys = lists:append([maps:keys(Map) || Map <- tuple_to_list(State), is_map(Map)]),
    [] =:= [Node || {What, Node} <- Keys, What =:= pending orelse What =:= removing]
        andalso [] =:= [Node || Node <- Keys, is_atom(Node)] -- Peers.

connections({_, Nodes, _} = Real) ->
    Names = maps:from_list([{Name, Node} || {Node, {Name, _}} <- maps:to_list(Nodes)]),
    maps:from_list([
        {Node, lists:sort([maps:get(Peer, Names) || Peer <- call(Process, erlang, nodes, [])])} || {Node, Process} <- awake(Real)
    ]).

%% The model, one step after the other.

model(Steps, Settings, Seed) ->
    Begun = caravan_sim_network_run:new([text(Node) || Node <- ?NODES], Settings, Seed),
    {Run, Paused} = lists:foldl(fun step/2, {Begun, []}, [step_of(Step) || Step <- Steps]),
    Net = caravan_sim_network_run:net(Run),
    maps:from_list([
        {Node, [binary_to_atom(Peer) || Peer <- caravan_sim_network:nodes(text(Node), Net)]}
     || Node <- ?NODES, caravan_sim_network:is_up(text(Node), Net), not lists:member(Node, Paused)
    ]).

step(Step, {Run, Paused}) ->
    Inputs = inputs(Step),
    Given = lists:foldl(fun({Function, Arguments}, Next) -> caravan_sim_network_run:input(Function, Arguments, Next) end, Run, Inputs),
    {caravan_sim_network_run:quiet(Given), paused(Step, Paused)}.

paused({pause, Node}, Paused) -> [Node | Paused];
paused({resume, Node}, Paused) -> lists:delete(Node, Paused);
paused(_Step, Paused) -> Paused.

inputs({reject, A, B}) -> [{fault, [text(A), text(B), reject]}, {fault, [text(B), text(A), reject]}];
inputs({accept, A, B}) -> [{fault, [text(A), text(B), none]}, {fault, [text(B), text(A), none]}];
inputs({stop, Node}) -> [{stop, [text(Node), shutdown]}];
inputs({kill, Node}) -> [{stop, [text(Node), shutdown]}];
inputs({hiccup, Node}) -> [{pause, [text(Node)]}, {resume, [text(Node)]}];
inputs({Function, Node}) -> [{Function, [text(Node)]}];
inputs({Function, A, B}) -> [{Function, [text(A), text(B)]}].

text(Node) -> atom_to_binary(Node).
