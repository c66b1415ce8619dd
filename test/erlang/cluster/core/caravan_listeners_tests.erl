-module(caravan_listeners_tests).

-include_lib("eunit/include/eunit.hrl").

-define(OWN, <<"blue-1@own">>).

%% Names with the same host and port and different basenames.
new() -> caravan_listeners:new(fun listener/1).

listener(Name) ->
    [Node, Host] = binary:split(Name, <<"@">>),
    [_Basename, Port] = binary:split(Node, <<"-">>),
    {Host, Port}.

wanted(Names, State) -> caravan_listeners:wanted(Names, State).
up(Name, State) -> caravan_listeners:up(Name, State).
down(Name, State) -> caravan_listeners:down(Name, State).
is_taken(Name, State) -> caravan_listeners:is_taken(Name, ?OWN, State).

names_of_one_listener_are_alternatives_test() ->
    State = wanted([<<"blue-1@x">>, <<"blue-2@x">>, <<"green-1@x">>, <<"green-1@y">>], new()),
    ?assertEqual([<<"blue-1@x">>, <<"green-1@x">>], caravan_listeners:alternatives(<<"green-1@x">>, State)),
    ?assertEqual([<<"green-1@y">>], caravan_listeners:alternatives(<<"green-1@y">>, State)).

a_name_that_is_not_wanted_is_one_of_its_own_alternatives_test() ->
    State = wanted([<<"blue-1@x">>], new()),
    ?assertEqual([<<"blue-1@x">>, <<"red-1@x">>], caravan_listeners:alternatives(<<"red-1@x">>, State)),
    ?assertEqual([<<"red-1@y">>], caravan_listeners:alternatives(<<"red-1@y">>, State)).

what_is_wanted_no_more_is_no_alternative_test() ->
    State = wanted([<<"green-1@x">>], wanted([<<"blue-1@x">>, <<"green-1@x">>], new())),
    ?assertEqual([<<"green-1@x">>], caravan_listeners:alternatives(<<"green-1@x">>, State)).

a_listener_is_taken_while_a_node_is_connected_there_test() ->
    State = wanted([<<"blue-1@x">>, <<"green-1@x">>, <<"blue-2@x">>], new()),
    ?assertNot(is_taken(<<"green-1@x">>, State)),
    Up = up(<<"blue-1@x">>, State),
    ?assert(is_taken(<<"green-1@x">>, Up)),
    ?assertNot(is_taken(<<"blue-2@x">>, Up)),
    ?assertNot(is_taken(<<"green-1@x">>, down(<<"blue-1@x">>, Up))).

%% A node is restarted under another name before the end of the former one is noticed.
a_listener_is_taken_until_the_last_of_its_nodes_has_gone_test() ->
    Both = up(<<"green-1@x">>, up(<<"blue-1@x">>, new())),
    One = down(<<"blue-1@x">>, Both),
    ?assert(is_taken(<<"red-1@x">>, One)),
    ?assertNot(is_taken(<<"red-1@x">>, down(<<"green-1@x">>, One))).

other_wants_leave_taken_what_is_taken_test() ->
    ?assert(is_taken(<<"green-1@x">>, wanted([<<"green-1@x">>], up(<<"blue-1@x">>, new())))).

the_own_listener_is_taken_test() ->
    ?assert(is_taken(<<"green-1@own">>, new())),
    ?assertNot(is_taken(<<"green-2@own">>, new())).

where_each_name_is_a_listener_nothing_is_taken_test() ->
    State = up(<<"blue-1@x">>, wanted([<<"blue-1@x">>, <<"green-1@x">>], caravan_listeners:new(none))),
    ?assertNot(is_taken(<<"green-1@x">>, State)),
    ?assertNot(is_taken(<<"blue-1@x">>, State)),
    ?assertNot(is_taken(<<"green-1@own">>, State)),
    ?assertEqual([<<"blue-1@x">>], caravan_listeners:alternatives(<<"blue-1@x">>, State)),
    ?assertEqual(State, down(<<"blue-1@x">>, State)).
