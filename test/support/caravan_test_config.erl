%% @doc The configuration of this VM, changed while a function runs.
-module(caravan_test_config).

-export([with_variables/2, with_environment/2]).

%% @doc Calls a function with these environment variables and no other of ours, read as at a start.
-spec with_variables([{string(), string()}], fun(() -> Result)) -> Result.
with_variables(Variables, Fun) ->
    ok = caravan_nif:load(),
    Before = [string:split(Variable, "=") || "CARAVAN_" ++ _ = Variable <- os:getenv(), not is_of_the_runner(Variable)],
    [os:unsetenv(Name) || [Name, _] <- Before],
    [os:putenv(Name, Value) || {Name, Value} <- Variables],
    ok = caravan_config:load(),
    try
        Fun()
    after
        [os:unsetenv(Name) || {Name, _} <- Variables],
        [os:putenv(Name, Value) || [Name, Value] <- Before],
        ok = caravan_config:load()
    end.

is_of_the_runner("CARAVAN_TEST" ++ _) -> true;
is_of_the_runner(_) -> false.

%% @doc Calls a function with these keys in the application's environment. They are not set before and afterwards.
-spec with_environment([{atom(), term()}], fun(() -> Result)) -> Result.
with_environment(Pairs, Fun) ->
    _ = application:load(caravan),
    [ok = application:set_env(caravan, Key, Value) || {Key, Value} <- Pairs],
    try
        Fun()
    after
        [ok = application:unset_env(caravan, Key) || {Key, _} <- Pairs]
    end.
