%% Lookups by many callers at once, and what they took.
-module(bench_resolver_load).

-export([measure/4, ask/4, name/2, resolver/2, idle_cpu/0, with_busy_schedulers/1]).

-export_type([contender/0, measurement/0]).

-type contender() :: caravan | inet_res.
-type measurement() :: #{
    lookups := pos_integer(), failures := non_neg_integer(),
    %% Nanoseconds.
    wall := pos_integer(), cpu := number(), p50 := number(), p99 := number()
}.

-define(ROUND_LIMIT_MS, 60000).
-define(IDLE_MS, 3000).
-define(LOOKUP_TIMEOUT_MS, 50000).
%% Where datagrams are lost, the timeout says how late a lookup is that has used up its tries: it is the default one.
-define(LOSSY_TIMEOUT_MS, 5000).

%% Lets the callers make so many lookups between them; each asks again as soon as it has its answer.
-spec measure(contender(), bench_resolver:row(), pos_integer(), inet:port_number()) -> measurement().
measure(Contender, #{callers := Callers} = Row, Lookups, Server) ->
    Tickets = atomics:new(1, []),
    ok = atomics:put(Tickets, 1, Lookups),
    %% The latency of every lookup; what stays zero has failed.
    Latencies = atomics:new(Lookups, []),
    Workers = [
        begin
            Ask = ask(Contender, Row, Caller, Server),
            spawn_monitor(fun() -> receive go -> caller(Ask, Tickets, Latencies) end end)
        end
     || Caller <- lists:seq(1, Callers)
    ],
    Cpu = cpu(),
    Start = erlang:monotonic_time(nanosecond),
    lists:foreach(fun({Pid, _}) -> Pid ! go end, Workers),
    await(Workers, erlang:monotonic_time(millisecond) + ?ROUND_LIMIT_MS),
    Wall = erlang:monotonic_time(nanosecond) - Start,
    Spent = cpu() - Cpu,
    All = [atomics:get(Latencies, I) || I <- lists:seq(1, Lookups)],
    Sorted = lists:sort([Latency || Latency <- All, Latency > 0]),
    #{
        lookups => Lookups, failures => Lookups - length(Sorted), wall => Wall, cpu => Spent,
        p50 => percentile(50, Sorted), p99 => percentile(99, Sorted)
    }.

caller(Ask, Tickets, Latencies) ->
    case atomics:sub_get(Tickets, 1, 1) of
        Ticket when Ticket >= 0 ->
            Start = erlang:monotonic_time(nanosecond),
            case Ask() of
                true -> atomics:put(Latencies, Ticket + 1, max(1, erlang:monotonic_time(nanosecond) - Start));
                false -> ok
            end,
            caller(Ask, Tickets, Latencies);
        _ ->
            ok
    end.

await([], _Until) ->
    ok;
await([{Pid, Monitor} | Workers], Until) ->
    receive
        {'DOWN', Monitor, process, Pid, _} -> await(Workers, Until)
    after max(0, Until - erlang:monotonic_time(millisecond)) ->
        exit(Pid, kill),
        receive {'DOWN', Monitor, process, Pid, _} -> await(Workers, Until) end
    end.

%% One lookup of a caller's own name; whether it brought all records.
-spec ask(contender(), bench_resolver:row(), pos_integer(), inet:port_number()) -> fun(() -> boolean()).
ask(caravan, #{transport := Transport, records := Records} = Row, Caller, Server) ->
    Name = name(Records, Caller),
    Options = #{resolver => resolver(Transport, timeout(Row), Server)},
    fun() ->
        case caravan_dns:lookup(Name, srv, Options) of
            {ok, #{records := Answer}} -> length(Answer) =:= Records;
            {error, _} -> false
        end
    end;
ask(inet_res, #{transport := Transport, records := Records}, Caller, Server) ->
    Name = name(Records, Caller),
    Options = [
        {nameservers, [{{127, 0, 0, 1}, Server}]}, {edns, 0}, {udp_payload_size, 4096}, {usevc, Transport =:= tcp}
    ],
    fun() ->
        case inet_res:resolve(Name, in, srv, Options, ?LOOKUP_TIMEOUT_MS) of
            {ok, Message} -> length(inet_dns:msg(Message, anlist)) =:= Records;
            {error, _} -> false
        end
    end.

timeout(#{condition := {lost, _}}) -> ?LOSSY_TIMEOUT_MS;
timeout(_Row) -> ?LOOKUP_TIMEOUT_MS.

%% One for the whole run, as a user would have.
-spec resolver(udp | tcp, inet:port_number()) -> caravan_dns:resolver().
resolver(Transport, Server) -> resolver(Transport, ?LOOKUP_TIMEOUT_MS, Server).

resolver(Transport, Timeout, Server) ->
    Key = {?MODULE, Transport, Timeout, Server},
    case persistent_term:get(Key, none) of
        none ->
            {ok, Resolver} = caravan_dns:open(#{
                nameservers => ["127.0.0.1:" ++ integer_to_list(Server)], transport => Transport, timeout => Timeout
            }),
            ok = persistent_term:put(Key, Resolver),
            Resolver;
        Resolver ->
            Resolver
    end.

%% A name that has so many records in the zone that bench/resolver writes.
-spec name(pos_integer(), pos_integer()) -> string().
name(Records, Caller) ->
    lists:flatten(io_lib:format("c~b._app-~b._tcp.bench.test", [Caller, Records])).

%% What the function gives while processes compute: two for each scheduler, so that each of them always has one to run.
-spec with_busy_schedulers(fun(() -> Result)) -> Result.
with_busy_schedulers(Fun) ->
    Computing = [spawn_monitor(fun compute/0) || _ <- lists:seq(1, 2 * erlang:system_info(schedulers_online))],
    try
        Fun()
    after
        lists:foreach(fun({Pid, _}) -> exit(Pid, kill) end, Computing),
        lists:foreach(fun({Pid, Monitor}) -> receive {'DOWN', Monitor, process, Pid, _} -> ok end end, Computing)
    end.

compute() ->
    _ = lists:foldl(fun(Number, Sum) -> Sum + Number * Number end, 0, lists:seq(1, 1000)),
    compute().

%% Nanoseconds of CPU per nanosecond that this VM takes when nobody asks for anything.
-spec idle_cpu() -> float().
idle_cpu() ->
    %% The first reading loads code.
    _ = cpu(),
    Cpu = cpu(),
    Start = erlang:monotonic_time(nanosecond),
    timer:sleep(?IDLE_MS),
    (cpu() - Cpu) / (erlang:monotonic_time(nanosecond) - Start).

%% Nanoseconds of user and system time of all threads: the ticks of /proc/PID/stat are too coarse where most of the time passes
%% in waiting.
cpu() ->
    lists:sum([on_cpu(file:read_file(File)) || File <- filelib:wildcard("/proc/self/task/*/schedstat")]).

on_cpu({ok, Text}) -> binary_to_integer(hd(binary:split(Text, <<" ">>)));
%% It has ended meanwhile.
on_cpu({error, _}) -> 0.

percentile(_Percent, []) -> 0;
percentile(Percent, Sorted) -> lists:nth(1 + (length(Sorted) - 1) * Percent div 100, Sorted).
