-module(caravan_node_names_tests).

-include_lib("eunit/include/eunit.hrl").

names_test_() ->
    {setup, fun caravan_nif:load/0, [
        fun names_are_made_from_port_and_target/0,
        fun records_that_make_no_name_are_left_out/0,
        fun one_answer_gives_at_most_max_nodes/0,
        fun a_life_of_hostile_answers_makes_a_limited_number_of_atoms/0,
        fun known_atoms_cost_nothing/0
    ]}.

answer(Records) ->
    Srv = #{priority => 1, weight => 1, ttl => 0},
    #{
        records => [Srv#{port => Port, target => Target} || {Port, Target} <- Records],
        addresses => #{},
        ttl => 0,
        complete => true
    }.

nodes_of(Records) ->
    {Nodes, _} = caravan_node_names:from_answer(answer(Records), caravan_node_names:new(<<"app">>, 100)),
    Nodes.

names_are_made_from_port_and_target() ->
    ?assertEqual(
        ['app-4371@7f000001.addr.dc1.consul', 'app-4372@n2.test'],
        nodes_of([{4372, <<"N2.test.">>}, {4371, <<"7f000001.addr.dc1.consul">>}, {4372, <<"n2.test">>}])
    ).

records_that_make_no_name_are_left_out() ->
    ?assertEqual([], nodes_of([{0, <<"n1.test">>}, {1, <<"n1@test">>}, {1, <<"a b">>}, {1, <<"\\000.test">>}])).

one_answer_gives_at_most_max_nodes() ->
    Answer = answer([{Port, <<"limit.test">>} || Port <- lists:seq(2000, 2100)]),
    {Nodes, _} = caravan_node_names:from_answer(Answer, caravan_node_names:new(<<"app">>, 10)),
    ?assertEqual(10, length(Nodes)).

%% Ten names of other targets in each answer, a thousand answers; ten times max_nodes may become atoms.
a_life_of_hostile_answers_makes_a_limited_number_of_atoms() ->
    Before = erlang:system_info(atom_count),
    State = lists:foldl(
        fun(N, State) ->
            Hostile = [{2000 + I, <<"h", (integer_to_binary(N))/binary, ".hostile">>} || I <- lists:seq(1, 10)],
            {Nodes, Next} = caravan_node_names:from_answer(answer(Hostile), State),
            ?assert(length(Nodes) =< 10),
            Next
        end,
        caravan_node_names:new(<<"hostile">>, 10),
        lists:seq(1, 1000)
    ),
    ?assertEqual(100, erlang:system_info(atom_count) - Before),
    ?assertEqual(#{atoms_left => 0, names_refused => 9900}, caravan_node_names:stats(State)).

known_atoms_cost_nothing() ->
    _ = 'app-2999@known.test',
    {['app-2999@known.test'], State} =
        caravan_node_names:from_answer(answer([{2999, <<"known.test">>}]), caravan_node_names:new(<<"app">>, 10)),
    ?assertMatch(#{atoms_left := 100, names_refused := 0}, caravan_node_names:stats(State)).
