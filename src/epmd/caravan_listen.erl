%% @private
%% Where this node listens, which may be another port than the one that its name says: behind a bridge or a load
%% balancer the one is mapped to the other.
-module(caravan_listen).

-export([port/1, try_port/2, check/0]).
-export([is_wanted/0, families/0, first_family/0, before_protocols/0, after_protocol/1]).
-export([note_actual_port/1, forget_actual_port/0, actual_port/0, is_own/2, is_local/1]).

-export_type([rule/0]).

%% In the order in which they are asked: the key `listen_port', `-erl_epmd_port', the environment variable
%% ERL_DIST_PORT, the name of the node.
-type rule() :: listen_port | caravan_port:rule().

%% A helper never takes a port that is meant for the node it talks to, and others look for it at the port of its name. 0
%% is any port that is free. An error is that of an environment variable that `listen_port' names.
-spec port(atom() | string() | binary()) -> {inet:port_number(), rule()} | {error, caravan_option:error()}.
port(Name) ->
    case caravan_port:of_name(Name) of
        {_, helper} = OfName -> OfName;
        OfName -> first([listen_port(OfName), caravan_port:fixed()], OfName)
    end.

first([none | Others], OfName) -> first(Others, OfName);
first([First | _], _OfName) -> First;
first([], OfName) -> OfName.

listen_port({OfName, _}) ->
    case caravan_config:value(listen_port) of
        {ok, default} -> none;
        {ok, name} -> {OfName, listen_port};
        {ok, any} -> {0, listen_port};
        {ok, {env, Variable}} -> from_environment(Variable);
        {ok, Port} -> {Port, listen_port}
    end.

from_environment(Variable) ->
    Text = os:getenv(Variable),
    case caravan_port:check_settings([{{listen_port, {variable, Variable}}, Text}]) of
        ok -> {ok, Port} = caravan_port:from_text(Text), {Port, listen_port};
        {error, _} = Error -> Error
    end.

%% Whether what is set can be used. What is not stops the boot, so that port/1 does not meet it. The variable that it may
%% name is looked at when the node is to listen: a helper of `-dist_listen false' never does.
-spec check() -> ok | {error, caravan_option:error()}.
check() ->
    case caravan_config:value(listen_port) of
        {ok, _} -> ok;
        {error, _} = Error -> Error
    end.

%% Whether OTP will be able to listen there, with the options that it will use. OTP asks nothing more once its own attempt
%% has failed, and says no more than `eaddrinuse' then. Of two protocols the first or the second is the one.
-spec try_port(inet:port_number(), IsFirstProtocol :: boolean()) -> ok | {error, eaddrinuse}.
try_port(0, _IsFirstProtocol) ->
    ok;
try_port(Port, IsFirstProtocol) ->
    case try_listen(driver(IsFirstProtocol, protocols()), Port) of
        {ok, Socket} -> gen_tcp:close(Socket);
        {error, eaddrinuse} = Error -> Error;
        _AnotherOrNone -> ok
    end.

driver(true, [Protocol | _]) -> driver(Protocol);
driver(false, [_, Protocol | _]) -> driver(Protocol);
driver(_IsFirst, _Protocols) -> none.

%% Another module of the user's may listen in a way of its own.
driver("inet_" ++ _) -> inet_tcp;
driver("inet6_" ++ _) -> inet6_tcp;
driver("Elixir.Caravan.Epmd.Dist") -> inet_tcp;
driver(_) -> none.

try_listen(none, _Port) ->
    none;
try_listen(Driver, Port) ->
    Interface = [{ip, Ip} || {ok, Ip} <- [application:get_env(kernel, inet_dist_use_interface)]],
    Options = application:get_env(kernel, inet_dist_listen_options, []),
    try
        Driver:listen(Port, Options ++ Interface ++ [{active, false}, {reuseaddr, true}])
    catch
        %% Options that OTP cannot take are its own to complain of.
        _:_ -> none
    end.

%% Whether the node is to listen at all.
-spec is_wanted() -> boolean().
is_wanted() ->
    case init:get_argument(dist_listen) of
        {ok, [["false"] | _]} -> false;
        _ -> true
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

%% A distribution that starts again may listen elsewhere, or not at all.
-spec forget_actual_port() -> ok.
forget_actual_port() ->
    persistent_term:put(?MODULE, none).

-spec actual_port() -> inet:port_number() | none.
actual_port() ->
    persistent_term:get(?MODULE, none).

%% Whether this node listens at the address and port.
-spec is_own(inet:ip_address(), inet:port_number()) -> boolean().
is_own(Ip, Port) ->
    Port =:= actual_port() andalso is_alive() andalso is_own_address(unmapped(Ip), interface_in_use()).

%% OTP appends the one to the other, and inet takes the last.
interface_in_use() ->
    case application:get_env(kernel, inet_dist_use_interface) of
        {ok, _} = Set -> Set;
        undefined -> of_options(lists:keyfind(ip, 1, application:get_env(kernel, inet_dist_listen_options, [])))
    end.

of_options({ip, Ip}) -> {ok, Ip};
of_options(false) -> undefined.

is_own_address(Ip, {ok, Interface}) when tuple_size(Interface) =:= 4; tuple_size(Interface) =:= 8 -> is_own_address(Ip, interface(Interface));
is_own_address(Ip, Ip) -> true;
is_own_address(Ip, all) -> is_local(Ip);
is_own_address(Ip, undefined) -> is_own_address(Ip, all);
is_own_address(_Ip, _Another) -> false.

%% Whether the address is one of this machine's, or of this container's.
-spec is_local(inet:ip_address()) -> boolean().
is_local({127, _, _, _}) -> true;
is_local(Ip) -> lists:member(Ip, addresses(inet:getifaddrs())).

interface({0, 0, 0, 0}) -> all;
interface({0, 0, 0, 0, 0, 0, 0, 0}) -> all;
interface(Ip) -> unmapped(Ip).

addresses({ok, Interfaces}) -> [Ip || {_Name, Options} <- Interfaces, {addr, Ip} <- Options];
addresses({error, _}) -> [].

%% RFC 4291, section 2.5.5.2.
unmapped({0, 0, 0, 0, 0, 16#FFFF, _, _} = Ip) -> inet:ipv4_mapped_ipv6_address(Ip);
unmapped(Ip) -> Ip.
