%% What a topology reports to telemetry and logs.
-module(caravan_cluster_events_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_topology, [put_nodes/2]).

-export([log/2]).

-define(GUARD_MS, 30000).
-define(A, 'app-4371@n.test').

events_test_() ->
    caravan_dns_fixture:tests([
        fun lookups_are_events/1,
        fun connections_are_events/1,
        fun members_are_events/1,
        fun a_change_of_what_is_wanted_is_an_event/1,
        fun a_disconnect_is_an_event/1,
        fun libcluster_has_its_own_events/1,
        fun libcluster_has_its_own_events_of_disconnects/1,
        fun nobody_else_has_those_of_libcluster/1,
        fun refused_names_are_an_event_once/1,
        fun a_telemetry_that_fails_disturbs_nobody/1,
        fun a_handler_may_ask_for_the_status/1,
        fun a_change_is_logged_once_and_a_steady_state_not_at_all/1,
        fun a_failing_node_is_logged_once/1,
        fun log_events_name_their_topology/1,
        fun what_polls_find_is_logged_where_debug_is_on/1
    ]).

options(Server, Peers) ->
    maps:merge(caravan_test_topology:options(Server), caravan_test_peers:options(Peers)).

with_topology(Server, Overrides, Test) ->
    Peers = caravan_test_peers:new(),
    caravan_test_topology:with(maps:merge(options(Server, Peers), Overrides), fun() -> Test(Peers) end).

%% Handlers run in the process of the topology.
a_handler_may_ask_for_the_status(Server) ->
    put_nodes(Server, [4371]),
    Send = "persistent_term:get(caravan_test_telemetry) ! "
        "{telemetry, Event, Measurements, Metadata#{status => caravan_cluster:status(test_topology)}}, ok",
    caravan_test_telemetry:with(Send, fun() ->
        with_topology(Server, #{}, fun(_Peers) ->
            {_, #{status := Status}} = caravan_test_telemetry:await([caravan, cluster, node_up], #{node => ?A}),
            ?assertMatch(#{wanted := [?A], connected := [?A]}, Status)
        end)
    end).

lookups_are_events(Server) ->
    put_nodes(Server, [4371]),
    caravan_test_telemetry:with(fun() ->
        with_topology(Server, #{}, fun(_Peers) ->
            {Measurements, Metadata} = caravan_test_telemetry:await([caravan, lookup, stop], #{outcome => fresh}),
            ?assertMatch(#{duration := Duration, endpoints := 1} when Duration > 0, Measurements),
            ?assertMatch(#{topology := test_topology, query := <<"app.test">>, record := srv}, Metadata),
            ok = caravan_dns_server:put(Server, "app.test", srv, servfail),
            {#{endpoints := 0}, _} = caravan_test_telemetry:await([caravan, lookup, stop], #{outcome => failed, reason => servfail}),
            ok = caravan_dns_server:put(Server, "app.test", srv, nxdomain),
            caravan_test_telemetry:await([caravan, lookup, stop], #{outcome => empty, reason => nxdomain})
        end)
    end).

connections_are_events(Server) ->
    Peers = caravan_test_peers:new(),
    ok = caravan_test_peers:refuse({'app-4372@n.test', false}, Peers),
    put_nodes(Server, [4371, 4372]),
    caravan_test_telemetry:with(fun() ->
        with_topology(Server, caravan_test_peers:options(Peers), fun(_) ->
            Event = [caravan, cluster, connect],
            {#{duration := _}, _} = caravan_test_telemetry:await(Event, #{topology => test_topology, node => ?A, result => ok}),
            Failed = #{topology => test_topology, node => 'app-4372@n.test', result => error, reason => {result, false}},
            caravan_test_telemetry:await(Event, Failed)
        end)
    end).

members_are_events(Server) ->
    put_nodes(Server, [4371]),
    caravan_test_telemetry:with(fun() ->
        with_topology(Server, #{}, fun(Peers) ->
            ?assertMatch({#{connected := 1}, _}, caravan_test_telemetry:await([caravan, cluster, node_up], #{node => ?A})),
            ok = caravan_test_peers:lose({?A, test_topology}, Peers),
            Down = #{topology => test_topology, node => ?A, reason => connection_closed},
            ?assertMatch({#{connected := 0}, _}, caravan_test_telemetry:await([caravan, cluster, node_down], Down))
        end)
    end).

a_change_of_what_is_wanted_is_an_event(Server) ->
    put_nodes(Server, [4371]),
    caravan_test_telemetry:with(fun() ->
        with_topology(Server, #{}, fun(_Peers) ->
            Event = [caravan, cluster, change],
            ?assertMatch({#{wanted := 1, added := 1, removed := 0}, _}, caravan_test_telemetry:await(Event, #{added => [?A], removed => []})),
            put_nodes(Server, [4372]),
            caravan_test_telemetry:await(Event, #{added => ['app-4372@n.test'], removed => [?A]})
        end)
    end).

a_disconnect_is_an_event(Server) ->
    put_nodes(Server, [4371]),
    caravan_test_telemetry:with(fun() ->
        with_topology(Server, #{prune => true, prune_after => 1000, prune_max_fraction => 1}, fun(_Peers) ->
            _ = caravan_test_telemetry:await([caravan, cluster, node_up], #{node => ?A}),
            put_nodes(Server, [4372]),
            {#{absent_ms := Absent}, _} = caravan_test_telemetry:await([caravan, cluster, disconnect], #{node => ?A, result => true}),
            ?assert(Absent >= 1000)
        end)
    end).

%% As libcluster 3.5 emits them, with libcluster's name of the topology.
libcluster_has_its_own_events(Server) ->
    Peers = caravan_test_peers:new(),
    B = 'app-4372@n.test',
    ok = caravan_test_peers:refuse({B, false}, Peers),
    put_nodes(Server, [4371, 4372]),
    caravan_test_telemetry:with(fun() ->
        Options = maps:merge(options(Server, Peers), #{started_by => {libcluster, <<"a text">>}}),
        caravan_test_topology:with(Options, fun() ->
            {Measurements, Metadata} = caravan_test_telemetry:await([libcluster, connect_node, ok], #{node => ?A}),
            ?assertMatch([{duration, Duration}] when Duration >= 0, maps:to_list(Measurements)),
            ?assertEqual(#{node => ?A, topology => <<"a text">>}, Metadata),
            ?assertEqual(
                {#{}, #{node => B, topology => <<"a text">>, reason => unreachable}},
                caravan_test_telemetry:await([libcluster, connect_node, error], #{node => B})
            ),
            ok = caravan_test_peers:refuse({B, ignored}, Peers),
            caravan_test_telemetry:await([libcluster, connect_node, error], #{node => B, reason => not_part_of_network})
        end)
    end).

libcluster_has_its_own_events_of_disconnects(Server) ->
    put_nodes(Server, [4371]),
    caravan_test_telemetry:with(fun() ->
        Prune = #{prune => true, prune_after => 1000, prune_max_fraction => 1, started_by => {libcluster, app}},
        with_topology(Server, Prune, fun(_Peers) ->
            _ = caravan_test_telemetry:await([caravan, cluster, node_up], #{node => ?A}),
            put_nodes(Server, [4372]),
            {Measurements, Metadata} = caravan_test_telemetry:await([libcluster, disconnect_node, ok], #{}),
            ?assertMatch([{duration, Duration}] when Duration >= 0, maps:to_list(Measurements)),
            ?assertEqual(#{node => ?A, topology => app}, Metadata)
        end)
    end),
    Failed = fun(Failure) -> caravan_report:disconnect_failed(?A, Failure, #{started_by => {libcluster, app}}) end,
    caravan_test_telemetry:with(fun() ->
        [
            begin
                ok = Failed(Failure),
                Metadata = #{node => ?A, topology => app, reason => Reason},
                ?assertEqual({#{}, Metadata}, caravan_test_telemetry:await([libcluster, disconnect_node, error], #{}))
            end
         || {Failure, Reason} <- [
                {{result, false}, already_disconnected}, {{result, ignored}, not_part_of_network}, {{result, {no}}, <<"{no}">>},
                {timeout, <<"timeout">>}
            ]
        ]
    end).

nobody_else_has_those_of_libcluster(Server) ->
    put_nodes(Server, [4371]),
    caravan_test_telemetry:with(fun() ->
        with_topology(Server, #{}, fun(_Peers) ->
            _ = caravan_test_telemetry:await([caravan, cluster, node_up], #{node => ?A}),
            ok = caravan_report:disconnect_failed(?A, timeout, #{started_by => caller}),
            ?assertEqual([], [Event || {[libcluster | _], _, _} = Event <- caravan_test_telemetry:received()])
        end)
    end).

refused_names_are_an_event_once(Server) ->
    put_nodes(Server, [4371, 4372]),
    caravan_test_telemetry:with(fun() ->
        with_topology(Server, #{max_nodes => 1}, fun(_Peers) ->
            Event = [caravan, cluster, names_refused],
            ?assertMatch({#{count := 1}, _}, caravan_test_telemetry:await(Event, #{topology => test_topology, reason => max_nodes})),
            [_ = caravan_test_telemetry:await([caravan, lookup, stop], #{outcome => fresh}) || _ <- [1, 2]],
            ?assertEqual(none, receive {telemetry, Event, _, _} -> again after 0 -> none end)
        end)
    end).

a_telemetry_that_fails_disturbs_nobody(Server) ->
    put_nodes(Server, [4371]),
    caravan_test_telemetry:with("error({Event, Measurements, Metadata})", fun() ->
        with_topology(Server, #{}, fun(_Peers) ->
            ?assertEqual({ok, [?A]}, caravan_cluster:await(test_topology, 1, ?GUARD_MS))
        end)
    end).

%% A handler of `logger' that passes the events of topologies on to the test.
log(#{meta := #{caravan_topology := _}} = Event, #{config := Test}) ->
    Test ! {log, Event};
log(_Event, _Config) ->
    ok.

with_log(Test) ->
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, debug),
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => self()}),
    try
        Test()
    after
        ok = logger:remove_handler(?MODULE),
        ok = logger:set_primary_config(level, Level)
    end.

logged() ->
    receive
        {log, Event} -> [entry(Event) | logged()]
    after 0 -> []
    end.

next_logged() ->
    receive
        {log, Event} -> entry(Event)
    after ?GUARD_MS -> error(no_log)
    end.

entry(#{level := Level, msg := {report, #{event := _, topology := test_topology} = Report}}) ->
    {Level, Report}.

%% Waits for the running poll and two more.
await_polls(Server) ->
    ok = caravan_dns_server:reset_queries(Server),
    ok = caravan_dns_server:await_queries(Server, 3, ?GUARD_MS),
    _ = caravan_cluster:status(test_topology),
    ok.

a_change_is_logged_once_and_a_steady_state_not_at_all(Server) ->
    put_nodes(Server, [4371, 4372]),
    with_log(fun() ->
        with_topology(Server, #{}, fun(_Peers) ->
            Nodes = [?A, 'app-4372@n.test'],
            ?assertMatch(
                [
                    {info, #{event := change, wanted := 2, added := Nodes, removed := []}},
                    {notice, #{event := connected, nodes := Nodes, connected := 2}}
                ],
                [next_logged(), next_logged()]
            ),
            await_polls(Server),
            ?assertEqual([], logged()),
            [
                begin
                    ok = caravan_dns_server:put(Server, "app.test", srv, Answer),
                    _ = caravan_test_topology:await(test_topology, last_lookup, Outcome),
                    await_polls(Server),
                    ?assertMatch([{notice, #{event := Event, query := <<"app.test">>}}], logged())
                end
             || {Answer, Outcome, Event} <- [
                    {nxdomain, {empty, nxdomain}, no_records},
                    {[{srv, 0, 1, 1, Port, "n.test"} || Port <- [4371, 4372]], fresh, records_again}
                ]
            ]
        end)
    end).

a_failing_node_is_logged_once(Server) ->
    Peers = caravan_test_peers:new(),
    ok = caravan_test_peers:refuse({?A, false}, Peers),
    put_nodes(Server, [4371]),
    with_log(fun() ->
        with_topology(Server, caravan_test_peers:options(Peers), fun(_) ->
            [?assertEqual({connect, ?A}, caravan_test_peers:await_call()) || _ <- [first, second]],
            await_polls(Server),
            caravan_dns_fixture:await_value(1, fun() -> connect_failures() end),
            await_polls(Server),
            ?assertEqual(0, connect_failures())
        end)
    end).

%% Returns the number of lines since the last call.
connect_failures() ->
    length([Report || {notice, #{event := connect_failed, node := ?A, reason := {result, false}} = Report} <- logged()]).

log_events_name_their_topology(Server) ->
    put_nodes(Server, [4371]),
    with_log(fun() ->
        with_topology(Server, #{}, fun(_Peers) ->
            receive
                {log, #{meta := Meta}} ->
                    ?assertMatch(#{caravan_topology := test_topology}, Meta)
            after ?GUARD_MS -> error(no_log)
            end
        end)
    end).

what_polls_find_is_logged_where_debug_is_on(Server) ->
    put_nodes(Server, [4371]),
    ok = application:set_env(caravan, debug, true),
    try
        with_log(fun() ->
            with_topology(Server, #{}, fun(_Peers) ->
                {ok, [?A]} = caravan_cluster:await(test_topology, 1, ?GUARD_MS),
                await_polls(Server),
                Found = [Report || {debug, Report} <- logged()],
                ?assert(length(Found) > 1),
                ?assertMatch([#{event := found, nodes := [?A]}], lists:usort(Found))
            end)
        end)
    after
        ok = application:unset_env(caravan, debug)
    end.
