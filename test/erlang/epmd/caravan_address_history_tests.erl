-module(caravan_address_history_tests).

-include_lib("eunit/include/eunit.hrl").

-define(A, {10, 0, 0, 1}).
-define(B, {10, 0, 0, 2}).
-define(C, {10, 0, 0, 3}).

%% The table belongs to the process that creates it, so each test is one function.
history_test_() ->
    [
        {atom_to_list(Name), {spawn, fun() -> ok = caravan_address_history:create(), Test() end}}
     || {Name, Test} <- [
            {an_address_that_has_failed_comes_after_the_others, fun an_address_that_has_failed_comes_after_the_others/0},
            {of_addresses_that_all_have_failed_each_has_its_turn, fun of_addresses_that_all_have_failed_each_has_its_turn/0},
            {hosts_are_told_apart_as_dns_does, fun hosts_are_told_apart_as_dns_does/0},
            {what_was_given_stands_until_it_fails, fun what_was_given_stands_until_it_fails/0},
            {of_a_host_without_failures_nothing_is_remembered, fun of_a_host_without_failures_nothing_is_remembered/0},
            {a_failure_is_forgotten, fun a_failure_is_forgotten/0},
            {the_table_is_bounded, fun the_table_is_bounded/0}
        ]
    ] ++ [{"without the table", {spawn, fun without_the_table_all_addresses_are_good/0}}].

choose(Ips) ->
    caravan_address_history:choose("n.test", Ips).

failed(Ip) ->
    ok = caravan_address_history:failed("n.test", Ip).

an_address_that_has_failed_comes_after_the_others() ->
    ?assertEqual({good, ?C}, choose([?C, ?A, ?B])),
    failed(?C),
    ?assertEqual({good, ?A}, choose([?C, ?A, ?B])),
    failed(?A),
    ?assertEqual({good, ?B}, choose([?C, ?A, ?B])),
    ?assertEqual(none, choose([])).

of_addresses_that_all_have_failed_each_has_its_turn() ->
    Ips = [?A, ?B, ?C],
    [failed(Ip) || Ip <- [?B, ?C, ?A]],
    Turns = [begin {failed, Ip} = choose(Ips), failed(Ip), Ip end || _ <- lists:seq(1, 6)],
    ?assertEqual([?B, ?C, ?A, ?B, ?C, ?A], Turns).

hosts_are_told_apart_as_dns_does() ->
    failed(?A),
    ?assertEqual({failed, ?A}, caravan_address_history:choose("N.Test", [?A])),
    ?assertEqual({good, ?A}, caravan_address_history:choose("m.test", [?A])).

what_was_given_stands_until_it_fails() ->
    failed(?A),
    ok = caravan_address_history:given("n.test", inet, ?B),
    ?assertEqual({ok, ?B}, caravan_address_history:still("n.test", inet)),
    ?assertEqual(none, caravan_address_history:still("n.test", inet6)),
    failed(?B),
    ?assertEqual(none, caravan_address_history:still("n.test", inet)).

of_a_host_without_failures_nothing_is_remembered() ->
    ok = caravan_address_history:given("n.test", inet, ?B),
    ?assertEqual(none, caravan_address_history:still("n.test", inet)),
    ?assertEqual([], ets:tab2list(caravan_address_history)).

a_failure_is_forgotten() ->
    failed(?A),
    [Known] = ets:tab2list(caravan_address_history),
    [{?A, At}] = element(3, Known),
    true = ets:insert(caravan_address_history, setelement(3, Known, [{?A, At - 300000}])),
    ?assertEqual({good, ?A}, choose([?A])).

the_table_is_bounded() ->
    [ok = caravan_address_history:failed("n" ++ integer_to_list(N), ?A) || N <- lists:seq(1, 3000)],
    ?assert(ets:info(caravan_address_history, size) =< 1000),
    [failed({10, 0, 1, N}) || N <- lists:seq(1, 100)],
    [Failures] = [element(3, Known) || Known <- ets:lookup(caravan_address_history, <<"n.test">>)],
    ?assertEqual(16, length(Failures)).

without_the_table_all_addresses_are_good() ->
    ?assertEqual(undefined, ets:whereis(caravan_address_history)),
    failed(?A),
    ok = caravan_address_history:given("n.test", inet, ?A),
    ?assertEqual({good, ?A}, choose([?A])).
