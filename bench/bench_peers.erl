%% Started by bench/peers: Caravan beside its peers, as a Markdown table.
-module(bench_peers).

-export([main/1]).

-define(CONSUL, "_build/consul/usr/bin/consul").
-define(CONSUL_TIMEOUT_MS, 30000).
-define(NO_LOOKUPS, "does not use DNS").

%% The arguments are a directory for files, the directory of what is compiled, that of the libraries of Elixir (empty if no peer needs
%% it), and "NAME=VERSION" for each peer.
-spec main([string()]) -> no_return().
main([Directory, Build, Elixir | Versions]) ->
    Status =
        try run(Directory, Build, Elixir, versions(Versions)) of
            [] -> 0;
            Failures ->
                [io:format(standard_error, "bench/peers: ~tp~n", [Failure]) || Failure <- Failures],
                1
        catch
            Class:Reason:Stack ->
                io:format(standard_error, "bench/peers: ~tp~n", [{Class, Reason, Stack}]),
                1
        end,
    halt(Status).

versions(Words) ->
    ok = application:load(caravan),
    {ok, Caravan} = application:get_key(caravan, vsn),
    maps:from_list([{caravan, Caravan} | [named_version(string:split(Word, "=")) || Word <- Words]]).

named_version([Name, Version]) -> {list_to_atom(Name), Version}.

run(Directory, Build, Elixir, Versions) ->
    {Contenders, LeftOut} = lists:partition(
        fun(Id) -> maps:is_key(bench_peers_contender:package(Id), Versions) end, bench_peers_contender:all()
    ),
    {ok, Agent} = caravan_demo_consul:start(#{
        directory => Directory, consul => filename:absname(?CONSUL), timeout => ?CONSUL_TIMEOUT_MS
    }),
    ok = bench_peers_rows:register_instances(Agent),
    %% Processes that take their first port at the same time could take the same one.
    _ = caravan_test_network:free_port(),
    World = #{
        places => #{directory => Directory, code_path => code_path(Build, Elixir)},
        consul => caravan_demo_consul:nameserver(Agent)
    },
    {Rows, Failures} = lists:unzip([try_all(Trial, Contenders, World) || Trial <- trials()]),
    Titles = [bench_peers_contender:title(Id, maps:get(bench_peers_contender:package(Id), Versions)) || Id <- Contenders],
    ok = print([["" | Titles] | lists:append(Rows)]),
    ok = notes(caravan_demo_consul:facts(Agent), LeftOut),
    {ok, _} = caravan_demo_consul:stop(Agent),
    lists:append(Failures).

code_path(Build, Elixir) ->
    Own = [filename:join(Build, Part) || Part <- ["bench", "peers"]],
    Caravan = filename:absname(filename:dirname(code:which(caravan_epmd))),
    [Caravan | Own] ++ [filename:join([Elixir, Library, "ebin"]) || Elixir =/= "", Library <- ["elixir", "logger"]].

%% What is tried: a label for each row, who takes part (`lookups': those that find nodes in DNS), and what returns the cells of a
%% contender, one for each label.
trials() ->
    [
        {["instances of 200 in Consul that one poll finds"], lookups, one(fun bench_peers_rows:instances/2)},
        {
            [
                "connections of a cluster of three that are lost in 30 s of SERVFAIL",
                "connections of a cluster of three that are lost in 30 s of a silent nameserver",
                "longest wait for the process that polls in these 30 s of silence"
            ],
            lookups, fun bench_peers_rows:outages/2
        },
        {["two nodes at one address connect without epmd"], all, one(fun bench_peers_rows:pair/2)},
        {["`remote` of a Mix release reaches its node without epmd"], all, one(fun bench_peers_rows:remote/2)},
        {["what the log says of a listed node with another cookie"], lookups, one(fun bench_peers_rows:wrong_cookie/2)}
    ].

one(Try) -> fun(Id, World) -> [Try(Id, World)] end.

%% With all contenders at once, since most of the time they wait.
try_all({Labels, Who, Try}, Contenders, World) ->
    Runs = [{Id, run_trial(Who =:= all orelse bench_peers_contender:looks_up(Id), Try, Id, World)} || Id <- Contenders],
    {Columns, Failures} = lists:unzip([await_trial(Run, Labels) || Run <- Runs]),
    Rows = [[Label | [lists:nth(Index, Column) || Column <- Columns]] || {Index, Label} <- lists:enumerate(Labels)],
    {Rows, lists:append(Failures)}.

run_trial(false, _Try, _Id, _World) -> takes_no_part;
run_trial(true, Try, Id, World) ->
    Caller = self(),
    spawn_monitor(fun() -> Caller ! {self(), Try(Id, World)} end).

await_trial({_Id, takes_no_part}, Labels) ->
    {[?NO_LOOKUPS || _ <- Labels], []};
await_trial({Id, {Process, Monitor}}, Labels) ->
    receive
        {'DOWN', Monitor, process, Process, Reason} ->
            receive
                {Process, Cells} -> {Cells, []}
            after 0 -> {["failed" || _ <- Labels], [{Id, hd(Labels), Reason}]}
            end
    end.

print([Head | Rows]) ->
    io:format("~ts", [[line(Head), line(["---" || _ <- Head]) | [line(Row) || Row <- Rows]]]).

line(Cells) -> ["|", [[" ", Cell, " |"] || Cell <- Cells], "\n"].

notes(Facts, LeftOut) ->
    {_, Consul} = lists:keyfind("Consul", 1, Facts),
    io:format(
        "~nOTP ~ts, ~ts; load average at the end ~ts. Each contender has its default intervals. A connection counts as lost even if~n"
        "it is made again later. DNSPoll and dns_cluster ask for A records, the others for SRV records. In Consul, Kubernetes.DNSSRV~n"
        "gets its query from a resolver function. The nodes of DNSPoll, Kubernetes.DNSSRV and dns_cluster all have one name before~n"
        "the `@`, which an epmd knows only once. So the rows that are not about epmd run them at addresses of their own with OTP's~n"
        "`-erl_epmd_port` instead of epmd. epmdless is told the port of the other node with `epmdless_client:add_node/2`. libcluster~n"
        "is compiled without the strategies that need jason, and with a telemetry that ignores all events.~n",
        [erlang:system_info(otp_release), hd(string:split(Consul, ",")), bench_report:load_average()]
    ),
    Packages = lists:usort([bench_peers_contender:package(Id) || Id <- LeftOut]),
    [io:format("~ts is left out, because no directory was given.~n", [Package]) || Package <- Packages],
    ok.
