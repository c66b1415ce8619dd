%% What a node pays for so many connections, and for a topology of so many nodes. One real node is the hub. All others are
%% sockets of this VM that speak the handshake of the distribution and its ticks, and read what the hub sends.
-module(bench_scale).
-behaviour(supervisor).

-export([main/0, init/1]).

-define(SIZES, [100, 1000, 5000]).
%% What Consul answers with at most, over TCP, is 1,024.
-define(RECORDS, 1000).
%% A quarter of the hub's net_ticktime.
-define(TICK_MS, 2000).
-define(WINDOW_MS, 5 * ?TICK_MS).
-define(COOKIE, "scale").
-define(LOCALHOST, {127, 0, 0, 1}).
-define(PORT, 4370).
-define(HANDSHAKE_MS, 10000).
%% Of the distribution: DFLAG_PUBLISHED, and what a node must have from OTP 25 and 26 on, as in caravan_challenge.
-define(FLAGS,
    (16#1 bor 16#4 bor 16#10 bor 16#80 bor 16#100 bor 16#200 bor 16#400 bor 16#800 bor 16#10000 bor 16#20000 bor 16#40000 bor
        16#1000000 bor 16#2000000 bor 16#400000000 bor 16#1000000000)
).

-spec main() -> no_return().
main() ->
    ok = caravan_nif:load(),
    {ok, Nodes} = supervisor:start_link(?MODULE, []),
    {Runner, Monitor} = spawn_monitor(fun() -> run(Nodes) end),
    Status = receive {'DOWN', Monitor, process, Runner, Reason} -> status(Reason) end,
    ok = gen_server:stop(Nodes, shutdown, infinity),
    halt(Status).

status(normal) -> 0;
status(Reason) -> io:format(standard_error, "bench/scale: ~tp~n", [Reason]), 1.

%% The hub: what stops this supervisor waits until there is none.
init([]) ->
    Node = #{id => node, start => {caravan_test_node, start_link, []}, restart => temporary, shutdown => infinity},
    {ok, {#{strategy => simple_one_for_one}, [Node]}}.

run(Nodes) ->
    {ok, Server} = caravan_dns_server:start_link(#{}),
    Port = caravan_test_network:free_port(),
    CodePath = [filename:absname(filename:dirname(code:which(Module))) || Module <- [caravan_epmd, ?MODULE]],
    {ok, Hub} = supervisor:start_child(Nodes, [#{flags => flags(Port, Server), code_path => CodePath}]),
    ok = caravan_test_node:await_boot(Hub),
    Sockets = spawn_link(fun() -> sockets([]) end),
    _ = timer:send_interval(?TICK_MS, Sockets, tick),
    ok = caravan_test_node:call(Hub, bench_scale_node, warm_up, []),
    io:format(
        "A node with so many connections, and with a topology of so many nodes that are all connected; DNS lists ~b in each name.~n"
        "Memory in KiB by the VM's own account, that of the whole VM resident in MiB; CPU: user and system time of the VM, of a poll~n"
        "without the ticks of the same time; a tick: one sent and one received. OTP ~s. Load average before: ~ts.~n~n",
        [?RECORDS, erlang:system_info(otp_release), bench_report:load_average()]
    ),
    line(["nodes", "a connection", "VM, MiB", "us a tick", "a topology", "a node of it", "queries a poll", "ms a poll"]),
    Empty = caravan_test_node:call(Hub, bench_scale_node, memory, []),
    _ = lists:foldl(
        fun(Size, Before) ->
            ok = connect(Sockets, [name(Number) || Number <- lists:seq(Before + 1, Size)], Port),
            ok = caravan_test_node:call(Hub, bench_scale_node, await_connected, [Size]),
            row(Size, Empty, Hub, Server),
            Size
        end,
        0,
        ?SIZES
    ),
    Sockets ! close,
    ok = caravan_test_node:kill(Hub),
    ok = caravan_dns_server:stop(Server).

row(Size, {NoneTotal, _}, Hub, Server) ->
    Call = fun(Function, Arguments) -> caravan_test_node:call(Hub, bench_scale_node, Function, Arguments) end,
    {Total, Resident} = Call(memory, []),
    TickCpu = Call(cpu_ms, [?WINDOW_MS]),
    Queries = publish(Size, Server),
    ok = Call(start_topology, [Queries, Size]),
    {WithTopology, _} = Call(memory, []),
    ok = caravan_dns_server:reset_queries(Server),
    PollCpu = Call(cpu_ms, [?WINDOW_MS]),
    Polls = caravan_dns_server:count(Server) / length(Queries),
    ok = Call(stop_topology, []),
    line([
        io_lib:format(Format, [Value])
     || {Format, Value} <- [
            {"~b", Size},
            {"~.1f", (Total - NoneTotal) / 1024 / Size},
            {"~b", round(Resident / 1024 / 1024)},
            {"~.1f", 1000 * TickCpu / Size / (?WINDOW_MS div ?TICK_MS)},
            {"~.1f", (WithTopology - Total) / 1024},
            {"~.2f", (WithTopology - Total) / 1024 / Size},
            {"~b", length(Queries)},
            {"~.1f", (PollCpu - TickCpu) / Polls}
        ]
    ]).

line(Cells) ->
    io:format("~ts~n", [[string:pad(Cell, Width, leading) || {Cell, Width} <- lists:zip(Cells, [5, 14, 10, 11, 12, 14, 16, 11])]]).

%% The names that list the nodes.
publish(Size, Server) ->
    [
        begin
            Query = lists:concat(["part-", First, ".scale.test"]),
            Records = [{srv, 0, 1, 1, ?PORT, host(Number)} || Number <- lists:seq(First, min(First + ?RECORDS - 1, Size))],
            ok = caravan_dns_server:put(Server, Query, srv, Records),
            Query
        end
     || First <- lists:seq(1, Size, ?RECORDS)
    ].

host(Number) -> lists:concat(["n", Number, ".scale.test"]).

name(Number) -> lists:concat(["app-", ?PORT, "@", host(Number)]).

flags(Port, Server) ->
    [
        "-name", lists:concat(["hub-", Port, "@127.0.0.1"]), "-setcookie", ?COOKIE,
        "-start_epmd", "false", "-epmd_module", "caravan_epmd",
        "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "net_ticktime", integer_to_list(4 * ?TICK_MS div 1000),
        "logger_level", "error",
        "-caravan", "nameservers", lists:flatten(io_lib:format("~0p", [[caravan_dns_server:nameserver(Server)]])),
        "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none",
        "-run", "bench_schedules", "watch"
    ].

%% Owns the sockets: drops what comes, and ticks.
sockets(Sockets) ->
    receive
        tick -> lists:foreach(fun(Socket) -> gen_tcp:send(Socket, <<>>) end, Sockets), sockets(Sockets);
        {more, Socket} -> sockets([Socket | Sockets]);
        {tcp, _, _} -> sockets(Sockets);
        {tcp_closed, _} -> exit(hub_has_closed_a_connection);
        close -> lists:foreach(fun gen_tcp:close/1, Sockets)
    end.

connect(Owner, Names, Port) ->
    lists:foreach(
        fun(Name) ->
            Socket = handshake(list_to_binary(Name), Port),
            ok = inet:setopts(Socket, [{packet, 4}]),
            ok = gen_tcp:controlling_process(Socket, Owner),
            ok = inet:setopts(Socket, [{active, true}]),
            Owner ! {more, Socket}
        end,
        Names
    ).

%% The side that connects (erts, "Distribution Protocol").
handshake(Name, Port) ->
    {ok, Socket} = gen_tcp:connect(?LOCALHOST, Port, [binary, {packet, 2}, {active, false}, {nodelay, true}]),
    ok = gen_tcp:send(Socket, <<$N, ?FLAGS:64, (rand:uniform(1 bsl 32 - 5) + 4):32, (byte_size(Name)):16, Name/binary>>),
    {ok, <<"sok", _/binary>>} = gen_tcp:recv(Socket, 0, ?HANDSHAKE_MS),
    {ok, <<$N, _Flags:64, Challenge:32, _/binary>>} = gen_tcp:recv(Socket, 0, ?HANDSHAKE_MS),
    Own = rand:uniform(1 bsl 32) - 1,
    ok = gen_tcp:send(Socket, <<$r, Own:32, (digest(Challenge))/binary>>),
    Digest = digest(Own),
    {ok, <<$a, Digest/binary>>} = gen_tcp:recv(Socket, 0, ?HANDSHAKE_MS),
    Socket.

digest(Challenge) -> erlang:md5([?COOKIE, integer_to_list(Challenge)]).
