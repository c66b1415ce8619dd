%% @doc A relay to a server with delays. Datagrams and connections to one endpoint reach another one after random delays, so
%% that datagrams overtake each other; some are duplicated. The octets of a connection keep their order.
-module(caravan_test_relay).
-behaviour(gen_server).

-export([start_link/1, port/1, counts/1, stop/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([endpoint/0, options/0, counts/0]).

%% The socket options choose the network namespace (`netns').
-type endpoint() :: {inet:ip4_address(), inet:port_number(), [{netns, file:filename()}]}.
%% `delay': the least and the greatest delay in each direction, in milliseconds. `duplicate': the percentage of datagrams
%% that are sent twice. The seed determines all random values.
-type options() :: #{
    from := endpoint(),
    to := endpoint(),
    seed := integer(),
    delay := {Least :: non_neg_integer(), Most :: non_neg_integer()},
    duplicate := 0..100
}.
%% `overtaken': the number of datagrams that were forwarded after one that had arrived later.
-type counts() :: #{datagrams | duplicated | overtaken | connections => non_neg_integer()}.

-record(state, {
    options :: options(),
    random :: rand:state(),
    socket :: gen_udp:socket(),
    listen :: gen_tcp:socket(),
    %% Each client has its own socket to the server, since a reply does not say which client it is for.
    clients = #{} :: #{client() => gen_udp:socket()},
    sessions = #{} :: #{gen_udp:socket() => {client(), LastUsed :: integer()}},
    %% Datagrams are numbered as they arrive. For each direction, the latest number that was forwarded.
    latest = #{there => 0, back => 0} :: #{direction() => non_neg_integer()},
    counts = #{datagrams => 0, duplicated => 0, overtaken => 0, connections => 0} :: counts()
}).

-type client() :: {inet:ip4_address(), inet:port_number()}.
-type direction() :: there | back.

%% Clients use a new port from time to time. Longer than any delay.
-define(SESSION_MS, 5000).
-define(UDP, [binary, {active, true}, {recbuf, 1000000}, {read_packets, 50}]).
-define(TCP, [binary, {active, false}, {nodelay, true}]).

%% @doc Starts a relay of datagrams and connections. With port 0 in `from' the system picks one.
-spec start_link(options()) -> {ok, pid()}.
start_link(Options) ->
    gen_server:start_link(?MODULE, Options, []).

%% @doc Returns the endpoint where the relay receives both.
-spec port(pid()) -> inet:port_number().
port(Relay) ->
    gen_server:call(Relay, port).

%% @doc Returns what the relay has done so far.
-spec counts(pid()) -> counts().
counts(Relay) ->
    gen_server:call(Relay, counts).

%% @doc Closes all connections. Octets on the way are lost.
-spec stop(pid()) -> ok.
stop(Relay) ->
    gen_server:stop(Relay).

%% @private
init(#{from := {Ip, Port, Place}, seed := Seed} = Options) ->
    {ok, Listen} = gen_tcp:listen(Port, ?TCP ++ [{ip, Ip}, {reuseaddr, true}, {backlog, 128} | Place]),
    {ok, Taken} = inet:port(Listen),
    {ok, Socket} = gen_udp:open(Taken, ?UDP ++ [{ip, Ip} | Place]),
    Relay = self(),
    _ = spawn_link(fun() -> accept(Listen, Relay) end),
    sweep_later(),
    {ok, #state{options = Options, random = rand:seed_s(exsss, Seed), socket = Socket, listen = Listen}}.

accept(Listen, Relay) ->
    case gen_tcp:accept(Listen) of
        {ok, Socket} ->
            ok = gen_tcp:controlling_process(Socket, Relay),
            Relay ! {accepted, Socket},
            accept(Listen, Relay);
        {error, closed} ->
            ok
    end.

%% @private
handle_call(port, _From, #state{listen = Listen} = State) ->
    {ok, Port} = inet:port(Listen),
    {reply, Port, State};
handle_call(counts, _From, #state{counts = Counts} = State) ->
    {reply, Counts, State}.

%% @private
handle_cast(_, State) ->
    {noreply, State}.

%% @private
handle_info({udp, Socket, Ip, Port, Datagram}, #state{socket = Socket} = State) ->
    {Session, Known} = session({Ip, Port}, State),
    {noreply, delay(there, Session, Datagram, Known)};
handle_info({udp, Session, _Ip, _Port, Datagram}, #state{sessions = Sessions} = State) when is_map_key(Session, Sessions) ->
    {noreply, delay(back, Session, Datagram, State)};
handle_info({due, Direction, Number, Session, Datagram}, State) ->
    forward(Direction, Session, Datagram, State),
    {noreply, note_order(Direction, Number, State)};
handle_info({accepted, Socket}, #state{options = #{to := To, delay := Delay}} = State) ->
    {Seed, Drawn} = draw({1, 1 bsl 30}, State),
    Relay = self(),
    Carrier = spawn(fun() -> receive go -> carry(Socket, To, Delay, rand:seed_s(exsss, Seed), Relay) end end),
    _ = gen_tcp:controlling_process(Socket, Carrier),
    Carrier ! go,
    {noreply, count(connections, Drawn)};
handle_info(sweep, State) ->
    sweep_later(),
    {noreply, sweep(State)};
handle_info(_, State) ->
    {noreply, State}.

%% @private
%% The processes of connections monitor the relay.
terminate(_, #state{listen = Listen}) ->
    gen_tcp:close(Listen).

%% Datagrams

session(Client, #state{clients = Clients, options = #{to := {_, _, Place}}} = State) ->
    case Clients of
        #{Client := Session} ->
            {Session, State};
        #{} ->
            {ok, Session} = gen_udp:open(0, ?UDP ++ Place),
            Sessions = (State#state.sessions)#{Session => {Client, now_ms()}},
            {Session, State#state{clients = Clients#{Client => Session}, sessions = Sessions}}
    end.

delay(Direction, Session, Datagram, #state{options = #{duplicate := Duplicate}} = State) ->
    {Dice, Drawn} = draw({1, 100}, touch(Session, State)),
    Counted = later(Direction, Session, Datagram, count(datagrams, Drawn)),
    case Dice =< Duplicate of
        true -> later(Direction, Session, Datagram, count(duplicated, Counted));
        false -> Counted
    end.

later(Direction, Session, Datagram, #state{options = #{delay := Delay}, counts = #{datagrams := Number}} = State) ->
    {Milliseconds, Drawn} = draw(Delay, State),
    _ = erlang:send_after(Milliseconds, self(), {due, Direction, Number, Session, Datagram}),
    Drawn.

touch(Session, #state{sessions = Sessions} = State) ->
    #{Session := {Client, _}} = Sessions,
    State#state{sessions = Sessions#{Session := {Client, now_ms()}}}.

%% A datagram that cannot be sent is lost.
forward(there, Session, Datagram, #state{options = #{to := {Ip, Port, _}}}) ->
    _ = gen_udp:send(Session, Ip, Port, Datagram),
    ok;
forward(back, Session, Datagram, #state{sessions = Sessions, socket = Socket}) ->
    _ = [gen_udp:send(Socket, Ip, Port, Datagram) || #{Session := {{Ip, Port}, _}} <- [Sessions]],
    ok.

note_order(Direction, Number, #state{latest = Latest} = State) ->
    case Latest of
        #{Direction := Later} when Later > Number -> count(overtaken, State);
        #{} -> State#state{latest = Latest#{Direction := Number}}
    end.

sweep_later() ->
    _ = erlang:send_after(1000, self(), sweep),
    ok.

sweep(#state{clients = Clients, sessions = Sessions} = State) ->
    Now = now_ms(),
    {Old, Kept} = lists:partition(fun({_, {_, Used}}) -> Used < Now - ?SESSION_MS end, maps:to_list(Sessions)),
    [ok = gen_udp:close(Session) || {Session, _} <- Old],
    State#state{clients = maps:without([Client || {_, {Client, _}} <- Old], Clients), sessions = maps:from_list(Kept)}.

%% Connections

%% Each end has a process that writes octets when they are due. This process reads from both ends.
carry(Near, {Ip, Port, Place}, Delay, Random, Relay) ->
    _ = monitor(process, Relay),
    case gen_tcp:connect(Ip, Port, ?TCP ++ Place) of
        {ok, Far} ->
            Writers = #{Near => writer(Far), Far => writer(Near)},
            _ = [inet:setopts(End, [{active, true}]) || End <- [Near, Far]],
            %% The kernel has accepted the connection at once, so its first octets wait for a round trip.
            {There, Random1} = drawn(Delay, Random),
            {Back, Random2} = drawn(Delay, Random1),
            read(Writers, now_ms() + There + Back, Delay, Random2);
        {error, _} ->
            gen_tcp:close(Near)
    end.

read(Writers, Opened, Delay, Random) ->
    {Milliseconds, Drawn} = drawn(Delay, Random),
    receive
        {tcp, End, Octets} ->
            maps:get(End, Writers) ! {at(Opened, Milliseconds), Octets},
            read(Writers, Opened, Delay, Drawn);
        {tcp_closed, End} ->
            maps:get(End, Writers) ! {at(Opened, Milliseconds), closed},
            read(Writers, Opened, Delay, Drawn);
        {tcp_error, _, _} ->
            read(Writers, Opened, Delay, Drawn);
        %% A writer or the relay has ended. The sockets of this process close with it, and the other writer ends.
        {'DOWN', _, process, _, _} ->
            exit(shutdown)
    end.

at(Opened, Milliseconds) ->
    max(now_ms(), Opened) + Milliseconds.

writer(Socket) ->
    {Writer, _} = spawn_opt(fun() -> write(Socket) end, [link, monitor]),
    Writer.

write(Socket) ->
    receive
        {At, Octets} ->
            timer:sleep(max(0, At - now_ms())),
            written(Socket, Octets)
    end.

written(_Socket, closed) ->
    ok;
written(Socket, Octets) ->
    case gen_tcp:send(Socket, Octets) of
        ok -> write(Socket);
        {error, _} -> ok
    end.

%% Common functions

draw(Range, #state{random = Random} = State) ->
    {Number, Next} = drawn(Range, Random),
    {Number, State#state{random = Next}}.

drawn({Least, Most}, Random) ->
    {Number, Next} = rand:uniform_s(Most - Least + 1, Random),
    {Least + Number - 1, Next}.

count(Key, #state{counts = Counts} = State) ->
    #{Key := Count} = Counts,
    State#state{counts = Counts#{Key := Count + 1}}.

now_ms() ->
    erlang:monotonic_time(millisecond).
