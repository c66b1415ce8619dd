%% @doc Real nodes on a network that misbehaves by a schedule drawn from a seed, and what is left of that when the network is well again.
%% test/network/chaos makes the network.
-module(caravan_network_chaos).

-export([main/1]).

-import(caravan_network_log, [entries/1, print/2, shapes/1]).
-import(caravan_network_nodes, [now_ms/0, sleep_until/1]).
-import(caravan_test_node, [call/4]).

%% For how long a mesh has nothing to do before it is measured.
-define(SETTLE_MS, 15000).
-define(SAMPLES, 5).
%% OTP finds out within this time that nothing comes over a connection any more, with the default of net_ticktime. A connection of TCP
%% that was cut for long is not tried again for as long as it was cut: it may end when the network has been well for a time, and whoever
%% tells the nodes to reconnect before that has told them in vain.
-define(TICK_MS, 75000).
-define(MESH_MS, 30000).
%% Within which all of it is as it was: connections to the nameserver are kept for a time.
-define(PATIENCE_MS, 60000).
-define(SAMPLE_MS, 1000).
-define(RPC_MS, 40000).

-define(PRUNE_AFTER_MS, 10000).

%% What OTP may make, of all faults together.
-define(MORE_ATOMS, 0).
-define(RSS_PERCENT, 20).

%% What a topology logs at once, and each minute; and what the node says of its name and port.
-define(LINES, 20).
-define(OWN_LINES, 1).

%% Connections that a bystander may lose for a pair that is broken, at once and each minute, as in caravan_network_calm; and for each
%% other fault at that time or soon before.
-define(PAIR_LOSSES, 3).
-define(FAULT_LOSSES, 4).
-define(AFTERMATH_MS, 60000).

-type check() :: {holds | fails, iodata()}.

%% @doc Prints the schedule, and as its last line the verdict. Ends the VM with status 1 where something does not hold.
-spec main([string()]) -> no_return().
main([Seed, Minutes, Family, Ebin, Relay | Pids]) ->
    {_, Monitor} = spawn_monitor(fun() -> run(list_to_integer(Seed), list_to_integer(Minutes), list_to_atom(Family), Ebin, Relay, Pids) end),
    receive
        {'DOWN', Monitor, process, _, {verdict, Status}} -> halt(Status);
        {'DOWN', Monitor, process, _, Reason} -> io:format("chaos: FAILED: ~0tp~n", [Reason]), halt(1)
    end.

run(Seed, Minutes, Family, Ebin, Relay, Pids) ->
    %% What fails is said once, by main/1.
    ok = logger:set_primary_config(level, none),
    Places = caravan_network_places:open(Family, Relay, Pids),
    Faults = caravan_network_faults:draw(Seed, Minutes * 60000, length(Pids), caravan_network_places:has_weather(Places)),
    Checks = caravan_network_nodes:with(fun(World) -> survive(Faults, Places, caravan_network_nodes:with_code(Ebin, World)) end),
    Title = io_lib:format("chaos: seed ~b, ~b minutes, ~b faults, ~s", [Seed, Minutes, length(Faults), family(Family)]),
    exit({verdict, verdict(Title, [Text || {fails, Text} <- Checks], [Text || {holds, Text} <- Checks])}).

family(inet) -> "IPv4";
family(inet6) -> "IPv6".

verdict(Title, [], Held) -> io:format("~ts: HELD: ~ts~n", [Title, lists:join("; ", Held)]), 0;
verdict(Title, Failed, _Held) -> io:format("~ts: FAILED: ~ts~n", [Title, lists:join("; ", Failed)]), 1.

-spec survive([caravan_network_faults:scheduled()], caravan_network_places:places(), caravan_network_nodes:world()) -> [check()].
survive(Faults, Places, #{server := Loopback} = World) ->
    ok = caravan_dns_server:stop(Loopback),
    {Server, Nodes} = boot(Places, World),
    ok = caravan_network_nodes:watch(Nodes),
    _ = on_each(Nodes, fun caravan_network_footprint:load/0),
    Started = now_ms(),
    ok = caravan_network_nodes:run(Nodes),
    ok = caravan_network_nodes:await_mesh(Nodes),
    io:format("a mesh of ~b after ~.1f s~n", [length(Nodes), seconds(now_ms() - Started)]),
    Before = baseline(Nodes),
    Began = now_ms(),
    ok = misbehave(caravan_network_faults:moments(Faults), Faults, Began, {Server, Nodes}, Places),
    io:format("~s all is well~n", [clock(now_ms() - Began)]),
    ok = sleep_until(Began + silent_until(Faults)),
    Reconnected = now_ms(),
    [ok = call(Node, caravan_cluster, reconnect, [app]) || {_, Node} <- Nodes],
    Mesh = mesh(Nodes, Reconnected),
    io:format("~s told to reconnect: ~ts~n", [clock(Reconnected - Began), element(2, Mesh)]),
    Last = await_state(Nodes, Before, Server, now_ms() + ?PATIENCE_MS),
    Bystanders = bystanders(Faults, Began, Nodes),
    Pruned = pruned(Nodes),
    Rpc = rpc(Nodes),
    Ends = [{Name, caravan_test_node:stop(Node)} || {Name, Node} <- Nodes],
    [Mesh, Rpc, Pruned | Last] ++ [lines(Ends, now_ms() - Started), Bystanders].

seconds(Ms) -> Ms / 1000.

clock(Ms) -> io_lib:format("~2..0b:~2..0b", [Ms div 60000, Ms div 1000 rem 60]).

%% Nodes

boot(#{family := Family, pids := Pids} = Places, #{network := Network} = World) ->
    {ok, Server} = caravan_dns_server:start_link(#{ip => any(Family)}),
    Numbers = lists:sort(maps:keys(Pids)),
    Named = [{Place, hd(caravan_test_mesh:names(Network#{host := host(Place)}, 1))} || Place <- Numbers],
    Type = type(Family),
    [ok = caravan_dns_server:put(Server, host(Place), Type, [record(Type, Place, Family)]) || Place <- Numbers],
    ok = list(Server, Named, records),
    Nodes = [
        hd(caravan_network_nodes:boot_all(
            World#{
                topology => [{prune, true}, {prune_after, ?PRUNE_AFTER_MS}],
                network := Network#{
                    host := host(Place),
                    interface := any,
                    flags := protocol(Family),
                    node := (maps:get(node, Network))#{
                        prefix => caravan_network_places:prefix(Place, Places), control_ip => {10, 7, Place, 1}
                    }
                }
            },
            nameserver(Family, Server),
            [Name]
        ))
     || {Place, Name} <- Named
    ],
    {{Server, Named}, Nodes}.

record(Type, Place, Family) -> {Type, 0, caravan_network_places:address(Place, Family)}.

any(inet) -> {0, 0, 0, 0};
any(inet6) -> {0, 0, 0, 0, 0, 0, 0, 0}.

type(inet) -> a;
type(inet6) -> aaaa.

protocol(inet) -> [];
protocol(inet6) -> ["-proto_dist", "inet6_tcp"].

host(Place) ->
    lists:concat(["h", Place, ".test"]).

nameserver(Family, Server) ->
    lists:concat([host_text(Family, inet:ntoa(caravan_network_places:nameserver_address(Family))), ":", caravan_dns_server:port(Server)]).

host_text(inet, Address) -> Address;
host_text(inet6, Address) -> "[" ++ Address ++ "]".

list(Server, Named, records) -> caravan_test_mesh:publish(Server, [Name || {_, Name} <- Named]);
list(Server, _Named, Answer) -> caravan_dns_server:put(Server, caravan_test_mesh:query(), srv, Answer).

silent_until(Faults) ->
    lists:max([0 | [End + ?TICK_MS || {_, End, Fault} <- Faults, caravan_network_faults:silences(Fault)]]).

on_each(Nodes, Fun) ->
    Calls = [caravan_test_node:async(Node, Fun) || {_, Node} <- Nodes],
    [receive {Call, Result} -> Result end || Call <- Calls].

%% The schedule

misbehave([], _Faults, _Began, {{Server, Named}, _Nodes}, Places) ->
    _ = caravan_network_places:heal(Places),
    list(Server, Named, records);
misbehave([Moment | Moments], Faults, Began, {{Server, Named}, Nodes} = World, Places) ->
    ok = sleep_until(Began + Moment),
    Active = caravan_network_faults:active(Moment, Faults),
    Next = caravan_network_places:disturb(Active, Places),
    ok = list(Server, Named, caravan_network_faults:answers(Active)),
    [say(Each, Nodes) || {Start, _, _} = Each <- Faults, Start =:= Moment],
    misbehave(Moments, Faults, Began, World, Next).

say({Start, End, Fault}, Nodes) ->
    Connections = lists:sum([length(peers(Node)) || Node <- Nodes]),
    io:format("~s to ~s ~ts; ~b ends of connections~n", [clock(Start), clock(End), caravan_network_faults:text(Fault), Connections]).

peers({_, Node}) -> call(Node, erlang, nodes, []).

%% Afterwards

-spec mesh(caravan_network_nodes:nodes(), Since :: integer()) -> check().
mesh(Nodes, Since) ->
    Took = now_ms() - Since,
    case [{Name, length(Peers)} || {Name, Node} <- Nodes, Peers <- [peers({Name, Node})], length(Peers) =/= length(Nodes) - 1] of
        [] ->
            {holds, io_lib:format("mesh after ~.1f s", [seconds(Took)])};
        Missing when Took > ?MESH_MS ->
            {fails, io_lib:format("no mesh within ~b s: ~0tp", [?MESH_MS div 1000, Missing])};
        _ ->
            ok = sleep_until(now_ms() + 100),
            mesh(Nodes, Since)
    end.

%% Each node gets an answer from each.
rpc(Nodes) ->
    Names = lists:sort([Name || {Name, _} <- Nodes]),
    Right = [{ok, Name} || Name <- Names],
    Results = [{Name, call(Node, erpc, multicall, [Names, erlang, node, [], ?RPC_MS])} || {Name, Node} <- Nodes],
    case [Result || {_, Each} = Result <- Results, Each =/= Right] of
        [] -> {holds, "each answers each"};
        Failed -> {fails, io_lib:format("calls: ~0tp", [Failed])}
    end.

%% DNS has listed all of them all the time.
pruned(Nodes) ->
    case [{Name, Count} || {Name, Node} <- Nodes, #{pruned := Count} <- [call(Node, caravan_cluster, status, [app])], Count =/= 0] of
        [] -> {holds, "pruned 0"};
        Pruned -> {fails, io_lib:format("pruned: ~0tp", [Pruned])}
    end.

%% The most of each, of some moments: a poll is under way now and then.
baseline(Nodes) ->
    ok = sleep_until(now_ms() + ?SETTLE_MS),
    lists:foldl(
        fun(_, Most) ->
            ok = sleep_until(now_ms() + ?SAMPLE_MS),
            lists:zipwith(fun most/2, Most, footprints(Nodes))
        end,
        footprints(Nodes),
        lists:seq(2, ?SAMPLES)
    ).

footprints(Nodes) ->
    on_each(Nodes, fun caravan_network_footprint:measure/0).

most(#{descriptors := One} = A, #{descriptors := Other} = B) ->
    (maps:merge_with(fun(_, X, Y) -> max(X, Y) end, maps:remove(descriptors, A), maps:remove(descriptors, B)))#{
        descriptors => maps:merge_with(fun(_, X, Y) -> max(X, Y) end, One, Other)
    }.

%% Waits until nodes are as they were before, and the lookups have ended. The last state counts.
await_state(Nodes, Before, Server, Deadline) ->
    After = footprints(Nodes),
    Full = [length(peers(Node)) || Node <- Nodes],
    Footprints = [of_footprints(Key, Nodes, Before, After) || Key <- [descriptors, threads, atoms, rss_kb]],
    Checks = [full(Full) | Footprints] ++ [lookups(Nodes, Server)],
    case [fails || {fails, _} <- Checks] =:= [] orelse now_ms() > Deadline of
        true -> Checks;
        false -> ok = sleep_until(now_ms() + ?SAMPLE_MS), await_state(Nodes, Before, Server, Deadline)
    end.

full(Full) ->
    case [Count || Count <- Full, Count =/= length(Full) - 1] of
        [] -> {holds, "it stays"};
        _ -> {fails, io_lib:format("the mesh did not stay: ~w", [Full])}
    end.

of_footprints(Key, Nodes, Before, After) ->
    Pairs = [{Name, maps:get(Key, Was), maps:get(Key, Is)} || {{Name, _}, Was, Is} <- lists:zip3(Nodes, Before, After)],
    case [Pair || {_, Was, Is} = Pair <- Pairs, is_more(Key, Was, Is)] of
        [] -> {holds, io_lib:format("~s ~s", [Key, more(Key, Pairs)])};
        More -> {fails, io_lib:format("~s: ~0tp", [Key, More])}
    end.

is_more(descriptors, Was, Is) -> [Kind || {Kind, Count} <- maps:to_list(Is), Count > maps:get(Kind, Was, 0)] =/= [];
is_more(threads, Was, Is) -> Is > Was;
is_more(atoms, Was, Is) -> Is > Was + ?MORE_ATOMS;
is_more(rss_kb, Was, Is) -> Is * 100 > Was * (100 + ?RSS_PERCENT).

more(descriptors, _Pairs) -> "+0";
more(rss_kb, Pairs) -> io_lib:format("~.1f % at most", [lists:max([100 * (Is - Was) / Was || {_, Was, Is} <- Pairs])]);
more(_Key, Pairs) -> io_lib:format("+~b", [lists:max([0 | [Is - Was || {_, Was, Is} <- Pairs]])]).

%% Every question that came was counted by who has sent it, each lookup has ended, and each that was asked has a time.
lookups(Nodes, {Server, _Named}) ->
    Came = caravan_dns_server:count(Server),
    Stats = [{Name, call(Node, caravan_dns, stats, [])} || {Name, Node} <- Nodes],
    Sent = lists:sum([Queries || {_, {ok, #{queries := Queries}}} <- Stats]),
    case [{Name, Each} || {Name, {ok, Each}} <- Stats, not adds_up(Each)] of
        [] when Sent >= Came -> {holds, io_lib:format("~b questions sent and ~b came, none in flight", [Sent, Came])};
        [] -> {fails, io_lib:format("~b questions sent, and ~b came", [Sent, Came])};
        Wrong -> {fails, io_lib:format("lookups: ~0tp", [Wrong])}
    end.

adds_up(#{outcomes := Outcomes, latency := Latency, in_flight := InFlight, queued := Queued} = Stats) ->
    #{queries := Queries, retries := Retries, tcp_fallbacks := TcpFallbacks, edns_fallbacks := EdnsFallbacks} = Stats,
    #{cancelled := Cancelled, badname := BadName, overload := Overload} = Outcomes,
    Timed = lists:sum([Count || {_, Count} <- Latency]),
    Ended = lists:sum(maps:values(Outcomes)) - Cancelled - BadName - Overload,
    {InFlight, Queued, Timed} =:= {0, 0, Ended} andalso Queries >= Retries + TcpFallbacks + EdnsFallbacks.

%% What nodes have logged from their start to their end.
lines(Ends, Ms) ->
    Most = ?OWN_LINES + ?LINES + 1 + Ms div 60000,
    Entries = [{Name, Entry} || {Name, {exited, 0, Output}} <- Ends, {_, "caravan" ++ _} = Entry <- entries(Output)],
    ok = print("lines of Caravan", shapes(Entries)),
    Counts = [{Name, length([Entry || {Each, Entry} <- Entries, Each =:= Name, is_counted(Entry)])} || {Name, _} <- Ends],
    case {[{Name, Status} || {Name, {exited, Status, _}} <- Ends, Status =/= 0], lists:max([Count || {_, Count} <- Counts])} of
        {[], Max} when Max =< Most -> {holds, io_lib:format("~b lines of ~b at most", [Max, Most])};
        {[], _} -> {fails, io_lib:format("more than ~b lines: ~0tp", [Most, Counts])};
        {Bad, _} -> {fails, io_lib:format("nodes ended badly: ~0tp", [Bad])}
    end.

%% That a node is alone is outside of the budget.
is_counted({_Level, Line}) -> string:find(Line, "is connected to none of ") =:= nomatch.

%% Bystanders

bystanders(Faults, Began, Nodes) ->
    Seen = lists:zip(lists:seq(1, length(Nodes)), on_each(Nodes, fun caravan_network_record:events/0)),
    Losses = [
        {losses(Start, End, Began, Events), most_losses(Each, Faults), Place, Fault}
     || {Start, End, Fault} = Each <- Faults, {Place, Events} <- Seen, caravan_network_faults:is_bystander(Place, Fault)
    ],
    case [Loss || {Count, Most, _, _} = Loss <- Losses, Count > Most] of
        [] when Losses =:= [] -> {holds, "no pair was cut"};
        [] -> {holds, ["bystanders lost at most ", of_most(lists:max(Losses))]};
        Many -> {fails, ["bystanders lost: " | lists:join(", ", [loss_text(Loss) || Loss <- Many])]}
    end.

losses(Start, End, Began, Events) ->
    caravan_network_record:losses(Events, Began + Start, Began + End).

most_losses({Start, End, _} = Scheduled, Faults) ->
    Others = [
        Fault
     || {Since, Until, Fault} = Each <- Faults, Each =/= Scheduled, Since < End, Until + ?AFTERMATH_MS > Start,
        caravan_network_faults:disturbs(Fault)
    ],
    ?PAIR_LOSSES + (End - Start) div 60000 + ?FAULT_LOSSES * length(Others).

of_most({Count, Most, _, _}) -> io_lib:format("~b of ~b", [Count, Most]).

loss_text({_, _, Place, Fault} = Loss) ->
    io_lib:format("node ~b ~ts while ~ts", [Place, of_most(Loss), caravan_network_faults:text(Fault)]).
