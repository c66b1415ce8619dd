%% A cluster from its first process to the full mesh, and its end.
-module(bench_mesh_round).

-export([run/5]).

-export_type([contender/0, result/0]).

-define(QUERY, "app.mesh.test").
-define(BASENAME, "app").
-define(LOCALHOST, {127, 0, 0, 1}).

-type contender() :: caravan | rival.

-type result() :: #{
    %% Microseconds until all were connected: since the last node was told to look for the others, and since the last
    %% process was launched.
    start := integer(),
    launch := integer(),
    %% Milliseconds of user CPU time of all nodes since the first was told to look.
    cpu := non_neg_integer(),
    %% What the nameserver was asked.
    srv := non_neg_integer(),
    address := non_neg_integer(),
    %% The modules that the nodes have loaded.
    loaded := [module()]
}.

-record(instance, {
    name :: string(),
    host :: string(),
    port :: inet:port_number(),
    node :: pid() | undefined
}).

%% The nodes are children of a supervisor of caravan_test_node, and none is left when this returns. They load the
%% modules that are given before they look for each other.
-spec run(contender(), Count :: pos_integer(), [module()], Directory :: file:filename(), Nodes :: pid()) -> result().
run(Contender, Count, Modules, Directory, Supervisor) ->
    {ok, Server} = caravan_dns_server:start_link(#{}),
    Flags = flags(Contender, Server),
    Environment = environment(Directory, Server),
    Launched = [launch(Instance, Flags, Environment, Supervisor) || Instance <- instances(Count)],
    LastLaunch = now_us(),
    lists:foreach(fun(#instance{node = Node}) -> ok = caravan_test_node:await_boot(Node) end, Launched),
    _ = on_each(Launched, code, ensure_modules_loaded, [Modules]),
    Before = cpu_ms(Launched),
    {LastStart, Starts} = start(Launched, [], [], Contender, Server),
    Full = await_mesh(Launched, none),
    Queries = [Type || #{type := Type} <- caravan_dns_server:queries(Server)],
    Cpu = cpu_ms(Launched) - Before,
    %% The last connection may be there before the call that led to it has returned.
    lists:foreach(fun(Start) -> receive {Start, ok} -> ok end end, Starts),
    Result = #{
        start => Full - LastStart,
        launch => Full - LastLaunch,
        cpu => Cpu,
        srv => length([Type || Type <- Queries, Type =:= srv]),
        address => length([Type || Type <- Queries, Type =/= srv]),
        loaded => lists:usort(lists:append(on_each(Launched, bench_mesh_node, loaded, [])))
    },
    lists:foreach(fun(#instance{node = Node}) -> ok = supervisor:terminate_child(Supervisor, Node) end, Launched),
    ok = caravan_dns_server:stop(Server),
    Result.

instances(Count) ->
    [
        #instance{name = lists:concat([?BASENAME, "-", Port, "@", Host]), host = Host, port = Port}
     || {Index, Port} <- lists:zip(lists:seq(1, Count), free_ports(Count, [])),
        Host <- [lists:concat(["node-", Index, ".mesh.test"])]
    ].

free_ports(Count, Ports) when length(Ports) =:= Count -> Ports;
free_ports(Count, Ports) -> free_ports(Count, lists:usort([caravan_test_network:free_port() | Ports])).

%% Schedulers that spin for work would take it from the other nodes, which in a cluster have machines of their own.
flags(Contender, Server) ->
    [
        "-start_epmd", "false", "-epmd_module", epmd_module(Contender),
        "-setcookie", "c" ++ integer_to_list(rand:uniform(1 bsl 64)),
        "-kernel", "inet_dist_use_interface", text("~w", [?LOCALHOST]),
        "-caravan", "nameservers", text("~0p", [[caravan_dns_server:nameserver(Server)]]),
        "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none",
        "-run", "bench_schedules", "watch"
    ].

epmd_module(caravan) -> "caravan_epmd";
epmd_module(rival) -> "bench_mesh_rival_epmd".

%% For OTP's resolver: the nameserver of the run, and nothing else. A later resolv_conf would take the nameserver away.
environment(Directory, Server) ->
    File = filename:join(Directory, "inetrc"),
    Port = caravan_dns_server:port(Server),
    Line = text("{resolv_conf, \"\"}. {lookup, [dns]}. {nameserver, ~w, ~b}.~n", [?LOCALHOST, Port]),
    ok = file:write_file(File, Line),
    [{"ERL_INETRC", File}, {"ERL_EPMD_PORT", integer_to_list(caravan_test_network:free_port())}].

launch(#instance{name = Name} = Instance, Flags, Environment, Supervisor) ->
    CodePath = [filename:absname(filename:dirname(code:which(Module))) || Module <- [caravan_epmd, ?MODULE]],
    Options = #{flags => ["-name", Name | Flags], env => Environment, code_path => CodePath},
    {ok, Node} = supervisor:start_child(Supervisor, [Options]),
    Instance#instance{node = Node}.

%% Each is registered when it starts, and starts as soon as the one before has been told to. Gives the time of the last,
%% and the calls, which may not have returned yet.
start([#instance{node = Node} = Instance | Left], Started, Starts, Contender, Server) ->
    ok = register_instance(Instance, [Instance | Started], Server),
    Time = now_us(),
    Start = caravan_test_node:async(Node, fun() -> bench_mesh_node:start(Contender, ?QUERY, ?BASENAME) end),
    case Left of
        [] -> {Time, [Start | Starts]};
        _ -> start(Left, [Instance | Started], [Start | Starts], Contender, Server)
    end.

%% A TTL of 0 is Consul's default.
register_instance(#instance{host = Host}, Instances, Server) ->
    ok = caravan_dns_server:put(Server, Host, a, [{a, 0, ?LOCALHOST}]),
    Records = [{srv, 0, 1, 1, Port, Target} || #instance{port = Port, host = Target} <- Instances],
    caravan_dns_server:put(Server, ?QUERY, srv, Records).

%% When the last node had a connection to every other; anew as long as one has lost some meanwhile. When all were
%% connected before they were asked at all, it is the time at which the last one said so.
await_mesh(Instances, Before) ->
    Ends = on_each(Instances, bench_mesh_node, await_connected, [length(Instances) - 1]),
    case {[Time || {waited, Time} <- Ends], Before} of
        {[], none} -> lists:max([Time || {at_once, Time} <- Ends]);
        {[], _} -> Before;
        {Times, none} -> await_mesh(Instances, lists:max(Times));
        {Times, _} -> await_mesh(Instances, lists:max([Before | Times]))
    end.

%% All at once.
on_each(Instances, Module, Function, Arguments) ->
    Calls = [
        caravan_test_node:async(Node, fun() -> apply(Module, Function, Arguments) end)
     || #instance{node = Node} <- Instances
    ],
    [receive {Call, Result} -> Result end || Call <- Calls].

cpu_ms(Instances) ->
    lists:sum([Total || {Total, _} <- on_each(Instances, erlang, statistics, [runtime])]).

text(Format, Arguments) -> lists:flatten(io_lib:format(Format, Arguments)).

now_us() -> os:system_time(microsecond).
