%% The configuration of the application: each key once, with its default and what is allowed.
%%
%% Values come from the application environment (`config :caravan', sys.config) or from emulator flags
%% (`-caravan default_port 4371' in vm.args), which win, as they do for every OTP application.
-module(caravan_config).

-export([value/1, apply_port_rule/0]).

-export_type([key/0]).

-type key() :: default_port | port_range | nameservers | topologies.

%% The value of a key, or its default when it is not set.
-spec value(key()) -> {ok, term()} | {error, caravan_option:error()}.
value(Key) ->
    %% When distribution starts, nobody has loaded the application yet.
    _ = application:load(caravan),
    {Default, Type} = option(Key),
    case {application:get_env(caravan, Key), unreadable_flag(Key)} of
        {_, {ok, Text}} -> {error, {bad_option, Key, Text, element(2, Type)}};
        {{ok, Value}, none} -> caravan_option:check(Key, Value, Type);
        {undefined, none} -> {ok, Default}
    end.

%% A flag whose value is no Erlang term makes OTP drop all flags of the application, with no more than a log entry.
unreadable_flag(Key) ->
    Flags = lists:append([Flag || {caravan, Flag} <- init:get_arguments()]),
    case [Text || {Name, Text} <- pairs(Flags), Name =:= atom_to_list(Key), not is_term(Text)] of
        [Text | _] -> {ok, Text};
        [] -> none
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
option(nameservers) -> {system, caravan_option:nameservers()};
option(topologies) -> {[], {fun topologies/1, "a list of {Name, Options}"}}.

topologies(Topologies) when is_list(Topologies) ->
    case lists:all(fun is_topology/1, Topologies) of
        true -> {ok, Topologies};
        false -> error
    end;
topologies(_) ->
    error.

is_topology({Name, Options}) -> is_atom(Name) andalso (is_map(Options) orelse is_list(Options));
is_topology(_) -> false.

%% Hands `default_port' and `port_range' to the port rule. The library must be loaded.
-spec apply_port_rule() -> ok | {error, caravan_option:error()}.
apply_port_rule() ->
    apply_rule(value(default_port), value(port_range)).

apply_rule({ok, Default}, {ok, {First, Last}}) -> caravan_nif:set_port_rule(Default, First, Last);
apply_rule({error, _} = Error, _) -> Error;
apply_rule(_, {error, _} = Error) -> Error.
