%% @private
%% What the log says of the configuration itself: of values that count for nothing, and of keys that nobody knows.
-module(caravan_config_report).

-export([all/0, changed/1]).
-export([format/1]).

%% All other keys are checked by who uses them first.
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

%% The application's environment has other values of these keys now.
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

%% The line for an event in the log; called by logger.
-spec format(map()) -> {io:format(), [term()]}.
format(#{event := variable_passed_over, variable := Variable, value := Value}) ->
    {
        "caravan: the environment variable ~ts is ~ts, as Kubernetes sets it for a Service of that name; "
        "it is passed over",
        [Variable, Value]
    };
format(#{event := value_overridden, key := Key, source := Winner, overridden := Loser}) ->
    {"caravan: ~ts is what ~ts says; ~ts, too, has a value for it, which counts for nothing", [
        Key, place(Winner), place(Loser)
    ]};
format(#{event := bad_value, error := Error}) ->
    {"~ts; it counts for nothing", [caravan_option:format_error(Error)]};
format(#{event := unknown_key, key := Key, near := none}) ->
    {"caravan: the application has no key ~tp; what is set for it does nothing", [Key]};
format(#{event := unknown_key, key := Key, near := Near}) ->
    {"caravan: the application has no key ~tp; what is set for it does nothing. Is ~ts meant?", [Key, Near]};
format(Report) ->
    {"caravan: ~0tp", [Report]}.

place(flag) -> "the flag -caravan";
place({variable, Variable}) -> "the environment variable " ++ Variable;
place(environment) -> "the application's environment".
