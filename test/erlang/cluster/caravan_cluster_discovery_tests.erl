%% Where a topology finds nodes besides SRV records of the default shape.
-module(caravan_cluster_discovery_tests).

-include_lib("eunit/include/eunit.hrl").

-export([get_nodes/1]).

discovery_test_() ->
    caravan_dns_fixture:tests([
        fun addresses_are_nodes/1,
        fun ipv6_addresses_are_nodes/1,
        fun of_both_families_those_are_nodes_that_the_distribution_speaks/1,
        fun addresses_come_over_tcp_and_over_udp_where_that_cannot_be_had/1,
        fun a_transport_that_is_given_is_the_only_one/1,
        fun the_address_of_a_target_stands_in_the_name/1,
        fun targets_without_addresses_in_the_answer_are_looked_up/1,
        fun a_target_in_the_hosts_file_or_an_address_is_found/1,
        fun a_target_without_an_address_takes_nobody_away/1,
        fun a_client_of_the_users_is_asked/1,
        fun what_a_client_does_wrong_is_a_failed_poll/1,
        fun a_client_takes_any_query/1,
        fun the_client_that_is_the_default_is_no_client/1,
        fun a_client_that_hangs_is_given_up/1,
        fun this_node_in_another_spelling_is_not_wanted/1,
        fun what_any_of_several_queries_lists_is_wanted/1,
        fun a_query_that_cannot_be_asked_takes_nobody_away/1,
        fun the_first_label_of_a_target_may_stand_before_the_at/1,
        fun samples_are_joined/1
    ]).

with_topology(Server, Overrides, Test) ->
    caravan_test_topology:with(maps:merge(caravan_test_topology:options(Server), Overrides), Test).

await(Key, Value) ->
    caravan_test_topology:await(test_topology, Key, Value).

addresses_are_nodes(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", a, [{a, 0, {10, 0, 0, N}} || N <- [1, 2]]),
    with_topology(Server, #{record => a}, fun() ->
        ?assertMatch(#{complete := true}, await(wanted, ['app@10.0.0.1', 'app@10.0.0.2']))
    end).

what_any_of_several_queries_lists_is_wanted(Server) ->
    ok = caravan_dns_server:put(Server, "blue.test", srv, [{srv, 0, 1, 1, 4371, "n.test"}]),
    ok = caravan_dns_server:put(Server, "green.test", srv, [{srv, 0, 1, 1, 4372, "n.test"}]),
    with_topology(Server, #{query => ["blue.test", {green, "green.test"}]}, fun() ->
        ?assertMatch(
            #{complete := true, query := [<<"blue.test">>, {<<"green">>, <<"green.test">>}]},
            await(wanted, ['app-4371@n.test', 'green-4372@n.test'])
        ),
        ok = caravan_dns_server:put(Server, "green.test", srv, [{srv, 0, 1, 1, 4373, "n.test"}]),
        await(wanted, ['app-4371@n.test', 'green-4373@n.test'])
    end).

%% The nodes that other topologies list are wanted as soon as they are listed.
a_query_that_cannot_be_asked_takes_nobody_away(Server) ->
    ok = caravan_dns_server:put(Server, "blue.test", srv, [{srv, 0, 1, 1, 4371, "n.test"}]),
    ok = caravan_dns_server:put(Server, "green.test", srv, [{srv, 0, 1, 1, 4372, "n.test"}]),
    with_topology(Server, #{query => ["blue.test", "green.test"]}, fun() ->
        _ = await(wanted, ['app-4371@n.test', 'app-4372@n.test']),
        ok = caravan_dns_server:put(Server, "blue.test", srv, servfail),
        _ = await(last_lookup, {failed, servfail}),
        ok = caravan_dns_server:put(Server, "green.test", srv, [{srv, 0, 1, 1, 4373, "n.test"}]),
        ?assertMatch(#{last_lookup := {failed, servfail}}, await(wanted, ['app-4371@n.test', 'app-4373@n.test']))
    end).

%% The shape of names of libcluster-dynamic-srv.
the_first_label_of_a_target_may_stand_before_the_at(Server) ->
    ok = caravan_dns_server:put(
        Server, "app.test", srv, [{srv, 0, 1, 1, 4371, "app-0.Web.test"}, {srv, 0, 1, 1, 4371, "nodomain"}]
    ),
    with_topology(Server, #{node_name => "{label}@{domain}"}, fun() ->
        ?assertMatch(#{last_refused := #{invalid := 1}}, await(wanted, ['app-0@web.test']))
    end).

samples_are_joined(Server) ->
    caravan_test_topology:put_nodes(Server, [4371]),
    with_topology(Server, #{answers => sampled}, fun() ->
        ?assertMatch(#{complete := false}, await(wanted, ['app-4371@n.test'])),
        caravan_test_topology:put_nodes(Server, [4372]),
        await(wanted, ['app-4371@n.test', 'app-4372@n.test'])
    end).

ipv6_addresses_are_nodes(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", aaaa, [{aaaa, 0, {16#fd00, 0, 0, 0, 0, 0, 0, 1}}]),
    with_topology(Server, #{record => aaaa, node_name => "{basename}-4380@{ip}"}, fun() ->
        await(wanted, ['app-4380@fd00::1'])
    end).

of_both_families_those_are_nodes_that_the_distribution_speaks(Server) ->
    ?assertEqual([inet], caravan_listen:families()),
    ok = caravan_dns_server:put(Server, "app.test", a, [{a, 0, {10, 0, 0, 1}}]),
    ok = caravan_dns_server:put(Server, "app.test", aaaa, [{aaaa, 0, {16#fd00, 0, 0, 0, 0, 0, 0, 1}}]),
    with_topology(Server, #{record => addresses}, fun() ->
        ?assertMatch(#{complete := true}, await(wanted, ['app@10.0.0.1'])),
        ?assertEqual([a, aaaa], lists:usort([Type || #{type := Type} <- caravan_dns_server:queries(Server)]))
    end).

addresses_come_over_tcp_and_over_udp_where_that_cannot_be_had(Server) ->
    Udp = [{a, 0, {10, 0, 0, 1}}],
    ok = caravan_dns_server:put(Server, "app.test", a, {by_transport, #{tcp => close, udp => Udp}}),
    with_topology(Server, #{record => a}, fun() ->
        ?assertMatch(#{complete := false}, await(wanted, ['app@10.0.0.1'])),
        ok = caravan_dns_server:put(Server, "app.test", a, {by_transport, #{tcp => [{a, 0, {10, 0, 0, 2}}], udp => Udp}}),
        ?assertMatch(#{complete := true}, await(wanted, ['app@10.0.0.2']))
    end).

a_transport_that_is_given_is_the_only_one(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", a, [{a, 0, {10, 0, 0, 1}}]),
    with_topology(Server, #{record => a, transport => udp}, fun() ->
        _ = await(wanted, ['app@10.0.0.1']),
        ?assertEqual([udp], lists:usort([Transport || #{transport := Transport} <- caravan_dns_server:queries(Server)]))
    end).

the_address_of_a_target_stands_in_the_name(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", srv, [{srv, 0, 1, 1, 4371, "n.test"}]),
    ok = caravan_dns_server:put(Server, "n.test", a, [{a, 0, {10, 0, 0, 1}}]),
    ok = caravan_dns_server:put(Server, "n.test", aaaa, [{aaaa, 0, {16#fd00, 0, 0, 0, 0, 0, 0, 1}}]),
    with_topology(Server, #{node_name => "{basename}-{port}@{ip}"}, fun() ->
        _ = await(wanted, ['app-4371@10.0.0.1']),
        ?assertEqual([srv], lists:usort([Type || #{type := Type} <- caravan_dns_server:queries(Server)]))
    end).

put_srv(Server, Targets) ->
    caravan_dns_server:put(Server, "app.test", srv, [{srv, 0, 1, 1, Port, Target} || {Port, Target} <- Targets]).

without_glue(Test) ->
    {ok, Server} = caravan_dns_server:start_link(#{glue => false}),
    try
        ok = put_srv(Server, [{4371, "n1.test"}, {4372, "n2.test"}]),
        ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 0, {10, 0, 0, 1}}]),
        ok = caravan_dns_server:put(Server, "n2.test", a, [{a, 0, {10, 0, 0, 2}}]),
        Test(Server)
    after
        caravan_dns_server:stop(Server)
    end.

targets_without_addresses_in_the_answer_are_looked_up(_Server) ->
    without_glue(fun(Server) ->
        with_topology(Server, #{node_name => "{basename}-{port}@{ip}"}, fun() ->
            ?assertMatch(#{complete := true}, await(wanted, ['app-4371@10.0.0.1', 'app-4372@10.0.0.2'])),
            ok = put_srv(Server, [{4371, "n1.test"}]),
            ?assertMatch(#{complete := true}, await(wanted, ['app-4371@10.0.0.1']))
        end)
    end).

%% Its resolver reads a hosts file of the test.
a_target_in_the_hosts_file_or_an_address_is_found(_Server) ->
    caravan_test_directory:with(fun(Directory) -> without_glue(fun(Server) ->
        Hosts = filename:join(Directory, "hosts"),
        ok = file:write_file(Hosts, "10.0.0.7 n3.test\n"),
        {ok, Resolver} = caravan_dns:open(#{nameservers => [caravan_dns_server:nameserver(Server)], hosts_file => Hosts}),
        ok = put_srv(Server, [{4373, "n3.test"}, {4375, "127.0.0.5."}]),
        Overrides = #{node_name => "{basename}-{port}@{ip}", resolver => Resolver, nameservers => default},
        with_topology(Server, Overrides, fun() ->
            ?assertMatch(#{complete := true}, await(wanted, ['app-4373@10.0.0.7', 'app-4375@127.0.0.5']))
        end)
    end) end).

a_target_without_an_address_takes_nobody_away(_Server) ->
    [
        without_glue(fun(Server) ->
            with_topology(Server, #{node_name => "{basename}-{port}@{ip}"}, fun() ->
                _ = await(wanted, ['app-4371@10.0.0.1', 'app-4372@10.0.0.2']),
                ok = caravan_dns_server:put(Server, "n2.test", a, NoAddress),
                ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 0, {10, 0, 0, 3}}]),
                await(wanted, ['app-4371@10.0.0.1', 'app-4371@10.0.0.3', 'app-4372@10.0.0.2'])
            end)
        end)
     || NoAddress <- [servfail, nxdomain, []]
    ].

%% This module is a client that does what the test tells it.
get_nodes(Query) ->
    (persistent_term:get(?MODULE))(Query).

with_client(Server, Overrides, Behaviour, Test) ->
    ok = persistent_term:put(?MODULE, Behaviour),
    try
        with_topology(Server, Overrides#{dns_client => ?MODULE}, Test)
    after
        persistent_term:erase(?MODULE)
    end.

client_does(Behaviour) ->
    persistent_term:put(?MODULE, Behaviour).

%% A client is asked without a lookup of ours, so it tells the test.
await_status(Key, Value) ->
    caravan_dns_fixture:await_value(Value, fun() -> maps:get(Key, caravan_cluster:status(test_topology)) end).

a_client_of_the_users_is_asked(Server) ->
    Answer = fun(<<"app.test">>) -> [{4371, <<"N1.test.">>}, {4372, "n2.test"}] end,
    with_client(Server, #{}, Answer, fun() ->
        await_status(wanted, ['app-4371@n1.test', 'app-4372@n2.test']),
        client_does(fun(_) -> [] end),
        await_status(last_lookup, {empty, nodata}),
        await_status(wanted, ['app-4371@n1.test', 'app-4372@n2.test']),
        ?assertEqual(0, caravan_dns_server:count(Server))
    end).

what_a_client_does_wrong_is_a_failed_poll(Server) ->
    with_client(Server, #{}, fun(_) -> [{4371, <<"n1.test">>}] end, fun() ->
        await_status(wanted, ['app-4371@n1.test']),
        [
            begin
                client_does(Behaviour),
                ok = caravan_cluster:poll(test_topology),
                await_status(last_lookup, {failed, {client, Reason}}),
                await_status(wanted, ['app-4371@n1.test'])
            end
         || {Behaviour, Reason} <- [
                {fun(_) -> error(on_purpose) end, {error, on_purpose}},
                {fun(_) -> throw(on_purpose) end, {throw, on_purpose}},
                {fun(_) -> {ok, []} end, {bad_answer, {ok, []}}},
                {fun(_) -> [{"4371", "n1.test"}] end, {bad_answer, [{"4371", "n1.test"}]}},
                {fun(_) -> [{4371, 5}] end, {bad_answer, [{4371, 5}]}},
                {fun(_) -> [{4371, <<"n">>} | more] end, {bad_answer, [{4371, <<"n">>} | more]}}
            ]
        ]
    end).

a_client_takes_any_query(Server) ->
    Answer = fun(<<"http://x/y z">>) -> [{4371, <<"n1.test">>}] end,
    with_client(Server, #{query => "http://x/y z"}, Answer, fun() -> await_status(wanted, ['app-4371@n1.test']) end).

the_client_that_is_the_default_is_no_client(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", srv, [{srv, 0, 1, 1, 4371, "n.test"}]),
    with_topology(Server, #{dns_client => 'Elixir.Caravan.DnsClient.Cares'}, fun() ->
        await(wanted, ['app-4371@n.test'])
    end).

a_client_that_hangs_is_given_up(Server) ->
    with_client(Server, #{timeout => 50}, fun(_) -> receive never -> [] end end, fun() ->
        await_status(last_lookup, {failed, timeout})
    end).

this_node_in_another_spelling_is_not_wanted(Server) ->
    ?assertEqual(nonode@nohost, node()),
    Template = #{node_name => "nonode@nohost", node_basename => "nonode"},
    ok = caravan_dns_server:put(Server, "app.test", srv, [{srv, 0, 1, 1, 4371, "n.test"}]),
    with_topology(Server, Template, fun() ->
        ?assertMatch(#{self_listed := true}, await(last_lookup, fresh)),
        ?assertMatch(#{wanted := []}, caravan_cluster:status(test_topology))
    end),
    with_topology(Server, Template#{node_name => "NoNode@nohost"}, fun() ->
        ?assertMatch(#{self_listed := true, wanted := []}, await(last_lookup, fresh))
    end).
