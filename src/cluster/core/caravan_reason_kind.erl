%% @private
%% Reduces a reason to its kind. Pids, references and the like differ in each reason, so that a caller that remembered whole
%% reasons would take each for a new one.
-module(caravan_reason_kind).

-export([of_reason/1]).

-spec of_reason(term()) -> term().
%% A host may have several addresses, of which each attempt takes another one.
of_reason({unreachable, Posix, _Endpoint}) -> {unreachable, Posix};
of_reason({no_node, _Endpoint}) -> no_node;
of_reason(Pid) when is_pid(Pid) -> pid;
of_reason(Reference) when is_reference(Reference) -> reference;
of_reason(Port) when is_port(Port) -> port;
of_reason(Fun) when is_function(Fun) -> function;
of_reason([Head | Tail]) -> [of_reason(Head) | of_reason(Tail)];
of_reason(Tuple) when is_tuple(Tuple) -> list_to_tuple(of_reason(tuple_to_list(Tuple)));
of_reason(Map) when is_map(Map) -> {map, of_reason(lists:sort(maps:to_list(Map)))};
of_reason(Other) -> Other.
