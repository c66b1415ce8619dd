%% @private
%% The handshake of the distribution, from the side of the node that connects (erts, distribution protocol, "Distribution
%% Handshake"). ask/3 goes up to the challenge, in which a node tells its name before any proof; prove/4 goes on to the proof
%% that both have the same cookie.
-module(caravan_handshake).

-export([ask/3, prove/4]).

-export_type([connection/0, introduction/0, refusal/0]).

%% A passive, binary socket that is connected to the port of a node: TCP without packets, or TLS with packets of a 4-octet
%% length.
-type connection() :: {tcp, gen_tcp:socket()} | {tls, ssl:sslsocket()}.

%% What a node tells in its challenge.
-type introduction() :: #{name := binary(), flags := non_neg_integer(), challenge := 0..16#FFFFFFFF}.

%% `timeout': no reply. `closed': the connection was closed. `not_allowed': net_kernel:allow/1 there does not include this
%% name. `busy': a connection of this name is up or being set up. `speaks_tls': the octets are those of TLS. `no_node': they
%% are not those of a node. `tls_alert': the other side ended TLS.
-type refusal() :: timeout | closed | not_allowed | busy | speaks_tls | no_node | {tls_alert, {atom(), term()}}.

%% The flags that nodes require since OTP 25 and 26, one by one and as a digest. Without DFLAG_PUBLISHED, as a hidden node
%% has them.
-define(FLAGS,
    (16#4 bor 16#10 bor 16#80 bor 16#100 bor 16#200 bor 16#400 bor 16#800 bor 16#10000 bor 16#20000 bor 16#40000 bor
        16#1000000 bor 16#2000000 bor 16#400000000 bor 16#1000000000)
).
-define(MAX_NAME_BYTES, 1020).
-define(MAX_MESSAGE_BYTES, ?MAX_NAME_BYTES + 32).

%% The part of the time that is left for the reply of a line-based server.
-define(NUDGE_MS, 400).

%% The record header of a TLS alert (RFC 8446, section 5.1).
-define(TLS_ALERT, 21, 3).

%% Asks a node for its name, under the name `AskedBy'. `Deadline' is in monotonic milliseconds. The node makes an atom of
%% `AskedBy'; a connection that is closed after the challenge leaves no other trace there and no line in its log.
-spec ask(connection(), AskedBy :: binary(), Deadline :: integer()) -> {ok, introduction()} | refusal().
ask(Connection, AskedBy, Deadline) ->
    case send(<<$N, ?FLAGS:64, 0:32, (byte_size(AskedBy)):16, AskedBy/binary>>, Connection) of
        ok -> status(receive_status(Connection, Deadline), Connection, Deadline);
        {error, _} -> closed
    end.

%% The server of a line-based protocol waits for the end of a line, and gets one. A node that replies only after that is too
%% late.
receive_status({tls, _} = Connection, Deadline) ->
    receive_message(Connection, Deadline);
receive_status({tcp, Socket} = Connection, Deadline) ->
    case receive_message(Connection, Deadline - ?NUDGE_MS) of
        timeout ->
            _ = gen_tcp:send(Socket, <<"\r\n\r\n">>),
            nudged(receive_message(Connection, Deadline));
        Answer ->
            Answer
    end.

nudged({ok, _Late}) -> timeout;
nudged(closed) -> no_node;
nudged(Refusal) -> Refusal.

status({ok, <<"sok", _/binary>>}, Connection, Deadline) -> challenge(receive_message(Connection, Deadline));
status({ok, <<"snot_allowed">>}, _Connection, _Deadline) -> not_allowed;
status({ok, <<"snok">>}, _Connection, _Deadline) -> busy;
status({ok, <<"salive">>}, _Connection, _Deadline) -> busy;
status({ok, _Other}, _Connection, _Deadline) -> no_node;
status(Refusal, _Connection, _Deadline) -> Refusal.

challenge({ok, <<$N, Flags:64, Challenge:32, _Creation:32, Size:16, Name:Size/binary, _/binary>>}) when Size =< ?MAX_NAME_BYTES ->
    introduced(unicode:characters_to_list(Name), #{name => Name, flags => Flags, challenge => Challenge});
challenge({ok, _Other}) ->
    no_node;
challenge(Refusal) ->
    Refusal.

%% The name comes from the network and is printed.
introduced([_ | _] = Characters, Introduction) ->
    case io_lib:printable_unicode_list(Characters) andalso not lists:any(fun misleads/1, Characters) of
        true -> {ok, Introduction};
        false -> no_node
    end;
introduced(_NoText, _Introduction) ->
    no_node.

%% Spaces, and characters that change the direction of text (Unicode Standard Annex 9, section 2).
misleads(Character) ->
    Character =< $\s orelse Character =:= 16#61C orelse (Character >= 16#200B andalso Character =< 16#200F) orelse
        (Character >= 16#2028 andalso Character =< 16#202E) orelse (Character >= 16#2066 andalso Character =< 16#2069).

%% Completes the handshake that ask/3 began. The node then counts `AskedBy' as connected until the connection is closed. It
%% logs an error if the proof is wrong.
-spec prove(connection(), introduction(), Cookie :: atom(), Deadline :: integer()) -> ok | refusal().
prove(Connection, #{challenge := Theirs}, Cookie, Deadline) ->
    Ours = rand:uniform(16#100000000) - 1,
    case send(<<$r, Ours:32, (digest(Cookie, Theirs))/binary>>, Connection) of
        ok -> proven(receive_message(Connection, Deadline), digest(Cookie, Ours));
        {error, _} -> closed
    end.

proven({ok, <<$a, Digest/binary>>}, Digest) -> ok;
proven({ok, _Other}, _Digest) -> no_node;
proven(Refusal, _Digest) -> Refusal.

digest(Cookie, Challenge) ->
    erlang:md5([atom_to_list(Cookie), integer_to_list(Challenge)]).

send(Message, {tcp, Socket}) -> gen_tcp:send(Socket, [<<(byte_size(Message)):16>>, Message]);
send(Message, {tls, Socket}) -> ssl:send(Socket, Message).

receive_message({tls, Socket}, Deadline) ->
    received(ssl:recv(Socket, 0, caravan_task:remaining(Deadline)));
receive_message({tcp, Socket}, Deadline) ->
    case gen_tcp:recv(Socket, 3, caravan_task:remaining(Deadline)) of
        {ok, <<?TLS_ALERT, _/binary>>} -> speaks_tls;
        {ok, <<Size:16, Tag>>} when Size > 1, Size =< ?MAX_MESSAGE_BYTES -> receive_rest(Tag, Size - 1, Socket, Deadline);
        {ok, _NoNode} -> no_node;
        {error, _} = Error -> received(Error)
    end.

receive_rest(Tag, Size, Socket, Deadline) ->
    case gen_tcp:recv(Socket, Size, caravan_task:remaining(Deadline)) of
        {ok, Rest} -> {ok, <<Tag, Rest/binary>>};
        {error, _} = Error -> received(Error)
    end.

received({ok, Message}) -> {ok, Message};
received({error, timeout}) -> timeout;
received({error, {tls_alert, _} = Alert}) -> Alert;
received({error, _}) -> closed.
