%% @doc What maps one port to another, as a bridge network or a load balancer does.
-module(caravan_test_forwarder).
-behaviour(gen_server).

-export([start_link/2, accepted/1, stop/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-record(state, {to :: inet:port_number(),
                accepted = 0 :: non_neg_integer(),
                %% Each end of a connection to the other one.
                ends = #{} :: #{gen_tcp:socket() => gen_tcp:socket()}}).

-define(LOCALHOST, {127, 0, 0, 1}).

%% @doc Connections to the one port of 127.0.0.1 are passed on to the other.
-spec start_link(From :: inet:port_number(), To :: inet:port_number()) -> {ok, pid()}.
start_link(From, To) ->
    gen_server:start_link(?MODULE, {From, To}, []).

%% @doc How many connections it has accepted so far.
-spec accepted(pid()) -> non_neg_integer().
accepted(Forwarder) ->
    gen_server:call(Forwarder, accepted).

%% @doc Closes the port, and all connections.
-spec stop(pid()) -> ok.
stop(Forwarder) ->
    gen_server:stop(Forwarder).

%% @private
init({From, To}) ->
    {ok, Listen} = gen_tcp:listen(From, [binary, {active, false}, {ip, ?LOCALHOST}, {reuseaddr, true}]),
    Server = self(),
    _ = spawn_link(fun() -> accept(Listen, Server) end),
    {ok, #state{to = To}}.

accept(Listen, Server) ->
    case gen_tcp:accept(Listen) of
        {ok, Socket} ->
            ok = gen_tcp:controlling_process(Socket, Server),
            Server ! {accepted, Socket},
            accept(Listen, Server);
        {error, closed} ->
            ok
    end.

%% @private
handle_call(accepted, _From, #state{accepted = Accepted} = State) ->
    {reply, Accepted, State}.

%% @private
handle_cast(_, State) ->
    {noreply, State}.

%% @private
handle_info({accepted, Socket}, #state{to = To, accepted = Accepted} = State) ->
    Connected = gen_tcp:connect(?LOCALHOST, To, [binary, {active, false}]),
    {noreply, join(Socket, Connected, State#state{accepted = Accepted + 1})};
handle_info({tcp, Socket, Bytes}, #state{ends = Ends} = State) ->
    %% An end that cannot be sent to says so by its closing.
    _ = [gen_tcp:send(Other, Bytes) || #{Socket := Other} <- [Ends]],
    {noreply, State};
handle_info({tcp_closed, Socket}, #state{ends = Ends} = State) ->
    Others = [Other || #{Socket := Other} <- [Ends]],
    _ = [gen_tcp:close(Other) || Other <- Others],
    {noreply, State#state{ends = maps:without([Socket | Others], Ends)}};
handle_info(_, State) ->
    {noreply, State}.

join(Socket, {ok, Other}, #state{ends = Ends} = State) ->
    _ = [inet:setopts(End, [{active, true}]) || End <- [Socket, Other]],
    State#state{ends = Ends#{Socket => Other, Other => Socket}};
join(Socket, {error, _}, State) ->
    ok = gen_tcp:close(Socket),
    State.
