%% @doc The distribution without epmd: `-start_epmd false -epmd_module caravan_epmd' in vm.args.
%%
%% A node listens on, and is reached at, the port that its name says: the digits at the end of the part before the `@',
%% if they are a number in `port_range' (default 1024 to 65535), otherwise `default_port' (default 4370). So
%% `app-4834@host' means port 4834 and `app@host' port 4370.
%%
%% OTP calls the functions here while the system boots, from processes that must not wait or fail: the supervisor of the
%% distribution, net_kernel and the processes that set connections up. So no callback raises or leaves a message behind.
-module(caravan_epmd).

-export([start_link/0, listen_port_please/2, register_node/2, register_node/3]).
-export([address_please/3, port_please/2, port_please/3, names/0, names/1]).
-export([dist_port/1]).

%% Both ends speak version 6 of the handshake from OTP 25 on; 5 would make OTP 24 send a message that OTP 25.0 to 25.2
%% refuse (OTP GH-6595).
-define(DIST_VERSION, 6).

%% net_kernel gives a connection 7 s by default (net_setuptime); the handshake needs its part of them.
-define(ADDRESS_BUDGET, 2500).

-type name() :: atom() | string() | binary().

%% @doc The port of a node, from its name with or without the host. Any atom, string or binary has one; other terms are
%% badarg.
%%
%% ```
%% 4834 = caravan_epmd:dist_port('app-4834@host').
%% '''
-spec dist_port(name()) -> inet:port_number().
dist_port(NodeName) ->
    caravan_nif:dist_port(NodeName).

%% @doc Loads the library. There is no process: one that died would take the node down with it (net_sup restarts
%% nothing). What makes the distribution unusable stops the boot with one line on standard error, and is returned as an
%% error from a later net_kernel:start/2.
-spec start_link() -> ignore | {error, {caravan, string()}}.
start_link() ->
    try caravan_config:prepare() of
        ok -> ignore;
        {error, Line} -> refuse(Line, is_booting())
    catch
        Class:Reason -> refuse(lists:flatten(io_lib:format("caravan: ~0tp", [{Class, Reason}])), is_booting())
    end.

%% While the system boots, an error would end it as well, with pages of supervisor reports around our line. There is no
%% `user' process yet that could print it.
refuse(Line, true) ->
    Stderr = open_port({fd, 0, 2}, [out]),
    true = port_command(Stderr, [unicode:characters_to_binary(Line), $\n]),
    erlang:halt(1);
refuse(Line, false) ->
    {error, {caravan, Line}}.

%% The last child of the kernel's supervisor starts after the distribution. init:get_status/0 would not do: a script
%% (escript, mix, -eval) runs its whole life while the system is `starting'.
is_booting() ->
    whereis(kernel_safe_sup) =:= undefined.

%% @doc Where the node is to listen (OTP 23 and later). A busy port is an error of the boot, never a reason to take
%% another one: nobody would find the node there.
-spec listen_port_please(Name :: atom() | string(), Host :: string()) -> {ok, inet:port_number()}.
listen_port_please(Name, _Host) ->
    safely(fun() -> listen_port(Name) end, {ok, 0}).

%% A helper node (release `remote', `rpc', `stop') carries the name, and with it the digits, of the node it talks to.
%% The VM picks a port for it, as nobody looks for it.
listen_port(Name) ->
    case caravan_nif:is_helper_name(Name) of
        true ->
            tell_of_helper(Name, init:get_argument(hidden)),
            {ok, 0};
        false ->
            warn_of_ignored_digits(Name, caravan_nif:port_origin(Name)),
            {ok, caravan_nif:dist_port(Name)}
    end.

%% Those of releases are hidden. Another one may be an ordinary node with an unlucky name.
tell_of_helper(Name, error) ->
    logger:notice(
        "caravan: ~ts is the name of a helper node: it listens on a port that the system picks, "
        "and nobody can look it up",
        [Name]
    );
tell_of_helper(_Name, {ok, _}) ->
    ok.

warn_of_ignored_digits(Name, digits_ignored) ->
    logger:warning(
        "caravan: the digits at the end of the node name ~ts are no port in port_range; the node listens on ~b",
        [Name, caravan_nif:dist_port(Name)]
    );
warn_of_ignored_digits(_Name, _Origin) ->
    ok.

%% @equiv register_node(Name, Port, inet)
-spec register_node(atom(), inet:port_number()) -> {ok, -1}.
register_node(Name, Port) ->
    register_node(Name, Port, inet).

%% @doc -1 makes net_kernel draw a random creation (OTP 23 and later). With a constant one, pids of a restarted node
%% would pass for those of its former life.
-spec register_node(atom(), inet:port_number(), atom()) -> {ok, -1}.
register_node(_Name, _Port, _Family) ->
    {ok, -1}.

%% @doc Address and port of a node. Asked in turn, 2.5 s in all: the host itself if it is an IP address; addresses that
%% came with SRV answers; the `nameservers' that are configured; the system.
-spec address_please(Name :: string() | atom(), Host :: string() | atom() | inet:ip_address(), inet | inet6) ->
    {ok, inet:ip_address(), inet:port_number(), ?DIST_VERSION} | {error, noport | address | inet:posix()}.
address_please(Name, Host, Family) ->
    safely(fun() -> endpoint(Name, Host, Family) end, {error, address}).

endpoint(Name, Host, Family) ->
    case port_please(Name, Host) of
        {port, Port, Version} ->
            case address(Host, Family, self() =:= whereis(net_kernel)) of
                {ok, Ip} -> {ok, Ip, Port, Version};
                {error, _} = Error -> Error
            end;
        noport ->
            {error, noport}
    end.

%% OTP before PR 10029 asks inside net_kernel whether the protocol fits, and ignores the address. Waiting for DNS there
%% would stop all connects, accepts and ticks of the node.
address(Host, Family, true) -> caravan_address:resolve_at_once(Host, Family);
address(Host, Family, false) -> caravan_address:resolve(Host, Family, ?ADDRESS_BUDGET).

%% @doc The port of a node; noport for helper nodes: their digits are another node's, and who dialled them would reach
%% that.
-spec port_please(name(), term()) -> {port, inet:port_number(), ?DIST_VERSION} | noport.
port_please(Name, _Host) ->
    safely(fun() -> port(Name) end, noport).

port(Name) ->
    case caravan_nif:is_helper_name(Name) of
        true -> noport;
        false -> {port, caravan_nif:dist_port(Name), ?DIST_VERSION}
    end.

%% @equiv port_please(Name, Host)
-spec port_please(name(), term(), timeout()) -> {port, inet:port_number(), ?DIST_VERSION} | noport.
port_please(Name, Host, _Timeout) ->
    port_please(Name, Host).

%% @equiv names(net_adm:localhost())
-spec names() -> {ok, [{string(), inet:port_number()}]} | {error, address}.
names() ->
    safely(fun() -> known_names(net_adm:localhost()) end, {error, address}).

%% @doc The nodes on a host that are known here: this one and those it is connected to.
-spec names(Host :: string() | atom() | inet:ip_address()) ->
    {ok, [{string(), inet:port_number()}]} | {error, address}.
names(Host) ->
    safely(fun() -> known_names(host_text(Host)) end, {error, address}).

known_names(Host) ->
    Nodes = [string:split(atom_to_list(Node), "@") || Node <- [node() | nodes()], is_alive()],
    case [{Name, Port} || [Name, NodeHost] <- Nodes, is_host(Host, NodeHost), {port, Port, _} <- [port(Name)]] of
        [] -> {error, address};
        Names -> {ok, Names}
    end.

is_host(Host, Host) -> true;
is_host(Host, NodeHost) -> is_local(Host) andalso is_own_host(NodeHost).

is_local(Host) ->
    lists:member(Host, ["localhost", "127.0.0.1", "::1", net_adm:localhost()]).

is_own_host(NodeHost) ->
    case string:split(atom_to_list(node()), "@") of
        [_, NodeHost] -> true;
        _ -> false
    end.

host_text(Host) when is_atom(Host) -> atom_to_list(Host);
host_text(Host) when is_tuple(Host) -> inet:ntoa(Host);
host_text(Host) -> Host.

safely(Fun, Otherwise) ->
    try
        Fun()
    catch
        _:_ -> Otherwise
    end.
