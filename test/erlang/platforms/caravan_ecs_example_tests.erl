%% The files of examples/ecs: the name of a task, its SRV record and its ports fit each other by Caravan's own rules. They were not run on
%% ECS.
-module(caravan_ecs_example_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_manifest, [at/2]).

-define(TASK_IP, {10, 0, 2, 61}).

%% An excerpt of what the task metadata endpoint of version 4 returns for a container.
-define(METADATA,
    "{\"Name\":\"shop\",\"Labels\":{\"com.amazonaws.ecs.cluster\":\"production\"},"
    "\"Networks\":[{\"NetworkMode\":\"awsvpc\",\"IPv4Addresses\":[\"10.0.2.61\"],\"IPv4SubnetCIDRBlock\":\"10.0.2.0/24\"}]}"
).

files_test_() ->
    case caravan_test_manifest:available() of
        true ->
            {setup, fun caravan_nif:load/0, [
                {timeout, 60, {"a task's name is the one that its SRV record makes", fun names/0}},
                {"ports", fun ports/0},
                {"Cloud Map publishes SRV records of several tasks", fun cloud_map/0},
                {"the health check asks for a path that exists", fun health_check/0}
            ]};
        {false, Why} ->
            io:format(user, "SKIP: the files of examples/ecs: ~ts~n", [Why]),
            []
    end.

document(File) ->
    [Document] = caravan_test_manifest:read("examples/ecs/" ++ File),
    Document.

container() ->
    at(["containerDefinitions", {"name", <<"shop">>}], document("task-definition.json")).

environment() ->
    [{binary_to_list(Name), binary_to_list(Value)} || #{<<"name">> := Name, <<"value">> := Value} <- at(["environment"], container())].

port(Name) -> at(["portMappings", {"name", Name}, "containerPort"], container()).

names() ->
    Name = with_metadata(fun(Variables) ->
        caravan_test_platform:shell_variable("examples/ecs/rel/env.sh.eex", "RELEASE_NODE", environment() ++ Variables)
    end),
    ?assertEqual(port(<<"dist">>), caravan_nif:dist_port(list_to_atom(Name))),
    [{shop, Options}] = proplists:get_value(topologies, caravan_test_platform:of_sys_config("examples/ecs/sys.config", [])),
    [{shop, OfMix}] = proplists:get_value(topologies, caravan_test_platform:of_mix("examples/ecs/runtime.exs", [])),
    ?assert(caravan_test_platform:same_topology(Options, OfMix)),
    Endpoint = #{port => port(<<"dist">>), target => <<"8f03e412.shop-nodes.production.internal">>, ip => ?TASK_IP},
    ?assertEqual([Name], caravan_test_platform:node_names(Name, Options, [Endpoint])),
    Service = at(["Name"], document("cloud-map-service.json")),
    ?assertMatch([_, _], string:split(maps:get(query, Options), binary_to_list(Service) ++ ".")),
    %% The entry point for a release of relx makes the same name.
    ?assertEqual(lines("examples/ecs/rel/env.sh.eex", "address="), lines("examples/ecs/start", "address=")),
    ?assertEqual(lines("examples/ecs/rel/env.sh.eex", "export RELEASE_NODE"), lines("examples/ecs/start", "export RELEASE_NODE")).

%% A curl(1) that returns the metadata stands for the endpoint.
with_metadata(Fun) ->
    caravan_test_directory:with(fun(Directory) ->
        Curl = caravan_test_directory:write(
            filename:join(Directory, "curl"), "#!/bin/sh\n[ \"$2\" = http://169.254.170.2/v4/1 ] && echo '" ?METADATA "'\n"
        ),
        ok = file:change_mode(Curl, 8#755),
        Fun([{"PATH", Directory ++ ":" ++ os:getenv("PATH")}, {"ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/1"}])
    end).

lines(File, Start) ->
    {ok, Text} = file:read_file(caravan_test_directory:in_repository(File)),
    [Line || Line <- string:split(Text, "\n", all), string:prefix(Line, Start) =/= nomatch].

ports() ->
    Port = port(<<"dist">>),
    ?assertEqual(integer_to_list(Port), proplists:get_value("ERL_DIST_PORT", environment())),
    [#{<<"containerName">> := Name, <<"containerPort">> := Registered}] = at(["serviceRegistries"], document("service.json")),
    ?assertEqual({at(["name"], container()), Port}, {Name, Registered}),
    [#{<<"FromPort">> := From, <<"ToPort">> := To, <<"UserIdGroupPairs">> := [#{<<"GroupId">> := Peers}]}] =
        at(["IpPermissions"], document("security-group-rule.json")),
    ?assertEqual({Port, Port}, {From, To}),
    ?assertEqual([Peers], at(["networkConfiguration", "awsvpcConfiguration", "securityGroups"], document("service.json"))),
    ?assertEqual(at(["GroupId"], document("security-group-rule.json")), Peers).

cloud_map() ->
    Dns = at(["DnsConfig"], document("cloud-map-service.json")),
    ?assertEqual(<<"MULTIVALUE">>, at(["RoutingPolicy"], Dns)),
    ?assertMatch([#{<<"Type">> := <<"SRV">>}], at(["DnsRecords"], Dns)).

health_check() ->
    [<<"CMD-SHELL">>, Command] = at(["healthCheck", "command"], container()),
    {match, [Port, Path]} = re:run(Command, "http://127.0.0.1:(\\d+)(/\\S+)", [{capture, all_but_first, list}]),
    ?assertNotMatch({404, _, _}, caravan_health:response(Path)),
    ?assertMatch(#{ip := {127, 0, 0, 1}}, caravan_test_platform:health_port(environment())),
    #{port := Number} = caravan_test_platform:health_port(environment()),
    ?assertEqual(Port, integer_to_list(Number)).
