%% @private
%% The steps before the first port or lookup. The epmd module and the application both call prepare/0; the first call does
%% the work.
-module(caravan_boot).

-export([prepare/0, format_error/1]).

-export_type([error/0]).

-type error() :: caravan_nif:load_error() | caravan_option:error().

%% Loads the library, checks all keys that say where the node listens and where others look for it, and hands the port rule
%% to the library.
-spec prepare() -> ok | {error, error()}.
prepare() ->
    case caravan_nif:load() of
        ok ->
            first_error([
                fun caravan_config:load/0, fun caravan_listen:check/0, fun caravan_port:check/0, fun apply_port_rule/0
            ]);
        {error, _} = Error ->
            Error
    end.

%% Formats an error as one line.
-spec format_error(error()) -> string().
format_error({bad_option, _, _, _} = Error) -> caravan_option:format_error(Error);
format_error({_File, _Reason} = Error) -> caravan_load_error:format(Error).

first_error([]) -> ok;
first_error([Step | Steps]) -> first_error(Step(), Steps).

first_error(ok, Steps) -> first_error(Steps);
first_error({error, _} = Error, _Steps) -> Error.

apply_port_rule() ->
    Keys = [default_port, port_range, port_in_name, helper_ports, helper_names],
    #{default_port := Default} = Rule = maps:from_list([{Key, checked(Key)} || Key <- Keys]),
    caravan_nif:use_port_rule(Rule#{default_port := default_port(caravan_port:fixed(), Default)}).

checked(Key) ->
    {ok, Value} = caravan_config:value(Key),
    Value.

default_port({Port, _}, _Default) -> Port;
default_port(none, Default) -> Default.
