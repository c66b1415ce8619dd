%% @doc The distribution without epmd: `-start_epmd false -epmd_module caravan_epmd' in vm.args.
%%
%% A node listens on, and is reached at, the port that its name says: the digits at the end of the part before the `@',
%% if they are a number in `port_range' (default 1024 to 65535), otherwise `default_port' (default 4370). So
%% `app-4834@host' means port 4834 and `app@host' port 4370. The port of a helper, such as `rpc-1f3a-app-4834@host', is the
%% hash of its name (docs/helpers.md).
%%
%% OTP calls the functions here while the system boots, from processes that must not wait or fail: the supervisor of the
%% distribution, net_kernel and the processes that set connections up. So no callback raises or leaves a message behind.
-module(caravan_epmd).

-export([start_link/0, listen_port_please/2, register_node/2, register_node/3]).
-export([address_please/3, port_please/2, port_please/3, names/0, names/1]).
-export([dist_port/1, explain/1]).

%% Both ends speak version 6 of the handshake from OTP 25 on; 5 would make OTP 24 send a message that OTP 25.0 to 25.2
%% refuse (OTP GH-6595).
-define(DIST_VERSION, 6).

%% net_kernel gives a connection 7 s by default (net_setuptime); the handshake needs its part of them.
-define(BUDGET, 2500).

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

%% @doc Which port a name stands for, by which rule, and why, in words. Asks nobody: where `port_srv' or epmd would be
%% asked, the port is the one that holds when they know nothing. Other terms than names are badarg.
%%
%% ```
%% #{port := 4834, rule := name} = caravan_epmd:explain('app-4834@host').
%% '''
-spec explain(name()) -> #{
    port := inet:port_number(),
    rule := name | helper | port_srv | epmd | erl_epmd_port | erl_dist_port | default_port,
    explanation := string()
}.
explain(NodeName) ->
    caravan_port:explain(NodeName).

%% @doc Loads the library and checks what is configured. There is no process of ours: one that died would take the node
%% down with it (net_sup restarts nothing); with `fallback' epmd it is the one of erl_epmd that ordinary nodes have.
%% What makes the distribution unusable stops the boot with one line on standard error, and is returned as an error from
%% a later net_kernel:start/2.
-spec start_link() -> ignore | {ok, pid()} | {error, term()}.
start_link() ->
    try caravan_boot:prepare() of
        ok ->
            ok = caravan_listen:forget_actual_port(),
            ok = caravan_listen:before_protocols(),
            start_fallback(fallback());
        {error, Error} -> refuse(caravan_boot:format_error(Error), is_booting())
    catch
        Class:Reason -> refuse_crash(Class, Reason)
    end.

refuse_crash(Class, Reason) ->
    refuse(lists:flatten(io_lib:format("caravan: ~0tp", [{Class, Reason}])), is_booting()).

start_fallback(epmd) -> erl_epmd:start_link();
start_fallback(none) -> ignore.

fallback() ->
    {ok, Fallback} = caravan_config:value(fallback),
    Fallback.

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
%% another one: nobody would find the node there. The error names the port, the rule that gave it and, on Linux, who
%% listens there. It ends the boot with one line on standard error; a later net_kernel:start/2 fails, and the log has it.
-spec listen_port_please(Name :: atom() | string(), Host :: string()) -> {ok, inet:port_number()} | {error, term()}.
listen_port_please(Name, Host) ->
    try
        listen_port(Name, Host, caravan_listen:port(Name), is_first_protocol())
    catch
        Class:Reason -> refuse_crash(Class, Reason)
    end.

listen_port(_Name, _Host, {error, Error}, _IsFirst) ->
    cannot_listen(caravan_announce:bad_listen_port(Error), is_booting());
listen_port(Name, Host, {Port, Rule} = Listen, IsFirst) ->
    case caravan_listen:try_port(Port, IsFirst) of
        ok -> ok = announce_name(IsFirst, Name, Host, Listen), {ok, Port};
        {error, eaddrinuse} -> cannot_listen(caravan_announce:port_in_use(Name, Port, Rule), is_booting())
    end.

cannot_listen(Report, IsBooting) ->
    ok = log_unless(IsBooting, Report),
    refuse(caravan_announce:line(Report), IsBooting).

%% The line on standard error is enough, and ends the boot.
log_unless(true, _Report) -> ok;
log_unless(false, Report) -> caravan_announce:cannot_listen(Report).

%% Nothing of a helper: it writes for a script that reads what a release's `rpc' prints. As with the port, the application says it after
%% the boot.
announce_name(true, Name, Host, {Port, _Rule} = Listen) ->
    IsBooting = is_booting(),
    ok = warn_of_ignored_digits(not IsBooting andalso caravan_port:ignores_digits(Name), Name, Port),
    tell_of_spelling(Name, Host, Listen, IsBooting);
announce_name(false, _Name, _Host, _Listen) ->
    ok.

warn_of_ignored_digits(true, Name, Port) -> caravan_announce:digits_ignored(Name, Port);
warn_of_ignored_digits(false, _Name, _Port) -> ok.

tell_of_spelling(_Name, _Host, {_Port, helper}, _IsBooting) -> ok;
tell_of_spelling(_Name, _Host, _Listen, true) -> ok;
tell_of_spelling(Name, Host, _Listen, false) -> safely(fun() -> caravan_announce:spelling(lists:concat([Name, "@", Host])) end, ok).

%% OTP asks and registers for each protocol of `-proto_dist inet_tcp inet6_tcp', and the node has its name after the
%% first. What is said and registered once is left to that.
is_first_protocol() ->
    not is_alive().

%% @equiv register_node(Name, Port, inet)
-spec register_node(atom(), inet:port_number()) -> {ok, -1} | {error, duplicate_name}.
register_node(Name, Port) ->
    register_node(Name, Port, inet).

%% @doc -1 makes net_kernel draw a random creation (OTP 23 and later). With a constant one, pids of a restarted node
%% would pass for those of its former life. With `fallback' epmd, ordinary nodes find this one there; where no epmd
%% runs, that is logged, and nodes of Caravan find it still. `duplicate_name' is what epmd says of a name that is taken.
-spec register_node(atom(), inet:port_number(), atom()) -> {ok, -1} | {error, duplicate_name}.
register_node(Name, Port, Family) ->
    safely(fun() -> registered(Name, Port, Family) end, {ok, -1}).

registered(Name, Port, Family) ->
    ok = caravan_listen:after_protocol(Family),
    ok = caravan_listen:note_actual_port(Port),
    case is_first_protocol() of
        true ->
            ok = tell_of_port(Name, is_booting()),
            in_fallback(fallback(), Name, Port, Family);
        false ->
            {ok, -1}
    end.

in_fallback(epmd, Name, Port, Family) -> in_epmd(Name, Port, erl_epmd:register_node(Name, Port, Family));
in_fallback(none, _Name, _Port, _Family) -> {ok, -1}.

%% While the system boots there is no handler yet, and what is logged appears twice; the application says it then.
tell_of_port(_Name, true) -> ok;
tell_of_port(Name, false) -> caravan_announce:port_at_run_time(Name).

in_epmd(_Name, _Port, {ok, _Creation}) ->
    {ok, -1};
in_epmd(_Name, _Port, {error, duplicate_name} = Error) ->
    Error;
in_epmd(Name, Port, {error, Reason}) ->
    ok = caravan_announce:not_in_epmd(Name, Port, Reason),
    {ok, -1}.

%% @doc Address and port of a node, 2.5 s in all. For the port: the digits of the name, or the hash of a helper's;
%% `port_srv'; with `fallback' epmd, the epmd of the host; the port that a name without digits stands for. For the
%% address, unless it came along: the host itself if it is an IP address; addresses that came with SRV answers; the
%% `nameservers' that are configured; the system.
-spec address_please(Name :: string() | atom(), Host :: string() | atom() | inet:ip_address(), inet | inet6) ->
    {ok, inet:ip_address(), inet:port_number(), ?DIST_VERSION} | {error, address | inet:posix()}.
address_please(Name, Host, Family) ->
    safely(fun() -> endpoint(Name, Host, Family) end, {error, address}).

endpoint(Name, Host, Family) ->
    endpoint(text(Name), Host, Family, self() =:= whereis(net_kernel)).

%% OTP before PR 10029 asks inside net_kernel whether the protocol fits, and ignores address and port. Waiting for DNS
%% there would stop all connects, accepts and ticks of the node.
endpoint(Name, Host, Family, true) ->
    {Port, _Rule} = caravan_port:of_name(Name),
    with_port(caravan_address:resolve_at_once(Host, Family, caravan_listen:families()), Port);
endpoint(Name, Host, Family, false) ->
    Deadline = deadline(),
    case caravan_port:find(Name, host_text(Host), Family, Deadline) of
        {ok, Ip, Port} -> {ok, Ip, Port, ?DIST_VERSION};
        {ok, Port} -> with_port(resolve(Host, Family, Deadline), Port);
        {error, _} = Error -> Error
    end.

resolve(Host, Family, Deadline) ->
    caravan_address:resolve(Host, Family, max(1, caravan_task:remaining(Deadline))).

deadline() ->
    erlang:monotonic_time(millisecond) + ?BUDGET.

with_port({ok, Ip}, Port) -> {ok, Ip, Port, ?DIST_VERSION};
with_port({error, _} = Error, _Port) -> Error.

text(Name) when is_atom(Name) -> atom_to_list(Name);
text(Name) -> Name.

%% @doc The port of a node, as far as its name says it; noport for a term that is no name.
-spec port_please(name(), term()) -> {port, inet:port_number(), ?DIST_VERSION} | noport.
port_please(Name, _Host) ->
    safely(fun() -> port(caravan_port:of_name(Name)) end, noport).

port({Port, _Rule}) -> {port, Port, ?DIST_VERSION}.

%% @equiv port_please(Name, Host)
-spec port_please(name(), term(), timeout()) -> {port, inet:port_number(), ?DIST_VERSION} | noport.
port_please(Name, Host, _Timeout) ->
    port_please(Name, Host).

%% @equiv names(net_adm:localhost())
-spec names() -> {ok, [{string(), inet:port_number()}]} | {error, address}.
names() ->
    safely(fun() -> known_names(net_adm:localhost()) end, {error, address}).

%% @doc The nodes on a host that are known here: this one, those it is connected to, those that DNS lists for a
%% topology, and with `fallback' epmd those that the epmd of the host knows. There is no daemon that could be away: of a
%% host of which nothing is known the list is empty.
-spec names(Host :: string() | atom() | inet:ip_address()) ->
    {ok, [{string(), inet:port_number()}]} | {error, address}.
names(Host) ->
    safely(fun() -> known_names(host_text(Host)) end, {error, address}).

known_names(Host) ->
    Nodes = [string:split(atom_to_list(Node), "@") || Node <- known_nodes(is_alive())],
    Known = [
        {Name, Port}
     || [Name, NodeHost] <- Nodes, is_host(Host, NodeHost), {Port, _Rule} <- [caravan_port:of_name(Name)]
    ],
    %% Of a name without digits, only epmd knows the port.
    {ok, lists:ukeysort(1, epmd_names(fallback(), Host) ++ Known)}.

known_nodes(true) -> [node() | nodes()] ++ caravan_topology_registry:listed();
known_nodes(false) -> [].

epmd_names(none, _Host) ->
    [];
epmd_names(epmd, Host) ->
    case caravan_task:call(fun() -> erl_epmd:names(Host) end, deadline()) of
        {ok, {ok, Names}} -> Names;
        _ -> []
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
