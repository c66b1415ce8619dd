%% @private
%% One attempt to connect to a node. It runs in a process of its own within `connect_timeout', because net_kernel may block
%% for longer.
-module(caravan_attempt).

-export([start/2, reference/1, result/2]).

-export_type([attempt/0]).

-record(attempt, {
    node :: node(),
    task :: caravan_task:task(caravan_connector:result()),
    began :: integer()
}).

-opaque attempt() :: #attempt{}.

%% Starts an attempt. The caller owns it and gets exactly one message about it. caravan_task:reference_of/1 of that message
%% equals reference/1 of the attempt; pass it to result/2.
-spec start(node(), map()) -> attempt().
start(Node, #{connect := Connect, connect_timeout := Timeout}) ->
    Task = caravan_task:start(fun() -> attempt(Node, Connect) end, Timeout),
    #attempt{node = Node, task = Task, began = erlang:monotonic_time()}.

attempt(Node, Connect) ->
    ok = caravan_label:set({caravan_attempt, Node}),
    diagnosed(Node, Connect).

diagnosed(Node, {net_kernel, connect_node, []} = Connect) ->
    case caravan_diagnosis:beforehand(Node) of
        ok -> try_connect(Node, Connect);
        Reason -> {failed, Reason}
    end;
diagnosed(Node, Connect) ->
    try_connect(Node, Connect).

try_connect(Node, {Module, Function, Arguments} = Connect) ->
    Began = erlang:monotonic_time(millisecond),
    case apply(Module, Function, Arguments ++ [Node]) of
        true -> connected;
        ignored -> {failed, not_distributed};
        false -> {failed, why(Node, Connect, Began)};
        Result -> {failed, {result, Result}}
    end.

why(Node, {net_kernel, connect_node, []}, Began) ->
    caravan_diagnosis:why(Node, erlang:monotonic_time(millisecond) - Began);
why(_Node, _Connect, _Began) ->
    {result, false}.

-spec reference(attempt()) -> reference().
reference(#attempt{task = Task}) ->
    caravan_task:reference(Task).

%% Returns how the attempt ended, and its duration in native time units.
-spec result(Message :: term(), attempt()) ->
    {node(), connected | {failed, caravan_diagnosis:reason()}, Duration :: integer()}.
result(Message, #attempt{node = Node, task = Task, began = Began}) ->
    {Node, outcome(caravan_task:result(Message, Task)), erlang:monotonic_time() - Began}.

outcome({ok, Result}) -> Result;
outcome({raised, _} = Raised) -> {failed, Raised};
outcome({exit, _} = Exit) -> {failed, {raised, Exit}};
outcome(timeout) -> {failed, timeout}.
