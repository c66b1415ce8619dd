%% Real nodes that a fixed list names, without DNS or during an outage; and nodes that are not distributed or ask epmd.
-module(caravan_cluster_fixed_nodes_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3, free_port/0, node_name/3]).
-import(caravan_test_node, [await_output/2, await_peers/2, call/4, stop/1]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

nodes_of_a_list_connect_without_dns_test_() ->
    ?NODES(with(fun(Network) ->
        [A, B] = Names = names(Network, 2),
        [NodeA, NodeB] = [start(Network, Name, #{nodes => Names}) || Name <- Names],
        ok = await_peers(NodeA, [B]),
        ok = await_peers(NodeB, [A]),
        ?assertMatch(
            #{
                wanted := [B], connected := [B], self_listed := true, last_lookup := none, next_poll := none, query := none,
                nameservers := {none, no_query}
            },
            call(NodeA, caravan_cluster, status, [app])
        ),
        %% A node that has stopped is tried until it is back.
        ok = caravan_test_mesh:kill([{B, NodeB}]),
        ok = await_peers(NodeA, []),
        {B, _Back} = boot(Network, B, []),
        ok = await_peers(NodeA, [B])
    end)).

%% Connecting to the alias would connect the node to itself.
the_own_name_in_another_spelling_is_nobody_elses_test_() ->
    ?NODES(with(fun(Network) ->
        [A] = names(Network, 1),
        Node = start(Network, A, #{nodes => [string:uppercase(atom_to_list(A))]}),
        ?assertMatch(#{wanted := [], failing := Failing} when Failing =:= #{}, call(Node, caravan_cluster, status, [app]))
    end)).

%% Names as texts, as a variable gives them.
a_node_that_boots_while_dns_is_out_finds_those_of_the_list_test_() ->
    ?NODES(with(fun(Network) ->
        [A, B] = names(Network, 2),
        {A, NodeA} = boot(Network, A, []),
        Nowhere = "127.0.0.1:" ++ integer_to_list(free_port()),
        NodeB = start(Network, B, #{
            nodes => [atom_to_list(A), atom_to_binary(B)], query => "app.test", node_basename => "app", nameservers => [Nowhere]
        }),
        ok = await_peers(NodeB, [A]),
        ok = await_peers(NodeA, [B]),
        ok = caravan_dns_fixture:await_value(failed, fun() ->
            case call(NodeB, caravan_cluster, status, [app]) of
                #{last_lookup := {Outcome, _}} -> Outcome;
                #{last_lookup := Outcome} -> Outcome
            end
        end)
    end)).

%% With `iex -S mix' and `rebar3 shell' the application starts before the distribution.
a_topology_waits_until_the_node_is_distributed_test_() ->
    ?NODES(with(fun(Network) ->
        [A, B] = Names = names(Network, 2),
        {A, _} = boot(Network, A, []),
        Node = start(Network, none, #{nodes => Names, poll_interval => 100}),
        Line = caravan_test_log:pattern(caravan_report, #{event => not_distributed, topology => app}),
        ok = await_output(Node, Line),
        {ok, _} = call(Node, net_kernel, start, [B, #{name_domain => longnames}]),
        ok = await_peers(Node, [A]),
        {exited, 0, Output} = stop(Node),
        ?assertMatch({match, [_]}, re:run(Output, "not distributed", [global]))
    end)).

%% No epmd runs. The names contain ports, so that none is needed.
a_node_without_our_epmd_module_is_told_what_to_add_test_() ->
    ?NODES(with(fun(Network) ->
        [A, B] = names(Network, 2),
        {A, _} = boot(Network, A, []),
        Port = integer_to_list(free_port()),
        %% Without epmd a node can boot only with the port at which others look for it.
        Node = start(Network#{epmd_module := "erl_epmd", flags := ["-erl_epmd_port", Port]}, B, #{nodes => [A, B]}),
        ok = await_output(Node, caravan_test_log:pattern(caravan_report, #{event => asks_epmd, topology => app, tool => erl}))
    end)).

a_node_with_our_epmd_module_is_told_nothing_test_() ->
    ?NODES(with(fun(Network) ->
        [A, B] = Names = names(Network, 2),
        {A, _} = boot(Network, A, []),
        Node = start(Network, B, #{nodes => Names}),
        ok = await_peers(Node, [A]),
        {exited, 0, Output} = stop(Node),
        ?assertEqual(nomatch, string:find(Output, "epmd"))
    end)).

%% OTP logs an error of two lines for each attempt.
a_long_name_is_not_tried_by_a_node_with_a_short_one_test_() ->
    ?NODES(begin
        ok = caravan_nif:load(),
        caravan_test_network:with(#{host => "short", name_flag => "-sname"}, fun(Network) ->
            Node = start(Network, node_name(Network, "app", free_port()), #{nodes => ['app-4370@n.test']}),
            Report = #{event => connect_failed, topology => app, node => 'app-4370@n.test', reason => needs_long_names},
            ok = await_output(Node, caravan_test_log:pattern(caravan_report, Report)),
            ok = call(Node, caravan_cluster, reconnect, [app]),
            ok = caravan_dns_fixture:await_value(true, fun() -> failures(Node) > 1 end),
            {exited, 0, Output} = stop(Node),
            ?assertEqual(nomatch, string:find(Output, "is illegal"))
        end)
    end).

failures(Node) ->
    case call(Node, caravan_cluster, status, [app]) of
        #{failing := #{'app-4370@n.test' := #{count := Count}}} -> Count;
        _ -> 0
    end.

options_test_() ->
    {setup, fun caravan_nif:load/0, [
        ?_assertMatch({error, {bad_option, Key, _, [_ | _]}}, caravan_cluster:check_options(Options#{name => app}))
     || {Key, Options} <- [
            {nodes, #{nodes => 'app@host'}},
            {nodes, #{nodes => "app@host"}},
            {nodes, #{nodes => ["app"]}},
            {nodes, #{nodes => ["my app@host"]}},
            {nodes, #{nodes => [1.0]}},
            {nodes, #{nodes => [[improper | list]]}},
            {nodes, #{nodes => lists:duplicate(1001, a@b)}},
            {query, #{nodes => []}},
            {query, #{}}
        ]
    ]}.

with(Test) ->
    ok = caravan_nif:load(),
    caravan_test_network:with(#{}, Test).

names(Network, Count) ->
    [node_name(Network, "app", free_port()) || _ <- lists:seq(1, Count)].

start(Network, Name, Topology) ->
    {Name, Node} = boot(Network, Name, []),
    ok = call(Node, application, set_env, [caravan, topologies, [{app, Topology}]]),
    {ok, _} = call(Node, application, ensure_all_started, [caravan]),
    Node.
