%% @private
%% Where this node listens, which may be another port than the one that its name says: behind a bridge or a load
%% balancer the one is mapped to the other.
-module(caravan_listen).

-export([port/1, check/0]).
-export([families/0, first_family/0, before_protocols/0, after_protocol/1]).
-export([note_actual_port/1, actual_port/0]).

-export_type([rule/0]).

%% In the order in which they are asked: the key `listen_port', `-erl_epmd_port', the environment variable
%% ERL_DIST_PORT, the name of the node.
-type rule() :: listen_port | caravan_port:rule().

%% A helper node never takes the port that is meant for the node it talks to.
-spec port(atom() | string() | binary()) -> {inet:port_number(), rule()}.
port(Name) ->
    case caravan_port:of_name(Name) of
        {noport, helper} -> {0, helper};
        OfName -> first([listen_port(OfName), caravan_port:fixed()], OfName)
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
    {ok, Port} = caravan_port:from_text(os:getenv(Variable)),
    {Port, listen_port}.

%% Whether what is set can be used. What is not stops the boot, so that port/1 does not meet it.
-spec check() -> ok | {error, caravan_option:error()}.
check() ->
    case caravan_config:value(listen_port) of
        {ok, {env, Variable}} -> caravan_port:check_settings([{list_to_atom(Variable), os:getenv(Variable)}]);
        {ok, _} -> ok;
        {error, _} = Error -> Error
    end.

%% The address families of `-proto_dist', in the order in which net_kernel takes them.
-spec families() -> [inet | inet6, ...].
families() ->
    [family(Name) || Name <- protocols()].

protocols() ->
    case init:get_argument(proto_dist) of
        {ok, [[_ | _] = Names | _]} -> Names;
        _ -> ["inet_tcp"]
    end.

-spec first_family() -> inet | inet6.
first_family() ->
    hd(families()).

%% Also of what register_node/3 is given: the family itself, or until OTP 25 the driver.
family("inet6" ++ _) -> inet6;
family(_) -> inet.

%% `-proto_dist inet_tcp inet6_tcp': both listen on the port of the node, and an IPv6 socket takes the IPv4 port as well
%% unless it is told not to. OTP has one set of options for both, so they are set between the one and the other.
-spec before_protocols() -> ok.
before_protocols() ->
    v6only(has_both(), first_family() =:= inet6).

%% Of two protocols the other one is next.
-spec after_protocol(atom()) -> ok.
after_protocol(Family) ->
    v6only(has_both(), family(atom_to_list(Family)) =:= inet).

has_both() ->
    lists:usort(families()) =:= [inet, inet6].

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
