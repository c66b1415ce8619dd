%% @private
%% Where this node listens, which may be another port than the one that its name says: behind a bridge or a load
%% balancer the one is mapped to the other.
-module(caravan_listen).

-export([port/1, check/0, fixed_port/0, before_protocols/0, after_protocol/1]).
-export([note_actual_port/1, actual_port/0]).

-export_type([rule/0, fixed/0]).

-type fixed() :: erl_epmd_port | erl_dist_port.
%% In the order in which they are asked: the key `listen_port', `-erl_epmd_port', the environment variable
%% ERL_DIST_PORT, the name of the node.
-type rule() :: listen_port | fixed() | caravan_port:rule().

-type setting() :: {Key :: atom(), Value :: term()}.

%% A helper node never takes the port that is meant for the node it talks to.
-spec port(atom() | string() | binary()) -> {inet:port_number(), rule()}.
port(Name) ->
    case caravan_port:of_name(Name) of
        {noport, helper} -> {0, helper};
        OfName -> first([listen_port(OfName), fixed_port()], OfName)
    end.

first([none | Others], OfName) -> first(Others, OfName);
first([{Port, Rule} | _], _OfName) -> {Port, Rule};
first([], OfName) -> OfName.

listen_port({OfName, _}) ->
    case caravan_config:value(listen_port) of
        {ok, default} -> none;
        {ok, name} -> {OfName, listen_port};
        {ok, {env, Variable}} -> from_environment(Variable);
        {ok, Port} -> {Port, listen_port}
    end.

from_environment(Variable) ->
    {ok, Port} = number(os:getenv(Variable)),
    {Port, listen_port}.

%% The port at which OTP, without an epmd, expects every node whose name says nothing else.
-spec fixed_port() -> {inet:port_number(), fixed()} | none.
fixed_port() ->
    case {flag(), os:getenv("ERL_DIST_PORT", "")} of
        {none, ""} -> none;
        {none, Text} -> fixed(number(Text), erl_dist_port);
        {Text, _} -> fixed(number(Text), erl_epmd_port)
    end.

flag() ->
    case init:get_argument(erl_epmd_port) of
        {ok, [[Text] | _]} -> Text;
        _ -> kernel_parameter(application:get_env(kernel, erl_epmd_node_listen_port))
    end.

%% OTP 27.2 and later.
kernel_parameter({ok, Port}) when is_integer(Port) -> integer_to_list(Port);
kernel_parameter(_) -> none.

fixed({ok, Port}, Rule) -> {Port, Rule};
fixed(error, _Rule) -> none.

number(Text) when is_list(Text) ->
    try list_to_integer(Text) of
        Port when Port >= 1, Port =< 65535 -> {ok, Port};
        _ -> error
    catch
        error:badarg -> error
    end;
number(_) ->
    error.

%% Whether all that is set can be used. What is not stops the boot, so that port/1 meets it no more.
-spec check() -> ok | {error, caravan_option:error()}.
check() ->
    case caravan_config:value(listen_port) of
        {ok, {env, Variable}} -> check([{list_to_atom(Variable), os:getenv(Variable)} | fixed_settings()]);
        {ok, _} -> check(fixed_settings());
        {error, _} = Error -> Error
    end.

fixed_settings() ->
    [{erl_epmd_port, Text} || Text <- [flag()], Text =/= none] ++
        [{'ERL_DIST_PORT', Text} || Text <- [os:getenv("ERL_DIST_PORT", "")], Text =/= ""].

-spec check([setting()]) -> ok | {error, caravan_option:error()}.
check(Settings) ->
    case [Setting || {_, Text} = Setting <- Settings, number(Text) =:= error] of
        [] -> ok;
        [{Key, Text} | _] when Text =:= false; Text =:= "" ->
            {error, {bad_option, Key, unset, "a port in this environment variable"}};
        [{Key, Text} | _] ->
            {error, {bad_option, Key, Text, "an integer from 1 to 65535"}}
    end.

%% `-proto_dist inet_tcp inet6_tcp': both listen on the port of the node, and an IPv6 socket takes the IPv4 port as well
%% unless it is told not to. OTP has one set of options for both, so they are set between the one and the other.
-spec before_protocols() -> ok.
before_protocols() ->
    v6only(has_both(), caravan_protocols:first_family() =:= inet6).

%% Of two protocols the other one is next.
-spec after_protocol(atom()) -> ok.
after_protocol(Family) ->
    v6only(has_both(), caravan_protocols:family(atom_to_list(Family)) =:= inet).

has_both() ->
    lists:usort([caravan_protocols:family(Name) || Name <- caravan_protocols:names()]) =:= [inet, inet6].

v6only(false, _IsNext) ->
    ok;
v6only(true, IsNext) ->
    Options = lists:keydelete(ipv6_v6only, 1, application:get_env(kernel, inet_dist_listen_options, [])),
    application:set_env(kernel, inet_dist_listen_options, [{ipv6_v6only, true} || IsNext] ++ Options).

%% Where the node has come to listen, whatever is set by now.
-spec note_actual_port(inet:port_number()) -> ok.
note_actual_port(Port) ->
    persistent_term:put(?MODULE, Port).

-spec actual_port() -> inet:port_number() | none.
actual_port() ->
    persistent_term:get(?MODULE, none).
