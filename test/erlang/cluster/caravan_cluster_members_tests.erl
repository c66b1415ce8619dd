%% What a topology does with connected nodes, and which processes it tells. The connections are simulated.
-module(caravan_cluster_members_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_topology, [put_nodes/2]).

-define(GUARD_MS, 30000).
-define(A, 'app-4371@n.test').
-define(B, 'app-4372@n.test').

members_test_() ->
    caravan_dns_fixture:tests([
        fun await_ends_when_so_many_are_connected/1,
        fun await_ends_when_these_are_connected/1,
        fun await_ends_in_time/1,
        fun await_takes_numbers_and_lists_of_nodes_only/1,
        fun who_asks_for_a_topology_that_is_not_there_exits/1,
        fun subscribers_hear_of_nodes_that_come_and_go/1,
        fun a_node_that_connects_by_itself_is_a_member/1,
        fun a_node_that_dns_never_listed_is_no_member/1,
        fun a_lost_node_is_looked_up_within_the_interval/1,
        fun why_a_node_fails_is_known/1,
        fun a_node_that_is_excluded_is_left_alone/1,
        fun a_node_is_excluded_for_a_while/1,
        fun a_reconnect_ends_every_backoff/1,
        fun a_query_that_says_ignore_starts_nothing/1,
        fun names_of_one_listener_are_tried_until_one_is_connected/1,
        fun names_of_listeners_that_nobody_can_tell_apart_are_all_wanted/1,
        fun a_node_that_dns_lists_no_more_is_disconnected_by_prune/1,
        fun an_answer_that_max_nodes_cuts_prunes_nobody/1,
        fun what_incomplete_answers_add_is_bounded/1,
        fun an_empty_or_failed_answer_prunes_nobody/1,
        fun a_change_of_options_keeps_members_and_subscribers/1,
        fun a_change_to_bad_options_changes_nothing/1,
        fun topologies_start_and_stop_at_run_time/1,
        fun many_topologies_stand_side_by_side/1
    ]).

options(Server, Peers) ->
    maps:merge(caravan_test_topology:options(Server), caravan_test_peers:options(Peers)).

with_topology(Server, Overrides, Test) ->
    Peers = caravan_test_peers:new(),
    caravan_test_topology:with(maps:merge(options(Server, Peers), Overrides), fun() -> Test(Peers) end).

next_message() ->
    receive
        {caravan_cluster, _, _} = Message -> Message
    after ?GUARD_MS -> error(no_message)
    end.

await_ends_when_so_many_are_connected(Server) ->
    put_nodes(Server, [4371, 4372]),
    with_topology(Server, #{}, fun(_Peers) ->
        ?assertEqual({ok, [?A, ?B]}, caravan_cluster:await(test_topology, 2, ?GUARD_MS)),
        ?assertEqual({ok, [?A, ?B]}, caravan_cluster:await(test_topology, 1, infinity))
    end).

await_ends_when_these_are_connected(Server) ->
    put_nodes(Server, [4371]),
    with_topology(Server, #{}, fun(Peers) ->
        ?assertEqual({ok, [?A]}, caravan_cluster:await(test_topology, [?A, node()], ?GUARD_MS)),
        %% A node that does not belong to the topology.
        ok = caravan_test_peers:join({'other@x', test_topology}, Peers),
        ?assertEqual({ok, [?A]}, caravan_cluster:await(test_topology, ['other@x'], ?GUARD_MS))
    end).

await_ends_in_time(Server) ->
    put_nodes(Server, [4371]),
    with_topology(Server, #{}, fun(_Peers) ->
        ?assertEqual({error, timeout}, caravan_cluster:await(test_topology, 2, 50)),
        ?assertEqual({error, timeout}, caravan_cluster:await(test_topology, ['nobody@x'], 0)),
        %% A process that dies while it waits is forgotten together with its timer.
        {Waiter, Monitor} = spawn_monitor(fun() -> caravan_cluster:await(test_topology, 2, infinity) end),
        exit(Waiter, kill),
        receive {'DOWN', Monitor, process, _, killed} -> ok end,
        ?assertMatch(#{connected := _}, caravan_cluster:status(test_topology))
    end).

await_takes_numbers_and_lists_of_nodes_only(_Server) ->
    [
        ?assertMatch({error, {bad_option, Key, _, [_ | _]}}, caravan_cluster:await(test_topology, Goal, Timeout))
     || {Key, Goal, Timeout} <- [
            {goal, -1, 0}, {goal, all, 0}, {goal, ["a@x"], 0}, {timeout, 1, -1}, {timeout, 1, 1 bsl 32}, {timeout, 1, soon}
        ]
    ].

who_asks_for_a_topology_that_is_not_there_exits(_Server) ->
    ?assertExit({noproc, _}, caravan_cluster:status(nobody)),
    ?assertExit({noproc, _}, caravan_cluster:await(nobody, 1, 0)),
    ?assertExit({noproc, _}, caravan_cluster:subscribe(nobody)),
    ?assertEqual(ok, caravan_cluster:poll(nobody)).

subscribers_hear_of_nodes_that_come_and_go(Server) ->
    put_nodes(Server, [4371]),
    with_topology(Server, #{}, fun(Peers) ->
        {ok, [?A]} = caravan_cluster:await(test_topology, 1, ?GUARD_MS),
        ?assertEqual({ok, [?A]}, caravan_cluster:subscribe(test_topology)),
        ?assertEqual({ok, [?A]}, caravan_cluster:subscribe(test_topology)),
        put_nodes(Server, [4371, 4372]),
        ?assertEqual({caravan_cluster, test_topology, {up, ?B}}, next_message()),
        ok = caravan_test_peers:refuse({?B, false}, Peers),
        ok = caravan_test_peers:lose({?B, test_topology}, Peers),
        ?assertEqual({caravan_cluster, test_topology, {down, ?B}}, next_message()),
        ok = caravan_cluster:unsubscribe(test_topology),
        ok = caravan_test_peers:join({?B, test_topology}, Peers),
        ?assertEqual({ok, [?A, ?B]}, caravan_cluster:await(test_topology, 2, ?GUARD_MS)),
        ?assertEqual(none, receive {caravan_cluster, _, _} = Message -> Message after 0 -> none end)
    end).

a_node_that_connects_by_itself_is_a_member(Server) ->
    put_nodes(Server, [4371]),
    with_topology(Server, #{}, fun(Peers) ->
        ok = caravan_test_peers:refuse({?A, false}, Peers),
        _ = caravan_test_topology:await(test_topology, last_lookup, fresh),
        {ok, _} = caravan_cluster:subscribe(test_topology),
        ok = caravan_test_peers:join({?A, test_topology}, Peers),
        {ok, [?A]} = caravan_cluster:await(test_topology, 1, ?GUARD_MS),
        ?assertMatch(#{failing := Failing} when Failing =:= #{}, caravan_cluster:status(test_topology))
    end).

a_node_that_dns_never_listed_is_no_member(Server) ->
    put_nodes(Server, [4371]),
    with_topology(Server, #{prune => true, prune_after => 1000, prune_max_fraction => 1}, fun(Peers) ->
        {ok, [?A]} = caravan_cluster:await(test_topology, 1, ?GUARD_MS),
        ok = caravan_test_peers:join({'other@x', test_topology}, Peers),
        ?assertEqual({ok, [?A]}, caravan_cluster:subscribe(test_topology)),
        ?assertMatch(#{absent := Absent} when Absent =:= #{}, caravan_cluster:status(test_topology))
    end).

%% The interval and the TTL are an hour, so what happens is not due to the next poll. A connection that did not last is not
%% made again at once.
a_lost_node_is_looked_up_within_the_interval(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", srv, [{srv, 3600, 1, 1, 4371, "n.test"}]),
    with_topology(Server, #{}, fun(Peers) ->
        {ok, [?A]} = caravan_cluster:await(test_topology, 1, ?GUARD_MS),
        ok = caravan_dns_server:reset_queries(Server),
        ok = caravan_test_peers:lose({?A, test_topology}, Peers),
        ok = caravan_dns_server:await_queries(Server, 1, ?GUARD_MS),
        ?assertMatch(#{failing := #{?A := #{count := 1, reason := lost_soon}}}, caravan_cluster:status(test_topology))
    end).

why_a_node_fails_is_known(Server) ->
    Peers = caravan_test_peers:new(),
    ok = caravan_test_peers:refuse({?A, moved}, Peers),
    put_nodes(Server, [4371]),
    with_topology(Server, caravan_test_peers:options(Peers), fun(_) ->
        ?assertEqual({connect, ?A}, caravan_test_peers:await_call()),
        ok = caravan_dns_fixture:await_value({1, {result, moved}}, fun() ->
            case caravan_cluster:status(test_topology) of
                #{failing := #{?A := #{count := Count, reason := Reason}}} -> {Count, Reason};
                _ -> none
            end
        end)
    end).

a_node_that_is_excluded_is_left_alone(Server) ->
    put_nodes(Server, [4371, 4372]),
    with_topology(Server, #{exclude => ["app-4371@n.test"]}, fun(_Peers) ->
        ?assertEqual({ok, [?B]}, caravan_cluster:await(test_topology, 1, ?GUARD_MS)),
        _ = caravan_test_topology:looks(test_topology, 3),
        ?assertMatch(
            #{wanted := [?A, ?B], connected := [?B], excluded := #{?A := infinity}}, caravan_cluster:status(test_topology)
        )
    end).

a_node_is_excluded_for_a_while(Server) ->
    put_nodes(Server, []),
    with_topology(Server, #{}, fun(_Peers) ->
        ok = caravan_cluster:exclude(test_topology, ?A, 4000000000),
        put_nodes(Server, [4371]),
        ?assertMatch(#{excluded := #{?A := _}, connected := []}, caravan_test_topology:await(test_topology, wanted, [?A])),
        _ = caravan_test_topology:looks(test_topology, 3),
        ok = caravan_cluster:exclude(test_topology, ?A, 1),
        ?assertEqual({ok, [?A]}, caravan_cluster:await(test_topology, 1, ?GUARD_MS)),
        ?assertMatch({error, {bad_option, milliseconds, -1, _}}, caravan_cluster:exclude(test_topology, ?A, -1))
    end).

a_reconnect_ends_every_backoff(Server) ->
    Peers = caravan_test_peers:new(),
    ok = caravan_test_peers:refuse({?A, no}, Peers),
    put_nodes(Server, [4371]),
    with_topology(Server, maps:merge(caravan_test_peers:options(Peers), #{poll_interval => 3600000}), fun(_) ->
        [?assertEqual({connect, ?A}, caravan_test_peers:await_call()) || _ <- [1, 2, 3]],
        %% Each call returns while the back-off of 4 s runs.
        [
            begin
                ok = caravan_cluster:reconnect(test_topology),
                ?assertEqual({connect, ?A}, caravan_test_peers:await_call())
            end
         || _ <- lists:seq(1, 5)
        ]
    end).

a_query_that_says_ignore_starts_nothing(Server) ->
    [
        begin
            Options = (caravan_test_topology:options(Server))#{query => Query},
            ?assertEqual(ignore, caravan_cluster:start_link(Options)),
            ?assertEqual(ignore, caravan_cluster:start(Options)),
            ok = application:set_env(caravan, topologies, [{one, maps:remove(name, Options)}]),
            ok = caravan_cluster:reload(),
            ok = application:unset_env(caravan, topologies),
            ?assertEqual([], caravan_cluster:topologies())
        end
     || Query <- [ignore, nil]
    ].

names_of_one_listener_are_tried_until_one_is_connected(Server) ->
    Peers = caravan_test_peers:new(),
    ok = caravan_test_peers:refuse({?A, false}, Peers),
    put_nodes(Server, [4371]),
    Overrides = (caravan_test_peers:options(Peers))#{node_basename => ["app", "worker"]},
    with_topology(Server, Overrides, fun(_) ->
        ?assertEqual({ok, ['worker-4371@n.test']}, caravan_cluster:await(test_topology, 1, ?GUARD_MS)),
        ok = caravan_dns_fixture:await_value(#{}, fun() -> maps:get(failing, caravan_cluster:status(test_topology)) end)
    end).

names_of_listeners_that_nobody_can_tell_apart_are_all_wanted(Server) ->
    put_nodes(Server, [4371]),
    Overrides = #{node_basename => ["app", "worker"], node_name => "{basename}@{target}"},
    with_topology(Server, Overrides, fun(_Peers) ->
        ?assertEqual({ok, ['app@n.test', 'worker@n.test']}, caravan_cluster:await(test_topology, 2, ?GUARD_MS))
    end).

a_node_that_dns_lists_no_more_is_disconnected_by_prune(Server) ->
    put_nodes(Server, [4371, 4372]),
    with_topology(Server, #{prune => true, prune_after => 1000}, fun(Peers) ->
        {ok, [?A, ?B]} = caravan_cluster:await(test_topology, 2, ?GUARD_MS),
        {ok, _} = caravan_cluster:subscribe(test_topology),
        [{connect, _} = caravan_test_peers:await_call() || _ <- [?A, ?B]],
        put_nodes(Server, [4371]),
        ?assertEqual({disconnect, ?B}, caravan_test_peers:await_call()),
        ?assertEqual([?A], caravan_test_peers:list(Peers)),
        ?assertEqual({caravan_cluster, test_topology, {down, ?B}}, next_message()),
        ?assertMatch(#{pruned := 1, suppressions := 0}, caravan_cluster:status(test_topology))
    end).

%% First what is due, then what happens without queries or nodes.
an_empty_or_failed_answer_prunes_nobody(Server) ->
    put_nodes(Server, [4371, 4372]),
    with_topology(Server, #{prune => true, prune_after => 1000, prune_max_fraction => 0.1}, fun(Peers) ->
        {ok, [?A, ?B]} = caravan_cluster:await(test_topology, 2, ?GUARD_MS),
        put_nodes(Server, [4371]),
        await_suppressed(max_fraction),
        ok = caravan_dns_server:put(Server, "app.test", srv, nxdomain),
        await_suppressed(empty),
        ok = caravan_dns_server:put(Server, "app.test", srv, servfail),
        await_suppressed(failed),
        ok = caravan_dns_server:put(
            Server, "app.test", srv, {by_transport, #{tcp => close, udp => [{srv, 0, 1, 1, 4371, "n.test"}]}}
        ),
        %% The incomplete answer adds to the complete one, which does not list the node.
        await_suppressed(incomplete),
        #{suppressions := Suppressions, pruned := 0} = caravan_cluster:status(test_topology),
        ?assert(Suppressions >= 4),
        ?assertEqual([?A, ?B], caravan_test_peers:list(Peers))
    end).

await_suppressed(Reason) ->
    _ = caravan_test_topology:await(test_topology, suppressed, #{?B => Reason}).

%% The third one sorts first.
an_answer_that_max_nodes_cuts_prunes_nobody(Server) ->
    put_nodes(Server, [4371, 4372]),
    Overrides = #{max_nodes => 2, prune => true, prune_after => 1000, prune_max_fraction => 1},
    with_topology(Server, Overrides, fun(Peers) ->
        {ok, [?A, ?B]} = caravan_cluster:await(test_topology, 2, ?GUARD_MS),
        put_nodes(Server, [4370, 4371, 4372]),
        ok = caravan_dns_fixture:await_value(1, fun() ->
            maps:get(max_nodes, maps:get(last_refused, caravan_cluster:status(test_topology)))
        end),
        _ = caravan_test_topology:looks(test_topology, 3),
        ?assertMatch(#{wanted := [?A, ?B], pruned := 0}, caravan_cluster:status(test_topology)),
        ?assertEqual([?A, ?B], caravan_test_peers:list(Peers))
    end).

%% Each answer has other nodes, and more than may be kept.
what_incomplete_answers_add_is_bounded(Server) ->
    put_nodes(Server, [4371, 4372]),
    with_topology(Server, #{max_nodes => 3, atom_budget => 100}, fun(_Peers) ->
        {ok, [?A, ?B]} = caravan_cluster:await(test_topology, 2, ?GUARD_MS),
        [
            begin
                put_nodes(Server, lists:seq(First, First + 3)),
                _ = caravan_test_topology:looks(test_topology, 2),
                #{wanted := Wanted} = caravan_cluster:status(test_topology),
                ?assertMatch({Nodes, true} when length(Nodes) =< 3, {Wanted, lists:member(?A, Wanted)})
            end
         || First <- [5000, 5100, 5200]
        ]
    end).

a_change_of_options_keeps_members_and_subscribers(Server) ->
    put_nodes(Server, [4371]),
    ok = caravan_dns_server:put(Server, "other.test", srv, [{srv, 0, 1, 1, 4373, "n.test"}]),
    with_topology(Server, #{}, fun(Peers) ->
        {ok, [?A]} = caravan_cluster:await(test_topology, 1, ?GUARD_MS),
        {ok, [?A]} = caravan_cluster:subscribe(test_topology),
        Changed = maps:remove(name, (options(Server, Peers))#{query => "other.test"}),
        ?assertEqual(ok, caravan_cluster:change(test_topology, Changed)),
        ?assertEqual({caravan_cluster, test_topology, {up, 'app-4373@n.test'}}, next_message()),
        ?assertMatch(#{wanted := ['app-4373@n.test']}, caravan_cluster:status(test_topology)),
        ?assertEqual([?A, 'app-4373@n.test'], caravan_test_peers:list(Peers))
    end).

a_change_to_bad_options_changes_nothing(Server) ->
    put_nodes(Server, [4371]),
    with_topology(Server, #{}, fun(Peers) ->
        Bad = (options(Server, Peers))#{poll_interval => 1},
        ?assertMatch({error, {bad_option, poll_interval, 1, _}}, caravan_cluster:change(test_topology, Bad)),
        ?assertMatch({error, {bad_option, options, none, _}}, caravan_cluster:change(test_topology, none)),
        ?assertMatch({error, {bad_option, query, ignore, _}}, caravan_cluster:change(test_topology, #{query => ignore})),
        ?assertEqual({ok, [?A]}, caravan_cluster:await(test_topology, 1, ?GUARD_MS))
    end).

topologies_start_and_stop_at_run_time(Server) ->
    put_nodes(Server, [4371]),
    Peers = caravan_test_peers:new(),
    Options = options(Server, Peers),
    ?assertEqual([], caravan_cluster:topologies()),
    {ok, Pid} = caravan_cluster:start(Options),
    ?assertEqual({ok, [?A]}, caravan_cluster:await(test_topology, 1, ?GUARD_MS)),
    ?assertEqual([test_topology], caravan_cluster:topologies()),
    ?assertEqual({error, {already_started, Pid}}, caravan_cluster:start(Options)),
    ?assertMatch({error, {bad_option, prune, 1, _}}, caravan_cluster:start(Options#{prune => 1})),
    ?assertEqual(ok, caravan_cluster:stop(test_topology)),
    ?assertEqual([], caravan_cluster:topologies()),
    ?assertEqual([?A], caravan_test_peers:list(Peers)),
    ?assertEqual({error, not_found}, caravan_cluster:stop(test_topology)),
    ok = application:stop(caravan),
    ?assertEqual({error, not_started}, caravan_cluster:stop(test_topology)),
    ?assertEqual({error, not_started}, caravan_cluster:start(Options)),
    ok = application:start(caravan).

many_topologies_stand_side_by_side(Server) ->
    put_nodes(Server, [4371]),
    Names = [one, two, three],
    Peers = caravan_test_peers:new(),
    [{ok, _} = caravan_cluster:start((options(Server, Peers))#{name => Name, node_basename => Name}) || Name <- Names],
    ?assertEqual(lists:sort(Names), caravan_cluster:topologies()),
    [
        ?assertEqual({ok, [list_to_atom(atom_to_list(Name) ++ "-4371@n.test")]}, caravan_cluster:await(Name, 1, ?GUARD_MS))
     || Name <- Names
    ],
    [ok = caravan_cluster:stop(Name) || Name <- Names].
