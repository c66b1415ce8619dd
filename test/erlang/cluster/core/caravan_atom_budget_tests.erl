-module(caravan_atom_budget_tests).

-include_lib("eunit/include/eunit.hrl").

-define(REFILL_MS, 600000).

new(Budget) -> caravan_atom_budget:new(Budget).

%% Returns which names of an answer are admitted at this time.
admit(Names, Now, State) -> caravan_atom_budget:admit(Names, q, Now, State).

left(State) -> caravan_atom_budget:left(State).

names(Letters) -> [<<C, "@x">> || C <- Letters].

so_many_names_are_admitted_as_the_budget_has_test() ->
    {[], State} = admit(names("ab"), 0, new(3)),
    ?assertEqual(1, left(State)),
    {Refused, Spent} = admit(names("cde"), 0, State),
    ?assertEqual(names("de"), Refused),
    ?assertEqual(0, left(Spent)).

a_name_costs_once_test() ->
    {[], State} = admit(names("ab"), 0, new(2)),
    ?assertEqual({[], State}, admit(names("ba"), 1, State)),
    ?assertEqual({[], State}, admit([], 1, State)).

one_that_has_been_admitted_takes_no_room_of_others_test() ->
    {[], State} = admit(names("ab"), 0, new(3)),
    {Refused, _} = admit(names("abcd"), 0, State),
    ?assertEqual(names("d"), Refused).

hostile_names_cost_no_more_than_the_budget_test() ->
    Last = lists:foldl(
        fun(N, State) ->
            {Refused, Next} = admit([<<(N * 1000 + I):32>> || I <- lists:seq(1, 1000)], N, State),
            ?assertEqual(case N of 1 -> 500; _ -> 1000 end, length(Refused)),
            Next
        end,
        new(500),
        lists:seq(1, 100)
    ),
    ?assertEqual(0, left(Last)).

a_node_that_was_connected_gives_its_atom_back_test() ->
    {[<<"b@x">>], State} = admit(names("ab"), 0, new(1)),
    Proven = caravan_atom_budget:proven(names("a"), State),
    ?assertEqual(1, left(Proven)),
    {[], Spent} = admit(names("b"), 0, Proven),
    ?assertEqual(0, left(Spent)),
    ?assertEqual(Spent, caravan_atom_budget:proven(names("c"), Spent)).

%% The other names of the record give their atoms back.
the_names_of_one_record_give_their_atoms_back_together_test() ->
    {[], State} = admit(names("abc"), 0, new(3)),
    ?assertEqual(2, left(caravan_atom_budget:proven(names("ab"), State))).

every_ten_minutes_one_more_is_given_back_test() ->
    {[], State} = admit(names("ab"), 1000, new(2)),
    {Refused, Early} = admit(names("cd"), 1000 + ?REFILL_MS - 1, State),
    ?assertEqual(names("cd"), Refused),
    {One, Refilled} = admit(names("cd"), 1000 + ?REFILL_MS, Early),
    ?assertEqual(names("d"), One),
    {Again, Same} = admit(names("d"), 1000 + 2 * ?REFILL_MS - 1, Refilled),
    ?assertEqual(names("d"), Again),
    ?assertMatch({[], _}, admit(names("d"), 1000 + 2 * ?REFILL_MS, Same)).

a_long_time_gives_many_back_and_no_more_than_were_spent_test() ->
    {[], State} = admit(names("abc"), 0, new(3)),
    {_, Two} = admit(names("z"), 2 * ?REFILL_MS, State),
    ?assertEqual(1, left(Two)),
    {_, All} = admit(names("z"), 100 * ?REFILL_MS, State),
    ?assertEqual(2, left(All)).

%% A poll between two refills does not delay the second.
every_ten_minutes_are_counted_from_the_ones_before_test() ->
    {[], State} = admit(names("ab"), 0, new(2)),
    {[_, _], One} = admit(names("cde"), ?REFILL_MS * 3 div 2, State),
    ?assertMatch({[_], _}, admit(names("de"), 2 * ?REFILL_MS, One)),
    ?assertMatch({[_, _], _}, admit(names("de"), 2 * ?REFILL_MS - 1, One)).

%% Time in which nothing was spent refills nothing.
the_ten_minutes_begin_when_an_atom_is_spent_test() ->
    {[], State} = admit(names("a"), 100 * ?REFILL_MS, new(1)),
    ?assertMatch({[_], _}, admit(names("b"), 101 * ?REFILL_MS - 1, State)),
    ?assertMatch({[], _}, admit(names("b"), 101 * ?REFILL_MS, State)).

the_oldest_is_given_back_first_test() ->
    {[], First} = admit(names("b"), 0, new(2)),
    {[], Both} = admit(names("a"), 1, First),
    {_, Refilled} = admit(names("c"), ?REFILL_MS, Both),
    %% `a' has still cost an atom, and `b' has not.
    ?assertMatch({[], Refilled}, admit(names("a"), ?REFILL_MS, Refilled)),
    ?assertMatch({[<<"b@x">>], _}, admit(names("b"), ?REFILL_MS, Refilled)).

%% A source of new names that sort before these does not exclude them.
who_was_refused_longest_comes_first_test() ->
    {[], Full} = admit(names("x"), 0, new(1)),
    {[<<"z@x">>], Refused} = admit(names("z"), 1, Full),
    {Both, Waiting} = admit(names("az"), 2, Refused),
    ?assertEqual(names("az"), lists:sort(Both)),
    {Last, _} = admit(names("abz"), 3, caravan_atom_budget:proven(names("x"), Waiting)),
    ?assertEqual(names("ab"), Last).

%% It is not listed any more, so it does not wait any more.
a_name_that_was_left_out_of_an_answer_begins_anew_test() ->
    [
        begin
            {[], Full} = admit(names("x"), 0, new(1)),
            {[<<"z@x">>], Refused} = admit(names("z"), 1, Full),
            {Between, Without} = admit(Others, 2, Refused),
            ?assertEqual(Others, Between),
            {Last, _} = admit(names("az"), 3, caravan_atom_budget:proven(names("x"), Without)),
            ?assertEqual(names("z"), Last)
        end
     || Others <- [[], names("a")]
    ].

another_budget_leaves_spent_what_is_spent_test() ->
    {[], State} = admit(names("ab"), 0, new(2)),
    ?assertEqual(1, left(caravan_atom_budget:change(3, State))),
    Less = caravan_atom_budget:change(1, State),
    ?assertEqual(0, left(Less)),
    ?assertMatch({[<<"c@x">>], _}, admit(names("c"), 0, Less)),
    ?assertMatch({[], _}, admit(names("ab"), 0, Less)).
