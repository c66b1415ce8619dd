%% @doc Tells probes of Kubernetes, Consul and Nomad how this node is. With the key `health' of the application, a listener answers
%% over HTTP; where there is a web server already, {@link response/1} is what it needs.
%%
%% The process of this module keeps the listener running, and does nothing else: a port that is busy, or a crash of the listener, ends
%% neither the application nor the node.
-module(caravan_health).
-behaviour(gen_server).

-export([response/1]).
-export([start_link/0, reload/0, format/1]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

%% One that has run for so long, in milliseconds, has not failed again.
-define(STEADY_MS, 60000).

-record(state, {
    options = none :: none | #{port := inet:port_number(), ip := inet:ip_address()},
    listener = none :: none | {starting, pid()} | {listening, pid(), gen_tcp:socket(), Since :: integer()} | {waiting, Timer :: reference()},
    failures = 0 :: non_neg_integer(),
    %% What the log has told last.
    told = none :: none | listening | failed
}).

%% @doc What the listener answers for a path: `"/live"', which is 200 while the VM runs; `"/ready"', which is 503 while a topology of
%% this node is not ready, or none runs, and otherwise 200; `"/status"', JSON. Of other paths it is 404. It waits for at most a second.
%%
%% ```
%% {200, <<"text/plain; charset=utf-8">>, Body} = caravan_health:response(<<"/ready">>).
%% '''
-spec response(Path :: binary() | string()) -> {Status :: 200 | 404 | 503, ContentType :: binary(), Body :: binary()}.
response(Path) when is_list(Path) ->
    response(unicode:characters_to_binary(Path));
response(Path) ->
    {Status, ContentType, Body} = caravan_health_page:response(Path),
    {Status, ContentType, iolist_to_binary(Body)}.

%% @private
-spec start_link() -> {ok, pid()} | {error, {already_started, pid()}}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @private
%% Makes the listener as the configuration is now.
-spec reload() -> ok.
reload() ->
    gen_server:cast(?MODULE, reload).

%% @private
init([]) ->
    _ = process_flag(trap_exit, true),
    {ok, #state{}, {continue, configure}}.

%% @private
%% The boot of the application does not wait for a port.
handle_continue(configure, State) ->
    {noreply, configured(caravan_config:value(health), State)}.

%% @private
handle_call(_Unknown, _From, State) ->
    {reply, {error, unknown_request}, State}.

%% @private
handle_cast(reload, State) ->
    {noreply, configured(caravan_config:value(health), State)};
handle_cast(_Unknown, State) ->
    {noreply, State}.

%% @private
handle_info({listening, Pid, Socket}, #state{listener = {starting, Pid}, options = Options} = State) ->
    ok = log(notice, Options#{event => health_listening}),
    {noreply, State#state{listener = {listening, Pid, Socket, now_ms()}, told = listening}};
handle_info({'EXIT', Pid, Reason}, #state{listener = {starting, Pid}} = State) ->
    {noreply, failed(Reason, State)};
handle_info({'EXIT', Pid, Reason}, #state{listener = {listening, Pid, _Socket, Since}, failures = Failures} = State) ->
    {noreply, failed(Reason, State#state{failures = failures(now_ms() - Since, Failures)})};
handle_info({timeout, Timer, start}, #state{listener = {waiting, Timer}} = State) ->
    {noreply, start(State)};
handle_info(_Unknown, State) ->
    {noreply, State}.

%% @private
terminate(_Reason, State) ->
    _ = stop(State),
    ok.

%% What is not allowed leaves all as it is. caravan_config_report tells of it.
configured({ok, Same}, #state{options = Same} = State) -> State;
configured({ok, Options}, State) -> start((stop(State))#state{options = Options, failures = 0, told = none});
configured({error, _}, State) -> State.

start(#state{options = none} = State) -> State#state{listener = none};
start(#state{options = Options} = State) -> State#state{listener = {starting, caravan_health_listener:start_link(Options)}}.

%% The port is free afterwards.
stop(#state{listener = none} = State) -> State;
stop(#state{listener = {waiting, Timer}} = State) -> _ = erlang:cancel_timer(Timer), State#state{listener = none};
stop(#state{listener = {starting, Pid}} = State) -> ended(Pid), State#state{listener = none};
%% The socket of a process that is killed is closed some time after the process has ended.
stop(#state{listener = {listening, Pid, Socket, _Since}} = State) -> ok = gen_tcp:close(Socket), ended(Pid), State#state{listener = none}.

ended(Pid) ->
    true = exit(Pid, kill),
    receive
        {'EXIT', Pid, _} -> ok
    end.

failures(Ran, _Failures) when Ran > ?STEADY_MS -> 0;
failures(_Ran, Failures) -> Failures.

%% A port stays busy for long: the log has it once.
failed(Reason, #state{failures = Failures, options = Options, told = Told} = State) ->
    After = caravan_schedule:backoff(Failures + 1, rand:uniform(16#100000000)),
    _ = [ok = log(error, failure(Reason, Options)) || Told =/= failed],
    Timer = erlang:start_timer(After, self(), start),
    State#state{listener = {waiting, Timer}, failures = Failures + 1, told = failed}.

failure({cannot_listen, eaddrinuse}, #{port := Port} = Options) ->
    Options#{event => health_not_listening, reason => eaddrinuse, holder => caravan_port_holder:find(Port)};
failure({cannot_listen, Reason}, Options) ->
    Options#{event => health_not_listening, reason => Reason};
failure(Reason, Options) ->
    Options#{event => health_crashed, reason => Reason}.

log(Level, Report) ->
    caravan_log:report(Level, Report, fun ?MODULE:format/1).

%% @private
%% The line for an event in the log; called by logger.
-spec format(map()) -> {io:format(), [term()]}.
format(#{event := health_listening, ip := Ip, port := Port}) ->
    {"caravan: the health of this node is told at ~ts port ~b (health)", [address(Ip), Port]};
format(#{event := health_not_listening, ip := Ip, port := Port, reason := eaddrinuse, holder := Holder}) ->
    {"caravan: the health of this node cannot be told: ~ts listens on ~ts port ~b (health); it is tried again", [
        caravan_port_holder:format(Holder), address(Ip), Port
    ]};
format(#{event := health_not_listening, ip := Ip, port := Port, reason := Reason}) ->
    {"caravan: the health of this node cannot be told: it cannot listen on ~ts port ~b (health): ~0tp; it is tried again", [
        address(Ip), Port, Reason
    ]};
format(#{event := health_crashed, ip := Ip, port := Port, reason := Reason}) ->
    {"caravan: what tells the health of this node at ~ts port ~b (health) has crashed, and is started again: ~0tp", [
        address(Ip), Port, Reason
    ]};
format(Report) ->
    {"caravan: ~0tp", [Report]}.

%% A filter of the log may have put something else there.
address(Ip) ->
    case inet:ntoa(Ip) of
        {error, _} -> io_lib:format("~0tp", [Ip]);
        Text -> Text
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).
