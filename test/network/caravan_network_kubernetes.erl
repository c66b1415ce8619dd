%% @doc The control plane of test/network/kubernetes: starts the pods of the StatefulSet in examples/kubernetes, publishes their records as
%% CoreDNS does, deletes a pod, replaces it, and adds one. Then it starts the pods of the Deployment.
%%
%% CoreDNS is configured with `cache 30' by default, so an answer, a negative one included, is up to 30 s old. The DNS server of this test
%% remembers the answers for SRV likewise.
-module(caravan_network_kubernetes).

-export([main/1]).

-import(caravan_test_manifest, [at/2]).

-record(world, {
    namespace :: binary(),
    objects :: [caravan_test_kubernetes:object()],
    service :: caravan_test_kubernetes:object(),
    workload :: caravan_test_kubernetes:object() | undefined,
    container :: map() | undefined,
    server :: pid(),
    records :: ets:table()
}).

%% A process of the VM keeps the output of the pod's container. `place' is a process in the namespaces of the pod.
-record(pod, {facts :: caravan_test_kubernetes:facts(), place :: string(), container :: pid()}).

-define(MANIFESTS, ["statefulset.yaml", "deployment.yaml", "secret.yaml"]).
-define(CACHE_SECONDS, 30).
-define(PAGE, "docs/kubernetes.md").
%% The default of Kubernetes.
-define(GRACE_SECONDS, 30).
%% For what a node does by itself: a poll that waits for the cache of CoreDNS, and the next one.
-define(PATIENCE_MS, 120000).
-define(INTERVAL_MS, 500).

%% @doc Ends the VM with status 0 if the pods do what docs/kubernetes.md says of them. It raises otherwise.
-spec main([string()]) -> no_return().
main([Namespace, Nameserver | Places]) ->
    {ok, _} = application:ensure_all_started(inets),
    {ok, Ip} = inet:parse_address(Nameserver),
    {ok, Server} = caravan_dns_server:start_link(#{ip => Ip, port => 53, soa_minimum => ?CACHE_SECONDS}),
    Objects = caravan_test_kubernetes:objects(["examples/kubernetes/" ++ File || File <- ?MANIFESTS]),
    World = world(list_to_binary(Namespace), Server, Objects),
    run_stateful_set(of_kind("StatefulSet", World), pairs(Places)),
    run_deployment(of_kind("Deployment", World), pairs(Places)),
    halt(0).

pairs([Place, Address | Rest]) -> [{Place, Address} | pairs(Rest)];
pairs([]) -> [].

world(Namespace, Server, Objects) ->
    Service = caravan_test_kubernetes:object("Service", "shop-nodes", Objects),
    true = at(["spec", "publishNotReadyAddresses"], Service),
    Records = ets:new(records, [public]),
    Name = caravan_test_kubernetes:srv_name(Service, Namespace),
    ok = caravan_dns_server:put(Server, Name, srv, fun(_Transport, _Query) -> answer(Records) end),
    #world{
        namespace = Namespace,
        objects = Objects,
        service = Service,
        server = Server,
        records = Records
    }.

of_kind(Kind, #world{objects = Objects} = World) ->
    Workload = caravan_test_kubernetes:object(Kind, "shop", Objects),
    World#world{workload = Workload, container = caravan_test_kubernetes:container(Workload)}.

run_stateful_set(#world{workload = Workload, service = Service} = World, [First, Second, Third, Fourth, Fifth]) ->
    true = at(["spec", "serviceName"], Workload) =:= at(["metadata", "name"], Service),
    Three = caravan_test_kubernetes:pod_names(Workload, at(["spec", "replicas"], Workload)),
    %% Someone asks before the first pod is there, and CoreDNS remembers that there is nothing.
    nxdomain = answer(World#world.records),
    Pods = [start(Pod, Place, World) || {Pod, Place} <- lists:zip(Three, [First, Second, Third])],
    [ok = await(["live ", name(Pod)], fun() -> probe("livenessProbe", Pod, World) =:= 200 end) || Pod <- Pods],
    [503 = probe("readinessProbe", Pod, World) || Pod <- Pods],
    said("no pod is ready while CoreDNS remembers that there is none"),
    ok = await_mesh(Pods, World),
    said("~b pods have formed a cluster and are ready", [length(Pods)]),
    ok = try_page(Pods),

    [Zero, Deleted, Two] = Pods,
    ok = delete(Deleted, World),
    ok = await_mesh([Zero, Two], World),
    [true = has_said(Pod, [name(Deleted), ".* has left"]) || Pod <- [Zero, Two]],
    said("~s has left and its records are gone", [name(Deleted)]),

    Successor = start(maps:get(name, Deleted#pod.facts), Fourth, World),
    ok = await_mesh([Zero, Successor, Two], World),
    said("its successor at another address is in the cluster"),

    [_, _, _, Added] = caravan_test_kubernetes:pod_names(Workload, 4),
    Four = [Zero, Successor, Two, start(Added, Fifth, World)],
    ok = await_mesh(Four, World),
    said("~b pods after the StatefulSet was scaled up", [length(Four)]),

    Warnings = [{name(Pod), Line} || Pod <- [Deleted | Four], Line <- warnings(output(Pod))],
    [io:format("  ~s ~s~n", [Name, Line]) || {Name, Line} <- Warnings],
    %% The one cause to warn is the nameserver's early answer.
    [] = [Warning || {_, Line} = Warning <- Warnings, re:run(Line, "nxdomain|NXDOMAIN|no records") =:= nomatch],
    [ok = delete(Pod, World) || Pod <- Four],
    said("all pods have ended with status 0").

run_deployment(#world{workload = Workload} = World, Places) ->
    Replicas = at(["spec", "replicas"], Workload),
    %% The last part of the name is random.
    Names = [iolist_to_binary(["shop-6d4cf56db6-", integer_to_list(Number, 36)]) || Number <- lists:seq(46656, 46655 + Replicas)],
    Pods = [start(Name, Place, World) || {Name, Place} <- lists:zip(Names, lists:sublist(Places, Replicas))],
    ok = await_mesh(Pods, World),
    said("~b pods of the Deployment have formed a cluster and are ready", [length(Pods)]),
    [ok = delete(Pod, World) || Pod <- Pods],
    said("all of them have ended with status 0").

said(Text) -> said(Text, []).
said(Format, Arguments) -> io:format(Format ++ "~n", Arguments).

%% The records.

answer(Records) ->
    Now = erlang:monotonic_time(second),
    case ets:lookup(Records, cached) of
        [{cached, Answer, Expiry}] when Now < Expiry ->
            with_ttl(Answer, Expiry - Now);
        _ ->
            Answer = [{srv, ?CACHE_SECONDS, 0, 100, Port, Target} || [Port, Target] <- ets:match(Records, {{pod, '_'}, '$1', '$2'})],
            true = ets:insert(Records, {cached, Answer, Now + ?CACHE_SECONDS}),
            with_ttl(Answer, ?CACHE_SECONDS)
    end.

with_ttl([], _Ttl) -> nxdomain;
with_ttl(Answer, Ttl) -> [setelement(2, Record, Ttl) || Record <- Answer].

publish(#{name := Pod, ip := Ip} = Facts, #world{service = Service, container = Container} = World) ->
    #world{server = Server, records = Records} = World,
    {Port, Target} = caravan_test_kubernetes:srv(Service, Container, Facts),
    {ok, Address} = inet:parse_address(Ip),
    ok = caravan_dns_server:put(Server, Target, a, [{a, ?CACHE_SECONDS, Address}]),
    true = ets:insert(Records, [{{pod, Pod}, Port, Target}, {{address, Pod}, Address}]),
    ok = publish_addresses(World),
    Target.

%% The addresses of all pods, under the name of the Service.
publish_addresses(#world{service = Service, namespace = Namespace, server = Server, records = Records}) ->
    Addresses = [{a, ?CACHE_SECONDS, Address} || [Address] <- ets:match(Records, {{address, '_'}, '$1'})],
    caravan_dns_server:put(Server, caravan_test_kubernetes:service_name(Service, Namespace), a, Addresses).

withdraw(#{name := Pod} = Facts, #world{service = Service, container = Container} = World) ->
    #world{server = Server, records = Records} = World,
    {_Port, Target} = caravan_test_kubernetes:srv(Service, Container, Facts),
    true = ets:delete(Records, {pod, Pod}),
    true = ets:delete(Records, {address, Pod}),
    ok = publish_addresses(World),
    caravan_dns_server:delete(Server, Target, a).

%% The pods.

start(Name, {Place, Ip}, #world{namespace = Namespace, objects = Objects, container = Container} = World) ->
    Facts = #{name => Name, namespace => Namespace, ip => Ip},
    Target = publish(Facts, World),
    %% The files that the kubelet mounts into the container.
    ok = file:write_file("/proc/" ++ Place ++ "/root/tmp/etc/hosts", io_lib:format("127.0.0.1 localhost~n~s ~s ~s~n", [Ip, Target, Name])),
    "" = os:cmd("nsenter -t " ++ Place ++ " --uts hostname " ++ binary_to_list(Name)),
    Environment = caravan_test_kubernetes:environment(Container, Facts, Objects),
    #pod{facts = Facts, place = Place, container = spawn_link(fun() -> contain(Place, Environment, at(["command"], Container)) end)}.

contain(Place, Environment, Command) ->
    ok = keep_output(open(Place, Environment, Command), Environment, <<>>, running, []).

open(Place, Environment, Command) ->
    Variables = [Name ++ "=" ++ Value || {Name, Value} <- [{"PATH", os:getenv("PATH")}, {"LANG", "C.UTF-8"}, {"HOME", "/tmp"} | Environment]],
    Words = ["-t", Place, "--net", "--mount", "--uts", "--wd=/", "env", "-i" | Variables] ++ [binary_to_list(Word) || Word <- Command],
    open_port({spawn_executable, os:find_executable("nsenter")}, [{args, Words}, exit_status, stderr_to_stdout, binary]).

keep_output(Port, Environment, Output, Status, Waiting) ->
    receive
        {Port, {data, Data}} ->
            keep_output(Port, Environment, <<Output/binary, Data/binary>>, Status, Waiting);
        {Port, {exit_status, Exit}} ->
            [From ! {self(), Exit} || From <- Waiting],
            keep_output(Port, Environment, Output, Exit, []);
        {From, output} ->
            From ! {self(), Output},
            keep_output(Port, Environment, Output, Status, Waiting);
        {From, environment} ->
            From ! {self(), Environment},
            keep_output(Port, Environment, Output, Status, Waiting);
        {From, terminate} ->
            {os_pid, Pid} = erlang:port_info(Port, os_pid),
            "" = os:cmd("kill -TERM " ++ integer_to_list(Pid)),
            keep_output(Port, Environment, Output, Status, [From | Waiting])
    end.

call(#pod{container = Container}, Request, Timeout) ->
    Container ! {self(), Request},
    receive
        {Container, Result} -> Result
    after Timeout -> error({Request, within, Timeout})
    end.

output(Pod) -> call(Pod, output, 5000).

name(#pod{facts = #{name := Name}}) -> Name.

%% As a kubelet does: the hook if there is one, then SIGTERM, both within the grace period. With publishNotReadyAddresses, the pod has its records until
%% it has ended.
delete(#pod{facts = Facts} = Pod, #world{workload = Workload, container = Container} = World) ->
    Grace = 1000 * maps:get(<<"terminationGracePeriodSeconds">>, at(["spec", "template", "spec"], Workload), ?GRACE_SECONDS),
    Began = erlang:monotonic_time(millisecond),
    [{0, _} = exec(Pod, at(["preStop", "exec", "command"], Lifecycle), Grace) || #{<<"lifecycle">> := Lifecycle} <- [Container]],
    0 = call(Pod, terminate, Grace - (erlang:monotonic_time(millisecond) - Began)),
    withdraw(Facts, World).

%% As `kubectl exec' does: in the pod, with the environment of the container.
exec(#pod{place = Place} = Pod, Command, Timeout) ->
    Port = open(Place, call(Pod, environment, 5000), Command),
    collect(Port, <<>>, erlang:monotonic_time(millisecond) + Timeout).

collect(Port, Output, Deadline) ->
    receive
        {Port, {data, Data}} -> collect(Port, <<Output/binary, Data/binary>>, Deadline);
        {Port, {exit_status, Status}} -> {Status, Output}
    after max(0, Deadline - erlang:monotonic_time(millisecond)) -> error({exec, Output})
    end.

%% The status of the answer to a probe, or none if there is no answer.
probe(Probe, #pod{facts = #{ip := Ip}}, #world{container = Container}) ->
    #{<<"path">> := Path, <<"port">> := Port} = at([Probe, "httpGet"], Container),
    Url = io_lib:format("http://~s:~b~s", [Ip, caravan_test_kubernetes:port(Port, Container), Path]),
    case httpc:request(get, {lists:flatten(Url), []}, [{timeout, 3000}], []) of
        {ok, {{_, Status, _}, _, _}} -> Status;
        {error, _} -> none
    end.

await_mesh(Pods, World) ->
    Names = lists:sort([node_name(Pod) || Pod <- Pods]),
    Expression = "IO.puts(Enum.join(Enum.sort([node() | Node.list()]), \" \"))",
    [
        ok = await(["the nodes of ", name(Pod)], fun() ->
            {_, Output} = exec(Pod, [<<"/opt/shop/bin/shop">>, <<"rpc">>, list_to_binary(Expression)], ?PATIENCE_MS),
            string:lexemes(binary_to_list(Output), " \n") =:= Names
        end)
     || Pod <- Pods
    ],
    [ok = await(["ready ", name(Pod)], fun() -> probe("readinessProbe", Pod, World) =:= 200 end) || Pod <- Pods],
    ok.

node_name(Pod) ->
    {_, Name} = lists:keyfind("RELEASE_NODE", 1, call(Pod, environment, 5000)),
    Name.

await(What, Is) ->
    await(What, Is, erlang:monotonic_time(millisecond) + ?PATIENCE_MS).

%% Nothing announces what another VM does, so the question is repeated.
await(What, Is, Deadline) ->
    case Is() of
        true ->
            ok;
        false ->
            erlang:monotonic_time(millisecond) < Deadline orelse error({never, lists:flatten(io_lib:format("~s", [What]))}),
            timer:sleep(?INTERVAL_MS),
            await(What, Is, Deadline)
    end.

has_said(Pod, Pattern) ->
    re:run(output(Pod), Pattern, [{capture, none}]) =:= match.

warnings(Output) ->
    [Line || Line <- string:split(Output, "\n", all), re:run(Line, "\\[(warn|error)", [{capture, none}]) =:= match].

%% The commands `kubectl exec POD -- COMMAND' of the page, with the lines after `#=>' that they print.
try_page(Pods) ->
    {ok, Page} = file:read_file(caravan_test_directory:in_repository(?PAGE)),
    {match, Commands} = re:run(Page, "^kubectl exec (\\S+) -- (.*)\n((?:#=> .*\n)*)", [global, multiline, {capture, all_but_first, list}]),
    [ok = try_command(Pod, Command, Expected) || [Name, Command, Expected] <- Commands, Pod <- Pods, name(Pod) =:= list_to_binary(Name)],
    said("~b commands of " ?PAGE, [length(Commands)]).

try_command(Pod, Command, Expected) ->
    {0, Output} = exec(Pod, [<<"sh">>, <<"-c">>, list_to_binary(["cd /opt/shop && ", Command])], ?PATIENCE_MS),
    [
        re:run(Output, ["^\\Q", string:trim(Line), "\\E"], [multiline, {capture, none}]) =:= match orelse error({Command, Output})
     || "#=> " ++ Line <- string:split(Expected, "\n", all)
    ],
    ok.
