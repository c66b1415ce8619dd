%% The rules of the model one by one: how attempts and connections end, when, and who is told what.
-module(caravan_sim_network_rules_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_sim_network_run, [new/2, input/3, until/2, quiet/1, noticed/1, mesh/2]).

-define(PAIR, [<<"a">>, <<"b">>]).
-define(FOUR, [<<"a">>, <<"b">>, <<"c">>, <<"d">>]).
%% Pairs alone, so that nobody but the two has a part in it.
-define(LOOSE, #{connect_all => false}).

pair() -> quiet(input(connect, [<<"a">>, <<"b">>], new(?PAIR, ?LOOSE))).

fault(A, B, Fault, Run) -> input(fault, [A, B, Fault], Run).

cut(A, B, Run) -> fault(B, A, drop, fault(A, B, drop, Run)).

heal(A, B, Run) -> fault(B, A, none, fault(A, B, none, Run)).

peers(Name, Run) -> caravan_sim_network:nodes(Name, caravan_sim_network_run:net(Run)).

connections(Run) -> caravan_sim_network:connections(caravan_sim_network_run:net(Run)).

attempts(Run) -> [{Time, Result} || {Time, _, {attempt, _, Result}} <- noticed(Run)].

downs(Run) -> [{Node, Peer, Reason} || {_, Node, {nodedown, Peer, Reason}} <- noticed(Run)].

down_at(Node, Run) -> [Time || {Time, Name, {nodedown, _, _}} <- noticed(Run), Name =:= Node].

an_attempt_ends_as_its_fault_says_test_() ->
    [
        {atom_to_list(Fault), fun() ->
            Run = quiet(input(connect, [<<"a">>, <<"b">>], fault(<<"a">>, <<"b">>, Fault, new(?PAIR, ?LOOSE)))),
            ?assertMatch([{_, Result}], attempts(Run))
        end}
     || {Fault, Result} <- [
            {none, connected},
            {refuse, {failed, {unreachable, econnrefused}}},
            {reject, {failed, handshake}},
            {hang, {failed, timeout}},
            {drop, {failed, timeout}}
        ]
    ].

what_hangs_ends_with_the_timer_of_the_setup_test() ->
    [
        ?assertMatch([{7000, _}], attempts(quiet(input(connect, [<<"a">>, <<"b">>], fault(<<"a">>, <<"b">>, Fault, new(?PAIR, ?LOOSE))))))
     || Fault <- [hang, drop]
    ].

nobody_listens_where_nobody_has_started_and_where_one_has_stopped_test() ->
    Never = input(connect, [<<"a">>, <<"x">>], new(?PAIR, ?LOOSE)),
    Stopped = input(connect, [<<"a">>, <<"b">>], input(stop, [<<"b">>, shutdown], new(?PAIR, ?LOOSE))),
    [?assertMatch([{_, {failed, {unreachable, econnrefused}}}], attempts(quiet(Run))) || Run <- [Never, Stopped]].

a_machine_that_has_vanished_refuses_nobody_test() ->
    Run = quiet(input(connect, [<<"a">>, <<"b">>], input(stop, [<<"b">>, vanish], new(?PAIR, ?LOOSE)))),
    ?assertMatch([{7000, {failed, timeout}}], attempts(Run)).

an_attempt_to_a_paused_node_goes_on_with_it_test() ->
    Hanging = until(3000, input(connect, [<<"a">>, <<"b">>], input(pause, [<<"b">>], new(?PAIR, ?LOOSE)))),
    ?assertEqual([], attempts(Hanging)),
    ?assertMatch([{_, connected}], attempts(quiet(input(resume, [<<"b">>], Hanging)))),
    ?assertMatch([{7000, {failed, timeout}}], attempts(until(8000, Hanging))).

two_attempts_at_once_make_one_connection_test() ->
    Run = quiet(input(connect, [<<"b">>, <<"a">>], input(connect, [<<"a">>, <<"b">>], new(?PAIR, ?LOOSE)))),
    ?assertMatch([{_, connected}, {_, connected}], attempts(Run)),
    ?assertEqual(1, connections(Run)),
    ?assertEqual(2, length([up || {_, _, {nodeup, _}} <- noticed(Run)])).

who_disconnects_and_who_is_told_test() ->
    Run = quiet(input(disconnect, [<<"a">>, <<"b">>], pair())),
    ?assertEqual([{<<"a">>, <<"b">>, disconnect}, {<<"b">>, <<"a">>, connection_closed}], downs(Run)).

silence_ends_a_connection_after_the_tick_time_test() ->
    Run = quiet(input(stop, [<<"b">>, vanish], pair())),
    ?assertEqual([{<<"a">>, <<"b">>, net_tick_timeout}], downs(Run)),
    [?assert(Time > 60000 andalso Time =< 75100) || Time <- down_at(<<"a">>, Run)].

%% b hears nothing; its closing reaches a.
a_cut_one_way_is_found_by_who_hears_nothing_test() ->
    Run = quiet(fault(<<"a">>, <<"b">>, drop, pair())),
    ?assertEqual([{<<"b">>, <<"a">>, net_tick_timeout}, {<<"a">>, <<"b">>, connection_closed}], downs(Run)).

a_cut_both_ways_is_found_by_both_test() ->
    Run = quiet(cut(<<"a">>, <<"b">>, pair())),
    ?assertEqual(
        [{<<"a">>, <<"b">>, net_tick_timeout}, {<<"b">>, <<"a">>, net_tick_timeout}], lists:sort(downs(Run))
    ).

a_cut_that_heals_in_time_costs_nothing_test() ->
    Cut = until(50000, cut(<<"a">>, <<"b">>, pair())),
    ?assertEqual([], downs(quiet(heal(<<"a">>, <<"b">>, Cut)))).

each_silence_counts_anew_test() ->
    Healed = until(55000, heal(<<"a">>, <<"b">>, until(50000, cut(<<"a">>, <<"b">>, pair())))),
    Again = cut(<<"a">>, <<"b">>, Healed),
    ?assertEqual([], downs(until(110000, Again))),
    ?assertEqual(2, length(downs(quiet(Again)))).

%% TCP sends it again.
a_closing_that_was_lost_comes_when_the_cut_heals_test() ->
    Closed = until(1000, input(disconnect, [<<"a">>, <<"b">>], cut(<<"a">>, <<"b">>, pair()))),
    ?assertEqual([<<"a">>], peers(<<"b">>, Closed)),
    Healed = heal(<<"a">>, <<"b">>, Closed),
    ?assertEqual([], peers(<<"b">>, until(1010, Healed))),
    ?assertEqual([{<<"a">>, <<"b">>, disconnect}, {<<"b">>, <<"a">>, connection_closed}], downs(quiet(Healed))).

a_node_that_goes_on_sees_what_it_has_missed_test() ->
    Lost = until(100000, input(pause, [<<"b">>], pair())),
    ?assertEqual([{<<"a">>, <<"b">>, net_tick_timeout}], downs(Lost)),
    Resumed = until(100010, input(resume, [<<"b">>], Lost)),
    ?assertEqual([{<<"a">>, <<"b">>, net_tick_timeout}, {<<"b">>, <<"a">>, connection_closed}], downs(Resumed)).

%% Neither has counted while it was paused.
two_that_were_paused_together_stay_connected_test() ->
    Both = until(200000, input(pause, [<<"b">>], input(pause, [<<"a">>], pair()))),
    ?assertEqual([], downs(quiet(input(resume, [<<"b">>], input(resume, [<<"a">>], Both))))).

%% The new one knows nothing of the connection, and resets it.
a_machine_that_is_back_is_no_longer_the_one_that_vanished_test() ->
    Back = quiet(input(boot, [<<"b">>], until(1000, input(stop, [<<"b">>, vanish], pair())))),
    ?assertEqual([{<<"a">>, <<"b">>, connection_closed}], downs(Back)),
    [?assert(Time < 20000) || Time <- down_at(<<"a">>, Back)].

who_connects_to_one_that_believes_in_a_former_connection_test() ->
    Back = input(connect, [<<"b">>, <<"a">>], input(boot, [<<"b">>], until(1000, input(stop, [<<"b">>, vanish], pair())))),
    Run = quiet(Back),
    ?assertEqual([<<"b">>], peers(<<"a">>, Run)),
    ?assertEqual([{<<"a">>, <<"b">>, connection_closed}], downs(Run)).

%% With prevent_overlapping_partitions one side that is cut from the other is whole, and so is the other.
halves_that_are_cut_are_whole_test() ->
    Names = [<<"n", (integer_to_binary(Number))/binary>> || Number <- lists:seq(10, 49)],
    {Left, Right} = lists:split(20, Names),
    Cut = lists:foldl(fun({A, B}, Next) -> cut(A, B, Next) end, mesh(Names, #{}), [{A, B} || A <- Left, B <- Right]),
    Run = quiet(Cut),
    [?assertEqual(lists:delete(Name, Side), peers(Name, Run)) || Side <- [Left, Right], Name <- Side],
    %% A node is lost once for each that lost it.
    ?assertEqual(2 * 20 * 20, length(downs(Run))).

%% It stays with the two: nobody else hears of it.
a_pair_that_parts_is_nobodys_without_prevention_test() ->
    Run = quiet(input(disconnect, [<<"a">>, <<"b">>], mesh(?FOUR, #{prevent_overlapping => false}))),
    ?assertEqual([{<<"a">>, <<"b">>, disconnect}, {<<"b">>, <<"a">>, connection_closed}], downs(Run)).

%% c and d ask b to close, so that they see the closing; a may have been let go as well.
who_is_let_go_and_by_whom_test() ->
    Run = quiet(input(disconnect, [<<"a">>, <<"b">>], mesh(?FOUR, #{}))),
    ?assertEqual([], peers(<<"b">>, Run)),
    ?assert(lists:member(<<"d">>, peers(<<"c">>, Run))),
    ?assertEqual([], [{<<"a">>, <<"b">>, disconnect}, {<<"b">>, <<"a">>, connection_closed}] -- downs(Run)),
    [
        ?assertEqual(
            [{<<"b">>, Stays, disconnect}, {Stays, <<"b">>, connection_closed}],
            [Down || Down <- lists:sort(downs(Run)), lists:sort([<<"b">>, Stays]) =:= lists:sort([element(1, Down), element(2, Down)])]
        )
     || Stays <- [<<"c">>, <<"d">>]
    ].

%% While one is paused the lock cannot be had, and nobody comes to know of others by a third one.
nobody_is_joined_while_a_node_does_not_answer_test() ->
    Meet = fun(Name, Run) -> quiet(input(connect, [Name, <<"a">>], Run)) end,
    Paused = input(pause, [<<"a">>], lists:foldl(Meet, new(?FOUR, #{}), [<<"b">>, <<"d">>])),
    Now = caravan_sim_network_run:now(Paused),
    Joined = until(Now + 20000, input(connect, [<<"c">>, <<"b">>], Paused)),
    ?assertEqual([<<"b">>], peers(<<"c">>, Joined)),
    Resumed = until(Now + 30000, input(resume, [<<"a">>], Joined)),
    ?assertEqual([<<"a">>, <<"b">>, <<"d">>], peers(<<"c">>, Resumed)).

a_mesh_of_a_hundred_forms_test() ->
    Names = [integer_to_binary(Number) || Number <- lists:seq(100, 199)],
    Run = mesh(Names, #{}),
    ?assertEqual(100 * 99 div 2, connections(Run)),
    ?assertEqual([], downs(Run)).

many_that_stop_take_nobody_along_test() ->
    Names = [integer_to_binary(Number) || Number <- lists:seq(100, 199)],
    {Stopping, Staying} = lists:split(30, Names),
    Run = quiet(lists:foldl(fun(Name, Next) -> input(stop, [Name, shutdown], Next) end, mesh(Names, #{}), Stopping)),
    [?assertEqual(lists:delete(Name, Staying), peers(Name, Run)) || Name <- Staying].

one_seed_has_one_course_test() ->
    Course = fun(Seed) ->
        Run = caravan_sim_network_run:new(?FOUR, #{}, Seed),
        noticed(quiet(lists:foldl(fun(Name, Next) -> input(connect, [Name, <<"a">>], Next) end, Run, tl(?FOUR))))
    end,
    ?assertEqual(Course(7), Course(7)),
    ?assertNotEqual(Course(7), Course(8)).
