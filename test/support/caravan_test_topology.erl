%% @doc A topology called `test_topology', and functions that follow a topology from poll to poll.
-module(caravan_test_topology).

-export([options/1, put_nodes/2, with/2, await/3, looks/2]).

%% A wait that reaches this limit fails the test.
-define(HANG_GUARD, 30000).

%% @doc Returns its options: it polls a test server often.
-spec options(Server :: pid()) -> map().
options(Server) ->
    #{
        name => test_topology,
        query => "app.test",
        node_basename => "app",
        nameservers => [caravan_dns_server:nameserver(Server)],
        timeout => 300,
        poll_interval => 100
    }.

%% @doc Makes the server list nodes on `n.test' with these ports, and no others.
-spec put_nodes(Server :: pid(), [inet:port_number()]) -> ok.
put_nodes(Server, Ports) ->
    caravan_dns_server:put(Server, "app.test", srv, [{srv, 0, 1, 1, Port, "n.test"} || Port <- Ports]).

%% @doc Calls a function while a topology runs.
-spec with(map(), fun(() -> Result)) -> Result.
with(Options, Test) ->
    {ok, Pid} = caravan_cluster:start_link(Options),
    try
        Test()
    after
        ok = gen_server:stop(Pid)
    end.

%% @doc Waits until a key of the status has a value, making the topology poll repeatedly. Returns the status.
-spec await(Name :: atom(), Key :: atom(), Value :: term()) -> caravan_cluster:status().
await(Name, Key, Value) ->
    traced(Name, fun(Topology) -> await(Name, Key, Value, Topology) end).

await(Name, Key, Value, Topology) ->
    case caravan_cluster:status(Name) of
        #{Key := Value} = Status ->
            Status;
        _ ->
            _ = look(Name, Topology),
            await(Name, Key, Value, Topology)
    end.

%% @doc Makes the topology poll a number of times. Returns the outcome of each poll.
-spec looks(Name :: atom(), Count :: pos_integer()) -> [LastLookup :: term()].
looks(Name, Count) ->
    traced(Name, fun(Topology) -> [look(Name, Topology) || _ <- lists:seq(1, Count)] end).

look(Name, Topology) ->
    ok = caravan_cluster:poll(Name),
    receive
        {trace, Topology, 'receive', {caravan_dns, _, _}} -> maps:get(last_lookup, caravan_cluster:status(Name))
    after ?HANG_GUARD -> error({no_answer, caravan_cluster:status(Name)})
    end.

traced(Name, Fun) ->
    Topology = whereis(list_to_atom("caravan_cluster." ++ atom_to_list(Name))),
    1 = erlang:trace(Topology, true, ['receive']),
    try
        Fun(Topology)
    after
        erlang:trace(Topology, false, ['receive'])
    end.
