%% @private
%% Emits events through the `telemetry' application if the node has it. Caravan does not depend on it.
-module(caravan_event).

-export([execute/3, is_heard/0]).

%% Emits an event. An exception of the call is ignored: telemetry itself reports handlers that fail, and the application may
%% have stopped since the check.
-spec execute([atom(), ...], #{atom() => number()}, #{atom() => term()}) -> ok.
execute(Event, Measurements, Metadata) ->
    call(telemetry, is_heard(), [Event, Measurements, Metadata]).

%% Returns whether the `telemetry' application is loaded, so that an event can reach a handler.
-spec is_heard() -> boolean().
is_heard() ->
    erlang:function_exported(telemetry, execute, 3).

call(_Telemetry, false, _Arguments) ->
    ok;
call(Telemetry, true, Arguments) ->
    try
        _ = apply(Telemetry, execute, Arguments),
        ok
    catch
        _:_ -> ok
    end.
