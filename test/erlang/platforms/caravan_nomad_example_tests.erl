%% The jobs of examples/nomad: node names, registrations and ports fit each other by Caravan's own rules. They were not run on Nomad.
-module(caravan_nomad_example_tests).

-include_lib("eunit/include/eunit.hrl").

-define(HOST, "10.0.0.7").
-define(HOST_PORTS, #{"dist" => 23456, "health" => 23457, "http" => 23458}).

jobs_test_() ->
    case caravan_test_manifest:available() of
        true ->
            Jobs = [{File, group(File)} || File <- ["consul", "bridge", "native"]],
            {setup, fun caravan_nif:load/0, [
                {"ports of services and checks", [{File, fun() -> labels_exist(Group) end} || {File, Group} <- Jobs]},
                {"a node listens where the host forwards to", [{File, fun() -> listening_port(Group) end} || {File, Group} <- Jobs]},
                {"names by Consul", [{File, fun() -> names_by_consul(Group) end} || {File, Group} <- Jobs, File =/= "native"]},
                {timeout, 60, {"names by Nomad's own services", fun() -> names_by_nomad(proplists:get_value("native", Jobs)) end}},
                {"only the check of the traffic waits for other nodes", [fun() -> checks(Group) end || {_, Group} <- Jobs]}
            ]};
        {false, Why} ->
            io:format(user, "SKIP: the jobs of examples/nomad: ~ts~n", [Why]),
            []
    end.

group(File) ->
    [#{<<"job">> := [#{<<"group">> := [Group]}]}] = caravan_test_manifest:read("examples/nomad/" ++ File ++ ".nomad.hcl"),
    Group.

%% The variables that Nomad sets in a task. NOMAD_PORT_* is the port inside the network namespace, NOMAD_HOST_PORT_* the one outside.
nomad_variables(Group) ->
    [{"attr.unique.network.ip-address", ?HOST}, {"NOMAD_TASK_DIR", "/local"}] ++
        lists:append([
            [
                {"NOMAD_IP_" ++ Label, ?HOST},
                {"NOMAD_HOST_PORT_" ++ Label, integer_to_list(Port)},
                {"NOMAD_PORT_" ++ Label, integer_to_list(maps:get(<<"to">>, port(Label, Group), Port))}
            ]
         || {Label, Port} <- maps:to_list(?HOST_PORTS)
        ]).

port(Label, #{<<"network">> := [#{<<"port">> := Ports}]}) ->
    [Port] = [Port || #{<<"labels">> := [Each]} = Port <- Ports, Each =:= list_to_binary(Label)],
    Port.

environment(#{<<"task">> := [#{<<"env">> := [Env]}]} = Group) ->
    Variables = nomad_variables(Group),
    [
        {binary_to_list(Name), caravan_test_platform:substitute(binary_to_list(Value), Variables)}
     || {Name, Value} <- maps:to_list(Env), is_binary(Value)
    ].

%% A check without a port uses that of its service.
labels_exist(#{<<"service">> := Services} = Group) ->
    Checks = lists:append([Checks || #{<<"check">> := Checks} <- Services]),
    ?assertEqual({2, 2}, {length(Services), length(Checks)}),
    [?assertMatch(#{}, port(binary_to_list(Label), Group)) || #{<<"port">> := Label} <- Services ++ Checks].

%% The name has the port of the host, and ERL_DIST_PORT is the port inside.
listening_port(Group) ->
    Environment = environment(Group),
    Inside = proplists:get_value("NOMAD_PORT_dist", nomad_variables(Group)),
    ?assertEqual(Inside, proplists:get_value("ERL_DIST_PORT", Environment)),
    ?assertEqual(maps:get("dist", ?HOST_PORTS), caravan_nif:dist_port(list_to_atom(proplists:get_value("RELEASE_NODE", Environment)))),
    #{port := Health} = caravan_test_platform:health_port(Environment),
    ?assertEqual(proplists:get_value("NOMAD_PORT_health", nomad_variables(Group)), integer_to_list(Health)).

names_by_consul(#{<<"service">> := Services} = Group) ->
    Environment = environment(Group),
    Name = proplists:get_value("RELEASE_NODE", Environment),
    Options = caravan_test_platform:topology(Environment),
    [Service] = [Each || #{<<"name">> := Each, <<"port">> := <<"dist">>} <- Services],
    ?assertEqual(binary_to_list(Service) ++ ".service.consul", unicode:characters_to_list(maps:get(query, Options))),
    {ok, Ip} = inet:parse_address(?HOST),
    Endpoint = #{port => maps:get("dist", ?HOST_PORTS), target => <<"0a000007.addr.dc1.consul">>, ip => Ip},
    ?assertEqual([Name], caravan_test_platform:node_names(Name, Options, [Endpoint])).

%% The file is written as the template of the job says, and read by the module of the example.
names_by_nomad(#{<<"service">> := Services, <<"task">> := [#{<<"template">> := Templates}]} = Group) ->
    [Template] = [Each || #{<<"destination">> := <<"local/", _/binary>>} = Each <- Templates],
    [Service] = [Each || #{<<"name">> := Each, <<"port">> := <<"dist">>} <- Services],
    #{<<"destination">> := <<"local/", File/binary>>, <<"change_mode">> := <<"noop">>, <<"data">> := Data} = Template,
    Other = {23999, <<"10.0.0.8">>},
    Own = {maps:get("dist", ?HOST_PORTS), list_to_binary(?HOST)},
    Name = proplists:get_value("RELEASE_NODE", environment(Group)),
    Modules = [erlang_module(), elixir_module()],
    caravan_test_directory:with(fun(Directory) ->
        _ = caravan_test_directory:write(filename:join(Directory, File), render(Data, Service, [Own, Other])),
        true = os:putenv("NOMAD_TASK_DIR", Directory),
        ?assertEqual(lists:sort([Own, Other]), lists:sort(nomad_nodes:get_nodes(<<"shop-nodes">>))),
        ?assertEqual([text([Own, Other])], [Output || {elixir, Run} <- Modules, Output <- [Run(Directory)]]),
        true = os:unsetenv("NOMAD_TASK_DIR")
    end),
    [{shop, Options}] = proplists:get_value(topologies, caravan_test_platform:of_sys_config("examples/nomad/sys.config", [])),
    Endpoints = [#{port => Port, target => Address} || {Port, Address} <- [Own, Other]],
    ?assertEqual([Name, "shop-23999@10.0.0.8"], caravan_test_platform:node_names(Name, Options, Endpoints)),
    [{shop, OfMix}] = proplists:get_value(topologies, caravan_test_platform:of_mix("examples/nomad/runtime.exs", [])),
    ?assert(caravan_test_platform:same_topology(Options, OfMix)).

%% The one loop of the template.
render(Data, Service, Nodes) ->
    Range = <<"\\{\\{ range nomadService \"", Service/binary, "\" \\}\\}(.*)\\{\\{ end \\}\\}">>,
    {match, [Body]} = re:run(Data, Range, [dotall, {capture, all_but_first, list}]),
    [
        lists:foldl(fun({Field, Value}, Text) -> string:replace(Text, Field, Value) end, Body, [
            {"{{ .Address }}", binary_to_list(Address)}, {"{{ .Port }}", integer_to_list(Port)}
        ])
     || {Port, Address} <- Nodes
    ].

erlang_module() ->
    {ok, Module, Code} = compile:file(caravan_test_directory:in_repository("examples/nomad/src/nomad_nodes.erl"), [binary]),
    {module, Module} = code:load_binary(Module, "nomad_nodes.erl", Code),
    {erlang, Module}.

%% The behaviour is of the library of Mix, which this VM does not have.
elixir_module() ->
    Source = caravan_test_directory:in_repository("examples/nomad/lib/nomad_nodes.ex"),
    Behaviour = caravan_test_directory:in_repository("lib/caravan/dns_client.ex"),
    Code =
        "Code.compile_file(Enum.at(System.argv(), 0)); Code.compile_file(Enum.at(System.argv(), 1));"
        "for {port, address} <- Shop.NomadNodes.get_nodes(\"shop-nodes\"), do: IO.puts(\"#{port} #{address}\")",
    {elixir, fun(Directory) ->
        os:cmd(lists:flatten(["NOMAD_TASK_DIR=", Directory, " LC_ALL=C.UTF-8 elixir -e '", Code, "' -- ", Behaviour, " ", Source]))
    end}.

text(Nodes) ->
    lists:flatten([io_lib:format("~b ~s~n", [Port, Address]) || {Port, Address} <- Nodes]).

%% A node that waits for others, and is not listed meanwhile, would never be found.
checks(#{<<"service">> := Services}) ->
    [?assertMatch([#{<<"type">> := <<"tcp">>}], Checks) || #{<<"port">> := <<"dist">>, <<"check">> := Checks} <- Services],
    [[Ready]] = [Checks || #{<<"port">> := <<"http">>, <<"check">> := Checks} <- Services],
    #{<<"path">> := Path, <<"port">> := <<"health">>} = Ready,
    ?assertNotMatch({404, _, _}, caravan_health:response(Path)).
