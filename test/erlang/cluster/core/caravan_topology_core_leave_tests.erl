%% Nodes that leave, and the departure of this node.
-module(caravan_topology_core_leave_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_core, [
    step/3, next/3, all/3, answered/1, looked/3, listing/2, connected/2, status/3, wake_at/1, connects/1, told/1, reports/1, no/1, options/1
]).

-define(A, <<"a@x">>).
-define(B, <<"b@x">>).
-define(C, <<"c@x">>).

%% Longer than the time in which a connection counts as one that did not last.
-define(LATER, 100000).

who_has_left_is_not_tried_until_the_time_is_over_test() ->
    {Actions, Gone} = step({nodedown, ?A, connection_closed}, ?LATER, leaving(?A, 60000, ?LATER)),
    ?assertEqual({[], [{down, ?A}]}, {connects(Actions), told(Actions)}),
    ?assertMatch([{down, ?A, left, 1}], reports(Actions)),
    Later = all([wake, poll, answered([?A, ?B]), reconnect, {nodeup, ?C}], ?LATER + 59999, Gone),
    ?assertEqual({#{?A => 1}, [], #{}}, {status(left, ?LATER + 59999, Later), status(connecting, 0, Later), status(failing, 0, Later)}),
    ?assertEqual(?LATER + 60000, wake_at(Later)),
    {Over, Trying} = step(wake, ?LATER + 60000, Later),
    ?assertEqual({[?A], #{}}, {connects(Over), status(left, 0, Trying)}),
    %% From then on it is missing like any other node.
    ?assertMatch([{attempt, {failed, ?A, no, new}, _}], reports(element(1, step(no(?A), ?LATER + 60001, Trying)))).

who_comes_back_is_as_if_it_had_never_left_test() ->
    Told = next(wake, ?LATER + 500, next({nodedown, ?A, connection_closed}, ?LATER, leaving(?A, 60000, ?LATER))),
    Back = next({nodeup, ?A}, ?LATER + 1000, Told),
    ?assertEqual(#{}, status(left, ?LATER, Back)),
    {Actions, Lost} = step({nodedown, ?A, connection_closed}, 2 * ?LATER, Back),
    ?assertMatch({[?A], [{down, ?A, connection_closed, 1}]}, {connects(Actions), reports(Actions)}),
    ?assertMatch([{lost, [{?A, connection_closed, true, none}], [], 1}], lines(2 * ?LATER, Lost)).

%% A nodeup from before the nodedown of the departure, as from a late list, is no return.
a_connection_that_stays_is_no_return_test() ->
    Same = next({nodeup, ?A}, ?LATER, leaving(?A, 60000, ?LATER)),
    ?assertMatch([{down, ?A, left, 1}], reports(element(1, step({nodedown, ?A, connection_closed}, ?LATER, Same)))).

%% A node that does not understand departures, or gets messages of this one, connects again and again.
who_connects_to_a_node_that_is_away_is_disconnected_a_few_times_test() ->
    Away = all([{leave, 60000}, {nodedown, ?A, connection_closed}], ?LATER, connected([?A], #{})),
    {Counts, Last} = lists:mapfoldl(
        fun(_, Before) ->
            {Actions, Up} = step({nodeup, ?A}, ?LATER + 1000, Before),
            ?assertMatch([{announce, ?A, 59000}], [Action || {announce, _, _} = Action <- Actions]),
            {[Milliseconds || {disconnect_again, Milliseconds} <- Actions], next({nodedown, ?A, connection_closed}, ?LATER + 1000, Up)}
        end,
        Away,
        lists:seq(1, 5)
    ),
    ?assertEqual([[59000], [59000], [59000], [], []], Counts),
    DisconnectsAgain = fun(At, State) -> [again || {disconnect_again, _} <- element(1, step({nodeup, ?C}, At, State))] end,
    ?assertEqual({[again], []}, {DisconnectsAgain(?LATER + 1000, Last), DisconnectsAgain(?LATER + 59000, Last)}).

%% Health may be asked in the millisecond in which the time is over, before the topology has woken.
a_node_is_distributed_when_its_departure_ends_test() ->
    Away = all([{leave, 60000}, {nodedown, ?A, connection_closed}], ?LATER, connected([?A], #{})),
    Health = fun(At) -> caravan_topology_core:health(At, Away) end,
    ?assertMatch({not_ready, [{leaving, #{left := 1}} | _]}, Health(?LATER + 59999)),
    ?assertMatch({degraded, _}, Health(?LATER + 60000)).

%% Each time within a minute after it connected.
a_rolling_restart_is_no_flap_test() ->
    State = lists:foldl(
        fun(Round, Before) ->
            At = ?LATER + Round * 1000,
            all([{leaving, ?A, 60000}, {nodedown, ?A, connection_closed}, {nodeup, ?A}], At, Before)
        end,
        connected([?A, ?B], #{}),
        lists:seq(1, 5)
    ),
    {Actions, Lost} = step({nodedown, ?A, connection_closed}, ?LATER + 90000, State),
    ?assertEqual({[?A], #{}}, {connects(Actions), status(failing, 0, Lost)}).

%% A node that connected last and is lost would be taken for the cause of the other losses.
who_leaves_is_the_cause_of_no_other_loss_test() ->
    Gone = all([{nodedown, ?C, connection_closed}, {nodeup, ?C}, {leaving, ?C, 60000}, {nodedown, ?C, connection_closed}], ?LATER, connected([?A, ?B, ?C], #{})),
    {Actions, _} = step({nodedown, ?A, connection_closed}, ?LATER + 100, Gone),
    ?assertEqual([?A], connects(Actions)).

one_line_says_who_has_left_test() ->
    Both = all(
        [{leaving, Name, 60000} || Name <- [?B, ?A]] ++ [{nodedown, Name, connection_closed} || Name <- [?B, ?A, ?C]],
        ?LATER,
        connected([?A, ?B, ?C], #{})
    ),
    ?assertMatch([{lost, [{?C, connection_closed, true, none}], [], 0}, {left, [?A, ?B], 0} | _], lines(?LATER, Both)).

%% The announcement may be handled late.
an_announcement_after_the_loss_counts_test() ->
    {Actions, Lost} = step({nodedown, ?A, connection_closed}, 1000, connected([?A, ?B], #{})),
    %% It is left alone, since its connection did not last.
    ?assertEqual([], connects(Actions)),
    ?assertMatch(#{?A := #{reason := lost_soon}}, status(failing, 1000, Lost)),
    Left = next({leaving, ?A, 20000}, 1100, Lost),
    ?assertEqual({#{?A => 20000}, #{}}, {status(left, 1100, Left), status(failing, 1100, Left)}),
    ?assertMatch([{left, [?A], 1}], lines(1000, Left)),
    ?assertEqual([?A], connects(element(1, step(wake, 21100, next(wake, 2000, Left))))).

an_attempt_that_is_under_way_fails_without_a_word_test() ->
    {[?A], Trying} = tried({nodedown, ?A, connection_closed}, ?LATER, connected([?A, ?B], #{})),
    {Actions, Left} = step(no(?A), ?LATER, next({leaving, ?A, 60000}, ?LATER, Trying)),
    ?assertMatch([{emit, {attempt, {failed, ?A, no, known}, _}}], Actions),
    ?assertEqual([], connects(element(1, step(wake, ?LATER + 50000, Left)))),
    {[?A], Again} = tried(wake, ?LATER + 60000, Left),
    %% The loss has not been logged.
    ?assertMatch([{emit, {attempt, {failed, ?A, no, new}, _}}], element(1, step(no(?A), ?LATER + 60000, Again))).

nobody_is_remembered_that_is_of_no_concern_test() ->
    State = connected([?A], #{}),
    ?assertEqual(State, next({leaving, ?B, 60000}, ?LATER, State)).

no_more_are_remembered_than_may_be_wanted_test() ->
    State = connected([?A, ?B, ?C], #{max_nodes => 2}),
    Left = all([{leaving, Name, 60000} || Name <- [?A, ?B, ?C, ?A]], ?LATER, State),
    ?assertEqual([?A, ?B], lists:sort(maps:keys(status(left, ?LATER, Left)))).

%% The last announcement counts.
an_announcement_replaces_the_one_before_test() ->
    State = all([{leaving, ?A, 90000}, {leaving, ?A, 1000}, {nodedown, ?A, x}], ?LATER, connected([?A], #{})),
    ?assertEqual([?A], connects(element(1, step(wake, ?LATER + 1000, State)))).

%% Names of one listener belong to one node.
other_names_of_the_listener_are_left_alone_test() ->
    {Actions, Gone} = step({nodedown, <<"a@y">>, x}, ?LATER, next({leaving, <<"a@y">>, 60000}, ?LATER, blue_and_green())),
    ?assertEqual([], connects(Actions)),
    ?assertEqual([<<"a@y">>, <<"b@y">>], lists:sort(connects(element(1, step(wake, ?LATER + 60000, Gone))))),
    %% Green replaces blue.
    ?assertEqual(#{}, status(left, ?LATER, next({nodeup, <<"b@y">>}, ?LATER, Gone))).

%% The name has failed before and belongs to no node, which is reported once.
what_is_known_of_another_name_of_the_listener_stays_known_test() ->
    {[_, _], Trying} = tried({nodedown, <<"a@y">>, x}, ?LATER, blue_and_green()),
    Failed = all([no(<<"b@y">>), wake], ?LATER, Trying),
    {[<<"b@y">>], Again} = tried(wake, ?LATER + 1000, Failed),
    Left = all([{leaving, <<"a@y">>, 60000}, no(<<"b@y">>), no(<<"a@y">>)], ?LATER + 1000, Again),
    {[_, _], Over} = tried(wake, ?LATER + 61000, Left),
    ?assertMatch([{emit, {attempt, {failed, _, no, known}, _}}], element(1, step(no(<<"b@y">>), ?LATER + 61000, Over))).

blue_and_green() ->
    State = connected([<<"a@y">>], #{listener => fun(Name) -> binary:last(Name) end}),
    looked({polled, [{q, caravan_test_core:answer([<<"a@y">>, <<"b@y">>])}], 0}, ?LATER, State).

%% Also for the last node of a cluster.
nobody_is_alone_for_those_that_have_left_test() ->
    Gone = all([{leaving, ?A, 100000}, {leaving, ?B, 100000}] ++ [{nodedown, Name, closed} || Name <- [?A, ?B]], ?LATER, connected([?A, ?B], #{})),
    ?assertEqual([], alone(?LATER + 90000, Gone)),
    ?assertMatch([{alone, 2, _, _}], alone(?LATER + 160000, next(wake, ?LATER + 100000, next(wake, ?LATER + 500, Gone)))).

alone(Now, State) -> [Alone || {report, {alone, _, _, _} = Alone} <- element(1, step(wake, Now, State))].

gauges_tell_who_has_left_and_who_is_missing_test() ->
    State = connected([?A, ?B, ?C], #{}),
    Left = all([{leaving, ?A, 60000}, {nodedown, ?A, closed}, {exclude, ?B, 60000}, {nodedown, ?B, closed}], ?LATER, State),
    ?assertEqual(#{wanted => 3, connected => 1, missing => 0, left => 1, leaving => 0}, gauges(?LATER, Left)),
    Lost = next({nodedown, ?C, closed}, ?LATER, Left),
    ?assertEqual(#{wanted => 3, connected => 0, missing => 1, left => 1, leaving => 0}, gauges(?LATER, Lost)),
    %% A node that has left misses nobody.
    Away = all([{leave, 60000} | [{nodedown, Name, disconnect} || Name <- [?A, ?B, ?C]]], ?LATER, State),
    ?assertEqual(#{wanted => 3, connected => 0, missing => 0, left => 0, leaving => 1}, gauges(?LATER, Away)),
    ?assertMatch(#{missing := 3, leaving := 0}, gauges(?LATER + 60000, next(wake, ?LATER + 60000, Away))).

%% Two names, of which at most one belongs to a node.
names_of_one_listener_have_left_once_test() ->
    Left = next({leaving, <<"a@y">>, 60000}, ?LATER, blue_and_green()),
    Gone = next({nodedown, <<"a@y">>, connection_closed}, ?LATER, Left),
    ?assertMatch(#{wanted := 2, left := 1, missing := 0}, gauges(?LATER, Gone)).

gauges(Now, State) -> maps:with([wanted, connected, missing, left, leaving], caravan_topology_core:gauges(Now, State)).

%% A node that drains is taken out of the service.
a_node_that_has_left_need_not_be_listed_test() ->
    Own = <<"m@x">>,
    Said = fun(State) -> [Own || {report, {not_self_listed, _, _}} <- element(1, step(wake, ?LATER + 70000, State))] end,
    Unlisted = fun(State) -> next(wake, ?LATER + 500, looked(answered([?A]), ?LATER + 1, State)) end,
    State = connected([?A, Own], #{}),
    ?assertEqual([Own], Said(Unlisted(State))),
    ?assertEqual([], Said(Unlisted(next({leave, 100000}, ?LATER, State)))).

%% This node

who_leaves_connects_to_nobody_until_the_time_is_over_test() ->
    {Actions, Away} = step({leave, 60000}, ?LATER, connected([?A, ?B], #{})),
    ?assertEqual([{report, {leaving, 60000}}], Actions),
    {Down, Alone} = step({nodedown, ?A, disconnect}, ?LATER, Away),
    ?assertEqual({[], [{down, ?A}], [{down, ?A, disconnect, 1}]}, {connects(Down), told(Down), reports(Down)}),
    %% These losses are no warnings and no flaps.
    ?assertMatch([{lost, [{?A, disconnect, false, none}], [], 1} | _], lines(?LATER, Alone)),
    Later = all([wake, answered([?A, ?B, ?C])], ?LATER + 59999, Alone),
    ?assertEqual({1, [], #{}}, {status(leaving, ?LATER + 59999, Later), status(connecting, 0, Later), status(failing, 0, Later)}),
    ?assertEqual(?LATER + 60000, wake_at(Later)),
    {Over, Back} = step(wake, ?LATER + 60000, Later),
    ?assertEqual({[?A, ?C], none}, {lists:sort(connects(Over)), status(leaving, 0, Back)}).

%% The nodes that another topology of this node wants stay connected, and are told that it stays.
who_is_connected_hears_that_it_stays_test() ->
    Away = next({leave, 60000}, ?LATER, connected([?A, ?B], #{})),
    {Actions, Back} = step(reconnect, ?LATER + 1, Away),
    ?assertEqual([{announce, ?A, 1}, {announce, ?B, 1}], Actions),
    ?assertEqual([], element(1, step(reconnect, ?LATER + 2, Back))),
    Heard = all([{leaving, ?A, 60000}, {leaving, ?A, 1}], ?LATER, connected([?A, ?B], #{})),
    ?assertEqual(#{}, status(left, ?LATER + 1, next(wake, ?LATER + 1, Heard))).

reconnect_brings_it_back_test() ->
    Away = all([{leave, 60000}, {nodedown, ?A, disconnect}], ?LATER, connected([?A], #{})),
    {Actions, Back} = step(reconnect, ?LATER + 1, Away),
    ?assertEqual({[?A], none}, {connects(Actions), status(leaving, ?LATER + 1, Back)}).

%% A process that sends a message to this node connects it.
who_is_connected_to_a_node_that_has_left_hears_of_it_test() ->
    Away = all([{leave, 60000}, {nodedown, ?A, disconnect}], ?LATER, connected([?A], #{})),
    ?assertMatch([{announce, ?A, 50000} | _], element(1, step({nodeup, ?A}, ?LATER + 10000, Away))),
    ?assertEqual([], [Action || {announce, _, _} = Action <- element(1, step({nodeup, ?A}, ?LATER + 60000, Away))]).

other_options_do_not_bring_it_back_test() ->
    Away = all([{leave, 60000}, {nodedown, ?A, disconnect}, {change, options(#{})}], ?LATER, connected([?A], #{})),
    ?assertEqual({60000, []}, {status(leaving, ?LATER, Away), status(connecting, ?LATER, Away)}).

%% Helpers

leaving(Name, Milliseconds, Now) -> next({leaving, Name, Milliseconds}, Now, connected([?A, ?B], #{})).

tried(Event, Now, State) ->
    {Actions, Next} = step(Event, Now, State),
    {connects(Actions), Next}.

%% What the log reports half a second later about the lost nodes.
lines(Now, State) ->
    {Actions, _} = step(wake, Now + 500, State),
    [Report || {report, Report} <- Actions, element(1, Report) =/= connected].
