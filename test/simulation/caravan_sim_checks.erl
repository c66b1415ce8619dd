%% Who looks on during a run: what is seen of each VM, as far as the invariants need it, and when each of them is checked. It
%% knows what was said and done, and nothing of what the core keeps.
-module(caravan_sim_checks).

-export([new/1, observe/4, quiet/2, sweep/3, whole_since/1]).

-export_type([checks/0]).

-type name() :: binary().

-record(seen, {
    options :: map(),
    booted_at :: integer(),
    crashes = 0 :: non_neg_integer(),
    changes = 0 :: non_neg_integer(),
    published = [] :: [name()],
    wanted = #{} :: #{name() => []},
    connected = #{} :: #{name() => []},
    %% How many of them there are at each listener, and the wanted names of each, where it may have several.
    taken = #{} :: #{Listener :: term() => pos_integer()},
    names_of = #{} :: #{Listener :: term() => [name()]},
    reasons = #{} :: #{name() => term()},
    %% Told to subscribers.
    members = #{} :: #{name() => []},
    attempts = #{} :: #{name() => []},
    %% When each missing node was tried last, or went missing.
    tried = #{} :: #{name() => integer()},
    %% Names of which one was connected, without the basename.
    proven = #{} :: #{binary() => []},
    excluded = #{} :: #{name() => integer()},
    %% Who has said that it leaves, until when, and whether it has been lost since; until when this node connects to nobody.
    left = #{} :: #{name() => {Until :: integer(), connected | gone}},
    away_until = 0 :: integer(),
    %% Since when nodes are connected; how often attempts have failed in a row, and when the last one ended; how often
    %% connections in a row have been short, and when the last one ended.
    up_since = #{} :: #{name() => integer()},
    last_up = -1000000 :: integer(),
    failures = #{} :: #{name() => {Count :: pos_integer(), At :: integer()}},
    flaps = #{} :: #{name() => {Count :: pos_integer(), At :: integer()}},
    %% Those of whom it may be so, wanted then or not.
    unsteady = #{} :: #{name() => []},
    %% Complete answers, the last first, and when each came last, by the clock that stands while nobody knows.
    answers = [] :: [{Records :: term(), At :: integer()}],
    known_for = 0 :: non_neg_integer(),
    complete_at = none :: integer() | none,
    in_doubt = false :: boolean(),
    %% When samples listed each name last.
    sampled = #{} :: #{name() => integer()},
    %% Kinds of reasons that the log has told of.
    told = #{} :: #{name() => [term()]},
    %% The last complete answer of each query.
    complete = #{} :: #{Query :: term() => Records :: list()},
    answered_at = 0 :: integer(),
    last = #{} :: #{Query :: term() => {Outcome :: term(), AnsweredAt :: integer() | none, Records :: list()}},
    disconnects = [] :: [{integer(), name()}],
    pruned = 0 :: non_neg_integer(),
    %% Lines of the log since the topology began.
    lines = 0 :: non_neg_integer(),
    began_at :: integer(),
    %% Somebody has asked for the look.
    is_asked = true :: boolean()
}).

-record(checks, {
    scenario :: map(),
    seen = #{} :: #{name() => #seen{}},
    quiet_at = none :: integer() | none,
    whole_since = none :: integer() | none,
    %% How many looks were in each of the last seconds, the last one first.
    second = 0 :: integer(),
    lookups = [0] :: [non_neg_integer()],
    %% And how many VMs there were.
    vms = [0] :: [non_neg_integer()]
}).

-opaque checks() :: #checks{}.

%% For how long a VM that starts counts as starting.
-define(COLD, 30000).
%% So many VMs are looked at in each sweep.
-define(SAMPLE, 8).

%% A connection that has lasted as long is none that flaps.
-define(STEADY, 60000).
%% For how long a node that prunes loses others for that.
-define(AFTER_PRUNE, 10000).
%% Failures that are as old may be forgotten.
-define(FORGOTTEN, 600000).

-spec new(map()) -> checks().
new(Scenario) ->
    #checks{scenario = Scenario}.

-spec whole_since(checks()) -> integer() | none.
whole_since(#checks{whole_since = Since}) ->
    Since.

%% From now on nothing is wrong.
-spec quiet(integer(), checks()) -> checks().
quiet(Now, Checks) ->
    Checks#checks{quiet_at = Now}.

-spec observe(name(), What :: term(), Now :: integer(), checks()) -> checks().
observe(Name, {booted, Options}, Now, #checks{seen = Seen, vms = [Vms | Others]} = Checks) ->
    All = Seen#{Name => #seen{options = Options, booted_at = Now, began_at = Now, answered_at = Now}},
    Checks#checks{seen = All, vms = [max(Vms, map_size(All)) | Others]};
observe(Name, stopped, _Now, #checks{seen = Seen} = Checks) ->
    Checks#checks{seen = maps:remove(Name, Seen)};
observe(Name, {crashed, Connected}, Now, #checks{seen = Seen} = Checks) ->
    #{Name := #seen{crashes = Crashes} = Before} = Seen,
    Crashed = Before#seen{
        crashes = Crashes + 1,
        connected = maps:from_keys(Connected, []),
        taken = lists:foldl(fun(Peer, All) -> taken(Peer, Before#seen.options, All) end, #{}, Connected),
        members = #{},
        attempts = #{},
        tried = maps:from_keys(Before#seen.published, Now),
        excluded = #{},
        left = #{},
        away_until = 0,
        up_since = maps:from_keys(Connected, Now),
        failures = #{},
        flaps = #{},
        answers = [],
        known_for = 0,
        complete_at = none,
        complete = #{},
        sampled = maps:from_keys(Before#seen.published, Now),
        told = #{},
        answered_at = Now,
        last = #{},
        disconnects = [],
        pruned = 0,
        lines = 0,
        began_at = Now,
        is_asked = true
    },
    Checks#checks{seen = Seen#{Name := Crashed}};
observe(Name, {action, poll}, Now, #checks{seen = Seen} = Checks) ->
    #{Name := #seen{booted_at = BootedAt, is_asked = IsAsked} = Vm} = Seen,
    Counted = looks(IsAsked orelse Now - BootedAt < ?COLD, Now, Checks),
    Counted#checks{seen = Seen#{Name := Vm#seen{is_asked = false}}};
observe(Name, What, Now, #checks{seen = Seen, scenario = Scenario} = Checks) ->
    keeps_bystanders(What, Name, Seen, Now, Scenario),
    case Seen of
        #{Name := Vm} -> put_seen(Name, Vm, seen(What, Name, Now, line(What, Now, Vm)), Checks);
        #{} -> Checks
    end.

%% Where nodes leave and nothing else happens, nobody loses another one.
keeps_bystanders({event, {nodedown, Peer, Reason}}, Name, Seen, Now, #{only_leaves := true}) when is_map_key(Name, Seen) ->
    #{Name := #seen{left = Left, away_until = Away}} = Seen,
    IsStopped = not is_map_key(Peer, Seen),
    caravan_sim_invariants:keeps_bystanders(Peer, Reason, Away > Now orelse is_map_key(Peer, Left) orelse IsStopped);
keeps_bystanders(_What, _Name, _Seen, _Now, _Scenario) ->
    ok.

%% A report that is for telemetry alone is none.
line({action, {report, Report}}, Now, #seen{lines = Lines, began_at = Began} = Vm) ->
    case caravan_topology_core:is_line(Report) of
        true ->
            caravan_sim_invariants:lines_are_bounded(Lines + 1, Now - Began),
            Vm#seen{lines = Lines + 1};
        false ->
            Vm
    end;
line(_What, _Now, Vm) ->
    Vm.

%% Most of what is seen is only looked at.
put_seen(_Name, Same, Same, Checks) -> Checks;
put_seen(Name, _Before, Vm, #checks{seen = Seen} = Checks) -> Checks#checks{seen = Seen#{Name := Vm}}.

%% While it was paused it tried nobody.
seen(resumed, _Name, Now, #seen{published = Published} = Vm) ->
    Vm#seen{tried = maps:from_keys(Published, Now)};
seen({event, {nodeup, Peer}}, _Name, Now, #seen{connected = Connected, proven = Proven, up_since = Since, failures = Failures} = Vm) ->
    Vm#seen{
        connected = Connected#{Peer => []},
        taken = taken(Peer, Vm#seen.options, left(Peer, Vm)),
        proven = Proven#{rest(Peer) => []},
        up_since = Since#{Peer => Now},
        last_up = Now,
        failures = maps:remove(Peer, Failures),
        left = came_back(Peer, Vm)
    };
seen({event, {leaving, Peer, Milliseconds}}, _Name, Now, #seen{connected = Connected, wanted = Wanted, left = Left} = Vm) ->
    case {is_map_key(Peer, Connected), is_map_key(Peer, Wanted)} of
        {true, _} -> Vm#seen{left = Left#{Peer => {Now + Milliseconds, connected}}};
        {false, true} -> has_left(Peer, Vm#seen{left = Left#{Peer => {Now + Milliseconds, gone}}});
        {false, false} -> Vm
    end;
seen({event, {leave, Milliseconds}}, _Name, Now, Vm) ->
    Vm#seen{away_until = Now + Milliseconds};
seen({event, {nodedown, Peer, _Reason}}, _Name, Now, #seen{connected = Connected, left = Left} = Vm)
  when is_map_key(Peer, Left), element(1, map_get(Peer, Left)) > Now ->
    #{Peer := {Until, _}} = Left,
    has_left(Peer, Vm#seen{
        connected = maps:remove(Peer, Connected),
        taken = left(Peer, Vm),
        tried = missing_now(Peer, Now, Vm),
        left = Left#{Peer := {Until, gone}}
    });
seen({event, {nodedown, Peer, Reason}}, _Name, Now, #seen{away_until = Until, connected = Connected, reasons = Reasons} = Vm)
  when Until > Now ->
    Vm#seen{
        connected = maps:remove(Peer, Connected),
        taken = left(Peer, Vm),
        reasons = Reasons#{Peer => Reason},
        tried = missing_now(Peer, Now, Vm)
    };
seen({event, {nodedown, Peer, Reason}}, _Name, Now, #seen{connected = Connected, reasons = Reasons} = Vm) ->
    Vm#seen{
        connected = maps:remove(Peer, Connected),
        taken = left(Peer, Vm),
        reasons = Reasons#{Peer => Reason},
        tried = let_go(Reason, Now, missing_now(Peer, Now, Vm), Vm),
        flaps = flaps(Peer, Reason, Now, Vm),
        unsteady = unsteady(is_flap(Reason, Peer, Now, Vm), Peer, Vm),
        told = maps:remove(Peer, Vm#seen.told)
    };
seen({event, {attempted, Peer, {failed, _}, _Duration}}, _Name, Now, #seen{attempts = Attempts, tried = Tried, left = Left} = Vm)
  when is_map_key(Peer, Left), element(1, map_get(Peer, Left)) > Now ->
    has_left(Peer, Vm#seen{attempts = maps:remove(Peer, Attempts), tried = Tried#{Peer => Now}});
seen({event, {attempted, Peer, Result, _Duration}}, _Name, Now, #seen{attempts = Attempts, tried = Tried} = Vm) ->
    Vm#seen{attempts = maps:remove(Peer, Attempts), tried = Tried#{Peer => Now}, failures = failures(Result, Peer, Now, Vm)};
seen({event, reconnect}, _Name, _Now, Vm) ->
    Vm#seen{failures = #{}, flaps = #{}, away_until = 0};
seen({event, {polled, Outcomes, _Duration}}, _Name, Now, Vm) ->
    lists:foldl(fun(Outcome, Next) -> answered(Outcome, Now, Next) end, Vm, Outcomes);
seen({event, {disconnected, Peer, failed}}, _Name, _Now, #seen{pruned = Pruned, disconnects = Disconnects} = Vm) ->
    Vm#seen{pruned = Pruned - 1, disconnects = lists:keydelete(Peer, 2, Disconnects)};
seen({event, {exclude, Peer, Milliseconds}}, _Name, Now, #seen{excluded = Excluded} = Vm) ->
    Vm#seen{excluded = Excluded#{Peer => Now + Milliseconds}};
seen({event, {change, Options}}, _Name, _Now, #seen{changes = Changes} = Vm) ->
    Vm#seen{options = Options, changes = Changes + 1, is_asked = true};
seen({event, poll}, _Name, _Now, Vm) ->
    Vm#seen{is_asked = true};
seen({action, {publish, Published}}, _Name, _Now, #seen{published = Published} = Vm) ->
    Vm;
seen({action, {publish, Published}}, _Name, Now, #seen{wanted = Before, tried = Tried, options = Options} = Vm) ->
    caravan_sim_invariants:wanted_is_bounded(length(Published), Vm#seen.crashes + Vm#seen.changes, Options),
    New = [Peer || Peer <- Published, not is_map_key(Peer, Before)],
    keeps_what_is_wanted(maps:keys(maps:without(Published, Before)), Now, Vm),
    wants_no_old_samples(Published, Now, Vm),
    Vm#seen{
        published = Published,
        wanted = maps:from_keys(Published, []),
        names_of = names_of(Options, Published),
        flaps = maps:with(Published, Vm#seen.flaps),
        told = maps:with(Published, Vm#seen.told),
        tried = lists:foldl(fun(Peer, All) -> All#{Peer => Now} end, maps:with(Published, Tried), New)
    };
seen({action, {connect, Peer}}, Name, Now, #seen{options = Options, attempts = Attempts, tried = Tried} = Vm) ->
    #seen{wanted = Wanted, connected = Connected, excluded = Excluded} = Vm,
    caravan_sim_invariants:connects_sensibly(Peer, Name, Options, #{
        wanted => Wanted,
        connected => listed(Options, Connected),
        taken => listed(Options, Vm#seen.taken),
        attempts => Attempts,
        excluded => Excluded,
        left => [Until || {_, {Until, _}} <- of_listener(Peer, Options, Vm#seen.left)],
        away_until => Vm#seen.away_until,
        now => Now
    }),
    #seen{failures = Failures, flaps = Flaps} = Vm,
    caravan_sim_invariants:backs_off(
        Peer, maps:get(Peer, Failures, none), maps:get(Peer, listed(Options, Flaps), none), Now
    ),
    Vm#seen{attempts = Attempts#{Peer => []}, tried = Tried#{Peer => Now}};
seen({action, {disconnect, Peer, _AbsentMs}}, _Name, Now, #seen{options = Options, disconnects = Disconnects} = Vm) ->
    #{prune_after := After} = Options,
    caravan_sim_invariants:prunes_nobody_listed(Peer, listed_at(Peer, Vm), Vm#seen.known_for, Options),
    Went = [{Now, Peer} | [Recent || {At, _} = Recent <- Disconnects, Now - At < After]],
    %% The one that goes is connected still, and this node belongs to the cluster.
    Rest = map_size(maps:without([Gone || {_, Gone} <- Went], Vm#seen.connected)),
    caravan_sim_invariants:prunes_within_fraction([Gone || {_, Gone} <- Went], Rest + 1, Options, Now),
    Vm#seen{disconnects = Went, pruned = Vm#seen.pruned + 1};
seen({action, {tell, {Way, Peer} = Told}}, _Name, _Now, #seen{members = Members, connected = Connected, options = Options} = Vm) ->
    caravan_sim_invariants:tells_the_truth(Told, Members, known(Options, Peer, Connected)),
    case Way of
        up -> Vm#seen{members = Members#{Peer => []}};
        down -> Vm#seen{members = maps:remove(Peer, Members)}
    end;
%% A report that is no line, since there were many, is one still.
seen({action, {emit, Report}}, Name, Now, Vm) ->
    seen({action, {report, Report}}, Name, Now, Vm);
seen({action, {report, {down, _, _, _}}}, _Name, _Now, #seen{options = #{list_nodes := function}} = Vm) ->
    Vm;
seen({action, {report, {lost, _, _, _}}}, _Name, _Now, #seen{options = #{list_nodes := function}} = Vm) ->
    Vm;
seen({action, {report, {attempt, {failed, Peer, Reason, new}, _}}}, _Name, _Now, #seen{told = Told} = Vm) ->
    Before = maps:get(Peer, Told, []),
    Kind = without_pids(Reason),
    caravan_sim_invariants:reports_once(Peer, Kind, Before),
    Vm#seen{told = Told#{Peer => [Kind | Before]}};
seen({action, {report, Report}}, _Name, _Now, #seen{members = Members, reasons = Reasons} = Vm) ->
    caravan_sim_invariants:reports_the_truth(Report, Members, Reasons),
    Vm;
seen(_What, _Name, _Now, Vm) ->
    Vm.

%% Nothing that was before counts when it is back.
has_left(Peer, #seen{reasons = Reasons, failures = Failures, flaps = Flaps, unsteady = Unsteady, told = Told} = Vm) ->
    Vm#seen{
        reasons = Reasons#{Peer => left},
        failures = maps:remove(Peer, Failures),
        flaps = maps:remove(Peer, Flaps),
        unsteady = maps:remove(Peer, Unsteady),
        told = maps:remove(Peer, Told)
    }.

came_back(Peer, #seen{options = Options, left = Left}) ->
    maps:without([Name || {Name, {_, gone}} <- of_listener(Peer, Options, Left)], Left).

%% Those that are the node under whatever name.
of_listener(Peer, #{listener := none}, Left) ->
    maps:to_list(maps:with([Peer], Left));
of_listener(Peer, #{listener := ListenerOf}, Left) ->
    [Entry || {Name, _} = Entry <- maps:to_list(Left), ListenerOf(Name) =:= ListenerOf(Peer)].

%% Those that the world makes ever new.
without_pids({raised, {Reason, Pid}}) when is_pid(Pid) -> {raised, Reason};
without_pids(Reason) -> Reason.

%% A list of the user's is as old as it is, and may miss a short connection.
listed(#{list_nodes := otp}, Connected) -> Connected;
listed(#{list_nodes := function}, _Connected) -> #{}.

known(#{list_nodes := otp}, _Peer, Connected) -> Connected;
known(#{list_nodes := function}, Peer, _Connected) -> #{Peer => []}.

%% Who has been let go waits for all whose connections do not last.
let_go(disconnect, Now, Tried, #seen{unsteady = Unsteady}) ->
    lists:foldl(fun(Peer, All) -> All#{Peer := Now} end, Tried, [Peer || Peer <- maps:keys(Unsteady), is_map_key(Peer, Tried)]);
let_go(_Reason, _Now, Tried, _Vm) ->
    Tried.

%% The node, under each name that its listener may have.
missing_now(Peer, Now, #seen{options = #{listener := none}, tried = Tried}) ->
    Tried#{Peer => Now};
missing_now(Peer, Now, #seen{options = #{listener := ListenerOf}, names_of = NamesOf, tried = Tried}) ->
    lists:foldl(fun(Name, All) -> All#{Name => Now} end, Tried, [Peer | maps:get(ListenerOf(Peer), NamesOf, [])]).

names_of(#{listener := none}, _Names) -> #{};
names_of(#{listener := ListenerOf}, Names) -> maps:groups_from_list(ListenerOf, Names).

%% One more at the listener of this node.
taken(_Peer, #{listener := none}, Taken) -> Taken;
taken(Peer, #{listener := ListenerOf}, Taken) -> maps:update_with(ListenerOf(Peer), fun(Count) -> Count + 1 end, 1, Taken).

%% Without this node, if it was connected.
left(Peer, #seen{options = #{listener := ListenerOf}, connected = Connected, taken = Taken})
  when ListenerOf =/= none, is_map_key(Peer, Connected) ->
    Listener = ListenerOf(Peer),
    case Taken of
        #{Listener := 1} -> maps:remove(Listener, Taken);
        #{Listener := Count} -> Taken#{Listener := Count - 1}
    end;
left(_Peer, #seen{taken = Taken}) ->
    Taken.

answered({Query, {ok, #{records := Records} = Answer}}, Now, #seen{last = Last, complete = Complete} = Vm) ->
    Outlasting = outlasting(maps:get(Query, Last, none), Now, Vm),
    Answered = sampled(Records, Now, Outlasting#seen{last = Last#{Query => {fresh, Now, Records}}}),
    case is_complete(Answer, Vm#seen.options) of
        true -> kept(Records, Now, Answered#seen{complete = Complete#{Query => Records}, answered_at = Now});
        false -> Answered#seen{in_doubt = true}
    end;
answered({Query, Outcome}, _Now, #seen{last = Last} = Vm) ->
    {_, At, Records} = maps:get(Query, Last, {none, none, []}),
    Vm#seen{last = Last#{Query => {outcome(Outcome), At, Records}}, in_doubt = true}.

%% What may be taken for all there is.
is_complete(#{complete := true, unresolved := 0, records := Records}, #{answers := all, max_nodes := Max}) -> length(Records) =< Max;
is_complete(_Answer, _Options) -> false.

outcome({error, Reason}) when Reason =:= nxdomain; Reason =:= nodata -> {empty, Reason};
outcome({error, Reason}) -> {failed, Reason}.

%% Only `prune' asks for all of them. Its clock stands from a complete answer to the next one where others came between.
kept(Records, Now, #seen{options = #{prune := true, prune_after := After}, answers = Answers} = Vm) ->
    Clock = Vm#seen.known_for + known_since(Now, Vm),
    Others = [Answer || {Other, At} = Answer <- Answers, Other =/= Records, Clock - At =< 2 * After],
    Vm#seen{answers = [{Records, Clock} | Others], known_for = Clock, complete_at = Now, in_doubt = false};
kept(_Records, Now, Vm) ->
    Vm#seen{complete_at = Now, in_doubt = false}.

known_since(_Now, #seen{complete_at = none}) -> 0;
known_since(_Now, #seen{in_doubt = true}) -> 0;
known_since(Now, #seen{complete_at = At}) -> Now - At.

listed_at(Peer, #seen{answers = Answers}) ->
    Times = [At || {Records, At} <- Answers, is_listed(Peer, Records)],
    lists:max([never_before() | Times]).

is_listed(Peer, Records) ->
    lists:any(fun(Names) -> lists:member(Peer, Names) end, Records).

%% A name goes when there is a complete answer, and none of the last ones has it; or long after.
keeps_what_is_wanted([], _Now, _Vm) ->
    ok;
keeps_what_is_wanted(_Removed, _Now, #seen{options = #{max_nodes := Max}, published = Published}) when length(Published) >= Max ->
    ok;
keeps_what_is_wanted(Removed, Now, #seen{options = #{answers := sampled, sampled_expiry := Expiry}, sampled = Sampled}) ->
    Listed = [Peer || Peer <- Removed, Now - maps:get(Peer, Sampled, Now) < Expiry],
    caravan_sim_invariants:keeps_what_is_wanted(Removed, Listed, true, 0);
keeps_what_is_wanted(Removed, Now, #seen{complete = Complete, answered_at = At, changes = Changes} = Vm) ->
    IsKnown = is_known(Vm),
    Listed = [Peer || Peer <- Removed, Records <- maps:values(Complete), is_listed(Peer, Records)],
    caravan_sim_invariants:keeps_what_is_wanted(Removed, Listed, IsKnown orelse Changes > 0, Now - At).

%% Whether there is an answer that may take something away: of one query, and of all where a crash has left a word.
is_known(#seen{crashes = 0, complete = Complete}) -> map_size(Complete) > 0;
is_known(#seen{options = #{queries := Queries}, complete = Complete}) -> map_size(Complete) =:= length(Queries).

%% Time in which nobody knew does not count.
outlasting({Outcome, At, _Records}, Now, #seen{sampled = Sampled} = Vm) when Outcome =/= fresh, is_integer(At) ->
    Vm#seen{sampled = maps:map(fun(_Peer, Listed) -> Listed + Now - At end, Sampled)};
outlasting(_Last, _Now, Vm) ->
    Vm.

sampled(Records, Now, #seen{options = #{answers := sampled}, sampled = Sampled} = Vm) ->
    Vm#seen{sampled = maps:merge(Sampled, maps:from_keys(lists:append(Records), Now))};
sampled(_Records, _Now, Vm) ->
    Vm.

%% Until the next answer, which may take its time.
wants_no_old_samples(Published, Now, #seen{options = #{answers := sampled, sampled_expiry := Expiry}, sampled = Sampled, changes = 0}) ->
    Old = [Peer || Peer <- Published, Now - maps:get(Peer, Sampled, Now) > Expiry],
    caravan_sim_invariants:wants_no_old_samples(Old);
wants_no_old_samples(_Published, _Now, _Vm) ->
    ok.

%% Only of those that are wanted.
flaps(Peer, Reason, Now, #seen{flaps = Flaps, wanted = Wanted} = Vm) ->
    case is_flap(Reason, Peer, Now, Vm) of
        true when is_map_key(Peer, Wanted) -> Flaps#{Peer => {1 + flap_count(Peer, Now, Flaps), Now}};
        %% It may be tried soon, when what it was lost for is gone again; or it counts as one that has lasted.
        NotSure when NotSure =:= maybe_so; NotSure =:= false -> maps:remove(Peer, Flaps);
        _ -> Flaps
    end.

unsteady(false, Peer, #seen{unsteady = Unsteady}) -> maps:remove(Peer, Unsteady);
unsteady(_MayBe, Peer, #seen{unsteady = Unsteady}) -> Unsteady#{Peer => []}.

%% A connection that did not last, or that this node was told to close. One that was lost when another node had come up after it,
%% a moment ago, may have been lost for that. Where nothing came over the connection any more nobody knows, nor where this node has
%% disconnected another one: OTP's `global' has others let both go.
is_flap(_Reason, _Peer, Now, #seen{disconnects = [{At, _} | _]}) when Now - At < ?AFTER_PRUNE ->
    unknown;
is_flap(Reason, Peer, Now, #seen{up_since = Since, last_up = LastUp}) ->
    UpSince = maps:get(Peer, Since, Now),
    case {Now - UpSince < ?STEADY, Reason, LastUp > UpSince andalso Now - LastUp < ?STEADY + 1000} of
        {true, net_tick_timeout, _} -> unknown;
        {false, net_tick_timeout, _} -> false;
        {_, disconnect, _} -> true;
        {_, _, true} -> maybe_so;
        {IsShort, _, false} -> IsShort
    end.

%% Twenty minutes after its back-off a short connection is forgotten.
flap_count(Peer, Now, Flaps) ->
    case Flaps of
        #{Peer := {Count, At}} when Now - At < 1200000 -> Count;
        #{} -> 0
    end.

failures(connected, _Peer, _Now, #seen{failures = Failures}) ->
    Failures;
failures({failed, _Reason}, Peer, Now, #seen{failures = Failures}) ->
    case Failures of
        #{Peer := {Count, At}} when Now - At < ?FORGOTTEN -> Failures#{Peer => {Count + 1, Now}};
        #{} -> Failures#{Peer => {1, Now}}
    end.

never_before() -> -1000000000.

%% Names of one record differ before the first hyphen.
rest(Name) ->
    [_, Rest] = binary:split(Name, <<"-">>),
    Rest.

%% Looks that nobody asked for, in windows of ten seconds.
looks(IsExcepted, Now, Checks) ->
    #checks{lookups = [Looks | Others]} = Moved = to_second(Now div 1000, Checks),
    Moved#checks{lookups = [Looks + length([look || not IsExcepted]) | Others]}.

to_second(Second, #checks{second = Second} = Checks) ->
    Checks;
to_second(Second, #checks{second = At, lookups = Lookups, vms = Vms, seen = Seen, scenario = Scenario} = Checks) ->
    #{options := #{poll_interval := Interval}} = Scenario,
    caravan_sim_invariants:lookups_are_spread(lists:sum(Lookups), lists:max(Vms), Interval, Second),
    Seconds = min(10, Second - At),
    Checks#checks{
        second = Second,
        lookups = lists:sublist(lists:duplicate(Seconds, 0) ++ Lookups, 10),
        vms = lists:sublist(lists:duplicate(Seconds, map_size(Seen)) ++ Vms, 10)
    }.

%% All of the world, now and then.
-spec sweep(map(), Now :: integer(), checks()) -> checks().
sweep(#{vms := Vms, random := Random} = View, Now, #checks{seen = Seen} = Checks) ->
    Running = [{Name, Vm} || {Name, Vm} <- maps:to_list(Vms), not caravan_sim_vm:is_paused(Vm)],
    lists:foreach(
        fun({Name, Vm}) -> of_vm(Name, Vm, maps:get(Name, Seen), View, Now) end,
        some(Random, Running)
    ),
    whole(View, Now, Checks).

some(_Random, []) ->
    [];
some(Random, Vms) ->
    {Before, After} = lists:split(Random rem length(Vms), Vms),
    lists:sublist(After ++ Before, ?SAMPLE).

of_vm(Name, Vm, #seen{options = Options, away_until = Away} = Seen, View, Now) ->
    Missing = missing(Name, Seen),
    lists:foreach(
        fun(Peer) ->
            LeftAlone = [Until || {_, {Until, _}} <- of_listener(Peer, Options, Seen#seen.left)],
            Waited = Now - lists:max([Away, maps:get(Peer, Seen#seen.tried) | LeftAlone]),
            caravan_sim_invariants:tried_in_time(Peer, Waited, is_map_key(Peer, Seen#seen.unsteady), length(Missing), Options)
        end,
        Missing
    ),
    Connected = map_size(Seen#seen.connected),
    Unproven = [Atom || Atom <- maps:keys(caravan_sim_vm:atoms(Vm)), not is_map_key(rest(Atom), Seen#seen.proven), Atom =/= Name],
    caravan_sim_invariants:atoms_are_bounded(
        length(Unproven), {Now - Seen#seen.booted_at, Seen#seen.crashes + Seen#seen.changes}, Options
    ),
    caravan_sim_invariants:state_is_bounded(erts_debug:flat_size(caravan_sim_vm:core(Vm)), Connected, Options),
    caravan_sim_invariants:status_is_true(
        caravan_sim_vm:status(Now, Vm), truth(Name, Vm, Seen, View, Now), Name
    ),
    #{last_lookup := Last} = caravan_sim_vm:status(Now, Vm),
    caravan_sim_invariants:stays_ready(caravan_sim_vm:health(Now, Vm), caravan_sim_vm:was_ready(Vm), Last, Name).

%% Wanted, not connected under any of its names, not excluded and not this node.
missing(Own, #seen{wanted = Wanted, connected = Connected, attempts = Attempts, excluded = Excluded, options = #{listener := ListenerOf}}) ->
    Taken = taken(ListenerOf, [Own | maps:keys(Connected)]),
    [
        Peer
     || Peer <- maps:keys(Wanted),
        not is_map_key(Peer, Connected),
        not is_map_key(Peer, Attempts),
        not is_map_key(Peer, Excluded),
        ListenerOf =:= none orelse not is_map_key(ListenerOf(Peer), Taken)
    ].

taken(none, _Names) -> #{};
taken(ListenerOf, Names) -> maps:from_keys([ListenerOf(Name) || Name <- Names], []).

truth(Name, Vm, #seen{options = #{list_nodes := List, queries := Queries} = Options} = Seen, #{net := Net}, Now) ->
    Nodes = caravan_sim_network:nodes(Name, Net),
    Wanted = Seen#seen.published,
    Missing = maps:keys(maps:without(Nodes, Seen#seen.wanted)),
    maps:merge(connected_truth(List, Wanted, Nodes, Missing), maps:merge(answer_truth(Queries, Name, Now, Seen), #{
        wanted => Wanted,
        connecting => lists:sort(maps:keys(caravan_sim_vm:attempts(Vm))),
        pruned => Seen#seen.pruned,
        atoms_left => {from_to, 0, maps:get(atom_budget, Options)}
    })).

connected_truth(function, _Wanted, _Nodes, _Missing) ->
    #{};
connected_truth(otp, Wanted, Nodes, Missing) ->
    #{connected => ordsets:intersection(Wanted, ordsets:from_list(Nodes)), failing => {among, Missing}}.

%% With several queries the least sure one counts; one is enough here.
answer_truth([Query], Name, Now, #seen{last = Last}) ->
    {Outcome, At, Records} = maps:get(Query, Last, {none, none, []}),
    #{
        last_lookup => Outcome,
        answer_age => age(Now, At),
        self_listed => lists:any(fun(Names) -> lists:member(Name, Names) end, Records)
    };
answer_truth(_Queries, _Name, _Now, _Seen) ->
    #{}.

age(_Now, none) -> none;
age(Now, At) -> Now - At.

%% Whether the nodes that run are one cluster.
whole(_View, _Now, #checks{quiet_at = none} = Checks) ->
    Checks;
whole(View, Now, #checks{scenario = Scenario, quiet_at = Quiet, whole_since = Since} = Checks) ->
    case {is_whole(View, Checks), Since, Now - Quiet > caravan_sim_invariants:settled_after(Scenario)} of
        {true, none, _} ->
            Checks#checks{whole_since = Now};
        {false, none, true} ->
            caravan_sim_invariants:converges(apart(View, Checks) ++ unwanted(View, Checks), Now - Quiet, Scenario),
            Checks;
        {false, At, _} when is_integer(At) ->
            caravan_sim_invariants:stays_whole(apart(View, Checks) ++ unwanted(View, Checks), Now - Quiet);
        _ ->
            Checks
    end.

is_whole(#{vms := Vms} = View, #checks{seen = Seen} = Checks) ->
    Others = map_size(Vms) - 1,
    lists:all(fun(Name) -> map_size((maps:get(Name, Seen))#seen.connected) =:= Others end, maps:keys(Vms)) andalso
        unwanted(View, Checks) =:= [].

%% Pairs of nodes that run and are not connected, and whether their connections have not lasted before.
apart(#{vms := Vms}, #checks{seen = Seen}) ->
    Names = maps:keys(Vms),
    [
        {Name, Peer, has_flapped(Name, Peer, Seen) orelse has_flapped(Peer, Name, Seen)}
     || Name <- Names, Peer <- Names, Peer =/= Name, not is_map_key(Peer, (maps:get(Name, Seen))#seen.connected)
    ].

has_flapped(Name, Peer, Seen) ->
    is_map_key(Peer, (maps:get(Name, Seen))#seen.unsteady).

%% Who wants other nodes than are listed, where an answer has them all. That there are none is no reason to forget those that were.
unwanted(#{vms := Vms, zones := Zones}, #checks{scenario = #{exact := true}}) ->
    Listed = lists:usort(lists:append(lists:append(Zones))),
    IsKnown = not lists:member([], Zones),
    [
        {Name, {wants, Wanted -- Listed, (Listed -- Wanted) -- [Name]}, false}
     || IsKnown, {Name, Vm} <- maps:to_list(Vms), Wanted <- [caravan_sim_vm:wanted(Vm)], Wanted =/= lists:delete(Name, Listed)
    ];
unwanted(_View, _Checks) ->
    [].
