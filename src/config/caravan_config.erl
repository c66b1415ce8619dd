%% @private
%% The configuration of the application. options/0 lists each key once, with its default, its type and the form that its
%% environment variable has. The first of these sources that sets a key gives its value: an emulator flag (in vm.args:
%% `-caravan default_port 4371'), an environment variable (CARAVAN_DEFAULT_PORT), the application's environment
%% (`config :caravan', sys.config), the default.
%%
%% Flags and variables are read once, since they do not change while the VM runs. The application's environment may change.
-module(caravan_config).

-export([load/0, value/1, source/1, given/1, options/0]).
-export([passed_over/0, overridden/0, unknown_keys/0, topology_error/1, format_source/1]).

-export_type([key/0, source/0]).

-type key() ::
    default_port
    | port_range
    | port_in_name
    | helper_ports
    | helper_names
    | listen_port
    | port_srv
    | fallback
    | nameservers
    | resolver
    | topologies
    | leave_on_stop
    | health
    | debug.
-type source() :: flag | {variable, string()} | environment | default.

-define(GIVEN_AT_START, {?MODULE, given_at_start}).

%% Key, default, type of the value, and how the text of an environment variable is read.
-type option() :: {key(), Default :: term(), caravan_option:type(), caravan_variable:text()}.

-spec options() -> [option()].
options() ->
    [
        {default_port, 4370, caravan_option:port_number(), integer},
        {port_range, {1024, 65535}, caravan_option:port_range(), range},
        {port_in_name, digits, caravan_option:one_of([digits, dash, none]), word},
        {helper_ports, {61000, 65535}, caravan_option:helper_ports(), range},
        {helper_names, [], caravan_option:helper_names(), list},
        {listen_port, default, caravan_option:listen_port(), port_or_word},
        {port_srv, none, caravan_option:port_srv(), text_or_none},
        {fallback, none, caravan_option:one_of([none, epmd]), word},
        {nameservers, system, caravan_option:nameservers(), list_or_word},
        %% caravan_dns:open/1 checks the options themselves.
        {resolver, #{}, {fun resolver/1, "a map or a list of options"}, {pairs, "timeout=500,cache=true"}},
        {topologies, [], {fun topologies/1, "a list of {Name, Options}"}, one_topology},
        %% Whether the node announces that it leaves when the application is stopped.
        {leave_on_stop, true, caravan_option:boolean(), word},
        {health, none, caravan_option:health(), {pairs, "port=4380,ip=0.0.0.0"}},
        %% Whether topologies log the outcome of each poll, at level `debug'.
        {debug, false, caravan_option:boolean(), word}
    ].

%% Nodes and their helpers must agree on these keys, and helpers read no sys.config.
is_given_at_start(Key) ->
    lists:member(Key, [helper_ports, helper_names]).

resolver(Options) when is_map(Options); is_list(Options) -> {ok, Options};
resolver(_) -> error.

%% caravan_topologies checks each entry, so that one bad entry does not prevent the other topologies.
topologies(Topologies) when is_list(Topologies), length(Topologies) >= 0 -> {ok, Topologies};
topologies(_) -> error.

option(Key) ->
    lists:keyfind(Key, 1, options()).

%% Returns the value of a key, or its default if no source sets it. The key in an error is `{Key, source()}'.
-spec value(key()) -> {ok, term()} | {error, caravan_option:error()}.
value(Key) ->
    {_, Default, Type, _} = option(Key),
    case given(Key) of
        {default, _} -> {ok, Default};
        {environment, Value} -> check_environment(is_given_at_start(Key), Key, Value, Type);
        {{variable, _} = Source, {unreadable, Text}} -> refused(Key, Source, Text, Type);
        {Source, Value} -> check(Key, Source, Value, Type)
    end.

check_environment(false, Key, Value, Type) ->
    check(Key, environment, Value, Type);
check_environment(true, Key, Value, _Type) ->
    Allowed = {"only -caravan ~ts or ~ts in the environment, as helpers read no sys.config", [Key, caravan_variable:name(Key)]},
    refused(Key, environment, Value, {none, Allowed}).

check(Key, Source, Value, Type) ->
    case caravan_option:check({Key, Source}, Value, Type) of
        {ok, _} = Ok -> Ok;
        {error, _} -> refused(Key, Source, as_written(Source, Value), Type)
    end.

%% An error shows the text of a variable, which is what the user wrote, and not the term that it stands for.
as_written({variable, Variable}, _Value) -> os:getenv(Variable, "");
as_written(_Source, Value) -> Value.

refused(Key, Source, Value, {_, Allowed}) ->
    caravan_option:check({Key, Source}, Value, {fun(_) -> error end, allowed(Source, Key, Allowed)}).

%% Describes what is allowed in the notation of the source.
allowed({variable, _}, Key, Allowed) -> caravan_variable:allowed(element(4, option(Key)), Allowed);
allowed(_Source, _Key, Allowed) -> Allowed.

-spec source(key()) -> source().
source(Key) ->
    element(1, given(Key)).

%% Returns where the value of a key comes from, and the value before it is checked.
-spec given(key()) -> {source(), Value :: term() | {unreadable, string()}}.
given(Key) ->
    case given_at_start() of
        #{given := #{Key := Given}} -> of_start(Key, Given);
        _ -> of_environment(application:get_env(caravan, Key))
    end.

%% Variables define one topology, which counts only if the application's environment defines none.
of_start(topologies, {{variable, _}, _} = Given) ->
    case application:get_env(caravan, topologies) of
        undefined -> Given;
        Set -> of_environment(Set)
    end;
of_start(_Key, Given) ->
    Given.

of_environment({ok, Value}) -> {environment, Value};
of_environment(undefined) -> {default, none}.

%% Loads the application, so that its keys can be read when distribution starts, and reads flags and variables. Returns an
%% error if the value of a flag is not an Erlang term: OTP would ignore all flags of the application then, and only log it.
-spec load() -> ok | {error, caravan_option:error()}.
load() ->
    _ = application:load(caravan),
    case read_flags() of
        {ok, Flags} -> persistent_term:put(?GIVEN_AT_START, with_variables(Flags));
        {error, _} = Error -> Error
    end.

given_at_start() ->
    case persistent_term:get(?GIVEN_AT_START, none) of
        none -> read_at_start(load());
        Given -> Given
    end.

read_at_start(ok) -> given_at_start();
%% load/0 returns this error when the distribution or the application starts.
read_at_start({error, _}) -> with_variables(#{}).

with_variables(Flags) ->
    {Variables, PassedOver} = caravan_variable:read([{Key, Text} || {Key, _, _, Text} <- options()]),
    #{given => maps:merge(Variables, Flags), variables => Variables, passed_over => PassedOver}.

%% Reads flags as application_controller does: the first of several flags counts, and within one flag the last value of a
%% key.
read_flags() ->
    Flags = [pairs(Flag) || {caravan, Flag} <- init:get_arguments()],
    case [{Name, Text} || {Name, Text} <- lists:append(Flags), term(Text) =:= error] of
        [{Name, Text} | _] -> {error, {bad_option, {list_to_atom(Name), flag}, Text, "an Erlang term"}};
        [] -> {ok, lists:foldr(fun(Flag, Read) -> maps:merge(Read, terms(Flag)) end, #{}, Flags)}
    end.

pairs([Name, Text | Flags]) -> [{Name, Text} | pairs(Flags)];
pairs(_) -> [].

terms(Flag) ->
    maps:from_list([{list_to_atom(Name), {flag, element(2, term(Text))}} || {Name, Text} <- Flag]).

term(Text) ->
    case erl_scan:string(Text ++ ".") of
        {ok, Tokens, _} -> parsed(erl_parse:parse_term(Tokens));
        {error, _, _} -> error
    end.

parsed({ok, _} = Term) -> Term;
parsed({error, _}) -> error.

%% Returns the environment variables that have the name of one of ours but do not configure Caravan.
-spec passed_over() -> [{Variable :: string(), Text :: string()}].
passed_over() ->
    maps:get(passed_over, given_at_start()).

%% Returns the keys whose value in the application's environment, or in a variable, is overridden by another source.
-spec overridden() -> [{key(), Loser :: source(), Winner :: source()}].
overridden() ->
    #{given := Given, variables := Variables} = given_at_start(),
    Beaten = [
        {Key, Variable, flag}
     || {Key, {Variable, _}} <- lists:sort(maps:to_list(Variables)), #{Key := {flag, _}} <- [Given]
    ],
    Beaten ++ lists:append([overridden(Key, maps:get(Key, Given, none)) || {Key, _, _, _} <- options()]).

%% OTP has replaced the value of sys.config by that of the flag. The environment differs only if it was changed later.
overridden(Key, {flag, Value}) ->
    [{Key, environment, flag} || {ok, Set} <- [application:get_env(caravan, Key)], Set =/= Value];
overridden(topologies, {{variable, _} = Variable, _}) ->
    [{topologies, Variable, environment} || {ok, _} <- [application:get_env(caravan, topologies)]];
overridden(Key, {{variable, _} = Variable, Value}) ->
    [{Key, environment, Variable} || {ok, Set} <- [application:get_env(caravan, Key)], Set =/= Value];
overridden(_Key, none) ->
    [].

%% Returns the unknown keys of the application's environment and of flags, each with the known key that is probably meant.
-spec unknown_keys() -> [{Unknown :: atom(), Near :: key() | none}].
unknown_keys() ->
    Known = [Key || {Key, _, _, _} <- options()],
    Set = [Key || {Key, _} <- application:get_all_env(caravan), Key =/= included_applications],
    [{Key, caravan_option:nearest(Key, Known)} || Key <- lists:sort(Set -- Known)].

%% Adds to an error of a topology's option where the topologies come from.
-spec topology_error(caravan_option:error()) -> caravan_option:error().
topology_error({bad_option, Option, Value, Allowed}) ->
    {bad_option, {Option, topology_source(Option, source(topologies))}, Value, Allowed}.

topology_source(Option, {variable, _} = Source) ->
    case lists:keyfind(Option, 1, caravan_variable:topology_variables()) of
        {Option, Variable, _} -> {variable, Variable};
        false -> Source
    end;
topology_source(_Option, Source) ->
    Source.

%% Describes a source in a few words that can follow the value, as in "4371 (CARAVAN_DEFAULT_PORT)".
-spec format_source(source()) -> string().
format_source(flag) -> "flag -caravan";
format_source({variable, Variable}) -> Variable;
format_source(environment) -> "application environment";
format_source(default) -> "default".
