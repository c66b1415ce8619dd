%% @private
%% The decisions of a topology: an event and the time go in, actions and the next state come out. It reads no clock, process,
%% table or node and draws no random number; all of that is given. Names of nodes are binaries, so that thousands of cores run
%% in one VM under a simulated clock (`scripts/simulate'). Times are milliseconds of one clock, whichever it is.
%%
%% The parts decide one thing each: caravan_sources (what is wanted), caravan_members, caravan_connector, caravan_listeners,
%% caravan_leavers, caravan_prune, caravan_news, caravan_reminders, caravan_health_core, caravan_schedule. Here they meet; caravan_topology_view says what there is to see of them.
-module(caravan_topology_core).

-export([new/5, step/4, wake_at/1, status/2, health/2, was_ready/1, gauges/2, wanted/1, members/1, is_connected/2, is_line/1]).

-export_type([state/0, name/0, options/0, facts/0, event/0, action/0, report/0]).

-type name() :: binary().

-type options() :: #{
    %% What is looked up at each poll. Empty with a fixed list of nodes alone.
    queries := [query()],
    nodes := [name()],
    exclude := [name()],
    poll_interval := pos_integer(),
    max_connecting := pos_integer(),
    max_nodes := pos_integer(),
    %% How many names one record gives.
    names_per_record => pos_integer(),
    atom_budget := pos_integer(),
    prune := boolean(),
    prune_after := pos_integer(),
    prune_max_fraction := number(),
    answers := all | sampled,
    sampled_expiry := pos_integer(),
    listener := caravan_listeners:listener_of(),
    %% Whether OTP's nodeup and nodedown say who is connected, or a function of the user's.
    list_nodes := otp | function,
    expect := non_neg_integer() | {fraction, number()},
    stable_for := non_neg_integer(),
    atom() => term()
}.
-type query() :: term().

%% What the world is like when the event happens.
-type facts() :: #{
    own := name(),
    %% Whether this node is distributed.
    can_connect := boolean(),
    %% Nodes that other topologies of this node list.
    elsewhere := [name()],
    %% For new/5: whether a predecessor that has crashed was ready once.
    was_ready => boolean(),
    %% Another number for each event.
    random := caravan_schedule:random()
}.

-type event() ::
    %% The time of wake_at/1 has come.
    wake
    %% Somebody wants a look at once.
    | poll
    %% The poll that the action `poll' began has ended, after so much native time.
    | {polled, [{query(), caravan_discovery:outcome()}], Duration :: integer()}
    | {nodeup, name()}
    | {nodedown, name(), Reason :: term()}
    %% The end of the action `list_nodes'.
    | {listed, [name()]}
    %% Somebody wants to know who is connected.
    | refresh
    %% Somebody wants to know how things are.
    | check
    %% The end of the action `connect', after so much native time.
    | {attempted, name(), caravan_connector:result(), Duration :: integer()}
    %% The end of the action `disconnect'; `failed' when it raised or took too long.
    | {disconnected, name(), ok | failed}
    | {exclude, name(), Milliseconds :: non_neg_integer()}
    %% Another node says that it leaves. It may come after the `nodedown' of that.
    | {leaving, name(), Milliseconds :: pos_integer()}
    %% This node leaves.
    | {leave, Milliseconds :: pos_integer()}
    | reconnect
    | {change, options()}.

-type action() ::
    %% One event `polled' follows, unless `cancel_poll' comes first.
    poll
    | cancel_poll
    %% One event `attempted' follows.
    | {connect, name()}
    %% One event `disconnected' follows.
    | {disconnect, name(), AbsentMs :: non_neg_integer()}
    %% One event `listed' follows; several actions before it may have one.
    | list_nodes
    %% This node has left, and is connected nevertheless: the other one is to know that.
    | {announce, name(), Milliseconds :: pos_integer()}
    | {disconnect_again, Milliseconds :: pos_integer()}
    %% What the topology wants, sorted.
    | {publish, [name()]}
    %% The topology is ready, for the first time.
    | ready
    %% For those who are subscribed.
    | {tell, {up | down, name()}}
    %% For telemetry, and for the log where that has a line for it.
    | {report, report()}
    %% For telemetry alone.
    | {emit, report()}.

-type report() ::
    distributed
    | not_distributed
    %% With whether the query had an answer with records before.
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
    %% Members that came, and those that were lost, within a moment.
    | {connected, [name(), ...], Members :: non_neg_integer()}
    | {lost, [caravan_news:loss(), ...], [caravan_news:failure()], Members :: non_neg_integer()}
    %% Members that were lost and had said that they leave.
    | {left, [name(), ...], Members :: non_neg_integer()}
    %% This node leaves.
    | {leaving, Milliseconds :: pos_integer()}
    %% Nodes that could not be connected, within a moment.
    | {connect_failed, Reason :: term(), [name(), ...]}
    | {left_out, caravan_line_budget:counts()}
    %% What has held for some time, with the milliseconds.
    | {alone, Wanted :: pos_integer(), HeldMs :: non_neg_integer(), [caravan_news:failure()]}
    | {failing, [{name(), Reason :: term(), HeldMs :: non_neg_integer()}, ...]}
    | {never_answered | unanswered, [{query(), caravan_cluster:last_lookup()}, ...], HeldMs :: non_neg_integer()}
    %% With the names that are listed for the host of this node.
    | {not_self_listed, Own :: name(), OfSameHost :: [name()]}.

-record(state, {
    options :: options(),
    started_at :: integer(),
    own :: name(),
    %% Whether this node has had a name.
    was_named :: boolean(),
    %% What has been decided in this step, the last action first.
    actions = [] :: [action()],
    %% What the queries, the options and former answers say is wanted, and what comes of that.
    sources :: caravan_sources:state(),
    wanted = #{} :: #{name() => []},
    published = [] :: [name()],
    %% Unknown until the user's list_nodes has given it.
    connected = unknown :: unknown | #{name() => []},
    members = caravan_members:new() :: caravan_members:state(),
    %% Members that DNS does not list.
    unlisted = #{} :: #{name() => []},
    listeners :: caravan_listeners:state(),
    connector :: caravan_connector:state(),
    %% Until when an operator keeps a node out.
    excluded = #{} :: #{name() => integer()},
    leavers = caravan_leavers:new() :: caravan_leavers:state(),
    prune :: caravan_prune:state(),
    %% When a node was pruned last.
    pruned_at = never :: integer() | never,
    is_polling = false :: boolean(),
    look_at = none :: integer() | none,
    %% Whether the poll began before a wanted node went down, or before this node had a name.
    looks_again = false :: boolean(),
    %% Whether that comes sooner since the last answer was a change.
    is_quick = false :: boolean(),
    %% Whether the end of a poll waits for the list of nodes.
    settles = false :: boolean(),
    %% Whether this node can connect to others now, and what the log has told of that.
    can_connect = false :: boolean(),
    distributed = unknown :: unknown | boolean(),
    news :: caravan_news:state(),
    health :: caravan_health_core:state(),
    reminders = caravan_reminders:new() :: caravan_reminders:state(),
    %% Connected, as the attempt says, and not in the user's list since; and those that the log has told of.
    unseen = #{} :: #{name() => since_before | asked},
    told_unseen = [] :: [name()],
    %% How many lists of the user's are to come: one is made at a time, and one more after it for all who asked meanwhile.
    lists_due = 0 :: 0..2
}).

-opaque state() :: #state{}.

%% For how long a member that is gone and not listed is one still when it comes back: `prune' is for those that come back.
-define(MEMBER_MEMORY_MS, 3600000).

%% What a VM is called that is not distributed.
-define(NOBODY, <<"nonode@nohost">>).

%% For how long what is lost is lost for the sake of a node that was pruned.
-define(AFTER_PRUNE_MS, 10000).

%% The state of a topology that starts. `Restored' is what a predecessor wanted that has crashed, and `Connected' who is
%% connected; with a list_nodes of the user's that is asked.
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
    %% What a predecessor, or the configuration, has said is no change.
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
%% The node has become distributed, or is so no more, and has another name.
step(Event, Now, #{own := Own} = Facts, #state{connector = Connector} = State) ->
    Renamed = ends(not_self_listed, State#state{own = Own, connector = caravan_connector:rename(Own, Connector)}),
    step(Event, Now, Facts, reconsider_all(want(Now, named(Own, Now, Renamed)))).

%% Names that are made with the basename of this node were made of none until it was named first: they are nobody's. What was looked up
%% before may have this node among the others.
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

%% While it is not known who is connected, this node is not distributed, or has left, nobody is missed.
is_alone(_Now, #state{connected = unknown}) ->
    false;
is_alone(_Now, #state{distributed = false}) ->
    false;
%% Those that have left, or are excluded, are not missed.
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

%% Those that come once have no part in it, nor have the summary of those that were left out and what is said rarely.
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
%% DNS may list it again by now.
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

%% Who is connected is another question than before.
refresh_from(#{list_nodes := function}, #state{options = #{list_nodes := otp}} = State) -> act(list_nodes, State);
refresh_from(_Before, State) -> refresh(State).

%% Looking

%% While the node is not distributed nobody can be connected. OTP tells no process when that changes, so each look sees.
look(Now, Facts, State) ->
    look_up(Now, tell_distributed(Facts, State)).

tell_distributed(#{can_connect := Same}, #state{distributed = Same} = State) -> State;
tell_distributed(#{can_connect := true}, State) -> report(distributed, State#state{distributed = true});
tell_distributed(#{can_connect := false}, State) -> report(not_distributed, State#state{distributed = false}).

%% One poll at a time: an answer that is on its way is as good as a new one. What is missing is not left to wait for it.
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

%% The answer that is on its way may be older than that. A sample says nothing of a node that it leaves out.
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

%% Unless it looks earlier anyway: a node that goes down takes no look of a cluster's budget that is due.
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

%% What the answers of a poll say of queries and of this node.
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

%% A node that has left may be listed no more, as it is meant to be.
is_self_listed(Now, #state{own = Own, options = Options, sources = Sources, leavers = Leavers}) ->
    caravan_leavers:is_away(Now, Leavers) orelse caravan_sources:self_listed(Own, Options, Sources).

%% Only a complete answer says that this node is not listed, and a node that has no name cannot be.
self_listed(true, _Now, State) -> ends(not_self_listed, State);
self_listed(_NotOrUnknown, _Now, #state{own = ?NOBODY} = State) -> State;
self_listed(false, Now, State) -> holds_if(true, not_self_listed, Now, State);
self_listed(unknown, _Now, State) -> State.

%% Answers that differ each time, as those of a server that shows samples, make every second look a quick one, and no more.
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

%% What has not changed holds still, which counts after a crash.
publish_again(Same, #state{published = Same} = State) -> act({publish, Same}, State);
publish_again(_Before, State) -> State.

%% The end of a poll, once it is known who is connected.
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

%% What is wanted

%% What is wanted now, and what follows for each node that is so from now on, or is so no more.
want(Now, #state{options = Options, sources = Sources, own = Own} = State) ->
    changed(caravan_sources:wanted(Own, Options, Sources), Now, State).

%% After most polls the sources say what they said before.
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

%% Who is connected

%% OTP says so by itself.
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

%% Before the first list nobody knew who was missing.
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

%% A message that somebody sends to this node connects it, and so does a topology that has not heard; `global' has the others connect
%% then.
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

%% Where connections do not last, the log has it that one does.
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
    %% What this node loses since it leaves is no loss to warn of.
    IsMissed = IsWanted andalso not caravan_leavers:is_away(Now, State#state.leavers),
    went(Change, {Name, Reason, IsMissed, repeated(Flaps)}, Now, reconsider_alternatives(Name, Next));
down(_Name, _Reason, _Now, _Facts, State) ->
    State.

%% Of other nodes, such as helpers that come and go, it is no matter for how long they were connected. When this node has pruned
%% one, or its distribution was stopped, it loses others for that: OTP's `global' has them let both ends of a connection go. Who
%% leaves, this node or another one, does so on purpose.
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

%% One that is lost soon may be one that was restarted; when that goes on there is more to it.
repeated([{_Name, Count, _LeftAlone} = Flap]) when Count > 1 -> Flap;
repeated(_Flaps) -> none.

went(same, _Loss, _Now, State) ->
    State;
went(went, {Name, Reason, _IsWanted, Flap} = Loss, Now, #state{members = Members} = State) ->
    Told = act({tell, {down, Name}}, act({emit, {down, Name, Reason, caravan_members:count(Members)}}, State)),
    news_of_loss(is_said(Flap), Loss, Now, ends({lasting, Name}, Told)).

%% Of connections that do not last the second, the fourth, the eighth and so on.
is_said(none) -> true;
is_said({_Name, Count, _LeftAlone}) -> Count band (Count - 1) =:= 0.

news_of_loss(true, Loss, Now, #state{news = News} = State) -> State#state{news = caravan_news:lost(Loss, Now, News)};
news_of_loss(false, Loss, _Now, #state{news = News} = State) -> State#state{news = caravan_news:lost_again(Loss, News)}.

%% The announcement goes over the connection that is lost then, and the process that passes it on may be late. The loss is none,
%% whether the log has told of it or not.
leaving(Name, Until, {false, true}, #state{connector = Connector, news = News} = State) ->
    Left = State#state{connector = caravan_connector:left(Name, Connector), news = caravan_news:left(Name, News)},
    reconsider_alternatives(Name, says(Name, Until, false, ends({failing, Name}, Left)));
leaving(Name, Until, {true, _IsWanted}, State) ->
    says(Name, Until, true, State);
%% Nobody would try it anyway.
leaving(_Name, _Until, {false, false}, State) ->
    State.

says(Name, Until, IsConnected, #state{leavers = Leavers, options = #{max_nodes := Max, nodes := Fixed}} = State) ->
    State#state{leavers = caravan_leavers:says(Name, Until, IsConnected, Max + length(Fixed), Leavers)}.

%% This node leaves no more. Nodes that are connected nevertheless are told so: they hear it by a time that is over at once.
back(Now, #state{leavers = Leavers} = State) ->
    Names = told_of_return(caravan_leavers:is_away(Now, Leavers), State),
    lists:foldl(fun(Name, Next) -> act({announce, Name, 1}, Next) end, State#state{leavers = caravan_leavers:stay(Leavers)}, Names).

told_of_return(true, #state{members = Members}) -> caravan_members:connected(Members);
told_of_return(false, _State) -> [].

%% Nodes that have left, and have not come back in the time that they said, are as others that are missing.
await_no_more(Now, #state{leavers = Leavers} = State) ->
    {Names, Left} = caravan_leavers:over(Now, Leavers),
    lists:foldl(fun reconsider_alternatives/2, State#state{leavers = Left}, Names).

tell_news(Now, #state{news = News, members = Members} = State) ->
    {Reports, Next} = caravan_news:due(Now, Members, News),
    lists:foldl(fun report/2, State#state{news = Next}, Reports).

%% What has held for so long that somebody should look at it, in a line for each kind.
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
        %% The line above has them.
        [{failing, Nodes} || Nodes =/= [], not caravan_reminders:is_held(alone, Reminders)],
        without_answer(never_answered, Due, Sources),
        without_answer(unanswered, Due, Sources),
        [{not_self_listed, State#state.own, of_own_host(State)} || {not_self_listed, _Held} <- Due]
    ]).

%% Where none is connected: without those that have left or are excluded.
count_missing(Now, State) ->
    #{wanted := Wanted} = caravan_topology_view:health_facts(Now, view(State)),
    Wanted.

without_answer(Kind, Due, Sources) ->
    case [{Query, Held} || {{Subject, Query}, Held} <- Due, Subject =:= Kind] of
        [] -> [];
        Queries -> [{Kind, [{Query, caravan_sources:last_lookup(Query, Sources)} || {Query, _} <- Queries], lists:max([Held || {_, Held} <- Queries])}]
    end.

%% Nodes that could not be connected, and why. Connections that do not last are told of whenever one is lost.
failing(Now, #state{connector = Connector}) ->
    maps:from_list([{Name, Reason} || {Name, #{reason := Reason}} <- maps:to_list(caravan_connector:failing(Now, Connector)), Reason =/= lost_soon]).

%% A node that is registered with another port, or under another basename.
of_own_host(#state{own = Own, published = Wanted}) ->
    [Name || Name <- Wanted, caravan_discovery:is_own_name(host(Name), host(Own))].

host(Name) -> lists:last(binary:split(Name, <<"@">>)).

%% Who is tried

%% A node is offered to the connector while it is wanted and missing, and may be tried.
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

%% Who has left is not tried under the other names of its listener either.
is_left_alone(Name, #state{listeners = Listeners, leavers = Leavers}) ->
    lists:any(
        fun(OfListener) -> caravan_leavers:is_leaving(OfListener, Leavers) end, caravan_listeners:alternatives(Name, Listeners)
    ).

reconsider_alternatives(Name, #state{listeners = Listeners} = State) ->
    lists:foldl(fun reconsider/2, State, caravan_listeners:alternatives(Name, Listeners)).

reconsider_all(#state{wanted = Wanted} = State) ->
    lists:foldl(fun reconsider/2, State, maps:keys(Wanted)).

%% Nodes whose time of exclusion is over.
readmit(_Now, #state{excluded = Excluded} = State) when map_size(Excluded) =:= 0 ->
    State;
readmit(Now, #state{excluded = Excluded} = State) ->
    Left = maps:filter(fun(_Name, Until) -> Until > Now end, Excluded),
    lists:foldl(fun reconsider/2, State#state{excluded = Left}, maps:keys(maps:without(maps:keys(Left), Excluded))).

connect(Now, #{can_connect := true}, #state{leavers = Leavers} = State) ->
    connect_unless(caravan_leavers:is_away(Now, Leavers), Now, State);
%% Without a query nothing else would see that the node is distributed again.
connect(Now, #{can_connect := false}, #state{look_at = none, options = #{queries := [], poll_interval := Interval}} = State) ->
    State#state{can_connect = false, look_at = Now + Interval};
connect(_Now, #{can_connect := false}, State) ->
    State#state{can_connect = false}.

connect_unless(true, _Now, State) ->
    State#state{can_connect = false};
connect_unless(false, Now, #state{connector = Connector} = State) ->
    {Names, Next} = caravan_connector:start(Now, Connector),
    Connecting = State#state{connector = Next, can_connect = true},
    lists:foldl(fun(Name, Started) -> act({connect, Name}, Started) end, Connecting, Names).

attempted(Name, Result, Duration, Now, #{random := Random}, #state{connector = Connector} = State) ->
    {Event, Next} = caravan_connector:ended(Name, Result, Now, Random, Connector),
    after_attempt(Result, Name, ended(is_left_alone(Name, State), Name, Event, Duration, Now, State#state{connector = Next})).

%% An attempt at a node that has said meanwhile that it leaves. That it fails is no news.
ended(true, Name, {failed, Name, Reason, _Novelty}, Duration, _Now, State) ->
    act({emit, {attempt, {failed, Name, Reason, known}, Duration}}, forgiven(Name, State));
ended(_IsLeftAlone, _Name, Event, Duration, Now, State) ->
    failed(Event, Duration, Now, State).

%% Other names of its listener may be no node's.
forgiven(Name, #state{connector = Connector, leavers = Leavers} = State) ->
    case caravan_leavers:is_leaving(Name, Leavers) of
        true -> State#state{connector = caravan_connector:left(Name, Connector)};
        false -> State
    end.

%% Telemetry has each attempt, and the log each kind of failure once, with others of the moment; then that it goes on.
failed(Event, Duration, Now, State) ->
    Name = element(2, Event),
    IsMissing = is_map_key(Name, State#state.wanted) andalso not is_connected(Name, State),
    Emitted = act({emit, {attempt, Event, Duration}}, State),
    fails(IsMissing, Name, Now, Emitted#state{news = news_of_attempt(Event, Now, Emitted#state.news)}).

news_of_attempt({failed, Name, Reason, new}, Now, News) -> caravan_news:failed(Name, Reason, Now, News);
news_of_attempt(_ConnectedOrKnown, _Now, News) -> News.

fails(true, Name, Now, State) -> holds_if(true, {failing, Name}, Now, State);
fails(false, _Name, _Now, State) -> State.

%% Most times `nodeup' has come before; a list of the user's knows no such message.
after_attempt(connected, Name, #state{options = #{list_nodes := function}, unseen = Unseen, lists_due = Due} = State) ->
    case is_connected(Name, State) of
        true -> State;
        false -> refresh(State#state{unseen = Unseen#{Name => which_list(Due)}})
    end;
after_attempt(_Result, _Name, State) ->
    State.

%% A list that is on its way may have been made before the node was connected.
which_list(0) -> asked;
which_list(_Due) -> since_before.

%% A node that the attempt connects and that the list never has is tried again and again, and told of once.
tell_of_unseen(Now, #state{unseen = Unseen, told_unseen = Told} = State) ->
    New = lists:sort([Name || {Name, asked} <- maps:to_list(Unseen)]) -- Told,
    lists:foldl(
        fun(Name, Next) -> failed({failed, Name, not_listed, new}, 0, Now, Next) end,
        State#state{
            unseen = maps:from_list([{Name, asked} || {Name, since_before} <- maps:to_list(Unseen)]), told_unseen = New ++ Told
        },
        New
    ).

%% Other options

%% What is wanted stands until there are answers under the new options, which may be incomplete ones.
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

%% When the event `wake' is to come.
-spec wake_at(state()) -> integer() | none.
wake_at(#state{look_at = LookAt, news = News, health = Health, reminders = Reminders, excluded = Excluded} = State) ->
    Times = [
        LookAt, caravan_news:due_at(News), caravan_leavers:due_at(State#state.leavers), caravan_health_core:ready_at(Health),
        caravan_reminders:due_at(Reminders), next_start(State)
    ],
    lists:foldl(fun caravan_schedule:earlier/2, none, Times ++ maps:values(Excluded)).

%% Nodes whose turn has come are tried at the end of each step, if this node can connect to others.
next_start(#state{can_connect = true, connector = Connector}) -> caravan_connector:next_start(Connector);
next_start(#state{can_connect = false}) -> none.

%% The keys of caravan_cluster:status/1 that are known here.
-spec status(Now :: integer(), state()) -> map().
status(Now, State) ->
    caravan_topology_view:status(Now, view(State)).

%% The status in numbers, for who asks often.
-spec gauges(Now :: integer(), state()) -> caravan_topology_view:gauges().
gauges(Now, State) ->
    caravan_topology_view:gauges(Now, view(State)).

%% What caravan_cluster:health/1 says, with names of nodes as they are here.
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

%% Sorted, without this node.
-spec wanted(state()) -> [name()].
wanted(#state{published = Wanted}) ->
    Wanted.

%% Sorted.
-spec members(state()) -> [name()].
members(#state{members = Members}) ->
    caravan_members:connected(Members).

%% Whether the node is connected, of the topology or not.
-spec is_connected(name(), state()) -> boolean().
is_connected(Name, State) ->
    is_map_key(Name, connected(State)).

%% Whether the report is a line of the log at level notice or above.
-spec is_line(report()) -> boolean().
is_line({looked_up, _Query, Same, Same, _, _}) -> false;
is_line({looked_up, _Query, fresh, none, _, _}) -> false;
is_line({attempt, _, _}) -> false;
is_line({found, _}) -> false;
is_line({change, _, _, _}) -> false;
is_line(distributed) -> false;
is_line(_Report) -> true.
