%% @private
%% What must be done before the first port or lookup, by the one that starts first: the epmd module or the application.
-module(caravan_boot).

-export([prepare/0]).

%% Loads the library, hands it the rule for ports, and checks all that says where the node listens and is found. The
%% error is a line for people.
-spec prepare() -> ok | {error, string()}.
prepare() ->
    case caravan_nif:load() of
        ok ->
            in_words(
                first_error([
                    fun caravan_config:load/0, fun caravan_listen:check/0, fun caravan_port:check/0, fun apply_port_rule/0
                ])
            );
        {error, Error} ->
            {error, caravan_nif:format_error(Error)}
    end.

in_words(ok) -> ok;
in_words({error, Error}) -> {error, caravan_option:format_error(Error)}.

first_error([]) -> ok;
first_error([Step | Steps]) -> first_error(Step(), Steps).

first_error(ok, Steps) -> first_error(Steps);
first_error({error, _} = Error, _Steps) -> Error.

apply_port_rule() ->
    {ok, Default} = caravan_config:value(default_port),
    {ok, {First, Last}} = caravan_config:value(port_range),
    caravan_nif:set_port_rule(default_port(caravan_port:fixed(), Default), First, Last).

default_port({Port, _}, _Default) -> Port;
default_port(none, Default) -> Default.
