%% @private
%% Sends one question to one nameserver once and returns the properties of the reply. Unlike a lookup, it shows what the
%% nameserver does, such as truncation, for which a resolver compensates.
-module(caravan_dns_probe).

-export([ask/5]).

-export_type([reply/0]).

-type reply() :: #{
    rcode := 0..15,
    octets := non_neg_integer(),
    truncated := boolean(),
    edns := boolean(),
    answers := non_neg_integer(),
    milliseconds := non_neg_integer()
}.

%% The size that DNS flag day 2020 recommends and most clients use.
-define(EDNS_SIZE, 1232).
-define(TYPES, #{srv => 33, a => 1, aaaa => 28, addresses => 1}).

%% Asks the nameserver. `Deadline' is in monotonic milliseconds. Raises if inet_dns raises for a reply that it cannot parse.
-spec ask({inet:ip_address(), inet:port_number()}, udp | tcp, binary(), srv | a | aaaa | addresses, Deadline :: integer()) ->
    {ok, reply()} | {error, timeout | badresp | inet:posix()}.
ask(Nameserver, Transport, Name, Type, Deadline) ->
    Id = rand:uniform(16#10000) - 1,
    Began = erlang:monotonic_time(millisecond),
    case exchange(Transport, Nameserver, question(Id, Name, Type), Id, Deadline) of
        {ok, Message} -> read(Message, erlang:monotonic_time(millisecond) - Began);
        {error, closed} -> {error, econnreset};
        {error, _} = Error -> Error
    end.

%% A message as in RFC 1035, section 4.1, with the OPT record of RFC 6891, section 6.1.2.
question(Id, Name, Type) ->
    Labels = [<<(byte_size(Label)), Label/binary>> || Label <- binary:split(Name, <<".">>, [global]), Label =/= <<>>],
    iolist_to_binary([<<Id:16, 16#0100:16, 1:16, 0:16, 0:16, 1:16>>, Labels, <<0, (map_get(Type, ?TYPES)):16, 1:16>>, <<0, 41:16, ?EDNS_SIZE:16, 0:32, 0:16>>]).

exchange(udp, {Ip, Port}, Question, Id, Deadline) ->
    case gen_udp:open(0, [caravan_glue:family(Ip), binary, {active, false}]) of
        {ok, Socket} ->
            Result = exchange_datagrams(gen_udp:connect(Socket, Ip, Port), Socket, Question, Id, Deadline),
            ok = gen_udp:close(Socket),
            Result;
        {error, _} = Error ->
            Error
    end;
exchange(tcp, {Ip, Port}, Question, _Id, Deadline) ->
    case gen_tcp:connect(Ip, Port, [caravan_glue:family(Ip), binary, {active, false}, {packet, 2}], caravan_task:remaining(Deadline)) of
        {ok, Socket} ->
            ok = inet:setopts(Socket, [{packet_size, 65535}]),
            Result = sent(gen_tcp:send(Socket, Question), fun() -> gen_tcp:recv(Socket, 0, caravan_task:remaining(Deadline)) end),
            ok = gen_tcp:close(Socket),
            Result;
        {error, _} = Error ->
            Error
    end.

exchange_datagrams(ok, Socket, Question, Id, Deadline) ->
    sent(gen_udp:send(Socket, Question), fun() -> datagram(Socket, Id, Deadline) end);
exchange_datagrams({error, _} = Error, _Socket, _Question, _Id, _Deadline) ->
    Error.

sent(ok, Receive) -> Receive();
sent({error, _} = Error, _Receive) -> Error.

%% Discards datagrams with another ID, which do not belong to this question.
datagram(Socket, Id, Deadline) ->
    case gen_udp:recv(Socket, 0, caravan_task:remaining(Deadline)) of
        {ok, {_, _, <<Id:16, _/binary>> = Message}} -> {ok, Message};
        {ok, _} -> datagram(Socket, Id, Deadline);
        {error, _} = Error -> Error
    end.

read(<<_Id:16, _:6, Truncated:1, _:5, Rcode:4, _:16, Answers:16, _/binary>> = Message, Milliseconds) ->
    {ok, #{
        rcode => Rcode,
        octets => byte_size(Message),
        truncated => Truncated =:= 1,
        edns => has_opt(inet_dns:decode(Message)),
        answers => Answers,
        milliseconds => Milliseconds
    }};
read(_Message, _Milliseconds) ->
    {error, badresp}.

has_opt({ok, Message}) -> lists:any(fun(Record) -> inet_dns:rr(Record, type) =:= opt end, inet_dns:msg(Message, arlist));
has_opt({error, _}) -> false.
