%% @private
%% Logs what concerns the configuration itself: values that have no effect, and unknown keys.
-module(caravan_config_report).

-export([all/0, changed/1]).
-export([format/1]).

%% Keys that nothing else reports; every other key is checked, and its error reported, where it is first used.
-define(REPORTED, [debug, health]).

-spec all() -> ok.
all() ->
    lists:foreach(fun passed_over/1, caravan_config:passed_over()),
    lists:foreach(fun overridden/1, caravan_config:overridden()),
    lists:foreach(fun unknown_key/1, caravan_config:unknown_keys()),
    lists:foreach(fun bad_value/1, ?REPORTED).

bad_value(Key) ->
    case caravan_config:value(Key) of
        {ok, _} -> ok;
        {error, Error} -> log(error, #{event => bad_value, error => Error})
    end.

%% Logs what concerns the given keys, whose values in the application's environment have changed.
-spec changed([atom()]) -> ok.
changed(Keys) ->
    lists:foreach(fun overridden/1, [Overridden || {Key, _, _} = Overridden <- caravan_config:overridden(), lists:member(Key, Keys)]),
    lists:foreach(fun unknown_key/1, [Unknown || {Key, _} = Unknown <- caravan_config:unknown_keys(), lists:member(Key, Keys)]),
    lists:foreach(fun bad_value/1, [Key || Key <- ?REPORTED, lists:member(Key, Keys)]).

passed_over({Variable, Text}) ->
    log(notice, #{event => variable_passed_over, variable => Variable, value => Text}).

overridden({Key, Loser, Winner}) ->
    log(notice, #{event => value_overridden, key => Key, source => Winner, overridden => Loser}).

unknown_key({Key, Near}) ->
    log(warning, #{event => unknown_key, key => Key, near => Near}).

log(Level, Report) ->
    caravan_log:report(Level, Report, fun ?MODULE:format/1).

%% Formats an event for the log. Called by logger.
-spec format(map()) -> {io:format(), [term()]}.
format(#{event := variable_passed_over, variable := Variable, value := Value}) ->
    {
        "caravan: ignoring the environment variable ~ts=~ts, which Kubernetes sets for a Service of that name",
        [Variable, Value]
    };
format(#{event := value_overridden, key := Key, source := Winner, overridden := Loser}) ->
    {"caravan: ~ts is set by ~ts; its value in ~ts is ignored", [
        Key, place(Winner), place(Loser)
    ]};
format(#{event := bad_value, error := Error}) ->
    {"~ts; the value is ignored", [caravan_option:format_error(Error)]};
format(#{event := unknown_key, key := Key, near := none}) ->
    {"caravan: ignoring the unknown key ~tp of the application", [Key]};
format(#{event := unknown_key, key := Key, near := Near}) ->
    {"caravan: ignoring the unknown key ~tp of the application; did you mean ~ts?", [Key, Near]};
format(Report) ->
    {"caravan: ~0tp", [Report]}.

place(flag) -> "the flag -caravan";
place({variable, Variable}) -> "the environment variable " ++ Variable;
place(environment) -> "the application's environment".
