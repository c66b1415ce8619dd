%% @private
%% The decisions of a topology. step/4 takes an event and the time, and returns actions and the next state. The core reads no
%% clock, process, table or node and draws no random numbers; all of these are arguments. Node names are binaries. So
%% thousands of cores run in one VM under a simulated clock (`scripts/simulate'). Times are in milliseconds of one clock.
%%
%% Each part decides one thing: caravan_sources (which nodes are wanted), caravan_members, caravan_connector,
%% caravan_listeners, caravan_leavers, caravan_prune, caravan_news, caravan_reminders, caravan_health_core, caravan_schedule.
%% This module combines them; caravan_topology_view shows the result.
-module(caravan_topology_core).

-export([new/5, step/4, wake_at/1, status/2, health/2, was_ready/1, gauges/2, wanted/1, members/1, is_connected/2, is_line/1]).

-export_type([state/0, name/0, options/0, facts/0, event/0, action/0, report/0]).

-type name() :: binary().

-type options() :: #{
    %% The names to look up in each poll. Empty if the topology has only a list of nodes.
    queries := [query()],
    nodes := [name()],
    exclude := [name()],
    poll_interval := pos_integer(),
    max_connecting := pos_integer(),
    max_nodes := pos_integer(),
    %% The number of names that one record gives.
    names_per_record => pos_integer(),
    atom_budget := pos_integer(),
    prune := boolean(),
    prune_after := pos_integer(),
    prune_max_fraction := number(),
    answers := all | sampled,
    sampled_expiry := pos_integer(),
    listener := caravan_listeners:listener_of(),
    %% Who says which nodes are connected: OTP, by nodeup and nodedown, or a user's function.
    list_nodes := otp | function,
    expect := non_neg_integer() | {fraction, number()},
    stable_for := non_neg_integer(),
    atom() => term()
}.
-type query() :: term().

%% Facts at the time of the event.
-type facts() :: #{
    own := name(),
    %% Whether this node is distributed.
    can_connect := boolean(),
    %% The nodes that other topologies of this node list.
    elsewhere := [name()],
    %% For new/5: whether a crashed predecessor had been ready.
    was_ready => boolean(),
    %% A different number for each event.
    random := caravan_schedule:random()
}.

-type event() ::
    %% The time of wake_at/1 has come.
    wake
    %% A caller wants a poll now.
    | poll
    %% The poll that the action `poll' started has ended. The duration is in native time units.
    | {polled, [{query(), caravan_discovery:outcome()}], Duration :: integer()}
    | {nodeup, name()}
    | {nodedown, name(), Reason :: term()}
    %% The action `list_nodes' has ended.
    | {listed, [name()]}
    %% A caller wants to know which nodes are connected.
    | refresh
    %% A caller wants to know the health.
    | check
    %% The action `connect' has ended. The duration is in native time units.
    | {attempted, name(), caravan_connector:result(), Duration :: integer()}
    %% The action `disconnect' has ended: `failed' if the function raised, returned another term than `true', or took too
    %% long.
    | {disconnected, name(), ok | failed}
    | {exclude, name(), Milliseconds :: non_neg_integer()}
    %% Another node has announced that it leaves. This may come after its `nodedown'.
    | {leaving, name(), Milliseconds :: pos_integer()}
    %% This node leaves.
    | {leave, Milliseconds :: pos_integer()}
    | reconnect
    | {change, options()}.

-type action() ::
    %% Causes one event `polled', unless `cancel_poll' comes before it.
    poll
    | cancel_poll
    %% Causes one event `attempted'.
    | {connect, name()}
    %% Causes one event `disconnected'.
    | {disconnect, name(), AbsentMs :: non_neg_integer()}
    %% Causes one event `listed', which may answer several actions.
    | list_nodes
    %% This node has left but is connected: tells the other node so.
    | {announce, name(), Milliseconds :: pos_integer()}
    | {disconnect_again, Milliseconds :: pos_integer()}
    %% The wanted nodes, sorted.
    | {publish, [name()]}
    %% The topology is ready for the first time.
    | ready
    %% For subscribers.
    | {tell, {up | down, name()}}
    %% For telemetry, and for the log if it has a line for the report.
    | {report, report()}
    %% For telemetry only.
    | {emit, report()}.

-type report() ::
    distributed
    | not_distributed
    %% `WasAnswered': whether the query had been answered with records before.
    | {looked_up, query(), caravan_cluster:last_lookup(), Before :: caravan_cluster:last_lookup(), WasAnswered :: boolean(),
        #{duration := integer(), endpoints := non_neg_integer()}}
    | {found, [name()]}
    | {names_refused, Refused :: #{atom() => pos_integer()}}
    | {own_alias, [name()]}
    | {samples, Records :: pos_integer()}
    | {change, Wanted :: non_neg_integer(), Added :: [name()], Removed :: [name()]}
    | {attempt, caravan_connector:event(), Duration :: integer()}
    | {up, name(), Members :: non_neg_integer()}
    | {down, name(), Reason :: term(), Members :: non_neg_integer()}
    %% Members that connected, and members that were lost, within a moment.
    | {connected, [name(), ...], Members :: non_neg_integer()}
    | {lost, [caravan_news:loss(), ...], [caravan_news:failure()], Members :: non_neg_integer()}
    %% Lost members that had announced that they leave.
    | {left, [name(), ...], Members :: non_neg_integer()}
    %% This node leaves.
    | {leaving, Milliseconds :: pos_integer()}
    %% Nodes that could not be connected within a moment, for the same reason.
    | {connect_failed, Reason :: term(), [name(), ...]}
    | {left_out, caravan_line_budget:counts()}
    %% Conditions that have held for some time, in milliseconds.
    | {alone, Wanted :: pos_integer(), HeldMs :: non_neg_integer(), [caravan_news:failure()]}
    | {failing, [{name(), Reason :: term(), HeldMs :: non_neg_integer()}, ...]}
    | {never_answered | unanswered, [{query(), caravan_cluster:last_lookup()}, ...], HeldMs :: non_neg_integer()}
    %% With the nodes that are listed for the host of this node.
    | {not_self_listed, Own :: name(), OfSameHost :: [name()]}.

-record(state, {
    options :: options(),
    started_at :: integer(),
    own :: name(),
    %% Whether this node has ever had a name.
    was_named :: boolean(),
    %% The actions of this step, the last one first.
    actions = [] :: [action()],
    %% The sources of the wanted nodes, and the wanted nodes themselves.
    sources :: caravan_sources:state(),
    wanted = #{} :: #{name() => []},
    published = [] :: [name()],
    %% `unknown' until a user's list_nodes has returned for the first time.
    connected = unknown :: unknown | #{name() => []},
    members = caravan_members:new() :: caravan_members:state(),
    %% Members that are not listed.
    unlisted = #{} :: #{name() => []},
    listeners :: caravan_listeners:state(),
    connector :: caravan_connector:state(),
    %% Until when an operator has excluded a node.
    excluded = #{} :: #{name() => integer()},
    leavers = caravan_leavers:new() :: caravan_leavers:state(),
    prune :: caravan_prune:state(),
    %% When a node was last pruned.
    pruned_at = never :: integer() | never,
    is_polling = false :: boolean(),
    look_at = none :: integer() | none,
    %% Whether another poll is needed: a wanted node was lost, or this node got its name, while the poll ran.
    looks_again = false :: boolean(),
    %% Whether the next poll comes sooner because the last answer changed the wanted nodes.
    is_quick = false :: boolean(),
    %% Whether the end of a poll waits for a list of connected nodes.
    settles = false :: boolean(),
    %% Whether this node can connect to others now, and what was last reported of that.
    can_connect = false :: boolean(),
    %% Whether the last step could connect, and this node was not away.
    connects = false :: boolean(),
    distributed = unknown :: unknown | boolean(),
    news :: caravan_news:state(),
    health :: caravan_health_core:state(),
    reminders = caravan_reminders:new() :: caravan_reminders:state(),
    %% Nodes whose attempt succeeded but which the user's list has not contained since, and those of them that were reported.
    unseen = #{} :: #{name() => since_before | asked},
    told_unseen = [] :: [name()],
    %% How many lists are due: the running call of the user's function, and one more for all requests made meanwhile.
    lists_due = 0 :: 0..2
}).

-opaque state() :: #state{}.

%% For how long a lost member that is not listed becomes a member again when it connects, so that `prune' applies to it.
-define(MEMBER_MEMORY_MS, 3600000).

%% The name of a VM that is not distributed.
-define(NOBODY, <<"nonode@nohost">>).

%% How long after a node was pruned further losses are attributed to that.
-define(AFTER_PRUNE_MS, 10000).

%% Returns the state of a new topology. `Restored' are the nodes that a crashed predecessor wanted, `Connected' the connected
%% nodes; with a user's list_nodes, that function is called instead.
-spec new(options(), Restored :: [name()], Connected :: [name()], Now :: integer(), facts()) -> {[action()], state()}.
new(Options, Restored, Connected, Now, #{own := Own} = Facts) ->
    #{listener := ListenerOf} = Options,
    State = #state{
        options = Options,
        started_at = Now,
        own = Own,
        was_named = Own =/= ?NOBODY,
        sources = caravan_sources:new(Options, Restored, Now),
        listeners = caravan_listeners:new(ListenerOf),
        connector = caravan_connector:new(Own, Options),
        prune = caravan_prune:new(Options),
        news = caravan_news:new(Now),
        health = caravan_health_core:new(maps:get(was_ready, Facts, false), Now)
    },
    Wanting = want(Now, first_connected(Options, Connected, Now, State)),
    %% The nodes of a predecessor or of the configuration are not reported as a change.
    Quiet = Wanting#state{actions = [Action || Action <- Wanting#state.actions, not is_change(Action)]},
    done(Now, connect(Now, Facts, look(Now, Facts, refresh(publish_again([], Quiet))))).

is_change({report, {change, _, _, _}}) -> true;
is_change(_Action) -> false.

first_connected(#{list_nodes := otp}, Connected, Now, State) ->
    lists:foldl(fun(Name, Next) -> up(Name, Now, Next) end, State#state{connected = #{}}, Connected);
first_connected(#{list_nodes := function}, _Connected, _Now, State) ->
    State.

-spec step(event(), Now :: integer(), facts(), state()) -> {[action()], state()}.
step(Event, Now, #{own := Own} = Facts, #state{own = Own} = State) ->
    done(Now, connect(Now, Facts, event(Event, Now, Facts, State)));
%% This node has another name, because its distribution has started or stopped.
step(Event, Now, #{own := Own} = Facts, #state{connector = Connector} = State) ->
    Renamed = ends(not_self_listed, State#state{own = Own, connector = caravan_connector:rename(Own, Connector)}),
    step(Event, Now, Facts, reconsider_all(want(Now, named(Own, Now, Renamed)))).

%% Called when the name of this node has changed. Until it is named for the first time, node names with the basename of this
%% node are wrong, and belong to no node. Earlier answers may contain this node, so DNS is polled again.
named(?NOBODY, _Now, State) ->
    State;
named(_Own, Now, #state{was_named = false, sources = Sources} = State) ->
    look_after_naming(Now, State#state{was_named = true, sources = caravan_sources:forget_named_by_own(Sources)});
named(_Own, Now, State) ->
    look_after_naming(Now, State).

look_after_naming(_Now, #state{options = #{queries := []}} = State) -> State;
look_after_naming(_Now, #state{is_polling = true} = State) -> State#state{looks_again = true};
look_after_naming(Now, State) -> State#state{look_at = Now}.

done(Now, State) ->
    #state{actions = Actions, news = News} = Observed = observed(Now, State),
    {Allowed, Left} = lists:mapfoldl(fun(Action, Next) -> in_budget(Action, Now, Next) end, News, lists:reverse(Actions)),
    {Allowed, holds_if(is_alone(Now, Observed), alone, Now, Observed#state{actions = [], news = Left})}.

observed(Now, #state{health = Health, actions = Actions} = State) ->
    case caravan_health_core:was_ready(Health) of
        true -> State;
        false -> first_ready(caravan_health_core:observed(lists:any(fun is_other_cluster/1, Actions), caravan_topology_view:health_facts(Now, view(State)), Now, Health), State)
    end.

first_ready(Health, State) ->
    case caravan_health_core:was_ready(Health) of
        true -> act(ready, State#state{health = Health});
        false -> State#state{health = Health}
    end.

is_other_cluster({tell, _}) -> true;
is_other_cluster(Action) -> is_change(Action).

%% No node is missed while the connected nodes are unknown, this node is not distributed, or it has left.
is_alone(_Now, #state{connected = unknown}) ->
    false;
is_alone(_Now, #state{distributed = false}) ->
    false;
%% The connector does not count nodes that have left or are excluded as missing.
is_alone(Now, #state{connector = Connector, members = Members, leavers = Leavers}) ->
    caravan_members:count(Members) =:= 0 andalso caravan_connector:has_missing(Connector) andalso not caravan_leavers:is_away(Now, Leavers).

holds_if(true, Subject, Now, #state{reminders = Reminders} = State) ->
    State#state{reminders = caravan_reminders:holds(Subject, Now, Reminders)};
holds_if(false, Subject, _Now, State) ->
    ends(Subject, State).

ends(Subject, #state{reminders = Reminders} = State) ->
    State#state{reminders = caravan_reminders:ends(Subject, Reminders)}.

in_budget({report, Report} = Action, Now, News) ->
    case is_counted(Report) andalso caravan_news:has_line(element(1, Report), Now, News) of
        false -> {Action, News};
        {true, Left} -> {Action, Left};
        {false, Left} -> {{emit, Report}, Left}
    end;
in_budget(Action, _Now, News) ->
    {Action, News}.

%% Reports that occur once or rarely, and the summary itself, do not count against the budget of lines.
is_counted({left_out, _}) -> false;
is_counted({leaving, _}) -> false;
is_counted({alone, _, _, _}) -> false;
is_counted({never_answered, _, _}) -> false;
is_counted({unanswered, _, _}) -> false;
is_counted({not_self_listed, _, _}) -> false;
is_counted({own_alias, _}) -> false;
is_counted({samples, _}) -> false;
is_counted(not_distributed) -> false;
is_counted(Report) -> is_line(Report).

act(Action, #state{actions = Actions} = State) ->
    State#state{actions = [Action | Actions]}.

report(Report, State) ->
    act({report, Report}, State).

event(wake, Now, Facts, State) ->
    look_if_due(Now, Facts, remind(Now, tell_news(Now, await_no_more(Now, readmit(Now, State)))));
event(poll, Now, Facts, State) ->
    look(Now, Facts, State);
event({polled, Outcomes, Duration}, Now, Facts, State) ->
    polled(Outcomes, Duration, Now, Facts, State#state{is_polling = false});
event({nodeup, Name}, Now, _Facts, #state{options = #{list_nodes := otp}, connected = #{}} = State) ->
    up(Name, Now, State);
event({nodeup, _Name}, _Now, _Facts, State) ->
    refresh(State);
event({nodedown, Name, Reason}, Now, Facts, State) ->
    look_after_nodedown(Name, Now, Facts, refresh(down(Name, Reason, Now, Facts, State)));
event({listed, Names}, Now, Facts, State) ->
    settled(Now, Facts, tell_of_unseen(Now, listed(Names, Now, Facts, one_list_less(State))));
event(refresh, _Now, _Facts, State) ->
    refresh(State);
event(check, _Now, _Facts, State) ->
    State;
event({attempted, Name, Result, Duration}, Now, Facts, State) ->
    attempted(Name, Result, Duration, Now, Facts, State);
event({disconnected, _Name, ok}, _Now, _Facts, State) ->
    State;
%% DNS may list the node again meanwhile.
event({disconnected, Name, failed}, _Now, _Facts, #state{prune = Prune, unlisted = Unlisted} = State) ->
    State#state{prune = caravan_prune:not_removed(Name, is_map_key(Name, Unlisted), Prune)};
event({exclude, Name, Milliseconds}, Now, _Facts, #state{excluded = Excluded} = State) ->
    reconsider(Name, readmit(Now, State#state{excluded = Excluded#{Name => Now + Milliseconds}}));
event({leaving, Name, Milliseconds}, Now, _Facts, #state{wanted = Wanted} = State) ->
    leaving(Name, Now + Milliseconds, {is_connected(Name, State), is_map_key(Name, Wanted)}, State);
event({leave, Milliseconds}, Now, _Facts, #state{leavers = Leavers} = State) ->
    report({leaving, Milliseconds}, State#state{leavers = caravan_leavers:leave(Now + Milliseconds, Leavers)});
event(reconnect, Now, _Facts, #state{connector = Connector} = State) ->
    back(Now, State#state{connector = caravan_connector:all_due(Now, Connector)});
event({change, Options}, Now, Facts, #state{options = Before} = State) ->
    look(Now, Facts, refresh_from(Before, change(Options, Now, State))).

%% When OTP replaces a user's function as the source, its list is needed once to replace what the function returned.
refresh_from(#{list_nodes := function}, #state{options = #{list_nodes := otp}} = State) -> act(list_nodes, State);
refresh_from(_Before, State) -> refresh(State).

%% Polls

%% While this node is not distributed, it cannot connect to others. OTP notifies no process of a change, so each poll checks.
look(Now, Facts, State) ->
    look_up(Now, tell_distributed(Facts, State)).

tell_distributed(#{can_connect := Same}, #state{distributed = Same} = State) -> State;
tell_distributed(#{can_connect := true}, State) -> report(distributed, State#state{distributed = true});
tell_distributed(#{can_connect := false}, State) -> report(not_distributed, State#state{distributed = false}).

%% One poll runs at a time, since the answer of a running poll is as good as that of a new one. Attempts do not wait for a
%% poll.
look_up(_Now, #state{options = #{queries := []}, distributed = true} = State) ->
    refresh(State#state{look_at = none});
look_up(Now, #state{options = #{queries := [], poll_interval := Interval}} = State) ->
    State#state{look_at = Now + Interval};
look_up(_Now, #state{is_polling = true} = State) ->
    State;
look_up(_Now, State) ->
    act(poll, State#state{is_polling = true, look_at = none}).

look_if_due(Now, Facts, #state{look_at = At} = State) when is_integer(At), At =< Now -> look(Now, Facts, State);
look_if_due(_Now, _Facts, State) -> State.

%% If a poll is running, its answer may be older than the loss, so another poll follows. With samples it does not, since a
%% sample does not show whether the lost node is still listed.
look_after_nodedown(_Name, _Now, _Facts, #state{is_polling = true, options = #{answers := sampled}} = State) ->
    State;
look_after_nodedown(Name, _Now, _Facts, #state{is_polling = true, wanted = Wanted} = State) ->
    State#state{looks_again = State#state.looks_again orelse is_map_key(Name, Wanted)};
look_after_nodedown(_Name, _Now, _Facts, #state{options = #{queries := []}} = State) ->
    State;
look_after_nodedown(Name, Now, Facts, #state{wanted = Wanted} = State) when is_map_key(Name, Wanted) ->
    look_within_interval(Now, Facts, State);
look_after_nodedown(_Name, _Now, _Facts, State) ->
    State.

%% Does not postpone a poll that is due earlier.
look_within_interval(Now, #{random := Random}, #state{options = #{poll_interval := Interval}, look_at = At} = State) ->
    State#state{look_at = caravan_schedule:earlier(Now + caravan_schedule:look_after_nodedown(Interval, Random), At)}.

polled(Outcomes, Duration, Now, Facts, #state{sources = Before, published = WantedBefore, options = Options} = State) ->
    {Reports, Sources} = caravan_sources:polled(Outcomes, Now, Facts#{connected => connected(State)}, Options, Before),
    Reported = lists:foldl(
        fun({Query, Report}, Next) -> report(of_query(Report, Query, Before, Duration), Next) end, State#state{sources = Sources}, Reports
    ),
    Answered = in_answer(caravan_sources:certainty(Sources), Now, want_again(Before, Now, answers_hold(Outcomes, Now, Reported))),
    #state{published = Wanted} = Published = publish_again(WantedBefore, Answered),
    Pace = caravan_sources:pace(Before, Wanted =/= WantedBefore, Sources),
    look_again(Now, Facts, schedule(Pace, Now, Facts, settle(Now, Facts, Published))).

look_again(Now, Facts, #state{looks_again = true} = State) ->
    look_within_interval(Now, Facts, State#state{looks_again = false});
look_again(_Now, _Facts, State) ->
    State.

of_query({looked_up, Outcome, Before, Endpoints}, Query, Sources, Duration) ->
    WasAnswered = caravan_sources:has_answer(Query, Sources),
    {looked_up, Query, Outcome, Before, WasAnswered, #{duration => Duration, endpoints => Endpoints}};
of_query(Report, _Query, _Sources, _Duration) ->
    Report.

%% Notes which conditions the answers of a poll begin or end, for queries and for this node.
answers_hold(Outcomes, Now, #state{sources = Sources} = State) ->
    lists:foldl(
        fun({Query, _Outcome}, Next) ->
            HasAnswer = caravan_sources:has_answer(Query, Sources),
            IsFresh = caravan_sources:last_lookup(Query, Sources) =:= fresh,
            holds_if(HasAnswer andalso not IsFresh, {unanswered, Query}, Now, holds_if(not HasAnswer, {never_answered, Query}, Now, Next))
        end,
        self_listed(is_self_listed(Now, State), Now, State),
        Outcomes
    ).

%% A node that has left need not be listed.
is_self_listed(Now, #state{own = Own, options = Options, sources = Sources, leavers = Leavers}) ->
    caravan_leavers:is_away(Now, Leavers) orelse caravan_sources:self_listed(Own, Options, Sources).

%% Only a complete answer proves that this node is not listed, and a node without a name cannot be listed.
self_listed(true, _Now, State) -> ends(not_self_listed, State);
self_listed(_NotOrUnknown, _Now, #state{own = ?NOBODY} = State) -> State;
self_listed(false, Now, State) -> holds_if(true, not_self_listed, Now, State);
self_listed(unknown, _Now, State) -> State.

%% If every answer changes the wanted nodes, as with samples, only every second poll comes sooner.
schedule({changed, Ttl}, Now, Facts, #state{is_quick = true} = State) ->
    schedule({steady, Ttl}, Now, Facts, State);
schedule(Pace, Now, #{random := Random}, #state{options = #{poll_interval := Interval}} = State) ->
    State#state{
        look_at = Now + caravan_schedule:next_poll(Interval, Pace, Random), is_quick = element(1, Pace) =:= changed
    }.

in_answer(Certainty, Now, State) when Certainty =:= fresh; Certainty =:= incomplete ->
    #state{wanted = Wanted, connector = Connector, members = Members} = State,
    absences(Certainty, Now, State#state{
        connector = caravan_connector:keep(Wanted, Now, Connector),
        members = caravan_members:forget(Now, Members)
    });
in_answer(_NoAnswer, _Now, State) ->
    State.

absences(fresh, Now, #state{prune = Prune, unlisted = Unlisted} = State) ->
    State#state{prune = caravan_prune:listed(maps:keys(Unlisted), Now, Prune)};
absences(incomplete, _Now, State) ->
    State.

%% Unchanged nodes are published again, which renews the time for which they count after a crash.
publish_again(Same, #state{published = Same} = State) -> act({publish, Same}, State);
publish_again(_Before, State) -> State.

%% Ends a poll, once it is known which nodes are connected.
settle(Now, Facts, #state{options = #{list_nodes := otp}} = State) ->
    prune(Now, Facts, State);
settle(_Now, _Facts, State) ->
    refresh(State#state{settles = true}).

settled(Now, Facts, #state{settles = true} = State) -> prune(Now, Facts, State#state{settles = false});
settled(_Now, _Facts, State) -> State.

prune(Now, #{elsewhere := Elsewhere}, #state{prune = Prune, members = Members} = State) ->
    Absent = caravan_prune:absent(Now, Prune),
    IsMember = fun(Name) -> caravan_members:is_member(Name, Members) end,
    {Names, Next} = caravan_prune:due(caravan_sources:certainty(State#state.sources), IsMember, {caravan_members:count(Members), Elsewhere}, Now, Prune),
    lists:foldl(
        fun(Name, Pruned) -> act({disconnect, Name, maps:get(Name, Absent)}, Pruned#state{pruned_at = Now}) end,
        State#state{prune = Next},
        Names
    ).

%% Wanted nodes

%% Updates the wanted nodes, and everything that depends on them.
want(Now, #state{options = Options, sources = Sources, own = Own} = State) ->
    changed(caravan_sources:wanted(Own, Options, Sources), Now, State).

%% After most polls the wanted nodes are the same.
want_again(Before, Now, #state{sources = Sources} = State) ->
    case caravan_sources:say_the_same(Before, Sources) of
        true -> State;
        false -> want(Now, State)
    end.

changed(Wanted, _Now, #state{wanted = Wanted} = State) ->
    State;
changed(Wanted, Now, #state{wanted = Before, options = #{prune_after := Memory}, listeners = Listeners} = State) ->
    Added = lists:sort(maps:keys(maps:without(maps:keys(Before), Wanted))),
    Removed = lists:sort(maps:keys(maps:without(maps:keys(Wanted), Before))),
    Published = lists:sort(maps:keys(Wanted)),
    Next = act({publish, Published}, report({change, map_size(Wanted), Added, Removed}, State#state{
        wanted = Wanted, published = Published, listeners = caravan_listeners:wanted(Published, Listeners)
    })),
    lists:foldl(fun(Name, Listed) -> listed_now(Name, Now, Listed) end,
        lists:foldl(fun(Name, Unlisted) -> listed_no_more(Name, Now + Memory, Unlisted) end, Next, Removed),
        Added).

listed_now(Name, Now, #state{members = Members, unlisted = Unlisted} = State) ->
    {Change, Next} = caravan_members:listed(Name, is_connected(Name, State), Members),
    Listed = State#state{members = Next, unlisted = maps:remove(Name, Unlisted)},
    reconsider(Name, came(Change, Name, Now, Listed)).

listed_no_more(Name, Until, #state{members = Members, unlisted = Unlisted} = State) ->
    IsMember = caravan_members:is_member(Name, Members),
    reconsider(Name, ends({failing, Name}, State#state{
        members = caravan_members:unlisted(Name, Until, Members),
        unlisted = maps:merge(Unlisted, maps:from_list([{Name, []} || IsMember]))
    })).

%% Connected nodes

%% With OTP's list, nodeup and nodedown keep the connected nodes up to date.
refresh(#state{options = #{list_nodes := otp}} = State) -> State;
refresh(#state{lists_due = Due} = State) -> act(list_nodes, State#state{lists_due = min(2, Due + 1)}).

one_list_less(#state{lists_due = Due} = State) -> State#state{lists_due = max(0, Due - 1)}.

connected(#state{connected = unknown}) -> #{};
connected(#state{connected = Connected}) -> Connected.

listed(Names, Now, Facts, State) ->
    Before = connected(State),
    After = maps:from_keys(Names, []),
    Gone = lists:foldl(
        fun(Name, Next) -> down(Name, connection_closed, Now, Facts, Next) end,
        State#state{connected = Before},
        lists:sort(maps:keys(maps:without(Names, Before)))
    ),
    Came = lists:sort(maps:keys(maps:without(maps:keys(Before), After))),
    first_list(State, lists:foldl(fun(Name, Next) -> up(Name, Now, Next) end, Gone, Came)).

%% Until the first list it was unknown which nodes were missing.
first_list(#state{connected = unknown}, State) -> reconsider_all(State);
first_list(_Known, State) -> State.

up(Name, _Now, #state{connected = #{} = Connected} = State) when is_map_key(Name, Connected) ->
    State;
up(Name, Now, #state{connected = Connected, members = Members, listeners = Listeners, connector = Connector} = State) ->
    IsWanted = is_map_key(Name, State#state.wanted),
    {Change, NextMembers} = caravan_members:up(Name, IsWanted, Now, Members),
    IsUnlisted = Change =:= came andalso not IsWanted,
    Next = State#state{
        connected = Connected#{Name => []},
        members = NextMembers,
        unlisted = maps:merge(State#state.unlisted, maps:from_list([{Name, []} || IsUnlisted])),
        listeners = caravan_listeners:up(Name, Listeners),
        connector = caravan_connector:up(Name, Now, Connector),
        leavers = caravan_leavers:up(Name, caravan_listeners:alternatives(Name, Listeners), State#state.leavers),
        reminders = caravan_reminders:ends({failing, Name}, State#state.reminders),
        unseen = maps:remove(Name, State#state.unseen),
        told_unseen = lists:delete(Name, State#state.told_unseen)
    },
    came(Change, Name, Now, announce(Name, Now, reconsider_alternatives(Name, Next))).

%% While this node is away, it may be connected by a message that a process sends to it, or by a topology that has not heard
%% of its departure; `global' then makes other nodes connect, too.
announce(Name, Now, #state{leavers = Leavers} = State) ->
    case caravan_leavers:away_for(Now, Leavers) of
        none -> State;
        Milliseconds -> disconnect_again(caravan_leavers:returned(Name, Now, Leavers), Milliseconds, act({announce, Name, Milliseconds}, State))
    end.

disconnect_again({true, Leavers}, Milliseconds, State) -> act({disconnect_again, Milliseconds}, State#state{leavers = Leavers});
disconnect_again({false, Leavers}, _Milliseconds, State) -> State#state{leavers = Leavers}.

came(same, _Name, _Now, State) ->
    State;
came(came, Name, Now, #state{members = Members, sources = Sources, listeners = Listeners} = State) ->
    Names = caravan_listeners:alternatives(Name, Listeners),
    Told = act({tell, {up, Name}}, act({emit, {up, Name, caravan_members:count(Members)}}, State)),
    Flaps = caravan_connector:flaps(Name, State#state.connector),
    news_of_newcomer(Flaps > 1, Name, Now, Told#state{sources = caravan_sources:proven(Names, Sources)}).

%% If connections to the node did not last, a new one is logged only when it has lasted.
news_of_newcomer(true, Name, Now, State) ->
    holds_if(true, {lasting, Name}, Now, State);
news_of_newcomer(false, Name, Now, #state{news = News} = State) ->
    State#state{news = caravan_news:came(Name, Now, News)}.

down(Name, OfOtp, Now, #{random := Random}, #state{connected = #{} = Connected} = State) when is_map_key(Name, Connected) ->
    #state{members = Members, listeners = Listeners, connector = Connector, options = #{prune_after := Memory}} = State,
    Reason = reason_for_users(caravan_leavers:is_leaving(Name, State#state.leavers), OfOtp),
    IsWanted = is_map_key(Name, State#state.wanted),
    {Change, NextMembers} = caravan_members:down(Name, IsWanted, Now + max(Memory, ?MEMBER_MEMORY_MS), Members),
    {Flaps, NextConnector} = caravan_connector:down(Name, reason(Change, Reason, Now, State), Now, Random, Connector),
    Next = State#state{
        connected = maps:remove(Name, Connected),
        members = NextMembers,
        unlisted = maps:remove(Name, State#state.unlisted),
        listeners = caravan_listeners:down(Name, Listeners),
        connector = of_leaver(Reason, Name, NextConnector),
        leavers = caravan_leavers:down(Name, State#state.leavers)
    },
    %% What this node loses because it leaves is not missed.
    IsMissed = IsWanted andalso not caravan_leavers:is_away(Now, State#state.leavers),
    went(Change, {Name, Reason, IsMissed, repeated(Flaps)}, Now, reconsider_alternatives(Name, Next));
down(_Name, _Reason, _Now, _Facts, State) ->
    State.

%% Returns the reason for caravan_connector, in which `own_doing' marks losses that say nothing about the node. Nodes that
%% are no members, such as helpers, come and go. If this node has pruned a node, or its distribution was stopped, `global'
%% makes both ends of other connections close them. A node that leaves, this one or another, disconnects on purpose.
reason(same, _Reason, _Now, _State) -> own_doing;
reason(went, Reason, _Now, _State) when Reason =:= left; Reason =:= net_kernel_terminated -> own_doing;
reason(went, _Reason, Now, #state{pruned_at = At}) when is_integer(At), Now - At < ?AFTER_PRUNE_MS -> own_doing;
reason(went, Reason, Now, #state{leavers = Leavers}) ->
    case caravan_leavers:is_away(Now, Leavers) of
        true -> own_doing;
        false -> Reason
    end.

reason_for_users(true, _OfOtp) -> left;
reason_for_users(false, OfOtp) -> OfOtp.

of_leaver(left, Name, Connector) -> caravan_connector:left(Name, Connector);
of_leaver(_Lost, _Name, Connector) -> Connector.

%% A single connection that did not last may be that of a node that was restarted, so only repeated ones are reported.
repeated([{_Name, Count, _LeftAlone} = Flap]) when Count > 1 -> Flap;
repeated(_Flaps) -> none.

went(same, _Loss, _Now, State) ->
    State;
went(went, {Name, Reason, _IsWanted, Flap} = Loss, Now, #state{members = Members} = State) ->
    Told = act({tell, {down, Name}}, act({emit, {down, Name, Reason, caravan_members:count(Members)}}, State)),
    news_of_loss(is_said(Flap), Loss, Now, ends({lasting, Name}, Told)).

%% Of repeated flaps, the second, the fourth, the eighth and so on are logged.
is_said(none) -> true;
is_said({_Name, Count, _LeftAlone}) -> Count band (Count - 1) =:= 0.

news_of_loss(true, Loss, Now, #state{news = News} = State) -> State#state{news = caravan_news:lost(Loss, Now, News)};
news_of_loss(false, Loss, _Now, #state{news = News} = State) -> State#state{news = caravan_news:lost_again(Loss, News)}.

%% The announcement of a departure comes over the connection that ends with it, and may be handled after the `nodedown'. The
%% loss is then a departure, whether it has been logged as a loss or not.
leaving(Name, Until, {false, true}, #state{connector = Connector, news = News} = State) ->
    Left = State#state{connector = caravan_connector:left(Name, Connector), news = caravan_news:left(Name, News)},
    reconsider_alternatives(Name, says(Name, Until, false, ends({failing, Name}, Left)));
leaving(Name, Until, {true, _IsWanted}, State) ->
    says(Name, Until, true, State);
%% The node is not wanted, so no topology tries it.
leaving(_Name, _Until, {false, false}, State) ->
    State.

says(Name, Until, IsConnected, #state{leavers = Leavers, options = #{max_nodes := Max, nodes := Fixed}} = State) ->
    State#state{leavers = caravan_leavers:says(Name, Until, IsConnected, Max + length(Fixed), Leavers)}.

%% Ends the departure of this node. Connected members are told by an announcement with a time that is over at once.
back(Now, #state{leavers = Leavers} = State) ->
    Names = told_of_return(caravan_leavers:is_away(Now, Leavers), State),
    lists:foldl(fun(Name, Next) -> act({announce, Name, 1}, Next) end, State#state{leavers = caravan_leavers:stay(Leavers)}, Names).

told_of_return(true, #state{members = Members}) -> caravan_members:connected(Members);
told_of_return(false, _State) -> [].

%% Nodes that have left and are not back in the time that they announced count as missing again.
await_no_more(Now, #state{leavers = Leavers} = State) ->
    {Names, Left} = caravan_leavers:over(Now, Leavers),
    lists:foldl(fun reconsider_alternatives/2, State#state{leavers = Left}, Names).

tell_news(Now, #state{news = News, members = Members} = State) ->
    {Reports, Next} = caravan_news:due(Now, Members, News),
    lists:foldl(fun report/2, State#state{news = Next}, Reports).

%% Reports the conditions that have held for long, in one line for each kind.
remind(Now, #state{reminders = Reminders} = State) ->
    case caravan_reminders:due(Now, Reminders) of
        {[], _Same} -> State;
        {Due, Next} -> lists:foldl(fun report/2, State#state{reminders = Next}, reminders(Due, Now, State))
    end.

reminders(Due, Now, #state{sources = Sources, reminders = Reminders, members = Members} = State) ->
    Failing = failing(Now, State),
    Nodes = [{Name, maps:get(Name, Failing), Held} || {{failing, Name}, Held} <- Due, is_map_key(Name, Failing)],
    Lasting = [Name || {{lasting, Name}, _Held} <- Due, caravan_members:is_member(Name, Members)],
    lists:append([
        [{connected, Lasting, caravan_members:count(Members)} || Lasting =/= []],
        [{alone, count_missing(Now, State), Held, maps:to_list(Failing)} || {alone, Held} <- Due],
        %% The line of `alone' names them already.
        [{failing, Nodes} || Nodes =/= [], not caravan_reminders:is_held(alone, Reminders)],
        without_answer(never_answered, Due, Sources),
        without_answer(unanswered, Due, Sources),
        [{not_self_listed, State#state.own, of_own_host(State)} || {not_self_listed, _Held} <- Due]
    ]).

%% The number of wanted nodes without those that have left or are excluded. No node is connected when this is called.
count_missing(Now, State) ->
    #{wanted := Wanted} = caravan_topology_view:health_facts(Now, view(State)),
    Wanted.

without_answer(Kind, Due, Sources) ->
    case [{Query, Held} || {{Subject, Query}, Held} <- Due, Subject =:= Kind] of
        [] -> [];
        Queries -> [{Kind, [{Query, caravan_sources:last_lookup(Query, Sources)} || {Query, _} <- Queries], lists:max([Held || {_, Held} <- Queries])}]
    end.

%% Returns the nodes that could not be connected, with reasons. Connections that do not last are reported when they are lost.
failing(Now, #state{connector = Connector}) ->
    maps:from_list([{Name, Reason} || {Name, #{reason := Reason}} <- maps:to_list(caravan_connector:failing(Now, Connector)), Reason =/= lost_soon]).

%% Nodes listed for the host of this node: it may be registered with another port, or under another basename.
of_own_host(#state{own = Own, published = Wanted}) ->
    [Name || Name <- Wanted, caravan_discovery:is_own_name(host(Name), host(Own))].

host(Name) -> lists:last(binary:split(Name, <<"@">>)).

%% Attempts

%% Offers the node to the connector if it is wanted and missing and may be tried; otherwise withdraws it.
reconsider(Name, #state{connector = Connector} = State) ->
    case is_candidate(Name, State) of
        true -> State#state{connector = caravan_connector:offer(Name, Connector)};
        false -> State#state{connector = caravan_connector:withdraw(Name, Connector)}
    end.

is_candidate(_Name, #state{connected = unknown}) ->
    false;
is_candidate(Name, #state{wanted = Wanted, connected = Connected, own = Own, options = #{exclude := Always}} = State) ->
    is_map_key(Name, Wanted)
        andalso not is_map_key(Name, Connected)
        andalso not is_map_key(Name, State#state.excluded)
        andalso not lists:member(Name, Always)
        andalso not caravan_discovery:is_own_name(Name, Own)
        andalso not caravan_listeners:is_taken(Name, Own, State#state.listeners)
        andalso not is_left_alone(Name, State).

%% A node that has left is not tried under the other names of its listener either.
is_left_alone(Name, #state{listeners = Listeners, leavers = Leavers}) ->
    lists:any(
        fun(OfListener) -> caravan_leavers:is_leaving(OfListener, Leavers) end, caravan_listeners:alternatives(Name, Listeners)
    ).

reconsider_alternatives(Name, #state{listeners = Listeners} = State) ->
    lists:foldl(fun reconsider/2, State, caravan_listeners:alternatives(Name, Listeners)).

reconsider_all(#state{wanted = Wanted} = State) ->
    lists:foldl(fun reconsider/2, State, maps:keys(Wanted)).

%% Readmits the nodes whose exclusion is over.
readmit(_Now, #state{excluded = Excluded} = State) when map_size(Excluded) =:= 0 ->
    State;
readmit(Now, #state{excluded = Excluded} = State) ->
    Left = maps:filter(fun(_Name, Until) -> Until > Now end, Excluded),
    lists:foldl(fun reconsider/2, State#state{excluded = Left}, maps:keys(maps:without(maps:keys(Left), Excluded))).

connect(Now, #{can_connect := true}, #state{leavers = Leavers} = State) ->
    connect_unless(caravan_leavers:is_away(Now, Leavers), Now, State);
%% Without queries there are no polls that would notice when the node is distributed again.
connect(Now, #{can_connect := false}, #state{look_at = none, options = #{queries := [], poll_interval := Interval}} = State) ->
    State#state{can_connect = false, connects = false, look_at = Now + Interval};
connect(_Now, #{can_connect := false}, State) ->
    State#state{can_connect = false, connects = false}.

connect_unless(true, _Now, State) ->
    State#state{can_connect = true, connects = false};
connect_unless(false, Now, #state{connector = Connector} = State) ->
    {Names, Next} = caravan_connector:start(Now, Connector),
    Connecting = State#state{connector = Next, can_connect = true, connects = true},
    lists:foldl(fun(Name, Started) -> act({connect, Name}, Started) end, Connecting, Names).

attempted(Name, Result, Duration, Now, #{random := Random}, #state{connector = Connector} = State) ->
    {Event, Next} = caravan_connector:ended(Name, Result, Now, Random, Connector),
    after_attempt(Result, Name, ended(is_left_alone(Name, State), Name, Event, Duration, Now, State#state{connector = Next})).

%% The node has announced its departure during the attempt, so the failure is not reported in the log.
ended(true, Name, {failed, Name, Reason, _Novelty}, Duration, _Now, State) ->
    act({emit, {attempt, {failed, Name, Reason, known}, Duration}}, forgiven(Name, State));
ended(_IsLeftAlone, _Name, Event, Duration, Now, State) ->
    failed(Event, Duration, Now, State).

%% Another name of the listener may belong to no node, and its failures count.
forgiven(Name, #state{connector = Connector, leavers = Leavers} = State) ->
    case caravan_leavers:is_leaving(Name, Leavers) of
        true -> State#state{connector = caravan_connector:left(Name, Connector)};
        false -> State
    end.

%% Emits each attempt. The log reports each kind of failure once, together with others of the same moment, and later that the
%% node is still failing.
failed(Event, Duration, Now, State) ->
    Name = element(2, Event),
    IsMissing = is_map_key(Name, State#state.wanted) andalso not is_connected(Name, State),
    Emitted = act({emit, {attempt, Event, Duration}}, State),
    fails(IsMissing, Name, Now, Emitted#state{news = news_of_attempt(Event, Now, Emitted#state.news)}).

news_of_attempt({failed, Name, Reason, new}, Now, News) -> caravan_news:failed(Name, Reason, Now, News);
news_of_attempt(_ConnectedOrKnown, _Now, News) -> News.

fails(true, Name, Now, State) -> holds_if(true, {failing, Name}, Now, State);
fails(false, _Name, _Now, State) -> State.

%% Usually `nodeup' has come before the end of the attempt. With a user's list_nodes, the list must be requested.
after_attempt(connected, Name, #state{options = #{list_nodes := function}, unseen = Unseen, lists_due = Due} = State) ->
    case is_connected(Name, State) of
        true -> State;
        false -> refresh(State#state{unseen = Unseen#{Name => which_list(Due)}})
    end;
after_attempt(_Result, _Name, State) ->
    State.

%% A list that is already under way may have been made before the node connected.
which_list(0) -> asked;
which_list(_Due) -> since_before.

%% A node whose attempts succeed but which the list never contains is tried repeatedly, and reported once.
tell_of_unseen(Now, #state{unseen = Unseen, told_unseen = Told} = State) ->
    New = lists:sort([Name || {Name, asked} <- maps:to_list(Unseen)]) -- Told,
    lists:foldl(
        fun(Name, Next) -> failed({failed, Name, not_listed, new}, 0, Now, Next) end,
        State#state{
            unseen = maps:from_list([{Name, asked} || {Name, since_before} <- maps:to_list(Unseen)]), told_unseen = New ++ Told
        },
        New
    ).

%% Changes of options

%% The wanted nodes stay until there are answers under the new options, which may be incomplete.
change(Options, Now, #state{wanted = Wanted, sources = Sources, options = #{nodes := Fixed, queries := Queries}} = State) ->
    Cancelled = cancel_poll(State),
    Dropped = Queries -- maps:get(queries, Options),
    Forgotten = lists:foldl(fun ends/2, Cancelled, [not_self_listed | [{Kind, Query} || Kind <- [never_answered, unanswered], Query <- Dropped]]),
    reconsider_all(want(Now, Forgotten#state{
        options = Options,
        sources = caravan_sources:change(Options, maps:without(Fixed, Wanted), Now, Sources),
        settles = false,
        lists_due = 0,
        listeners = listeners(Options, State),
        connector = caravan_connector:change(Options, State#state.connector),
        prune = caravan_prune:change(Options, State#state.prune)
    })).

cancel_poll(#state{is_polling = true} = State) -> act(cancel_poll, State#state{is_polling = false});
cancel_poll(State) -> State.

listeners(#{listener := ListenerOf}, #state{published = Wanted} = State) ->
    lists:foldl(
        fun caravan_listeners:up/2,
        caravan_listeners:wanted(Wanted, caravan_listeners:new(ListenerOf)),
        maps:keys(connected(State))
    ).

%% Returns when the event `wake' must come; `none' if it need not come.
-spec wake_at(state()) -> integer() | none.
wake_at(#state{look_at = LookAt, news = News, health = Health, reminders = Reminders, excluded = Excluded} = State) ->
    Times = [
        LookAt, caravan_news:due_at(News), caravan_leavers:due_at(State#state.leavers), caravan_health_core:ready_at(Health),
        caravan_reminders:due_at(Reminders), next_start(State)
    ],
    lists:foldl(fun caravan_schedule:earlier/2, none, Times ++ maps:values(Excluded)).

%% Nodes whose turn has come are tried at the end of each step, provided that this node can connect and is not away.
next_start(#state{connects = true, connector = Connector}) -> caravan_connector:next_start(Connector);
next_start(#state{connects = false}) -> none.

%% Returns the keys of caravan_cluster:status/1 that the core knows.
-spec status(Now :: integer(), state()) -> map().
status(Now, State) ->
    caravan_topology_view:status(Now, view(State)).

%% Returns the status in numbers, which is cheap enough to be called often.
-spec gauges(Now :: integer(), state()) -> caravan_topology_view:gauges().
gauges(Now, State) ->
    caravan_topology_view:gauges(Now, view(State)).

%% Returns what caravan_cluster:health/1 returns, with node names as binaries.
-spec health(Now :: integer(), state()) -> ok | {degraded | not_ready, [term(), ...]}.
health(Now, #state{health = Health} = State) ->
    caravan_topology_view:health(Now, view(State), Health).

-spec was_ready(state()) -> boolean().
was_ready(#state{health = Health}) ->
    caravan_health_core:was_ready(Health).

view(State) ->
    #{
        options => State#state.options,
        own => State#state.own,
        started_at => State#state.started_at,
        can_connect => State#state.can_connect,
        sources => State#state.sources,
        wanted => State#state.wanted,
        published => State#state.published,
        connected => connected(State),
        members => State#state.members,
        listeners => State#state.listeners,
        connector => State#state.connector,
        excluded => State#state.excluded,
        leavers => State#state.leavers,
        prune => State#state.prune,
        is_polling => State#state.is_polling,
        look_at => State#state.look_at
    }.

%% Returns the wanted nodes, sorted, without this node.
-spec wanted(state()) -> [name()].
wanted(#state{published = Wanted}) ->
    Wanted.

%% Returns the members, sorted.
-spec members(state()) -> [name()].
members(#state{members = Members}) ->
    caravan_members:connected(Members).

%% Returns whether the node is connected, wanted or not.
-spec is_connected(name(), state()) -> boolean().
is_connected(Name, State) ->
    is_map_key(Name, connected(State)).

%% Returns whether the report is a line of the log at level notice or above.
-spec is_line(report()) -> boolean().
is_line({looked_up, _Query, Same, Same, _, _}) -> false;
is_line({looked_up, _Query, fresh, none, _, _}) -> false;
is_line({attempt, _, _}) -> false;
is_line({found, _}) -> false;
is_line({change, _, _, _}) -> false;
is_line(distributed) -> false;
is_line(_Report) -> true.
