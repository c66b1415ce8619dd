%% @private
%% Connects to nodes: several at a time, each from a process of its own, so that one that hangs in its handshake delays
%% nobody; a node that fails is left alone for a while, longer each time. A functional state, owned by a topology.
-module(caravan_connector).

-export([new/1, connect/2, handle_info/2, forget/2, keep/2, next_retry/2, connecting/1, failing/1]).

-export_type([state/0]).

%% It hands its result over as the reason of its exit.
-dialyzer({nowarn_function, start/2}).

-type options() :: #{connect_timeout := pos_integer(), max_connecting := pos_integer(), atom() => term()}.

-record(failure, {
    count :: pos_integer(),
    retry_at :: integer(),
    reason :: refused | timeout
}).

-record(state, {
    timeout :: pos_integer(),
    limit :: pos_integer(),
    attempts = #{} :: #{reference() => {node(), pid(), Timer :: reference()}},
    failures = #{} :: #{node() => #failure{}}
}).

-opaque state() :: #state{}.

-spec new(options()) -> state().
new(#{connect_timeout := Timeout, max_connecting := Limit}) ->
    #state{timeout = Timeout, limit = Limit}.

%% Starts connecting to those of the missing nodes that are not being connected, not in back-off, and within the limit.
-spec connect([node()], state()) -> state().
connect(Missing, #state{limit = Limit, attempts = Attempts} = State) ->
    Now = now_ms(),
    Idle = [Node || Node <- Missing, not is_connecting(Node, State), is_due(Node, Now, State)],
    lists:foldl(fun start/2, State, lists:sublist(Idle, Limit - map_size(Attempts))).

start(Node, #state{timeout = Timeout, attempts = Attempts} = State) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({connected, net_kernel:connect_node(Node)}) end),
    Timer = erlang:start_timer(Timeout, self(), {?MODULE, Monitor}),
    State#state{attempts = Attempts#{Monitor => {Node, Pid, Timer}}}.

is_connecting(Node, State) ->
    lists:member(Node, connecting(State)).

is_due(Node, Now, #state{failures = Failures}) ->
    case Failures of
        #{Node := #failure{retry_at = RetryAt}} -> RetryAt =< Now;
        #{} -> true
    end.

%% The end of an attempt: `{connected, Node}', or `{failed, Node, Reason, Count}' for the Count-th failure in a row.
-spec handle_info(term(), state()) ->
    {connected, node(), state()} | {failed, node(), refused | timeout, pos_integer(), state()} | ignore.
handle_info({'DOWN', Monitor, process, _Pid, Result}, #state{attempts = Attempts} = State) ->
    case Attempts of
        #{Monitor := {Node, _, Timer}} ->
            _ = erlang:cancel_timer(Timer),
            ended(Node, Result, State#state{attempts = maps:remove(Monitor, Attempts)});
        #{} ->
            ignore
    end;
handle_info({timeout, _Timer, {?MODULE, Monitor}}, #state{attempts = Attempts} = State) ->
    case Attempts of
        #{Monitor := {Node, Pid, _}} ->
            true = demonitor(Monitor, [flush]),
            true = exit(Pid, kill),
            failed(Node, timeout, State#state{attempts = maps:remove(Monitor, Attempts)});
        #{} ->
            ignore
    end;
handle_info(_Other, _State) ->
    ignore.

ended(Node, {connected, true}, State) -> {connected, Node, forget(Node, State)};
ended(Node, _False, State) -> failed(Node, refused, State).

failed(Node, Reason, #state{failures = Failures} = State) ->
    Count = failure_count(Node, Failures) + 1,
    Failure = #failure{count = Count, retry_at = now_ms() + caravan_schedule:backoff(Count), reason = Reason},
    {failed, Node, Reason, Count, State#state{failures = Failures#{Node => Failure}}}.

failure_count(Node, Failures) ->
    case Failures of
        #{Node := #failure{count = Count}} -> Count;
        #{} -> 0
    end.

%% The node was up: its failures count no more.
-spec forget(node(), state()) -> state().
forget(Node, #state{failures = Failures} = State) ->
    State#state{failures = maps:remove(Node, Failures)}.

%% Forgets the failures of all nodes but these.
-spec keep([node()], state()) -> state().
keep(Nodes, #state{failures = Failures} = State) ->
    State#state{failures = maps:with(Nodes, Failures)}.

%% Milliseconds until the back-off of one of the missing nodes ends. None while no further attempt can start: the end of
%% each one is an occasion to connect anyway.
-spec next_retry([node()], state()) -> non_neg_integer() | none.
next_retry(_Missing, #state{limit = Limit, attempts = Attempts}) when map_size(Attempts) >= Limit ->
    none;
next_retry(Missing, #state{failures = Failures} = State) ->
    Waiting = maps:without(connecting(State), maps:with(Missing, Failures)),
    case [RetryAt || #failure{retry_at = RetryAt} <- maps:values(Waiting)] of
        [] -> none;
        Times -> max(0, lists:min(Times) - now_ms())
    end.

-spec connecting(state()) -> [node()].
connecting(#state{attempts = Attempts}) ->
    [Node || {Node, _, _} <- maps:values(Attempts)].

-spec failing(state()) -> #{node() => #{count := pos_integer(), reason := refused | timeout}}.
failing(#state{failures = Failures}) ->
    maps:map(fun(_Node, #failure{count = Count, reason = Reason}) -> #{count => Count, reason => Reason} end, Failures).

now_ms() ->
    erlang:monotonic_time(millisecond).
