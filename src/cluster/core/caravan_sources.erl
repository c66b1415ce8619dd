%% @private
%% The wanted nodes: those that the queries list, those of the option `nodes', and those that were wanted before a crash or a
%% change of options. Functional state of the deciding core.
-module(caravan_sources).

-export([new/3, change/4, forget_named_by_own/1, polled/5, wanted/3, say_the_same/2, certainty/1, pace/3, proven/2, status/4]).
-export([has_answer/2, is_answered/1, answer_age/3, last_lookup/2, self_listed/3]).

-export_type([state/0]).

-type name() :: binary().
-type query() :: term().

-record(state, {
    discoveries :: #{query() => caravan_discovery:state()},
    %% The nodes that were wanted before, and until when only complete answers replace them.
    carried = #{} :: #{name() => term()},
    carried_until :: integer(),
    budget :: caravan_atom_budget:state()
}).

-opaque state() :: #state{}.

%% How long the nodes of a crashed predecessor stay wanted while no answer is complete.
-define(CARRIED_MS, 600000).

%% `Restored' are the nodes that a crashed predecessor wanted.
-spec new(caravan_topology_core:options(), Restored :: [name()], Now :: integer()) -> state().
new(#{queries := Queries, atom_budget := Budget}, Restored, Now) ->
    #state{
        discoveries = maps:from_keys(Queries, caravan_discovery:new()),
        carried = carried(Queries, maps:from_keys(Restored, [])),
        carried_until = Now + ?CARRIED_MS,
        budget = caravan_atom_budget:new(Budget)
    }.

%% Without queries, no answer will ever replace these nodes, so they are dropped.
carried([], _Names) -> #{};
carried(_Queries, Names) -> Names.

%% `Wanted' stay wanted until there are answers under the new options, which may be incomplete.
-spec change(caravan_topology_core:options(), Wanted :: #{name() => term()}, Now :: integer(), state()) -> state().
change(#{queries := Queries, atom_budget := Budget}, Wanted, Now, #state{discoveries = Before, budget = Spent}) ->
    Kept = maps:map(fun(_Query, Discovery) -> caravan_discovery:change(Discovery) end, maps:with(Queries, Before)),
    #state{
        discoveries = maps:merge(maps:from_keys(Queries, caravan_discovery:new()), Kept),
        carried = carried(Queries, Wanted),
        carried_until = Now,
        budget = caravan_atom_budget:change(Budget, Spent)
    }.

%% Forgets the answers of queries without basenames, whose node names are made with the basename of this node.
-spec forget_named_by_own(state()) -> state().
forget_named_by_own(#state{discoveries = Discoveries} = State) ->
    Queries = [Query || {_Text, own} = Query <- maps:keys(Discoveries)],
    State#state{discoveries = maps:merge(Discoveries, maps:from_keys(Queries, caravan_discovery:new()))}.

%% Handles the end of a poll. Returns the reports of each query.
-spec polled([{query(), caravan_discovery:outcome()}], Now :: integer(), map(), caravan_topology_core:options(), state()) ->
    {[{query(), caravan_discovery:report()}], state()}.
polled(Outcomes, Now, Facts, Options, State) ->
    {Reports, Next} = lists:mapfoldl(fun(Outcome, Left) -> answered(Outcome, Now, Facts, Options, Left) end, State, Outcomes),
    {lists:append(Reports), without_carried(Now, Next)}.

answered({Query, Outcome}, Now, Facts, Options, #state{discoveries = Discoveries, budget = Budget} = State) ->
    #{Query := Before} = Discoveries,
    {Reports, Left, Discovery} = caravan_discovery:polled(Outcome, Now, Facts#{query => Query, budget => Budget}, Options, Before),
    {[{Query, Report} || Report <- Reports], State#state{discoveries = Discoveries#{Query := Discovery}, budget = Left}}.

%% Drops the carried nodes once every query has an answer that replaces them.
without_carried(_Now, #state{carried = Carried} = State) when map_size(Carried) =:= 0 ->
    State;
without_carried(Now, #state{carried_until = Until} = State) ->
    Certainties = certainties(State),
    case lists:all(fun(Certainty) -> replaces(Certainty, Now >= Until) end, Certainties) of
        true -> State#state{carried = #{}};
        false -> State#state{carried_until = carried_until(lists:member(failed, Certainties), Now, Until)}
    end.

%% The time does not expire while a lookup fails.
carried_until(true, Now, Until) -> max(Now + ?CARRIED_MS, Until);
carried_until(false, _Now, Until) -> Until.

replaces(fresh, _IsOver) -> true;
replaces(incomplete, IsOver) -> IsOver;
replaces(_NoAnswer, _IsOver) -> false.

%% Returns the wanted nodes, without this one. Answers from the time before the node had its name may list it.
-spec wanted(Own :: name(), caravan_topology_core:options(), state()) -> #{name() => []}.
wanted(Own, #{nodes := Fixed}, #state{discoveries = Discoveries, carried = Carried}) ->
    OfQueries = [maps:keys(caravan_discovery:wanted(Discovery)) || Discovery <- maps:values(Discoveries)],
    Others = [Name || Name <- Fixed, not caravan_discovery:is_own_name(Name, Own)],
    maps:remove(Own, maps:from_keys(lists:append([maps:keys(Carried), Others | OfQueries]), [])).

%% Returns whether wanted/3 gives the same for both states, if that can be told cheaply; otherwise `false'.
-spec say_the_same(state(), state()) -> boolean().
say_the_same(#state{carried = Carried, discoveries = Before}, #state{carried = Carried, discoveries = Discoveries}) ->
    wanted_of(Before) =:= wanted_of(Discoveries);
say_the_same(_Before, _State) ->
    false.

wanted_of(Discoveries) ->
    [caravan_discovery:wanted(Discovery) || Discovery <- maps:values(Discoveries)].

%% Returns what the last poll was worth: the least certain of its answers.
-spec certainty(state()) -> none | fresh | incomplete | empty | failed.
certainty(State) ->
    All = certainties(State),
    hd([Certainty || Certainty <- [none, failed, empty, incomplete, fresh], lists:member(Certainty, All)]).

certainties(#state{discoveries = Discoveries}) ->
    [caravan_discovery:certainty(Discovery) || Discovery <- maps:values(Discoveries)].

%% Returns whether the query has ever been answered with records.
-spec has_answer(query(), state()) -> boolean().
has_answer(Query, #state{discoveries = Discoveries}) ->
    #{Query := Discovery} = Discoveries,
    caravan_discovery:has_answer(Discovery).

%% Returns whether all queries have been answered with records.
-spec is_answered(state()) -> boolean().
is_answered(#state{discoveries = Discoveries}) ->
    lists:all(fun caravan_discovery:has_answer/1, maps:values(Discoveries)).

%% Returns for how long the query with the oldest answer has had no answer with records, counting from `From' if it has had
%% none. Returns 0 without queries.
-spec answer_age(Now :: integer(), From :: integer(), state()) -> non_neg_integer().
answer_age(Now, From, #state{discoveries = Discoveries}) ->
    lists:max([0 | [Now - caravan_discovery:answered_at(From, Discovery) || Discovery <- maps:values(Discoveries)]]).

-spec last_lookup(query(), state()) -> caravan_cluster:last_lookup().
last_lookup(Query, #state{discoveries = Discoveries}) ->
    #{Query := Discovery} = Discoveries,
    caravan_discovery:last_lookup(Discovery).

%% Returns whether the last answers or the options list this node. That it is not listed is known only from complete answers.
-spec self_listed(Own :: name(), caravan_topology_core:options(), state()) -> boolean() | unknown.
self_listed(Own, #{nodes := Fixed}, #state{discoveries = Discoveries} = State) ->
    IsListed = lists:member(Own, Fixed) orelse lists:any(fun caravan_discovery:is_self_listed/1, maps:values(Discoveries)),
    self_listed(IsListed, certainty(State)).

self_listed(true, _Certainty) -> true;
self_listed(false, fresh) -> false;
self_listed(false, _Unsure) -> unknown.

%% Returns how the last poll ended, for caravan_schedule:next_poll/3. The first answer does not count as a change.
-spec pace(Before :: state(), IsChanged :: boolean(), state()) -> caravan_schedule:pace().
pace(Before, IsChanged, #state{discoveries = Discoveries}) ->
    Failed = lists:min([caravan_discovery:failed_in_a_row(Discovery) || Discovery <- maps:values(Discoveries)]),
    Ttl = lists:min([caravan_discovery:ttl(Discovery) || Discovery <- maps:values(Discoveries)]),
    IsFirst = lists:all(fun(Certainty) -> Certainty =:= none end, certainties(Before)),
    pace_of(Failed, IsChanged andalso not IsFirst, Ttl).

pace_of(Failed, _IsChanged, _Ttl) when Failed > 0 -> {failed, Failed};
pace_of(_Failed, true, Ttl) -> {changed, Ttl};
pace_of(_Failed, false, Ttl) -> {steady, Ttl}.

%% Notes that a node was connected under one of these names, which belong to one record.
-spec proven([name()], state()) -> state().
proven(Names, #state{budget = Budget} = State) ->
    State#state{budget = caravan_atom_budget:proven(Names, Budget)}.

%% Returns the keys of caravan_cluster:status/1 that concern answers. With several queries, these are those of the least
%% certain answer.
-spec status(Now :: integer(), Own :: name(), caravan_topology_core:options(), state()) -> map().
status(Now, Own, #{nodes := Fixed}, #state{discoveries = Discoveries, budget = Budget}) ->
    All = [caravan_discovery:status(Now, Discovery) || Discovery <- maps:values(Discoveries)],
    #{self_listed := IsListed} = Joined = joined(caravan_discovery:status(Now, caravan_discovery:new()), All),
    Joined#{self_listed := IsListed orelse lists:member(Own, Fixed), atoms_left => caravan_atom_budget:left(Budget)}.

joined(None, []) -> None;
joined(_None, [First | Others]) -> lists:foldl(fun joined_two/2, First, Others).

joined_two(One, Other) ->
    #{
        last_lookup => least_sure(maps:get(last_lookup, One), maps:get(last_lookup, Other)),
        answer_age => older(maps:get(answer_age, One), maps:get(answer_age, Other)),
        complete => maps:get(complete, One) andalso maps:get(complete, Other),
        self_listed => maps:get(self_listed, One) orelse maps:get(self_listed, Other),
        names_refused => maps:get(names_refused, One) + maps:get(names_refused, Other),
        last_refused => maps:merge_with(fun(_, A, B) -> A + B end, maps:get(last_refused, One), maps:get(last_refused, Other))
    }.

least_sure({failed, _} = Failed, _) -> Failed;
least_sure(_, {failed, _} = Failed) -> Failed;
least_sure(none, _) -> none;
least_sure(_, none) -> none;
least_sure({empty, _} = Empty, _) -> Empty;
least_sure(_, Other) -> Other.

older(none, _) -> none;
older(_, none) -> none;
older(One, Other) -> max(One, Other).
