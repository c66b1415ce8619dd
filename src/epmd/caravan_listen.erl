%% @private
%% The port on which this node listens. It differs from the port in its name where a bridge or a load balancer maps one to
%% the other.
-module(caravan_listen).

-export([port/1, try_port/2, check/0]).
-export([is_wanted/0, families/0, first_family/0, before_protocols/0, after_protocol/1]).
-export([note_actual_port/1, forget_actual_port/0, actual_port/0, is_own/2, is_local/1]).

-export_type([rule/0]).

%% In the order of precedence: the key `listen_port', the flag `-erl_epmd_port', the environment variable ERL_DIST_PORT, the
%% name of the node.
-type rule() :: listen_port | caravan_port:rule().

%% Returns the port on which a node of this name listens, and the rule that says so; port 0 is any free port. A helper
%% listens on its helper port whatever is set, because others look for it there and the other ports are meant for the node
%% that it talks to. Returns an error if the environment variable that `listen_port' names is no port.
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

%% Checks the key `listen_port'. An error stops the boot, so that port/1 does not meet it. A variable that the key names is
%% read only when the node is about to listen: a helper with `-dist_listen false' never does.
-spec check() -> ok | {error, caravan_option:error()}.
check() ->
    case caravan_config:value(listen_port) of
        {ok, _} -> ok;
        {error, _} = Error -> Error
    end.

%% Checks whether OTP will be able to listen on the port, by listening with the same options. OTP reports no more than
%% `eaddrinuse' when its own attempt fails. `IsFirstProtocol' selects between two protocols of `-proto_dist'.
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

%% Returns the driver that OTP listens with. `none' for a module of the user's, which may listen in its own way.
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
        %% OTP reports options that it cannot use itself.
        _:_ -> none
    end.

%% Returns whether the node should listen at all.
-spec is_wanted() -> boolean().
is_wanted() ->
    case init:get_argument(dist_listen) of
        {ok, [["false"] | _]} -> false;
        _ -> true
    end.

%% Returns the address families of `-proto_dist', in the order in which net_kernel starts them.
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

%% Also takes the argument of register_node/3, which is the family, or up to OTP 25 the driver.
family("inet6" ++ _) -> inet6;
family(_) -> inet.

%% With `-proto_dist inet_tcp inet6_tcp' both protocols listen on the port of the node. An IPv6 socket also takes the IPv4
%% port unless it has the option `ipv6_v6only', and OTP has one set of options for both protocols. So the option is set only
%% while the IPv6 protocol starts.
-spec before_protocols() -> ok.
before_protocols() ->
    v6only(has_both(), first_family() =:= inet6).

%% Called after one protocol has started: prepares the options for the other one.
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

%% Stores the port on which the node listens, which a later change of the configuration does not change.
-spec note_actual_port(inet:port_number()) -> ok.
note_actual_port(Port) ->
    persistent_term:put(?MODULE, Port).

%% Called before the distribution starts: it may listen on another port than before, or not at all.
-spec forget_actual_port() -> ok.
forget_actual_port() ->
    persistent_term:put(?MODULE, none).

-spec actual_port() -> inet:port_number() | none.
actual_port() ->
    persistent_term:get(?MODULE, none).

%% Returns whether this node listens at the address and port.
-spec is_own(inet:ip_address(), inet:port_number()) -> boolean().
is_own(Ip, Port) ->
    Port =:= actual_port() andalso is_alive() andalso is_own_address(unmapped(Ip), interface_in_use()).

%% OTP appends `inet_dist_use_interface' to `inet_dist_listen_options', and inet takes the last `ip'.
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

%% Returns whether the address is one of this machine or container.
-spec is_local(inet:ip_address()) -> boolean().
is_local({127, _, _, _}) -> true;
is_local(Ip) -> lists:member(Ip, addresses(inet:getifaddrs())).

interface({0, 0, 0, 0}) -> all;
interface({0, 0, 0, 0, 0, 0, 0, 0}) -> all;
interface(Ip) -> unmapped(Ip).

addresses({ok, Interfaces}) -> [Ip || {_Name, Options} <- Interfaces, {addr, Ip} <- Options];
addresses({error, _}) -> [].

%% IPv4-mapped addresses (RFC 4291, section 2.5.5.2) become IPv4 addresses.
unmapped({0, 0, 0, 0, 0, 16#FFFF, _, _} = Ip) -> inet:ipv4_mapped_ipv6_address(Ip);
unmapped(Ip) -> Ip.
