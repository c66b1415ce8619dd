%% The health of topologies that run, are busy or do not run, and how it is formatted.
-module(caravan_cluster_health_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_cluster, [await/3, format_health/1, health/1]).
-import(caravan_test_topology, [put_nodes/2, with/2]).

-define(GUARD_MS, 30000).
-define(A, 'app-4371@n.test').
-define(B, 'app-4372@n.test').

health_test_() ->
    caravan_dns_fixture:tests([
        fun a_topology_that_does_not_run_is_not_ready/1,
        fun a_topology_waits_for_an_answer_and_for_the_expected_nodes/1,
        fun who_waits_for_a_stable_cluster_is_woken/1,
        fun nodes_that_fail_are_named/1,
        fun a_failure_of_dns_and_a_crash_take_no_readiness_away/1,
        fun a_topology_that_has_crashed_is_degraded_if_it_was_ready/1,
        fun a_topology_that_was_stopped_is_not_ready/1,
        fun a_registry_that_is_new_is_told_who_was_ready/1,
        fun a_busy_topology_is_not_waited_for/1,
        fun the_process_of_a_topology_may_ask_why_a_node_is_not_connected/1,
        fun the_process_of_a_topology_may_ask_for_its_health/1
    ]).

options(Server, Overrides) ->
    maps:merge(maps:merge(caravan_test_topology:options(Server), caravan_test_peers:options(caravan_test_peers:new())), Overrides).

pid() -> whereis('caravan_cluster.test_topology').

a_topology_that_does_not_run_is_not_ready(_Server) ->
    [
        ?assertEqual({not_ready, [not_running]}, health(Name))
     || Name <- [nobody, list_to_atom(lists:duplicate(255, $a)), "app"]
    ].

a_topology_waits_for_an_answer_and_for_the_expected_nodes(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", srv, servfail),
    with(options(Server, #{expect => 2}), fun() ->
        _ = caravan_test_topology:await(test_topology, last_lookup, {failed, servfail}),
        {not_ready, Reasons} = health(test_topology),
        ?assertEqual([{too_few_nodes, #{expected => 2, connected => 0}}, no_answer, {lookup_failed, servfail}], Reasons),
        ?assertEqual({error, timeout}, await(test_topology, ready, 0)),
        put_nodes(Server, [4371, 4372]),
        ?assertEqual({ok, [?A, ?B]}, await(test_topology, ready, ?GUARD_MS)),
        ?assertEqual({degraded, [not_listed]}, health(test_topology)),
        ?assertEqual({ok, [?A, ?B]}, await(test_topology, ready, 0))
    end).

%% Nothing else happens until the time is over.
who_waits_for_a_stable_cluster_is_woken(Server) ->
    put_nodes(Server, [4371]),
    with(options(Server, #{stable_for => 300, poll_interval => 3600000}), fun() ->
        {not_ready, _} = health(test_topology),
        ?assertEqual({ok, [?A]}, await(test_topology, ready, ?GUARD_MS)),
        ?assertEqual({degraded, [not_listed]}, health(test_topology))
    end).

nodes_that_fail_are_named(Server) ->
    Peers = caravan_test_peers:new(),
    ok = caravan_test_peers:refuse({?B, false}, Peers),
    put_nodes(Server, [4371, 4372]),
    with(options(Server, caravan_test_peers:options(Peers)), fun() ->
        {ok, [?A]} = await(test_topology, 1, ?GUARD_MS),
        Failing = fun() -> lists:keymember(nodes_failing, 1, reasons(health(test_topology))) end,
        ok = caravan_dns_fixture:await_value(true, Failing),
        {degraded, Reasons} = health(test_topology),
        ?assertMatch({_, #{?B := #{reason := {result, false}}}}, lists:keyfind(nodes_failing, 1, Reasons)),
        ?assertEqual({partly_connected, #{wanted => 2, connected => 1}}, lists:keyfind(partly_connected, 1, Reasons))
    end).

reasons(ok) -> [];
reasons({_Verdict, Reasons}) -> [Reason || Reason <- Reasons, is_tuple(Reason)].

a_failure_of_dns_and_a_crash_take_no_readiness_away(Server) ->
    put_nodes(Server, [4371]),
    {ok, First} = caravan_cluster:start(options(Server, #{expect => {fraction, 1}})),
    {ok, [?A]} = await(test_topology, ready, ?GUARD_MS),
    ok = caravan_dns_server:put(Server, "app.test", srv, servfail),
    _ = caravan_test_topology:await(test_topology, last_lookup, {failed, servfail}),
    ?assertEqual({degraded, [{lookup_failed, servfail}]}, health(test_topology)),
    true = exit(First, kill),
    IsAnother = fun() -> is_pid(pid()) andalso pid() =/= First end,
    ok = caravan_dns_fixture:await_value(true, IsAnother),
    {ok, [?A]} = await(test_topology, ready, ?GUARD_MS),
    _ = caravan_test_topology:await(test_topology, last_lookup, {failed, servfail}),
    ?assertEqual({degraded, [{lookup_failed, servfail}]}, health(test_topology)),
    ok = caravan_cluster:stop(test_topology).

kill(Pid) ->
    Monitor = monitor(process, Pid),
    true = unlink(Pid),
    true = exit(Pid, kill),
    receive
        {'DOWN', Monitor, process, Pid, killed} -> ok
    end.

a_topology_that_has_crashed_is_degraded_if_it_was_ready(Server) ->
    put_nodes(Server, [4371]),
    {ok, NotReady} = caravan_cluster:start_link(options(Server, #{expect => 2})),
    {ok, _} = await(test_topology, 1, ?GUARD_MS),
    ok = kill(NotReady),
    ?assertEqual({not_ready, [not_running]}, health(test_topology)),
    {ok, Ready} = caravan_cluster:start_link(options(Server, #{})),
    {ok, _} = await(test_topology, ready, ?GUARD_MS),
    ok = kill(Ready),
    ?assertEqual({degraded, [not_running]}, health(test_topology)),
    ok = caravan_topology_registry:withdraw(test_topology).

a_topology_that_was_stopped_is_not_ready(Server) ->
    put_nodes(Server, [4371]),
    {ok, _} = caravan_cluster:start(options(Server, #{})),
    {ok, _} = await(test_topology, ready, ?GUARD_MS),
    ok = caravan_cluster:stop(test_topology),
    ?assertEqual({not_ready, [not_running]}, health(test_topology)).

%% As after a restart of the application.
a_registry_that_is_new_is_told_who_was_ready(Server) ->
    put_nodes(Server, [4371]),
    {ok, Pid} = caravan_cluster:start_link(options(Server, #{})),
    {ok, _} = await(test_topology, ready, ?GUARD_MS),
    true = ets:delete(caravan_topology_registry, {ready, test_topology}),
    ok = caravan_topology:renew(),
    _ = caravan_cluster:status(test_topology),
    ok = kill(Pid),
    ?assertEqual({degraded, [not_running]}, health(test_topology)),
    ok = caravan_topology_registry:withdraw(test_topology).

a_busy_topology_is_not_waited_for(Server) ->
    put_nodes(Server, [4371]),
    with(options(Server, #{expect => 1}), fun() ->
        ok = sys:suspend(pid()),
        ?assertEqual({not_ready, [unresponsive]}, health(test_topology)),
        ok = sys:resume(pid()),
        {ok, _} = await(test_topology, ready, ?GUARD_MS),
        ok = sys:suspend(pid()),
        ?assertEqual({degraded, [unresponsive]}, health(test_topology)),
        ok = sys:resume(pid()),
        %% No late answer is left in the mailbox.
        _ = caravan_cluster:status(test_topology),
        receive
            {Late, Reply} when is_reference(Late); is_list(Late) -> error(Reply)
        after 0 -> ok
        end
    end).

%% Handlers of telemetry events do this.
the_process_of_a_topology_may_ask_for_its_health(Server) ->
    put_nodes(Server, []),
    Test = self(),
    with(options(Server, #{}), fun() ->
        {ok, []} = await(test_topology, ready, ?GUARD_MS),
        _ = sys:replace_state(pid(), fun(State) -> Test ! {own, health(test_topology)}, State end),
        ?assertEqual({own, {degraded, [{no_records, nodata}]}}, receive Message -> Message end)
    end).

the_process_of_a_topology_may_ask_why_a_node_is_not_connected(Server) ->
    Test = self(),
    with(options(Server, #{}), fun() ->
        ok = caravan_cluster:exclude(test_topology, 'app-4371@n.test', ?GUARD_MS),
        _ = sys:replace_state(pid(), fun(State) -> Test ! {why, caravan_cluster:why('app-4371@n.test')}, State end),
        ?assertMatch({why, #{result := {excluded, test_topology}}}, receive Message -> Message end)
    end).

%% Options

bad_options_test_() ->
    {setup, fun caravan_nif:load/0, [
        ?_assertMatch(
            {error, {bad_option, Key, Value, [_ | _]}},
            caravan_cluster:check_options(#{name => a, query => "app.test", node_basename => "app", Key => Value})
        )
     || {Key, Values} <- [
            {expect, [-1, 10001, 1.0, all, {fraction, 0}, {fraction, 1.01}, {fraction, "1"}, {half, 0.5}]},
            {stable_for, [-1, 3600001, 1.5, infinity]}
        ],
        Value <- Values
    ]}.

%% Texts

every_reason_has_words_of_its_own_test_() ->
    [
        {lists:flatten(io_lib:format("~0p", [Reason])), fun() ->
            Line = format_health({not_ready, [Reason]}),
            ?assertEqual({match, Line}, {re:run(Line, "^not ready: [^\n{}#]+$", [unicode, {capture, none}]), Line}),
            [?assertNotEqual({nomatch, Line}, {string:find(Line, Fact), Line}) || Fact <- Facts]
        end}
     || {Reason, Facts} <- [
            {not_distributed, []},
            {{too_few_nodes, #{expected => 3, connected => 1}}, ["1 other node is", "3 are"]},
            {no_answer, []},
            {{unstable, #{stable_for => 5000, left => 1234}}, ["5000", "1234"]},
            {not_running, []},
            {unresponsive, []},
            {{lookup_failed, timeout}, ["timeout"]},
            {{no_records, nxdomain}, ["nxdomain"]},
            {{old_answer, #{age => 90000, limit => 60000}}, ["90 s"]},
            {not_listed, []},
            {incomplete_answer, []},
            {{names_refused, #{invalid => 2, unresolved => 1}}, ["2 invalid", "1 unresolved"]},
            {{isolated, #{wanted => 4}}, ["4"]},
            {{partly_connected, #{wanted => 4, connected => 1}}, ["1 of 4", "is connected"]},
            {{nodes_failing, #{?A => failing({unreachable, econnrefused, {{127, 0, 0, 1}, 4370}}), ?B => failing(timeout)}},
                ["app-4371@n.test (unreachable, econnrefused)", "app-4372@n.test (timeout)"]},
            {{flapping, #{?A => failing(lost_soon)}}, ["app-4371@n.test (2)"]}
        ]
    ].

failing(Reason) -> #{count => 2, reason => Reason, retry_in => 100}.

the_words_of_a_health_are_one_line_test() ->
    ?assertEqual(<<"ok">>, format_health(ok)),
    ?assertEqual(
        <<"degraded: DNS does not list this node; the last lookup has failed (timeout)">>,
        format_health({degraded, [not_listed, {lookup_failed, timeout}]})
    ).

%% A term that a user's function or client raised may contain a token, and a name comes from the other node.
what_others_say_is_in_no_line_test_() ->
    [
        {lists:flatten(io_lib:format("~0p", [Reason])), fun() ->
            [?assertEqual({nomatch, Text}, {string:find(Text, "secret"), Text}) || Text <- texts({degraded, [Reason]})]
        end}
     || Reason <- [
            {lookup_failed, {client, {raised, "secret"}}},
            {lookup_failed, {bad_option, nameservers, "secret", "others"}},
            {nodes_failing, #{?A => failing({raised, {error, "secret"}})}},
            {nodes_failing, #{?A => failing({result, secret})}},
            {nodes_failing, #{?A => failing({other_name, <<"secret\r\n">>})}}
        ]
    ].

texts(Health) ->
    [format_health(Health), iolist_to_binary(caravan_json:encode(caravan_health_report:health_json(Health)))].

of_many_nodes_some_are_named_test() ->
    Nodes = maps:from_list([{list_to_atom("app@" ++ integer_to_list(Number)), failing(timeout)} || Number <- lists:seq(1, 500)]),
    Line = format_health({degraded, [{nodes_failing, Nodes}]}),
    ?assert(byte_size(Line) < 200),
    ?assertNotEqual(nomatch, string:find(Line, "and 495 more")).

a_name_with_a_newline_is_one_line_test() ->
    Line = format_health({degraded, [{nodes_failing, #{'app@x\r\nok' => failing(timeout)}}]}),
    ?assertEqual(<<"degraded: cannot connect to app@x??ok (timeout)">>, Line).
