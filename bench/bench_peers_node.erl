%% What runs in the nodes of bench/peers.
-module(bench_peers_node).

-export([start/1, first_poll/1, observe/2]).

-define(TOPOLOGY, app).
-define(SUPERVISOR, bench_peers_libcluster).
-define(DNS_CLUSTER, 'Elixir.DNSCluster').
-define(PROBE_INTERVAL_MS, 100).
-define(POLL_TIMEOUT_MS, 50000).

%% Makes the node look for the others, in processes that outlive the caller.
-spec start(bench_peers_contender:start()) -> ok.
start(Start) ->
    start(Start, fun() -> ok end).

start(caravan, _Prepare) ->
    {ok, _} = application:ensure_all_started(caravan),
    ok;
start({libcluster, Strategy, Config}, Prepare) ->
    keep(fun() ->
        ok = Prepare(),
        Topologies = [{?TOPOLOGY, [{strategy, Strategy}, {config, Config}]}],
        {ok, _} = 'Elixir.Cluster.Supervisor':start_link([Topologies, [{name, ?SUPERVISOR}]])
    end);
start({dns_cluster, Query}, Prepare) ->
    keep(fun() ->
        ok = Prepare(),
        {ok, _} = ?DNS_CLUSTER:start_link([{query, Query}])
    end).

keep(Fun) ->
    {ok, _} = application:ensure_all_started(logger),
    Caller = self(),
    {Keeper, Monitor} = spawn_monitor(fun() ->
        _ = Fun(),
        Caller ! {self(), started},
        receive stop -> ok end
    end),
    receive
        {Keeper, started} -> true = erlang:demonitor(Monitor, [flush]), ok;
        {'DOWN', Monitor, process, Keeper, Reason} -> error(Reason)
    end.

%% Starts as start/1 does, and returns how many nodes the first poll has found. For Caravan these are the wanted nodes, and those of the
%% last poll if there was more than one. For the others they are the nodes that it connects to.
-spec first_poll(bench_peers_contender:start()) -> non_neg_integer().
first_poll(caravan) ->
    ok = start(caravan),
    #{wanted := Wanted} = caravan_test_topology:await(?TOPOLOGY, last_lookup, fresh),
    length(Wanted);
first_poll(Start) ->
    {module, inet_res} = code:ensure_loaded(inet_res),
    _ = [erlang:trace_pattern(Call, true, []) || Call <- [{inet_res, '_', '_'}, {net_kernel, connect_node, 1}]],
    Tracer = self(),
    ok = start(Start, fun() ->
        1 = erlang:trace(self(), true, [call, set_on_spawn, {tracer, Tracer}]),
        ok
    end),
    %% The answer comes after the first poll.
    _ = [sys:get_state(Process, ?POLL_TIMEOUT_MS) || Process <- processes_of(Start)],
    Delivered = erlang:trace_delivered(all),
    Calls = calls(Delivered),
    FirstPoll = lists:takewhile(fun is_connect/1, lists:dropwhile(fun(Call) -> not is_connect(Call) end, Calls)),
    length(lists:usort(FirstPoll)).

calls(Delivered) ->
    receive
        {trace, _, call, {Module, Function, Arguments}} -> [{Module, Function, Arguments} | calls(Delivered)];
        {trace_delivered, all, Delivered} -> []
    end.

is_connect({net_kernel, connect_node, [_]}) -> true;
is_connect({inet_res, _, _}) -> false.

%% Watches the node for that many milliseconds, and longer if a call still waits then. Returns the nodes that it has lost by then, and
%% the longest time in milliseconds for which a call with sys:get_state/2 has waited for the process that polls.
-spec observe(bench_peers_contender:start(), Milliseconds :: pos_integer()) -> {[node()], Longest :: non_neg_integer()}.
observe(Start, Milliseconds) ->
    ok = net_kernel:monitor_nodes(true, [{node_type, all}]),
    Observer = self(),
    Probes = [spawn_link(fun() -> probe(Process, Observer) end) || Process <- processes_of(Start)],
    Result = observe_until(now_ms() + Milliseconds, #{}, [], 0),
    _ = [begin unlink(Probe), exit(Probe, kill) end || Probe <- Probes],
    Result.

observe_until(End, Waiting, Lost, Longest) ->
    receive
        {nodedown, Node, _} -> observe_until(End, Waiting, [Node | Lost], Longest);
        {nodeup, _, _} -> observe_until(End, Waiting, Lost, Longest);
        {asks, Probe, Time} -> observe_until(End, Waiting#{Probe => Time}, Lost, Longest);
        {answered, Probe, Time} ->
            {Asked, Left} = maps:take(Probe, Waiting),
            observe_until(End, Left, Lost, max(Longest, Time - Asked))
    after max(0, End - now_ms()) -> {lists:usort(Lost), max(Longest, last_waits(Waiting))}
    end.

last_waits(Waiting) ->
    lists:max([0 | [receive {answered, Probe, Time} -> Time - Asked end || {Probe, Asked} <- maps:to_list(Waiting)]]).

probe(Process, Observer) ->
    Observer ! {asks, self(), now_ms()},
    _ = sys:get_state(Process, infinity),
    Observer ! {answered, self(), now_ms()},
    timer:sleep(?PROBE_INTERVAL_MS),
    probe(Process, Observer).

processes_of(caravan) ->
    [whereis(caravan_topology:registered_name(?TOPOLOGY))];
processes_of({libcluster, _, _}) ->
    [Process || {_, Process, _, _} <- supervisor:which_children(?SUPERVISOR)];
processes_of({dns_cluster, _}) ->
    [whereis(?DNS_CLUSTER)].

now_ms() ->
    erlang:monotonic_time(millisecond).
