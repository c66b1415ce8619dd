%% @private
%% Takes this node out of its cluster: says to the others that it goes, and disconnects. It takes no longer than a second, whatever
%% hangs.
-module(caravan_leave).

-export([leave/2, at_stop/0]).

%% For all of it.
-define(WITHIN_MS, 1000).

%% For how long the others leave a node alone that is stopped.
-define(STOPPED_MS, 60000).

%% Of a shorter time the others would hear when it is over.
-define(AT_LEAST_MS, 1000).

%% Leaves the clusters of all topologies of this node, or of one of them.
-spec leave(all | atom(), Milliseconds :: pos_integer()) -> ok.
leave(Topology, Milliseconds) ->
    within_bound(fun(Deadline) -> go(Topology, max(?AT_LEAST_MS, Milliseconds), Deadline) end).

%% Called when the application ends. Leaves when the node ends as well.
-spec at_stop() -> ok.
at_stop() ->
    within_bound(fun(Deadline) -> leave_if_stopping(init:get_status(), caravan_config:value(leave_on_stop), Deadline) end).

leave_if_stopping({stopping, _}, {ok, true}, Deadline) ->
    _ = spawn(fun say_until_the_end/0),
    go(all, ?STOPPED_MS, Deadline);
leave_if_stopping(_Status, _NotWanted, _Deadline) ->
    ok.

%% Topologies that run say so to who is connected meanwhile. Those of this node may have ended, and it has not.
say_until_the_end() ->
    _ = net_kernel:monitor_nodes(true),
    say_to_newcomers().

say_to_newcomers() ->
    receive
        {nodeup, Node} -> _ = caravan_farewell:say([Node], ?STOPPED_MS, all);
        _ -> ok
    end,
    say_to_newcomers().

within_bound(Fun) ->
    Deadline = now_ms() + ?WITHIN_MS,
    _ = caravan_task:call(fun() -> Fun(Deadline) end, Deadline),
    ok.

%% The topologies of this node first, so that none of them connects again.
go(all, Milliseconds, Deadline) ->
    ok = caravan_topology:tell(all, {leave, Milliseconds, all}),
    caravan_disconnect:all(Milliseconds, Deadline);
go(Topology, Milliseconds, Deadline) ->
    Kept = caravan_topology_registry:listed_beside(Topology),
    case [Node || Node <- nodes(connected), lists:member(Node, Kept)] of
        [] ->
            ok = caravan_topology:tell([Topology], {leave, Milliseconds, all}),
            caravan_disconnect:all(Milliseconds, Deadline);
        _ ->
            ok = caravan_topology:tell([Topology], {leave, Milliseconds, [Topology]}),
            caravan_disconnect:say([Topology], Milliseconds, Deadline)
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).
