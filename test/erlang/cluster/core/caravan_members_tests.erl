-module(caravan_members_tests).

-include_lib("eunit/include/eunit.hrl").

-define(A, <<"a@x">>).
-define(B, <<"b@x">>).

new() -> caravan_members:new().

%% A node that is listed and connected.
member(Name, State) ->
    {came, Next} = caravan_members:listed(Name, true, State),
    Next.

a_node_that_is_listed_and_connected_is_a_member_test() ->
    State = member(?A, new()),
    ?assert(caravan_members:is_member(?A, State)),
    ?assertNot(caravan_members:is_member(?B, State)),
    ?assertEqual({same, State}, caravan_members:listed(?A, true, State)),
    ?assertEqual({same, State}, caravan_members:up(?A, true, 0, State)).

a_node_that_is_listed_alone_is_none_until_it_is_connected_test() ->
    {same, State} = caravan_members:listed(?A, false, new()),
    ?assertNot(caravan_members:is_member(?A, State)),
    {came, Up} = caravan_members:up(?A, true, 0, State),
    ?assert(caravan_members:is_member(?A, Up)).

a_node_that_is_connected_alone_is_none_test() ->
    ?assertEqual({same, new()}, caravan_members:up(?A, false, 0, new())).

members_are_sorted_and_counted_test() ->
    State = member(?A, member(?B, new())),
    ?assertEqual([?A, ?B], caravan_members:connected(State)),
    ?assertEqual(2, caravan_members:count(State)),
    ?assertEqual({[], 0}, {caravan_members:connected(new()), caravan_members:count(new())}).

a_connected_node_that_is_not_listed_any_more_stays_a_member_test() ->
    ?assert(caravan_members:is_member(?A, caravan_members:unlisted(?A, 1000, member(?A, new())))).

a_node_goes_once_test() ->
    {went, State} = caravan_members:down(?A, true, 1000, member(?A, new())),
    ?assertNot(caravan_members:is_member(?A, State)),
    ?assertEqual({same, State}, caravan_members:down(?A, true, 1000, State)).

%% A nameserver that returns samples lists a node like this.
one_that_comes_back_by_itself_is_a_member_until_its_time_is_over_test() ->
    [
        begin
            ?assertMatch({came, _}, caravan_members:up(?A, false, 999, State)),
            ?assertMatch({same, _}, caravan_members:up(?A, false, 1000, State))
        end
     || State <- [
            element(2, caravan_members:down(?A, false, 1000, member(?A, new()))),
            caravan_members:unlisted(?A, 1000, new())
        ]
    ].

%% The time counts from when it is not listed any more, and not from when it was lost.
one_that_goes_while_it_is_listed_is_not_remembered_test() ->
    {went, State} = caravan_members:down(?A, true, 1000, member(?A, new())),
    ?assertMatch({same, _}, caravan_members:up(?A, false, 0, State)).

nodes_whose_time_is_over_are_forgotten_test() ->
    State = caravan_members:unlisted(?A, 1000, caravan_members:unlisted(?B, 2000, new())),
    ?assertEqual(State, caravan_members:forget(999, State)),
    ?assertEqual(caravan_members:unlisted(?B, 2000, new()), caravan_members:forget(1000, State)),
    ?assertEqual(new(), caravan_members:forget(2000, State)).

members_are_not_forgotten_test() ->
    State = caravan_members:forget(5000, caravan_members:unlisted(?A, 1000, member(?A, new()))),
    ?assert(caravan_members:is_member(?A, State)).
