%% @private
%% Whether a node may take traffic, as far as its topology knows: what keeps it from being ready, and what is not as it should be.
%% A functional state of the deciding core. It remembers whether the topology was ready once: from then on neither DNS nor a change
%% of the cluster takes that away. Times are milliseconds.
-module(caravan_health_core).

-export([new/2, observed/4, was_ready/1, ready_at/1, health/4]).

-export_type([state/0, facts/0]).

%% What is known besides the status of the topology.
-type facts() :: #{
    %% Whether this node is distributed.
    can_connect := boolean(),
    %% For how many milliseconds more this node has left.
    leaving := none | pos_integer(),
    %% What the last poll was worth; `no_query' where the nodes are a fixed list.
    certainty := no_query | none | fresh | incomplete | empty | failed,
    %% How many nodes are to be connected, and how many of them are.
    expected := {Expected :: non_neg_integer(), Connected :: non_neg_integer()},
    %% The wanted nodes that this one connects to, and how many of them are connected.
    wanted := non_neg_integer(),
    connected := non_neg_integer(),
    options := #{stable_for := non_neg_integer(), poll_interval := pos_integer(), answers := all | sampled, atom() => term()}
}.

-record(state, {
    was_ready :: boolean(),
    %% Whether a poll has ended with an answer of each query.
    has_answer = false :: boolean(),
    %% When the wanted nodes, or those that are connected, were others last.
    changed_at :: integer(),
    %% When the topology is ready unless something changes before; none while something else is in the way.
    ready_at = none :: integer() | none
}).

-opaque state() :: #state{}.

%% An answer that is older than this, and than so many polls, is old: other polls than the last one have brought nothing.
-define(OLD_MS, 60000).
-define(OLD_POLLS, 3).

%% `WasReady' is whether a predecessor was ready that has crashed.
-spec new(WasReady :: boolean(), Now :: integer()) -> state().
new(WasReady, Now) ->
    #state{was_ready = WasReady, changed_at = Now}.

%% To be called after each step of the topology until it was ready, with whether the cluster has changed in that step.
-spec observed(HasChanged :: boolean(), facts(), Now :: integer(), state()) -> state().
observed(HasChanged, Facts, Now, State) ->
    Changed = answered(Facts, Now, changed(HasChanged, Now, State)),
    judged(blockers(Facts, Now, Changed), Now, Changed).

changed(true, Now, State) -> State#state{changed_at = Now};
changed(false, _Now, State) -> State.

%% What is wanted is known from the first answer on. That there is nobody is an answer, too: a first node becomes ready.
answered(#{certainty := Certainty}, Now, #state{has_answer = false} = State)
  when Certainty =:= fresh; Certainty =:= incomplete; Certainty =:= empty ->
    State#state{has_answer = true, changed_at = Now};
answered(_Facts, _Now, State) ->
    State.

judged([], _Now, State) -> State#state{was_ready = true, ready_at = none};
judged([{unstable, #{left := Left}}], Now, State) -> State#state{ready_at = Now + Left};
judged(_Blockers, _Now, State) -> State#state{ready_at = none}.

-spec was_ready(state()) -> boolean().
was_ready(#state{was_ready = WasReady}) ->
    WasReady.

%% When observed/4 is to be called though nothing has happened.
-spec ready_at(state()) -> integer() | none.
ready_at(#state{ready_at = At}) ->
    At.

%% `Status' is that of caravan_topology_core:status/2. What keeps the topology from being ready comes first.
-spec health(Status :: map(), facts(), Now :: integer(), state()) ->
    ok | {degraded, [Reason, ...]} | {not_ready, [Reason, ...]} when Reason :: caravan_cluster:health_reason().
health(Status, Facts, Now, State) ->
    health(blockers(Facts, Now, State), faults(Status, Facts)).

health([], []) -> ok;
health([], Faults) -> {degraded, Faults};
health(Blockers, Faults) -> {not_ready, Blockers ++ Faults}.

%% What keeps the topology from being ready. What DNS says, and that the cluster changes, does so only before it was ready once.
blockers(#{can_connect := CanConnect, leaving := Leaving, expected := Expected} = Facts, Now, State) ->
    lists:append([
        [not_distributed || not CanConnect],
        [{leaving, #{left => Leaving}} || Leaving =/= none],
        too_few(Expected),
        beginning(Facts, Now, State)
    ]).

too_few({Expected, Connected}) ->
    [{too_few_nodes, #{expected => Expected, connected => Connected}} || Connected < Expected].

beginning(_Facts, _Now, #state{was_ready = true}) ->
    [];
beginning(#{certainty := Certainty, options := #{stable_for := StableFor}}, Now, #state{has_answer = HasAnswer, changed_at = At}) ->
    Left = At + StableFor - Now,
    [no_answer || not HasAnswer, Certainty =/= no_query] ++
        [{unstable, #{stable_for => StableFor, left => Left}} || Left > 0].

%% What is not as it should be, and keeps nobody from being ready.
faults(#{failing := Failing} = Status, #{options := Options} = Facts) ->
    Faulty = [Failure || Failure <- maps:to_list(Failing), is_fault(Failure)],
    {LostSoon, Others} = lists:partition(fun({_Name, #{reason := Reason}}) -> Reason =:= lost_soon end, Faulty),
    lists:append([
        outcome(Status),
        old_answer(Status, Options),
        self_listed(Status, Facts),
        [incomplete_answer || #{certainty := incomplete} <- [Facts], #{answers := all} <- [Options]],
        refused(Status),
        unreached(map_size(Failing), Facts),
        [{nodes_failing, maps:from_list(Others)} || Others =/= []],
        [{flapping, maps:from_list(LostSoon)} || LostSoon =/= []]
    ]).

%% A first connection that was short is that of a node that has started twice, and no fault of that node.
is_fault({_Name, #{reason := lost_soon, count := 1}}) -> false;
is_fault(_Failure) -> true.

outcome(#{last_lookup := {failed, Reason}}) -> [{lookup_failed, Reason}];
outcome(#{last_lookup := {empty, Reason}}) -> [{no_records, Reason}];
outcome(_AnswerOrNone) -> [].

%% A fresh answer is believed until the next poll, which its TTL may put off.
old_answer(#{last_lookup := Last, answer_age := Age}, #{poll_interval := Interval}) when Last =/= fresh, is_integer(Age) ->
    Limit = max(?OLD_MS, ?OLD_POLLS * Interval),
    [{old_answer, #{age => Age, limit => Limit}} || Age > Limit];
old_answer(_Status, _Options) ->
    [].

%% An answer that may be a part of all says nothing of what it leaves out.
self_listed(#{self_listed := false}, #{certainty := fresh}) -> [not_listed];
self_listed(_Status, _Facts) -> [].

refused(#{last_refused := Refused}) ->
    Counts = maps:filter(fun(_Reason, Count) -> Count > 0 end, Refused),
    [{names_refused, Counts} || map_size(Counts) > 0].

%% Nodes that were not tried yet, or are being tried, are no fault.
unreached(0, _Facts) -> [];
unreached(_Failing, #{wanted := Wanted, connected := 0}) -> [{isolated, #{wanted => Wanted}}];
unreached(_Failing, #{wanted := Wanted, connected := Connected}) when Connected < Wanted ->
    [{partly_connected, #{wanted => Wanted, connected => Connected}}];
unreached(_Failing, _Facts) -> [].
