%% What runs in the nodes of bench/mesh.
-module(bench_mesh_node).

-export([start/3, await_connected/1, loaded/0]).

-define(POLL_INTERVAL_MS, 5000).

%% Makes the node look for the others.
-spec start(bench_mesh_round:contender(), Query :: string(), Basename :: string()) -> ok.
start(caravan, Query, Basename) ->
    %% It is loaded already when a flag configures it.
    _ = application:load(caravan),
    Topology = #{query => Query, node_basename => Basename, poll_interval => ?POLL_INTERVAL_MS},
    ok = application:set_env(caravan, topologies, [{mesh, Topology}]),
    {ok, _} = application:ensure_all_started(caravan),
    ok;
start(rival, Query, Basename) ->
    {ok, _} = bench_mesh_rival:start(Query, Basename, ?POLL_INTERVAL_MS),
    ok.

%% Returns when the node is connected to so many others: whether that took waiting, and the time, in microseconds of the
%% system's clock, which all nodes share.
-spec await_connected(non_neg_integer()) -> {waited | at_once, Time :: integer()}.
await_connected(Others) ->
    ok = net_kernel:monitor_nodes(true),
    await_connected(Others, at_once).

await_connected(Others, How) ->
    case length(nodes()) of
        Others -> {How, os:system_time(microsecond)};
        _ -> receive {Change, _} when Change =:= nodeup; Change =:= nodedown -> await_connected(Others, waited) end
    end.

%% The modules that came from files.
-spec loaded() -> [module()].
loaded() ->
    [Module || {Module, File} <- code:all_loaded(), is_list(File)].
