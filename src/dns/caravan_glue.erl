%% @private
%% The glue of SRV answers, kept for the connections that topologies are about to make. With Consul, the system's nameservers
%% may not know the targets at all; and each saved query for an address counts when a node joins a large cluster.
-module(caravan_glue).

-export([create/0, learn/1, addresses/2, last_addresses/2, lacks/2, note_lack/2, family/1]).

%% Consul's answers have a TTL of 0 by default, which would expire before a connection is made.
-define(MIN_TTL_MS, 10000).
-define(MAX_TTL_MS, 300000).
-define(MAX_TARGETS, 10000).

%% Creates the table. The calling process owns it, and the table is deleted with that process.
-spec create() -> ok.
create() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, {read_concurrency, true}]),
    ok.

-spec learn(caravan_dns:answer()) -> ok.
learn(Answer) ->
    learn(Answer, ets:whereis(?MODULE)).

%% There is no table if a topology runs under a user's supervisor without the application.
learn(_Answer, undefined) ->
    ok;
learn(#{addresses := Addresses, address_ttls := Ttls}, _Table) ->
    Now = now_ms(),
    Entries = [
        {string:lowercase(Target), Ips, Now + lifetime(map_get(Target, Ttls))}
     || {Target, Ips} <- maps:to_list(Addresses)
    ],
    make_room(length(Entries)),
    true = ets:insert(?MODULE, lists:sublist(Entries, ?MAX_TARGETS)),
    ok.

%% The TTL of the address records counts: the host may have a new address long before the SRV records expire.
lifetime(Ttl) ->
    min(max(Ttl * 1000, ?MIN_TTL_MS), ?MAX_TTL_MS).

make_room(Count) ->
    case ets:info(?MODULE, size) + Count > ?MAX_TARGETS of
        true -> ets:delete_all_objects(?MODULE);
        false -> true
    end.

%% Returns the addresses of a host, in the order in which the nameserver sent them; `[]' if none are known or they have
%% expired.
-spec addresses(string(), inet | inet6) -> [inet:ip_address()].
addresses(Host, Family) ->
    addresses(Host, Family, fun(Expires) -> Expires > now_ms() end).

%% Like addresses/2, but also returns expired addresses. For when no nameserver answers.
-spec last_addresses(string(), inet | inet6) -> [inet:ip_address()].
last_addresses(Host, Family) ->
    addresses(Host, Family, fun(_Expires) -> true end).

%% There is no table before the application has started.
addresses(Host, Family, IsValid) ->
    try ets:lookup(?MODULE, key(Host)) of
        [{_, Ips, Expires}] -> [Ip || IsValid(Expires), Ip <- Ips, family(Ip) =:= Family];
        [] -> []
    catch
        error:badarg -> []
    end.

%% Returns whether the host is known to have no address of the family. A distribution with both families then tries the other
%% one.
-spec lacks(string(), inet | inet6) -> boolean().
lacks(Host, Family) ->
    try ets:lookup(?MODULE, key(Host)) of
        [{_, Ips, Expires}] -> Expires > now_ms() andalso [Ip || Ip <- Ips, family(Ip) =:= Family] =:= [];
        [] -> is_noted({lacks, Family, key(Host)})
    catch
        error:badarg -> false
    end.

is_noted(Lack) ->
    [Expires || {_, _, Expires} <- ets:lookup(?MODULE, Lack), Expires > now_ms()] =/= [].

%% Notes that no address of this family was found for the host.
-spec note_lack(string(), inet | inet6) -> ok.
note_lack(Host, Family) ->
    note_lack(Host, Family, ets:whereis(?MODULE)).

note_lack(_Host, _Family, undefined) ->
    ok;
note_lack(Host, Family, _Table) ->
    make_room(1),
    true = ets:insert(?MODULE, {{lacks, Family, key(Host)}, [], now_ms() + ?MIN_TTL_MS}),
    ok.

key(Host) ->
    string:lowercase(unicode:characters_to_binary(Host)).

-spec family(inet:ip_address()) -> inet | inet6.
family(Ip) when tuple_size(Ip) =:= 4 -> inet;
family(Ip) when tuple_size(Ip) =:= 8 -> inet6.

now_ms() ->
    erlang:monotonic_time(millisecond).
