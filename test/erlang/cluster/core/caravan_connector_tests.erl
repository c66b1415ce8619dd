-module(caravan_connector_tests).

-include_lib("eunit/include/eunit.hrl").

-define(A, <<"a@x">>).
-define(B, <<"b@x">>).
-define(C, <<"c@x">>).

-define(RANDOM, 7).

new(Overrides) -> new(<<"own@x">>, Overrides).

new(Own, Overrides) ->
    caravan_connector:new(Own, options(Overrides)).

options(Overrides) ->
    maps:merge(#{max_connecting => 2, max_nodes => 1000}, Overrides).

%% These nodes are missing.
missing(Names, State) ->
    lists:foldl(fun caravan_connector:offer/2, State, Names).

start(Now, State) ->
    caravan_connector:start(Now, State).

ended(Name, Result, Now, State) ->
    caravan_connector:ended(Name, Result, Now, ?RANDOM, State).

%% The node is tried at this time, and the attempt fails at once.
fail(Name, Reason, Now, State) ->
    {[Name], Started} = start(Now, State),
    {{failed, Name, Reason, Novelty}, Failed} = ended(Name, {failed, Reason}, Now, Started),
    {Novelty, Failed}.

%% The calls of the core for a node that is connected, and for one that was lost.
up(Name, Now, State) ->
    caravan_connector:withdraw(Name, caravan_connector:up(Name, Now, State)).

down(Name, Now, State) ->
    down(Name, connection_closed, Now, State).

down(Name, Reason, Now, State) ->
    {Flaps, Lost} = caravan_connector:down(Name, Reason, Now, ?RANDOM, State),
    {Flaps, caravan_connector:offer(Name, Lost)}.

attempts_are_limited_test() ->
    {[?A, ?B], State} = start(0, missing([?A, ?B, ?C], new(<<"A@x">>, #{}))),
    ?assertEqual([?A, ?B], caravan_connector:connecting(State)),
    ?assertMatch({[], _}, start(0, State)),
    {{failed, ?A, no, new}, Next} = ended(?A, {failed, no}, 0, State),
    {[?C], Full} = start(0, Next),
    ?assertEqual([?B, ?C], caravan_connector:connecting(Full)).

another_limit_holds_from_now_on_test() ->
    {[_, _], State} = start(0, missing([?A, ?B, ?C], new(#{}))),
    ?assertMatch({[], _}, start(0, caravan_connector:change(options(#{max_connecting => 1}), State))),
    ?assertMatch({[_], _}, start(0, caravan_connector:change(options(#{max_connecting => 3}), State))).

a_node_is_tried_once_however_often_it_is_offered_test() ->
    {[?A], State} = start(0, missing([?A, ?A], new(#{}))),
    ?assertMatch({[], _}, start(0, missing([?A], State))).

a_node_that_is_not_to_be_tried_is_not_test() ->
    State = caravan_connector:withdraw(?A, missing([?A, ?B], new(#{}))),
    ?assertMatch({[?B], _}, start(0, caravan_connector:withdraw(?C, State))).

%% A running attempt prevents a second one, and its failure counts.
a_node_that_is_withdrawn_and_comes_back_waits_for_its_attempt_test() ->
    {[?A], State} = start(0, missing([?A], new(#{}))),
    Withdrawn = caravan_connector:withdraw(?A, State),
    ?assertEqual([?A], caravan_connector:connecting(Withdrawn)),
    {[], Back} = start(0, missing([?A], Withdrawn)),
    {_, Failed} = ended(?A, {failed, no}, 0, Back),
    ?assertMatch({[], _}, start(0, Failed)),
    ?assertMatch({[?A], _}, start(1000, Failed)),
    {_, Gone} = ended(?A, {failed, no}, 0, Withdrawn),
    ?assertMatch({[], _}, start(1000, Gone)).

a_node_that_is_connected_is_an_event_and_left_alone_until_it_is_seen_test() ->
    {[?A], Started} = start(0, missing([?A], new(#{}))),
    {{connected, ?A}, State} = ended(?A, connected, 0, Started),
    ?assertMatch(#{?A := #{reason := not_listed}}, caravan_connector:failing(0, State)),
    ?assertMatch({[], _}, start(0, State)),
    ?assertMatch({[?A], _}, start(1000, State)),
    ?assertEqual(#{}, caravan_connector:failing(0, up(?A, 0, State))).

a_node_that_was_seen_before_the_attempt_ended_has_not_failed_test() ->
    {[?A], Started} = start(0, missing([?A], new(#{}))),
    {{connected, ?A}, State} = ended(?A, connected, 1, up(?A, 1, Started)),
    {[], Lost} = down(?A, 60001, State),
    ?assertEqual(#{}, caravan_connector:failing(60001, Lost)),
    ?assertMatch({[?A], _}, start(60001, Lost)).

a_node_that_failed_is_left_alone_for_a_while_test() ->
    {new, State} = fail(?A, {result, false}, 0, missing([?A], new(#{}))),
    ?assertMatch(#{?A := #{count := 1, reason := {result, false}}}, caravan_connector:failing(0, State)),
    ?assertMatch({[], _}, start(0, State)),
    {[], Lost} = down(?A, 60000, up(?A, 0, State)),
    ?assertEqual(#{}, caravan_connector:failing(60000, Lost)),
    ?assertMatch({[?A], _}, start(60000, Lost)).

a_node_that_fails_again_is_left_alone_longer_test() ->
    lists:foldl(
        fun(Longest, {Now, State}) ->
            {_, Failed} = fail(?A, no, Now, State),
            Due = caravan_connector:next_start(Failed),
            ?assert(Due - Now >= Longest * 3 div 4 andalso Due - Now =< Longest),
            ?assertMatch({[], _}, start(Due - 1, Failed)),
            {Due, Failed}
        end,
        {0, missing([?A], new(#{}))},
        [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]
    ).

%% Nodes that failed at the same time are not tried at the same time.
the_time_until_the_next_attempt_is_of_the_node_and_of_chance_test() ->
    RetryIn = fun(Name, Random) ->
        {[Name], Started} = start(0, missing([Name], new(#{}))),
        {_, Failed} = caravan_connector:ended(Name, {failed, no}, 0, Random, Started),
        caravan_connector:next_start(Failed)
    end,
    ?assert(length(lists:usort([RetryIn(<<C, "@x">>, 1) || C <- lists:seq($a, $z)])) > 10),
    ?assert(length(lists:usort([RetryIn(?A, Random) || Random <- lists:seq(1, 26)])) > 10),
    ?assertEqual(RetryIn(?A, 1), RetryIn(?A, 1)).

a_reason_is_new_once_test() ->
    {Novelties, {Now, State}} = lists:mapfoldl(
        fun(Reason, {Now, State}) ->
            {Novelty, Failed} = fail(?A, Reason, Now, State),
            {Novelty, {caravan_connector:next_start(Failed), Failed}}
        end,
        {0, missing([?A], new(#{}))},
        [no, other, no]
    ),
    ?assertEqual([new, new, known], Novelties),
    ?assertMatch(#{?A := #{count := 3, reason := no}}, caravan_connector:failing(Now, State)),
    {[], Lasted} = down(?A, Now + 60000, up(?A, Now, State)),
    ?assertMatch({new, _}, fail(?A, no, Now + 60000, Lasted)).

a_reason_is_known_still_after_a_connection_that_did_not_last_test() ->
    {new, State} = fail(?A, no, 0, missing([?A], new(#{}))),
    {[{?A, 1, LeftAlone}], Lost} = down(?A, 59999, up(?A, 0, State)),
    ?assertMatch({known, _}, fail(?A, no, 59999 + LeftAlone, Lost)).

%% Each time with a different pid.
a_reason_with_a_pid_in_it_is_new_once_test() ->
    Reason = fun() -> {raised, {error, {gone, [self(), make_ref()], #{on => self()}}}} end,
    {new, State} = fail(?A, Reason(), 0, missing([?A], new(#{}))),
    ?assertMatch({known, _}, fail(?A, Reason(), 1000, State)).

%% A user's function that fails in a different way each time does not make the state grow without bound.
the_kinds_of_reasons_that_are_remembered_are_limited_test() ->
    Fail = fun(Reason, {Now, State}) ->
        {Novelty, Failed} = fail(?A, Reason, Now, State),
        {Novelty, {caravan_connector:next_start(Failed), Failed}}
    end,
    First = {0, missing([?A], new(#{}))},
    {_, Sixteen} = lists:mapfoldl(Fail, First, lists:seq(1, 16)),
    ?assertMatch({known, _}, Fail(1, Sixteen)),
    {_, Seventeen} = lists:mapfoldl(Fail, First, lists:seq(1, 17)),
    ?assertMatch({new, _}, Fail(1, Seventeen)),
    ?assertMatch({known, _}, Fail(2, Seventeen)).

the_end_of_a_backoff_is_known_test() ->
    Missing = missing([?A], new(#{})),
    ?assertEqual(none, caravan_connector:next_start(new(#{}))),
    {_, State} = fail(?A, no, 0, Missing),
    First = caravan_connector:next_start(State),
    ?assert(First > 0 andalso First =< 1000),
    ?assertMatch(#{?A := #{retry_in := First}}, caravan_connector:failing(0, State)),
    ?assertMatch(#{?A := #{retry_in := 0}}, caravan_connector:failing(2000, State)),
    {[?B], Trying} = start(0, missing([?B], State)),
    ?assertEqual(First, caravan_connector:next_start(Trying)),
    ?assertEqual(none, caravan_connector:next_start(caravan_connector:withdraw(?A, State))).

no_retry_is_due_while_no_attempt_can_start_test() ->
    {_, State} = fail(?A, no, 0, missing([?A], new(#{}))),
    {[?B, ?C], Full} = start(0, missing([?B, ?C], State)),
    ?assertEqual(none, caravan_connector:next_start(Full)),
    ?assertMatch({[], _}, start(2000, Full)).

%% Both attempts begin before the first one ends.
a_node_that_does_not_answer_is_given_up_and_delays_nobody_test() ->
    {[?A, ?B], State} = start(0, missing([?A, ?B], new(#{}))),
    {{failed, ?A, timeout, new}, Next} = ended(?A, {failed, timeout}, 10000, State),
    {{failed, ?B, timeout, new}, Last} = ended(?B, {failed, timeout}, 10000, Next),
    ?assertEqual([], caravan_connector:connecting(Last)).

a_connection_that_was_lost_soon_is_a_failure_of_its_own_test() ->
    {Flaps, {At, State}} = lists:mapfoldl(
        fun(_, {At, State}) ->
            {[{?A, Count, LeftAlone}], Lost} = down(?A, At + 1000, up(?A, At, State)),
            ?assertMatch(
                #{?A := #{count := Count, reason := lost_soon, retry_in := LeftAlone}},
                caravan_connector:failing(At + 1000, Lost)
            ),
            ?assertEqual(At + 1000 + LeftAlone, caravan_connector:next_start(Lost)),
            ?assertMatch({[], _}, start(At + 999 + LeftAlone, Lost)),
            {{Count, LeftAlone}, {At + 1000 + LeftAlone, Lost}}
        end,
        {0, new(#{})},
        lists:seq(1, 6)
    ),
    [
        ?assert(LeftAlone >= Least andalso LeftAlone =< Least * 11 div 10)
     || {{_, LeftAlone}, Least} <- lists:zip(Flaps, [30000, 120000, 480000, 600000, 600000, 600000])
    ],
    ?assertEqual([1, 2, 3, 4, 5, 6], [Count || {Count, _} <- Flaps]),
    ?assertMatch({[?A], _}, start(At, State)).

%% It fails as well: the node waits for the longer of both times.
a_node_that_flaps_and_fails_waits_for_both_test() ->
    {[{?A, 1, LeftAlone}], Lost} = down(?A, 1000, up(?A, 0, new(#{}))),
    {_, Failed} = fail(?A, no, 1000 + LeftAlone, Lost),
    Retry = caravan_connector:next_start(Failed),
    ?assert(Retry > 1000 + LeftAlone),
    ?assertMatch(#{?A := #{count := 1, reason := no}}, caravan_connector:failing(1000 + LeftAlone, Failed)),
    {[{?A, 2, Longer}], Again} = down(?A, Retry + 1, up(?A, Retry, Failed)),
    ?assertEqual(Retry + 1 + Longer, caravan_connector:next_start(Again)).

a_connection_that_has_lasted_ends_that_test() ->
    First = up(?A, 0, new(#{})),
    {[], Steady} = down(?A, 60000, First),
    ?assertMatch({[?A], _}, start(60000, Steady)),
    {[{?A, 1, _}], Flapped} = down(?A, 59999, First),
    {[], Ended} = down(?A, 160000, up(?A, 100000, Flapped)),
    ?assertEqual(#{}, caravan_connector:failing(160000, Ended)),
    ?assertMatch({[{?A, 1, _}], _}, down(?A, 160002, up(?A, 160001, Ended))).

%% A link is down, or the node was stopped for a while.
a_connection_that_fell_silent_is_none_that_flaps_test() ->
    {Flaps, Lost} = down(?A, net_tick_timeout, 1000, up(?A, 0, new(#{}))),
    ?assertEqual({[], #{}}, {Flaps, caravan_connector:failing(1000, Lost)}),
    ?assertMatch({[?A], _}, start(1000, Lost)).

%% A repeated notice changes nothing: the connection counts from its beginning and is lost once.
a_node_is_up_once_test() ->
    {[], Lost} = down(?A, 60000, up(?A, 59000, up(?A, 0, new(#{})))),
    ?assertMatch({[], Lost}, down(?A, 60001, Lost)).

%% `b' has been connected for long when `a' connects. A node that is lost now may be let go by `global' because of `a'.
after_a_newcomer() ->
    up(?A, 0, up(?B, -100000, new(#{}))).

who_is_lost_after_a_newcomer_has_not_lasted_test() ->
    {[{?B, 1, LeftAlone}], Lost} = down(?B, 59999, after_a_newcomer()),
    ?assertEqual(59999 + LeftAlone, caravan_connector:next_start(Lost)),
    ?assertMatch({[], _}, start(59999, Lost)),
    ?assertMatch({[?B], _}, start(59999 + LeftAlone, Lost)).

%% The node whose connection did not last is the cause. The others are tried when the reaction of `global' is over.
who_was_lost_for_a_newcomer_is_tried_when_that_is_gone_test() ->
    {[{?B, 1, _}], Lost} = down(?B, 5000, after_a_newcomer()),
    {[{?A, 1, _}], Gone} = down(?A, 10000, Lost),
    At = caravan_connector:next_start(Gone),
    ?assert(At > 11000 andalso At =< 12000),
    ?assertMatch({[], _}, start(At - 1, Gone)),
    ?assertMatch({[?B], _}, start(At, Gone)).

who_is_lost_a_moment_after_the_newcomer_is_no_less_innocent_test() ->
    {[{?A, 1, _}], Gone} = down(?A, 10000, after_a_newcomer()),
    {[], Lost} = down(?B, 10999, Gone),
    At = caravan_connector:next_start(Lost),
    ?assert(At > 11999 andalso At =< 12999),
    ?assertMatch({[?B], _}, start(At, Lost)),
    {[], Later} = down(?B, 11000, Gone),
    ?assertMatch({[?B], _}, start(11000, Later)).

%% It was lost because of a node that was connected before it.
another_newcomer_clears_nobody_of_what_was_before_it_test() ->
    {[{?B, 1, LeftAlone}], Lost} = down(?B, 5000, after_a_newcomer()),
    {[{?C, 1, _}], Gone} = down(?C, 7000, up(?C, 6000, Lost)),
    ?assertEqual(5000 + LeftAlone, caravan_connector:next_start(Gone)).

%% One of the two is tried now and then, no matter which.
who_is_lost_for_a_newcomer_takes_its_count_over_test() ->
    {[{?A, 1, LeftAlone}], Once} = down(?A, 1000, up(?A, 0, up(?B, -100000, new(#{})))),
    Back = 1000 + LeftAlone,
    ?assertMatch({[{?B, 2, _}], _}, down(?B, Back + 5000, up(?A, Back, Once))).

a_newcomer_of_a_minute_ago_is_none_test() ->
    {[], Lost} = down(?B, 60000, after_a_newcomer()),
    ?assertMatch({[?B], _}, start(60000, Lost)).

%% No third node is involved.
who_fell_silent_waits_for_nobody_test() ->
    {[], Lost} = down(?B, net_tick_timeout, 5000, after_a_newcomer()),
    ?assertMatch({[?B], _}, start(5000, Lost)).

%% The other nodes have let this node go.
who_was_let_go_has_not_lasted_test() ->
    ?assertMatch({[{?A, 1, _}], _}, down(?A, disconnect, 1000000, up(?A, 0, new(#{})))).

%% A broken pair is tried once in ten minutes, and the connection lasts until then.
connections_that_did_not_last_are_counted_for_twenty_minutes_after_their_wait_test() ->
    {[{?A, 1, LeftAlone}], Once} = down(?A, disconnect, 100000, up(?A, 0, new(#{}))),
    End = 100000 + LeftAlone,
    Twice = fun(At) -> down(?A, disconnect, At, up(?A, End, Once)) end,
    ?assertMatch({[{?A, 2, _}], _}, Twice(End + 1199999)),
    ?assertMatch({[{?A, 1, _}], _}, Twice(End + 1200000)).

an_operator_ends_it_too_test() ->
    {[{?A, 1, _}], Flapped} = down(?A, 1000, up(?A, 0, new(#{}))),
    ?assertMatch({[], _}, start(1000, Flapped)),
    ?assertMatch({[?A], _}, start(1000, caravan_connector:all_due(1000, Flapped))).

an_operator_ends_the_wait_after_failures_test() ->
    {_, Failed} = fail(?A, no, 0, missing([?A], new(#{}))),
    {[?B], Trying} = start(0, missing([?B], Failed)),
    Due = caravan_connector:all_due(0, Trying),
    ?assertEqual([?B], caravan_connector:connecting(Due)),
    {[?A], Again} = start(0, Due),
    {{failed, ?A, no, known}, Second} = ended(?A, {failed, no}, 0, Again),
    ?assertMatch(#{?A := #{count := 2}}, caravan_connector:failing(0, Second)).

%% No matter how many nodes do not answer: both names come after that of this node.
who_was_never_tried_has_its_turn_first_and_then_who_has_waited_longest_test() ->
    {_, First} = fail(<<"p@x">>, no, 0, missing([<<"p@x">>], new(#{max_connecting => 1}))),
    {[<<"z@x">>], Trying} = start(5000, missing([<<"z@x">>], First)),
    {_, Second} = ended(<<"z@x">>, {failed, no}, 5000, Trying),
    ?assertMatch({[<<"p@x">>], _}, start(10000, Second)).

%% Nodes that start at the same time do not all try the same node first.
the_first_turns_begin_behind_the_own_name_test() ->
    Names = [?A, ?B, ?C, <<"d@x">>],
    First = fun(State) -> element(1, start(0, missing(Names, State))) end,
    State = new(<<"bb@x">>, #{max_connecting => 4}),
    ?assertEqual([?C, <<"d@x">>, ?A, ?B], First(State)),
    ?assertEqual([<<"d@x">>, ?A, ?B, ?C], First(caravan_connector:rename(<<"cc@x">>, State))).

failures_of_nodes_that_are_not_wanted_count_for_ten_minutes_test() ->
    {new, Failed} = fail(?A, no, 0, missing([?A], new(#{}))),
    Due = caravan_connector:next_start(Failed),
    Withdrawn = caravan_connector:withdraw(?A, Failed),
    Kept = caravan_connector:keep(#{}, Due + 599999, Withdrawn),
    ?assertMatch({known, _}, fail(?A, no, Due + 599999, missing([?A], Kept))),
    Forgotten = caravan_connector:keep(#{}, Due + 600000, Withdrawn),
    ?assertMatch({new, _}, fail(?A, no, Due + 600000, missing([?A], Forgotten))),
    Wanted = caravan_connector:keep(#{?A => []}, Due + 600000, Failed),
    ?assertMatch({known, _}, fail(?A, no, Due + 600000, Wanted)).

flaps_of_nodes_that_are_not_wanted_count_for_ten_minutes_test() ->
    {[{?A, 1, LeftAlone}], Lost} = down(?A, 0, up(?A, 0, new(#{}))),
    Flap = fun(State) -> element(1, down(?A, LeftAlone + 600001, up(?A, LeftAlone + 600000, State))) end,
    Withdrawn = caravan_connector:withdraw(?A, Lost),
    ?assertMatch([{?A, 2, _}], Flap(caravan_connector:keep(#{}, LeftAlone + 599999, Withdrawn))),
    ?assertMatch([{?A, 1, _}], Flap(caravan_connector:keep(#{}, LeftAlone + 600000, Withdrawn))).

%% A hostile zone may list new names each time.
failures_of_more_nodes_than_max_nodes_count_until_the_next_attempt_test() ->
    Failed = lists:foldl(
        fun(Name, State) -> caravan_connector:withdraw(Name, element(2, fail(Name, no, 0, missing([Name], State)))) end,
        new(#{max_nodes => 2}),
        [?A, ?B, ?C]
    ),
    Failing = fun(Wanted) ->
        Kept = caravan_connector:keep(Wanted, 1000, Failed),
        maps:keys(caravan_connector:failing(1000, missing([?A, ?B, ?C], Kept)))
    end,
    ?assertEqual([?A, ?B, ?C], Failing(#{?A => []})),
    ?assertEqual([], Failing(#{})).

%% A connection that became silent still has lasted.
a_reason_is_new_after_a_connection_that_lasted_and_fell_silent_test() ->
    {new, State} = fail(?A, no, 0, missing([?A], new(#{}))),
    {[], Lost} = down(?A, net_tick_timeout, 60000, up(?A, 0, State)),
    ?assertMatch({new, _}, fail(?A, no, 60000, Lost)).

a_connection_that_has_lasted_and_fell_silent_ends_that_test() ->
    {[{?A, 1, _}], Flapped} = down(?A, 1000, up(?A, 0, new(#{}))),
    {[], Silent} = down(?A, net_tick_timeout, 160000, up(?A, 100000, Flapped)),
    ?assertEqual(#{}, caravan_connector:failing(160000, Silent)),
    ?assertMatch({[{?A, 1, _}], _}, down(?A, 160002, up(?A, 160001, Silent))).

%% Neither has lasted, and the node that was not the cause has been cleared a moment ago.
of_two_that_are_let_go_again_one_is_back_before_the_other_test() ->
    Both = fun(At, State) ->
        {[{?B, _, _}], Lost} = down(?B, At + 200, up(?A, At + 100, up(?B, At, State))),
        {[{?A, _, LeftAlone}], Gone} = down(?A, At + 300, Lost),
        {At + 300 + LeftAlone, Gone}
    end,
    {At, Once} = Both(0, new(#{})),
    ?assert(caravan_connector:next_start(Once) =< 2300),
    {AgainAt, Again} = Both(At, Once),
    Next = caravan_connector:next_start(Again),
    ?assert(Next > At + 2300 andalso Next < AgainAt - 40000).

%% Its turn was earlier when it was offered.
a_node_waits_when_another_one_has_let_go_of_this_one_test() ->
    {[{?B, 1, _}], Lost} = down(?B, 1000, up(?B, 0, up(?A, 0, new(#{})))),
    Due = caravan_connector:next_start(Lost),
    {[{?A, 1, LeftAlone}], LetGo} = down(?A, disconnect, 20000, Lost),
    {[], Waiting} = start(Due, LetGo),
    ?assertEqual(20000 + LeftAlone, caravan_connector:next_start(Waiting)),
    {Both, _} = start(20000 + LeftAlone, Waiting),
    ?assertEqual([?A, ?B], lists:sort(Both)).
