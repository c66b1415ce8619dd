%% @private
%% From the host of a node name to an IP address of the family that the distribution speaks.
-module(caravan_address).

-export([resolve/3, resolve_at_once/3]).

%% Of the budget, what the configured nameservers may use before the system is asked.
-define(NAMESERVER_SHARE, 0.6).

-spec resolve(string() | atom() | inet:ip_address(), inet | inet6, Budget :: pos_integer()) ->
    {ok, inet:ip_address()} | {error, address | inet:posix()}.
resolve(Host, Family, Budget) ->
    Deadline = erlang:monotonic_time(millisecond) + Budget,
    case parse(Host) of
        {literal, Ip} -> literal(Ip, Family);
        {name, Name} -> noting_lack(ask(Name, Family, Deadline), Name, Family);
        invalid -> {error, address}
    end.

ask(Host, Family, Deadline) ->
    or_last_glue(first_answer([fun glue/3, fun nameservers/3, fun system/3], Host, Family, Deadline), Host, Family).

%% As a topology keeps the last good answer when DNS fails, so are the addresses that came with it kept.
or_last_glue({ok, _} = Found, _Host, _Family) ->
    Found;
or_last_glue({error, _} = Error, Host, Family) ->
    case caravan_glue:last_address(Host, Family) of
        {ok, _} = Found -> Found;
        {error, _} -> Error
    end.

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

first_answer([Last], Host, Family, Deadline) ->
    Last(Host, Family, Deadline);
first_answer([Source | Sources], Host, Family, Deadline) ->
    case Source(Host, Family, Deadline) of
        {ok, Ip} -> {ok, Ip};
        {error, _} -> first_answer(Sources, Host, Family, Deadline)
    end.

glue(Host, Family, _Deadline) ->
    caravan_glue:address(Host, Family).

%% Only those that were configured: the system's are asked by the system, which knows /etc/hosts and nsswitch.conf too.
nameservers(Host, Family, Deadline) ->
    case caravan_config:value(nameservers) of
        {ok, system} ->
            {error, address};
        {ok, Nameservers} ->
            Timeout = max(1, round(caravan_task:remaining(Deadline) * ?NAMESERVER_SHARE)),
            lookup(Host, record_type(Family), #{nameservers => Nameservers, timeout => Timeout});
        {error, _} ->
            {error, address}
    end.

lookup(Host, Type, Options) ->
    case caravan_dns:lookup(Host, Type, Options) of
        {ok, #{records := [#{address := Ip} | _]}} -> {ok, Ip};
        {error, _} -> {error, address}
    end.

record_type(inet) -> a;
record_type(inet6) -> aaaa.

%% inet:getaddr/2 may take longer than the budget, and a late answer would stay in the caller's mailbox.
system(Host, Family, Deadline) ->
    case caravan_task:call(fun() -> inet:getaddr(Host, Family) end, Deadline) of
        {ok, Answer} -> Answer;
        timeout -> {error, etimedout};
        _Crashed -> {error, address}
    end.
