%% @private
%% Emits the telemetry events of libcluster for topologies that libcluster has started, so that existing dashboards keep
%% working. Names, measurements and metadata are those of `Cluster.Strategy', and `topology' is the name that libcluster has
%% for it.
-module(caravan_libcluster).

-export([connected/3, failed/3, disconnected/3, not_disconnected/3]).

-type options() :: #{started_by := caller | {libcluster, term()}, atom() => term()}.

%% The duration is in native time units.
-spec connected(node(), Duration :: integer(), options()) -> ok.
connected(Node, Duration, Options) ->
    event([connect_node, ok], #{duration => Duration}, #{node => Node}, Options).

-spec failed(node(), Reason :: term(), options()) -> ok.
%% The end of the attempt has been an event already.
failed(_Node, not_listed, _Options) ->
    ok;
failed(Node, not_distributed, Options) ->
    event([connect_node, error], #{}, #{node => Node, reason => not_part_of_network}, Options);
failed(Node, _Reason, Options) ->
    event([connect_node, error], #{}, #{node => Node, reason => unreachable}, Options).

-spec disconnected(node(), Duration :: integer(), options()) -> ok.
disconnected(Node, Duration, Options) ->
    event([disconnect_node, ok], #{duration => Duration}, #{node => Node}, Options).

-spec not_disconnected(node(), Failure :: term(), options()) -> ok.
not_disconnected(Node, Failure, Options) ->
    event([disconnect_node, error], #{}, #{node => Node, reason => reason(Failure)}, Options).

reason({result, false}) -> already_disconnected;
reason({result, ignored}) -> not_part_of_network;
reason({result, Result}) -> inspected(Result);
reason(Failure) -> inspected(Failure).

%% Formats the term as text: as Elixir inspects it if Elixir is loaded.
inspected(Term) ->
    inspected('Elixir.Kernel', erlang:function_exported('Elixir.Kernel', inspect, 1), Term).

inspected(Kernel, true, Term) -> apply(Kernel, inspect, [Term]);
inspected(_Kernel, false, Term) -> unicode:characters_to_binary(io_lib:format("~0tp", [Term])).

event(Name, Measurements, Metadata, #{started_by := {libcluster, Topology}}) ->
    caravan_event:execute([libcluster | Name], Measurements, Metadata#{topology => Topology});
event(_Name, _Measurements, _Metadata, #{started_by := caller}) ->
    ok.
