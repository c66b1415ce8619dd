%% Started by bench/mesh: how long nodes take to find each other, and what they ask, beside a strategy like that of
%% Caravan 1.0.
-module(bench_mesh).
-behaviour(supervisor).

-export([main/1, init/1]).

-define(CONTENDERS, [caravan, rival]).

%% Of the rival's time, and of queries per node.
-define(TIME_AIM, {at_most, 0.5}).
-define(QUERIES_AIM, {at_most, 2}).

%% The arguments are the number of nodes, a directory for files, and whether to print a "table" or "rows".
-spec main([string()]) -> no_return().
main([Count, Directory, Form]) ->
    ok = caravan_demo_signal:forward_sigterm(self()),
    ok = caravan_nif:load(),
    {ok, Nodes} = supervisor:start_link(?MODULE, []),
    {Runner, Monitor} = spawn_monitor(fun() -> run(list_to_integer(Count), Directory, Nodes, Form) end),
    Status =
        receive
            {'DOWN', Monitor, process, Runner, normal} -> 0;
            {'DOWN', Monitor, process, Runner, Reason} -> failed(Reason);
            interrupted -> exit(Runner, shutdown), 1
        end,
    ok = gen_server:stop(Nodes, shutdown, infinity),
    halt(Status).

failed(Reason) ->
    io:format(standard_error, "bench/mesh: ~tp~n", [Reason]),
    1.

%% The nodes: what stops this supervisor waits until there are none.
init([]) ->
    Node = #{id => node, start => {caravan_test_node, start_link, []}, restart => temporary, shutdown => infinity},
    {ok, {#{strategy => simple_one_for_one}, [Node]}}.

%% A node of a release has loaded all modules when it starts to look; here the first meshes tell which are needed.
run(Count, Directory, Nodes, Form) ->
    Run = fun(Contender, Size, Modules) -> bench_mesh_round:run(Contender, Size, Modules, Directory, Nodes) end,
    Modules = lists:usort(lists:append([maps:get(loaded, Run(Contender, 3, [])) || Contender <- ?CONTENDERS])),
    LoadAverage = bench_report:load_average(),
    Rounds = [
        maps:from_list([{Contender, per_node(Run(Contender, Count, Modules), Count)} || Contender <- ?CONTENDERS])
     || _ <- lists:seq(1, rounds(Count))
    ],
    show(Form, Count, LoadAverage, Rounds).

%% Two cores need a minute for a round of a hundred nodes.
rounds(Count) when Count > 30 -> 3;
rounds(_Count) -> 5.

show("table", Count, LoadAverage, Rounds) ->
    io:format(
        "~b nodes, each an OS process, and one nameserver on this machine: medians of ~b interleaved rounds, and the~n"
        "range in brackets; the ratio is the median of those within the rounds.~n"
        "Rival: inet_res, a poll every 5 s, one connect after the other, addresses from inet:getaddr/2.~n"
        "Caravan: poll_interval 5000. Both with connect_all true, the default. Load average before: ~ts.~n~n",
        [Count, length(Rounds), LoadAverage]
    ),
    row("", ["Caravan", "rival", "ratio"]),
    lists:foreach(fun({Label, Key, Format}) -> print(Label, Key, Format, Rounds) end, [
        {"last start to full mesh, ms", start, "~.1f"},
        {"last launch to full mesh, ms", launch, "~.1f"},
        {"user CPU time per node, ms", cpu, "~.1f"},
        {"queries per node", queries, "~.2f"},
        {"  SRV", srv, "~.2f"},
        {"  A and AAAA", address, "~.2f"}
    ]),
    io:format("~n"),
    aim("half the rival's time", "ratio ~.2f", ratio(start, Rounds), ?TIME_AIM),
    aim("at most 2 queries per node", "~.2f", median(caravan, queries, Rounds), ?QUERIES_AIM);
show("rows", Count, _LoadAverage, Rounds) ->
    Queries = median(caravan, queries, Rounds),
    bench_report:print([
        (report("last start to full mesh", "ms", start, Count, Rounds))#{aim => ?TIME_AIM},
        report("user CPU time per node", "ms", cpu, Count, Rounds),
        (report("queries per node", "", queries, Count, Rounds))#{aim => ?QUERIES_AIM, about => {"queries", Queries}}
    ]).

report(Label, Unit, Key, Count, Rounds) ->
    #{
        subject => io_lib:format("mesh of ~b: ~s", [Count, Label]), unit => Unit, value => median(caravan, Key, Rounds),
        rival => "1.0's strategy", rival_value => median(rival, Key, Rounds), ratio => ratio(Key, Rounds), aim => none
    }.

per_node(#{start := Start, launch := Launch, cpu := Cpu, srv := Srv, address := Address}, Count) ->
    #{
        start => Start / 1000,
        launch => Launch / 1000,
        cpu => Cpu / Count,
        queries => (Srv + Address) / Count,
        srv => Srv / Count,
        address => Address / Count
    }.

print(Label, Key, Format, Rounds) ->
    Cells = [range(Format, values(Contender, Key, Rounds)) || Contender <- ?CONTENDERS],
    row(Label, Cells ++ [io_lib:format("~.2f", [ratio(Key, Rounds)])]).

range(Format, Values) ->
    Shown = [io_lib:format(Format, [Value]) || Value <- [bench_report:median(Values), lists:min(Values), lists:max(Values)]],
    io_lib:format("~s (~s - ~s)", Shown).

row(Label, [Caravan, Rival, Ratio]) ->
    io:format("~-30s ~24s ~24s ~7s~n", [Label, Caravan, Rival, Ratio]).

aim(Label, Format, Value, Aim) ->
    io:format("Aim: ~-30s ~s: " ++ Format ++ "~n", [Label, bench_report:verdict(Aim, Value), Value]).

values(Contender, Key, Rounds) -> [maps:get(Key, maps:get(Contender, Round)) || Round <- Rounds].

ratio(Key, Rounds) ->
    bench_report:median([Caravan / max(Rival, 1.0e-9) || #{caravan := #{Key := Caravan}, rival := #{Key := Rival}} <- Rounds]).

median(Contender, Key, Rounds) -> bench_report:median(values(Contender, Key, Rounds)).
