%% Ports of the loopback interface.
-module(caravan_demo_net).

-export([free_ports/1, is_listening/1]).

-define(LOOPBACK, {127, 0, 0, 1}).
-define(CONNECT_TIMEOUT_MS, 2000).

%% Different ports on which nothing listens. The system picks them, so that they are 1024 or higher; another program can
%% take one before we do, and who uses them must be ready for that.
-spec free_ports(pos_integer()) -> [inet:port_number()].
free_ports(Count) ->
    Sockets = [listen() || _ <- lists:seq(1, Count)],
    Ports = [port(Socket) || Socket <- Sockets],
    lists:foreach(fun gen_tcp:close/1, Sockets),
    Ports.

listen() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, ?LOOPBACK}]),
    Socket.

port(Socket) ->
    {ok, Port} = inet:port(Socket),
    Port.

%% Whether somebody accepts TCP connections there.
-spec is_listening(inet:port_number()) -> boolean().
is_listening(Port) ->
    case gen_tcp:connect(?LOOPBACK, Port, [], ?CONNECT_TIMEOUT_MS) of
        {ok, Socket} ->
            ok = gen_tcp:close(Socket),
            true;
        {error, _} ->
            false
    end.
