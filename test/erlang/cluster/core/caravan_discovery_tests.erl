-module(caravan_discovery_tests).

-include_lib("eunit/include/eunit.hrl").

-define(OWN, <<"own@x">>).
-define(EXPIRY, 600000).

new() -> caravan_discovery:new().

options(Overrides) ->
    maps:merge(#{max_nodes => 1000, answers => all, sampled_expiry => ?EXPIRY}, Overrides).

facts(Overrides) ->
    maps:merge(#{query => q, own => ?OWN, connected => #{}, budget => caravan_atom_budget:new(500)}, Overrides).

%% A name for each letter.
names(Letters) -> [<<C, "@x">> || C <- Letters].

%% An answer with one record for each name.
answer(Names) -> answer(Names, #{}).

answer(Names, Overrides) ->
    {ok, maps:merge(
        #{
            records => [[Name] || Name <- Names], unknown => [], invalid => 0, unresolved => 0, ttl => 0, complete => true
        },
        Overrides
    )}.

incomplete(Names) -> answer(Names, #{complete => false}).

polled(Outcome, Now, State) -> polled(Outcome, Now, #{}, #{}, State).

polled(Outcome, Now, Facts, Options, State) ->
    {Reports, _Budget, Next} = caravan_discovery:polled(Outcome, Now, facts(Facts), options(Options), State),
    {Reports, Next}.

next(Outcome, Now, State) -> next(Outcome, Now, #{}, #{}, State).

next(Outcome, Now, Facts, Options, State) ->
    {_Reports, Next} = polled(Outcome, Now, Facts, Options, State),
    Next.

wanted(State) -> lists:sort(maps:keys(caravan_discovery:wanted(State))).

status(Key, State) -> maps:get(Key, caravan_discovery:status(0, State)).

before_the_first_answer_nothing_is_known_test() ->
    ?assertEqual(
        {[], none, 0, 0},
        {
            wanted(new()), caravan_discovery:certainty(new()), caravan_discovery:failed_in_a_row(new()),
            caravan_discovery:ttl(new())
        }
    ),
    ?assertMatch(
        #{last_lookup := none, answer_age := none, complete := false, self_listed := false, names_refused := 0},
        caravan_discovery:status(0, new())
    ).

a_complete_answer_replaces_the_one_before_test() ->
    {Reports, First} = polled(answer(names("ab"), #{ttl => 7}), 10, new()),
    ?assertEqual([{looked_up, fresh, none, 2}, {found, names("ab")}], Reports),
    ?assertEqual({fresh, 7}, {caravan_discovery:certainty(First), caravan_discovery:ttl(First)}),
    ?assertMatch(#{last_lookup := fresh, answer_age := 5, complete := true}, caravan_discovery:status(15, First)),
    {[{looked_up, fresh, fresh, 2}, {found, _}], Second} = polled(answer(names("bc")), 20, First),
    ?assertEqual(names("bc"), wanted(Second)),
    ?assertEqual([], wanted(next(answer([]), 30, Second))).

a_name_of_several_records_is_one_test() ->
    {[{looked_up, fresh, none, 2}, {found, Found}], State} = polled(answer(names("aa")), 0, new()),
    ?assertEqual({names("a"), names("a")}, {Found, wanted(State)}).

an_incomplete_answer_adds_for_a_time_test() ->
    State = next(incomplete(names("b")), 0, next(answer(names("a")), 0, new())),
    ?assertEqual(names("ab"), wanted(State)),
    ?assertEqual(incomplete, caravan_discovery:certainty(State)),
    %% The known nodes still include those of a complete answer.
    ?assert(status(complete, State)),
    ?assertEqual(names("abc"), wanted(next(incomplete(names("c")), ?EXPIRY - 1, State))),
    Expired = next(incomplete(names("c")), ?EXPIRY, State),
    ?assertEqual(names("ac"), wanted(Expired)),
    ?assertEqual(names("d"), wanted(next(answer(names("d")), ?EXPIRY, Expired))).

a_name_of_a_complete_answer_does_not_expire_when_an_incomplete_one_has_it_test() ->
    State = next(incomplete(names("a")), 0, next(answer(names("a")), 0, new())),
    ?assertEqual(names("ab"), wanted(next(incomplete(names("b")), 2 * ?EXPIRY, State))).

the_first_answer_may_be_incomplete_test() ->
    State = next(incomplete(names("a")), 0, new()),
    ?assertEqual({names("a"), incomplete, false}, {wanted(State), caravan_discovery:certainty(State), status(complete, State)}).

samples_are_joined_and_expire_test() ->
    Sample = fun(Letters, Now, State) -> next(answer(names(Letters)), Now, #{}, #{answers => sampled}, State) end,
    First = Sample("ab", 0, new()),
    ?assertEqual({incomplete, false}, {caravan_discovery:certainty(First), status(complete, First)}),
    Second = Sample("bc", ?EXPIRY - 1, First),
    ?assertEqual(names("abc"), wanted(Second)),
    ?assertEqual(names("bcd"), wanted(Sample("d", ?EXPIRY, Second))),
    ?assertEqual(names("d"), wanted(Sample("d", 2 * ?EXPIRY - 1, Second))).

%% DNS gave no answer meanwhile.
an_outage_is_no_time_in_which_a_name_was_not_listed_test() ->
    Sample = fun(Letters, Now, State) -> next(answer(names(Letters)), Now, #{}, #{answers => sampled}, State) end,
    Out = next({error, servfail}, ?EXPIRY, Sample("ab", 0, new())),
    Back = Sample("c", 10 * ?EXPIRY, Out),
    ?assertEqual(names("abc"), wanted(Back)),
    ?assertEqual(names("abc"), wanted(Sample("c", 11 * ?EXPIRY - 1, Back))),
    ?assertEqual(names("c"), wanted(Sample("c", 11 * ?EXPIRY, Back))).

%% Equal samples show that their nodes are still there.
equal_samples_prolong_test() ->
    Sample = fun(Now, State) -> next(answer(names("a")), Now, #{}, #{answers => sampled}, State) end,
    State = Sample(?EXPIRY - 1, Sample(0, new())),
    ?assertEqual(names("ab"), wanted(next(answer(names("b")), ?EXPIRY, #{}, #{answers => sampled}, State))).

nothing_expires_while_there_is_no_answer_test() ->
    Sampled = next(answer(names("a")), 0, #{}, #{answers => sampled}, new()),
    lists:foldl(
        fun(Reason, State) ->
            Next = next({error, Reason}, 10 * ?EXPIRY, #{}, #{answers => sampled}, State),
            ?assertEqual(names("a"), wanted(Next)),
            Next
        end,
        Sampled,
        [nxdomain, nodata, timeout, servfail]
    ).

no_answer_takes_nobody_away_test() ->
    State = next(answer(names("a"), #{ttl => 7}), 0, new()),
    [
        begin
            {Reports, Next} = polled({error, Reason}, 5, State),
            ?assertEqual([{looked_up, Outcome, fresh, 0}], Reports),
            ?assertEqual({names("a"), Certainty, Failed, 0}, {
                wanted(Next), caravan_discovery:certainty(Next), caravan_discovery:failed_in_a_row(Next),
                caravan_discovery:ttl(Next)
            }),
            ?assertMatch(#{last_lookup := Outcome, answer_age := 10, complete := true}, caravan_discovery:status(10, Next))
        end
     || {Reason, Outcome, Certainty, Failed} <- [
            {nxdomain, {empty, nxdomain}, empty, 0},
            {nodata, {empty, nodata}, empty, 0},
            {timeout, {failed, timeout}, failed, 1}
        ]
    ].

failures_are_counted_until_somebody_answers_test() ->
    Failed = next({error, timeout}, 1, next({error, timeout}, 0, new())),
    ?assertEqual(2, caravan_discovery:failed_in_a_row(Failed)),
    [
        ?assertEqual(0, caravan_discovery:failed_in_a_row(next(Outcome, 2, Failed)))
     || Outcome <- [{error, nxdomain}, answer([]), incomplete([])]
    ],
    ?assertEqual(0, caravan_discovery:failed_in_a_row(caravan_discovery:change(Failed))).

an_answer_that_leaves_something_out_is_incomplete_test() ->
    State = next(answer(names("a")), 0, new()),
    Facts = facts(#{budget => caravan_atom_budget:new(1), connected => #{<<"a@x">> => []}}),
    [
        begin
            {_, _, Next} = caravan_discovery:polled(answer(names("bc"), Answer), 1, Facts, options(Options), State),
            ?assertEqual({Case, incomplete}, {Case, caravan_discovery:certainty(Next)}),
            ?assertEqual({Case, true}, {Case, lists:member(<<"a@x">>, wanted(Next))})
        end
     || {Case, Answer, Options} <- [
            {cut, #{}, #{max_nodes => 1}},
            {refused, #{unknown => names("bc")}, #{}},
            {unresolved, #{unresolved => 1}, #{}},
            {incomplete, #{complete => false}, #{}},
            {sampled, #{}, #{answers => sampled}}
        ]
    ],
    ?assertEqual(fresh, caravan_discovery:certainty(next(answer(names("bc"), #{invalid => 1}), 1, State))).

what_is_refused_is_counted_and_reported_when_it_changes_test() ->
    None = #{invalid => 0, max_nodes => 0, atom_budget => 0, unresolved => 0},
    Refused = None#{invalid := 2, unresolved := 3},
    Answer = answer(names("a"), #{invalid => 2, unresolved => 3}),
    {[_, _, Report], First} = polled(Answer, 0, new()),
    ?assertEqual({names_refused, #{invalid => 2, unresolved => 3}}, Report),
    {[{looked_up, _, _, _}, {found, _}], Second} = polled(Answer, 1, First),
    ?assertEqual({Refused, 10}, {status(last_refused, Second), status(names_refused, Second)}),
    {[{looked_up, _, _, _}, {found, _}], Third} = polled(answer(names("a")), 2, Second),
    Invalid = answer(names("a"), #{invalid => 1}),
    {[{looked_up, _, _, _}, {found, _}], _} = polled(answer(names("a"), #{invalid => 2}), 2, next(Invalid, 1, new())),
    {[_, _, Other], _} = polled(answer(names("a"), #{invalid => 2, unresolved => 1}), 2, next(Invalid, 1, new())),
    ?assertEqual({names_refused, #{unresolved => 1}}, Other),
    ?assertEqual({None, 10}, {status(last_refused, Third), status(names_refused, Third)}).

one_answer_gives_at_most_max_nodes_test() ->
    Names = [integer_to_binary(N) || N <- lists:seq(2000, 2100)],
    State = next(answer(Names), 0, #{}, #{max_nodes => 10}, new()),
    ?assertEqual(10, length(wanted(State))),
    ?assertMatch(#{max_nodes := 91, atom_budget := 0}, status(last_refused, State)).

a_cut_takes_nobody_away_who_is_connected_test() ->
    Connected = maps:from_keys(names("cd"), []),
    State = next(answer(names("abcd")), 0, #{connected => Connected}, #{max_nodes => 3}, new()),
    ?assertEqual(names("acd"), wanted(State)),
    ?assertMatch(#{max_nodes := 1}, status(last_refused, State)).

a_cut_leaves_this_node_listed_test() ->
    State = next(answer([?OWN | names("ab")]), 0, #{}, #{max_nodes => 1}, new()),
    ?assertEqual({[], true}, {wanted(State), status(self_listed, State)}).

%% Of 4 records, all with the basename that sorts last.
several_basenames_do_not_halve_the_limit_test() ->
    Records = [[<<"blue", C>>, <<"green", C>>] || C <- "abcd"],
    Options = #{max_nodes => 4, names_per_record => 2},
    State = next(answer([], #{records => Records}), 0, #{}, Options, new()),
    ?assertEqual(4, length([green || <<"green", _>> <- wanted(State)])),
    ?assertMatch(#{max_nodes := 0}, status(last_refused, State)),
    Incomplete = next(answer([], #{records => Records, complete => false}), 0, #{}, Options, new()),
    ?assertEqual(8, length(wanted(Incomplete))).

%% Answers that add to the known nodes do so within bounds.
those_that_are_connected_stay_first_and_then_those_that_were_listed_last_test() ->
    Sampled = #{answers => sampled, max_nodes => 3},
    First = next(answer(names("abc")), 0, #{}, Sampled, new()),
    ?assertEqual(names("abc"), wanted(First)),
    ?assertEqual(names("cyz"), wanted(next(answer(names("yz")), 1, #{connected => #{<<"c@x">> => []}}, Sampled, First))),
    ?assertEqual(names("xyz"), wanted(next(answer(names("xyz")), 1, #{}, Sampled, First))),
    Connected = maps:from_keys(names("abc"), []),
    ?assertEqual(names("abc"), wanted(next(answer(names("xyz")), 1, #{connected => Connected}, Sampled, First))).

names_that_are_no_atoms_cost_of_the_budget_test() ->
    {Reports, Budget, State} = caravan_discovery:polled(
        answer(names("abc"), #{unknown => names("bc")}), 0, facts(#{budget => caravan_atom_budget:new(1)}), options(#{}), new()
    ),
    ?assertEqual({names("ab"), 0}, {wanted(State), caravan_atom_budget:left(Budget)}),
    ?assertMatch(
        [{looked_up, fresh, none, 3}, {found, _}, {names_refused, #{atom_budget := 1} = New}] when map_size(New) =:= 1, Reports
    ),
    ?assertEqual({found, names("ab")}, lists:nth(2, Reports)).

%% Names beyond the limit become no atoms.
a_cut_comes_before_the_budget_test() ->
    {_, Budget, State} = caravan_discovery:polled(
        answer(names("abc"), #{unknown => names("abc")}), 0, facts(#{}), options(#{max_nodes => 1}), new()
    ),
    ?assertEqual({names("a"), 499}, {wanted(State), caravan_atom_budget:left(Budget)}).

known_atoms_cost_nothing_test() ->
    {_, Budget, State} = caravan_discovery:polled(answer(names("a")), 0, facts(#{}), options(#{}), new()),
    ?assertEqual({names("a"), 500, 0}, {wanted(State), caravan_atom_budget:left(Budget), status(names_refused, State)}).

%% No matter which of its names came first.
other_names_of_a_record_that_is_a_nodes_cost_nothing_test() ->
    Records = [[<<"a@x">>, <<"b@x">>], [<<"c@x">>, <<"d@x">>], [<<"e@x">>, ?OWN]],
    {_, Budget, State} = caravan_discovery:polled(
        answer([], #{records => Records, unknown => names("bcde")}),
        0,
        facts(#{budget => caravan_atom_budget:new(1), connected => #{<<"a@x">> => []}}),
        options(#{}),
        new()
    ),
    ?assertEqual({names("abce"), 0}, {wanted(State), caravan_atom_budget:left(Budget)}).

a_name_that_is_a_node_gives_its_atom_back_test() ->
    Answer = answer(names("ab"), #{unknown => names("ab")}),
    {_, Spent, First} = caravan_discovery:polled(
        Answer, 0, facts(#{budget => caravan_atom_budget:new(1)}), options(#{}), new()
    ),
    ?assertEqual({names("a"), 0}, {wanted(First), caravan_atom_budget:left(Spent)}),
    Proven = caravan_atom_budget:proven(names("a"), Spent),
    {_, Again, Second} = caravan_discovery:polled(
        answer(names("ab"), #{unknown => names("b")}), 0, facts(#{budget => Proven}), options(#{}), First
    ),
    ?assertEqual({names("ab"), fresh}, {wanted(Second), caravan_discovery:certainty(Second)}),
    ?assertEqual(0, caravan_atom_budget:left(Again)).

this_node_is_not_wanted_test() ->
    {Reports, State} = polled(answer([?OWN, <<"a@x">>]), 0, new()),
    ?assertEqual({names("a"), true}, {wanted(State), status(self_listed, State)}),
    ?assertEqual([{looked_up, fresh, none, 2}, {found, [<<"a@x">>, ?OWN]}], Reports),
    ?assertNot(status(self_listed, next(answer(names("a")), 1, State))).

this_node_under_another_spelling_is_this_node_test() ->
    Aliases = [<<"OWN@x">>, <<"own@X.">>, <<"own@x.">>],
    {[_, _, {own_alias, Told}], State} = polled(answer([?OWN, <<"a@x">> | Aliases]), 0, new()),
    ?assertEqual(lists:sort(Aliases), lists:sort(Told)),
    ?assertEqual({names("a"), true}, {wanted(State), status(self_listed, State)}),
    %% It is reported once.
    {[{looked_up, _, _, _}, {found, _}], Again} = polled(answer([<<"OWN@x">>, <<"b@x">>]), 1, State),
    ?assert(status(self_listed, Again)),
    ?assertMatch({[_, _, {own_alias, [<<"oWn@x">>]}], _}, polled(answer([<<"oWn@x">>, <<"OWN@x">>]), 2, Again)).

names_are_told_apart_by_everything_but_case_and_the_last_dot_test() ->
    [?assert(caravan_discovery:is_own_name(Name, ?OWN)) || Name <- [?OWN, <<"OwN@X">>, <<"own@x.">>, <<"OWN@X.">>]],
    ?assert(caravan_discovery:is_own_name(?OWN, <<"own@x.">>)),
    %% Octets that differ in the bit of the case but are not letters are different.
    [
        ?assertNot(caravan_discovery:is_own_name(Name, Own))
     || {Name, Own} <- [
            {<<"owm@x">>, ?OWN}, {<<"own@x..">>, ?OWN}, {<<"own@x.y">>, ?OWN}, {<<"own@">>, ?OWN}, {<<"own-1@x">>, ?OWN},
            {<<"own`x">>, ?OWN}, {<<"a[@x">>, <<"a{@x">>}, {<<"own@x", 16#C4>>, <<"own@x", 16#E4>>},
            {<<"own-", 16#11, "@x">>, <<"own-1@x">>}
        ]
    ].

%% AWS Cloud Map returns answers like this: 2 of 4.
names_that_come_back_in_answers_of_one_length_are_samples_test() ->
    {Told, _} = lists:mapfoldl(
        fun({Now, Letters}, State) ->
            {Reports, Next} = polled(answer(names(Letters)), Now, State),
            {[Count || {samples, Count} <- Reports], Next}
        end,
        new(),
        lists:zip(lists:seq(1, 8), ["ab", "cd", "ab", "cd", "ab", "cd", "ab", "cd"])
    ),
    ?assertEqual([[], [], [], [], [2], [], [], []], Told).

%% No matter how many answers are between.
names_may_come_back_late_test() ->
    ?assertEqual([], [Report || {samples, _} = Report <- reports(["ab", "cd", "ef", "ab", "cd"])]),
    ?assertEqual([{samples, 2}], [Report || {samples, _} = Report <- reports(["ab", "cd", "ef", "ab", "cd", "ef"])]).

%% With new names each time, or answers of other lengths, it is a cluster that replaces its nodes or is scaled.
what_comes_and_goes_otherwise_is_no_sample_test() ->
    [
        ?assertEqual({Answers, []}, {Answers, [Report || {samples, _} = Report <- reports(Answers)]})
     || Answers <- [
            ["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi"],
            ["ab", "a", "ab", "b", "ab", "a", "ab", "b", "ab", "a"],
            ["ab", "cd", "ab", "cd", "abc", "ab", "cd", "ab", "cd"],
            ["ab", "ab", "ab", "ab", "ab", "ab"],
            ["ab", "cd", "ab", "ae", "af", "ag", "ah"]
        ]
    ].

reports(Answers) ->
    {Reports, _} = lists:mapfoldl(fun(Letters, State) -> polled(answer(names(Letters)), 0, State) end, new(), Answers),
    lists:append(Reports).

incomplete_answers_are_no_samples_test() ->
    {Reports, _} = lists:mapfoldl(
        fun(Letters, State) -> polled(incomplete(names(Letters)), 0, State) end,
        new(),
        lists:append(lists:duplicate(5, ["ab", "cd"]))
    ),
    ?assertEqual([], [Report || {samples, _} = Report <- lists:append(Reports)]).

%% What was seen before such an answer says nothing about later ones.
an_incomplete_answer_begins_the_search_for_samples_anew_test() ->
    Outcomes = [answer(names(Letters)) || Letters <- ["ab", "cd", "ab", "cd"]] ++ [incomplete(names("ab"))]
        ++ [answer(names(Letters)) || Letters <- ["cd", "ab"]],
    {Reports, _} = lists:mapfoldl(fun(Outcome, State) -> polled(Outcome, 0, State) end, new(), Outcomes),
    ?assertEqual([], [Report || {samples, _} = Report <- lists:append(Reports)]).

%% Most answers are like this.
an_equal_answer_says_nothing_new_test() ->
    Answer = answer([?OWN, <<"OWN@x">> | names("ab")], #{invalid => 1}),
    First = next(Answer, 0, new()),
    Budget = caravan_atom_budget:new(1),
    {Reports, SameBudget, Second} = caravan_discovery:polled(
        answer([?OWN, <<"OWN@x">> | names("ab")], #{invalid => 1, ttl => 9}),
        5,
        facts(#{budget => Budget}),
        options(#{}),
        First
    ),
    ?assertEqual([{looked_up, fresh, fresh, 4}, {found, lists:sort([?OWN, <<"OWN@x">> | names("ab")])}], Reports),
    ?assertEqual(Budget, SameBudget),
    ?assertEqual(caravan_discovery:wanted(First), caravan_discovery:wanted(Second)),
    ?assertEqual({fresh, 9}, {caravan_discovery:certainty(Second), caravan_discovery:ttl(Second)}),
    ?assertEqual(
        (caravan_discovery:status(0, First))#{names_refused := 2}, caravan_discovery:status(5, Second)
    ).

an_equal_answer_after_something_else_is_taken_anew_test() ->
    First = next(answer(names("a")), 0, new()),
    {Reports, Failed} = polled(answer(names("a")), 2, next({error, timeout}, 1, First)),
    ?assertMatch([{looked_up, fresh, {failed, timeout}, 1}, {found, _}], Reports),
    ?assertEqual({fresh, 0}, {caravan_discovery:certainty(Failed), caravan_discovery:failed_in_a_row(Failed)}),
    Added = next(incomplete(names("b")), 1, First),
    ?assertEqual(names("a"), wanted(next(answer(names("a")), 2, Added))),
    Incomplete = next(incomplete(names("a")), 1, First),
    ?assertEqual(fresh, caravan_discovery:certainty(next(answer(names("a")), 2, Incomplete))).

other_options_may_take_another_part_of_an_equal_answer_test() ->
    Cut = next(answer(names("abc")), 0, #{}, #{max_nodes => 1}, new()),
    ?assertEqual(names("abc"), wanted(next(answer(names("abc")), 1, Cut))),
    Whole = next(answer(names("abc")), 0, new()),
    Changed = caravan_discovery:change(Whole),
    ?assertNot(status(complete, Changed)),
    ?assertEqual(names("abc"), wanted(Changed)),
    ?assertEqual(incomplete, caravan_discovery:certainty(next(answer(names("abc")), 1, #{}, #{max_nodes => 1}, Changed))).

%% Reports for complete answers are not repeated for samples.
names_of_former_options_expire_among_samples_test() ->
    Before = caravan_discovery:change(next(answer(names("a")), 0, new())),
    Sample = fun(Now, State) -> next(answer(names("b")), Now, #{}, #{answers => sampled}, State) end,
    ?assertEqual(names("b"), wanted(Sample(?EXPIRY + 1, Sample(0, Before)))).

%% This node has become distributed since, and the answer lists it.
an_equal_answer_of_a_node_of_another_name_is_taken_anew_test() ->
    First = next(answer(names("ab")), 0, #{own => <<"nonode@nohost">>}, #{}, new()),
    Second = next(answer(names("ab")), 1, #{own => <<"a@x">>}, #{}, First),
    ?assertEqual({names("b"), true}, {wanted(Second), status(self_listed, Second)}).
