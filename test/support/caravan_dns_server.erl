%% @doc A DNS server that answers what a test tells it to, faults included, on loopback.
%%
%% ```
%% {ok, Server} = caravan_dns_server:start_link(#{}),
%% ok = caravan_dns_server:put(Server, "_app._tcp.test", srv, [{srv, 30, 0, 0, 4370, "a.test"}]),
%% ok = caravan_dns_server:put(Server, "a.test", a, {sequence, [servfail, [{a, 30, {127, 0, 0, 1}}]]}),
%% Nameserver = caravan_dns_server:nameserver(Server).
%% '''
%%
%% Answers, as given to `put/4':
%% <ul>
%% <li>a list of records `{srv, TTL, Priority, Weight, Port, Target}', `{a, TTL, IP}', `{aaaa, TTL, IP}',
%%     `{cname, TTL, Target}'; the empty list is NODATA. Records after a CNAME belong to its target, and a
%%     CNAME at the end is followed in the table.</li>
%% <li>`nxdomain', `servfail', `refused', `formerr', `notimp': the rcode.</li>
%% <li>`drop': no reply. `close': over TCP the connection is closed, over UDP there is no reply.</li>
%% <li>`{delay, Milliseconds, Answer}': later queries are answered meanwhile.</li>
%% <li>`{sequence, [Answer]}': each query takes the next, the last one stays.</li>
%% <li>`{by_transport, #{udp => Answer, tcp => Answer}}': NXDOMAIN over a transport left out.</li>
%% <li>`{raw, fun((Query) -> Bytes)}': the reply, byte for byte; over TCP its length goes before it.</li>
%% <li>`{split, Answer}': over TCP the reply is written in small pieces.</li>
%% <li>`fun((Transport, query_info()) -> Answer)': computed for each query. The function runs in the process
%%     that serves the socket; when it fails, the server stops.</li>
%% </ul>
%%
%% A name that is not in the table is NXDOMAIN; one that has answers for other types only is NODATA.
-module(caravan_dns_server).
-behaviour(gen_server).

-export([start_link/1, stop/1, port/1, nameserver/1]).
-export([put/4, delete/3, clear/1]).
-export([queries/1, count/1, await_queries/3, reset_queries/1]).
-export([pause/1, resume/1, close_sockets/1, reopen/1]).
-export([query_info/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([options/0, query_info/0]).

-type options() :: #{ip => inet:ip_address(), port => inet:port_number(), transports => [udp | tcp, ...],
                     glue => boolean(), edns => boolean(), oversize => caravan_dns_fit:oversize(),
                     soa_minimum => non_neg_integer()}.

-type query_info() :: #{name := string(), type := caravan_dns_wire:dns_type(), transport := udp | tcp,
                        edns_size := 0..65535 | none, id := 0..65535, source_port := inet:port_number()}.
%% `name' is spelled as in the query, without the trailing dot.

-record(state, {options :: options(),
                port :: inet:port_number(),
                listeners :: [caravan_dns_listener:listener()],
                zone :: caravan_dns_zone:zone(),
                queries = [] :: [query_info()],             % the last one first
                count = 0 :: non_neg_integer(),
                waiters = [] :: [{gen_server:from(), pos_integer(), Timer :: reference()}],
                paused = false :: boolean(),
                deferred = [] :: [{caravan_dns_listener:request(), gen_server:from()}]}).

%% @doc Starts a server. Options:
%%
%% <ul>
%% <li>`ip': an IPv4 or IPv6 address of this machine; `{127,0,0,1}'.</li>
%% <li>`port': 0 lets the OS pick one that is free for every transport; 0.</li>
%% <li>`transports': what listens; `[udp, tcp]'.</li>
%% <li>`glue': whether the addresses of SRV targets go into the additional section; `true'.</li>
%% <li>`edns': `false' answers FORMERR to a query with an OPT record; `true'.</li>
%% <li>`oversize': what happens to a UDP reply that is too large. `truncate' sets the TC bit; `trim' drops
%%     records silently as Consul does, down to three for a query without EDNS; `truncate'.</li>
%% <li>`soa_minimum': the negative TTL in seconds, in the SOA record of NXDOMAIN and NODATA; 5.</li>
%% </ul>
%%
%% Returns `{error, {Transport, Port, Reason}}' when a socket cannot be bound. Raises
%% `{unknown_options, Keys}'.
-spec start_link(options()) -> {ok, pid()} | {error, {udp | tcp, inet:port_number(), inet:posix()}}.
start_link(Options) ->
    Defaults = #{ip => {127, 0, 0, 1}, port => 0, transports => [udp, tcp], glue => true, edns => true,
                 oversize => truncate, soa_minimum => 5},
    case maps:keys(maps:without(maps:keys(Defaults), Options)) of
        [] -> gen_server:start_link(?MODULE, maps:merge(Defaults, Options), []);
        Unknown -> error({unknown_options, Unknown})
    end.

%% @doc Stops a server. Afterwards its port is free.
-spec stop(pid()) -> ok.
stop(Server) ->
    gen_server:stop(Server).

%% @doc The port, the same for UDP and TCP. It outlives `close_sockets/1'.
-spec port(pid()) -> inet:port_number().
port(Server) ->
    gen_server:call(Server, port).

%% @doc Address and port as resolvers take them: `"127.0.0.1:5300"', `"[::1]:5300"'.
-spec nameserver(pid()) -> string().
nameserver(Server) ->
    gen_server:call(Server, nameserver).

%% @doc Sets the answer for a name and a type. Case and trailing dot of the name do not matter.
%%
%% Raises `{bad_answer, Answer}' for what the module's documentation does not list.
-spec put(pid(), string() | binary(), caravan_dns_wire:dns_type(), caravan_dns_zone:answer()) -> ok.
put(Server, Name, Type, Answer) ->
    caravan_dns_zone:is_answer(Answer) orelse error({bad_answer, Answer}),
    gen_server:call(Server, {put, Name, Type, Answer}).

%% @doc Removes the answer for a name and a type, if there is one.
-spec delete(pid(), string() | binary(), caravan_dns_wire:dns_type()) -> ok.
delete(Server, Name, Type) ->
    gen_server:call(Server, {delete, Name, Type}).

%% @doc Removes every answer.
-spec clear(pid()) -> ok.
clear(Server) ->
    gen_server:call(Server, clear).

%% @doc The queries since the start or `reset_queries/1', in the order they came.
%%
%% Malformed messages are no queries. A query is recorded before it is answered.
-spec queries(pid()) -> [query_info()].
queries(Server) ->
    gen_server:call(Server, queries).

%% @doc How many queries `queries/1' holds.
-spec count(pid()) -> non_neg_integer().
count(Server) ->
    gen_server:call(Server, count).

%% @doc Waits until `count/1' is N or more, for the given number of milliseconds at most.
-spec await_queries(pid(), non_neg_integer(), Milliseconds :: non_neg_integer()) -> ok | {error, timeout}.
await_queries(Server, N, Milliseconds) ->
    gen_server:call(Server, {await_queries, N, Milliseconds}, infinity).

%% @doc Forgets the queries so far.
-spec reset_queries(pid()) -> ok.
reset_queries(Server) ->
    gen_server:call(Server, reset_queries).

%% @doc Makes the server hang: its sockets stay open, connections succeed, nothing is answered or recorded.
-spec pause(pid()) -> ok.
pause(Server) ->
    gen_server:call(Server, pause).

%% @doc Ends `pause/1'. What the sockets have received meanwhile is answered now.
-spec resume(pid()) -> ok.
resume(Server) ->
    gen_server:call(Server, resume).

%% @doc Takes the server off the network: connections are closed, the port refuses new ones.
-spec close_sockets(pid()) -> ok.
close_sockets(Server) ->
    gen_server:call(Server, close_sockets).

%% @doc Puts the server back on the port it had; does nothing when it is there.
%%
%% Returns an error when another program has taken the port meanwhile.
-spec reopen(pid()) -> ok | {error, {udp | tcp, inet:port_number(), inet:posix()}}.
reopen(Server) ->
    gen_server:call(Server, reopen).

%% @doc What tests get to see of a query.
-spec query_info(caravan_dns_wire:query()) -> query_info().
query_info(Query) ->
    maps:with([name, type, transport, edns_size, id, source_port], Query).

%% @private
init(#{port := Port} = Options) ->
    process_flag(trap_exit, true),
    case open(Port, Options) of
        {ok, Bound, Listeners} ->
            {ok, #state{options = Options,
                        port = Bound,
                        listeners = Listeners,
                        zone = caravan_dns_zone:new(Options)}};
        {error, Reason} ->
            {stop, Reason}
    end.

%% @private
handle_call({serve, Request}, From, #state{paused = true, deferred = Deferred} = State) ->
    {noreply, State#state{deferred = [{Request, From} | Deferred]}};
handle_call({serve, Request}, _From, State) ->
    {Reply, Changed} = serve(Request, State),
    {reply, Reply, Changed};
handle_call({put, Name, Type, Answer}, _From, #state{zone = Zone} = State) ->
    {reply, ok, State#state{zone = caravan_dns_zone:put(Name, Type, Answer, Zone)}};
handle_call({delete, Name, Type}, _From, #state{zone = Zone} = State) ->
    {reply, ok, State#state{zone = caravan_dns_zone:delete(Name, Type, Zone)}};
handle_call(clear, _From, #state{zone = Zone} = State) ->
    {reply, ok, State#state{zone = caravan_dns_zone:clear(Zone)}};
handle_call(port, _From, #state{port = Port} = State) ->
    {reply, Port, State};
handle_call(nameserver, _From, #state{options = #{ip := IP}, port = Port} = State) ->
    {reply, nameserver(IP, Port), State};
handle_call(queries, _From, #state{queries = Queries} = State) ->
    {reply, lists:reverse(Queries), State};
handle_call(count, _From, #state{count = Count} = State) ->
    {reply, Count, State};
handle_call({await_queries, N, _}, _From, #state{count = Count} = State) when Count >= N ->
    {reply, ok, State};
handle_call({await_queries, N, Milliseconds}, From, #state{waiters = Waiters} = State) ->
    Timer = erlang:start_timer(Milliseconds, self(), await_queries),
    {noreply, State#state{waiters = [{From, N, Timer} | Waiters]}};
handle_call(reset_queries, _From, State) ->
    {reply, ok, State#state{queries = [], count = 0}};
handle_call(pause, _From, State) ->
    {reply, ok, State#state{paused = true}};
handle_call(resume, _From, #state{deferred = Deferred} = State) ->
    {reply, ok, lists:foldr(fun serve_deferred/2, State#state{paused = false, deferred = []}, Deferred)};
handle_call(close_sockets, _From, #state{listeners = Listeners} = State) ->
    ok = caravan_dns_listener:close(Listeners),
    {reply, ok, State#state{listeners = [], deferred = []}};
handle_call(reopen, _From, #state{listeners = [], port = Port, options = Options} = State) ->
    case open(Port, Options) of
        {ok, Port, Listeners} -> {reply, ok, State#state{listeners = Listeners}};
        {error, Reason} -> {reply, {error, Reason}, State}
    end;
handle_call(reopen, _From, State) ->
    {reply, ok, State}.

%% @private
handle_cast(_, State) ->
    {noreply, State}.

%% @private
handle_info({timeout, Timer, await_queries}, #state{waiters = Waiters} = State) ->
    case lists:keytake(Timer, 3, Waiters) of
        {value, {From, _, _}, Left} ->
            gen_server:reply(From, {error, timeout}),
            {noreply, State#state{waiters = Left}};
        false ->
            {noreply, State}
    end;
%% A process of the listeners, which never end by themselves: a function in the table has failed.
handle_info({'EXIT', _, Reason}, State) ->
    {stop, Reason, State}.

%% @private
terminate(_, #state{listeners = Listeners}) ->
    caravan_dns_listener:close(Listeners).

open(Port, #{ip := IP, transports := Transports}) ->
    Server = self(),
    Ask = fun(Request) -> gen_server:call(Server, {serve, Request}, infinity) end,
    caravan_dns_listener:open(IP, Port, Transports, Ask).

nameserver(IP, Port) when tuple_size(IP) =:= 4 ->
    inet:ntoa(IP) ++ ":" ++ integer_to_list(Port);
nameserver(IP, Port) ->
    "[" ++ inet:ntoa(IP) ++ "]:" ++ integer_to_list(Port).

serve({query, Query}, #state{zone = Zone} = State) ->
    {Plan, Changed} = caravan_dns_zone:plan(Query, Zone),
    {Plan, record(Query, State#state{zone = Changed})};
serve({answer, Answer, Chain, Query}, #state{zone = Zone} = State) ->
    {caravan_dns_zone:plan_answer(Answer, Chain, Query, Zone), State};
serve(await_running, State) ->
    {ok, State}.

record(Query, #state{queries = Queries, count = Count, waiters = Waiters} = State) ->
    {Ready, Left} = lists:partition(fun({_, N, _}) -> N =< Count + 1 end, Waiters),
    lists:foreach(fun({From, _, Timer}) ->
                          _ = erlang:cancel_timer(Timer),
                          gen_server:reply(From, ok)
                  end,
                  Ready),
    State#state{queries = [query_info(Query) | Queries], count = Count + 1, waiters = Left}.

serve_deferred({Request, From}, State) ->
    {Reply, Changed} = serve(Request, State),
    gen_server:reply(From, Reply),
    Changed.
