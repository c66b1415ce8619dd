%% @private
%% Answers probes over HTTP. One process listens and accepts connections; each connection is served by a process of its own,
%% with limits on time and octets. At most ?MAX_CONNECTIONS connections are open at once: a further one replaces the oldest.
-module(caravan_health_listener).

-export([start_link/1]).

-type options() :: #{port := inet:port_number(), ip := inet:ip_address()}.

-define(MAX_CONNECTIONS, 32).
%% The age in milliseconds at which a connection may be replaced. A client that sends its request at once has its response by
%% then.
-define(MAKES_WAY_MS, 1500).
-define(BACKLOG, 128).
%% Milliseconds for reading the request, for sending the response, and for the client to close. With the time for asking the
%% topologies these are five seconds.
-define(READ_MS, 3000).
-define(SEND_MS, 500).
-define(LINGER_MS, 500).
%% How many octets are read and discarded after the response, so that the client reads the response before it gets a reset.
-define(LINGER_SIZE, 65536).
%% The pause in accepting when there is no free file descriptor.
-define(EXHAUSTED_MS, 200).

%% Starts the listener, linked to the caller. The caller gets `{listening, Pid, Socket}' once the listener listens; otherwise
%% the listener exits with `{cannot_listen, Posix}'.
-spec start_link(options()) -> pid().
start_link(Options) ->
    Parent = self(),
    spawn_link(fun() -> listen(Options, Parent) end).

listen(#{port := Port, ip := Ip}, Parent) ->
    case gen_tcp:listen(Port, [family(Ip), {ip, Ip} | options()]) of
        {ok, Socket} ->
            Parent ! {listening, self(), Socket},
            accept(Socket, #{});
        {error, Reason} ->
            exit({cannot_listen, Reason})
    end.

family(Ip) when tuple_size(Ip) =:= 8 -> inet6;
family(_Ip) -> inet.

%% A client that has shut down its sending side still gets the response.
options() ->
    [
        binary, {active, false}, {packet, raw}, {reuseaddr, true}, {nodelay, true}, {backlog, ?BACKLOG}, {exit_on_close, false},
        {buffer, 4096}, {send_timeout, ?SEND_MS}, {send_timeout_close, true}
    ].

accept(Socket, Connections) ->
    accepted(gen_tcp:accept(Socket), Socket, Connections).

accepted({ok, Connection}, Socket, Connections) ->
    accept(Socket, serve(Connection, below_limit(Connections)));
accepted({error, closed}, _Socket, _Connections) ->
    exit(closed);
accepted({error, econnaborted}, Socket, Connections) ->
    accept(Socket, Connections);
accepted({error, _Exhausted}, Socket, Connections) ->
    receive after ?EXHAUSTED_MS -> accept(Socket, Connections) end.

serve(Connection, Connections) ->
    {Pid, Monitor} = spawn_monitor(fun given/0),
    ok = give(gen_tcp:controlling_process(Connection, Pid), Connection, Pid),
    Connections#{Monitor => {now_ms(), Pid}}.

give(ok, Connection, Pid) ->
    Pid ! {serve, Connection},
    ok;
give({error, _}, Connection, Pid) ->
    true = exit(Pid, kill),
    gen_tcp:close(Connection).

%% If there are too many connections, waits until one ends, and terminates the oldest when its time is over.
below_limit(Connections) when map_size(Connections) >= ?MAX_CONNECTIONS ->
    {Since, Pid} = lists:min(maps:values(Connections)),
    receive
        {'DOWN', Monitor, process, _, _} -> below_limit(maps:remove(Monitor, Connections))
    after max(0, Since + ?MAKES_WAY_MS - now_ms()) ->
        true = exit(Pid, kill),
        receive {'DOWN', Monitor, process, Pid, _} -> below_limit(maps:remove(Monitor, Connections)) end
    end;
below_limit(Connections) ->
    receive
        {'DOWN', Monitor, process, _, _} -> below_limit(maps:remove(Monitor, Connections))
    after 0 -> Connections
    end.

%% The listener may terminate before it hands over the connection.
given() ->
    receive
        {serve, Socket} -> connection(Socket)
    after ?READ_MS -> ok
    end.

connection(Socket) ->
    ok = answer(read(<<>>, Socket, now_ms() + ?READ_MS), Socket),
    _ = gen_tcp:shutdown(Socket, write),
    ok = linger(?LINGER_SIZE, Socket, now_ms() + ?LINGER_MS),
    gen_tcp:close(Socket).

read(Octets, Socket, Deadline) ->
    case caravan_health_http:request(Octets) of
        more -> received(gen_tcp:recv(Socket, 0, max(0, Deadline - now_ms())), Octets, Socket, Deadline);
        Request -> Request
    end.

received({ok, More}, Octets, Socket, Deadline) -> read(<<Octets/binary, More/binary>>, Socket, Deadline);
received({error, timeout}, _Octets, _Socket, _Deadline) -> {error, 408};
%% The probe only connects.
received({error, _Closed}, <<>>, _Socket, _Deadline) -> nothing;
received({error, _Closed}, _Octets, _Socket, _Deadline) -> {error, 400}.

answer(nothing, _Socket) -> ok;
answer({ok, Method, Path}, Socket) -> send(Method, caravan_health_page:response(Path), Socket);
answer({error, Status}, Socket) -> send(get, caravan_health_page:text(Status, error_text(Status)), Socket).

error_text(400) -> "this is not an HTTP/1.0 or HTTP/1.1 request";
error_text(405) -> "only GET and HEAD are allowed";
error_text(408) -> "the request did not arrive in time";
error_text(431) -> io_lib:format("a request may have at most ~b octets", [caravan_health_http:max_size()]).

send(Method, Answer, Socket) ->
    _ = gen_tcp:send(Socket, caravan_health_http:response(Method, Answer)),
    ok.

linger(Left, Socket, Deadline) when Left > 0 ->
    case gen_tcp:recv(Socket, 0, max(0, Deadline - now_ms())) of
        {ok, Octets} -> linger(Left - byte_size(Octets), Socket, Deadline);
        {error, _} -> ok
    end;
linger(_Left, _Socket, _Deadline) ->
    ok.

now_ms() ->
    erlang:monotonic_time(millisecond).
