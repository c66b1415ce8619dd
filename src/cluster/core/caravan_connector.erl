%% @private
%% Decides which missing node is tried, and when. Several attempts run at the same time, so that a node that hangs in its
%% handshake delays no other. A node that fails is left alone for a back-off that grows with each failure, and so is a node
%% whose connections do not last (caravan_flaps). Functional state of the deciding core. Times are in milliseconds.
-module(caravan_connector).

-export([new/2, change/2, rename/2, offer/2, withdraw/2, start/2, ended/5, up/3, down/5, left/2, keep/3, all_due/2]).
-export([next_start/1, has_missing/1, connecting/1, failing/2, flaps/2]).

-export_type([state/0, options/0, result/0, event/0]).

-type name() :: binary().
-type options() :: #{max_connecting := pos_integer(), max_nodes := pos_integer(), atom() => term()}.
-type result() :: connected | {failed, Reason :: term()}.

%% How an attempt ended. `new' marks a reason of a kind that has not occurred since the node last had a lasting connection: a
%% caller that reports only new reasons reports each fault once.
-type event() :: {connected, name()} | {failed, name(), Reason :: term(), new | known}.

%% A user's connect function may fail for a different reason each time.
-define(MAX_KINDS, 16).

%% How long the failures of a node that is not wanted any more are remembered. A nameserver that returns samples lists it
%% again.
-define(MEMORY_MS, 600000).

-record(failure, {
    count :: pos_integer(),
    retry_at :: integer(),
    reason :: term()
}).

%% The order in which nodes are tried. Nodes that have not been tried come first, beginning after the name of this node, so
%% that nodes that start at the same time do not all try the same one first. Then come the others, in the order in which
%% their back-offs end.
-type turn() :: {0, IsBeforeOwn :: boolean(), name()} | {1, DueAt :: integer(), name()}.

-record(state, {
    own :: name(),
    options :: options(),
    %% The missing nodes and their turns.
    missing = #{} :: #{name() => turn() | trying},
    turns = gb_sets:new() :: gb_sets:set(turn()),
    attempts = #{} :: #{name() => []},
    failures = #{} :: #{name() => #failure{}},
    %% For each node the kinds of reasons that were reported, the most recent one first.
    kinds = #{} :: #{name() => [term(), ...]},
    flaps = caravan_flaps:new() :: caravan_flaps:state()
}).

-opaque state() :: #state{}.

-spec new(Own :: name(), options()) -> state().
new(Own, Options) ->
    #state{own = Own, options = Options}.

-spec change(options(), state()) -> state().
change(Options, State) ->
    State#state{options = Options}.

%% Sets the name of this node, which changes when the node becomes distributed. Nodes offered from now on are ordered by the
%% new name.
-spec rename(Own :: name(), state()) -> state().
rename(Own, State) ->
    State#state{own = Own}.

%% Offers a missing node, which may be tried from now on.
-spec offer(name(), state()) -> state().
offer(Name, #state{missing = Missing} = State) when is_map_key(Name, Missing) ->
    State;
offer(Name, #state{attempts = Attempts, missing = Missing} = State) when is_map_key(Name, Attempts) ->
    State#state{missing = Missing#{Name => trying}};
offer(Name, #state{missing = Missing, turns = Turns} = State) ->
    Turn = turn(Name, State),
    State#state{missing = Missing#{Name => Turn}, turns = gb_sets:add_element(Turn, Turns)}.

turn(Name, #state{own = Own} = State) ->
    case due_at(Name, State) of
        never_tried -> {0, Name < Own, Name};
        At -> {1, At, Name}
    end.

due_at(Name, #state{failures = Failures, flaps = Flaps}) ->
    case {Failures, caravan_flaps:until(Name, Flaps)} of
        {#{Name := #failure{retry_at = At}}, never_lost} -> At;
        {#{Name := #failure{retry_at = At}}, Until} -> max(At, Until);
        {_, never_lost} -> never_tried;
        {_, Until} -> Until
    end.

%% Withdraws a node that is not missing any more or may not be tried. A running attempt continues.
-spec withdraw(name(), state()) -> state().
withdraw(Name, #state{missing = Missing, turns = Turns} = State) ->
    case maps:take(Name, Missing) of
        {trying, Left} -> State#state{missing = Left};
        {Turn, Left} -> State#state{missing = Left, turns = gb_sets:del_element(Turn, Turns)};
        error -> State
    end.

%% Returns the nodes to try now, within `max_connecting'. Each counts as being tried until ended/5.
-spec start(Now :: integer(), state()) -> {[name()], state()}.
start(Now, State) ->
    start(Now, [], State).

start(Now, Started, #state{options = #{max_connecting := Limit}, attempts = Attempts, turns = Turns} = State)
  when map_size(Attempts) < Limit ->
    case gb_sets:is_empty(Turns) orelse gb_sets:smallest(Turns) of
        true -> {lists:reverse(Started), State};
        {1, DueAt, _Name} when DueAt > Now -> {lists:reverse(Started), State};
        {_, _, Name} = Turn -> start(Now, Started, Name, Turn, due_at(Name, State), State)
    end;
start(_Now, Started, State) ->
    {lists:reverse(Started), State}.

%% The turn may have been postponed since it was queued.
start(Now, Started, Name, _Turn, DueAt, State) when is_integer(DueAt), DueAt > Now ->
    start(Now, Started, in_turn_at(Name, State));
start(Now, Started, Name, Turn, _DueAt, State) ->
    start(Now, [Name | Started], try_now(Name, Turn, State)).

try_now(Name, Turn, #state{missing = Missing, turns = Turns, attempts = Attempts} = State) ->
    State#state{
        missing = Missing#{Name := trying},
        turns = gb_sets:delete(Turn, Turns),
        attempts = Attempts#{Name => []}
    }.

%% Handles the end of an attempt.
-spec ended(name(), result(), Now :: integer(), caravan_schedule:random(), state()) -> {event(), state()}.
ended(Name, Result, Now, Random, #state{attempts = Attempts} = State) ->
    {Event, Next} = result(Result, Name, Now, Random, State#state{attempts = maps:remove(Name, Attempts)}),
    {Event, in_turn_again(Name, Next)}.

result(connected, Name, Now, Random, #state{flaps = Flaps} = State) ->
    case caravan_flaps:is_up(Name, Flaps) of
        true -> {{connected, Name}, State};
        %% The node counts as failing until it is seen among the connected nodes, because a user's list_nodes may never
        %% return it.
        false -> {{connected, Name}, failed(Name, not_listed, Now, Random, State)}
    end;
result({failed, Reason}, Name, Now, Random, #state{kinds = Kinds} = State) ->
    Kind = caravan_reason_kind:of_reason(Reason),
    Before = maps:get(Name, Kinds, []),
    Known = lists:sublist([Kind | lists:delete(Kind, Before)], ?MAX_KINDS),
    Next = failed(Name, Reason, Now, Random, State#state{kinds = Kinds#{Name => Known}}),
    {{failed, Name, Reason, novelty(lists:member(Kind, Before))}, Next}.

novelty(true) -> known;
novelty(false) -> new.

failed(Name, Reason, Now, Random, #state{failures = Failures} = State) ->
    Count = 1 + failure_count(Name, Failures),
    Failure = #failure{
        count = Count, retry_at = Now + caravan_schedule:backoff(Count, erlang:phash2({Name, Random})), reason = Reason
    },
    State#state{failures = Failures#{Name => Failure}}.

failure_count(Name, Failures) ->
    case Failures of
        #{Name := #failure{count = Count}} -> Count;
        #{} -> 0
    end.

in_turn_again(Name, #state{missing = Missing} = State) ->
    case Missing of
        #{Name := trying} -> offer(Name, State#state{missing = maps:remove(Name, Missing)});
        #{} -> State
    end.

%% Handles a connection. Earlier failures of the node are forgotten.
-spec up(name(), Now :: integer(), state()) -> state().
up(Name, Now, #state{failures = Failures, flaps = Flaps} = State) ->
    case caravan_flaps:is_up(Name, Flaps) of
        true -> State;
        false -> State#state{failures = maps:remove(Name, Failures), flaps = caravan_flaps:up(Name, Now, Flaps)}
    end.

%% Handles the loss of a connection. Returns the flap if the connection did not last, which counts as a failure.
-spec down(name(), Reason :: term(), Now :: integer(), caravan_schedule:random(), state()) -> {[caravan_flaps:flap()], state()}.
down(Name, Reason, Now, Random, #state{flaps = Flaps} = State) ->
    case caravan_flaps:is_up(Name, Flaps) of
        true ->
            {Loss, Moved, Next} = caravan_flaps:down(Name, Reason, failures_before(Reason, State), Now, Random, Flaps),
            lost(Loss, Name, lists:foldl(fun in_turn_at/2, State#state{flaps = Next}, Moved));
        false ->
            {[], State}
    end.

lost({flap, Flap}, _Name, State) -> {[Flap], State};
lost(unknown, _Name, State) -> {[], State};
lost(lasted, Name, #state{kinds = Kinds} = State) -> {[], State#state{kinds = maps:remove(Name, Kinds)}}.

%% Failures of other nodes count only if this node was told to close the connection, which is done because it cannot reach
%% some node.
failures_before(disconnect, #state{failures = Failures, missing = Missing}) ->
    lists:max([0 | [Count || {Name, #failure{count = Count}} <- maps:to_list(Failures), is_map_key(Name, Missing)]]);
failures_before(_Reason, _State) ->
    0.

%% Handles a node that leaves. Neither earlier failures nor those of its departure say anything about the time after its
%% return.
-spec left(name(), state()) -> state().
left(Name, #state{failures = Failures, kinds = Kinds, flaps = Flaps} = State) ->
    in_turn_at(Name, State#state{
        failures = maps:remove(Name, Failures), kinds = maps:remove(Name, Kinds), flaps = caravan_flaps:forget(Name, Flaps)
    }).

%% Queues the node again by its new turn.
in_turn_at(Name, #state{missing = Missing} = State) when is_map_key(Name, Missing) -> offer(Name, withdraw(Name, State));
in_turn_at(_Name, State) -> State.

%% Forgets the failures of nodes that have not been wanted for some time.
-spec keep(Wanted :: #{name() => term()}, Now :: integer(), state()) -> state().
keep(Wanted, Now, #state{options = #{max_nodes := Max}, failures = Failures, flaps = Flaps, kinds = Kinds} = State) ->
    Memory = memory(map_size(maps:merge(Failures, caravan_flaps:counts(Flaps))) - map_size(Wanted), Max),
    IsKept = fun(Name, Until) -> is_map_key(Name, Wanted) orelse Until + Memory > Now end,
    KeptFailures = maps:filter(fun(Name, #failure{retry_at = At}) -> IsKept(Name, At) end, Failures),
    KeptFlaps = caravan_flaps:keep(IsKept, Now, Flaps),
    Remembered = maps:merge(KeptFailures, caravan_flaps:counts(KeptFlaps)),
    State#state{
        failures = KeptFailures,
        flaps = KeptFlaps,
        kinds = maps:filter(fun(Name, _) -> is_map_key(Name, Wanted) orelse is_map_key(Name, Remembered) end, Kinds)
    }.

%% A hostile zone may list new names each time, so that the failures of unwanted nodes are forgotten at once.
memory(Unwanted, Max) when Unwanted > Max -> 0;
memory(_Unwanted, _Max) -> ?MEMORY_MS.

%% Ends all back-offs.
-spec all_due(Now :: integer(), state()) -> state().
all_due(Now, #state{failures = Failures, flaps = Flaps, missing = Missing} = State) ->
    Due = State#state{
        failures = maps:map(fun(_Name, Failure) -> Failure#failure{retry_at = Now} end, Failures),
        flaps = caravan_flaps:forget(Flaps),
        missing = maps:filter(fun(_Name, Turn) -> Turn =:= trying end, Missing),
        turns = gb_sets:new()
    },
    lists:foldl(fun offer/2, Due, maps:keys(Missing)).

%% Returns when the next node is to try, after start/2. `none' if no further attempt can start: start/2 is called when an
%% attempt ends.
-spec next_start(state()) -> integer() | none.
next_start(#state{options = #{max_connecting := Limit}, attempts = Attempts}) when map_size(Attempts) >= Limit ->
    none;
next_start(#state{turns = Turns}) ->
    case gb_sets:is_empty(Turns) orelse gb_sets:smallest(Turns) of
        true -> none;
        {0, _IsBeforeOwn, _Name} -> none;
        {1, DueAt, _Name} -> DueAt
    end.

%% Returns whether any missing node may be tried or is being tried.
-spec has_missing(state()) -> boolean().
has_missing(#state{missing = Missing}) ->
    map_size(Missing) > 0.

%% Returns how many connections to the node in a row did not last.
-spec flaps(name(), state()) -> non_neg_integer().
flaps(Name, #state{flaps = Flaps}) ->
    caravan_flaps:count(Name, Flaps).

-spec connecting(state()) -> [name()].
connecting(#state{attempts = Attempts}) ->
    lists:sort(maps:keys(Attempts)).

%% Returns the missing nodes that could not be connected, and those whose connections do not last.
-spec failing(Now :: integer(), state()) ->
    #{name() => #{count := pos_integer(), reason := term(), retry_in := non_neg_integer()}}.
failing(Now, #state{missing = Missing, failures = Failures, flaps = Flaps} = State) ->
    Facts = maps:merge(
        maps:map(fun(_Name, Count) -> #{count => max(1, Count), reason => lost_soon} end, caravan_flaps:counts(Flaps)),
        maps:map(fun(_Name, #failure{count = Count, reason = Reason}) -> #{count => Count, reason => Reason} end, Failures)
    ),
    maps:map(
        fun(Name, Fact) -> Fact#{retry_in => max(0, due_at(Name, State) - Now)} end,
        maps:with(maps:keys(Missing), Facts)
    ).
