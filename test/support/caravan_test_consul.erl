%% @doc Tests that need a real Consul, where `scripts/setup consul' could get one; where Debian's archive cannot be had,
%% it cannot.
-module(caravan_test_consul).

-export([tests/1, executable/0, say_so/0]).

%% @doc The tests that `Tests' makes of the path of Consul's executable. Without Consul it is one test that says so: a
%% module without a test fails, since a test that nobody runs is mostly a mistake.
-spec tests(fun((file:filename()) -> Tests)) -> Tests | {string(), fun(() -> ok)}.
tests(Tests) ->
    case executable() of
        {ok, Consul} -> Tests(Consul);
        none -> {"skipped without Consul", fun say_so/0}
    end.

%% @doc Where Consul's executable is.
-spec executable() -> {ok, file:filename()} | none.
executable() ->
    Consul = filename:absname("_build/consul/usr/bin/consul"),
    case filelib:is_regular(Consul) of
        true -> {ok, Consul};
        false -> none
    end.

%% @doc Prints that there is none.
-spec say_so() -> ok.
say_so() ->
    io:format(user, "SKIP: there is no Consul at _build/consul; scripts/setup consul says why~n", []).
