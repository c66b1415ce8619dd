%% @private
%% Connects to nodes: several at a time, each from a process of its own, so that one that hangs in its handshake delays
%% nobody; a node that fails is left alone for a while, longer each time. A functional state, owned by a topology, which
%% gives the time: monotonic milliseconds.
-module(caravan_connector).

-export([new/1, change/2, connect/3, handle_info/3, connected/3, lost_by_silence/2]).
-export([keep/2, all_due/2, next_retry/3, connecting/1, failing/2]).

-export_type([state/0, options/0, event/0, flap/0]).

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

%% A connection that was lost soon, the Count-th in a row, and for how many milliseconds the node is left alone.
-type flap() :: {node(), Count :: pos_integer(), LeftAlone :: pos_integer()}.

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

%% Connections to the node that did not last, in a row, and until when it is left alone for that.
-record(flaps, {
    count :: pos_integer(),
    until :: integer()
}).

-record(state, {
    options :: options(),
    attempts = #{} :: #{reference() => #attempt{}},
    failures = #{} :: #{node() => #failure{}},
    %% Since when each node is connected.
    up = #{} :: #{node() => integer()},
    flaps = #{} :: #{node() => #flaps{}}
}).

-opaque state() :: #state{}.

-spec new(options()) -> state().
new(Options) ->
    #state{options = Options}.

-spec change(options(), state()) -> state().
change(Options, State) ->
    State#state{options = Options}.

%% Starts connecting to those of the missing nodes that are not being connected, not in back-off, and within the limit.
-spec connect([node()], Now :: integer(), state()) -> state().
connect(Missing, Now, #state{options = #{max_connecting := Limit}, attempts = Attempts} = State)
  when map_size(Attempts) < Limit, Missing =/= [] ->
    Busy = connecting(State),
    Idle = [Node || Node <- Missing, not lists:member(Node, Busy), is_due(Node, Now, State)],
    lists:foldl(fun start/2, State, lists:sublist(in_order(Idle, State), Limit - map_size(Attempts)));
connect(_Missing, _Now, State) ->
    State.

%% However many do not answer, each has its turn: those that were never tried first, then who has waited longest.
in_order(Nodes, State) ->
    Due = [{due_at(Node, State), Node} || Node <- Nodes],
    from_own_name_on([Node || {none, Node} <- Due]) ++ [Node || {At, Node} <- lists:sort(Due), At =/= none].

%% Nodes that start together do not all begin with the same one.
from_own_name_on(Nodes) ->
    {Before, After} = lists:splitwith(fun(Node) -> Node < node() end, lists:sort(Nodes)),
    After ++ Before.

start(Node, #state{options = #{connect := Connect, connect_timeout := Timeout}, attempts = Attempts} = State) ->
    Task = caravan_task:start(fun() -> attempt(Node, Connect) end, Timeout),
    Attempt = #attempt{node = Node, task = Task, began = erlang:monotonic_time()},
    State#state{attempts = Attempts#{caravan_task:reference(Task) => Attempt}}.

attempt(Node, {net_kernel, connect_node, []} = Connect) ->
    case caravan_diagnosis:beforehand(Node) of
        ok -> try_connect(Node, Connect);
        Reason -> {failed, Reason}
    end;
attempt(Node, Connect) ->
    try_connect(Node, Connect).

try_connect(Node, {Module, Function, Arguments} = Connect) ->
    case apply(Module, Function, Arguments ++ [Node]) of
        true -> connected;
        ignored -> {failed, not_distributed};
        false -> {failed, why(Node, Connect)};
        Result -> {failed, {result, Result}}
    end.

why(Node, {net_kernel, connect_node, []}) -> caravan_diagnosis:why(Node);
why(_Node, _Connect) -> {result, false}.

is_due(Node, Now, State) ->
    case due_at(Node, State) of
        none -> true;
        At -> At =< Now
    end.

%% When the node may be tried; none if nothing speaks against it.
due_at(Node, #state{failures = Failures, flaps = Flaps}) ->
    Times = [At || #{Node := #failure{retry_at = At}} <- [Failures]] ++ [At || #{Node := #flaps{until = At}} <- [Flaps]],
    case Times of
        [] -> none;
        _ -> lists:max(Times)
    end.

-spec handle_info(term(), Now :: integer(), state()) -> {event(), state()} | ignore.
handle_info(Message, Now, #state{attempts = Attempts} = State) ->
    case maps:take(caravan_task:reference_of(Message), Attempts) of
        {#attempt{task = Task} = Attempt, Left} ->
            ended(caravan_task:result(Message, Task), Attempt, Now, State#state{attempts = Left});
        error ->
            ignore
    end.

%% Left alone for a while, too, until its owner sees it among the connected ones and has it forgotten: the user's
%% list_nodes may never have it.
ended({ok, connected}, #attempt{node = Node} = Attempt, Now, State) ->
    {_Event, Next} = failed(not_listed, Attempt, Now, State),
    {{connected, Node, duration(Attempt)}, Next};
ended({ok, {failed, Reason}}, Attempt, Now, State) ->
    failed(Reason, Attempt, Now, State);
ended({raised, _} = Raised, Attempt, Now, State) ->
    failed(Raised, Attempt, Now, State);
ended({exit, _} = Exit, Attempt, Now, State) ->
    failed({raised, Exit}, Attempt, Now, State);
ended(timeout, Attempt, Now, State) ->
    failed(timeout, Attempt, Now, State).

failed(Reason, #attempt{node = Node} = Attempt, Now, #state{failures = Failures} = State) ->
    {Count, Before} = failure_before(Node, Failures),
    Kind = caravan_diagnosis:kind(Reason),
    Failure = #failure{
        count = Count + 1,
        retry_at = Now + caravan_schedule:backoff(Count + 1),
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

%% The connection went because nothing came over it any more: there is no second node in that, and nothing to wait for.
-spec lost_by_silence(node(), state()) -> state().
lost_by_silence(Node, #state{up = Up} = State) ->
    State#state{up = maps:remove(Node, Up)}.

%% These nodes are connected, and no others. Failed attempts of theirs count no more. A connection that was lost before it
%% has lasted is a failure of another kind: where two nodes cannot reach each other, OTP's `global' has each node that
%% reaches both let one of them go, so that every connection that is made at once is lost at once, for all of the cluster.
-spec connected([node()], Now :: integer(), state()) -> {[flap()], state()}.
connected(Nodes, Now, #state{failures = Failures, up = Before, flaps = Flaps} = State) ->
    Lost = maps:without(Nodes, Before),
    After = maps:fold(fun(Node, Since, All) -> lost(Node, Now, Now - Since, All) end, Flaps, Lost),
    New = maps:to_list(maps:with(maps:keys(Lost), After)),
    {[{Node, Count, Until - Now} || {Node, #flaps{count = Count, until = Until}} <- New], State#state{
        failures = maps:without(Nodes, Failures),
        up = maps:merge(maps:from_keys(Nodes, Now), maps:with(Nodes, Before)),
        flaps = After
    }}.

lost(Node, Now, Lasted, All) ->
    Count = flap_count(Node, All),
    case Lasted >= caravan_schedule:steady_after() of
        true -> maps:remove(Node, All);
        false -> All#{Node => #flaps{count = Count + 1, until = Now + caravan_schedule:flap_backoff(Count + 1)}}
    end.

flap_count(Node, All) ->
    case All of
        #{Node := #flaps{count = Count}} -> Count;
        #{} -> 0
    end.

%% Forgets the failures of all nodes but these.
-spec keep([node()], state()) -> state().
keep(Nodes, #state{failures = Failures, flaps = Flaps} = State) ->
    State#state{failures = maps:with(Nodes, Failures), flaps = maps:with(Nodes, Flaps)}.

%% Ends every back-off.
-spec all_due(Now :: integer(), state()) -> state().
all_due(Now, #state{failures = Failures} = State) ->
    State#state{failures = maps:map(fun(_Node, Failure) -> Failure#failure{retry_at = Now} end, Failures), flaps = #{}}.

%% Milliseconds until the back-off of one of the missing nodes ends. None while no further attempt can start: the end of
%% each one is an occasion to connect anyway.
-spec next_retry([node()], Now :: integer(), state()) -> non_neg_integer() | none.
next_retry(_Missing, _Now, #state{options = #{max_connecting := Limit}, attempts = Attempts})
  when map_size(Attempts) >= Limit ->
    none;
next_retry(Missing, Now, State) ->
    case [At || Node <- Missing -- connecting(State), (At = due_at(Node, State)) =/= none] of
        [] -> none;
        Times -> max(0, lists:min(Times) - Now)
    end.

-spec connecting(state()) -> [node()].
connecting(#state{attempts = Attempts}) ->
    [Node || #attempt{node = Node} <- maps:values(Attempts)].

%% Nodes that could not be connected, and those whose connections do not last.
-spec failing(Now :: integer(), state()) ->
    #{node() => #{count := pos_integer(), reason := caravan_diagnosis:reason(), retry_in := non_neg_integer()}}.
failing(Now, #state{failures = Failures, flaps = Flaps} = State) ->
    Failing = maps:merge(
        maps:map(fun(_Node, #flaps{count = Count}) -> #{count => Count, reason => lost_soon} end, Flaps),
        maps:map(fun(_Node, #failure{count = Count, reason = Reason}) -> #{count => Count, reason => Reason} end, Failures)
    ),
    maps:map(fun(Node, Facts) -> Facts#{retry_in => max(0, due_at(Node, State) - Now)} end, Failing).
