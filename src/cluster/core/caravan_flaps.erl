%% @private
%% Connections that do not last: which node is left alone because of one, and for how long. Functional state of the deciding
%% core. Times are in milliseconds.
%%
%% If two nodes cannot reach each other, OTP's `global' makes each node that reaches both close its connection to one of
%% them. Without damping, each new connection would be lost again at once, everywhere in the cluster. The node that was
%% connected last is taken for the cause.
-module(caravan_flaps).

-export([new/0, up/3, is_up/2, down/6, until/2, count/2, counts/1, keep/3, forget/1, forget/2]).

-export_type([state/0, flap/0, loss/0]).

-type name() :: binary().

%% A connection that was lost soon: it is the Count-th in a row, and the node is left alone for `LeftAlone' milliseconds.
-type flap() :: {name(), Count :: pos_integer(), LeftAlone :: pos_integer()}.

%% What the loss of a connection says about the node: `lasted', the connection had lasted; `flap', it did not last;
%% `unknown', nothing.
-type loss() :: lasted | {flap, flap()} | unknown.

%% Losses within this time have one cause.
-define(MOMENT_MS, 1000).

%% How long after a node was cleared it cannot be cleared again.
-define(CLEARED_MS, 300000).

%% Twelve failures in a row take some minutes, and count as much as the number of flaps with the longest back-off.
-define(MOST_FLAPS, 3).
-define(FAILURES_PER_FLAP, 4).

%% How long after its back-off a flap is remembered: longer than the longest back-off.
-define(FLAP_MEMORY_MS, 1200000).

%% How often obsolete entries are removed.
-define(TIDY_MS, 60000).

%% The connections to a node that did not last, in a row, and until when the node is left alone. The count is 0 if another
%% node was found to be the cause of the losses.
-record(flaps, {
    count :: non_neg_integer(),
    until :: integer(),
    %% When another node was last found to be the cause, although this node's connection had not lasted either.
    cleared_at = never :: integer() | never
}).

-record(state, {
    %% Since when each node is connected.
    up = #{} :: #{name() => integer()},
    flaps = #{} :: #{name() => #flaps{}},
    %% Nodes connected so recently that their connections may still turn out not to last.
    newcomers = #{} :: #{name() => Since :: integer()},
    %% The newcomer that was lost last: when it was lost, and since when it was connected.
    lost_newcomer = none :: {LostAt :: integer(), Since :: integer()} | none,
    %% Nodes that were lost while there was a newcomer: when, whether their connections had lasted, and their counts before.
    blamed = #{} :: #{name() => {LostAt :: integer(), HadLasted :: boolean(), CountBefore :: non_neg_integer()}},
    %% Until when this node waits because other nodes have let it go.
    let_go_until = none :: integer() | none,
    %% The losses of one moment: when the last one was, how many connections of them had lasted, and which newcomers were
    %% cleared.
    moment = none :: {LastAt :: integer(), Lasted :: non_neg_integer(), Cleared :: [name()]} | none,
    %% When `newcomers' and `blamed' were last tidied. No decision depends on it.
    tidied_at = never :: integer() | never,
    %% Nodes for which until/2 has changed since the last call of down/6.
    moved = [] :: [name()]
}).

-opaque state() :: #state{}.

-spec new() -> state().
new() ->
    #state{}.

-spec up(name(), Now :: integer(), state()) -> state().
up(Name, Now, #state{up = Up, newcomers = Newcomers, blamed = Blamed} = State) ->
    State#state{up = Up#{Name => Now}, newcomers = Newcomers#{Name => Now}, blamed = maps:remove(Name, Blamed)}.

-spec is_up(name(), state()) -> boolean().
is_up(Name, #state{up = Up}) ->
    is_map_key(Name, Up).

%% Handles the loss of a connection. `Failures' is the number of failures in a row of the node that has failed most. Returns
%% what the loss says about the node, and the other nodes whose waits have changed.
-spec down(name(), Reason :: term(), Failures :: non_neg_integer(), Now :: integer(), caravan_schedule:random(), state()) ->
    {loss(), Moved :: [name()], state()}.
down(Name, Reason, Failures, Now, Random, #state{up = Up, newcomers = Newcomers} = State) ->
    {Since, Left} = maps:take(Name, Up),
    Gone = in_moment(Since, Now, State#state{up = Left, newcomers = maps:remove(Name, Newcomers), moved = []}),
    {Loss, Next} = lost(cause(Reason, Failures, Since, Now, Gone), Name, {Since, Now, Random}, Gone),
    #state{moved = Moved} = Last = let_go(Reason, Loss, Now, each_is_a_cause(Now, Random, Next)),
    {Loss, Moved, Last#state{moved = []}}.

%% The other nodes have let this node go. To come back by way of a node that has not done so would not last either.
let_go(disconnect, {flap, {_Name, _Count, LeftAlone}}, Now, #state{let_go_until = Before} = State) ->
    State#state{let_go_until = later(Before, Now + LeftAlone)};
let_go(_Reason, _Loss, _Now, State) ->
    State.

later(none, At) -> At;
later(One, Other) -> max(One, Other).

in_moment(Since, Now, #state{moment = {LastAt, Lasted, Cleared}} = State) when Now - LastAt < ?MOMENT_MS ->
    State#state{moment = {Now, Lasted + lasted(Since, Now), Cleared}};
in_moment(Since, Now, State) ->
    State#state{moment = {Now, lasted(Since, Now), []}}.

lasted(Since, Now) ->
    case is_recent(Since, Now) of
        true -> 0;
        false -> 1
    end.

%% If two nodes whose connections had lasted were lost in one moment, two pairs of nodes cannot reach each other, and each
%% newcomer is the cause for one pair.
each_is_a_cause(Now, Random, #state{moment = {Now, Lasted, [_ | _] = Newcomers}} = State) when Lasted > 1 ->
    lists:foldl(
        fun(Name, #state{flaps = Flaps} = Next) ->
            {_, Left} = flap(Name, count(Name, Now, Flaps), Now, Random, Next),
            moved(Name, Left)
        end,
        cleared(Now - ?MOMENT_MS, Now, Random, State#state{moment = {Now, Lasted, []}}),
        Newcomers
    );
each_is_a_cause(_Now, _Random, State) ->
    State.

%% Returns the cause of a loss:
%% - A loss that this node has caused itself (`own_doing') says nothing about other nodes.
%% - `net_tick_timeout' means that nothing came over the connection, so no third node is involved.
%% - `disconnect' means that `global' of the other node has told this node to close the connection: the other nodes have let
%%   this node go.
%% - If another node was connected after the lost one and is still recent, the lost one may be unable to reach it. A node is
%%   recent for as long as `global' needs to find that out. Of two nodes, the one that was connected last is the cause.
%% - If such a newcomer was lost a moment ago, it was the cause as well.
%% - Otherwise, if the connection did not last, the lost node itself is the cause; if it lasted, the node, its machine or the
%%   network has stopped.
cause(own_doing, _Failures, _Since, _Now, _State) ->
    unknown;
cause(net_tick_timeout, _Failures, Since, Now, _State) ->
    case is_recent(Since, Now) of
        true -> unknown;
        false -> none
    end;
cause(disconnect, Failures, Since, Now, _State) ->
    case is_recent(Since, Now) of
        true -> itself;
        false -> {let_go, Failures}
    end;
cause(_Reason, _Failures, Since, Now, #state{newcomers = Newcomers, flaps = Flaps} = State) ->
    Later = maps:filter(fun(_Name, Up) -> Up > Since andalso is_recent(Up, Now) end, Newcomers),
    case [count(Name, Now, Flaps) || Name <- maps:keys(Later)] of
        [] -> cause_that_is_gone(is_recent(Since, Now), Since, Now, State);
        Counts -> {newcomer, lists:max(Counts)}
    end.

%% With several newcomers, each of them is the cause of another loss.
cause_that_is_gone(true, _Since, _Now, #state{moment = {_, Lasted, _}}) when Lasted > 1 ->
    itself;
cause_that_is_gone(_IsRecent, Since, Now, #state{lost_newcomer = {LostAt, Up}}) when Up > Since, Now - LostAt < ?MOMENT_MS ->
    lost_newcomer;
cause_that_is_gone(true, _Since, _Now, _State) ->
    itself;
cause_that_is_gone(false, _Since, _Now, _State) ->
    none.

is_recent(At, Now) -> Now - At < caravan_schedule:steady_after().

lost(itself, Name, {Since, Now, Random}, #state{flaps = Flaps} = State) ->
    flap(Name, count(Name, Now, Flaps), Now, Random, newcomer_gone(is_recent(Since, Now), Since, Now, Random, State));
%% Nodes that have let this one go connect again by themselves when the cause is gone. The more failures to reach some node
%% there were, the longer this node waits.
lost({let_go, Failures}, Name, {_Since, Now, Random}, #state{flaps = Flaps} = State) ->
    flap(Name, max(count(Name, Now, Flaps), min(?MOST_FLAPS, Failures div ?FAILURES_PER_FLAP)), Now, Random, State);
%% The other one of the two is connected now. This one takes its place, and its count, as the node that is tried now and
%% then.
lost({newcomer, OtherCount}, Name, {Since, Now, Random}, #state{flaps = Flaps, blamed = Blamed} = State) ->
    Before = count(Name, Now, Flaps),
    Blame = {Now, not is_recent(Since, Now), Before},
    flap(Name, max(Before, OtherCount), Now, Random, State#state{blamed = Blamed#{Name => Blame}});
lost(lost_newcomer, Name, {Since, Now, Random}, #state{flaps = Flaps} = State) ->
    Count = count(Name, Now, Flaps),
    HadLasted = not is_recent(Since, Now),
    case may_be_cleared(Name, HadLasted, Now, State) of
        true ->
            {unknown, clear(Name, HadLasted, Count, Now, Random, State)};
        false ->
            {Flap, Next} = flap(Name, Count, Now, Random, State),
            {Flap, halve(Name, Now, Next)}
    end;
lost(unknown, _Name, _Times, State) ->
    {unknown, State};
lost(none, Name, _Times, #state{flaps = Flaps} = State) ->
    {lasted, State#state{flaps = maps:remove(Name, Flaps)}}.

flap(Name, Before, Now, Random, #state{flaps = Flaps} = State) ->
    Count = 1 + Before,
    LeftAlone = caravan_schedule:flap_backoff(Count, erlang:phash2({Name, Random})),
    Flap = #flaps{count = Count, until = Now + LeftAlone, cleared_at = cleared_at(Name, Flaps)},
    {{flap, {Name, Count, LeftAlone}}, State#state{flaps = Flaps#{Name => Flap}}}.

%% A newcomer is lost. It was the cause for the nodes that were lost since it was connected, and they may be tried again once
%% the reaction of `global' is over: of two nodes that cannot reach each other, one should be connected.
newcomer_gone(false, _Since, _Now, _Random, State) -> State;
newcomer_gone(true, Since, Now, Random, State) -> cleared(Since, Now, Random, State#state{lost_newcomer = {Now, Since}}).

cleared(Since, Now, Random, #state{blamed = Blamed} = State) ->
    Lost = maps:filter(fun(_Name, {LostAt, _HadLasted, _Before}) -> LostAt >= Since end, Blamed),
    maps:fold(
        fun(Name, Blame, Next) -> cleared_one(Name, Blame, Now, Random, Next) end,
        State#state{blamed = maps:without(maps:keys(Lost), Blamed)},
        Lost
    ).

cleared_one(Name, {_LostAt, HadLasted, Before}, Now, Random, State) ->
    case may_be_cleared(Name, HadLasted, Now, State) of
        true -> clear(Name, HadLasted, Before, Now, Random, State);
        false -> halve(Name, Now, State)
    end.

%% If two nodes were let go, the one that was not the cause waits half as long, so that its connection has lasted when the
%% other one is tried. If both came back at the same time, both would be let go each time.
halve(Name, Now, #state{flaps = Flaps} = State) when is_map_key(Name, Flaps) ->
    #{Name := #flaps{until = Until} = Flap} = Flaps,
    moved(Name, State#state{flaps = Flaps#{Name := Flap#flaps{until = Now + (Until - Now) div 2}}});
%% The wait of the node has been ended meanwhile.
halve(_Name, _Now, State) ->
    State.

%% Returns whether the node may be tried before the end of its wait. If several pairs of nodes are broken, each node may seem
%% to be lost because of another one. So of nodes whose connections did not last only one is cleared in a moment, and each of
%% them only once in ?CLEARED_MS milliseconds.
may_be_cleared(_Name, true, _Now, _State) ->
    true;
may_be_cleared(_Name, false, _Now, #state{moment = {_, Lasted, Cleared}}) when Lasted > 1; Cleared =/= [] ->
    false;
may_be_cleared(Name, false, Now, #state{flaps = Flaps}) ->
    case cleared_at(Name, Flaps) of
        never -> true;
        At -> Now - At >= ?CLEARED_MS
    end.

cleared_at(Name, Flaps) ->
    case Flaps of
        #{Name := #flaps{cleared_at = At}} -> At;
        #{} -> never
    end.

clear(Name, HadLasted, Before, Now, Random, #state{flaps = Flaps, moment = {LastAt, Lasted, Cleared}} = State) ->
    Until = Now + caravan_schedule:rest(erlang:phash2({Name, Random})),
    Flap = #flaps{count = Before, until = Until, cleared_at = cleared(HadLasted, Now)},
    Newcomers = [Name || not HadLasted] ++ Cleared,
    moved(Name, State#state{flaps = Flaps#{Name => Flap}, moment = {LastAt, Lasted, Newcomers}}).

cleared(true, _Now) -> never;
cleared(false, Now) -> Now.

moved(Name, #state{moved = Moved} = State) ->
    State#state{moved = [Name | Moved]}.

%% A flap is forgotten when its wait has been over for so long that it would have occurred again.
count(Name, Now, Flaps) ->
    case Flaps of
        #{Name := #flaps{count = Count, until = Until}} when Now - Until < ?FLAP_MEMORY_MS -> Count;
        #{} -> 0
    end.

%% Returns until when the node is left alone.
-spec until(name(), state()) -> integer() | never_lost.
until(Name, #state{flaps = Flaps, let_go_until = LetGoUntil}) ->
    case Flaps of
        #{Name := #flaps{until = Until}} -> later(LetGoUntil, Until);
        #{} -> never_lost
    end.

%% Returns how many connections to the node in a row did not last.
-spec count(name(), state()) -> non_neg_integer().
count(Name, #state{flaps = Flaps}) ->
    case Flaps of
        #{Name := #flaps{count = Count}} -> Count;
        #{} -> 0
    end.

%% Returns the same for each node.
-spec counts(state()) -> #{name() => non_neg_integer()}.
counts(#state{flaps = Flaps}) ->
    maps:map(fun(_Name, #flaps{count = Count}) -> Count end, Flaps).

%% Forgets the nodes for which the function returns false, and removes obsolete entries of the others.
-spec keep(fun((name(), Until :: integer()) -> boolean()), Now :: integer(), state()) -> state().
keep(IsKept, Now, #state{flaps = Flaps} = State) ->
    tidied(Now, State#state{flaps = maps:filter(fun(Name, #flaps{until = Until}) -> IsKept(Name, Until) end, Flaps)}).

%% Right after a start of a large cluster all nodes are newcomers, so this is not done at each poll.
tidied(Now, #state{tidied_at = At} = State) when is_integer(At), Now - At < ?TIDY_MS ->
    State;
tidied(Now, #state{newcomers = Newcomers, blamed = Blamed} = State) ->
    State#state{
        tidied_at = Now,
        newcomers = maps:filter(fun(_Name, Up) -> is_recent(Up, Now) end, Newcomers),
        blamed = maps:filter(fun(_Name, {LostAt, _HadLasted, _Before}) -> is_recent(LostAt, Now) end, Blamed)
    }.

%% Ends all waits.
-spec forget(state()) -> state().
forget(State) ->
    State#state{flaps = #{}, blamed = #{}, let_go_until = none}.

%% Ends the wait for the node.
-spec forget(name(), state()) -> state().
forget(Name, #state{flaps = Flaps, blamed = Blamed} = State) ->
    State#state{flaps = maps:remove(Name, Flaps), blamed = maps:remove(Name, Blamed)}.
