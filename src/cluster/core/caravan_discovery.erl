%% @private
%% What DNS says about one query: which nodes it lists, how the last lookup ended, and whether that answer is complete.
%% Functional state of the deciding core.
-module(caravan_discovery).

-export([new/0, change/1, polled/5, is_own_name/2, wanted/1, certainty/1, failed_in_a_row/1, ttl/1, status/2]).
-export([has_answer/1, answered_at/2, last_lookup/1, is_self_listed/1]).

-export_type([state/0, outcome/0, answer/0, options/0, report/0]).

-type name() :: binary().

-type answer() :: #{
    %% For each record its names: one, or one for each basename.
    records := [[name()]],
    %% Those of the names that are no atoms of this VM so far.
    unknown := [name()],
    %% How many names of the answer are not valid node names, and how many targets have no address.
    invalid := non_neg_integer(),
    unresolved := non_neg_integer(),
    %% In seconds.
    ttl := non_neg_integer(),
    complete := boolean()
}.
-type outcome() :: {ok, answer()} | {error, Reason :: term()}.

-type options() :: #{
    max_nodes := pos_integer(),
    answers := all | sampled,
    sampled_expiry := pos_integer(),
    atom() => term()
}.

%% Facts at the time of the answer.
-type facts() :: #{
    query := term(), own := name(), connected := #{name() => term()}, budget := caravan_atom_budget:state(), atom() => term()
}.

-type refusals() :: #{
    invalid := non_neg_integer(), max_nodes := non_neg_integer(), atom_budget := non_neg_integer(),
    unresolved := non_neg_integer()
}.

-type report() ::
    {looked_up, Outcome :: caravan_cluster:last_lookup(), Before :: caravan_cluster:last_lookup(), Endpoints :: non_neg_integer()}
    | {found, [name()]}
    %% Counts by reason, for reasons that did not occur in the previous answer.
    | {names_refused, #{invalid | max_nodes | atom_budget | unresolved => pos_integer()}}
    | {own_alias, [name()]}
    | {samples, Records :: pos_integer()}.

%% How many times a dropped name must come back, while the number of names stays the same, before an answer counts as a
%% sample.
-define(SAMPLES_SEEN, 3).

-record(state, {
    last_lookup = none :: caravan_cluster:last_lookup(),
    failed = 0 :: non_neg_integer(),
    %% In seconds, of the last lookup; 0 unless that was fresh.
    ttl = 0 :: non_neg_integer(),
    answered_at :: integer() | undefined,
    %% The wanted nodes, without this one. A node of a complete answer stays wanted until the next complete answer
    %% (`infinity'); a node of an incomplete answer stays wanted until some time after it was last listed.
    names = #{} :: #{name() => infinity | (Until :: integer())},
    complete = false :: boolean(),
    %% Whether the last answer itself was complete.
    answer_complete = false :: boolean(),
    %% The last answer, and the names admitted from it. Shortcut: a complete answer equal to the last one changes nothing.
    records :: [[name()]] | undefined,
    own = <<>> :: name(),
    admitted = [] :: [name()],
    self_listed = false :: boolean(),
    own_aliases = [] :: [name()],
    last_refused = #{invalid => 0, max_nodes => 0, atom_budget => 0, unresolved => 0} :: refusals(),
    refused = 0 :: non_neg_integer(),
    %% The names that recent answers of equal length had and the last one has not; how often one of them came back; whether
    %% samples have been reported.
    dropped = #{} :: #{name() => Until :: integer()},
    returns = 0 :: non_neg_integer(),
    told_samples = false :: boolean()
}).

-opaque state() :: #state{}.

-spec new() -> state().
new() ->
    #state{}.

%% With other options, other names of the same answer may be admitted, so the shortcut is dropped.
-spec change(state()) -> state().
change(State) ->
    State#state{records = undefined, failed = 0, complete = false}.

%% Handles the end of a lookup. Returns the reports, and the remaining budget of atoms.
-spec polled(outcome(), Now :: integer(), facts(), options(), state()) ->
    {[report()], caravan_atom_budget:state(), state()}.
polled(
    {ok, #{records := Records, unknown := [], invalid := Invalid, unresolved := 0, ttl := Ttl, complete := true}},
    Now,
    #{budget := Budget, own := Own},
    _Options,
    #state{records = Records, own = Own, last_lookup = fresh, answer_complete = true, last_refused = #{invalid := Invalid}} = State
) ->
    Reports = [{looked_up, fresh, fresh, length(Records)}, {found, State#state.admitted}],
    {Reports, Budget, State#state{ttl = Ttl, answered_at = Now, refused = State#state.refused + Invalid}};
polled({ok, #{records := Records} = Answer}, Now, Facts, Options, #state{last_lookup = Before} = State) ->
    {Reports, Budget, Next} = answered(Answer, Now, Facts, Options, State),
    {[{looked_up, fresh, Before, length(Records)} | Reports], Budget, Next};
%% Consul replies NXDOMAIN when no instance is healthy, so an empty answer does not remove the known nodes.
polled({error, Reason}, _Now, #{budget := Budget}, _Options, #state{last_lookup = Before} = State)
  when Reason =:= nxdomain; Reason =:= nodata ->
    Next = State#state{last_lookup = {empty, Reason}, failed = 0, ttl = 0},
    {[{looked_up, {empty, Reason}, Before, 0}], Budget, Next};
polled({error, Reason}, _Now, #{budget := Budget}, _Options, #state{last_lookup = Before, failed = Failed} = State) ->
    Next = State#state{last_lookup = {failed, Reason}, failed = Failed + 1, ttl = 0},
    {[{looked_up, {failed, Reason}, Before, 0}], Budget, Next}.

answered(Answer, Now, #{own := Own, connected := Connected} = Facts, Options, State) ->
    #{records := Records, ttl := Ttl} = Answer,
    #{max_nodes := MaxNodes} = Options,
    {Names, OverMax} = within(MaxNodes, lists:usort(Records), Facts),
    {Admitted, OverBudget, Budget} = admitted(Names, Answer, Now, Facts),
    {OwnNames, Listed} = lists:partition(fun(Name) -> is_own_name(Name, Own) end, Admitted),
    Refused = #{
        invalid => maps:get(invalid, Answer),
        unresolved => maps:get(unresolved, Answer),
        max_nodes => OverMax,
        atom_budget => OverBudget
    },
    Complete = is_complete(Answer, Refused, Options),
    Sampling = sampling(length(Records), Listed, Complete, Now, Options, State),
    Next = Sampling#state{
        last_lookup = fresh,
        failed = 0,
        ttl = Ttl,
        answered_at = Now,
        names = wanted(Listed, Complete, Now, Connected, Options, outlasting(Now, State)),
        complete = Complete orelse State#state.complete,
        answer_complete = Complete,
        records = Records,
        own = Own,
        admitted = Admitted,
        self_listed = OwnNames =/= [],
        own_aliases = lists:delete(Own, OwnNames),
        last_refused = Refused,
        refused = State#state.refused + lists:sum(maps:values(Refused))
    },
    {Samples, Told} = samples(length(Records), Next),
    {reports(Next, State) ++ Samples, Budget, Told}.

%% `max_nodes' limits records, each of which may have several names. If there are more records, that of this node is kept
%% first, then those of connected nodes, so that the limit does not remove connected nodes.
within(Max, Records, _Facts) when length(Records) =< Max ->
    {lists:usort(lists:append(Records)), 0};
within(Max, Records, #{own := Own, connected := Connected}) ->
    {OfOwn, OfOthers} = lists:partition(fun(Names) -> is_own(Names, Own) end, Records),
    {First, Others} = lists:partition(fun(Names) -> is_connected(Names, Connected) end, OfOthers),
    {lists:usort(lists:append(lists:sublist(OfOwn ++ First ++ Others, Max))), length(Records) - Max}.

admitted(Names, #{unknown := []}, Now, #{query := Query, budget := Budget}) ->
    {[], Next} = caravan_atom_budget:admit([], Query, Now, Budget),
    {Names, 0, Next};
admitted(Names, #{unknown := Unknown, records := Records}, Now, #{query := Query, budget := Budget} = Facts) ->
    New = maps:without(proven(Records, Facts), maps:from_keys(Unknown, [])),
    {Refused, Next} = caravan_atom_budget:admit([Name || Name <- Names, is_map_key(Name, New)], Query, Now, Budget),
    {Names -- Refused, length(Refused), Next}.

%% The names of records that belong to connected nodes or to this one. Their other names cost no budget, since the records
%% are genuine.
proven(Records, #{own := Own, connected := Connected}) ->
    lists:append([Names || Names <- Records, is_connected(Names, Connected) orelse is_own(Names, Own)]).

%% Whether one of the names of a record is that of this node, or of a connected node.
is_own(Names, Own) -> lists:any(fun(Name) -> is_own_name(Name, Own) end, Names).

is_connected(Names, Connected) -> lists:any(fun(Name) -> is_map_key(Name, Connected) end, Names).

%% Returns whether the answer proves that nodes that it does not list are gone. An answer that was cut, or is a sample, does
%% not.
is_complete(_Answer, _Refused, #{answers := sampled}) -> false;
is_complete(#{complete := Complete}, #{max_nodes := 0, atom_budget := 0, unresolved := 0}, _Options) -> Complete;
is_complete(_Answer, _Refused, _Options) -> false.

%% Returns whether the name is that of this node in any spelling; connecting to it would connect the node to itself. DNS
%% names are compared without regard to case (RFC 4343) and to a trailing dot.
-spec is_own_name(name(), Own :: name()) -> boolean().
is_own_name(Own, Own) -> true;
is_own_name(Name, Own) -> may_be_same(Name, Own) andalso is_same(Name, Own).

%% A cheap check first: the names of a cluster have common beginnings and differ at their ends.
may_be_same(Name, Own) when byte_size(Name) =:= byte_size(Own) -> (binary:last(Name) bxor binary:last(Own)) band bnot 32 =:= 0;
may_be_same(Name, Own) -> abs(byte_size(Name) - byte_size(Own)) =:= 1.

is_same(<<A, Left/binary>>, <<A, Right/binary>>) -> is_same(Left, Right);
is_same(<<A, Left/binary>>, <<B, Right/binary>>) when A bxor B =:= 32 -> is_letter(A bor 32) andalso is_same(Left, Right);
is_same(Rest, Rest) -> true;
is_same(<<".">>, <<>>) -> true;
is_same(<<>>, <<".">>) -> true;
is_same(_, _) -> false.

is_letter(Letter) -> Letter >= $a andalso Letter =< $z.

%% Postpones the expiry of names by the time in which DNS failed or said that there are no records, because a name cannot be
%% listed in that time.
outlasting(_Now, #state{last_lookup = Last} = State) when Last =:= fresh; Last =:= none ->
    State;
outlasting(Now, #state{answered_at = At, names = Names} = State) when is_integer(At) ->
    State#state{names = maps:map(fun(_Name, Until) -> later(Until, Now - At) end, Names)};
outlasting(_Now, State) ->
    State.

later(infinity, _Unknown) -> infinity;
later(Until, Unknown) -> Until + Unknown.

%% An incomplete answer adds its names to the known ones, within bounds, since nodes that it does not list may still exist.
wanted(Listed, true, _Now, _Connected, _Options, _State) ->
    maps:from_keys(Listed, infinity);
wanted(Listed, false, Now, Connected, #{sampled_expiry := Expiry} = Options, #state{names = Before}) ->
    Living = maps:filter(fun(_Name, Until) -> Until > Now end, expiring(Now + Expiry, Options, Before)),
    Added = lists:foldl(fun(Name, Names) -> listed_until(Name, Now + Expiry, Names) end, Living, Listed),
    bounded(Added, Listed, Connected, max_wanted(Options)).

%% With samples no answer is complete, so that every name expires.
expiring(Until, #{answers := sampled}, Names) -> maps:map(fun(_Name, Before) -> min(Before, Until) end, Names);
expiring(_Until, _Options, Names) -> Names.

%% A name of a complete answer stays until the next complete answer.
listed_until(Name, Until, Names) ->
    case Names of
        #{Name := infinity} -> Names;
        #{} -> Names#{Name => Until}
    end.

max_wanted(#{max_nodes := MaxNodes} = Options) -> MaxNodes * maps:get(names_per_record, Options, 1).

%% Keeps connected nodes first, then listed ones.
bounded(Names, _Listed, _Connected, Max) when map_size(Names) =< Max ->
    Names;
bounded(Names, Listed, Connected, Max) ->
    {First, NotConnected} = lists:partition(fun(Name) -> is_map_key(Name, Connected) end, lists:sort(maps:keys(Names))),
    ListedNow = maps:from_keys(Listed, []),
    {Second, Third} = lists:partition(fun(Name) -> is_map_key(Name, ListedNow) end, NotConnected),
    maps:with(lists:sublist(First ++ Second ++ Third, Max), Names).

%% Detects samples. AWS Cloud Map returns 8 random instances of all, and Consul as many as its a_record_limit. The answers of
%% such a server have equal lengths, and names that were dropped come back, whereas a cluster that replaces its nodes has new
%% names.
sampling(Count, Listed, true, Now, Options, #state{records = Before, names = Names, dropped = Dropped, returns = Returns} = State)
  when is_list(Before), length(Before) =:= Count ->
    #{sampled_expiry := Memory, max_nodes := MaxNodes} = Options,
    IsBack = lists:any(fun(Name) -> is_map_key(Name, Dropped) end, Listed),
    Remembered = maps:filter(fun(_Name, Until) -> Until > Now end, Dropped),
    Missed = maps:from_keys(maps:keys(Names), Now + Memory),
    Next = State#state{dropped = maps:without(Listed, maps:merge(Remembered, Missed)), returns = Returns + length([back || IsBack])},
    unless_too_many(MaxNodes, Next);
sampling(_Count, _Listed, _Complete, _Now, _Options, State) ->
    State#state{dropped = #{}, returns = 0}.

%% More dropped names than `max_nodes', or none, are not those of samples: a sample drops names that come back.
unless_too_many(MaxNodes, #state{dropped = Dropped} = State) when map_size(Dropped) > MaxNodes ->
    State#state{dropped = #{}, returns = 0};
unless_too_many(_MaxNodes, #state{dropped = Dropped} = State) when map_size(Dropped) =:= 0 ->
    State#state{returns = 0};
unless_too_many(_MaxNodes, State) ->
    State.

samples(Count, #state{returns = Returns, told_samples = false} = State) when Returns >= ?SAMPLES_SEEN ->
    {[{samples, Count}], State#state{told_samples = true}};
samples(_Count, State) ->
    {[], State}.

reports(#state{last_refused = Refused} = Next, #state{last_refused = Before} = State) ->
    lists:append([
        [{found, Next#state.admitted}],
        [{names_refused, New} || New <- [new_refusals(Refused, Before)], map_size(New) > 0],
        [{own_alias, New} || New <- [Next#state.own_aliases -- State#state.own_aliases], New =/= []]
    ]).

new_refusals(Refused, Before) ->
    maps:filter(fun(Reason, Count) -> Count > 0 andalso maps:get(Reason, Before) =:= 0 end, Refused).

%% Returns the wanted nodes, without this one.
-spec wanted(state()) -> #{name() => term()}.
wanted(#state{names = Names}) ->
    Names.

%% Returns what the last lookup was worth; `none' before the first one.
-spec certainty(state()) -> none | fresh | incomplete | empty | failed.
certainty(#state{last_lookup = fresh, answer_complete = true}) -> fresh;
certainty(#state{last_lookup = fresh}) -> incomplete;
certainty(#state{last_lookup = {Outcome, _}}) -> Outcome;
certainty(#state{last_lookup = none}) -> none.

-spec has_answer(state()) -> boolean().
has_answer(#state{answered_at = At}) ->
    At =/= undefined.

%% Returns when the last answer with records came, or the given time if there was none.
-spec answered_at(Otherwise :: integer(), state()) -> integer().
answered_at(Otherwise, #state{answered_at = undefined}) -> Otherwise;
answered_at(_Otherwise, #state{answered_at = At}) -> At.

-spec last_lookup(state()) -> caravan_cluster:last_lookup().
last_lookup(#state{last_lookup = Last}) ->
    Last.

%% Returns whether the last answer lists this node.
-spec is_self_listed(state()) -> boolean().
is_self_listed(#state{self_listed = IsListed}) ->
    IsListed.

-spec failed_in_a_row(state()) -> non_neg_integer().
failed_in_a_row(#state{failed = Failed}) ->
    Failed.

%% Returns for how many seconds another lookup would give the same answer.
-spec ttl(state()) -> non_neg_integer().
ttl(#state{ttl = Ttl}) ->
    Ttl.

%% Returns the keys of caravan_cluster:status/1 that concern one query.
-spec status(Now :: integer(), state()) -> map().
status(Now, #state{answered_at = At} = State) ->
    #{
        last_lookup => State#state.last_lookup,
        answer_age => age(Now, At),
        complete => State#state.complete,
        self_listed => State#state.self_listed,
        names_refused => State#state.refused,
        last_refused => State#state.last_refused
    }.

age(_Now, undefined) -> none;
age(Now, At) -> Now - At.
