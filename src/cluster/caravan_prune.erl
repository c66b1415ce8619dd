%% @private
%% Which connected nodes may be disconnected, since DNS has not listed them for long enough. A functional state, owned
%% by a topology. Times are monotonic, in milliseconds.
-module(caravan_prune).

-export([new/1, change/2, listed/4, due/4, absent/2, stats/1]).

-export_type([state/0, options/0, suppression/0]).

-type options() :: #{
    prune := boolean(),
    prune_after := pos_integer(),
    prune_max_fraction := number(),
    atom() => term()
}.

%% Why a node whose time has come stays connected.
-type suppression() ::
    %% The last answer was not complete, said that there is none, or did not come.
    incomplete | empty | failed
    %% As many as are allowed have gone within `prune_after'.
    | max_fraction
    %% Another topology of this node lists it.
    | listed_elsewhere.

-record(state, {
    options :: options(),
    absent = #{} :: #{node() => Since :: integer()},
    %% When the last fresh and complete answer came, and whether something else has come since.
    fresh_at = 0 :: integer(),
    in_doubt = false :: boolean(),
    removed_at = [] :: [integer()],
    removed = 0 :: non_neg_integer(),
    suppressed = #{} :: #{node() => suppression()},
    suppressions = 0 :: non_neg_integer()
}).

-opaque state() :: #state{}.

-spec new(options()) -> state().
new(Options) ->
    #state{options = Options}.

-spec change(options(), state()) -> state().
change(Options, State) ->
    State#state{options = Options}.

%% A fresh and complete answer lists some of the connected nodes and not the others. Time in which nobody knew, as DNS could
%% not be asked, is none in which they were absent.
-spec listed([node()], Connected :: [node()], Now :: integer(), state()) -> state().
listed(Listed, Connected, Now, #state{absent = Absent} = State) ->
    Unknown = unknown_for(Now, State),
    State#state{
        absent = maps:from_list([{Node, absent_since(Node, Absent, Unknown, Now)} || Node <- Connected -- Listed]),
        fresh_at = Now,
        in_doubt = false
    }.

unknown_for(Now, #state{in_doubt = true, fresh_at = FreshAt}) -> Now - FreshAt;
unknown_for(_Now, #state{in_doubt = false}) -> 0.

absent_since(Node, Absent, Unknown, Now) ->
    case Absent of
        #{Node := Since} -> Since + Unknown;
        #{} -> Now
    end.

%% The nodes to disconnect, after a poll that ended in this way. `Connected' are those of the topology.
-spec due(fresh | suppression(), Connected :: [node()], Now :: integer(), state()) -> {[node()], state()}.
due(_Outcome, _Connected, _Now, #state{options = #{prune := false}} = State) ->
    {[], State#state{suppressed = #{}}};
due(fresh, Connected, Now, #state{options = #{prune_after := After, prune_max_fraction := Fraction}} = State) ->
    Recent = [At || At <- State#state.removed_at, Now - At < After],
    %% Those that went within the time belonged to the cluster that the fraction is of, and so does this node.
    Limit = trunc(Fraction * (length(Connected) + length(Recent) + 1)) - length(Recent),
    {Elsewhere, Removable} = lists:partition(fun caravan_topology_registry:is_listed/1, overdue(Connected, Now, State)),
    {Removed, TooMany} = lists:split(max(0, min(Limit, length(Removable))), Removable),
    Suppressed = [{Node, listed_elsewhere} || Node <- Elsewhere] ++ [{Node, max_fraction} || Node <- TooMany],
    {Removed, suppress(Suppressed, State#state{
        removed_at = [Now || _ <- Removed] ++ Recent,
        removed = State#state.removed + length(Removed),
        absent = maps:without(Removed, State#state.absent)
    })};
due(Suppression, Connected, Now, State) ->
    {[], suppress([{Node, Suppression} || Node <- overdue(Connected, Now, State)], State#state{in_doubt = true})}.

%% Those that have been missing longest come first.
overdue(Connected, Now, #state{options = #{prune_after := After}, absent = Absent}) ->
    Overdue = [{Since, Node} || {Node, Since} <- maps:to_list(maps:with(Connected, Absent)), Now - Since >= After],
    [Node || {_, Node} <- lists:sort(Overdue)].

suppress(Suppressed, #state{suppressions = Count} = State) ->
    State#state{suppressed = maps:from_list(Suppressed), suppressions = Count + length(Suppressed)}.

%% Connected nodes that DNS does not list, and for how many milliseconds.
-spec absent(Now :: integer(), state()) -> #{node() => non_neg_integer()}.
absent(Now, #state{absent = Absent}) ->
    maps:map(fun(_Node, Since) -> Now - Since end, Absent).

-spec stats(state()) -> #{
    pruned := non_neg_integer(), suppressed := #{node() => suppression()}, suppressions := non_neg_integer()
}.
stats(#state{removed = Removed, suppressed = Suppressed, suppressions = Suppressions}) ->
    #{pruned => Removed, suppressed => Suppressed, suppressions => Suppressions}.
