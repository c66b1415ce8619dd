%% What a topology says, to telemetry and in the log.
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

%% A module `telemetry' that passes its events on to the test.
with_telemetry(Body, Test) ->
    ok = persistent_term:put(?MODULE, self()),
    Source = "-module(telemetry). -export([execute/3]). execute(Event, Measurements, Metadata) -> " ++ Body ++ ".",
    {ok, Tokens, _} = erl_scan:string(Source),
    Forms = [form(Form) || Form <- forms(Tokens, [])],
    {ok, telemetry, Beam} = compile:forms(Forms, []),
    {module, telemetry} = code:load_binary(telemetry, "telemetry.beam", Beam),
    try
        Test()
    after
        true = code:delete(telemetry),
        _ = code:purge(telemetry),
        persistent_term:erase(?MODULE)
    end.

forms([], []) -> [];
forms([{dot, _} = Dot | Tokens], Form) -> [lists:reverse([Dot | Form]) | forms(Tokens, [])];
forms([Token | Tokens], Form) -> forms(Tokens, [Token | Form]).

form(Tokens) ->
    {ok, Form} = erl_parse:parse_form(Tokens),
    Form.

with_telemetry(Test) ->
    Send = "persistent_term:get(" ++ ?MODULE_STRING ++ ") ! {telemetry, Event, Measurements, Metadata}, ok",
    with_telemetry(Send, Test).

%% The first event of that name, with some metadata; others go.
await_event(Event, Expected) ->
    receive
        {telemetry, Event, Measurements, Metadata} ->
            case maps:with(maps:keys(Expected), Metadata) of
                Expected -> {Measurements, Metadata};
                _ -> await_event(Event, Expected)
            end
    after ?GUARD_MS -> error({no_event, Event, Expected})
    end.

%% Handlers run in the process of the topology.
a_handler_may_ask_for_the_status(Server) ->
    put_nodes(Server, [4371]),
    Send = "persistent_term:get(" ++ ?MODULE_STRING ++ ") ! "
        "{telemetry, Event, Measurements, Metadata#{status => caravan_cluster:status(test_topology)}}, ok",
    with_telemetry(Send, fun() ->
        with_topology(Server, #{}, fun(_Peers) ->
            {_, #{status := Status}} = await_event([caravan, cluster, node_up], #{node => ?A}),
            ?assertMatch(#{wanted := [?A], connected := [?A]}, Status)
        end)
    end).

lookups_are_events(Server) ->
    put_nodes(Server, [4371]),
    with_telemetry(fun() ->
        with_topology(Server, #{}, fun(_Peers) ->
            {Measurements, Metadata} = await_event([caravan, lookup, stop], #{outcome => fresh}),
            ?assertMatch(#{duration := Duration, endpoints := 1} when Duration > 0, Measurements),
            ?assertMatch(#{topology := test_topology, query := <<"app.test">>, record := srv}, Metadata),
            ok = caravan_dns_server:put(Server, "app.test", srv, servfail),
            {#{endpoints := 0}, _} = await_event([caravan, lookup, stop], #{outcome => failed, reason => servfail}),
            ok = caravan_dns_server:put(Server, "app.test", srv, nxdomain),
            await_event([caravan, lookup, stop], #{outcome => empty, reason => nxdomain})
        end)
    end).

connections_are_events(Server) ->
    Peers = caravan_test_peers:new(),
    ok = caravan_test_peers:refuse({'app-4372@n.test', false}, Peers),
    put_nodes(Server, [4371, 4372]),
    with_telemetry(fun() ->
        with_topology(Server, caravan_test_peers:options(Peers), fun(_) ->
            Event = [caravan, cluster, connect],
            {#{duration := _}, _} = await_event(Event, #{topology => test_topology, node => ?A, result => ok}),
            Failed = #{topology => test_topology, node => 'app-4372@n.test', result => error, reason => {result, false}},
            await_event(Event, Failed)
        end)
    end).

members_are_events(Server) ->
    put_nodes(Server, [4371]),
    with_telemetry(fun() ->
        with_topology(Server, #{}, fun(Peers) ->
            ?assertMatch({#{connected := 1}, _}, await_event([caravan, cluster, node_up], #{node => ?A})),
            ok = caravan_test_peers:lose({?A, test_topology}, Peers),
            Down = #{topology => test_topology, node => ?A, reason => connection_closed},
            ?assertMatch({#{connected := 0}, _}, await_event([caravan, cluster, node_down], Down))
        end)
    end).

a_change_of_what_is_wanted_is_an_event(Server) ->
    put_nodes(Server, [4371]),
    with_telemetry(fun() ->
        with_topology(Server, #{}, fun(_Peers) ->
            Event = [caravan, cluster, change],
            ?assertMatch({#{wanted := 1, added := 1, removed := 0}, _}, await_event(Event, #{added => [?A], removed => []})),
            put_nodes(Server, [4372]),
            await_event(Event, #{added => ['app-4372@n.test'], removed => [?A]})
        end)
    end).

a_disconnect_is_an_event(Server) ->
    put_nodes(Server, [4371]),
    with_telemetry(fun() ->
        with_topology(Server, #{prune => true, prune_after => 1000, prune_max_fraction => 1}, fun(_Peers) ->
            _ = await_event([caravan, cluster, node_up], #{node => ?A}),
            put_nodes(Server, [4372]),
            {#{absent_ms := Absent}, _} = await_event([caravan, cluster, disconnect], #{node => ?A, result => true}),
            ?assert(Absent >= 1000)
        end)
    end).

refused_names_are_an_event_once(Server) ->
    put_nodes(Server, [4371, 4372]),
    with_telemetry(fun() ->
        with_topology(Server, #{max_nodes => 1}, fun(_Peers) ->
            Event = [caravan, cluster, names_refused],
            ?assertMatch({#{count := 1}, _}, await_event(Event, #{topology => test_topology, reason => max_nodes})),
            [_ = await_event([caravan, lookup, stop], #{outcome => fresh}) || _ <- [1, 2]],
            ?assertEqual(none, receive {telemetry, Event, _, _} -> again after 0 -> none end)
        end)
    end).

a_telemetry_that_fails_disturbs_nobody(Server) ->
    put_nodes(Server, [4371]),
    with_telemetry("error({Event, Measurements, Metadata})", fun() ->
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

%% Two more polls after one that is under way.
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
            ?assertMatch(
                [#{event := connect_failed, node := ?A, reason := {result, false}}],
                [Report || {warning, Report} <- logged()]
            )
        end)
    end).

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
