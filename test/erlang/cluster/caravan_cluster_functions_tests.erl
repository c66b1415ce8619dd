%% What a topology does while users' functions are slow, raise or do not exist.
-module(caravan_cluster_functions_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_log, [assert_no_report/1, next_report/1]).
-import(caravan_test_topology, [put_nodes/2]).

-export([slow/1, raise/1, refuse/1, give/1, yes/1]).

-define(GUARD_MS, 30000).
-define(A, 'app-4371@n.test').

functions_test_() ->
    caravan_dns_fixture:tests([
        fun a_list_of_nodes_that_takes_its_time_keeps_nobody_waiting/1,
        fun a_list_of_nodes_that_fails_is_named_once_until_it_works/1,
        fun a_node_that_is_connected_and_never_listed_is_named_once/1,
        fun a_disconnect_that_fails_is_named/1,
        fun a_disconnect_that_does_not_work_has_failed/1,
        fun a_client_that_is_no_module_is_named/1
    ]).

with_topology(Server, Overrides, Test) ->
    Options = maps:merge(caravan_test_topology:options(Server), Overrides),
    caravan_test_log:with_reports(warning, fun() -> caravan_test_topology:with(Options, Test) end).

slow(Test) ->
    Test ! {asked, self()},
    receive
        {answer, Nodes} -> Nodes
    end.

raise(_) -> error(on_purpose).

give(Key) -> persistent_term:get(Key).

yes(_Node) -> true.

a_list_of_nodes_that_takes_its_time_keeps_nobody_waiting(Server) ->
    put_nodes(Server, [4371]),
    with_topology(Server, #{list_nodes => {?MODULE, slow, [self()]}, connect => {?MODULE, yes, []}}, fun() ->
        receive
            {asked, Pid} ->
                %% The function has been called and has not returned.
                ?assertMatch(#{connected := []}, caravan_test_topology:await(test_topology, wanted, [?A])),
                Pid ! {answer, [?A]}
        after ?GUARD_MS -> error(not_asked)
        end,
        caravan_dns_fixture:await_value([?A], fun() -> maps:get(connected, caravan_cluster:status(test_topology)) end)
    end).

a_list_of_nodes_that_fails_is_named_once_until_it_works(Server) ->
    put_nodes(Server, [4371]),
    Key = {?MODULE, list},
    [
        begin
            ok = persistent_term:put(Key, [?A]),
            with_topology(Server, #{list_nodes => Function, connect => {?MODULE, yes, []}}, fun() ->
                ?assertMatch(
                    #{option := list_nodes, function := Named, failure := Failure}, next_report(function_failed)
                ),
                _ = caravan_test_topology:looks(test_topology, 3),
                assert_no_report(function_failed)
            end)
        end
     || {Function, Named, Failure} <- [
            {{?MODULE, raise, [x]}, {?MODULE, raise, 1}, {raised, {error, on_purpose}}},
            {{?MODULE, none, [x]}, {?MODULE, none, 1}, {raised, {error, {undef, {?MODULE, none, 1}}}}},
            {{no_module, none, []}, {no_module, none, 0}, {raised, {error, {undef, {no_module, none, 0}}}}}
        ]
    ],
    ok = persistent_term:put(Key, no_list),
    with_topology(Server, #{list_nodes => {?MODULE, give, [Key]}, connect => {?MODULE, yes, []}}, fun() ->
        ?assertMatch(#{failure := {result, no_list}}, next_report(function_failed)),
        ok = persistent_term:put(Key, [?A]),
        _ = caravan_dns_fixture:await_value([?A], fun() -> maps:get(connected, caravan_cluster:status(test_topology)) end),
        ok = persistent_term:put(Key, [1]),
        ?assertMatch(#{failure := {result, [1]}}, next_report(function_failed)),
        ok = persistent_term:put(Key, [?A]),
        _ = caravan_test_topology:looks(test_topology, 2),
        ok = persistent_term:put(Key, [?A | improper]),
        ?assertMatch(#{failure := {result, [?A | improper]}}, next_report(function_failed)),
        %% Its last result stays in effect.
        ?assertMatch(#{connected := [?A]}, caravan_cluster:status(test_topology))
    end),
    persistent_term:erase(Key).

a_node_that_is_connected_and_never_listed_is_named_once(Server) ->
    put_nodes(Server, [4371]),
    Key = {?MODULE, list},
    ok = persistent_term:put(Key, []),
    with_topology(Server, #{list_nodes => {?MODULE, give, [Key]}, connect => {?MODULE, yes, []}}, fun() ->
        ?assertMatch(#{node := ?A, reason := not_listed}, next_report(connect_failed)),
        _ = caravan_test_topology:looks(test_topology, 3),
        assert_no_report(connect_failed)
    end),
    persistent_term:erase(Key).

a_disconnect_that_fails_is_named(Server) ->
    put_nodes(Server, [4371]),
    Key = {?MODULE, list},
    ok = persistent_term:put(Key, [?A]),
    Overrides = #{
        list_nodes => {?MODULE, give, [Key]}, disconnect => {?MODULE, raise, []},
        prune => true, prune_after => 1000, prune_max_fraction => 1
    },
    with_topology(Server, Overrides, fun() ->
        _ = caravan_test_topology:await(test_topology, connected, [?A]),
        put_nodes(Server, [4372]),
        ?assertMatch(
            #{option := disconnect, function := {?MODULE, raise, 1}, failure := {raised, {error, on_purpose}}},
            next_report(function_failed)
        )
    end),
    persistent_term:erase(Key).

%% A function of libcluster returns a failure like this.
a_disconnect_that_does_not_work_has_failed(Server) ->
    put_nodes(Server, [4371]),
    Key = {?MODULE, list},
    ok = persistent_term:put(Key, [?A]),
    Overrides = #{
        list_nodes => {?MODULE, give, [Key]}, disconnect => {?MODULE, refuse, []},
        prune => true, prune_after => 1000, prune_max_fraction => 1
    },
    with_topology(Server, Overrides, fun() ->
        _ = caravan_test_topology:await(test_topology, connected, [?A]),
        put_nodes(Server, [4372]),
        ?assertMatch(#{option := disconnect, failure := {result, false}}, next_report(function_failed)),
        ?assertMatch(#{pruned := 0}, caravan_cluster:status(test_topology))
    end),
    persistent_term:erase(Key).

refuse(_Node) -> false.

a_client_that_is_no_module_is_named(Server) ->
    with_topology(Server, #{dns_client => no_module}, fun() ->
        ?assertMatch(
            #{dns_client := no_module, reason := {error, {undef, {no_module, get_nodes, 1}}}}, next_report(client_failed)
        )
    end).

%% Lines

exceptions_are_words_test_() ->
    [
        ?_assertEqual(Words, lists:flatten(io_lib:format("~ts", [caravan_exception:format(What)])))
     || {What, Words} <- [
            {{error, on_purpose}, "error on_purpose"},
            {{throw, {a, b}}, "throw {a,b}"},
            {{error, {undef, {m, f, 1}}}, "undef: there is no function m:f/1"},
            {{error, #{'__exception__' => true, '__struct__' => no_module}},
                "no_module: #{'__exception__' => true,'__struct__' => no_module}"},
            {anything, "anything"}
        ]
    ].
