%% @private
%% Explains why one node is not connected: by the status of the topologies of this node, otherwise by an examination of the
%% node.
-module(caravan_why).

-export([explain/1, statuses/0, kept_out/2]).

-export_type([kept_out/0]).

%% Why topologies do not try a node: that node (`there') or this one (`here') has left, for some more milliseconds, or a
%% topology excludes it.
-type kept_out() :: {left, here | there, Milliseconds :: non_neg_integer()} | {excluded, Topology :: atom()}.

%% How long to wait for the topologies, in milliseconds.
-define(ANSWER_MS, 500).

-spec explain(Node :: binary()) -> caravan_cluster:why().
explain(Node) ->
    case lists:member(Node, [atom_to_binary(Connected) || Connected <- [node() | nodes(connected)]]) of
        true -> explained(#{node => Node, result => connected});
        false -> of_missing(kept_out(Node, statuses()), Node)
    end.

of_missing(none, Node) ->
    of_tried(is_alive(), Node);
of_missing(KeptOut, Node) ->
    explained(#{node => Node, result => KeptOut}).

of_tried(false, Node) ->
    explained(#{node => Node, result => not_distributed});
of_tried(true, Node) ->
    Method = caravan_diagnosis:whole_handshake(atom_to_binary(node()), erlang:get_cookie()),
    explained(maps:remove(flags, caravan_diagnosis:examine(Node, Method))).

explained(#{result := Result} = Why) ->
    Why#{explanation => lists:flatten(io_lib:format("~ts", [caravan_diagnosis:format(Result)]))}.

%% Returns the status of each topology that answers in time.
-spec statuses() -> [caravan_cluster:status()].
statuses() ->
    [Status || {_Name, {ok, Status}} <- caravan_topology:ask(caravan_topology_registry:names(), status, ?ANSWER_MS)].

%% Returns why every topology that wants the node leaves it alone. `none' if one of them tries it, or if no topology wants
%% it.
-spec kept_out(Node :: binary(), [caravan_cluster:status()]) -> none | kept_out().
kept_out(Node, Statuses) ->
    case [kept_out_by(Node, Status) || Status <- Statuses, is_known(Node, Status)] of
        [] -> none;
        Reasons -> unless_tried(lists:member(none, Reasons), Reasons)
    end.

unless_tried(true, _Reasons) -> none;
unless_tried(false, [Reason | _]) -> Reason.

is_known(Node, #{wanted := Wanted, left := Left, excluded := Excluded}) ->
    lists:any(fun(Other) -> atom_to_binary(Other) =:= Node end, Wanted ++ maps:keys(Left) ++ maps:keys(Excluded)).

kept_out_by(Node, #{name := Name, left := Left, excluded := Excluded, leaving := Leaving}) ->
    case {find(Node, Excluded), find(Node, Left), Leaving} of
        {{ok, _}, _, _} -> {excluded, Name};
        {error, {ok, Milliseconds}, _} -> {left, there, Milliseconds};
        {error, error, none} -> none;
        {error, error, Milliseconds} -> {left, here, Milliseconds}
    end.

%% The name comes from outside, so no atom is made of it.
find(Node, Map) ->
    case [Value || {Other, Value} <- maps:to_list(Map), atom_to_binary(Other) =:= Node] of
        [Value] -> {ok, Value};
        [] -> error
    end.
