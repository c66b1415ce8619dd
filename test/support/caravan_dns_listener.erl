%% @doc The sockets of the test DNS server and the processes that serve them.
%%
%% One process reads UDP, one accepts TCP connections, and each connection has its own, linked to the one
%% that accepts. Each asks the server what to do with a query and does it, so that a reply that waits or a
%% function that blocks holds up its own socket at most.
-module(caravan_dns_listener).

-export([open/4, close/1]).

-export_type([listener/0, ask/0, request/0]).

-opaque listener() :: {udp, gen_udp:socket(), pid()} | {tcp, gen_tcp:socket(), pid()}.

-type request() :: {query, caravan_dns_wire:query()}
                 | {answer, caravan_dns_zone:answer(), caravan_dns_zone:chain(), caravan_dns_wire:query()}
                 | await_running.

-type ask() :: fun((request()) -> caravan_dns_zone:plan() | ok).
%% Asks the server, and waits while the server is paused.

%% The operating system picks the port of one transport, and another program may have that port of the other one.
-define(BIND_ATTEMPTS, 20).
-define(SPLIT_PIECES, 8).

%% @doc Opens a socket per transport, all on one port, and starts serving them.
%%
%% With port 0 the OS picks one. The caller owns the sockets and is linked to the processes. Returns
%% `{error, {Transport, Port, Reason}}' when a socket cannot be bound.
-spec open(inet:ip_address(), inet:port_number(), [udp | tcp], ask()) ->
          {ok, inet:port_number(), [listener()]}
        | {error, {udp | tcp, inet:port_number(), inet:posix()}}.
open(IP, Port, Transports, Ask) ->
    TcpFirst = [Transport || Transport <- [tcp, udp], lists:member(Transport, Transports)],
    case bind(IP, Port, TcpFirst, ?BIND_ATTEMPTS) of
        {ok, Bound, Sockets} ->
            {ok, Bound, [start(Transport, Socket, Ask) || {Transport, Socket} <- Sockets]};
        {error, Reason} ->
            {error, Reason}
    end.

%% @doc Closes the sockets, TCP connections included. Afterwards the port is free.
-spec close([listener()]) -> ok.
close(Listeners) ->
    lists:foreach(fun({Transport, Socket, Pid}) ->
                          stop(Pid),
                          close_socket(Transport, Socket)
                  end,
                  Listeners).

bind(IP, Port, Transports, Attempts) ->
    case bind_all(IP, Port, Transports, []) of
        {error, {_, _, eaddrinuse}} when Port =:= 0, Attempts > 1 ->
            bind(IP, Port, Transports, Attempts - 1);
        Result ->
            Result
    end.

bind_all(IP, Port, [Transport | Transports], Sockets) ->
    case bind_one(Transport, Port, IP) of
        {ok, Socket} ->
            {ok, Bound} = inet:port(Socket),
            bind_all(IP, Bound, Transports, [{Transport, Socket} | Sockets]);
        {error, Reason} ->
            lists:foreach(fun({Opened, Socket}) -> close_socket(Opened, Socket) end, Sockets),
            {error, {Transport, Port, Reason}}
    end;
bind_all(_, Port, [], Sockets) ->
    {ok, Port, Sockets}.

%% Without reuseaddr, connections in TIME_WAIT would keep a reopened server from its port.
bind_one(tcp, Port, IP) ->
    gen_tcp:listen(Port, [binary, family(IP), {ip, IP}, {active, false}, {packet, raw}, {reuseaddr, true},
                          {nodelay, true}, {backlog, 1024}]);
bind_one(udp, Port, IP) ->
    gen_udp:open(Port, [binary, family(IP), {ip, IP}, {active, false}, {recbuf, 1 bsl 20},
                        {buffer, 1 bsl 16}]).

family(IP) when tuple_size(IP) =:= 4 -> inet;
family(IP) when tuple_size(IP) =:= 8 -> inet6.

start(udp, Socket, Ask) -> {udp, Socket, spawn_link(fun() -> serve_udp(Socket, Ask) end)};
start(tcp, Socket, Ask) -> {tcp, Socket, spawn_link(fun() -> accept(Socket, Ask) end)}.

%% The process is killed because a normal exit would not reach the linked connections.
stop(Pid) ->
    Monitor = monitor(process, Pid),
    unlink(Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

close_socket(udp, Socket) -> gen_udp:close(Socket);
close_socket(tcp, Socket) -> gen_tcp:close(Socket).

serve_udp(Socket, Ask) ->
    {ok, {IP, Port, Bytes}} = gen_udp:recv(Socket, 0),
    handle(Bytes, {udp, Socket, IP, Port}, Ask),
    serve_udp(Socket, Ask).

accept(Listen, Ask) ->
    case gen_tcp:accept(Listen) of
        {ok, Socket} ->
            Pid = spawn_link(fun() -> receive {serve, Socket} -> serve_tcp(Socket, Ask) end end),
            %% Fails if the client has reset the connection already; serving it then ends at once.
            _ = gen_tcp:controlling_process(Socket, Pid),
            Pid ! {serve, Socket},
            accept(Listen, Ask);
        {error, econnaborted} ->
            accept(Listen, Ask)
    end.

serve_tcp(Socket, Ask) ->
    case inet:peername(Socket) of
        {ok, {_, Port}} -> serve_connection(Socket, {tcp, Socket, Port}, Ask);
        {error, _} -> gen_tcp:close(Socket)
    end.

serve_connection(Socket, Channel, Ask) ->
    case receive_message(Socket) of
        {ok, Bytes} ->
            handle(Bytes, Channel, Ask),
            serve_connection(Socket, Channel, Ask);
        {error, _} ->
            gen_tcp:close(Socket)
    end.

receive_message(Socket) ->
    case gen_tcp:recv(Socket, 2) of
        {ok, <<0:16>>} -> {ok, <<>>};
        {ok, <<Size:16>>} -> gen_tcp:recv(Socket, Size);
        {error, Reason} -> {error, Reason}
    end.

handle(Bytes, Channel, Ask) ->
    case caravan_dns_wire:decode_query(Bytes) of
        {ok, Decoded} ->
            Query = Decoded#{transport => element(1, Channel), source_port => source_port(Channel)},
            perform(Ask({query, Query}), Query, Channel, Ask);
        {error, {reply, Reply}} -> send(Channel, Reply);
        {error, no_reply} -> ok
    end.

source_port({udp, _, _, Port}) -> Port;
source_port({tcp, _, Port}) -> Port.

perform({reply, Template}, Query, Channel, _) ->
    send(Channel, caravan_dns_wire:for_query(Template, Query));
perform({raw, Fun}, #{bytes := Bytes}, Channel, _) ->
    send(Channel, Fun(Bytes));
perform({split, Plan}, Query, {tcp, Socket, _}, Ask) ->
    perform(Plan, Query, {tcp_split, Socket}, Ask);
perform({split, Plan}, Query, Channel, Ask) ->
    perform(Plan, Query, Channel, Ask);
perform({delay, Milliseconds, Plan}, Query, Channel, Ask) ->
    _ = spawn_link(fun() ->
                           receive after Milliseconds -> ok end,
                           ok = Ask(await_running),
                           perform(Plan, Query, Channel, Ask)
                   end),
    ok;
perform({run, Fun, Chain}, #{transport := Transport} = Query, Channel, Ask) ->
    Answer = Fun(Transport, caravan_dns_server:query_info(Query)),
    perform(Ask({answer, Answer, Chain, Query}), Query, Channel, Ask);
perform(close, _, {udp, _, _, _}, _) ->
    ok;
perform(close, _, Channel, _) ->
    gen_tcp:close(element(2, Channel));
perform(drop, _, _, _) ->
    ok.

%% The result is ignored, since the client may be gone.
send({udp, Socket, IP, Port}, Bytes) ->
    _ = gen_udp:send(Socket, IP, Port, Bytes),
    ok;
send({tcp, Socket, _}, Bytes) ->
    _ = gen_tcp:send(Socket, framed(Bytes)),
    ok;
send({tcp_split, Socket}, Bytes) ->
    lists:foreach(fun(Piece) ->
                          _ = gen_tcp:send(Socket, Piece),
                          %% The pause is the fault: without it TCP hands the pieces over as one.
                          receive after 1 -> ok end
                  end,
                  pieces(framed(Bytes))).

framed(Bytes) ->
    <<(byte_size(Bytes)):16, Bytes/binary>>.

%% Cuts inside the length, after it, and inside the message.
pieces(<<First:1/binary, Second:1/binary, Message/binary>>) ->
    [First, Second | chunks(Message, max(1, byte_size(Message) div ?SPLIT_PIECES))].

chunks(Bytes, Size) when byte_size(Bytes) > Size ->
    <<Chunk:Size/binary, Rest/binary>> = Bytes,
    [Chunk | chunks(Rest, Size)];
chunks(Bytes, _) ->
    [Bytes].
