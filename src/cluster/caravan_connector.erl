%% @private
%% Connects to nodes: several at a time, each from a process of its own, so that one that hangs in its handshake delays
%% nobody; a node that fails is left alone for a while, longer each time. A functional state, owned by a topology.
-module(caravan_connector).

-export([new/1, change/2, connect/2, handle_info/2, forget/2, keep/2, all_due/1, next_retry/2, connecting/1, failing/1]).

-export_type([state/0, options/0, event/0]).

-type options() :: #{
    connect := mfargs(),
    connect_timeout := pos_integer(),
    max_connecting := pos_integer(),
    atom() => term()
}.
-type mfargs() :: {module(), atom(), [term()]}.

%% How an attempt ended, after so much native time. A reason is `new' when it is the first of its kind since the node
%% was last connected: who reports those alone does not repeat himself.
-type event() ::
    {connected, node(), Duration :: integer()}
    | {failed, node(), caravan_diagnosis:reason(), new | known, Duration :: integer()}.

%% A function of the user's may fail in ever other ways.
-define(MAX_KINDS, 16).

-record(attempt, {
    node :: node(),
    task :: caravan_task:task(connected | {failed, caravan_diagnosis:reason()}),
    began :: integer()
}).

-record(failure, {
    count :: pos_integer(),
    retry_at :: integer(),
    reason :: caravan_diagnosis:reason(),
    %% Of the reasons so far, the last one first.
    kinds :: [term(), ...]
}).

-record(state, {
    options :: options(),
    attempts = #{} :: #{reference() => #attempt{}},
    failures = #{} :: #{node() => #failure{}}
}).

-opaque state() :: #state{}.

-spec new(options()) -> state().
new(Options) ->
    #state{options = Options}.

-spec change(options(), state()) -> state().
change(Options, State) ->
    State#state{options = Options}.

%% Starts connecting to those of the missing nodes that are not being connected, not in back-off, and within the limit.
-spec connect([node()], state()) -> state().
connect(Missing, #state{options = #{max_connecting := Limit}, attempts = Attempts} = State)
  when map_size(Attempts) < Limit, Missing =/= [] ->
    Now = now_ms(),
    Busy = connecting(State),
    Idle = [Node || Node <- Missing, not lists:member(Node, Busy), is_due(Node, Now, State)],
    lists:foldl(fun start/2, State, lists:sublist(in_order(Idle, State), Limit - map_size(Attempts)));
connect(_Missing, State) ->
    State.

%% However many do not answer, each has its turn: those that were never tried first, then who has waited longest.
in_order(Nodes, #state{failures = Failures}) ->
    {Tried, NeverTried} = lists:partition(fun(Node) -> is_map_key(Node, Failures) end, Nodes),
    Waiting = [{RetryAt, Node} || Node <- Tried, #{Node := #failure{retry_at = RetryAt}} <- [Failures]],
    from_own_name_on(NeverTried) ++ [Node || {_, Node} <- lists:sort(Waiting)].

%% Nodes that start together do not all begin with the same one.
from_own_name_on(Nodes) ->
    {Before, After} = lists:splitwith(fun(Node) -> Node < node() end, lists:sort(Nodes)),
    After ++ Before.

start(Node, #state{options = #{connect := Connect, connect_timeout := Timeout}, attempts = Attempts} = State) ->
    Task = caravan_task:start(fun() -> attempt(Node, Connect) end, Timeout),
    Attempt = #attempt{node = Node, task = Task, began = erlang:monotonic_time()},
    State#state{attempts = Attempts#{caravan_task:reference(Task) => Attempt}}.

attempt(Node, {Module, Function, Arguments} = Connect) ->
    case apply(Module, Function, Arguments ++ [Node]) of
        true -> connected;
        ignored -> {failed, not_distributed};
        false -> {failed, why(Node, Connect)};
        Result -> {failed, {result, Result}}
    end.

why(Node, {net_kernel, connect_node, []}) -> caravan_diagnosis:why(Node);
why(_Node, _Connect) -> {result, false}.

is_due(Node, Now, #state{failures = Failures}) ->
    case Failures of
        #{Node := #failure{retry_at = RetryAt}} -> RetryAt =< Now;
        #{} -> true
    end.

-spec handle_info(term(), state()) -> {event(), state()} | ignore.
handle_info(Message, #state{attempts = Attempts} = State) ->
    case maps:take(caravan_task:reference_of(Message), Attempts) of
        {#attempt{task = Task} = Attempt, Left} ->
            ended(caravan_task:result(Message, Task), Attempt, State#state{attempts = Left});
        error ->
            ignore
    end.

%% Left alone for a while, too, until its owner sees it among the connected ones and has it forgotten: the user's
%% list_nodes may never have it.
ended({ok, connected}, #attempt{node = Node} = Attempt, State) ->
    {_Event, Next} = failed(not_listed, Attempt, State),
    {{connected, Node, duration(Attempt)}, Next};
ended({ok, {failed, Reason}}, Attempt, State) ->
    failed(Reason, Attempt, State);
ended({raised, _} = Raised, Attempt, State) ->
    failed(Raised, Attempt, State);
ended({exit, _} = Exit, Attempt, State) ->
    failed({raised, Exit}, Attempt, State);
ended(timeout, Attempt, State) ->
    failed(timeout, Attempt, State).

failed(Reason, #attempt{node = Node} = Attempt, #state{failures = Failures} = State) ->
    {Count, Before} = failure_before(Node, Failures),
    Kind = caravan_diagnosis:kind(Reason),
    Failure = #failure{
        count = Count + 1,
        retry_at = now_ms() + caravan_schedule:backoff(Count + 1),
        reason = Reason,
        kinds = lists:sublist([Kind | lists:delete(Kind, Before)], ?MAX_KINDS)
    },
    Event = {failed, Node, Reason, novelty(lists:member(Kind, Before)), duration(Attempt)},
    {Event, State#state{failures = Failures#{Node => Failure}}}.

failure_before(Node, Failures) ->
    case Failures of
        #{Node := #failure{count = Count, kinds = Kinds}} -> {Count, Kinds};
        #{} -> {0, []}
    end.

novelty(true) -> known;
novelty(false) -> new.

duration(#attempt{began = Began}) ->
    erlang:monotonic_time() - Began.

%% The node was up: its failures count no more.
-spec forget(node(), state()) -> state().
forget(Node, #state{failures = Failures} = State) ->
    State#state{failures = maps:remove(Node, Failures)}.

%% Forgets the failures of all nodes but these.
-spec keep([node()], state()) -> state().
keep(Nodes, #state{failures = Failures} = State) ->
    State#state{failures = maps:with(Nodes, Failures)}.

%% Ends every back-off.
-spec all_due(state()) -> state().
all_due(#state{failures = Failures} = State) ->
    Now = now_ms(),
    State#state{failures = maps:map(fun(_Node, Failure) -> Failure#failure{retry_at = Now} end, Failures)}.

%% Milliseconds until the back-off of one of the missing nodes ends. None while no further attempt can start: the end of
%% each one is an occasion to connect anyway.
-spec next_retry([node()], state()) -> non_neg_integer() | none.
next_retry(_Missing, #state{options = #{max_connecting := Limit}, attempts = Attempts})
  when map_size(Attempts) >= Limit ->
    none;
next_retry(Missing, #state{failures = Failures} = State) ->
    Waiting = maps:without(connecting(State), maps:with(Missing, Failures)),
    case [RetryAt || #failure{retry_at = RetryAt} <- maps:values(Waiting)] of
        [] -> none;
        Times -> max(0, lists:min(Times) - now_ms())
    end.

-spec connecting(state()) -> [node()].
connecting(#state{attempts = Attempts}) ->
    [Node || #attempt{node = Node} <- maps:values(Attempts)].

-spec failing(state()) ->
    #{node() => #{count := pos_integer(), reason := caravan_diagnosis:reason(), retry_in := non_neg_integer()}}.
failing(#state{failures = Failures}) ->
    Now = now_ms(),
    maps:map(
        fun(_Node, #failure{count = Count, reason = Reason, retry_at = RetryAt}) ->
            #{count => Count, reason => Reason, retry_in => max(0, RetryAt - Now)}
        end,
        Failures
    ).

now_ms() ->
    erlang:monotonic_time(millisecond).
