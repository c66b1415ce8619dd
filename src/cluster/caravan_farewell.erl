%% @private
%% The messages of a departure. A node that leaves sends `{caravan_leaving, Version, Pid, Milliseconds, all | [Topology]}' to
%% the process caravan_departures of other nodes, which replies to Pid with `{caravan_leaving, heard, Node}'. On a node
%% without that process the message is dropped without any effect.
-module(caravan_farewell).

-export([say/3, say_again/1, await/2, read/1, answer/1]).

-export_type([farewell/0]).

-type topologies() :: all | [atom()].
-type farewell() :: {pid(), Milliseconds :: pos_integer(), topologies()}.

-define(VERSION, 1).
-define(RECEIVER, caravan_departures).

%% The bounds within which a farewell is believed.
-define(MAX_MS, 86400000).
-define(MAX_TOPOLOGIES, 1000).

%% Sends a farewell to those of the nodes that may have topologies: this node leaves and should be left alone for the given
%% time. Returns the nodes to which it was sent. Connects to no node, and does not wait for a busy connection.
-spec say([node()], Milliseconds :: pos_integer(), topologies()) -> [node()].
say(Nodes, Milliseconds, Topologies) ->
    Message = {caravan_leaving, ?VERSION, self(), Milliseconds, Topologies},
    Told = Nodes -- tools(),
    lists:foreach(fun(Node) -> _ = erlang:send({?RECEIVER, Node}, Message, [noconnect, nosuspend]) end, Told),
    Told.

%% Has caravan_departures say farewell once more to all connected nodes, and disconnect.
-spec say_again(Milliseconds :: pos_integer()) -> ok.
say_again(Milliseconds) ->
    gen_server:cast(?RECEIVER, {say_again, Milliseconds}).

%% Hidden nodes that no topology lists are tools. erl_call, by which the script of a relx release calls `leave', takes any
%% message for the reply that it waits for.
tools() ->
    nodes(hidden) -- caravan_topology_registry:listed().

%% Waits until these nodes have replied to the farewell of the caller, or until the deadline.
-spec await(Told :: [node()], Deadline :: integer()) -> ok.
await([], _Deadline) ->
    ok;
await(Nodes, Deadline) ->
    receive
        {caravan_leaving, heard, Node} -> await(lists:delete(Node, Nodes), Deadline)
    after caravan_task:remaining(Deadline) -> ok
    end.

%% Reads a farewell. The node that leaves is that of the pid, which need not be connected any more.
-spec read(term()) -> {ok, farewell()} | error.
read({caravan_leaving, ?VERSION, Pid, Milliseconds, Topologies})
  when is_pid(Pid), node(Pid) =/= node(), is_integer(Milliseconds), Milliseconds > 0, Milliseconds =< ?MAX_MS ->
    case are_topologies(Topologies) of
        true -> {ok, {Pid, Milliseconds, Topologies}};
        false -> error
    end;
read(_Other) ->
    error.

are_topologies(all) -> true;
are_topologies(Topologies) when length(Topologies) =< ?MAX_TOPOLOGIES -> lists:all(fun is_atom/1, Topologies);
are_topologies(_Other) -> false.

-spec answer(farewell()) -> ok.
answer({Pid, _Milliseconds, _Topologies}) ->
    _ = erlang:send(Pid, {caravan_leaving, heard, node()}, [noconnect, nosuspend]),
    ok.
