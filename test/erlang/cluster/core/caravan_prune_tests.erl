-module(caravan_prune_tests).

-include_lib("eunit/include/eunit.hrl").

-define(AFTER, 1000).

new(Overrides) ->
    caravan_prune:new(maps:merge(#{prune => true, prune_after => ?AFTER, prune_max_fraction => 0.5}, Overrides)).

%% Connected nodes that an answer at time 0 does not list.
absent_since_0(Absent, Overrides) ->
    caravan_prune:listed(Absent, 0, new(Overrides)).

due(Outcome, Connected, Now, State) ->
    due(Outcome, Connected, [], Now, State).

due(Outcome, Connected, Elsewhere, Now, State) ->
    IsConnected = fun(Name) -> lists:member(Name, Connected) end,
    {Names, Next} = caravan_prune:due(Outcome, IsConnected, {length(Connected), Elsewhere}, Now, State),
    {Names, caravan_prune:stats(Next), Next}.

nobody_is_disconnected_where_pruning_is_off_test() ->
    State = absent_since_0([<<"a@x">>], #{prune => false}),
    ?assertMatch(
        {[], #{pruned := 0, suppressed := Suppressed, suppressions := 0}, _} when Suppressed =:= #{},
        due(fresh, [<<"a@x">>], 10 * ?AFTER, State)
    ),
    ?assertEqual(#{<<"a@x">> => 5}, caravan_prune:absent(5, State)).

what_kept_a_node_is_forgotten_when_pruning_is_switched_off_test() ->
    {[], #{suppressed := Kept}, State} = due(empty, [<<"a@x">>], ?AFTER, absent_since_0([<<"a@x">>], #{})),
    ?assertEqual(#{<<"a@x">> => empty}, Kept),
    Off = caravan_prune:change(#{prune => false, prune_after => ?AFTER, prune_max_fraction => 0.5}, State),
    ?assertMatch({[], #{suppressed := None}, _} when None =:= #{}, due(fresh, [<<"a@x">>], ?AFTER, Off)).

a_node_is_due_when_it_has_been_absent_for_long_enough_test() ->
    State = absent_since_0([<<"a@x">>], #{}),
    Connected = [<<"a@x">>, <<"b@x">>],
    ?assertMatch({[], #{suppressions := 0}, _}, due(fresh, Connected, ?AFTER - 1, State)),
    {Due, Stats, Next} = due(fresh, Connected, ?AFTER, State),
    ?assertEqual([<<"a@x">>], Due),
    ?assertMatch(#{pruned := 1, suppressions := 0}, Stats),
    ?assertEqual(#{}, caravan_prune:absent(?AFTER, Next)).

a_node_that_is_listed_again_begins_anew_test() ->
    Once = absent_since_0([<<"a@x">>], #{prune_max_fraction => 1}),
    Listed = caravan_prune:listed([], ?AFTER div 2, Once),
    Again = caravan_prune:listed([<<"a@x">>], ?AFTER, Listed),
    ?assertMatch({[], _, _}, due(fresh, [<<"a@x">>], ?AFTER + ?AFTER div 2, Again)),
    ?assertMatch({[<<"a@x">>], _, _}, due(fresh, [<<"a@x">>], 2 * ?AFTER, Again)).

a_node_that_has_gone_by_itself_is_not_due_test() ->
    State = absent_since_0([<<"a@x">>], #{prune_max_fraction => 1}),
    ?assertMatch({[], #{suppressions := 0}, _}, due(fresh, [], ?AFTER, State)).

no_doubtful_answer_disconnects_anybody_test() ->
    State = absent_since_0([<<"a@x">>], #{prune_max_fraction => 1}),
    [
        ?assertMatch(
            {[], #{pruned := 0, suppressed := #{<<"a@x">> := Outcome}, suppressions := 1}, _},
            due(Outcome, [<<"a@x">>], 2 * ?AFTER, State)
        )
     || Outcome <- [incomplete, empty, failed]
    ].

%% The next answer shows that the node is absent, but not that it was absent all the time.
the_clock_stands_while_nobody_knows_test() ->
    [
        begin
            State = absent_since_0([<<"a@x">>], #{prune_max_fraction => 1}),
            {[], _, Doubtful} = due(Outcome, [<<"a@x">>], ?AFTER div 2, State),
            Again = caravan_prune:listed([<<"a@x">>], 10 * ?AFTER, Doubtful),
            ?assertMatch({[], _, _}, due(fresh, [<<"a@x">>], 11 * ?AFTER - 1, Again)),
            ?assertMatch({[<<"a@x">>], _, _}, due(fresh, [<<"a@x">>], 11 * ?AFTER, Again))
        end
     || Outcome <- [incomplete, empty, failed]
    ].

%% Also while pruning is off.
an_outage_before_pruning_was_switched_on_does_not_count_test() ->
    Off = absent_since_0([<<"a@x">>], #{prune => false}),
    {[], _, Doubtful} = due(failed, [<<"a@x">>], ?AFTER div 2, Off),
    On = caravan_prune:change(#{prune => true, prune_after => ?AFTER, prune_max_fraction => 1}, Doubtful),
    Again = caravan_prune:listed([<<"a@x">>], 10 * ?AFTER, On),
    ?assertMatch({[], _, _}, due(fresh, [<<"a@x">>], 11 * ?AFTER - 1, Again)),
    ?assertMatch({[<<"a@x">>], _, _}, due(fresh, [<<"a@x">>], 11 * ?AFTER, Again)).

no_more_than_a_fraction_goes_within_the_time_test() ->
    %% Nine others and this node: a half is five.
    Names = [<<C, "@x">> || C <- "abcdefghi"],
    {First, Stats, Next} = due(fresh, Names, ?AFTER, absent_since_0(Names, #{})),
    ?assertEqual(5, length(First)),
    Left = Names -- First,
    ?assertEqual(maps:from_keys(Left, max_fraction), maps:get(suppressed, Stats)),
    ?assertMatch({[], #{pruned := 5, suppressions := 8}, _}, due(fresh, Left, ?AFTER + 1, Next)),
    %% Now there are four others and this node: a half is two.
    {Second, _, _} = due(fresh, Left, 2 * ?AFTER, Next),
    ?assertEqual(2, length(Second)).

those_go_first_that_have_been_absent_longest_test() ->
    First = absent_since_0([<<"b@x">>], #{}),
    Both = caravan_prune:listed([<<"a@x">>, <<"b@x">>], 1, First),
    ?assertMatch(
        {[<<"b@x">>], #{suppressed := #{<<"a@x">> := max_fraction}}, _},
        due(fresh, [<<"a@x">>, <<"b@x">>], ?AFTER + 1, Both)
    ).

a_fraction_is_rounded_down_test() ->
    State = absent_since_0([<<"a@x">>], #{prune_max_fraction => 0.34}),
    ?assertMatch({[], #{suppressed := #{<<"a@x">> := max_fraction}}, _}, due(fresh, [<<"a@x">>], ?AFTER, State)).

what_another_topology_lists_stays_test() ->
    State = absent_since_0([<<"a@x">>], #{prune_max_fraction => 1}),
    {[], Stats, Kept} = due(fresh, [<<"a@x">>], [<<"a@x">>], ?AFTER, State),
    ?assertMatch(#{suppressed := #{<<"a@x">> := listed_elsewhere}, suppressions := 1}, Stats),
    ?assertMatch({[<<"a@x">>], #{pruned := 1}, _}, due(fresh, [<<"a@x">>], ?AFTER, Kept)).

%% It does not count against the fraction for the others.
what_another_topology_lists_is_not_counted_test() ->
    State = absent_since_0([<<"a@x">>, <<"b@x">>], #{}),
    ?assertMatch(
        {[<<"b@x">>], #{suppressed := Suppressed}, _} when Suppressed =:= #{<<"a@x">> => listed_elsewhere},
        due(fresh, [<<"a@x">>, <<"b@x">>], [<<"a@x">>], ?AFTER, State)
    ).

%% As if it had not been due: the fraction has room for it, and its absence continues.
a_node_that_could_not_be_removed_is_due_again_test() ->
    {[<<"a@x">>], #{pruned := 1}, Due} = due(fresh, [<<"a@x">>], ?AFTER, absent_since_0([<<"a@x">>], #{})),
    Failed = caravan_prune:not_removed(<<"a@x">>, true, Due),
    ?assertMatch(#{pruned := 0}, caravan_prune:stats(Failed)),
    ?assertEqual(#{<<"a@x">> => ?AFTER + 1}, caravan_prune:absent(?AFTER + 1, Failed)),
    ?assertMatch({[<<"a@x">>], #{pruned := 1}, _}, due(fresh, [<<"a@x">>], ?AFTER + 1, Failed)).

a_node_that_could_not_be_removed_and_went_is_not_due_test() ->
    {[<<"a@x">>], _, Due} = due(fresh, [<<"a@x">>], ?AFTER, absent_since_0([<<"a@x">>], #{})),
    Gone = caravan_prune:not_removed(<<"a@x">>, false, Due),
    ?assertMatch(#{pruned := 0}, caravan_prune:stats(Gone)),
    ?assertEqual(#{}, caravan_prune:absent(?AFTER, Gone)),
    ?assertEqual(Due, caravan_prune:not_removed(<<"b@x">>, true, Due)).
