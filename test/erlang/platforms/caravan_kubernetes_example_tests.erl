%% The manifests of examples/kubernetes: node names, records and ports fit each other by Caravan's own rules. That the pods form a cluster
%% is the test of test/network/kubernetes.
-module(caravan_kubernetes_example_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_manifest, [at/2]).
-import(caravan_test_kubernetes, [container/1, environment/3, object/3, port/2]).

-define(NAMESPACE, <<"production">>).

manifests_test_() ->
    case caravan_test_manifest:available() of
        true ->
            {setup, fun manifests/0, fun(Objects) ->
                [
                    {timeout, 60, {"a pod's name is the one that its SRV record makes", fun() -> names_of_the_stateful_set(Objects) end}},
                    {"the StatefulSet starts its pods together", fun() -> pods_start_together(Objects) end},
                    {timeout, 60, {"a pod's name is the one that its A record makes", fun() -> names_of_the_deployment(Objects) end}},
                    {"the NetworkPolicy opens the port of the distribution", fun() -> network_policy(Objects) end},
                    {"services select the pods", fun() -> selectors(Objects) end},
                    {"probes ask for paths that exist", fun() -> probes(Objects) end}
                ]
            end};
        {false, Why} ->
            io:format(user, "SKIP: the manifests of examples/kubernetes: ~ts~n", [Why]),
            []
    end.

manifests() ->
    ok = caravan_nif:load(),
    caravan_test_kubernetes:objects([
        "examples/kubernetes/" ++ File
     || File <- ["statefulset.yaml", "deployment.yaml", "networkpolicy.yaml", "secret.yaml"]
    ]).

names_of_the_stateful_set(Objects) ->
    StatefulSet = object("StatefulSet", "shop", Objects),
    Service = object("Service", binary_to_list(at(["spec", "serviceName"], StatefulSet)), Objects),
    Container = container(StatefulSet),
    Pods = caravan_test_kubernetes:pod_names(StatefulSet, at(["spec", "replicas"], StatefulSet)),
    Facts = [#{name => Pod, namespace => ?NAMESPACE, ip => "10.244.0.1"} || Pod <- Pods],
    Environments = [environment(Container, Each, Objects) || Each <- Facts],
    Names = [value("RELEASE_NODE", Environment) || Environment <- Environments],
    Records = [caravan_test_kubernetes:srv(Service, Container, Each) || Each <- Facts],
    Endpoints = [#{port => Port, target => list_to_binary(Target)} || {Port, Target} <- Records],
    Mix = caravan_test_platform:of_mix("examples/kubernetes/config/runtime.exs", hd(Environments)),
    Erlang = caravan_test_platform:of_sys_config("examples/kubernetes/config/sys.config.src", hd(Environments)),
    [{shop, OfMix}] = proplists:get_value(topologies, Mix),
    [{shop, OfErlang}] = proplists:get_value(topologies, Erlang),
    OfSupervisor = caravan_test_platform:of_supervisor("examples/kubernetes/lib/application.ex", hd(Environments)),
    ?assert(caravan_test_platform:same_topology(OfMix, OfErlang)),
    ?assert(caravan_test_platform:same_topology(OfMix, OfSupervisor)),
    ?assertEqual(Names, caravan_test_platform:node_names(hd(Names), OfMix, Endpoints)),
    ?assertEqual(caravan_test_kubernetes:srv_name(Service, ?NAMESPACE), value("SHOP_NODES", hd(Environments))),
    ?assertEqual(value("SHOP_NODES", hd(Environments)), text(proplists:get_value(query, OfMix))),
    [ports_agree(Name, Port, Container, hd(Environments)) || {Name, {Port, _}} <- lists:zip(Names, Records)],
    [?assertEqual(port(<<"health">>, Container), proplists:get_value(port, proplists:get_value(health, Keys))) || Keys <- [Mix, Erlang]],
    Arguments = read("examples/kubernetes/config/vm.args.src"),
    ?assertMatch("-name " ++ _, caravan_test_platform:substitute(Arguments, hd(Environments))).

%% The port of the name, of the record, of the container, and of relx's script.
ports_agree(Name, Port, Container, Environment) ->
    ?assertEqual(Port, caravan_nif:dist_port(list_to_atom(Name))),
    ?assertEqual(Port, port(<<"dist">>, Container)),
    ?assertEqual(integer_to_list(Port), value("ERL_DIST_PORT", Environment)).

%% Pods that wait for each other before they are ready must start together, and must be listed before they are ready.
pods_start_together(Objects) ->
    StatefulSet = object("StatefulSet", "shop", Objects),
    Service = object("Service", binary_to_list(at(["spec", "serviceName"], StatefulSet)), Objects),
    ?assertEqual(<<"Parallel">>, at(["spec", "podManagementPolicy"], StatefulSet)),
    ?assertEqual(<<"None">>, at(["spec", "clusterIP"], Service)),
    ?assert(at(["spec", "publishNotReadyAddresses"], Service)).

names_of_the_deployment(Objects) ->
    Container = container(object("Deployment", "shop", Objects)),
    Ips = ["10.244.1.7", "10.244.2.9"],
    Environments = [environment(Container, #{name => <<"shop-x">>, namespace => ?NAMESPACE, ip => Ip}, Objects) || Ip <- Ips],
    Names = [value("RELEASE_NODE", Environment) || Environment <- Environments],
    Options = caravan_test_platform:topology(hd(Environments)),
    ?assertEqual(Names, caravan_test_platform:node_names(hd(Names), Options, [#{ip => ip(Ip)} || Ip <- Ips])),
    ?assertEqual(<<"shop-nodes.", ?NAMESPACE/binary, ".svc.cluster.local">>, iolist_to_binary(maps:get(query, Options))),
    [ports_agree(Name, port(<<"dist">>, Container), Container, hd(Environments)) || Name <- Names],
    #{port := Health} = caravan_test_platform:health_port(hd(Environments)),
    ?assertEqual(Health, port(<<"health">>, Container)).

network_policy(Objects) ->
    Policy = object("NetworkPolicy", "shop", Objects),
    Container = container(object("StatefulSet", "shop", Objects)),
    [#{<<"from">> := [From], <<"ports">> := [#{<<"port">> := Port}]}, #{<<"ports">> := [#{<<"port">> := Http}]}] =
        at(["spec", "ingress"], Policy),
    ?assertEqual(port(<<"dist">>, Container), port(Port, Container)),
    ?assertEqual(port(<<"http">>, Container), port(Http, Container)),
    Labels = labels("StatefulSet", Objects),
    ?assertEqual(Labels, at(["podSelector", "matchLabels"], From)),
    ?assertEqual(Labels, at(["spec", "podSelector", "matchLabels"], Policy)).

selectors(Objects) ->
    [?assertEqual(labels(Kind, Objects), at(["spec", "selector", "matchLabels"], object(Kind, "shop", Objects))) || Kind <- workloads()],
    [
        ?assertEqual(labels(Kind, Objects), at(["spec", "selector"], object("Service", Name, Objects)))
     || Name <- ["shop-nodes", "shop"], Kind <- workloads()
    ].

labels(Kind, Objects) -> at(["spec", "template", "metadata", "labels"], object(Kind, "shop", Objects)).

workloads() -> ["StatefulSet", "Deployment"].

probes(Objects) ->
    Probes = [
        {at(["httpGet"], Probe), Container}
     || Kind <- workloads(),
        Container <- [container(object(Kind, "shop", Objects))],
        Key <- [<<"startupProbe">>, <<"livenessProbe">>, <<"readinessProbe">>],
        #{Key := Probe} <- [Container]
    ],
    ?assertEqual(4, length(Probes)),
    [
        begin
            ?assertNotMatch({404, _, _}, caravan_health:response(Path)),
            ?assertEqual(port(<<"health">>, Container), port(Port, Container))
        end
     || {#{<<"path">> := Path, <<"port">> := Port}, Container} <- Probes
    ].

value(Name, Environment) ->
    {_, Value} = lists:keyfind(Name, 1, Environment),
    Value.

text(Text) -> unicode:characters_to_list(Text).

ip(Text) ->
    {ok, Ip} = inet:parse_address(Text),
    Ip.

read(File) ->
    {ok, Text} = file:read_file(caravan_test_directory:in_repository(File)),
    unicode:characters_to_list(Text).
