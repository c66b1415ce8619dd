%% @private
%% Takes this node out of its cluster: says farewell to the other nodes, and disconnects. Takes at most ?WITHIN_MS
%% milliseconds, whatever hangs.
-module(caravan_leave).

-export([leave/2, again/1, at_stop/0]).

%% Milliseconds for the whole departure.
-define(WITHIN_MS, 1000).

%% Milliseconds for the other nodes to reply. Nodes without Caravan do not reply.
-define(HEARD_WITHIN_MS, 300).

%% A message that another process sends to this node connects the nodes again, as those of `global' do while it synchronizes.
%% A node that connects within this time is disconnected once more.
-define(SETTLED_AFTER_MS, 250).

%% Milliseconds for topologies to answer whether they have left.
-define(ANSWER_MS, 300).

%% How long the other nodes leave a node alone that is stopped.
-define(STOPPED_MS, 60000).

%% The least time to be left alone. A shorter time could be over before the other nodes hear of it.
-define(AT_LEAST_MS, 1000).

%% Leaves the clusters of all topologies of this node, or of one of them.
-spec leave(all | atom(), Milliseconds :: pos_integer()) -> ok.
leave(Topology, Milliseconds) ->
    within_bound(fun(Deadline) -> go(Topology, max(?AT_LEAST_MS, Milliseconds), Deadline) end).

%% Called when a node has connected although this one has left, and stays away for the given time. Says farewell and
%% disconnects once more, unless a topology that stays, or has come back, wants a connected node. A node that connects later
%% causes another call.
-spec again(Milliseconds :: pos_integer()) -> ok.
again(Milliseconds) ->
    within_bound(fun(Deadline) ->
        ok = say(all, Milliseconds, Deadline),
        disconnect_unless(is_kept_by(caravan_topology_registry:names_lately()))
    end).

disconnect_unless(true) -> ok;
disconnect_unless(false) -> _ = disconnect(erlang:function_exported(global, disconnect, 0)), ok.

%% Returns whether one of these topologies stays and wants a connected node. A crashed topology does not answer, and counts
%% as one that stays because it is restarted.
is_kept_by(Names) ->
    Connected = nodes(connected),
    lists:any(fun({_Name, Answer}) -> keeps(Answer, Connected) end, caravan_topology:ask(Names, status, ?ANSWER_MS)).

keeps({ok, #{leaving := none, wanted := Wanted}}, Connected) -> lists:any(fun(Node) -> lists:member(Node, Wanted) end, Connected);
keeps({ok, #{leaving := _Milliseconds}}, _Connected) -> false;
keeps(_NoAnswer, _Connected) -> true.

%% Called when the application stops. Leaves only if the whole node stops and `leave_on_stop' is true.
-spec at_stop() -> ok.
at_stop() ->
    within_bound(fun(Deadline) -> leave_if_stopping(init:get_status(), caravan_config:value(leave_on_stop), Deadline) end).

leave_if_stopping({stopping, _}, {ok, true}, Deadline) ->
    _ = spawn(fun say_until_the_end/0),
    go(all, ?STOPPED_MS, Deadline);
leave_if_stopping(_Status, _NotWanted, _Deadline) ->
    ok.

%% Says farewell to nodes that connect while the node stops. Running topologies do that themselves, but those of this node
%% may have ended already.
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

%% The topologies of this node are told first, so that none of them connects again.
go(all, Milliseconds, Deadline) ->
    ok = caravan_topology:tell(all, {leave, Milliseconds, all}),
    say_and_disconnect(Milliseconds, Deadline);
go(Topology, Milliseconds, Deadline) ->
    case is_kept_by(caravan_topology_registry:names_lately() -- [Topology]) of
        false ->
            ok = caravan_topology:tell([Topology], {leave, Milliseconds, all}),
            say_and_disconnect(Milliseconds, Deadline);
        true ->
            ok = caravan_topology:tell([Topology], {leave, Milliseconds, [Topology]}),
            say([Topology], Milliseconds, Deadline)
    end.

say_and_disconnect(Milliseconds, Deadline) ->
    _ = net_kernel:monitor_nodes(true),
    ok = say(all, Milliseconds, Deadline),
    case disconnect(erlang:function_exported(global, disconnect, 0)) of
        [] -> ok;
        [_ | _] -> await_newcomers(Milliseconds, Deadline)
    end.

%% Returns the nodes that were disconnected. disconnect_node/1 for one node after another would make `global' report each
%% lost node to the remaining ones, which would then disconnect from one another (prevent_overlapping_partitions).
disconnect(true) -> apply(global, disconnect, []);
disconnect(false) -> [].

await_newcomers(Milliseconds, Deadline) ->
    receive
        {nodeup, _} -> say_and_disconnect(Milliseconds, Deadline)
    after min(?SETTLED_AFTER_MS, caravan_task:remaining(Deadline)) -> ok
    end.

say(Topologies, Milliseconds, Deadline) ->
    Told = caravan_farewell:say(nodes(connected), Milliseconds, Topologies),
    caravan_farewell:await(Told, min(Deadline, now_ms() + ?HEARD_WITHIN_MS)).

now_ms() ->
    erlang:monotonic_time(millisecond).
