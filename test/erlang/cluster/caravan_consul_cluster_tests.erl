%% Real nodes that find each other through a real Consul agent, and what happens when that hangs, dies or says that no
%% instance is healthy.
-module(caravan_consul_cluster_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_mesh, [
    assert_kept/2, assert_kept/3, assert_looks_fail/2, await_full/1, connections/1, looks/2, names/2, start/4
]).

-define(NODES, 5).
-define(LOOKS, 3).
-define(START_TIMEOUT_MS, 30000).
-define(HTTP_TIMEOUT_MS, 5000).

a_mesh_outlives_its_consul_agent_test_() ->
    caravan_test_consul:tests(fun(Consul) ->
        {atom_to_list(?FUNCTION_NAME), {timeout, 240, fun() ->
            caravan_test_directory:with(fun(Directory) ->
                Settings = #{directory => Directory, consul => Consul, timeout => ?START_TIMEOUT_MS},
                caravan_test_network:with(network(), fun(Network) -> outlives(Network, Settings) end)
            end)
        end}}
    end).

%% The target that Consul makes from the address of the services.
network() ->
    (caravan_test_mesh:network())#{host => caravan_demo_consul:host(1)}.

outlives(Network, Settings) ->
    ok = caravan_nif:load(),
    {Mesh, Ports} = with_agent(Settings, fun(Agent) ->
        Names = names(Network, ?NODES),
        register_nodes(Names, Agent),
        Nodes = start(Network, caravan_demo_consul:nameserver(Agent), caravan_demo_consul:query(), Names),
        await_full(Nodes),
        assert_kept(Nodes, fresh),
        Connections = connections(Nodes),
        agent_hangs(Agent, Nodes),
        agent_is_killed(Agent, Nodes),
        ?assertEqual(Connections, connections(Nodes)),
        {Nodes, caravan_demo_consul:ports(Agent)}
    end),
    with_agent(Settings#{ports => Ports}, fun(Agent) ->
        Connections = connections(Mesh),
        Larger = agent_comes_back(Agent, Mesh, Network),
        ?assertEqual(Connections, connections(Mesh)),
        Joined = connections(Larger),
        instances_are_not_well(Agent, Larger),
        ?assertEqual(Joined, connections(Larger))
    end).

with_agent(Settings, Test) ->
    {ok, Agent} = caravan_demo_consul:start(Settings),
    try
        Test(Agent)
    after
        %% A process that a signal has stopped would not terminate.
        signal("CONT", Agent),
        caravan_demo_consul:stop(Agent)
    end.

agent_hangs(Agent, Mesh) ->
    signal("STOP", Agent),
    assert_looks_fail(Mesh, ?LOOKS),
    assert_kept(Mesh, {failed, timeout}),
    signal("CONT", Agent),
    assert_kept(Mesh, fresh).

agent_is_killed(Agent, Mesh) ->
    signal("KILL", Agent),
    assert_looks_fail(Mesh, ?LOOKS),
    assert_kept(Mesh, {failed, connrefused}).

%% After its start Consul knows no instances.
agent_comes_back(Agent, Mesh, Network) ->
    assert_kept(Mesh, {empty, nxdomain}),
    register_nodes(names_of(Mesh), Agent),
    assert_kept(Mesh, fresh),
    Added = names(Network, 1),
    register_nodes(Added, Agent),
    Larger = Mesh ++ start(Network, caravan_demo_consul:nameserver(Agent), caravan_demo_consul:query(), Added),
    await_full(Larger),
    assert_kept(Larger, fresh),
    Larger.

%% Consul omits instances that are gone or critical. When none is left it replies NXDOMAIN, which must not make nodes forget
%% the last ones.
instances_are_not_well(Agent, Mesh) ->
    [Gone, Critical | Well] = names_of(Mesh),
    deregister(Gone, Agent),
    assert_kept(Mesh, fresh, [Critical | Well]),
    make_critical(Critical, Agent),
    assert_kept(Mesh, fresh, Well),
    {Left, [Last]} = lists:split(length(Well) - 1, Well),
    [deregister(Name, Agent) || Name <- Left],
    assert_kept(Mesh, fresh, [Last]),
    make_critical(Last, Agent),
    assert_kept(Mesh, {empty, nxdomain}, [Last]),
    _ = looks(Mesh, ?LOOKS),
    assert_kept(Mesh, {empty, nxdomain}, [Last]).

names_of(Mesh) ->
    [Name || {Name, _} <- Mesh].

register_nodes(Names, Agent) ->
    [caravan_demo_consul:add(instance(Name), Agent) || Name <- Names].

deregister(Name, Agent) ->
    caravan_demo_consul:remove(instance(Name), Agent).

instance(Name) ->
    [Id, Host] = string:split(atom_to_list(Name), "@"),
    #{number => 1, id => Id, host => Host, port => caravan_epmd:dist_port(Name)}.

%% An instance under maintenance fails a check that Consul adds.
make_critical(Name, Agent) ->
    #{id := Id} = instance(Name),
    {_, Api} = lists:keyfind("HTTP API", 1, caravan_demo_consul:facts(Agent)),
    Url = lists:concat([Api, "/v1/agent/service/maintenance/", Id, "?enable=true"]),
    {ok, {{_, 200, _}, _, _}} =
        httpc:request(put, {Url, [], "application/json", ""}, [{timeout, ?HTTP_TIMEOUT_MS}, {ssl, []}], []).

signal(Signal, Agent) ->
    os:cmd(lists:concat(["kill -", Signal, " ", caravan_demo_consul:os_pid(Agent)])).
