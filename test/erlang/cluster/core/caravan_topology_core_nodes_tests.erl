%% Which nodes a topology leaves alone or disconnects, and what tells it that a node is connected.
-module(caravan_topology_core_nodes_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_core, [
    options/1, facts/0, facts/1, new/3, step/3, step/4, next/3, all/3, started/1, listing/2, connected/2,
    status/3, wanted/1, members/1, wake_at/1, answer/1, answer/2, answered/1, polled/1, no/1, connects/1,
    told/1, reports/1, look/3, looked/3, several/0, both/2, not_distributed/1, function/1, idle_function/1,
    disconnects/1, pruning/1, absent/1
]).

-define(A, <<"a@x">>).
-define(B, <<"b@x">>).
-define(C, <<"c@x">>).
-define(INTERVAL, 5000).

%% Excluded nodes

an_excluded_node_is_not_tried_until_its_time_is_over_test() ->
    State = next(wake, 500, next(no(?A), 0, listing([?A], #{}))),
    Excluded = next({exclude, ?A, 3000}, 501, State),
    ?assertEqual({[?A], #{?A => 2000}}, {wanted(Excluded), status(excluded, 1501, Excluded)}),
    ?assertEqual(3501, wake_at(Excluded)),
    ?assertEqual([], connects(element(1, step(wake, 3500, Excluded)))),
    ?assertEqual([], connects(element(1, step(reconnect, 3500, Excluded)))),
    {Actions, Readmitted} = step(wake, 3501, Excluded),
    ?assertEqual({[?A], #{}}, {connects(Actions), status(excluded, 3501, Readmitted)}).

an_exclusion_of_no_time_readmits_test() ->
    Excluded = next({exclude, ?A, 3000}, 1, next(no(?A), 0, listing([?A], #{}))),
    {Actions, State} = step({exclude, ?A, 0}, 2000, Excluded),
    ?assertEqual({[?A], #{}}, {connects(Actions), status(excluded, 2000, State)}).

an_excluded_node_that_comes_by_itself_is_a_member_test() ->
    {Actions, _} = step({nodeup, ?A}, 2, next({exclude, ?A, 3000}, 1, listing([?A], #{}))),
    ?assertEqual([{up, ?A}], told(Actions)).

a_node_that_the_options_exclude_is_never_tried_test() ->
    {Actions, State} = step(answered([?A, ?B]), 0, started(#{exclude => [?A]})),
    ?assertEqual([?B], connects(Actions)),
    ?assertEqual(#{?A => infinity}, status(excluded, 0, State)),
    {Admitting, _} = step({change, options(#{})}, 1, State),
    ?assertEqual([?A], connects(Admitting)).

%% Not distributed

nobody_is_tried_while_the_node_is_not_distributed_test() ->
    Alone = not_distributed(<<"nonode@nohost">>),
    {Actions, State} = caravan_topology_core:new(options(#{}), [], [], 0, Alone),
    ?assertEqual([not_distributed], reports(Actions)),
    {Answered, Known} = step(answered([?A, ?B]), 1, Alone, State),
    ?assertEqual({[], [?A, ?B]}, {connects(Answered), wanted(Known)}),
    %% Only a poll is due.
    ?assertEqual(1 + status(next_poll, 1, Known), wake_at(Known)),
    {Again, _} = step(wake, wake_at(Known), Alone, Known),
    ?assertEqual([poll], Again).

it_is_distributed_since_under_another_name_test() ->
    Alone = not_distributed(<<"nonode@nohost">>),
    {_, New} = caravan_topology_core:new(options(#{nodes => [?A, ?C]}), [], [], 0, Alone),
    {_, State} = step(answered([?B]), 1, Alone, New),
    At = wake_at(State),
    {Actions, Distributed} = step(wake, At, facts(#{own => ?A}), State),
    ?assertEqual([distributed], [distributed || distributed <- reports(Actions)]),
    ?assertEqual({[?B, ?C], [?B, ?C]}, {connects(Actions), wanted(Distributed)}),
    ?assert(lists:member({publish, [?B, ?C]}, Actions)),
    %% From now on the turns begin after that name.
    {Next, _} = step(answered([<<"d@x">>, <<"o@x">>]), 10000, facts(#{own => ?A}), Distributed),
    ?assertEqual([<<"d@x">>, <<"o@x">>], connects(Next)).

%% The names of other nodes contain this node's basename.
names_made_of_no_name_are_nobodys_test() ->
    Alone = not_distributed(<<"nonode@nohost">>),
    Own = {<<"q">>, own},
    {_, New} = caravan_topology_core:new(options(#{queries => [Own, {<<"r">>, [<<"a">>]}]}), [], [], 0, Alone),
    Answers = {polled, [{Own, answer([<<"nonode@x">>])}, {{<<"r">>, [<<"a">>]}, answer([?B])}], 0},
    {_, State} = step(Answers, 1, Alone, New),
    ?assertEqual([?B, <<"nonode@x">>], wanted(State)),
    {Actions, Named} = step({nodeup, ?C}, 2, facts(#{own => ?A}), State),
    ?assertEqual({[?B], [?B], 2}, {connects(Actions), wanted(Named), wake_at(Named)}),
    {Looking, Waiting} = step(wake, 2, facts(#{own => ?A}), Named),
    ?assert(lists:member(poll, Looking)),
    %% A distribution that is started again does not give the node its first name.
    {_, Stopped} = step({polled, [{Own, answer([<<"a@y">>])}, {{<<"r">>, [<<"a">>]}, answer([?B])}], 0}, 3, Alone, Waiting),
    {_, Again} = step(refresh, 4, facts(#{own => ?A}), Stopped),
    ?assertEqual([<<"a@y">>, ?B], wanted(Again)).

%% A time in the past would wake the topology repeatedly.
a_first_name_during_a_poll_is_looked_for_after_it_test() ->
    Own = {<<"q">>, own},
    {_, Polling} = caravan_topology_core:new(
        options(#{queries => [Own]}), [], [], 0, not_distributed(<<"nonode@nohost">>)
    ),
    {_, Named} = step(refresh, 1, facts(#{own => ?A}), Polling),
    ?assertEqual(none, wake_at(Named)),
    {_, Answered} = step({polled, [{Own, answer([?B], #{ttl => 300})}], 0}, 2, facts(#{own => ?A}), Named),
    ?assert(wake_at(Answered) =< 2 + ?INTERVAL).

a_node_that_is_distributed_no_more_is_told_of_once_test() ->
    State = listing([?A], #{}),
    {Actions, Alone} = step(poll, 1, facts(#{can_connect => false}), State),
    ?assertEqual([not_distributed], reports(Actions)),
    {_, Answered} = step(answered([?A]), 2, facts(#{can_connect => false}), Alone),
    ?assertEqual([], reports(element(1, step(poll, 3, facts(#{can_connect => false}), Answered)))),
    ?assertEqual([distributed], reports(element(1, step(poll, 3, Answered)))).

fixed_nodes_are_looked_after_until_the_node_is_distributed_test() ->
    Alone = not_distributed(<<"nonode@nohost">>),
    {_, State} = caravan_topology_core:new(options(#{queries => [], nodes => [?A]}), [], [], 0, Alone),
    ?assertEqual(?INTERVAL, wake_at(State)),
    {_, Still} = step(wake, ?INTERVAL, Alone, State),
    ?assertEqual(2 * ?INTERVAL, wake_at(Still)),
    {Actions, Distributed} = step(wake, 2 * ?INTERVAL, facts(), Still),
    ?assertEqual({[distributed], [?A]}, {reports(Actions), connects(Actions)}),
    %% That no node is connected is logged after a minute.
    ?assertEqual(2 * ?INTERVAL + 60000, wake_at(Distributed)).

the_own_name_of_now_is_not_wanted_of_an_equal_answer_test() ->
    Alone = not_distributed(<<"nonode@nohost">>),
    {_, New} = caravan_topology_core:new(options(#{}), [], [], 0, Alone),
    {_, State} = step(answered([?A, ?B]), 1, Alone, New),
    Own = facts(#{own => ?A}),
    {Actions, Looking} = step(wake, wake_at(State), Own, State),
    ?assertEqual([?B], connects(Actions)),
    {_, Last} = step(answered([?A, ?B]), 10000, Own, Looking),
    ?assertEqual([?B], wanted(Last)),
    ?assertMatch(#{self_listed := true}, caravan_topology_core:status(10000, Last)).

%% As by a poll before the distribution starts, and by one while it restarts.
who_was_looked_up_without_a_name_is_not_wanted_and_looked_up_again_test() ->
    Alone = not_distributed(<<"nonode@nohost">>),
    {_, New} = caravan_topology_core:new(options(#{}), [], [], 0, Alone),
    lists:foldl(
        fun(At, State) ->
            {_, Unnamed} = step(answered([?A, ?B]), At, Alone, State),
            {_, Named} = step({nodeup, ?A}, At + 1, facts(#{own => ?A}), Unnamed),
            ?assertMatch(#{wanted := [?B], connected := [], next_poll := 0}, caravan_topology_core:status(At + 1, Named)),
            {Looking, Polling} = step(wake, At + 1, facts(#{own => ?A}), Named),
            ?assert(lists:member(poll, Looking)),
            Polling
        end,
        New,
        [1, 1000]
    ).

fixed_nodes_are_looked_after_when_the_node_is_distributed_no_more_test() ->
    New = started(#{queries => [], nodes => [?A]}),
    State = next(wake, 500, all([{nodeup, ?A}, {attempted, ?A, connected, 0}], 0, New)),
    {_, Alone} = step({nodedown, ?A, connection_closed}, 60000, not_distributed(<<"nonode@nohost">>), State),
    ?assertNotEqual(none, wake_at(Alone)),
    ?assertEqual([?A], connects(element(1, step(wake, wake_at(Alone), Alone)))).

%% A user's list_nodes function

nobody_is_tried_before_it_is_known_who_is_connected_test() ->
    {Actions, State} = new(function(#{}), [], [?A]),
    ?assert(lists:member(list_nodes, Actions)),
    {Answered, Settling} = step(answered([?A, ?B]), 0, State),
    ?assertEqual([], connects(Answered)),
    {Listed, Known} = step({listed, [?A]}, 1, Settling),
    ?assertEqual({[?B], [{up, ?A}]}, {connects(Listed), told(Listed)}),
    ?assertEqual([?A], members(Known)).

the_list_says_who_came_and_who_went_test() ->
    State = next({listed, [?A]}, 1, listing([?A, ?B], function(#{}))),
    {Actions, Next} = step({listed, [?B]}, 60000, State),
    ?assertEqual([{down, ?A}, {up, ?B}], told(Actions)),
    ?assertEqual([?B], members(Next)),
    ?assertMatch([{down, ?A, connection_closed, 0}, {up, ?B, 1}], reports(Actions)).

what_otp_says_is_a_reason_to_ask_test() ->
    State = next({listed, [?A]}, 1, next({listed, []}, 1, listing([?A], function(#{})))),
    [
        begin
            {Actions, Next} = step(Event, 60000, State),
            ?assertEqual({Event, true}, {Event, lists:member(list_nodes, Actions)}),
            %% A node that was lost is known to be lost.
            ?assertEqual({Event, Members}, {Event, members(Next)})
        end
     || {Event, Members} <- [{{nodeup, ?B}, [?A]}, {{nodedown, ?A, connection_closed}, []}, {refresh, [?A]}]
    ],
    ?assertMatch({[], _}, step(refresh, 60000, connected([?A], #{}))).

a_poll_ends_with_a_list_test() ->
    Prune = function(#{prune => true, prune_max_fraction => 1}),
    First = all([{listed, [?A]}, {listed, [?A]}], 0, listing([?A], Prune)),
    Absent = all([{listed, [?A]}], 5000, looked(answered([?B]), 5000, First)),
    {Actions, Settling} = look(answered([?B]), 6000, Absent),
    ?assertEqual({true, []}, {lists:member(list_nodes, Actions), disconnects(Actions)}),
    ?assertEqual([?A], disconnects(element(1, step({listed, [?A]}, 6000, Settling)))),
    %% The node was lost without the disconnect.
    ?assertEqual([], disconnects(element(1, step({listed, []}, 6000, Settling)))).

a_node_that_the_list_never_has_is_told_of_once_test() ->
    {Actions, State} = step({attempted, ?A, connected, 0}, 1, idle_function([?A])),
    ?assert(lists:member(list_nodes, Actions)),
    ?assertEqual([{attempt, {connected, ?A}, 0}], reports(Actions)),
    ?assertMatch(#{?A := #{reason := not_listed}}, status(failing, 1, State)),
    {Told, Once} = step({listed, []}, 2, State),
    ?assertEqual([{attempt, {failed, ?A, not_listed, new}, 0}], reports(Told)),
    Again = next({attempted, ?A, connected, 0}, 2001, next(wake, 2000, Once)),
    {Silent, _} = step({listed, []}, 2002, Again),
    ?assertEqual([], reports(Silent)),
    %% It is reported again once it has been seen.
    Seen = all([{listed, [?A]}, {nodedown, ?A, net_tick_timeout}, {listed, []}, {attempted, ?A, connected, 0}], 3000, Again),
    ?assertEqual([{attempt, {failed, ?A, not_listed, new}, 0}], reports(element(1, step({listed, []}, 3001, Seen)))).

a_node_that_the_list_has_is_not_told_of_test() ->
    {_, State} = step({attempted, ?A, connected, 0}, 1, idle_function([?A])),
    {Actions, _} = step({listed, [?A]}, 2, State),
    ?assertEqual([{up, ?A, 1}], reports(Actions)).

%% The list may have been made before the node connected.
a_list_that_was_on_its_way_says_nothing_of_a_connection_test() ->
    Asked = next(refresh, 1, idle_function([?A])),
    State = next({attempted, ?A, connected, 0}, 2, Asked),
    {Early, Next} = step({listed, []}, 3, State),
    ?assertEqual([], reports(Early)),
    {Late, _} = step({listed, []}, 4, Next),
    ?assertEqual([{attempt, {failed, ?A, not_listed, new}, 0}], reports(Late)).

otp_is_asked_who_is_connected_once_it_is_to_say_so_test() ->
    State = next({listed, [?A]}, 1, listing([?A], function(#{}))),
    {Actions, _} = step({change, options(#{})}, 2, State),
    ?assert(lists:member(list_nodes, Actions)).

%% Pruning

a_node_that_is_listed_no_more_is_disconnected_at_its_time_test() ->
    {Early, _} = look(answered([?B]), 5999, absent(#{})),
    ?assertEqual([], disconnects(Early)),
    {Actions, State} = look(answered([?B]), 6000, absent(#{})),
    ?assertEqual([{disconnect, ?A, 1000}], [Action || {disconnect, _, _} = Action <- Actions]),
    ?assertMatch(#{pruned := 1, suppressions := 0}, caravan_topology_core:status(6000, State)),
    Gone = all([{disconnected, ?A, ok}, {nodedown, ?A, connection_closed}], 6001, State),
    ?assertEqual([], disconnects(element(1, look(answered([?B]), 8000, Gone)))),
    ?assertEqual({[?B], 1}, {members(Gone), status(pruned, 8000, Gone)}).

one_that_could_not_be_disconnected_is_due_again_test() ->
    {_, Due} = look(answered([?B]), 6000, absent(#{})),
    Failed = next({disconnected, ?A, failed}, 6001, Due),
    ?assertMatch(#{pruned := 0, absent := #{?A := 1001}}, caravan_topology_core:status(6001, Failed)),
    {Actions, Again} = look(answered([?B]), 6002, Failed),
    ?assertEqual([{disconnect, ?A, 1002}], [Action || {disconnect, _, _} = Action <- Actions]),
    ?assertEqual(1, status(pruned, 6002, Again)).

one_that_could_not_be_disconnected_and_went_is_not_due_test() ->
    {_, Due} = look(answered([?B]), 6000, absent(#{})),
    Gone = all([{nodedown, ?A, connection_closed}, {disconnected, ?A, failed}], 6001, Due),
    ?assertMatch(#{pruned := 0, absent := Absent} when Absent =:= #{}, caravan_topology_core:status(6001, Gone)),
    ?assertEqual([], disconnects(element(1, look(answered([?B]), 9000, Gone)))),
    %% Its time starts again when it comes back.
    ?assertEqual([], disconnects(element(1, look(answered([?B]), 6600, next({nodeup, ?A}, 6500, Gone))))).

%% The disconnect function ends between the answer that lists the node and the list of connected nodes that pruning uses.
one_that_could_not_be_disconnected_and_is_listed_again_stays_test() ->
    Up = all([{listed, [?A, ?B]}, {listed, [?A, ?B]}], 0, listing([?A, ?B], function(pruning(#{})))),
    Absent = next({listed, [?A, ?B]}, 5000, looked(answered([?B]), 5000, Up)),
    {Due, Pruned} = step({listed, [?A, ?B]}, 6000, looked(answered([?B]), 6000, Absent)),
    ?assertEqual([?A], disconnects(Due)),
    Listed = next({disconnected, ?A, failed}, 7001, looked(answered([?A, ?B]), 7000, Pruned)),
    ?assertEqual([], disconnects(element(1, step({listed, [?A, ?B]}, 7002, Listed)))).

the_time_of_one_that_was_gone_at_a_look_begins_anew_test() ->
    Gone = looked(answered([?B]), 5500, next({nodedown, ?A, net_tick_timeout}, 5100, absent(#{}))),
    Back = next({nodeup, ?A}, 5800, Gone),
    {Actions, State} = look(answered([?B]), 6000, Back),
    ?assertEqual({[], #{?A => 0}}, {disconnects(Actions), status(absent, 6000, State)}),
    ?assertEqual([?A], disconnects(element(1, look(answered([?B]), 7000, State)))).

no_doubtful_answer_disconnects_anybody_test() ->
    [
        begin
            {Actions, State} = look(polled(Outcome), 7000, absent(#{})),
            ?assertEqual([], disconnects(Actions)),
            ?assertEqual(#{?A => Why}, status(suppressed, 7000, State))
        end
     || {Outcome, Why} <- [
            {{error, timeout}, failed}, {{error, nxdomain}, empty}, {answer([?B], #{complete => false}), incomplete}
        ]
    ].

the_least_sure_query_says_what_may_go_test() ->
    Known = next(both(answer([?A, ?B]), answer([])), 0, started(pruning(several()))),
    Connected = all([{nodeup, ?A}, {nodeup, ?B}], 0, Known),
    Absent = looked(both(answer([?B]), answer([])), 5000, Connected),
    [
        begin
            {Actions, State} = look(Both, 6000, Absent),
            ?assertEqual({Why, []}, {Why, disconnects(Actions)}),
            ?assertEqual(#{?A => Why}, status(suppressed, 6000, State))
        end
     || {Both, Why} <- [
            {both(answer([?B]), {error, timeout}), failed},
            {both(answer([?B]), {error, nxdomain}), empty},
            {both(answer([?B]), answer([], #{complete => false})), incomplete},
            {both({error, nxdomain}, {error, timeout}), failed},
            {both({error, nxdomain}, answer([], #{complete => false})), empty}
        ]
    ],
    ?assertEqual([?A], disconnects(element(1, look(both(answer([?B]), answer([])), 6000, Absent)))).

what_another_topology_lists_stays_test() ->
    {_, Looking} = step(poll, 6000, absent(#{})),
    {Actions, State} = step(answered([?B]), 6000, facts(#{elsewhere => [?A]}), Looking),
    ?assertEqual({[], #{?A => listed_elsewhere}}, {disconnects(Actions), status(suppressed, 6000, State)}).

%% It was never connected while it was listed.
the_time_of_one_that_comes_late_begins_when_it_is_seen_test() ->
    State = looked(answered([?A]), 5000, connected([?A], pruning(#{prune_max_fraction => 1}))),
    Unlisted = looked(answered([?A]), 6000, looked(answered([?A, ?B]), 5000, State)),
    ?assertEqual([], told(element(1, step({nodeup, ?B}, 7000, Unlisted)))),
    {Actions, Late} = step({nodeup, ?B}, 6999, looked(answered([?A]), 6500, Unlisted)),
    ?assertEqual([{up, ?B}], told(Actions)),
    {Early, Seen} = look(answered([?A]), 7000, Late),
    ?assertEqual({[], #{?B => 0}}, {disconnects(Early), status(absent, 7000, Seen)}),
    ?assertEqual([?B], disconnects(element(1, look(answered([?A]), 8000, Seen)))).

a_node_that_is_no_member_is_not_disconnected_test() ->
    State = next({nodeup, ?C}, 0, connected([?A, ?B], pruning(#{}))),
    Later = looked(answered([?A, ?B]), 9000, looked(answered([?A, ?B]), 5000, State)),
    ?assertEqual([], disconnects(element(1, look(answered([?A, ?B]), 20000, Later)))).
