%% What runs in the hub of bench/scale.
-module(bench_scale_node).

-export([warm_up/0, memory/0, cpu_ms/1, await_connected/1, start_topology/2, stop_topology/0]).

-define(TOPOLOGY, scale).
-define(POLL_INTERVAL_MS, 1000).
-define(READINGS, 10).
-define(READING_MS, 130).

%% Starts the application and loads all of its modules, so that the first topology does not.
-spec warm_up() -> ok.
warm_up() ->
    {ok, _} = application:ensure_all_started(caravan),
    {ok, Modules} = application:get_key(caravan, modules),
    code:ensure_modules_loaded(Modules).

%% Bytes that the VM knows of, and resident ones: the least of several readings, some of which meet a poll.
-spec memory() -> {pos_integer(), pos_integer()}.
memory() ->
    {Totals, Residents} = lists:unzip([reading() || _ <- lists:seq(1, ?READINGS)]),
    {lists:min(Totals), lists:min(Residents)}.

reading() ->
    timer:sleep(?READING_MS),
    lists:foreach(fun erlang:garbage_collect/1, processes()),
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [KiB]} = re:run(Status, "VmRSS:\\s+(\\d+) kB", [{capture, all_but_first, binary}]),
    {erlang:memory(total), 1024 * binary_to_integer(KiB)}.

%% What this VM takes in so long.
-spec cpu_ms(Milliseconds :: pos_integer()) -> non_neg_integer().
cpu_ms(Milliseconds) ->
    {Before, _} = statistics(runtime),
    timer:sleep(Milliseconds),
    {After, _} = statistics(runtime),
    After - Before.

-spec await_connected(Nodes :: non_neg_integer()) -> ok.
await_connected(Nodes) ->
    ok = net_kernel:monitor_nodes(true),
    await_more(Nodes).

await_more(Nodes) ->
    case length(nodes()) of
        Nodes -> ok;
        _ -> receive {nodeup, _} -> await_more(Nodes) end
    end.

%% Returns when it has found all nodes connected, and has polled once more.
-spec start_topology([string()], Nodes :: pos_integer()) -> ok.
start_topology(Queries, Nodes) ->
    {ok, _} = caravan_cluster:start(#{
        name => ?TOPOLOGY, query => Queries, node_basename => "app", poll_interval => ?POLL_INTERVAL_MS, max_nodes => 2 * Nodes
    }),
    {ok, Connected} = caravan_cluster:await(?TOPOLOGY, Nodes, 60000),
    Nodes = length(Connected),
    timer:sleep(2 * ?POLL_INTERVAL_MS).

-spec stop_topology() -> ok.
stop_topology() -> caravan_cluster:stop(?TOPOLOGY).
