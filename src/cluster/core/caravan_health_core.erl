%% @private
%% The health of a topology: what keeps the node from being ready for traffic, and what is degraded. Functional state of the
%% deciding core. It remembers whether the topology has been ready: after that, neither DNS nor a change of the cluster makes
%% it unready. Times are in milliseconds.
-module(caravan_health_core).

-export([new/2, observed/4, was_ready/1, ready_at/1, health/4]).

-export_type([state/0, facts/0]).

%% Facts that are not in the status of the topology.
-type facts() :: #{
    %% Whether this node is distributed.
    can_connect := boolean(),
    %% For how many more milliseconds this node has left, or `none'.
    leaving := none | pos_integer(),
    %% What the last poll was worth; `no_query' if the wanted nodes are a fixed list.
    certainty := no_query | none | fresh | incomplete | empty | failed,
    %% The number of nodes that must be connected, and the number of those that are.
    expected := {Expected :: non_neg_integer(), Connected :: non_neg_integer()},
    %% The number of wanted nodes that this node connects to, and the number of those that are connected.
    wanted := non_neg_integer(),
    connected := non_neg_integer(),
    options := #{stable_for := non_neg_integer(), poll_interval := pos_integer(), answers := all | sampled, atom() => term()}
}.

-record(state, {
    was_ready :: boolean(),
    %% Whether every query has been answered in a poll.
    has_answer = false :: boolean(),
    %% When the wanted nodes or the members last changed.
    changed_at :: integer(),
    %% When the topology becomes ready unless something changes before; `none' if something else prevents it.
    ready_at = none :: integer() | none
}).

-opaque state() :: #state{}.

%% The age from which an answer counts as old, if it is also older than this number of polls: other polls than the last one
%% have failed, too.
-define(OLD_MS, 60000).
-define(OLD_POLLS, 3).

%% `WasReady': whether a crashed predecessor had been ready.
-spec new(WasReady :: boolean(), Now :: integer()) -> state().
new(WasReady, Now) ->
    #state{was_ready = WasReady, changed_at = Now}.

%% Called after each step of the topology until it has been ready. `HasChanged': whether the cluster has changed in that
%% step.
-spec observed(HasChanged :: boolean(), facts(), Now :: integer(), state()) -> state().
observed(HasChanged, Facts, Now, State) ->
    Changed = answered(Facts, Now, changed(HasChanged, Now, State)),
    judged(blockers(Facts, Now, Changed), Now, Changed).

changed(true, Now, State) -> State#state{changed_at = Now};
changed(false, _Now, State) -> State.

%% The wanted nodes are known once there is an answer. An empty answer counts, so that the first node of a cluster becomes
%% ready.
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

%% Returns when observed/4 must be called next even if nothing happens.
-spec ready_at(state()) -> integer() | none.
ready_at(#state{ready_at = At}) ->
    At.

%% Returns the health. `Status' is that of caravan_topology_core:status/2. Reasons for not being ready come first.
-spec health(Status :: map(), facts(), Now :: integer(), state()) ->
    ok | {degraded, [Reason, ...]} | {not_ready, [Reason, ...]} when Reason :: caravan_cluster:health_reason().
health(Status, Facts, Now, State) ->
    health(blockers(Facts, Now, State), faults(Status, Facts)).

health([], []) -> ok;
health([], Faults) -> {degraded, Faults};
health(Blockers, Faults) -> {not_ready, Blockers ++ Faults}.

%% Returns what keeps the topology from being ready. Missing answers and changes of the cluster count only before it has been
%% ready.
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

%% Returns what is degraded but does not keep the node from being ready.
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

%% A single short connection is no fault: the node may have started twice.
is_fault({_Name, #{reason := lost_soon, count := 1}}) -> false;
is_fault(_Failure) -> true.

outcome(#{last_lookup := {failed, Reason}}) -> [{lookup_failed, Reason}];
outcome(#{last_lookup := {empty, Reason}}) -> [{no_records, Reason}];
outcome(_AnswerOrNone) -> [].

%% A fresh answer does not age, since its TTL may postpone the next poll.
old_answer(#{last_lookup := Last, answer_age := Age}, #{poll_interval := Interval}) when Last =/= fresh, is_integer(Age) ->
    Limit = max(?OLD_MS, ?OLD_POLLS * Interval),
    [{old_answer, #{age => Age, limit => Limit}} || Age > Limit];
old_answer(_Status, _Options) ->
    [].

%% An answer that may be incomplete does not prove that this node is not listed.
self_listed(#{self_listed := false}, #{certainty := fresh}) -> [not_listed];
self_listed(_Status, _Facts) -> [].

refused(#{last_refused := Refused}) ->
    Counts = maps:filter(fun(_Reason, Count) -> Count > 0 end, Refused),
    [{names_refused, Counts} || map_size(Counts) > 0].

%% Nodes that have not been tried yet, or are being tried, are no fault.
unreached(0, _Facts) -> [];
unreached(_Failing, #{wanted := Wanted, connected := 0}) -> [{isolated, #{wanted => Wanted}}];
unreached(_Failing, #{wanted := Wanted, connected := Connected}) when Connected < Wanted ->
    [{partly_connected, #{wanted => Wanted, connected => Connected}}];
unreached(_Failing, _Facts) -> [].
