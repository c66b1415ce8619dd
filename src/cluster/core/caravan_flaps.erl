%% @private
%% Connections that do not last: which node is left alone for one, and for how long. A functional state of the deciding core.
%% Times are milliseconds.
%%
%% Where two nodes cannot reach each other, OTP's `global' has each node that reaches both let one of them go, so that each
%% connection that is made at once is lost at once, for all of the cluster. The node that came last is taken for the cause.
-module(caravan_flaps).

-export([new/0, up/3, is_up/2, down/6, until/2, count/2, counts/1, keep/3, forget/1, forget/2]).

-export_type([state/0, flap/0, loss/0]).

-type name() :: binary().

%% A connection that was lost soon, the Count-th in a row, and for how many milliseconds the node is left alone.
-type flap() :: {name(), Count :: pos_integer(), LeftAlone :: pos_integer()}.

%% What a lost connection says of the node: it had lasted, it did not last, or nothing.
-type loss() :: lasted | {flap, flap()} | unknown.

%% What happens within it has one cause.
-define(MOMENT_MS, 1000).

%% For how long a node whose connection has not lasted is not cleared again.
-define(CLEARED_MS, 300000).

%% Twelve failures in a row take some minutes, and count as much as the flaps that have the longest back-off.
-define(MOST_FLAPS, 3).
-define(FAILURES_PER_FLAP, 4).

%% For how long after its back-off a connection that did not last is remembered: longer than the longest of them.
-define(FLAP_MEMORY_MS, 1200000).

%% How often what does not matter any more is left out.
-define(TIDY_MS, 60000).

%% Connections to the node that did not last, in a row, and until when it is left alone for that; none where another node was
%% found to be what they were lost for.
-record(flaps, {
    count :: non_neg_integer(),
    until :: integer(),
    %% When another node was last found to be the cause though this one's connection had not lasted either.
    cleared_at = never :: integer() | never
}).

-record(state, {
    %% Since when each node is connected.
    up = #{} :: #{name() => integer()},
    flaps = #{} :: #{name() => #flaps{}},
    %% Connected nodes of which it does not show yet whether their connections last.
    newcomers = #{} :: #{name() => Since :: integer()},
    %% The one of them that was lost last: when, and since when it was connected.
    lost_newcomer = none :: {LostAt :: integer(), Since :: integer()} | none,
    %% Nodes that were lost while there was such a one: when, whether their connection had lasted, and their flaps before.
    blamed = #{} :: #{name() => {LostAt :: integer(), HadLasted :: boolean(), CountBefore :: non_neg_integer()}},
    %% Until when this node waits since others have let go of it.
    let_go_until = none :: integer() | none,
    %% What was lost within a moment: when the last one was, how many of them had lasted, and which newcomer was cleared.
    moment = none :: {LastAt :: integer(), Lasted :: non_neg_integer(), Cleared :: [name()]} | none,
    %% When those of `newcomers' and `blamed' that do not matter any more were left out last. Nothing depends on it.
    tidied_at = never :: integer() | never,
    %% Nodes of which until/2 says something else since the last call of down/6.
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

%% A node that was connected is so no more. `Failures' is how often in a row the node has failed that has failed most. Returns what
%% the loss says of the node, and the other nodes that are left alone until another time than before.
-spec down(name(), Reason :: term(), Failures :: non_neg_integer(), Now :: integer(), caravan_schedule:random(), state()) ->
    {loss(), Moved :: [name()], state()}.
down(Name, Reason, Failures, Now, Random, #state{up = Up, newcomers = Newcomers} = State) ->
    {Since, Left} = maps:take(Name, Up),
    Gone = in_moment(Since, Now, State#state{up = Left, newcomers = maps:remove(Name, Newcomers), moved = []}),
    {Loss, Next} = lost(cause(Reason, Failures, Since, Now, Gone), Name, {Since, Now, Random}, Gone),
    #state{moved = Moved} = Last = let_go(Reason, Loss, Now, each_is_a_cause(Now, Random, Next)),
    {Loss, Moved, Last#state{moved = []}}.

%% Others have let go of this node. It is of no use to it to come back by way of one that has not.
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

%% Where two nodes that had lasted were lost in one moment there are two pairs of nodes that cannot reach each other, and each
%% newcomer is the cause of one.
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

%% - What this node has brought about itself (`own_doing') says nothing of others.
%% - Where nothing came over the connection any more there is no third node in it.
%% - `disconnect' is said where this node was told to close the connection: the others have let go of it.
%% - Where another node was connected after the lost one, a moment ago, it may be that one that the lost one cannot reach. A
%%   moment is as long as `global' takes to find that out. Of two, the one that was connected last is the cause.
%% - Where such a node has just been lost, it was the cause, too.
%% - Otherwise, and when it has lasted, the node was stopped, or its machine, or the network between.
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

%% Of several newcomers each is the cause of another loss.
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
%% Those that have let go of this node come back by themselves when there is no reason any more. The longer there has been one
%% that it cannot reach, the longer it waits.
lost({let_go, Failures}, Name, {_Since, Now, Random}, #state{flaps = Flaps} = State) ->
    flap(Name, max(count(Name, Now, Flaps), min(?MOST_FLAPS, Failures div ?FAILURES_PER_FLAP)), Now, Random, State);
%% Of the two the other one is connected now: this one takes its place, and its count, as the one that is tried now and then.
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

%% A newcomer is gone again, since then: it was what the others were lost for, and they may be tried as soon as that has come to
%% rest. One of two nodes that cannot reach each other is to be connected.
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

%% Of two nodes that were both let go, the one that was not the cause waits for half as long: it has lasted when the other one
%% is tried. If both came at once, both would be let go each time.
halve(Name, Now, #state{flaps = Flaps} = State) when is_map_key(Name, Flaps) ->
    #{Name := #flaps{until = Until} = Flap} = Flaps,
    moved(Name, State#state{flaps = Flaps#{Name := Flap#flaps{until = Now + (Until - Now) div 2}}});
%% Somebody has ended its wait.
halve(_Name, _Now, State) ->
    State.

%% Where several pairs are broken, one is always the cause of another's loss. Of those that have not lasted one is cleared in a
%% moment, and each of them now and then.
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

%% What has been over for so long that it would have come again counts no more.
count(Name, Now, Flaps) ->
    case Flaps of
        #{Name := #flaps{count = Count, until = Until}} when Now - Until < ?FLAP_MEMORY_MS -> Count;
        #{} -> 0
    end.

%% Until when the node is left alone.
-spec until(name(), state()) -> integer() | never_lost.
until(Name, #state{flaps = Flaps, let_go_until = LetGoUntil}) ->
    case Flaps of
        #{Name := #flaps{until = Until}} -> later(LetGoUntil, Until);
        #{} -> never_lost
    end.

%% How often connections to a node have not lasted, in a row.
-spec count(name(), state()) -> non_neg_integer().
count(Name, #state{flaps = Flaps}) ->
    case Flaps of
        #{Name := #flaps{count = Count}} -> Count;
        #{} -> 0
    end.

%% How often connections to each node have not lasted, in a row.
-spec counts(state()) -> #{name() => non_neg_integer()}.
counts(#state{flaps = Flaps}) ->
    maps:map(fun(_Name, #flaps{count = Count}) -> Count end, Flaps).

%% Forgets nodes for which the function gives false, and what does not matter any more of the others.
-spec keep(fun((name(), Until :: integer()) -> boolean()), Now :: integer(), state()) -> state().
keep(IsKept, Now, #state{flaps = Flaps} = State) ->
    tidied(Now, State#state{flaps = maps:filter(fun(Name, #flaps{until = Until}) -> IsKept(Name, Until) end, Flaps)}).

%% In a large cluster that has just come up all are newcomers: it is not done at each poll.
tidied(Now, #state{tidied_at = At} = State) when is_integer(At), Now - At < ?TIDY_MS ->
    State;
tidied(Now, #state{newcomers = Newcomers, blamed = Blamed} = State) ->
    State#state{
        tidied_at = Now,
        newcomers = maps:filter(fun(_Name, Up) -> is_recent(Up, Now) end, Newcomers),
        blamed = maps:filter(fun(_Name, {LostAt, _HadLasted, _Before}) -> is_recent(LostAt, Now) end, Blamed)
    }.

%% Nobody is left alone any more.
-spec forget(state()) -> state().
forget(State) ->
    State#state{flaps = #{}, blamed = #{}, let_go_until = none}.

%% The node is left alone no more.
-spec forget(name(), state()) -> state().
forget(Name, #state{flaps = Flaps, blamed = Blamed} = State) ->
    State#state{flaps = maps:remove(Name, Flaps), blamed = maps:remove(Name, Blamed)}.
