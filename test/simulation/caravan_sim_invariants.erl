%% What holds in every world, whatever the seed: each invariant is a function that throws `{violated, Name, Details}' where it
%% does not. A bound is a formula over the options; its comment says where it comes from. Times are milliseconds.
-module(caravan_sim_invariants).

-export([all/0]).
-export([connects_sensibly/4, backs_off/4, keeps_what_is_wanted/4, prunes_nobody_listed/4, prunes_within_fraction/4, tried_in_time/5, wanted_is_bounded/3]).
-export([atoms_are_bounded/3, state_is_bounded/3, lines_are_bounded/2, stays_ready/4, lookups_are_spread/4, status_is_true/3, tells_the_truth/3, reports_the_truth/3]).
-export([converges/3, stays_whole/2, settled_after/1, flapped_settled_after/1]).
-export([leaves_alone/2, keeps_bystanders/3, reports_once/3, wants_no_old_samples/1, steady/2, no_worse_than_plain/3]).

-type name() :: binary().

-define(CONNECT_TIMEOUT, 10000).
-define(MAX_BACKOFF, 60000).
-define(MAX_FLAP_BACKOFF, 600000).
%% It takes `global' 42 s to find out that two nodes do not reach each other; a connection that has lasted for longer is steady.
-define(STEADY, 60000).
-define(MAX_FAILED_INTERVAL, 66000).
-define(REFILL, 600000).

-spec all() -> [atom()].
all() ->
    [
        converges, stays_whole, tries_of_broken_peers, extra_lookups, lines, losses_of_bystanders, keeps_one_of_the_pair,
        no_worse_than_plain,
        prunes_nobody_listed, prunes_within_fraction, tried_in_time, wanted_is_bounded, atoms_are_bounded, state_is_bounded,
        lines_are_bounded, lookups_are_spread, status_is_true, stays_ready, tells_the_truth, reports_the_truth, connects_sensibly, backs_off,
        keeps_what_is_wanted, reports_once, wants_no_old_samples, leaves_alone, keeps_bystanders
    ].

-spec violated(atom(), term()) -> no_return().
violated(Invariant, Details) ->
    throw({violated, Invariant, Details}).

holds(true, _Invariant, _Details) -> ok;
holds(false, Invariant, Details) -> violated(Invariant, Details).

%% A node is tried that is wanted, not connected and not tried already; never this node itself, under whatever name; and no
%% more than `max_connecting' at a time.
connects_sensibly(Name, Own, #{max_connecting := Max, listener := ListenerOf}, Facts) ->
    #{wanted := Wanted, connected := Connected, taken := Taken, attempts := Attempts, excluded := Excluded, now := Now} = Facts,
    leaves_alone(Name, Facts),
    holds(map_size(Attempts) < Max, connects_sensibly, {more_than_max_connecting, Name}),
    holds(is_map_key(Name, Wanted), connects_sensibly, {not_wanted, Name}),
    holds(not is_map_key(Name, Connected), connects_sensibly, {connected, Name}),
    holds(not is_map_key(Name, Attempts), connects_sensibly, {tried_twice, Name}),
    holds(maps:get(Name, Excluded, Now) =< Now, connects_sensibly, {excluded, Name}),
    holds(not is_same_listener(Name, Own, ListenerOf), connects_sensibly, {itself, Name}),
    holds(not is_taken(Name, Taken, ListenerOf), connects_sensibly, {connected_under_another_name, Name}).

%% Who has left is not tried until its time is over, unless it has come back; and who leaves tries nobody.
leaves_alone(Name, #{left := Left, away_until := Away, now := Now}) ->
    holds([Until || Until <- Left, Until > Now] =:= [], leaves_alone, {left, Name, Left, now, Now}),
    holds(Away =< Now, leaves_alone, {away_until, Away, now, Now}).

%% In a world where nodes leave and nothing else is wrong, each loses those that leave, and no other one.
keeps_bystanders(Name, Reason, IsOfLeaver) ->
    holds(IsOfLeaver, keeps_bystanders, {Name, Reason}).

is_same_listener(Own, Own, _ListenerOf) -> true;
is_same_listener(_Name, _Own, none) -> false;
is_same_listener(Name, Own, ListenerOf) -> ListenerOf(Name) =:= ListenerOf(Own).

%% Who was in a complete answer within `prune_after' stays. Both times are of a clock that stands while nobody knows, because
%% DNS failed or gave a part. Of samples nobody ever knows.
prunes_nobody_listed(Name, Seen, Clock, #{prune_after := After, answers := Answers}) ->
    holds(Answers =:= all, prunes_nobody_listed, {Name, samples}),
    holds(Clock - Seen >= After, prunes_nobody_listed, {Name, {listed_ago, Clock - Seen}}).

%% Of the cluster, those included that went within `prune_after' and this node, no more than the fraction goes.
prunes_within_fraction(Went, Connected, #{prune_max_fraction := Fraction}, _Now) ->
    Count = length(Went),
    holds(Count =< Fraction * (Connected + Count), prunes_within_fraction, {went, Went, connected, Connected}).

%% A node that is wanted and missing is tried: within its back-off, and behind all others that are due, which take
%% `connect_timeout' each and go `max_connecting' at a time. One whose connections do not last has a back-off of its own.
tried_in_time(Name, Waited, Flapped, Missing, #{max_connecting := Max}) ->
    Bound = backoff(Flapped) + rounds(Missing, Max) * ?CONNECT_TIMEOUT + 1000,
    holds(Waited =< Bound, tried_in_time, {Name, {waited, Waited}, {bound, Bound}}).

%% Flaps are damped for up to a tenth longer. While a connection is in doubt, nodes that `global' may have let go for it wait.
backoff(true) -> ?MAX_FLAP_BACKOFF * 11 div 10;
backoff(false) -> ?MAX_BACKOFF + ?STEADY.

rounds(Nodes, Max) ->
    (Nodes + Max - 1) div Max.

is_taken(_Name, _Taken, none) -> false;
is_taken(Name, Taken, ListenerOf) -> is_map_key(ListenerOf(Name), Taken).

%% After the N-th failure in a row a node is left alone for 1, 2, 4 to 60 seconds less up to a quarter; after the N-th connection
%% in a row that did not last for 30, 120, 480, 600 seconds.
backs_off(Name, Failures, Flaps, Now) ->
    holds(Now >= over_at(Failures, 750, 2, ?MAX_BACKOFF * 3 div 4), backs_off, {Name, {failures, Failures}}),
    holds(Now >= over_at(Flaps, 30000, 4, ?MAX_FLAP_BACKOFF), backs_off, {Name, {flaps, Flaps}}).

over_at(none, _First, _Factor, _Longest) -> 0;
over_at({0, _At}, _First, _Factor, _Longest) -> 0;
over_at({Count, At}, First, Factor, Longest) -> At + min(Longest, First * round(math:pow(Factor, min(Count - 1, 20)))).

%% Only an answer that is known to be complete takes away what is wanted, or time: what a predecessor wanted that crashed stands
%% for ten minutes, and so does what an incomplete answer has added.
keeps_what_is_wanted(Removed, Listed, IsKnown, Age) ->
    holds(Listed =:= [], keeps_what_is_wanted, {listed, Listed}),
    holds(IsKnown orelse Age >= ?REFILL, keeps_what_is_wanted, {no_answer, Removed}).

%% As many as `max_nodes' records of each query have names, and those that are in the options; after a crash or a change of
%% options, those from before besides.
wanted_is_bounded(Count, Carried, #{max_nodes := Max, names_per_record := Names, queries := Queries, nodes := Fixed}) ->
    Bound = (Max * Names * length(Queries)) * (1 + min(1, Carried)) + length(Fixed),
    holds(Count =< Bound, wanted_is_bounded, {wanted, Count, bound, Bound}).

%% Names that turned out to be no nodes': the budget, one more every ten minutes, and a budget for each topology that crashed.
atoms_are_bounded(Unproven, {Age, Crashes}, #{atom_budget := Budget}) ->
    Bound = Budget * (1 + Crashes) + Age div ?REFILL + 1,
    holds(Unproven =< Bound, atoms_are_bounded, {unproven, Unproven, bound, Bound}).

%% In words. What is kept of a node that is wanted, connected, refused or remembered as failing is less than 150, and no more
%% of them are remembered than `max_nodes' and `atom_budget' say.
state_is_bounded(Words, Connected, #{max_nodes := Max, names_per_record := Names, queries := Queries, atom_budget := Budget}) ->
    Bound = 5000 + 150 * (2 * Max * Names * length(Queries) + Budget + Connected),
    holds(Words =< Bound, state_is_bounded, {words, Words, bound, Bound}).

%% The budget, and one more each minute. Besides, each fault that is said outside of it (nobody is connected, no answer, not listed) has to
%% last for a minute first; and what is said once: other spellings of this node, samples, that it is not distributed.
lines_are_bounded(Lines, Age) ->
    Bound = 25 + 4 * (Age div 60000 + 1),
    holds(Lines =< Bound, lines_are_bounded, {lines, Lines, bound, Bound}).

%% Of the whole cluster in ten seconds: twice as many as there are while nothing happens, which of one node are whole ones. Nodes
%% that started together look together for some intervals, and where that is a change each of them looks once more a quarter of
%% an interval later: two of each node are never too many.
lookups_are_spread(Lookups, Vms, Interval, At) ->
    Bound = Vms * max(2, (2 * 10000 + Interval - 1) div Interval),
    holds(Lookups =< Bound, lookups_are_spread, {lookups, Lookups, bound, Bound, before_second, At}).

%% Each key of the status that the world knows, too.
-spec status_is_true(map(), map(), name()) -> ok.
status_is_true(Status, Truth, Name) ->
    maps:foreach(
        fun(Key, True) ->
            Said = maps:get(Key, Status),
            holds(Said =:= True orelse in_range(Said, True), status_is_true, {Name, Key, {said, Said}, {is, True}})
        end,
        Truth
    ).

in_range(Said, {among, Values}) when is_map(Said) -> maps:keys(Said) -- Values =:= [];
in_range(Said, {among, Values}) when is_list(Said) -> Said -- Values =:= [];
in_range(Said, {from_to, From, To}) when is_integer(Said) -> Said >= From andalso Said =< To;
in_range(_Said, _True) -> false.

%% Where no number of nodes is expected, a node whose topology was ready stays so whatever happens to DNS and to others, and one that
%% has an answer is ready.
-spec stays_ready(term(), WasReady :: boolean(), LastLookup :: term(), name()) -> ok.
stays_ready({not_ready, [{leaving, _} | _]}, _WasReady, _Last, _Name) ->
    ok;
stays_ready({not_ready, _} = Health, WasReady, Last, Name) ->
    holds(not WasReady, stays_ready, {Name, Health}),
    holds(Last =:= none orelse element(1, Last) =:= failed, stays_ready, {Name, Health, Last});
stays_ready(_Health, _WasReady, _Last, _Name) ->
    ok.

%% Subscribers hear of each member once that it is up, and once that it is down.
tells_the_truth({up, Name}, Members, Connected) ->
    holds(not is_map_key(Name, Members) andalso is_map_key(Name, Connected), tells_the_truth, {up, Name});
tells_the_truth({down, Name}, Members, _Connected) ->
    holds(is_map_key(Name, Members), tells_the_truth, {down, Name}).

%% The log gives each loss its own reason, names each member once, and calls nobody missing who is connected.
reports_the_truth({down, Name, Reason, _Count}, _Members, Reasons) ->
    has_reason(Name, Reason, Reasons);
reports_the_truth({lost, Losses, _Failures, Count}, Members, Reasons) ->
    holds(Count =:= map_size(Members), reports_the_truth, {lost, Count, map_size(Members)}),
    %% Who was lost twice in the moment has the last reason last.
    maps:foreach(
        fun(Name, Reason) -> has_reason(Name, Reason, Reasons) end, maps:from_list([{Name, Reason} || {Name, Reason, _, _} <- Losses])
    );
%% Whoever has left has no line that warns, and one that does not.
reports_the_truth({left, Names, Count}, Members, Reasons) ->
    lists:foreach(fun(Name) -> has_reason(Name, left, Reasons) end, Names),
    holds(Count =:= map_size(Members), reports_the_truth, {left, Count, map_size(Members)});
reports_the_truth({connected, Names, Count}, Members, _Reasons) ->
    Are = [Name || Name <- Names, is_map_key(Name, Members)],
    holds(Are =:= Names andalso lists:usort(Names) =:= Names, reports_the_truth, {connected, Names}),
    holds(Count =:= map_size(Members), reports_the_truth, {connected, Count, map_size(Members)});
reports_the_truth({connect_failed, _Reason, Names}, Members, _Reasons) ->
    are_missing(connect_failed, Names, Members);
reports_the_truth({failing, Nodes}, Members, _Reasons) ->
    are_missing(failing, [Name || {Name, _Reason, _HeldMs} <- Nodes], Members);
reports_the_truth({alone, _Wanted, HeldMs, _Failing}, Members, _Reasons) ->
    holds(map_size(Members) =:= 0 andalso HeldMs >= 60000, reports_the_truth, {alone, HeldMs, map_size(Members)});
reports_the_truth(_Report, _Members, _Reasons) ->
    ok.

are_missing(Report, Names, Members) ->
    Connected = [Name || Name <- Names, is_map_key(Name, Members)],
    holds(Connected =:= [], reports_the_truth, {Report, {connected, Connected}}).

has_reason(Name, Reason, Reasons) ->
    True = maps:get(Name, Reasons, Reason),
    holds(Reason =:= True, reports_the_truth, {down, Name, {said, Reason}, {is, True}}).

%% The log tells once of each kind of reason for which a node could not be connected, until it was.
reports_once(Name, Kind, Told) ->
    holds(not lists:member(Kind, Told), reports_once, {Name, Kind}).

%% What samples have not listed for `sampled_expiry' is wanted no more after the next answer.
wants_no_old_samples(Old) ->
    holds(Old =:= [], wants_no_old_samples, Old).

%% After all faults have ended the nodes that are listed and run are connected to one another, and want what is listed.
converges(Missing, Age, Scenario) ->
    Due = [Pair || {_, _, HasFlapped} = Pair <- Missing, Age > due(HasFlapped, Scenario)],
    holds(Due =:= [], converges, {missing, lists:sublist(Due, 5), {of_all, length(Missing)}, {after_quiet, Age}}).

due(true, Scenario) -> flapped_settled_after(Scenario);
due(false, Scenario) -> settled_after(Scenario).

%% Who is whole and has no fault stays so.
stays_whole(Missing, _Age) ->
    holds(Missing =:= [], stays_whole, {missing, lists:sublist(Missing, 5)}).

%% The next look, which the TTL may put off (and again where a resolver between has an answer that is as old); the pace of
%% looks while they fail; the back-off; a round of attempts at all who are dead. Besides, what the network takes to notice
%% what is gone: the net tick; and names beyond the budget of atoms come in one by one.
-spec settled_after(map()) -> pos_integer().
settled_after(#{options := Options, dns := #{ttl := Ttl, caches := Caches}, dead := Dead, network := #{net_ticktime := Tick}} = Scenario) ->
    #{poll_interval := Interval, max_connecting := Max, atom_budget := Budget} = Options,
    Look = max(Interval * 11 div 10, 1000 * Ttl * (1 + length([twice || Caches])) + 100),
    Failing = max(?MAX_FAILED_INTERVAL, Interval * 11 div 10),
    Look + Failing + sampling(Scenario) + ?MAX_BACKOFF + ?STEADY + (1 + rounds(Dead, Max)) * ?CONNECT_TIMEOUT + Tick * 5 div 4 +
        max(0, Dead - Budget) * ?REFILL.

%% A sample of K of N has each node after this many answers, but for one case in ten millions.
sampling(#{dns := #{server := {sample, Size, _}, ttl := Ttl}, options := #{poll_interval := Interval}, size := Nodes}) when Size < Nodes ->
    Answers = ceil(math:log(1.0e-7 / (Nodes * Nodes)) / math:log(1 - Size / Nodes)),
    Answers * max(Interval * 11 div 10, 1000 * Ttl + 100);
sampling(_All) ->
    0.

%% Pairs that flapped have a longest back-off of their own.
-spec flapped_settled_after(map()) -> pos_integer().
flapped_settled_after(Scenario) ->
    settled_after(Scenario) + ?MAX_FLAP_BACKOFF * 11 div 10.

%% Under a steady fault, in windows of ten minutes.
-spec steady(map(), caravan_sim_measures:measures()) -> ok.
steady(#{steady := none}, _Measures) ->
    ok;
steady(#{steady := #{from := From, to := To}} = Scenario, Measures) ->
    Windows = [{Start, Start + 10} || Start <- lists:seq(From div 60000 + 5, To div 60000 - 10)],
    lists:foreach(
        fun(Window) ->
            tries_of_broken_peers(Scenario, Window, Measures),
            extra_lookups(Scenario, Window, Measures),
            lines(Scenario, Window, Measures),
            losses_of_bystanders(Scenario, Window, Measures),
            keeps_one_of_the_pair(Scenario, Window, Measures)
        end,
        Windows
    ).

%% Each back-off is shortened by up to a quarter, so the longest lasts at least 45 s: fourteen in ten minutes. It begins with the six
%% that come before the longest where the peer was forgotten, since samples have not had it for long, or was connected from its own
%% side.
tries_of_broken_peers(#{steady := #{broken := Broken, pairs := Pairs}, options := #{answers := Answers}}, Window, Measures) ->
    Begins = Answers =:= sampled orelse length(Pairs) < map_size(Broken),
    lists:foreach(
        fun(Name) ->
            Peers = length([Peer || {From, Peer} <- maps:keys(Broken), From =:= Name]),
            Count = caravan_sim_measures:of_vm(tries, Name, Window, Measures),
            Bound = Peers * (600000 div (?MAX_BACKOFF * 3 div 4) + 1 + maps:get(Begins, #{true => 6, false => 0})),
            holds(Count =< Bound, tries_of_broken_peers, {Name, {tries, Count}, {bound, Bound}, Window})
        end,
        caravan_sim_measures:names(tries, Measures)
    ).

%% The steady ones, which come up to a tenth early, and one more in each interval.
extra_lookups(#{options := #{poll_interval := Interval}}, Window, Measures) ->
    Bound = 600000 * 10 div (Interval * 9) + 600000 div Interval + 2,
    lists:foreach(
        fun(Name) ->
            Count = caravan_sim_measures:of_vm(lookups, Name, Window, Measures),
            holds(Count =< Bound, extra_lookups, {Name, {lookups, Count}, {bound, Bound}, Window})
        end,
        caravan_sim_measures:names(lookups, Measures)
    ).

%% Three in two minutes, and two a minute where DNS gives a part at a time; as many again where several pairs are broken.
lines(#{steady := #{broken := Broken}, exact := IsExact}, Window, Measures) ->
    Bound = maps:get(IsExact, #{true => 15, false => 20}) * min(2, map_size(Broken) div 2),
    lists:foreach(
        fun(Name) ->
            Count = caravan_sim_measures:of_vm(lines, Name, Window, Measures),
            holds(Count =< Bound, lines, {Name, {lines, Count}, {bound, Bound}, Window})
        end,
        caravan_sim_measures:names(lines, Measures)
    ).

%% Each time that a pair is tried OTP's `global' has who reaches both let go of one of them, or of both. In ten minutes that is once,
%% by whoever comes first; three times while the back-offs grow, and where not all agree at once which of the two stays. From a
%% quarter of an hour on it is twice for one pair, by a node of which the `global' of another one has lost track. Where DNS gives a
%% part at a time, they do not agree so soon.
losses_of_bystanders(#{steady := #{broken := Broken, from := From}, exact := IsExact}, {Start, _} = Window, Measures) ->
    Concerned = lists:usort([Name || {Name, _} <- maps:keys(Broken)]),
    Pairs = map_size(Broken) div 2,
    Bound = 2 * Pairs * times(IsExact, Pairs, Start - From div 60000),
    lists:foreach(
        fun(Name) ->
            Count = caravan_sim_measures:of_vm(losses, Name, Window, Measures),
            holds(Count =< Bound, losses_of_bystanders, {Name, {losses, Count}, {bound, Bound}, Window})
        end,
        caravan_sim_measures:names(losses, Measures) -- Concerned
    ).

times(true, 1, Minutes) when Minutes >= 15 -> 2;
times(true, _Pairs, _Minutes) -> 3;
times(false, _Pairs, _Minutes) -> 6.

%% Who reaches both of a pair is connected to one of them, and to all others, but for four minutes: where both come at once twice
%% within five minutes, by chance, both are left alone for half of a back-off. It is looked at each ten seconds. Of several pairs
%% one is taken for the cause of what another one does, and there is no bound; nor where DNS gives a part at a time.
keeps_one_of_the_pair(#{steady := #{broken := Broken}}, _Window, _Measures) when map_size(Broken) > 2 ->
    ok;
keeps_one_of_the_pair(#{exact := false}, _Window, _Measures) ->
    ok;
keeps_one_of_the_pair(_Scenario, Window, Measures) ->
    lists:foreach(
        fun(Name) ->
            Count = caravan_sim_measures:of_vm(cut_off, Name, Window, Measures),
            holds(Count =< 24, keeps_one_of_the_pair, {Name, {cut_off_for, Count * 10}, Window})
        end,
        caravan_sim_measures:names(cut_off, Measures)
    ).

%% In no window of ten minutes is any count more than that of a loop which polls every five seconds and tries everybody. Lookups
%% come up to a tenth early, and a window has one more or less. A window in which the rival comes to rest is none to compare
%% with: after thousands of losses `global' may have a state that lets all be.
-spec no_worse_than_plain(map(), caravan_sim_measures:measures(), caravan_sim_measures:measures()) -> ok.
no_worse_than_plain(#{steady := #{from := From, to := To}, size := Size, dns := #{ttl := Ttl}}, Measures, Plain) ->
    %% The rival does not wait for a TTL to be over.
    First = (From + 2000 * Ttl) div 60000 + 1,
    lists:foreach(
        fun({Measure, Start, Factor, Slack}) ->
            Window = {Start, Start + 10},
            Ours = caravan_sim_measures:of_all(Measure, Window, Measures),
            Theirs = caravan_sim_measures:of_all(Measure, Window, Plain),
            IsCalm = caravan_sim_measures:of_all(losses, {Start + 5, Start + 10}, Plain) =:= 0,
            holds(IsCalm orelse Ours =< Theirs * Factor + Slack * Size, no_worse_than_plain, {Measure, {ours, Ours}, {plain, Theirs}, Window})
        end,
        [
            {Measure, Start, Factor, Slack}
         || Start <- lists:seq(First, To div 60000 - 10),
            {Measure, Factor, Slack} <- [{tries, 1, 0}, {losses, 1, 0}, {lines, 1, 1}, {lookups, 10 / 9, 1}]
        ]
    ).
