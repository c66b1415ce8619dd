%% How long net_kernel:get_net_ticktime/0 takes at most, with and without connects to hosts that no nameserver answers
%% for. Whoever asks net_kernel for anything, a tick or a connection, waits as long.
-module(bench_stall).

-export([main/0]).

-define(SECONDS, 6).
-define(CONNECTS, 20).
-define(LOCALHOST, {127, 0, 0, 1}).

-spec main() -> ok.
main() ->
    Port = dead_nameserver(),
    {ok, _} = net_kernel:start([list_to_atom(lists:concat(["bench-", free_port(), "@127.0.0.1"])), longnames]),
    ok = application:set_env(caravan, nameservers, [lists:concat(["127.0.0.1:", Port])]),
    [ok = inet_db:res_option(Option, Value)
     || {Option, Value} <- [{resolv_conf, ""}, {lookup, [dns]}, {nameservers, [{?LOCALHOST, Port}]}]],
    io:format("~-34s ~10s ~10s ~12s~n", ["", "connects", "calls", "largest, ms"]),
    lists:foreach(fun row/1, [
        {"idle", 0, "app-4370", []},
        {"ports in names", ?CONNECTS, "app-4370", []},
        {"port_srv", ?CONNECTS, "app", [{port_srv, "{name}.{host}"}]},
        {"fallback epmd", ?CONNECTS, "app", [{fallback, epmd}]}
    ]).

%% Both sockets are there, and nobody reads them.
dead_nameserver() ->
    {ok, Tcp} = gen_tcp:listen(0, [{ip, ?LOCALHOST}, {backlog, 1024}]),
    {ok, Port} = inet:port(Tcp),
    {ok, _} = gen_udp:open(Port, [{ip, ?LOCALHOST}, {active, false}]),
    Port.

free_port() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, ?LOCALHOST}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Port.

row({Label, Connects, Basename, Config}) ->
    [ok = application:set_env(caravan, Key, Value) || {Key, Value} <- Config],
    Until = erlang:monotonic_time(millisecond) + ?SECONDS * 1000,
    Dialling = [dial(Basename, N, Until) || N <- lists:seq(1, Connects)],
    {Calls, Largest} = measure(Until, 0, 0),
    Dialled = lists:sum([receive {'DOWN', Monitor, process, _, {dialled, Times}} -> Times end || Monitor <- Dialling]),
    [ok = application:unset_env(caravan, Key) || {Key, _} <- Config],
    io:format("~-34s ~10b ~10b ~12.2f~n", [Label, Dialled, Calls, Largest / 1000]).

%% Another host for each, so that no two share a query.
dial(Basename, N, Until) ->
    Node = list_to_atom(lists:concat([Basename, "@h", N, ".bench.test"])),
    {_, Monitor} = spawn_monitor(fun() -> exit({dialled, dial_until(Node, Until, 0)}) end),
    Monitor.

dial_until(Node, Until, Times) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            false = net_kernel:connect_node(Node),
            dial_until(Node, Until, Times + 1);
        false ->
            Times
    end.

measure(Until, Calls, Largest) ->
    Start = erlang:monotonic_time(microsecond),
    _ = net_kernel:get_net_ticktime(),
    Time = erlang:monotonic_time(microsecond) - Start,
    receive after 1 -> ok end,
    case erlang:monotonic_time(millisecond) < Until of
        true -> measure(Until, Calls + 1, max(Largest, Time));
        false -> {Calls + 1, max(Largest, Time)}
    end.
