%% The topologies of the application: what happens after a crash, and after a change of the configuration.
-module(caravan_topologies_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_log, [next_report/0]).
-import(caravan_test_topology, [await/3, put_nodes/2]).

-define(GUARD_MS, 30000).
-define(A, 'app-4371@n.test').
-define(B, 'app-4372@n.test').

topologies_test_() ->
    caravan_dns_fixture:tests([
        fun a_crash_keeps_the_last_good_answer/1,
        fun a_crash_keeps_the_subscribers_and_tells_them/1,
        fun a_crash_loop_is_backed_off_and_ends_nothing/1,
        fun one_that_waits_for_its_restart_can_be_stopped/1,
        fun what_a_topology_wanted_before_it_crashed_is_not_pruned_by_another/1,
        fun one_that_a_supervisor_stops_leaves_nothing/1,
        fun one_that_waits_gives_way_to_one_of_its_name/1,
        fun unknown_calls_and_casts_crash_nothing/1,
        fun a_reload_makes_the_topologies_as_they_are_configured/1,
        fun one_bad_entry_leaves_the_others/1,
        fun an_entry_that_has_become_bad_leaves_its_topology/1,
        fun a_reload_takes_back_a_change/1,
        fun the_keeper_of_topologies_may_crash/1,
        fun a_topology_of_a_supervisor_is_known_to_an_application_that_starts_again/1
    ]).

start(Server, Overrides) ->
    Options = maps:merge(maps:merge(caravan_test_topology:options(Server), caravan_test_peers:options(caravan_test_peers:new())), Overrides),
    {ok, Pid} = caravan_cluster:start(Options),
    Pid.

kill(Name) ->
    Registered = list_to_atom("caravan_cluster." ++ atom_to_list(Name)),
    Pid = whereis(Registered),
    Monitor = monitor(process, Pid),
    true = exit(Pid, kill),
    receive
        {'DOWN', Monitor, process, Pid, killed} -> ok
    end.

await_up(Name) ->
    caravan_dns_fixture:await_value(true, fun() -> lists:member(Name, caravan_cluster:topologies()) end).

a_crash_keeps_the_last_good_answer(Server) ->
    put_nodes(Server, [4371]),
    _ = start(Server, #{}),
    _ = await(test_topology, wanted, [?A]),
    ok = caravan_dns_server:put(Server, "app.test", srv, servfail),
    ok = kill(test_topology),
    ok = await_up(test_topology),
    ?assertMatch(#{wanted := [?A]}, await(test_topology, last_lookup, {failed, servfail})),
    ok = caravan_cluster:stop(test_topology),
    %% A topology that is stopped leaves no state.
    _ = start(Server, #{}),
    ?assertMatch(#{wanted := []}, await(test_topology, last_lookup, {failed, servfail})),
    ok = caravan_cluster:stop(test_topology).

a_crash_keeps_the_subscribers_and_tells_them(Server) ->
    put_nodes(Server, []),
    _ = start(Server, #{}),
    {ok, []} = caravan_cluster:subscribe(test_topology),
    ok = kill(test_topology),
    ?assertEqual(restarted, next_message()),
    put_nodes(Server, [4371]),
    ?assertEqual({up, ?A}, next_message()),
    ok = caravan_cluster:unsubscribe(test_topology),
    ok = kill(test_topology),
    ok = await_up(test_topology),
    ok = caravan_cluster:stop(test_topology),
    receive
        {caravan_cluster, _, _} = Message -> error(Message)
    after 0 -> ok
    end.

next_message() ->
    receive
        {caravan_cluster, test_topology, Message} -> Message
    after ?GUARD_MS -> error(no_message)
    end.

%% The supervisor of the application allows 10 restarts in 10 s.
a_crash_loop_is_backed_off_and_ends_nothing(Server) ->
    put_nodes(Server, []),
    caravan_test_log:with_reports(error, fun() ->
        _ = start(Server, #{}),
        _ = start(Server, #{name => another}),
        ok = kill(test_topology),
        ?assertMatch(#{topology := test_topology, crashes := 1, restart_in := 0}, next_report()),
        ok = await_up(test_topology),
        ok = kill(test_topology),
        #{crashes := 2, restart_in := After} = next_report(),
        ?assert(After > 0),
        ?assertEqual([another], caravan_cluster:topologies()),
        ok = caravan_cluster:stop(another),
        ok = caravan_cluster:stop(test_topology)
    end),
    ?assertNotEqual(undefined, whereis(caravan_sup)).

one_that_waits_for_its_restart_can_be_stopped(Server) ->
    _ = start(Server, #{}),
    ok = kill(test_topology),
    ok = await_up(test_topology),
    ok = kill(test_topology),
    ?assertEqual([], caravan_cluster:topologies()),
    ?assertEqual(ok, caravan_cluster:stop(test_topology)),
    ?assertEqual({error, not_found}, caravan_cluster:stop(test_topology)).

what_a_topology_wanted_before_it_crashed_is_not_pruned_by_another(Server) ->
    put_nodes(Server, [4371]),
    _ = start(Server, #{}),
    _ = await(test_topology, wanted, [?A]),
    ok = kill(test_topology),
    ok = await_up(test_topology),
    ok = kill(test_topology),
    ?assert(lists:member(?A, caravan_topology_registry:listed_elsewhere())),
    ok = caravan_cluster:stop(test_topology),
    ?assertNot(lists:member(?A, caravan_topology_registry:listed_elsewhere())).

%% The calling process acts as the supervisor.
one_that_a_supervisor_stops_leaves_nothing(Server) ->
    put_nodes(Server, [4371]),
    Options = maps:merge(caravan_test_topology:options(Server), caravan_test_peers:options(caravan_test_peers:new())),
    {ok, Pid} = caravan_cluster:start_link(Options),
    _ = await(test_topology, wanted, [?A]),
    ?assert(lists:member(?A, caravan_topology_registry:listed_elsewhere())),
    Monitor = monitor(process, Pid),
    true = unlink(Pid),
    true = exit(Pid, shutdown),
    receive
        {'DOWN', Monitor, process, Pid, shutdown} -> ok
    end,
    ?assertNot(lists:member(?A, caravan_topology_registry:listed_elsewhere())).

one_that_waits_gives_way_to_one_of_its_name(Server) ->
    put_nodes(Server, [4371]),
    caravan_test_log:with_reports(error, fun() ->
        _ = start(Server, #{}),
        ok = kill(test_topology),
        ok = await_up(test_topology),
        ok = kill(test_topology),
        {ok, Pid} = caravan_cluster:start_link(caravan_test_topology:options(Server)),
        _ = await(test_topology, wanted, [?A]),
        [#{event := topology_crashed} = next_report() || _ <- [1, 2]],
        ?assertMatch(#{event := topology_not_started, reason := {already_started, Pid}}, next_report()),
        ?assertEqual({error, not_found}, caravan_cluster:stop(test_topology)),
        ?assertEqual([test_topology], caravan_cluster:topologies()),
        ok = gen_server:stop(Pid)
    end).

configured(Server, Overrides) ->
    Options = maps:merge(caravan_test_topology:options(Server), caravan_test_peers:options(caravan_test_peers:new())),
    maps:remove(name, maps:merge(Options, Overrides)).

an_entry_that_has_become_bad_leaves_its_topology(Server) ->
    put_nodes(Server, [4371]),
    Good = configured(Server, #{}),
    ok = application:set_env(caravan, topologies, [{test_topology, Good}]),
    try
        caravan_test_log:with_reports(error, fun() ->
            ok = caravan_cluster:reload(),
            _ = await(test_topology, wanted, [?A]),
            Pid = whereis('caravan_cluster.test_topology'),
            ok = application:set_env(caravan, topologies, [{test_topology, Good#{pol_interval => 1}}]),
            ok = caravan_cluster:reload(),
            ?assertMatch(#{event := bad_topology, topology := test_topology}, next_report()),
            ok = application:set_env(caravan, topologies, #{}),
            ok = caravan_cluster:reload(),
            ?assertMatch(#{event := bad_topologies}, next_report()),
            ?assertEqual(Pid, whereis('caravan_cluster.test_topology')),
            ok = application:set_env(caravan, topologies, []),
            ok = caravan_cluster:reload(),
            ?assertEqual(undefined, whereis('caravan_cluster.test_topology'))
        end)
    after
        ok = application:unset_env(caravan, topologies),
        ok = caravan_cluster:reload()
    end.

a_reload_takes_back_a_change(Server) ->
    Options = configured(Server, #{}),
    ok = application:set_env(caravan, topologies, [{test_topology, Options}]),
    try
        ok = caravan_cluster:reload(),
        ok = caravan_cluster:change(test_topology, Options#{query => "another.test"}),
        ?assertMatch(#{query := <<"another.test">>}, caravan_cluster:status(test_topology)),
        ok = caravan_cluster:reload(),
        ?assertMatch(#{query := <<"app.test">>}, caravan_cluster:status(test_topology))
    after
        ok = application:unset_env(caravan, topologies),
        ok = caravan_cluster:reload()
    end.

%% The process that restarts crashed topologies.
the_keeper_of_topologies_may_crash(Server) ->
    put_nodes(Server, [4371]),
    Pid = start(Server, #{}),
    _ = await(test_topology, wanted, [?A]),
    {ok, _} = caravan_cluster:subscribe(test_topology),
    Keeper = whereis(caravan_topologies),
    true = exit(Keeper, kill),
    Successor = fun() -> whereis(caravan_topologies) end,
    _ = caravan_dns_fixture:await_value(true, fun() -> is_pid(Successor()) andalso Successor() =/= Keeper end),
    ?assertEqual({error, {already_started, Pid}}, caravan_cluster:start((caravan_test_topology:options(Server)))),
    ?assertMatch(#{wanted := [?A]}, caravan_cluster:status(test_topology)),
    %% It restarts the topology with the same options.
    ok = kill(test_topology),
    ?assertEqual(restarted, next_restart()),
    ok = await_up(test_topology),
    ok = caravan_cluster:unsubscribe(test_topology),
    ok = caravan_cluster:stop(test_topology).

next_restart() ->
    case next_message() of
        restarted -> restarted;
        _Node -> next_restart()
    end.

%% The registry ends with the application.
a_topology_of_a_supervisor_is_known_to_an_application_that_starts_again(_Server) ->
    Peers = caravan_test_peers:options(caravan_test_peers:new()),
    {ok, Pid} = caravan_cluster:start_link(maps:merge(Peers, #{name => test_topology, nodes => [?A]})),
    ok = application:stop(caravan),
    ok = application:start(caravan),
    _ = caravan_dns_fixture:await_value([test_topology], fun() -> caravan_cluster:topologies() end),
    ?assert(lists:member(?A, caravan_topology_registry:listed_elsewhere())),
    ok = gen_server:stop(Pid).

unknown_calls_and_casts_crash_nothing(Server) ->
    Pid = start(Server, #{}),
    [
        begin
            ?assertEqual({error, unknown_request}, gen_server:call(Process, unknown)),
            ok = gen_server:cast(Process, unknown),
            _ = [Process ! Message || Message <- [unknown, {'DOWN', make_ref(), process, self(), crashed}, {timeout, make_ref(), {restart, nobody}}]],
            ?assertEqual({error, unknown_request}, gen_server:call(Process, unknown))
        end
     || Process <- [Pid, caravan_topologies]
    ],
    ok = caravan_cluster:stop(test_topology).

a_reload_makes_the_topologies_as_they_are_configured(Server) ->
    put_nodes(Server, [4371]),
    Options = maps:merge(maps:remove(name, caravan_test_topology:options(Server)), caravan_test_peers:options(caravan_test_peers:new())),
    Reload = fun(Topologies) ->
        ok = application:set_env(caravan, topologies, Topologies),
        ok = caravan_app:config_change([{topologies, Topologies}], [], [])
    end,
    _ = start(Server, #{name => callers}),
    Reload([{one, Options}, {two, Options}]),
    ?assertEqual([callers, one, two], caravan_cluster:topologies()),
    _ = await(one, wanted, [?A]),
    Pid = whereis('caravan_cluster.one'),
    Reload([{one, Options#{node_basename => "other"}}, {three, Options}]),
    ?assertEqual([callers, one, three], caravan_cluster:topologies()),
    ?assertEqual(Pid, whereis('caravan_cluster.one')),
    _ = await(one, wanted, ['other-4371@n.test']),
    ok = application:unset_env(caravan, topologies),
    ok = caravan_cluster:reload(),
    ?assertEqual([callers], caravan_cluster:topologies()),
    ok = caravan_cluster:stop(callers).

one_bad_entry_leaves_the_others(Server) ->
    Options = maps:to_list(maps:remove(name, caravan_test_topology:options(Server))),
    Long = list_to_atom(lists:duplicate(240, $a)),
    caravan_test_log:with_reports(error, fun() ->
        [
            begin
                ok = application:set_env(caravan, topologies, [{good, Options}, Bad, {good_too, Options}]),
                ok = caravan_cluster:reload(),
                ?assertMatch(#{event := bad_topology, error := {bad_option, {Key, environment}, _, [_ | _]}}, next_report()),
                ?assertEqual([good, good_too], caravan_cluster:topologies())
            end
         || {Key, Bad} <- [
                {topologies, {good, Options}},
                {options, {bad, [{query, "app.test"} | improper]}},
                {topologies, {"bad", Options}},
                {topologies, bad},
                {topologies, {bad, 5}},
                {name, {Long, Options}},
                {node_basename, {bad, lists:keystore(node_basename, 1, Options, {node_basename, nil})}},
                {node_basename, {bad, lists:keystore(node_basename, 1, Options, {node_basename, undefined})}},
                {query, {bad, [{query, "app.test"} | Options]}}
            ]
        ]
    end),
    ok = application:unset_env(caravan, topologies),
    ok = caravan_cluster:reload().

every_event_has_a_line_that_names_its_facts_test_() ->
    [
        {atom_to_list(Event), fun() ->
            ok = caravan_test_log:assert_line(caravan_topologies, Facts#{event => Event}, Named)
        end}
     || {Event, Facts, Named} <- [
            {topology_crashed, #{topology => app, reason => killed, crashes => 3, restart_in => 1700}, [app, 3, 1700]},
            {topology_not_started, #{topology => app, reason => {already_started, self()}}, [app, already_started]},
            {bad_topology, #{topology => none, error => {bad_option, topologies, x, "something"}}, [topologies, x, "something"]}
        ]
    ].
