%% @doc A DNS client that hides nothing: it sends raw queries and returns raw or decoded replies. A resolver would retry,
%% correct or refuse some of them. It waits for a reply for at most five seconds.
-module(caravan_dns_client).

-export([query/2, query/3, ask/3, open/2, send/2, reply/1, decode/1]).

-export_type([message/0, socket/0]).

-type message() :: #{id := 0..65535, rcode := 0..15, tc := boolean(), rd := boolean(),
                     question := [{string(), caravan_dns_wire:dns_type()}],
                     answer := [resource_record()],
                     authority := [resource_record()],
                     additional := [resource_record()],
                     edns_size := 0..65535 | none}.

-type resource_record() :: {Owner :: string(), caravan_dns_wire:dns_type(), TTL :: non_neg_integer(),
                            Data :: term()}.

-type socket() :: {udp, gen_udp:socket()} | {tcp, gen_tcp:socket()}.

-define(TIMEOUT, 5000).

%% @doc `query/3' with the id 1 and without EDNS.
-spec query(string(), caravan_dns_wire:dns_type()) -> binary().
query(Name, Type) ->
    query(Name, Type, #{}).

%% @doc The bytes of a query. Options are `id', `edns_size', `rd' and `class'.
-spec query(string(), caravan_dns_wire:dns_type(), map()) -> binary().
query(Name, Type, Options) ->
    Header = inet_dns:make_header([{id, maps:get(id, Options, 1)},
                                   {opcode, query},
                                   {rd, maps:get(rd, Options, true)}]),
    Class = maps:get(class, Options, in),
    Question = inet_dns:make_dns_query([{domain, Name}, {type, Type}, {class, Class}]),
    Opt = [inet_dns:make_rr([{type, opt}, {udp_payload_size, Size}])
           || {ok, Size} <- [maps:find(edns_size, Options)]],
    inet_dns:encode(inet_dns:make_msg([{header, Header}, {qdlist, [Question]}, {arlist, Opt}])).

%% @doc Sends a query through a new socket and returns the decoded reply.
-spec ask(udp | tcp, pid(), binary()) -> message() | {error, closed | timeout | inet:posix()}.
ask(Transport, Server, Query) ->
    Socket = open(Transport, Server),
    ok = send(Socket, Query),
    Result = reply(Socket),
    close(Socket),
    case Result of
        {ok, Bytes} -> decode(Bytes);
        {error, Reason} -> {error, Reason}
    end.

%% @doc A connection to the server.
%%
%% UDP sockets are connected, too, so that the caller gets an error if nothing listens there.
-spec open(udp | tcp, pid()) -> socket().
open(udp, Server) ->
    {ok, Socket} = gen_udp:open(0, [binary, {active, false}, {buffer, 1 bsl 16}]),
    ok = gen_udp:connect(Socket, {127, 0, 0, 1}, caravan_dns_server:port(Server)),
    {udp, Socket};
open(tcp, Server) ->
    Options = [binary, {active, false}, {packet, 2}, {nodelay, true}],
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, caravan_dns_server:port(Server), Options, ?TIMEOUT),
    {tcp, Socket}.

%% @doc Sends one message.
-spec send(socket(), binary()) -> ok | {error, closed | inet:posix()}.
send({udp, Socket}, Bytes) -> gen_udp:send(Socket, Bytes);
send({tcp, Socket}, Bytes) -> gen_tcp:send(Socket, Bytes).

%% @doc The next reply.
-spec reply(socket()) -> {ok, binary()} | {error, closed | timeout | inet:posix()}.
reply({udp, Socket}) ->
    case gen_udp:recv(Socket, 0, ?TIMEOUT) of
        {ok, {_, _, Bytes}} -> {ok, Bytes};
        {error, Reason} -> {error, Reason}
    end;
reply({tcp, Socket}) ->
    gen_tcp:recv(Socket, 0, ?TIMEOUT).

%% @doc A reply taken apart. Raises when it is malformed.
%%
%% The TC bit is read here, and hidden from `inet_dns': OTP 28.4.2 and versions with its security fixes, as
%% Debian's 27.3.4.1 is, take a truncated message whose counts are right for a malformed one (OTP PR 11247).
-spec decode(binary()) -> message().
decode(<<Before:22, TC:1, After/bitstring>>) ->
    {ok, Message} = inet_dns:decode(<<Before:22, 0:1, After/bitstring>>),
    Header = inet_dns:msg(Message, header),
    {Opts, Additional} = lists:partition(fun is_opt/1, inet_dns:msg(Message, arlist)),
    #{id => inet_dns:header(Header, id),
      rcode => inet_dns:header(Header, rcode),
      tc => TC =:= 1,
      rd => inet_dns:header(Header, rd),
      question => [{inet_dns:dns_query(Question, domain), inet_dns:dns_query(Question, type)}
                   || Question <- inet_dns:msg(Message, qdlist)],
      answer => records(inet_dns:msg(Message, anlist)),
      authority => records(inet_dns:msg(Message, nslist)),
      additional => records(Additional),
      edns_size => case Opts of
                       [Opt] -> inet_dns:rr(Opt, udp_payload_size);
                       [] -> none
                   end}.

is_opt(RR) ->
    inet_dns:rr(RR, type) =:= opt.

records(RRs) ->
    [{inet_dns:rr(RR, domain), inet_dns:rr(RR, type), inet_dns:rr(RR, ttl), inet_dns:rr(RR, data)}
     || RR <- RRs].

close({udp, Socket}) -> gen_udp:close(Socket);
close({tcp, Socket}) -> gen_tcp:close(Socket).
