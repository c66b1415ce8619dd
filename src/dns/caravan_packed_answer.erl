%% @private Unpacks answers. The library sends them as binaries to the process that waits, and that process makes the maps
%% that {@link caravan_dns} documents. c_src/core/wire/packed_answer.hpp describes the format.
-module(caravan_packed_answer).

-export([unpack/1]).

-define(SRV, 33).
-define(A, 1).

-spec unpack({ok, binary()} | {error, Reason}) -> {ok, caravan_dns:answer()} | {error, Reason}.
unpack({ok, <<?SRV:16, Complete, Ttl:32, Count:16, Packed/binary>>}) ->
    {Records, Glue} = srv_records(Count, Packed, []),
    {Addresses, AddressTtls} = glue(Glue, [], []),
    {ok, #{
        records => Records,
        addresses => Addresses,
        address_ttls => AddressTtls,
        ttl => Ttl,
        complete => Complete =:= 1
    }};
unpack({ok, <<?A:16, Complete, Ttl:32, Count:16, Packed/binary>>}) ->
    {ok, #{records => address_records(Count, Packed), addresses => #{}, ttl => Ttl, complete => Complete =:= 1}};
unpack({error, _} = Error) ->
    Error.

srv_records(0, Rest, Records) ->
    {lists:reverse(Records), Rest};
srv_records(
    Count, <<Priority:16, Weight:16, Port:16, Ttl:32, Size:16, Target:Size/binary, Rest/binary>>, Records
) ->
    Record = #{priority => Priority, weight => Weight, port => Port, target => binary:copy(Target), ttl => Ttl},
    srv_records(Count - 1, Rest, [Record | Records]).

address_records(0, <<>>) ->
    [];
address_records(Count, Packed) ->
    {Address, <<Ttl:32, Rest/binary>>} = address(Packed),
    [#{address => Address, ttl => Ttl} | address_records(Count - 1, Rest)].

glue(<<>>, Addresses, Ttls) ->
    {maps:from_list(Addresses), maps:from_list(Ttls)};
glue(<<Size:16, Name:Size/binary, Ttl:32, Count:16, Rest/binary>>, Addresses, Ttls) ->
    Target = binary:copy(Name),
    {OfTarget, Others} = addresses(Count, Rest, []),
    glue(Others, [{Target, OfTarget} | Addresses], [{Target, Ttl} | Ttls]).

addresses(0, Rest, Addresses) ->
    {lists:reverse(Addresses), Rest};
addresses(Count, Packed, Addresses) ->
    {Address, Rest} = address(Packed),
    addresses(Count - 1, Rest, [Address | Addresses]).

address(<<4, A, B, C, D, Rest/binary>>) ->
    {{A, B, C, D}, Rest};
address(<<6, A:16, B:16, C:16, D:16, E:16, F:16, G:16, H:16, Rest/binary>>) ->
    {{A, B, C, D, E, F, G, H}, Rest}.
