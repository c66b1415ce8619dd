%% @doc What a DNS server leaves out of a reply that is too large for its transport.
-module(caravan_dns_fit).

-export([encode/4]).

-export_type([content/0, oversize/0]).

-type oversize() :: truncate | trim.

-type content() :: #{rcode := caravan_dns_wire:rcode(),
                     answer := [caravan_dns_wire:owned_record()],
                     authority := [caravan_dns_wire:owned_record()]}.

-type glue() :: fun((Answer :: [caravan_dns_wire:owned_record()]) -> [caravan_dns_wire:owned_record()]).

-define(TCP_LIMIT, 65535).
-define(PLAIN_UDP_LIMIT, 512).
%% What an IPv4 packet of 65535 bytes holds after the IP and the UDP header.
-define(LARGEST_DATAGRAM, 65507).
%% Consul's default `dns_config.udp_answer_limit', which it applies to queries without EDNS.
-define(CONSUL_ANSWER_LIMIT, 3).

%% @doc Encodes as much of a reply as the query's transport and EDNS size admit.
%%
%% UDP, `truncate': glue goes first, then answers and the TC bit is set (RFC 2181 section 9). UDP, `trim':
%% answers go together with their glue and nothing tells, as Consul does. TCP: glue goes, and answers that
%% do not fit without it make the reply SERVFAIL. `Glue' gives the additional records of some answers.
-spec encode(content(), glue(), oversize(), caravan_dns_wire:query()) -> caravan_dns_wire:template().
encode(#{answer := Answer} = Content, Glue, _Oversize, #{transport := tcp} = Query) ->
    Candidates = [Content#{tc => false, additional => Glue(Answer)},
                  Content#{tc => false, additional => []}],
    first_that_fits(Candidates, Query);
encode(#{answer := Answer} = Content, Glue, truncate, Query) ->
    WithAnswers = fun(Count) ->
                          Content#{answer := lists:sublist(Answer, Count),
                                   tc => Count < length(Answer),
                                   additional => []}
                  end,
    case largest(WithAnswers, length(Answer), Query) of
        {#{tc := true}, Bytes} -> Bytes;
        {#{tc := false} = Whole, _} -> add_glue(Whole, Glue(Answer), Query)
    end;
encode(#{answer := Answer} = Content, Glue, trim, Query) ->
    WithAnswers = fun(Count) ->
                          Kept = lists:sublist(Answer, Count),
                          Content#{answer := Kept, tc => false, additional => Glue(Kept)}
                  end,
    {_, Bytes} = largest(WithAnswers, answer_limit(Answer, Query), Query),
    Bytes.

first_that_fits([Reply | Smaller], Query) ->
    case caravan_dns_wire:encode(Reply, Query) of
        Bytes when byte_size(Bytes) =< ?TCP_LIMIT -> Bytes;
        _ -> first_that_fits(Smaller, Query)
    end;
first_that_fits([], Query) ->
    Servfail = #{rcode => servfail, tc => false, answer => [], authority => [], additional => []},
    caravan_dns_wire:encode(Servfail, Query).

add_glue(Reply, Glue, Query) ->
    WithGlue = fun(Count) -> Reply#{additional := lists:sublist(Glue, Count)} end,
    {_, Bytes} = largest(WithGlue, length(Glue), Query),
    Bytes.

answer_limit(Answer, #{edns_size := none}) -> min(length(Answer), ?CONSUL_ANSWER_LIMIT);
answer_limit(Answer, #{}) -> length(Answer).

%% The reply with the most records, Max at most, that fits; one with none is taken to fit.
largest(Reply, Max, Query) ->
    case encode_within(Reply(Max), Query) of
        {ok, Bytes} -> {Reply(Max), Bytes};
        too_large -> bisect(Reply, 0, Max, Query)
    end.

bisect(Reply, Fits, TooMany, Query) when TooMany - Fits =< 1 ->
    {Reply(Fits), caravan_dns_wire:encode(Reply(Fits), Query)};
bisect(Reply, Fits, TooMany, Query) ->
    Middle = (Fits + TooMany) div 2,
    case encode_within(Reply(Middle), Query) of
        {ok, _} -> bisect(Reply, Middle, TooMany, Query);
        too_large -> bisect(Reply, Fits, Middle, Query)
    end.

encode_within(Reply, Query) ->
    Limit = udp_limit(Query),
    case caravan_dns_wire:encode(Reply, Query) of
        Bytes when byte_size(Bytes) =< Limit -> {ok, Bytes};
        _ -> too_large
    end.

%% RFC 6891 section 6.2.3: a size below 512 counts as 512.
udp_limit(#{edns_size := none}) -> ?PLAIN_UDP_LIMIT;
udp_limit(#{edns_size := Size}) -> min(max(Size, ?PLAIN_UDP_LIMIT), ?LARGEST_DATAGRAM).
