%% Started by bench/resolver: what a lookup costs, as ratios within one run.
-module(bench_resolver).

-export([main/1]).

-export_type([row/0]).

-type row() :: #{transport := udp | tcp, records := pos_integer(), callers := pos_integer()}.

%% The arguments are the mode, the port of the nameserver and the program with the bare c-ares loop.
-spec main([string()]) -> no_return().
main([Mode, Port, CaresLoop]) ->
    ok = caravan_nif:load(),
    Server = list_to_integer(Port),
    halt(
        case await_server(Server, 50) of
            ok -> status(run(Mode, Server, CaresLoop));
            failed -> status(failed)
        end
    ).

status(ok) -> 0;
status(failed) -> 1.

run("memory-in-flight", Server, _CaresLoop) -> bench_resolver_memory:in_flight(Server);
run("memory-million", Server, _CaresLoop) -> bench_resolver_memory:million(Server);
run("nif", Server, _CaresLoop) -> bench_resolver_nif:run(Server);
run("loss", Server, _CaresLoop) -> bench_resolver_loss:run(Server);
run("short", Server, CaresLoop) -> bench_resolver_rows:run(short_rows(), 3, Server, CaresLoop);
run("full", Server, CaresLoop) -> bench_resolver_rows:run(all_rows(), 5, Server, CaresLoop).

%% Rows with 100 callers come before those that are compared with them.
short_rows() ->
    [row(T, R, C) || {T, R, C} <- [
        {udp, 3, 1}, {udp, 3, 100}, {udp, 3, 10000}, {udp, 50, 100},
        {tcp, 3, 1}, {tcp, 3, 100}, {tcp, 200, 100}
    ]].

all_rows() ->
    [row(T, R, C) || T <- [udp, tcp], R <- [3, 50, 200, 1000], C <- [1, 100, 1000, 10000]].

-spec row(udp | tcp, pos_integer(), pos_integer()) -> row().
row(Transport, Records, Callers) ->
    #{transport => Transport, records => Records, callers => Callers}.

await_server(_Server, 0) ->
    io:format(standard_error, "bench/resolver: the nameserver does not answer~n", []),
    failed;
await_server(Server, Tries) ->
    Ask = bench_resolver_load:ask(inet_res, udp, 3, 1, Server),
    case Ask() of
        true -> ok;
        false -> timer:sleep(100), await_server(Server, Tries - 1)
    end.
