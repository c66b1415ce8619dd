%% @private
%% Takes this node out of its cluster: says to the others that it goes, and disconnects. It takes no longer than a second, whatever
%% hangs.
-module(caravan_leave).

-export([leave/2, again/1, at_stop/0]).

%% For all of it.
-define(WITHIN_MS, 1000).

%% For the others to hear of it. Nodes without Caravan do not answer.
-define(HEARD_WITHIN_MS, 300).

%% A message that somebody sends to this node connects it again, as those of `global' do where it is about to get to know a node. Who
%% does so within this time is disconnected once more.
-define(SETTLED_AFTER_MS, 250).

%% For topologies to say whether they have left.
-define(ANSWER_MS, 300).

%% For how long the others leave a node alone that is stopped.
-define(STOPPED_MS, 60000).

%% Of a shorter time the others would hear when it is over.
-define(AT_LEAST_MS, 1000).

%% Leaves the clusters of all topologies of this node, or of one of them.
-spec leave(all | atom(), Milliseconds :: pos_integer()) -> ok.
leave(Topology, Milliseconds) ->
    within_bound(fun(Deadline) -> go(Topology, max(?AT_LEAST_MS, Milliseconds), Deadline) end).

%% A node has connected to this one, which has left for so many milliseconds more. It is told, and this node disconnects once more, unless
%% a topology that has not left, or has come back, wants a node that is connected. Whoever comes later is another call's.
-spec again(Milliseconds :: pos_integer()) -> ok.
again(Milliseconds) ->
    within_bound(fun(Deadline) ->
        ok = say(all, Milliseconds, Deadline),
        disconnect_unless(is_kept_by(caravan_topology_registry:names_lately()))
    end).

disconnect_unless(true) -> ok;
disconnect_unless(false) -> _ = disconnect(erlang:function_exported(global, disconnect, 0)), ok.

%% Whether one of these topologies stays, and wants a node that is connected. One that has crashed does not answer, and comes back.
is_kept_by(Names) ->
    Connected = nodes(connected),
    lists:any(fun({_Name, Answer}) -> keeps(Answer, Connected) end, caravan_topology:ask(Names, status, ?ANSWER_MS)).

keeps({ok, #{leaving := none, wanted := Wanted}}, Connected) -> lists:any(fun(Node) -> lists:member(Node, Wanted) end, Connected);
keeps({ok, #{leaving := _Milliseconds}}, _Connected) -> false;
keeps(_NoAnswer, _Connected) -> true.

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

%% The nodes that it has disconnected from. With one disconnect_node/1 after the other, `global' would tell each of them of the others that
%% are lost, and they would disconnect from one another (prevent_overlapping_partitions).
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
