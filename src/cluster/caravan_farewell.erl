%% @private
%% The message by which a node says to others that it leaves, and the answer. It is
%% `{caravan_leaving, Version, Pid, Milliseconds, all | [Topology]}', to the process caravan_departures of the others; the process Pid
%% gets `{caravan_leaving, heard, Node}'. On a node without such a process the message is dropped, which costs nobody anything.
-module(caravan_farewell).

-export([say/3, await/2, read/1, answer/1]).

-export_type([farewell/0]).

-type topologies() :: all | [atom()].
-type farewell() :: {pid(), Milliseconds :: pos_integer(), topologies()}.

-define(VERSION, 1).
-define(RECEIVER, caravan_departures).

%% The bounds of what is believed.
-define(MAX_MS, 86400000).
-define(MAX_TOPOLOGIES, 1000).

%% Says to these nodes that this one leaves, and is to be left alone for so many milliseconds. It connects to none of them, and waits
%% for none that reads nothing.
-spec say([node()], Milliseconds :: pos_integer(), topologies()) -> ok.
say(Nodes, Milliseconds, Topologies) ->
    Message = {caravan_leaving, ?VERSION, self(), Milliseconds, Topologies},
    lists:foreach(fun(Node) -> _ = erlang:send({?RECEIVER, Node}, Message, [noconnect, nosuspend]) end, Nodes).

%% Waits until these nodes have heard what the caller has said, or until the deadline.
-spec await([node()], Deadline :: integer()) -> ok.
await([], _Deadline) ->
    ok;
await(Nodes, Deadline) ->
    receive
        {caravan_leaving, heard, Node} -> await(lists:delete(Node, Nodes), Deadline)
    after caravan_task:remaining(Deadline) -> ok
    end.

%% The node that leaves is that of the process: it need not be connected any more.
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
