%% @private
%% The configuration of the application: each key once, with its default and what is allowed.
%%
%% Values come from the application environment (`config :caravan', sys.config) or from emulator flags
%% (`-caravan default_port 4371' in vm.args), which win, as they do for every OTP application.
-module(caravan_config).

-export([load/0, value/1]).

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
-spec load() -> ok | {error, caravan_option:error()}.
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
option(port_srv) -> {none, caravan_option:port_srv()};
option(fallback) -> {none, caravan_option:one_of([none, epmd])};
option(nameservers) -> {system, caravan_option:nameservers()};
%% What is in it, caravan_dns:open/1 checks.
option(resolver) -> {#{}, {fun resolver/1, "a map or a list of options"}};
%% Whether topologies log what each poll finds, at level `debug'.
option(debug) -> {false, caravan_option:boolean()};
option(topologies) -> {[], {fun topologies/1, "a list of {Name, Options}"}}.

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
