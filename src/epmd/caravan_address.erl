%% @private
%% From the host of a node name to an IP address of the family that the distribution speaks.
-module(caravan_address).

-export([resolve/3, resolve_target/3, resolve_at_once/3]).

%% Of the budget, what the configured nameservers may use before the system is asked.
-define(NAMESERVER_SHARE, 0.6).

-type resolved() :: {ok, inet:ip_address()} | {error, address | inet:posix()}.

%% The host of a node name; the budget is in milliseconds.
-spec resolve(string() | atom() | inet:ip_address(), inet | inet6, Budget :: pos_integer()) -> resolved().
resolve(Host, Family, Budget) ->
    resolve(Host, fun(Name) -> Name end, Family, Budget).

%% The target of an SRV record. A name from the wire is absolute (RFC 1035, section 3.1): below a domain of the search list
%% there may be another machine of that name.
-spec resolve_target(string(), inet | inet6, Budget :: pos_integer()) -> resolved().
resolve_target(Target, Family, Budget) ->
    resolve(Target, fun(Name) -> Name ++ "." end, Family, Budget).

%% `Query' makes of the name what nameservers and the system are asked for.
resolve(Host, Query, Family, Budget) ->
    Deadline = erlang:monotonic_time(millisecond) + Budget,
    case parse(Host) of
        {literal, Ip} -> literal(Ip, Family);
        {name, Name} -> noting_lack(ask(Name, Query(Name), Family, Deadline), Name, Family);
        invalid -> {error, address}
    end.

ask(Host, Query, Family, Deadline) ->
    case caravan_address_history:still(Host, Family) of
        {ok, _} = Given -> Given;
        none -> giving(find(Host, Query, Family, Deadline), Host, Family)
    end.

giving({ok, Ip} = Found, Host, Family) ->
    ok = caravan_address_history:given(Host, Family, Ip),
    Found;
giving({error, _} = Error, _Host, _Family) ->
    Error.

%% An address that has failed lately is the last resort: the host may have others, or another one by now.
find(Host, Query, Family, Deadline) ->
    case caravan_address_history:choose(Host, caravan_glue:addresses(Host, Family)) of
        {good, Ip} -> {ok, Ip};
        _FailedOrNone -> find_anew(Host, Query, Family, Deadline)
    end.

find_anew(Host, Query, Family, Deadline) ->
    Told = nameservers(Query, Family, Deadline),
    case caravan_address_history:choose(Host, Told) of
        {good, Ip} -> {ok, Ip};
        _FailedOrNone -> last_resort(Told, system_or_hosts(Host, Query, Family, Deadline), Host, Family)
    end.

last_resort(Told, {ok, Ips}, Host, _Family) ->
    {_, Ip} = caravan_address_history:choose(Host, Told ++ Ips),
    {ok, Ip};
%% As a topology keeps the last good answer when DNS fails, so are the addresses that came with it kept.
last_resort([], {error, _} = Error, Host, Family) ->
    case caravan_address_history:choose(Host, caravan_glue:last_addresses(Host, Family)) of
        {_, Ip} -> {ok, Ip};
        none -> Error
    end;
last_resort(Told, {error, _}, Host, _Family) ->
    {_, Ip} = caravan_address_history:choose(Host, Told),
    {ok, Ip}.

noting_lack({ok, _} = Found, _Host, _Family) ->
    Found;
noting_lack({error, _} = Error, Host, Family) ->
    ok = caravan_glue:note_lack(Host, Family),
    Error.

%% Whether the host can have an address of the family, for a caller that ignores the address and must not wait.
%% `Families' are those that the distribution speaks.
-spec resolve_at_once(string() | atom() | inet:ip_address(), inet | inet6, Families :: [inet | inet6]) ->
    {ok, inet:ip_address()} | {error, address}.
resolve_at_once(Host, Family, Families) ->
    case parse(Host) of
        {literal, Ip} -> literal(Ip, Family);
        {name, Name} -> unless_lacking(Name, Family, Families);
        invalid -> {error, address}
    end.

%% The first protocol whose address OTP is given is the one it takes. So a host that lacks a family has no address of it
%% only where there is another protocol.
unless_lacking(_Name, Family, [_Only]) ->
    {ok, any(Family)};
unless_lacking(Name, Family, _Families) ->
    case caravan_glue:lacks(Name, Family) of
        true -> {error, address};
        false -> {ok, any(Family)}
    end.

any(inet) -> {0, 0, 0, 0};
any(inet6) -> {0, 0, 0, 0, 0, 0, 0, 0}.

parse(Host) when is_tuple(Host) ->
    case inet:is_ip_address(Host) of
        true -> {literal, Host};
        false -> invalid
    end;
parse(Host) when is_atom(Host) ->
    parse(atom_to_list(Host));
parse(Host) ->
    case inet:parse_strict_address(Host) of
        {ok, Ip} -> {literal, Ip};
        {error, einval} -> {name, Host}
    end.

%% As inet:getaddr/2 does: an IPv4 address is reached over IPv6 sockets by its mapped form (RFC 4291, section 2.5.5.2).
literal({_, _, _, _} = Ip, inet) -> {ok, Ip};
literal({_, _, _, _} = Ip, inet6) -> {ok, inet:ipv4_mapped_ipv6_address(Ip)};
literal(Ip, inet6) -> {ok, Ip};
literal(_Ip, inet) -> {error, address}.

%% Only those that were configured: the system's are asked by the system, which knows /etc/hosts and nsswitch.conf too.
nameservers(Query, Family, Deadline) ->
    case caravan_config:value(nameservers) of
        {ok, system} ->
            [];
        {ok, Nameservers} ->
            Timeout = max(1, round(caravan_task:remaining(Deadline) * ?NAMESERVER_SHARE)),
            lookup(Query, record_type(Family), #{nameservers => Nameservers, timeout => Timeout});
        {error, _} ->
            []
    end.

lookup(Query, Type, Options) ->
    case caravan_dns:lookup(Query, Type, Options) of
        {ok, #{records := Records}} -> [Ip || #{address := Ip} <- Records];
        {error, _} -> []
    end.

record_type(inet) -> a;
record_type(inet6) -> aaaa.

%% The system finds no name with a dot at its end in its hosts file; our own lookup does.
system_or_hosts(Host, Host, Family, Deadline) ->
    system(Host, Family, Deadline);
system_or_hosts(_Host, Query, Family, Deadline) ->
    case system(Query, Family, Deadline) of
        {ok, _} = Found -> Found;
        {error, _} = Error -> hosts(Query, Family, Deadline, Error)
    end.

hosts(Query, Family, Deadline, Error) ->
    Ips = lookup(Query, addresses, #{timeout => max(1, caravan_task:remaining(Deadline))}),
    case [Ip || Ip <- Ips, caravan_glue:family(Ip) =:= Family] of
        [] -> Error;
        OfFamily -> {ok, OfFamily}
    end.

%% inet:getaddrs/2 may take longer than the budget, and a late answer would stay in the caller's mailbox.
system(Host, Family, Deadline) ->
    case caravan_task:call(fun() -> inet:getaddrs(Host, Family) end, Deadline) of
        {ok, {ok, [_ | _]} = Answer} -> Answer;
        {ok, {ok, []}} -> {error, address};
        {ok, {error, _} = Error} -> Error;
        timeout -> {error, etimedout};
        _Crashed -> {error, address}
    end.
