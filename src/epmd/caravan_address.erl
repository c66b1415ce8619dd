%% @private
%% Resolves the host of a node name to an IP address of the family that the distribution uses.
-module(caravan_address).

-export([resolve/3, resolve_target/3, resolve_at_once/3]).

%% The share of the budget that the configured nameservers get. The rest is for the system's resolver.
-define(NAMESERVER_SHARE, 0.6).

-type resolved() :: {ok, inet:ip_address()} | {error, address | inet:posix()}.

%% Resolves the host of a node name. The budget is in milliseconds.
-spec resolve(string() | atom() | inet:ip_address(), inet | inet6, Budget :: pos_integer()) -> resolved().
resolve(Host, Family, Budget) ->
    resolve(Host, fun(Name) -> Name end, Family, Budget).

%% Resolves the target of an SRV record. A name in a DNS message is absolute (RFC 1035, section 3.1), so the search list does
%% not apply: below one of its domains there may be another machine of that name.
-spec resolve_target(string(), inet | inet6, Budget :: pos_integer()) -> resolved().
resolve_target(Target, Family, Budget) ->
    resolve(Target, fun(Name) -> Name ++ "." end, Family, Budget).

%% `Query' maps the host to the name that nameservers and the system are asked for.
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

%% An address that has failed lately is used only if there is no other one, since the host may have further addresses or a
%% new one.
find(Host, Query, Family, Deadline) ->
    case caravan_address_history:choose(Host, caravan_glue:addresses(Host, Family)) of
        {good, Ip} -> {ok, Ip};
        _FailedOrNone -> look_up(Host, Query, Family, Deadline)
    end.

look_up(Host, Query, Family, Deadline) ->
    Told = nameservers(Query, Family, Deadline),
    case caravan_address_history:choose(Host, Told) of
        {good, Ip} -> {ok, Ip};
        _FailedOrNone -> last_resort(Told, system_or_hosts(Host, Query, Family, Deadline), Host, Family)
    end.

last_resort(Told, {ok, Ips}, Host, _Family) ->
    {_, Ip} = caravan_address_history:choose(Host, Told ++ Ips),
    {ok, Ip};
%% No nameserver has answered, and the system failed. A topology keeps the last good answer when DNS fails; the addresses
%% that came with that answer are kept and used likewise.
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

%% Returns whether the host can have an address of the family, without asking DNS. For a caller that ignores the address and
%% must not wait. `Families' are the address families of the distribution.
-spec resolve_at_once(string() | atom() | inet:ip_address(), inet | inet6, Families :: [inet | inet6]) ->
    {ok, inet:ip_address()} | {error, address}.
resolve_at_once(Host, Family, Families) ->
    case parse(Host) of
        {literal, Ip} -> literal(Ip, Family);
        {name, Name} -> unless_lacking(Name, Family, Families);
        invalid -> {error, address}
    end.

%% OTP takes the first protocol for which it gets an address. An error is therefore returned only if the distribution has a
%% second protocol that OTP can use instead.
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

%% As in inet:getaddr/2, IPv6 sockets reach an IPv4 address by its mapped form (RFC 4291, section 2.5.5.2).
literal({_, _, _, _} = Ip, inet) -> {ok, Ip};
literal({_, _, _, _} = Ip, inet6) -> {ok, inet:ipv4_mapped_ipv6_address(Ip)};
literal(Ip, inet6) -> {ok, Ip};
literal(_Ip, inet) -> {error, address}.

%% Asks the configured nameservers. Those of the system are left to the system's resolver, which also reads /etc/hosts and
%% nsswitch.conf.
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

%% The system's resolver does not find a name with a trailing dot in its hosts file; a lookup of ours does.
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

%% The call runs in a task because inet:getaddrs/2 may exceed the budget, and a late reply would stay in the caller's
%% mailbox.
system(Host, Family, Deadline) ->
    case caravan_task:call(fun() -> inet:getaddrs(Host, Family) end, Deadline) of
        {ok, {ok, [_ | _]} = Answer} -> Answer;
        {ok, {ok, []}} -> {error, address};
        {ok, {error, _} = Error} -> Error;
        timeout -> {error, etimedout};
        _Crashed -> {error, address}
    end.
