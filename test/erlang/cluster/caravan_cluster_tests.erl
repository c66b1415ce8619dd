-module(caravan_cluster_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_topology, [options/1, put_nodes/2]).

%% What a topology concludes from DNS. This VM is not distributed, so it connects to no node; caravan_cluster_nodes_tests has
%% real clusters.
cluster_test_() ->
    caravan_dns_fixture:tests([
        fun records_become_wanted_nodes/1,
        fun a_new_record_is_seen_by_the_next_poll/1,
        fun failure_keeps_the_last_good_answer/1,
        fun an_empty_answer_keeps_the_nodes/1,
        fun an_incomplete_answer_only_adds_to_a_complete_one/1,
        fun dns_that_comes_back_is_used_again/1,
        fun configured_topologies_start_with_the_application/1,
        fun configured_nameservers_are_the_default/1,
        fun a_bad_topology_leaves_the_others_running/1,
        fun topologies_of_a_wrong_shape_leave_the_application_running/1,
        fun messages_of_strangers_are_ignored/1
    ]).

with_topology(Server, Test) ->
    caravan_test_topology:with(options(Server), Test).

await(Key, Value) ->
    caravan_test_topology:await(test_topology, Key, Value).

records_become_wanted_nodes(Server) ->
    put_nodes(Server, [4371, 4372]),
    with_topology(Server, fun() ->
        Status = await(wanted, ['app-4371@n.test', 'app-4372@n.test']),
        ?assertMatch(#{name := test_topology, last_lookup := fresh, complete := true, connected := []}, Status)
    end).

a_new_record_is_seen_by_the_next_poll(Server) ->
    put_nodes(Server, [4371]),
    with_topology(Server, fun() ->
        _ = await(wanted, ['app-4371@n.test']),
        put_nodes(Server, [4371, 4372]),
        await(wanted, ['app-4371@n.test', 'app-4372@n.test'])
    end).

failure_keeps_the_last_good_answer(Server) ->
    put_nodes(Server, [4371]),
    with_topology(Server, fun() ->
        _ = await(wanted, ['app-4371@n.test']),
        [
            begin
                ok = caravan_dns_server:put(Server, "app.test", srv, Fault),
                #{wanted := Wanted} = await(last_lookup, {failed, Reason}),
                ?assertEqual(['app-4371@n.test'], Wanted)
            end
         || {Fault, Reason} <- [{servfail, servfail}, {refused, refused}, {drop, timeout}]
        ]
    end).

an_empty_answer_keeps_the_nodes(Server) ->
    put_nodes(Server, [4371]),
    with_topology(Server, fun() ->
        _ = await(wanted, ['app-4371@n.test']),
        ok = caravan_dns_server:put(Server, "app.test", srv, nxdomain),
        #{wanted := Wanted} = await(last_lookup, {empty, nxdomain}),
        ?assertEqual(['app-4371@n.test'], Wanted)
    end).

%% From the second poll on TCP is closed without a reply, so that UDP is asked, twice.
an_incomplete_answer_only_adds_to_a_complete_one(Server) ->
    Record = fun(Port) -> {srv, 0, 1, 1, Port, "n.test"} end,
    put_nodes(Server, [4371, 4372]),
    with_topology(Server, fun() ->
        _ = await(wanted, ['app-4371@n.test', 'app-4372@n.test']),
        [
            begin
                ok = caravan_dns_server:put(Server, "app.test", srv, {by_transport, #{tcp => close, udp => Some}}),
                _ = await(wanted, All)
            end
         || {Some, All} <- [
                {[Record(4372), Record(4373)], ['app-4371@n.test', 'app-4372@n.test', 'app-4373@n.test']},
                {[Record(4374)], ['app-4371@n.test', 'app-4372@n.test', 'app-4373@n.test', 'app-4374@n.test']}
            ]
        ],
        put_nodes(Server, [4371]),
        await(wanted, ['app-4371@n.test'])
    end).

dns_that_comes_back_is_used_again(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", srv, servfail),
    with_topology(Server, fun() ->
        _ = await(last_lookup, {failed, servfail}),
        put_nodes(Server, [4371]),
        await(wanted, ['app-4371@n.test'])
    end).

configured_topologies_start_with_the_application(Server) ->
    put_nodes(Server, [4371]),
    restart_with([{test_topology, maps:remove(name, options(Server))}], fun() ->
        await(wanted, ['app-4371@n.test'])
    end).

configured_nameservers_are_the_default(Server) ->
    put_nodes(Server, [4371]),
    ok = application:set_env(caravan, nameservers, [caravan_dns_server:nameserver(Server)]),
    try
        restart_with([{test_topology, maps:without([name, nameservers], options(Server))}], fun() ->
            await(wanted, ['app-4371@n.test'])
        end)
    after
        ok = application:unset_env(caravan, nameservers)
    end.

a_bad_topology_leaves_the_others_running(Server) ->
    put_nodes(Server, [4371]),
    Good = {test_topology, maps:to_list(maps:remove(name, options(Server)))},
    restart_with([{bad, [{query, "app..test"}]}, Good, {worse, [{node_basename, "a b"}]}], fun() ->
        _ = await(wanted, ['app-4371@n.test']),
        ?assertEqual([test_topology], caravan_cluster:topologies())
    end).

topologies_of_a_wrong_shape_leave_the_application_running(_Server) ->
    [
        restart_with(Topologies, fun() -> ?assertEqual([], caravan_cluster:topologies()) end)
     || Topologies <- [app, [app], [{"app", []}], [{app, "app.test", []}], [{app, 5}]]
    ].

restart_with(Topologies, Test) ->
    ok = application:stop(caravan),
    ok = application:set_env(caravan, topologies, Topologies),
    try
        ok = application:start(caravan),
        Test()
    after
        ok = application:unset_env(caravan, topologies),
        _ = application:stop(caravan),
        ok = application:start(caravan)
    end.

messages_of_strangers_are_ignored(Server) ->
    put_nodes(Server, [4371]),
    with_topology(Server, fun() ->
        Pid = whereis('caravan_cluster.test_topology'),
        lists:foreach(fun(Message) -> Pid ! Message end, [
            hello, {caravan_dns, make_ref(), {error, nxdomain}}, {timeout, make_ref(), look}, {nodedown, 'app-1@n.test'}
        ]),
        await(wanted, ['app-4371@n.test'])
    end).

the_default_basename_may_be_said_test_() ->
    {setup, fun caravan_nif:load/0,
        ?_assertEqual(
            caravan_cluster:check_options(#{name => a, query => "a.internal"}),
            caravan_cluster:check_options(#{name => a, query => "a.internal", node_basename => default})
        )}.

bad_options_test_() ->
    {setup, fun caravan_nif:load/0, [
        ?_assertMatch({error, {bad_option, Key, _, [_ | _]}}, caravan_cluster:start_link(maps:merge(good(), Bad)))
     || {Key, Bad} <- [
            {name, #{name => "app"}},
            {query, #{query => ""}},
            {query, #{query => 5}},
            {query, #{query => "no name"}},
            {query, #{query => ["a.internal", "no name"]}},
            {query, #{query => ["a.internal", {"my app", "b.internal"}]}},
            {query, #{query => ["a.internal", {"app", 5}]}},
            {query, #{query => lists:duplicate(17, "a.internal")}},
            {query, #{query => []}},
            {node_basename, #{node_basename => [a | b]}},
            {list_nodes, #{list_nodes => {erlang, nodes, [a | b]}}},
            {disconnect, #{disconnect => {erlang, disconnect_node, [a | b]}}},
            {answers, #{answers => some}},
            {sampled_expiry, #{sampled_expiry => 999}},
            {log, #{log => loud}},
            {started_by, #{started_by => me}},
            {query, #{query => ["a" | improper]}},
            {node_basename, #{node_basename => "my app"}},
            {node_basename, #{node_basename => "app@host"}},
            {nameservers, #{nameservers => ["nowhere"]}},
            {poll_interval, #{poll_interval => 99}},
            {poll_interval, #{poll_interval => "5s"}},
            {max_nodes, #{max_nodes => 0}},
            {connect_timeout, #{connect_timeout => 0}},
            {max_connecting, #{max_connecting => 0}},
            {node_sname, #{node_sname => "app"}}
        ]
    ]}.

a_specification_that_cannot_be_started_says_so_when_it_is_test_() ->
    {setup, fun caravan_nif:load/0, [
        ?_assertMatch(#{start := {caravan_cluster, start_link, [Options]}}, caravan_cluster:child_spec(Options))
     || Options <- [#{}, [], [app], [{query, "app.test"}], app]
    ]}.

missing_options_test_() ->
    {setup, fun caravan_nif:load/0, [
        ?_assertMatch({error, {bad_option, Key, missing, _}}, caravan_cluster:start_link(maps:remove(Key, good())))
     || Key <- [name, query]
    ]}.

good() ->
    #{name => test_topology, query => "app.test", node_basename => "app"}.
