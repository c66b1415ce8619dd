%% @private
%% Makes one lookup and prints the result in the form of dig.
-module(caravan_dig).

-export([run/3]).

%% Returns `none' if a nameserver says that there are no such records.
-spec run(string(), srv | a | aaaa | addresses, map()) -> ok | none | {error, unicode:chardata()}.
run(Name, Type, Options) ->
    Began = erlang:monotonic_time(microsecond),
    Result = caravan_dns:lookup(Name, Type, maps:with([nameservers, transport, timeout], Options)),
    Took = erlang:monotonic_time(microsecond) - Began,
    printed(with_asked(Result, Options), Name, Type, Took, maps:get(json, Options, false)).

%% An error names the nameservers that were asked.
with_asked({error, Reason}, Options) when is_atom(Reason) -> {error, Reason, asked(Options)};
with_asked(Result, _Options) -> Result.

asked(#{nameservers := Nameservers}) -> Nameservers;
asked(#{}) -> {ok, Nameservers} = caravan_config:value(nameservers), Nameservers.

printed({ok, Answer}, Name, Type, Took, Json) ->
    io:put_chars(answer(Answer, Name, Type, Took, Json));
printed({error, Reason, Asked}, Name, Type, Took, Json) when Reason =:= nxdomain; Reason =:= nodata ->
    ok = io:put_chars(no_records(Reason, Asked, Name, Type, Took, Json)),
    none;
printed({error, Reason, Asked}, _Name, _Type, _Took, _Json) ->
    {error, [caravan_dns:format_error(Reason), "; asked: ", nameservers(Asked)]};
printed({error, Error}, _Name, _Type, _Took, _Json) ->
    {error, caravan_dns:format_error(Error)}.

nameservers(system) -> "the nameservers of resolv.conf";
nameservers(Nameservers) -> lists:join(", ", Nameservers).

no_records(Reason, _Asked, Name, Type, Took, true) ->
    json(#{name => list_to_binary(Name), type => Type, error => Reason, microseconds => Took});
no_records(Reason, Asked, Name, Type, Took, false) ->
    io_lib:format(";; ~ts ~ts: ~ts, asked: ~ts, ~.1f ms~n", [Name, word(Type), Reason, nameservers(Asked), Took / 1000]).

answer(#{records := Records, addresses := Addresses, ttl := Ttl, complete := Complete}, Name, Type, Took, true) ->
    json(#{
        name => list_to_binary(Name), type => Type, ttl => Ttl, complete => Complete, microseconds => Took,
        records => [maps:map(fun json_value/2, Record) || Record <- Records],
        addresses => maps:map(fun(_Target, Ips) -> [text(Ip) || Ip <- Ips] end, Addresses)
    });
answer(#{records := Records, addresses := Addresses, ttl := Ttl, complete := Complete} = Answer, Name, Type, Took, false) ->
    Ttls = maps:get(address_ttls, Answer, #{}),
    [
        [record(Name, Record) || Record <- Records],
        [io_lib:format("~n;; addresses that came along~n", []) || map_size(Addresses) > 0],
        [address(Target, maps:get(Target, Ttls, 0), Ip) || {Target, Ips} <- lists:sort(maps:to_list(Addresses)), Ip <- Ips],
        io_lib:format("~n;; ~ts ~ts: ~ts, ~ts, TTL ~b s, ~.1f ms~n", [
            Name, word(Type), caravan_check:count(length(Records), "record"), complete(Complete), Ttl, Took / 1000
        ])
    ].

json(Value) -> [caravan_json:encode(Value), $\n].

json_value(address, Ip) -> text(Ip);
json_value(_Key, Value) -> Value.

text(Ip) -> list_to_binary(inet:ntoa(Ip)).

record(Name, #{priority := Priority, weight := Weight, port := Port, target := Target, ttl := Ttl}) ->
    io_lib:format("~ts ~b IN SRV ~b ~b ~b ~ts~n", [Name, Ttl, Priority, Weight, Port, printable(Target)]);
record(Name, #{address := Ip, ttl := Ttl}) ->
    address(Name, Ttl, Ip).

address(Name, Ttl, Ip) ->
    io_lib:format("~ts ~b IN ~ts ~ts~n", [printable(Name), Ttl, type_of(Ip), inet:ntoa(Ip)]).

%% Octets that do not print are escaped as in RFC 1035, section 5.1, since a name from the network may have any octets.
printable(Name) ->
    [escaped(Octet) || Octet <- binary_to_list(iolist_to_binary(Name))].

escaped(Octet) when Octet > $\s, Octet < 16#7F -> Octet;
escaped(Octet) -> io_lib:format("\\~3..0b", [Octet]).

type_of(Ip) when tuple_size(Ip) =:= 4 -> "A";
type_of(Ip) when tuple_size(Ip) =:= 8 -> "AAAA".

word(Type) -> string:uppercase(atom_to_list(Type)).

complete(true) -> "complete";
complete(false) -> "not known to be complete".
