-module(caravan_node_names_tests).

-include_lib("eunit/include/eunit.hrl").

names_test_() ->
    {setup, fun caravan_nif:load/0, [
        fun names_are_made_from_port_and_target/0,
        fun a_port_of_zero_matters_where_the_names_have_it/0,
        fun targets_of_consul_and_kubernetes_make_names/0,
        fun a_template_says_what_names_are_like/0,
        fun octets_that_are_no_text_make_no_name/0,
        fun each_basename_gives_a_name/0,
        fun a_record_keeps_the_names_that_are_names/0,
        fun what_makes_no_name_is_left_out_and_counted/0,
        fun an_answer_says_how_long_it_holds_and_whether_it_is_complete/0,
        fun an_error_is_handed_on/0,
        fun names_that_are_no_atoms_are_unknown/0,
        fun hostile_names_cost_less_atoms_than_max_nodes/0,
        fun names_of_one_host_and_port_are_of_one_listener/0,
        fun where_a_record_has_one_name_each_is_a_listener_of_its_own/0
    ]}.

options(Overrides) ->
    {ok, Options} = caravan_topology_options:check(
        maps:merge(#{name => test, query => "app.test", node_basename => "app"}, Overrides)
    ),
    Options.

of_endpoints(Endpoints, Overrides) ->
    of_finding(#{endpoints => Endpoints, ttl => 5, complete => true}, Overrides).

of_finding(Finding, Overrides) ->
    #{queries := [Query]} = Options = options(Overrides),
    {ok, Answer} = caravan_node_names:of_outcome({ok, Finding}, Query, Options),
    Answer.

%% A user's client may return any octets.
octets_that_are_no_text_make_no_name() ->
    Answer = of_endpoints(srv([{4370, <<255, ".test">>}, {4371, <<"n1.test">>}]), #{}),
    ?assertMatch(#{records := [[<<"app-4371@n1.test">>]], invalid := 1}, Answer).

srv(Records) ->
    [#{port => Port, target => Target} || {Port, Target} <- Records].

records_of(Endpoints, Overrides) ->
    #{records := Records} = of_endpoints(Endpoints, Overrides),
    Records.

%% Some registries do not know the port of a service and return 0.
a_port_of_zero_matters_where_the_names_have_it() ->
    Records = srv([{0, <<"n1.test">>}]),
    ?assertEqual([], records_of(Records, #{})),
    ?assertEqual([[<<"app@n1.test">>]], records_of(Records, #{node_name => "{basename}@{target}"})).

%% Each record has its own names; the core handles names that several records share.
names_are_made_from_port_and_target() ->
    ?assertEqual(
        [[<<"app-4372@n2.test">>], [<<"app-4371@n1.test">>], [<<"app-4372@n2.test">>]],
        records_of(srv([{4372, <<"N2.test.">>}, {4371, <<"n1.test">>}, {4372, <<"n2.test">>}]), #{})
    ).

targets_of_consul_and_kubernetes_make_names() ->
    [
        ?assertEqual([[Name]], records_of(srv([{4370, Target}]), #{}))
     || {Name, Target} <- [
            {<<"app-4370@7f000001.addr.dc1.consul">>, <<"7f000001.addr.dc1.consul.">>},
            {<<"app-4370@host.node.dc1.consul">>, <<"host.node.dc1.consul">>},
            {<<"app-4370@app-0.svc.ns.svc.cluster.local">>, <<"app-0.svc.ns.svc.cluster.local">>},
            {<<"app-4370@10-0-0-1.svc.ns.svc.cluster.local">>, <<"10-0-0-1.svc.ns.svc.cluster.local.">>}
        ]
    ].

a_template_says_what_names_are_like() ->
    Endpoint = #{port => 4371, target => <<"n1.test">>, ip => {10, 0, 0, 1}},
    [
        ?assertEqual([[Name]], records_of([Endpoint], #{node_name => Template}))
     || {Template, Name} <- [
            {default, <<"app-4371@n1.test">>},
            {"{basename}@{target}", <<"app@n1.test">>},
            {"{basename}-{port}@{ip}", <<"app-4371@10.0.0.1">>},
            {"x{port}@{ip}", <<"x4371@10.0.0.1">>},
            {"{basename}-4380@{target}", <<"app-4380@n1.test">>}
        ]
    ],
    ?assertEqual([[<<"app@10.0.0.1">>]], records_of([#{ip => {10, 0, 0, 1}}], #{record => a})),
    ?assertEqual([[<<"app@fd00::1">>]], records_of([#{ip => {16#fd00, 0, 0, 0, 0, 0, 0, 1}}], #{record => aaaa})).

each_basename_gives_a_name() ->
    ?assertEqual(
        [[<<"app-4371@n1.test">>, <<"worker-4371@n1.test">>]],
        records_of(srv([{4371, <<"n1.test">>}]), #{node_basename => ["app", worker, <<"app">>]})
    ).

%% A name has at most 255 characters; those with the first basename fit.
a_record_keeps_the_names_that_are_names() ->
    Target = iolist_to_binary(lists:join($., lists:duplicate(4, binary:copy(<<"x">>, 60)))),
    Answer = of_endpoints(srv([{4371, Target}]), #{node_basename => ["a", "much-too-long-for-it"]}),
    ?assertEqual([[<<"a-4371@", Target/binary>>]], maps:get(records, Answer)),
    ?assertMatch(#{invalid := 1}, Answer).

what_makes_no_name_is_left_out_and_counted() ->
    Endpoints = srv([{0, <<"n1.test">>}, {1, <<"n1@test">>}, {1, <<"a b">>}, {1, <<"\\000.test">>}, {1, <<".">>}]),
    ?assertMatch(#{records := [], unknown := [], invalid := 5}, of_endpoints(Endpoints, #{})),
    ?assertMatch(
        #{records := [[<<"app-1@n1.test">>]], invalid := 5}, of_endpoints(Endpoints ++ srv([{1, <<"n1.test">>}]), #{})
    ).

an_answer_says_how_long_it_holds_and_whether_it_is_complete() ->
    ?assertMatch(
        #{ttl := 7, complete := false, unresolved := 2},
        of_finding(#{endpoints => [], ttl => 7, complete => false, unresolved => 2}, #{})
    ),
    ?assertMatch(
        #{ttl := 0, complete := true, unresolved := 0}, of_finding(#{endpoints => [], ttl => 0, complete => true}, #{})
    ).

an_error_is_handed_on() ->
    #{queries := [Query]} = Options = options(#{}),
    [
        ?assertEqual({error, Reason}, caravan_node_names:of_outcome({error, Reason}, Query, Options))
     || Reason <- [nxdomain, nodata, timeout]
    ].

names_that_are_no_atoms_are_unknown() ->
    %% The compiler would remove an atom that is not used.
    _ = put(known, 'app-4371@known.test'),
    Endpoints = srv([{4371, <<"known.test">>}, {4372, <<"known.test">>}]),
    ?assertMatch(
        #{records := [[<<"app-4371@known.test">>], [Unknown]], unknown := [Unknown]}, of_endpoints(Endpoints, #{})
    ).

%% A hundred answers of a thousand names each, all different, processed as a topology does: making names makes no atoms, and
%% only names that the core wants become atoms.
hostile_names_cost_less_atoms_than_max_nodes() ->
    #{queries := [Query]} = Options = options(#{max_nodes => 1000}),
    ForCore = caravan_topology_options:for_core(Options),
    {_, Core} = caravan_topology_core:new(ForCore, [], [], 0, facts()),
    _ = of_endpoints(srv([{2000, <<"warm.hostile">>}]), #{}),
    Before = erlang:system_info(atom_count),
    Outcomes = [
        caravan_node_names:of_outcome({ok, #{endpoints => hostile(N), ttl => 0, complete => true}}, Query, Options)
     || N <- lists:seq(1, 100)
    ],
    ?assertEqual(Before, erlang:system_info(atom_count)),
    Last = lists:foldl(
        fun(Outcome, State) ->
            {Actions, Next} = caravan_topology_core:step({polled, [{Query, Outcome}], 0}, 1, facts(), State),
            _ = [binary_to_atom(Name) || {publish, Names} <- Actions, Name <- Names],
            Next
        end,
        Core,
        Outcomes
    ),
    ?assert(erlang:system_info(atom_count) - Before < 1000),
    ?assertMatch(#{atoms_left := 0, names_refused := 99500}, caravan_topology_core:status(1, Last)).

hostile(N) ->
    Target = <<"h", (integer_to_binary(N))/binary, ".hostile">>,
    srv([{2000 + I, Target} || I <- lists:seq(1, 1000)]).

facts() ->
    #{own => <<"nonode@nohost">>, can_connect => true, elsewhere => [], random => 1}.

names_of_one_host_and_port_are_of_one_listener() ->
    ListenerOf = caravan_node_names:listener_of(options(#{node_basename => [blue, green]})),
    ?assertEqual(ListenerOf(<<"blue-4371@n1.test">>), ListenerOf(<<"green-4371@n1.test">>)),
    ?assertNotEqual(ListenerOf(<<"blue-4371@n1.test">>), ListenerOf(<<"green-4372@n1.test">>)),
    ?assertNotEqual(ListenerOf(<<"blue-4371@n1.test">>), ListenerOf(<<"green-4371@n2.test">>)).

where_a_record_has_one_name_each_is_a_listener_of_its_own() ->
    ?assertEqual(none, caravan_node_names:listener_of(options(#{}))),
    ?assertEqual(
        none, caravan_node_names:listener_of(options(#{node_basename => [blue, green], node_name => "{basename}@{target}"}))
    ).
