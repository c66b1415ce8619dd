%% @private
%% Events for the `telemetry' application, where a node has it: Caravan does not depend on it.
-module(caravan_event).

-export([execute/3, is_heard/0]).

%% A handler that fails is telemetry's concern, an application that has stopped nobody's.
-spec execute([atom(), ...], #{atom() => number()}, #{atom() => term()}) -> ok.
execute(Event, Measurements, Metadata) ->
    call(telemetry, is_heard(), [Event, Measurements, Metadata]).

%% Whether there is somebody to tell.
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
