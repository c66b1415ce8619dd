%% Real nodes with the defaults of OTP, two of which refuse each other. `global' makes each node that reaches both close its
%% connection to one of them. The other nodes must stay connected.
-module(caravan_cluster_calm_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3, free_port/0, node_name/3]).
-import(caravan_test_node, [await_peers/2, call/4]).

-export([count_losses/0, losses/0]).

-define(NODES, 4).

%% There is no event to await for what must not happen. Without damping a node lost 76 connections in this time.
-define(OBSERVED_MS, 15000).
-define(MAX_LOSSES, 8).

a_broken_pair_leaves_the_others_calm_test_() ->
    {timeout, 180, fun() ->
        ok = caravan_nif:load(),
        Beams = [filename:dirname(code:which(Module)) || Module <- [caravan_epmd, ?MODULE]],
        caravan_test_network:with(#{node => #{code_path => Beams}}, fun(Network) ->
            Names = [node_name(Network, "app", free_port()) || _ <- lists:seq(1, ?NODES)],
            [{A, NodeA}, {C, NodeC} | Bystanders] = Nodes = [boot(Network, Name, []) || Name <- Names],
            true = call(NodeA, erlang, set_cookie, [C, not_of_c]),
            true = call(NodeC, erlang, set_cookie, [A, not_of_a]),
            [ok = call(Node, ?MODULE, count_losses, []) || {_, Node} <- Bystanders],
            [ok = start(Node, Names) || {_, Node} <- Nodes],
            receive after ?OBSERVED_MS -> ok end,
            [?assertMatch(Losses when Losses =< ?MAX_LOSSES, call(Node, ?MODULE, losses, [])) || {_, Node} <- Bystanders],
            %% The fault is over, and an operator does not wait for the back-offs.
            Cookie = call(NodeC, erlang, get_cookie, []),
            true = call(NodeA, erlang, set_cookie, [C, Cookie]),
            true = call(NodeC, erlang, set_cookie, [A, Cookie]),
            [ok = call(Node, caravan_cluster, reconnect, [app]) || {_, Node} <- Nodes],
            [ok = await_peers(Node, lists:delete(Name, Names)) || {Name, Node} <- Nodes]
        end)
    end}.

start(Node, Names) ->
    ok = call(Node, application, set_env, [caravan, topologies, [{app, #{nodes => Names}}]]),
    {ok, _} = call(Node, application, ensure_all_started, [caravan]),
    ok.

%% Runs in the node.
count_losses() ->
    Caller = self(),
    _ = spawn(fun() ->
        true = register(?MODULE, self()),
        ok = net_kernel:monitor_nodes(true),
        Caller ! counting,
        count(0)
    end),
    receive counting -> ok end.

count(Losses) ->
    receive
        {nodedown, _} -> count(Losses + 1);
        {losses, Asker} -> Asker ! {losses, Losses}, count(Losses);
        {nodeup, _} -> count(Losses)
    end.

losses() ->
    ?MODULE ! {losses, self()},
    receive {losses, Losses} -> Losses end.
