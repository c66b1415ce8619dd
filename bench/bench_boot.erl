%% How much longer a VM boots with -epmd_module caravan_epmd: from the start of its OS process until -eval is evaluated, which is
%% when all else has been started. The two kinds boot in turn, and which one is first alternates.
-module(bench_boot).

-export([main/1]).

-define(ROUNDS, 30).
-define(CONTENDERS, [caravan_epmd, erl_epmd]).
-define(BOOT_LIMIT_MS, 20000).
%% Milliseconds more.
-define(AIM, {at_most, 10}).

%% The arguments are the port of an epmd and whether to print a "table" or "rows".
-spec main([string()]) -> no_return().
main([EpmdPort, Form]) ->
    %% The first boots find no file in memory.
    _ = round(?CONTENDERS, EpmdPort),
    LoadAverage = bench_report:load_average(),
    Rounds = [round(order(Number), EpmdPort) || Number <- lists:seq(1, ?ROUNDS)],
    ok = show(Form, LoadAverage, Rounds),
    halt().

order(Number) when Number rem 2 =:= 0 -> ?CONTENDERS;
order(_Number) -> lists:reverse(?CONTENDERS).

round(Contenders, EpmdPort) -> maps:from_list([{Module, boot(Module, EpmdPort)} || Module <- Contenders]).

%% Milliseconds.
boot(Module, EpmdPort) ->
    Name = lists:concat(["boot-", free_port(), "@127.0.0.1"]),
    Start = erlang:monotonic_time(microsecond),
    Port = open_port({spawn_executable, os:find_executable("erl")}, [
        {args, [
            "-noshell", "-name", Name, "-setcookie", "bench", "-start_epmd", "false",
            "-epmd_module", atom_to_list(Module), "-pa", filename:dirname(code:which(caravan_epmd)),
            "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "logger_level", "error",
            "-eval", "true = is_alive(), io:put_chars(\"up\"), halt()."
        ]},
        {env, [{"ERL_EPMD_PORT", EpmdPort} | [{Flags, false} || Flags <- ["ERL_FLAGS", "ERL_AFLAGS", "ERL_ZFLAGS", "ERL_LIBS"]]]},
        exit_status, stderr_to_stdout
    ]),
    Up = await(Port, {data, "up"}),
    _ = await(Port, {exit_status, 0}),
    (Up - Start) / 1000.

await(Port, Event) ->
    receive
        {Port, Event} -> erlang:monotonic_time(microsecond);
        {Port, Other} -> error({boot, Other})
    after ?BOOT_LIMIT_MS -> error({boot, timeout})
    end.

free_port() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Port.

show("table", LoadAverage, Rounds) ->
    io:format(
        "A VM from its start to -eval, ms: medians of ~b boots of each kind, in turn. erl_epmd finds an epmd that runs already.~n"
        "Load average before: ~ts.~n~n",
        [?ROUNDS, LoadAverage]
    ),
    lists:foreach(fun(Module) -> io:format("-epmd_module ~-14s ~8.1f~n", [Module, median(Module, Rounds)]) end, ?CONTENDERS),
    io:format("~-27s ~8.1f~n~nAim: at most 10 ms more, ~s~n", [
        "more, of one and the next", more(Rounds), bench_report:verdict(?AIM, more(Rounds))
    ]);
show("rows", _LoadAverage, Rounds) ->
    bench_report:print([
        #{
            subject => "boot with -epmd_module caravan_epmd", unit => "ms", value => median(caravan_epmd, Rounds),
            rival => "erl_epmd", rival_value => median(erl_epmd, Rounds),
            ratio => bench_report:median([Own / Otps || #{caravan_epmd := Own, erl_epmd := Otps} <- Rounds]),
            aim => ?AIM, about => {io_lib:format("ms more (~.1f)", [more(Rounds)]), more(Rounds)}
        }
    ]).

median(Module, Rounds) -> bench_report:median([maps:get(Module, Round) || Round <- Rounds]).

more(Rounds) -> bench_report:median([Own - Otps || #{caravan_epmd := Own, erl_epmd := Otps} <- Rounds]).
