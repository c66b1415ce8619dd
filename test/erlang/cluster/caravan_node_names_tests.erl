-module(caravan_node_names_tests).

-include_lib("eunit/include/eunit.hrl").

names_test_() ->
    {setup, fun caravan_nif:load/0, [
        fun names_are_made_from_port_and_target/0,
        fun a_port_of_zero_matters_where_the_names_have_it/0,
        fun targets_of_consul_and_kubernetes_make_names/0,
        fun a_template_says_what_names_are_like/0,
        fun each_basename_gives_a_name/0,
        fun what_makes_no_name_is_left_out_and_counted/0,
        fun one_answer_gives_at_most_max_nodes/0,
        fun a_cut_takes_nobody_away_who_is_connected/0,
        fun several_basenames_do_not_halve_the_limit/0,
        fun hostile_names_cost_less_atoms_than_max_nodes/0,
        fun a_name_that_is_a_node_gives_its_atom_back/0,
        fun known_atoms_cost_nothing/0
    ]}.

options(Overrides) ->
    {ok, Options} = caravan_topology_options:check(
        maps:merge(#{name => test, query => "app.test", node_basename => "app"}, Overrides)
    ),
    Options.

new(Overrides) ->
    caravan_node_names:new(options(Overrides)).

from_endpoints(Endpoints, State) -> caravan_node_names:from_endpoints(Endpoints, [], State).

srv(Records) ->
    [#{port => Port, target => Target} || {Port, Target} <- Records].

nodes_of(Endpoints, Overrides) ->
    {Nodes, _} = from_endpoints(Endpoints, new(Overrides)),
    Nodes.

%% Some registries know no port of a service and say 0.
a_port_of_zero_matters_where_the_names_have_it() ->
    Records = srv([{0, <<"n1.test">>}]),
    ?assertEqual([], nodes_of(Records, #{})),
    ?assertEqual(['app@n1.test'], nodes_of(Records, #{node_name => "{basename}@{target}"})).

names_are_made_from_port_and_target() ->
    ?assertEqual(
        ['app-4371@n1.test', 'app-4372@n2.test'],
        nodes_of(srv([{4372, <<"N2.test.">>}, {4371, <<"n1.test">>}, {4372, <<"n2.test">>}]), #{})
    ).

targets_of_consul_and_kubernetes_make_names() ->
    [
        ?assertEqual([Node], nodes_of(srv([{4370, Target}]), #{}))
     || {Node, Target} <- [
            {'app-4370@7f000001.addr.dc1.consul', <<"7f000001.addr.dc1.consul.">>},
            {'app-4370@host.node.dc1.consul', <<"host.node.dc1.consul">>},
            {'app-4370@app-0.svc.ns.svc.cluster.local', <<"app-0.svc.ns.svc.cluster.local">>},
            {'app-4370@10-0-0-1.svc.ns.svc.cluster.local', <<"10-0-0-1.svc.ns.svc.cluster.local.">>}
        ]
    ].

a_template_says_what_names_are_like() ->
    Endpoint = #{port => 4371, target => <<"n1.test">>, ip => {10, 0, 0, 1}},
    [
        ?assertEqual([Node], nodes_of([Endpoint], #{node_name => Template}))
     || {Template, Node} <- [
            {default, 'app-4371@n1.test'},
            {"{basename}@{target}", 'app@n1.test'},
            {"{basename}-{port}@{ip}", 'app-4371@10.0.0.1'},
            {"x{port}@{ip}", 'x4371@10.0.0.1'},
            {"{basename}-4380@{target}", 'app-4380@n1.test'}
        ]
    ],
    ?assertEqual(['app@10.0.0.1'], nodes_of([#{ip => {10, 0, 0, 1}}], #{record => a})),
    ?assertEqual(['app@fd00::1'], nodes_of([#{ip => {16#fd00, 0, 0, 0, 0, 0, 0, 1}}], #{record => aaaa})).

each_basename_gives_a_name() ->
    ?assertEqual(
        ['app-4371@n1.test', 'worker-4371@n1.test'],
        nodes_of(srv([{4371, <<"n1.test">>}]), #{node_basename => ["app", worker, <<"app">>]})
    ).

what_makes_no_name_is_left_out_and_counted() ->
    Endpoints = srv([{0, <<"n1.test">>}, {1, <<"n1@test">>}, {1, <<"a b">>}, {1, <<"\\000.test">>}, {1, <<".">>}]),
    {[], State} = from_endpoints(Endpoints, new(#{})),
    ?assertMatch(
        #{names_refused := 5, last_refused := #{invalid := 5, max_nodes := 0, atom_budget := 0}},
        caravan_node_names:stats(State)
    ).

one_answer_gives_at_most_max_nodes() ->
    Endpoints = srv([{Port, <<"limit.test">>} || Port <- lists:seq(2000, 2100)]),
    {Nodes, State} = from_endpoints(Endpoints, new(#{max_nodes => 10, atom_budget => 100})),
    ?assertEqual(10, length(Nodes)),
    ?assertMatch(#{last_refused := #{max_nodes := 91, atom_budget := 0}}, caravan_node_names:stats(State)).

a_cut_takes_nobody_away_who_is_connected() ->
    Endpoints = srv([{Port, <<"cut.test">>} || Port <- [2001, 2002, 2003, 2004]]),
    Connected = ['app-2003@cut.test', 'app-2004@cut.test'],
    {Nodes, State} = caravan_node_names:from_endpoints(Endpoints, Connected, new(#{max_nodes => 3})),
    ?assertEqual(['app-2001@cut.test' | Connected], Nodes),
    ?assertMatch(#{last_refused := #{max_nodes := 1}}, caravan_node_names:stats(State)).

%% Of 4 records, all of the basename that sorts last.
several_basenames_do_not_halve_the_limit() ->
    Options = #{max_nodes => 4, atom_budget => 100, node_basename => [blue, green]},
    {Nodes, State} = from_endpoints(srv([{Port, <<"several.test">>} || Port <- [2001, 2002, 2003, 2004]]), new(Options)),
    ?assertEqual(4, length([Node || Node <- Nodes, lists:prefix("green-", atom_to_list(Node))])),
    ?assertMatch(#{last_refused := #{max_nodes := 0}}, caravan_node_names:stats(State)).

%% A hundred answers of a thousand names that no two have in common.
hostile_names_cost_less_atoms_than_max_nodes() ->
    Before = erlang:system_info(atom_count),
    State = lists:foldl(
        fun(N, State) ->
            Target = <<"h", (integer_to_binary(N))/binary, ".hostile">>,
            {_, Next} = from_endpoints(srv([{2000 + I, Target} || I <- lists:seq(1, 1000)]), State),
            Next
        end,
        new(#{max_nodes => 1000}),
        lists:seq(1, 100)
    ),
    ?assert(erlang:system_info(atom_count) - Before < 1000),
    ?assertMatch(#{atoms_left := 0, names_refused := 99500}, caravan_node_names:stats(State)).

a_name_that_is_a_node_gives_its_atom_back() ->
    State0 = new(#{max_nodes => 10, atom_budget => 1}),
    {[Node], State1} = from_endpoints(srv([{4371, <<"n1.back">>}, {4372, <<"n1.back">>}]), State0),
    ?assertMatch(#{atoms_left := 0, last_refused := #{atom_budget := 1}}, caravan_node_names:stats(State1)),
    State2 = caravan_node_names:is_a_node(Node, State1),
    ?assertMatch(#{atoms_left := 1}, caravan_node_names:stats(State2)),
    {Both, State3} = from_endpoints(srv([{4371, <<"n1.back">>}, {4372, <<"n1.back">>}]), State2),
    ?assertEqual(2, length(Both)),
    ?assertMatch(#{atoms_left := 0, last_refused := #{atom_budget := 0}}, caravan_node_names:stats(State3)).

known_atoms_cost_nothing() ->
    {['app-4371@known.test'], State} = from_endpoints(srv([{4371, <<"known.test">>}]), new(#{})),
    ?assertMatch(#{atoms_left := 500, names_refused := 0}, caravan_node_names:stats(State)).
