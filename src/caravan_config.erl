%% @private
%% The configuration of the application: each key once, with its default and what is allowed.
%%
%% Values come from the application environment (`config :caravan', sys.config) or from emulator flags
%% (`-caravan default_port 4371' in vm.args), which win, as they do for every OTP application.
-module(caravan_config).

-export([prepare/0, value/1]).

-export_type([key/0]).

-type key() ::
    default_port | port_range | listen_port | port_srv | fallback | nameservers | resolver | topologies | debug.

%% The value of a key, or its default when it is not set.
-spec value(key()) -> {ok, term()} | {error, caravan_option:error()}.
value(Key) ->
    {Default, Type} = option(Key),
    case application:get_env(caravan, Key) of
        {ok, Value} -> caravan_option:check(Key, Value, Type);
        undefined -> {ok, Default}
    end.

%% Makes the keys readable when distribution starts: nobody has loaded the application by then. A flag whose value is no
%% Erlang term makes OTP drop all flags of the application with no more than a log entry, so that is an error here.
load() ->
    _ = application:load(caravan),
    Flags = lists:append([Flag || {caravan, Flag} <- init:get_arguments()]),
    case [{Name, Text} || {Name, Text} <- pairs(Flags), not is_term(Text)] of
        [{Name, Text} | _] -> {error, {bad_option, Name, Text, "an Erlang term"}};
        [] -> ok
    end.

pairs([Name, Text | Flags]) -> [{Name, Text} | pairs(Flags)];
pairs(_) -> [].

is_term(Text) ->
    case erl_scan:string(Text ++ ".") of
        {ok, Tokens, _} -> element(1, erl_parse:parse_term(Tokens)) =:= ok;
        {error, _, _} -> false
    end.

option(default_port) -> {4370, caravan_option:port_number()};
option(port_range) -> {{1024, 65535}, caravan_option:port_range()};
option(listen_port) -> {default, caravan_option:listen_port()};
option(port_srv) -> {none, {fun port_srv/1, "none, or a DNS name with {name} and perhaps {host} in it"}};
option(fallback) -> {none, caravan_option:one_of([none, epmd])};
option(nameservers) -> {system, caravan_option:nameservers()};
%% What is in it, caravan_dns:open/1 checks.
option(resolver) -> {#{}, {fun resolver/1, "a map or a list of options"}};
%% Whether topologies log what each poll finds, at level `debug'.
option(debug) -> {false, caravan_option:boolean()};
option(topologies) -> {[], {fun topologies/1, "a list of {Name, Options}"}}.

port_srv(none) ->
    {ok, none};
port_srv(Template) ->
    case caravan_option:check(port_srv, Template, caravan_option:text()) of
        {ok, Text} -> caravan_port_srv:parse(Text);
        {error, _} -> error
    end.

resolver(Options) when is_map(Options); is_list(Options) -> {ok, Options};
resolver(_) -> error.

topologies(Topologies) when is_list(Topologies) ->
    case lists:all(fun is_topology/1, Topologies) of
        true -> {ok, Topologies};
        false -> error
    end;
topologies(_) ->
    error.

is_topology({Name, Options}) -> is_atom(Name) andalso (is_map(Options) orelse is_list(Options));
is_topology(_) -> false.

%% What must be done before the first port or lookup, by whoever starts first, the epmd module or the application: loads
%% the library, hands it the rule for ports, and checks all that says where the node listens and is found. The error is
%% a line for people.
-spec prepare() -> ok | {error, string()}.
prepare() ->
    case caravan_nif:load() of
        ok -> in_words(first_error([fun load/0, fun caravan_listen:check/0, fun check_ports/0, fun apply_port_rule/0]));
        {error, Error} -> {error, caravan_nif:format_error(Error)}
    end.

in_words(ok) -> ok;
in_words({error, Error}) -> {error, caravan_option:format_error(Error)}.

first_error([]) -> ok;
first_error([Step | Steps]) -> first_error(Step(), Steps).

first_error(ok, Steps) -> first_error(Steps);
first_error({error, _} = Error, _Steps) -> Error.

check_ports() ->
    case [Error || {error, Error} <- [value(Key) || Key <- [default_port, port_range, port_srv, fallback]]] of
        [] -> ok;
        [Error | _] -> {error, Error}
    end.

apply_port_rule() ->
    {ok, Default} = value(default_port),
    {ok, {First, Last}} = value(port_range),
    caravan_nif:set_port_rule(default_port(caravan_listen:fixed_port(), Default), First, Last).

default_port({Port, _}, _Default) -> Port;
default_port(none, Default) -> Default.
