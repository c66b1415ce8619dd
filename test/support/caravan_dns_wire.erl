%% @doc DNS messages as the test server sees them: queries in, replies out.
%%
%% Encoding and decoding is OTP's `inet_dns'. Its record definitions are not shipped with every Erlang
%% package, so messages are made and read through its accessor functions.
-module(caravan_dns_wire).

-export([decode_query/1, encode/2, for_query/2, name/1, name_key/1]).

-export_type([dns_type/0, query/0, resource_record/0, owned_record/0, reply/0, rcode/0, template/0]).

-type dns_type() :: atom() | 0..65535.
%% `a', `srv' and so on as `inet_dns' names them; a type unknown to it is the number.

-type query() :: #{bytes := binary(), id := 0..65535, name := string(), type := dns_type(),
                   class := atom() | 0..65535, rd := 0..1, edns_size := 0..65535 | none,
                   question := binary(), transport => udp | tcp, source_port => inet:port_number()}.
%% `name' keeps the case it was sent in, without the trailing dot; `question' is the question section.

-type resource_record() ::
        {srv, TTL :: 0..16#7fffffff, Priority :: 0..65535, Weight :: 0..65535, inet:port_number(),
         Target :: string() | binary()}
      | {a, TTL :: 0..16#7fffffff, inet:ip4_address()}
      | {aaaa, TTL :: 0..16#7fffffff, inet:ip6_address()}
      | {cname, TTL :: 0..16#7fffffff, Target :: string() | binary()}
      | {soa, TTL :: 0..16#7fffffff, Minimum :: 0..16#7fffffff}.

-type owned_record() :: {Owner :: string(), resource_record()}.

-type rcode() :: noerror | formerr | servfail | nxdomain | notimp | refused.

-type reply() :: #{rcode := rcode(), tc := boolean(), answer := [owned_record()],
                   authority := [owned_record()], additional := [owned_record()]}.

-type template() :: binary().
%% An encoded reply before `for_query/2' has given it the id and the question of one query.

-define(HEADER_SIZE, 12).
-define(MAX_NAME_SIZE, 255).
-define(EDNS_SIZE, 1232).

%% @doc Reads a query.
%%
%% Returns `{error, {reply, Bytes}}' when the message is no well-formed single question but has a header to
%% answer FORMERR or NOTIMP to, and `{error, no_reply}' when it is a response or too short to be a message.
-spec decode_query(binary()) -> {ok, query()} | {error, {reply, binary()} | no_reply}.
decode_query(<<_Id:16, 1:1, _/bitstring>>) ->
    {error, no_reply};
decode_query(<<Id:16, 0:1, 0:4, _:2, RD:1, _:8, 1:16, 0:16, 0:16, _:16, _/binary>> = Bytes) ->
    case decode_question(Bytes) of
        {ok, Question} -> {ok, Question#{bytes => Bytes, id => Id, rd => RD}};
        error -> {error, {reply, bare_reply(Id, RD, formerr)}}
    end;
decode_query(<<Id:16, 0:1, 0:4, _:2, RD:1, _:8, _:64, _/binary>>) ->
    {error, {reply, bare_reply(Id, RD, formerr)}};
decode_query(<<Id:16, 0:1, _Opcode:4, _:2, RD:1, _:8, _:64, _/binary>>) ->
    {error, {reply, bare_reply(Id, RD, notimp)}};
decode_query(_) ->
    {error, no_reply}.

%% @doc Encodes a reply with the lower-cased name of the query as its question.
%%
%% The reply carries an OPT record when the query did. `reply()' records with an owner spelled like
%% the lower-cased query name are compressed to a pointer at the question.
-spec encode(reply(), query()) -> template().
encode(#{rcode := Rcode} = Reply, #{name := Name, type := Type, class := Class} = Query) ->
    Header = inet_dns:make_header([{qr, true},
                                   {opcode, query},
                                   {aa, Rcode =:= noerror orelse Rcode =:= nxdomain},
                                   {tc, maps:get(tc, Reply)},
                                   {rcode, rcode(Rcode)}]),
    Question = inet_dns:make_dns_query([{domain, name_key(Name)}, {type, Type}, {class, Class}]),
    Additional = records(additional, Reply) ++ opt(Query),
    inet_dns:encode(inet_dns:make_msg([{header, Header},
                                       {qdlist, [Question]},
                                       {anlist, records(answer, Reply)},
                                       {nslist, records(authority, Reply)},
                                       {arlist, Additional}])).

%% @doc Turns a template into the reply to one query: its id, its RD bit, its question with its case.
-spec for_query(template(), query()) -> binary().
for_query(Template, #{id := Id, rd := RD, question := Question}) ->
    Size = byte_size(Question),
    <<_:16, Before:7, _:1, After:8, Counts:8/binary, _:Size/binary, Records/binary>> = Template,
    <<Id:16, Before:7, RD:1, After:8, Counts/binary, Question/binary, Records/binary>>.

%% @doc A domain name as `inet_dns' takes it: a string, here always without trailing dot.
-spec name(string() | binary()) -> string().
name(Name) ->
    Characters = unicode:characters_to_list(Name),
    case lists:reverse(Characters) of
        [$., $\\ | _] -> Characters;
        [$. | Reversed] -> lists:reverse(Reversed);
        _ -> Characters
    end.

%% @doc A domain name as a key: names that DNS takes for the same one (RFC 4343) give the same key.
-spec name_key(string() | binary()) -> string().
name_key(Name) ->
    [lower(Character) || Character <- name(Name)].

lower(Character) when Character >= $A, Character =< $Z -> Character + ($a - $A);
lower(Character) -> Character.

%% inet_dns returns an error for what it knows to be malformed and raises for the rest, such as bad UTF-8
%% in a NAPTR record; a TC bit makes it accept a message without the question its header counts.
decode_question(<<_:?HEADER_SIZE/binary, Rest/binary>> = Bytes) ->
    try
        {ok, Message} = inet_dns:decode(Bytes),
        [Question] = inet_dns:msg(Message, qdlist),
        {ok, #{name => name(inet_dns:dns_query(Question, domain)),
               type => inet_dns:dns_query(Question, type),
               class => inet_dns:dns_query(Question, class),
               edns_size => edns_size(inet_dns:msg(Message, arlist)),
               question => binary:part(Rest, 0, name_size(Rest, 0) + 4)}}
    catch
        error:_ -> error
    end.

%% The size of an uncompressed name; raises when there is none. `for_query/2' replaces one question by
%% another of the same size, so that a compressed one cannot be served.
name_size(<<0, _/binary>>, Before) when Before < ?MAX_NAME_SIZE ->
    Before + 1;
name_size(<<0:2, Size:6, _:Size/binary, Rest/binary>>, Before) when Size > 0 ->
    name_size(Rest, Before + 1 + Size).

edns_size(Additional) ->
    case [RR || RR <- Additional, inet_dns:rr(RR, type) =:= opt] of
        [Opt | _] -> inet_dns:rr(Opt, udp_payload_size);
        [] -> none
    end.

bare_reply(Id, RD, Rcode) ->
    <<Id:16, 1:1, 0:4, 0:2, RD:1, 0:4, (rcode(Rcode)):4, 0:64>>.

opt(#{edns_size := none}) -> [];
opt(#{}) -> [inet_dns:make_rr([{type, opt}, {udp_payload_size, ?EDNS_SIZE}])].

records(Section, Reply) ->
    [inet_dns:make_rr([{domain, Owner}, {class, in} | record_fields(Record)])
     || {Owner, Record} <- maps:get(Section, Reply)].

record_fields({srv, TTL, Priority, Weight, Port, Target}) ->
    [{type, srv}, {ttl, TTL}, {data, {Priority, Weight, Port, name(Target)}}];
record_fields({cname, TTL, Target}) ->
    [{type, cname}, {ttl, TTL}, {data, name(Target)}];
record_fields({soa, TTL, Minimum}) ->
    [{type, soa}, {ttl, TTL}, {data, {"ns.invalid", "hostmaster.invalid", 1, 3600, 600, 86400, Minimum}}];
record_fields({Type, TTL, IP}) when Type =:= a; Type =:= aaaa ->
    [{type, Type}, {ttl, TTL}, {data, IP}].

rcode(noerror) -> 0;
rcode(formerr) -> 1;
rcode(servfail) -> 2;
rcode(nxdomain) -> 3;
rcode(notimp) -> 4;
rcode(refused) -> 5.
