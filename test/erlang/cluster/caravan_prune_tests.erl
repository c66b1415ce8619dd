-module(caravan_prune_tests).

-include_lib("eunit/include/eunit.hrl").

-define(AFTER, 1000).

new(Overrides) ->
    caravan_prune:new(maps:merge(#{prune => true, prune_after => ?AFTER, prune_max_fraction => 0.5}, Overrides)).

%% Nodes that are connected and of which an answer at time 0 lists none but these.
absent_since_0(Listed, Connected, Overrides) ->
    caravan_prune:listed(Listed, Connected, 0, new(Overrides)).

due(Outcome, Connected, Now, State) ->
    {Nodes, Next} = caravan_prune:due(Outcome, Connected, Now, State),
    {Nodes, caravan_prune:stats(Next), Next}.

nobody_is_disconnected_where_pruning_is_off_test() ->
    State = absent_since_0([], ['a@x'], #{prune => false}),
    ?assertMatch(
        {[], #{pruned := 0, suppressed := Suppressed, suppressions := 0}, _} when Suppressed =:= #{},
        due(fresh, ['a@x'], 10 * ?AFTER, State)
    ),
    ?assertEqual(#{'a@x' => 5}, caravan_prune:absent(5, State)).

a_node_is_due_when_it_has_been_absent_for_long_enough_test() ->
    State = absent_since_0(['b@x'], ['a@x', 'b@x'], #{}),
    ?assertMatch({[], #{suppressions := 0}, _}, due(fresh, ['a@x', 'b@x'], ?AFTER - 1, State)),
    ?assertMatch({['a@x'], #{pruned := 1, suppressions := 0}, _}, due(fresh, ['a@x', 'b@x'], ?AFTER, State)).

a_node_that_is_listed_again_begins_anew_test() ->
    Once = absent_since_0([], ['a@x'], #{prune_max_fraction => 1}),
    Listed = caravan_prune:listed(['a@x'], ['a@x'], ?AFTER div 2, Once),
    Again = caravan_prune:listed([], ['a@x'], ?AFTER, Listed),
    ?assertMatch({[], _, _}, due(fresh, ['a@x'], ?AFTER + ?AFTER div 2, Again)),
    ?assertMatch({['a@x'], _, _}, due(fresh, ['a@x'], 2 * ?AFTER, Again)).

a_node_that_has_gone_by_itself_is_not_due_test() ->
    State = absent_since_0([], ['a@x'], #{prune_max_fraction => 1}),
    ?assertMatch({[], #{suppressions := 0}, _}, due(fresh, [], ?AFTER, State)).

no_doubtful_answer_disconnects_anybody_test() ->
    State = absent_since_0([], ['a@x'], #{prune_max_fraction => 1}),
    [
        ?assertMatch(
            {[], #{pruned := 0, suppressed := #{'a@x' := Outcome}, suppressions := 1}, _},
            due(Outcome, ['a@x'], 2 * ?AFTER, State)
        )
     || Outcome <- [incomplete, empty, failed]
    ].

%% The answer after it says that the node is absent, and not that it has been all the time.
the_clock_stands_while_nobody_knows_test() ->
    [
        begin
            State = absent_since_0([], ['a@x'], #{prune_max_fraction => 1}),
            {[], Doubtful} = caravan_prune:due(Outcome, ['a@x'], ?AFTER div 2, State),
            Again = caravan_prune:listed([], ['a@x'], 10 * ?AFTER, Doubtful),
            ?assertMatch({[], _, _}, due(fresh, ['a@x'], 11 * ?AFTER - 1, Again)),
            ?assertMatch({['a@x'], _, _}, due(fresh, ['a@x'], 11 * ?AFTER, Again))
        end
     || Outcome <- [incomplete, empty, failed]
    ].

no_more_than_a_fraction_goes_within_the_time_test() ->
    %% Nine others and this node: a half is five.
    Nodes = [list_to_atom([C | "@x"]) || C <- "abcdefghi"],
    State = absent_since_0([], Nodes, #{}),
    {First, Stats, Next} = due(fresh, Nodes, ?AFTER, State),
    ?assertEqual(5, length(First)),
    Left = Nodes -- First,
    ?assertEqual(maps:from_keys(Left, max_fraction), maps:get(suppressed, Stats)),
    ?assertMatch({[], #{pruned := 5, suppressions := 8}, _}, due(fresh, Left, ?AFTER + 1, Next)),
    %% Four others and this node now: a half is two.
    {Second, _, _} = due(fresh, Left, 2 * ?AFTER, Next),
    ?assertEqual(2, length(Second)).

those_go_first_that_have_been_absent_longest_test() ->
    First = absent_since_0(['a@x'], ['a@x', 'b@x'], #{}),
    Both = caravan_prune:listed([], ['a@x', 'b@x'], 1, First),
    ?assertMatch({['b@x'], #{suppressed := #{'a@x' := max_fraction}}, _}, due(fresh, ['a@x', 'b@x'], ?AFTER + 1, Both)).

a_fraction_is_rounded_down_test() ->
    State = absent_since_0([], ['a@x'], #{prune_max_fraction => 0.34}),
    ?assertMatch({[], #{suppressed := #{'a@x' := max_fraction}}, _}, due(fresh, ['a@x'], ?AFTER, State)).

what_another_topology_lists_stays_test_() ->
    {setup, fun caravan_topology_registry:create/0, fun(_) -> ets:delete(caravan_topology_registry) end, fun() ->
        Test = self(),
        Other = spawn_link(fun() ->
            ok = caravan_topology_registry:publish(other, ['a@x']),
            Test ! published,
            receive stop -> ok end,
            ok = caravan_topology_registry:withdraw(other)
        end),
        receive published -> ok end,
        State = absent_since_0([], ['a@x'], #{prune_max_fraction => 1}),
        ?assertMatch({[], #{suppressed := #{'a@x' := listed_elsewhere}}, _}, due(fresh, ['a@x'], ?AFTER, State)),
        Monitor = monitor(process, Other),
        Other ! stop,
        receive {'DOWN', Monitor, process, _, _} -> ok end,
        ?assertMatch({['a@x'], #{pruned := 1}, _}, due(fresh, ['a@x'], ?AFTER, State))
    end}.
