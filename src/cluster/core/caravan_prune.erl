%% @private
%% Decides which connected nodes to disconnect because DNS has not listed them for long enough. Functional state of the
%% deciding core. Times are in milliseconds.
-module(caravan_prune).

-export([new/1, change/2, listed/3, due/5, not_removed/3, absent/2, stats/1]).

-export_type([state/0, options/0, suppression/0]).

-type name() :: binary().

-type options() :: #{
    prune := boolean(),
    prune_after := pos_integer(),
    prune_max_fraction := number(),
    atom() => term()
}.

%% Why a node that is due stays connected.
-type suppression() ::
    %% The last answer was incomplete or empty, or the poll failed.
    incomplete | empty | failed
    %% The maximal number of nodes has been disconnected within `prune_after'.
    | max_fraction
    %% Another topology of this node lists the node.
    | listed_elsewhere.

-record(state, {
    options :: options(),
    absent = #{} :: #{name() => Since :: integer()},
    %% When the last fresh and complete answer came, and whether a later poll had another outcome.
    fresh_at = 0 :: integer(),
    in_doubt = false :: boolean(),
    %% The nodes disconnected within `prune_after': when, and since when each of them had been absent.
    removals = [] :: [{At :: integer(), name(), Since :: integer()}],
    removed = 0 :: non_neg_integer(),
    suppressed = #{} :: #{name() => suppression()},
    suppressions = 0 :: non_neg_integer()
}).

-opaque state() :: #state{}.

-spec new(options()) -> state().
new(Options) ->
    #state{options = Options}.

-spec change(options(), state()) -> state().
change(Options, State) ->
    State#state{options = Options}.

%% Handles a fresh and complete answer, which does not list these connected nodes but lists all others. Time during which
%% polls had other outcomes does not count as absence.
-spec listed(Absent :: [name()], Now :: integer(), state()) -> state().
listed(Unlisted, Now, #state{absent = Absent} = State) ->
    Unknown = unknown_for(Now, State),
    State#state{
        absent = maps:from_list([{Name, absent_since(Name, Absent, Unknown, Now)} || Name <- Unlisted]),
        fresh_at = Now,
        in_doubt = false
    }.

unknown_for(Now, #state{in_doubt = true, fresh_at = FreshAt}) -> Now - FreshAt;
unknown_for(_Now, #state{in_doubt = false}) -> 0.

absent_since(Name, Absent, Unknown, Now) ->
    case Absent of
        #{Name := Since} -> Since + Unknown;
        #{} -> Now
    end.

%% Returns the nodes to disconnect after a poll with this outcome. `IsConnected' tells whether a node is a connected member,
%% `Count' is the number of connected members, and `Elsewhere' are the nodes that other topologies list.
-spec due(fresh | suppression(), fun((name()) -> boolean()), {Count :: non_neg_integer(), Elsewhere :: [name()]},
    Now :: integer(), state()) -> {[name()], state()}.
due(Outcome, _IsConnected, _Others, _Now, #state{options = #{prune := false}, in_doubt = InDoubt} = State) ->
    {[], State#state{suppressed = #{}, in_doubt = InDoubt orelse Outcome =/= fresh}};
due(fresh, IsConnected, {Count, Elsewhere}, Now, State) ->
    #state{options = #{prune_after := After, prune_max_fraction := Fraction}, removals = Removals, absent = Absent} = State,
    Recent = [Removal || {At, _, _} = Removal <- Removals, Now - At < After],
    %% The fraction is one of the cluster before these removals: nodes that were removed within `prune_after' and are not
    %% back count, and so does this node.
    Gone = lists:usort([Name || {_, Name, _} <- Recent, not IsConnected(Name)]),
    Limit = trunc(Fraction * (Count + length(Gone) + 1)) - length(Recent),
    {Kept, Removable} = lists:partition(fun(Name) -> lists:member(Name, Elsewhere) end, overdue(IsConnected, Now, State)),
    {Removed, TooMany} = lists:split(max(0, min(Limit, length(Removable))), Removable),
    Suppressed = [{Name, listed_elsewhere} || Name <- Kept] ++ [{Name, max_fraction} || Name <- TooMany],
    {Removed, suppress(Suppressed, State#state{
        removals = [{Now, Name, maps:get(Name, Absent)} || Name <- Removed] ++ Recent,
        removed = State#state.removed + length(Removed),
        absent = maps:without(Removed, Absent)
    })};
due(Suppression, IsConnected, _Others, Now, State) ->
    {[], suppress([{Name, Suppression} || Name <- overdue(IsConnected, Now, State)], State#state{in_doubt = true})}.

%% The disconnect function has failed. If the node is still connected and not listed, it is due again at the next poll.
-spec not_removed(name(), IsAbsent :: boolean(), state()) -> state().
not_removed(Name, IsAbsent, #state{removals = Removals, removed = Removed, absent = Absent} = State) ->
    case lists:keytake(Name, 2, Removals) of
        {value, {_At, Name, Since}, Left} ->
            Again = maps:from_list([{Name, Since} || IsAbsent]),
            State#state{removals = Left, removed = Removed - 1, absent = maps:merge(Absent, Again)};
        false ->
            State
    end.

%% Returns the nodes that are due, the longest absent first.
overdue(IsConnected, Now, #state{options = #{prune_after := After}, absent = Absent}) ->
    Overdue = [{Since, Name} || {Name, Since} <- maps:to_list(Absent), Now - Since >= After, IsConnected(Name)],
    [Name || {_, Name} <- lists:sort(Overdue)].

suppress(Suppressed, #state{suppressions = Count} = State) ->
    State#state{suppressed = maps:from_list(Suppressed), suppressions = Count + length(Suppressed)}.

%% Returns the connected nodes that DNS does not list, and for how many milliseconds each has been absent.
-spec absent(Now :: integer(), state()) -> #{name() => non_neg_integer()}.
absent(Now, #state{absent = Absent}) ->
    maps:map(fun(_Name, Since) -> Now - Since end, Absent).

-spec stats(state()) -> #{
    pruned := non_neg_integer(), suppressed := #{name() => suppression()}, suppressions := non_neg_integer()
}.
stats(#state{removed = Removed, suppressed = Suppressed, suppressions = Suppressions}) ->
    #{pruned => Removed, suppressed => Suppressed, suppressions => Suppressions}.
