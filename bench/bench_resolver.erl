%% Started by bench/resolver: what a lookup costs, as ratios within one run.
-module(bench_resolver).

-export([main/1]).

-export_type([row/0, rig/0]).

-type row() :: #{
    transport := udp | tcp, records := pos_integer(), callers := pos_integer(),
    %% What else is so: a share of datagrams is lost, or all schedulers compute.
    condition := calm | busy | {lost, Percent :: 1..99}
}.
%% What lookups are measured with: the nameserver's port, the program with the bare c-ares loop, and whether this is a network
%% namespace of our own, where datagrams may be lost.
-type rig() :: #{server := inet:port_number(), cares_loop := file:filename(), may_lose := boolean()}.

-define(SHORT_ROUNDS, 3).
-define(FULL_ROUNDS, 5).

%% The arguments are the mode, the port of the nameserver, the program with the bare c-ares loop, and "own" where the network
%% namespace is our own.
-spec main([string()]) -> no_return().
main([Mode, Port, CaresLoop, Namespace]) ->
    ok = caravan_nif:load(),
    Server = list_to_integer(Port),
    Rig = #{server => Server, cares_loop => CaresLoop, may_lose => Namespace =:= "own"},
    halt(
        case await_server(Server, 50) of
            ok -> status(run(Mode, Rig));
            failed -> status(failed)
        end
    ).

status(ok) -> 0;
status(failed) -> 1.

run("memory-in-flight", #{server := Server}) -> bench_resolver_memory:in_flight(Server);
run("memory-million", #{server := Server}) -> bench_resolver_memory:million(Server);
run("nif", #{server := Server}) -> bench_resolver_nif:run(Server);
run("loss", #{server := Server}) -> bench_resolver_loss:run(Server);
run("cached", #{server := Server}) -> bench_resolver_cached:table(bench_resolver_cached:measure(Server));
run("short", Rig) -> worst(table(short_rows(Rig), ?SHORT_ROUNDS, Rig), run("cached", Rig));
run("full", Rig) -> table(all_rows(), ?FULL_ROUNDS, Rig);
run("rows", Rig) -> rows(Rig).

worst(ok, Result) -> Result;
worst(failed, _Result) -> failed.

table(Rows, Rounds, Rig) ->
    Idle = bench_resolver_load:idle_cpu(),
    ok = bench_resolver_table:head(Rounds, Idle),
    result(bench_resolver_rows:measure(Rows, Rounds, Rig, Idle, fun bench_resolver_table:line/2)).

rows(#{server := Server} = Rig) ->
    Measured = bench_resolver_rows:measure(
        short_rows(Rig), ?SHORT_ROUNDS, Rig, bench_resolver_load:idle_cpu(), fun(_, _) -> ok end
    ),
    ok = bench_report:print(bench_resolver_table:rows(Measured) ++ bench_resolver_cached:rows(bench_resolver_cached:measure(Server))),
    result(Measured).

result(Measured) ->
    case [Row || #{void := _, row := Row} <- Measured] of
        [] -> ok;
        Void -> io:format(standard_error, "bench/resolver: lookups of Caravan failed: ~0p~n", [Void]), failed
    end.

%% Rows with 100 callers come before those that are compared with them.
short_rows(#{may_lose := MayLose}) ->
    [
        row(Transport, Records, Callers, Condition)
     || {Transport, Records, Callers, Condition} <- [
            {udp, 3, 1, calm}, {udp, 3, 100, calm}, {udp, 3, 10000, calm}, {udp, 50, 100, calm},
            {udp, 3, 100, {lost, 5}}, {udp, 3, 100, busy},
            {tcp, 3, 1, calm}, {tcp, 3, 100, calm}, {tcp, 200, 100, calm}
        ],
        Condition =/= {lost, 5} orelse MayLose
    ].

all_rows() ->
    [row(T, R, C, calm) || T <- [udp, tcp], R <- [3, 50, 200, 1000], C <- [1, 100, 1000, 10000]].

-spec row(udp | tcp, pos_integer(), pos_integer(), calm | busy | {lost, 1..99}) -> row().
row(Transport, Records, Callers, Condition) ->
    #{transport => Transport, records => Records, callers => Callers, condition => Condition}.

await_server(_Server, 0) ->
    io:format(standard_error, "bench/resolver: the nameserver does not answer~n", []),
    failed;
await_server(Server, Tries) ->
    Ask = bench_resolver_load:ask(inet_res, row(udp, 3, 1, calm), 1, Server),
    case Ask() of
        true -> ok;
        false -> timer:sleep(100), await_server(Server, Tries - 1)
    end.
