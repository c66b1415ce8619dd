%% @private
%% Disconnects this node from all others, after it has said to them that it leaves.
-module(caravan_disconnect).

-export([all/2, again/1, say/3]).

%% For the others to hear of it. Nodes without Caravan do not answer.
-define(HEARD_WITHIN_MS, 300).

%% A message that somebody sends to this node connects it again, as those of `global' do where it is about to get to know a node. Who
%% does so within this time is disconnected once more.
-define(SETTLED_AFTER_MS, 250).

%% For a node that has left before.
-define(AGAIN_WITHIN_MS, 1000).

%% Says to all topologies of the others that this node leaves for so many milliseconds, and disconnects. The caller gets messages of
%% net_kernel:monitor_nodes/1 from then on.
-spec all(Milliseconds :: pos_integer(), Deadline :: integer()) -> ok.
all(Milliseconds, Deadline) ->
    _ = net_kernel:monitor_nodes(true),
    say_and_disconnect(erlang:function_exported(global, disconnect, 0), Milliseconds, Deadline).

%% Once more, as a node has connected to this one, which has left. Does not wait for that.
-spec again(Milliseconds :: pos_integer()) -> ok.
again(Milliseconds) ->
    Deadline = now_ms() + ?AGAIN_WITHIN_MS,
    _ = spawn(fun() -> caravan_task:call(fun() -> all(Milliseconds, Deadline) end, Deadline) end),
    ok.

%% With one disconnect_node/1 after the other, `global' would tell each of them of the others that are lost, and they would
%% disconnect from one another (prevent_overlapping_partitions).
say_and_disconnect(true, Milliseconds, Deadline) ->
    ok = say(all, Milliseconds, Deadline),
    case apply(global, disconnect, []) of
        [] -> ok;
        [_ | _] -> await_newcomers(Milliseconds, Deadline)
    end;
say_and_disconnect(false, Milliseconds, Deadline) ->
    say(all, Milliseconds, Deadline).

await_newcomers(Milliseconds, Deadline) ->
    receive
        {nodeup, _} -> say_and_disconnect(true, Milliseconds, Deadline)
    after min(?SETTLED_AFTER_MS, caravan_task:remaining(Deadline)) -> ok
    end.

%% Says to these topologies of the others that this node leaves, and waits until they have heard it, or for the time that nodes without
%% Caravan are waited for.
-spec say(all | [atom()], Milliseconds :: pos_integer(), Deadline :: integer()) -> ok.
say(Topologies, Milliseconds, Deadline) ->
    Told = caravan_farewell:say(nodes(connected), Milliseconds, Topologies),
    caravan_farewell:await(Told, min(Deadline, now_ms() + ?HEARD_WITHIN_MS)).

now_ms() ->
    erlang:monotonic_time(millisecond).
