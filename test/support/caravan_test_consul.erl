%% @doc Tests that need a real Consul, which `scripts/setup consul' downloads unless Debian's archive is unavailable.
-module(caravan_test_consul).

-export([tests/1, executable/0, say_so/0]).

%% @doc Returns the tests that `Tests' makes from the path of Consul's executable. Without Consul, returns one test that
%% prints SKIP: a module without tests fails, since tests that never run are mostly a mistake.
-spec tests(fun((file:filename()) -> Tests)) -> Tests | {string(), fun(() -> ok)}.
tests(Tests) ->
    case executable() of
        {ok, Consul} -> Tests(Consul);
        none -> {"skipped without Consul", fun say_so/0}
    end.

%% @doc Returns the path of Consul's executable.
-spec executable() -> {ok, file:filename()} | none.
executable() ->
    Consul = filename:absname("_build/consul/usr/bin/consul"),
    case filelib:is_regular(Consul) of
        true -> {ok, Consul};
        false -> none
    end.

%% @doc Prints that there is no Consul.
-spec say_so() -> ok.
say_so() ->
    io:format(user, "SKIP: there is no Consul at _build/consul; scripts/setup consul says why~n", []).
