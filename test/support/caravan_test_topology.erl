%% @doc Waits until a topology is as a test wants it, from one answer that it gets to the next.
-module(caravan_test_topology).

-export([await/3]).

%% A wait that ends so is a failure of the test.
-define(HANG_GUARD, 30000).

%% @doc Waits until a key of the status has a value, making the topology look again and again; gives the status.
-spec await(Name :: atom(), Key :: atom(), Value :: term()) -> caravan_cluster:status().
await(Name, Key, Value) ->
    Topology = whereis(list_to_atom("caravan_cluster." ++ atom_to_list(Name))),
    1 = erlang:trace(Topology, true, ['receive']),
    try
        await(Name, Key, Value, Topology)
    after
        erlang:trace(Topology, false, ['receive'])
    end.

await(Name, Key, Value, Topology) ->
    case caravan_cluster:status(Name) of
        #{Key := Value} = Status ->
            Status;
        Status ->
            ok = caravan_cluster:poll(Name),
            receive
                {trace, Topology, 'receive', {caravan_dns, _, _}} -> await(Name, Key, Value, Topology)
            after ?HANG_GUARD -> error({status, Status})
            end
    end.
