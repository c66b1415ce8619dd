%% Thirty real nodes: they form a cluster at once, it heals when a third of them is replaced, and no fault of DNS disconnects
%% any of them.
-module(caravan_cluster_mesh_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_mesh, [
    assert_full/1, assert_kept/2, assert_kept/3, assert_looks_fail/2, await_full/1, connections/1, kill/1, names/2,
    publish/2, query/0, record/1, start/4, with/2
]).

-define(NODES, 30).
-define(REPLACED, 10).
%% The number of polls in a minute at the default interval, even if failures did not lengthen it.
-define(FAILED_LOOKS, 12).
%% How often each record is listed if an answer must be too large for UDP.
-define(REPEATED, 16).

%% One mesh for all of it, since its nodes take a while to boot.
thirty_nodes_form_a_mesh_that_heals_and_outlives_dns_test_() ->
    {atom_to_list(?FUNCTION_NAME), {timeout, 300, fun() ->
        with(?NODES, fun(Network, Server, Mesh) ->
            assert_full(Mesh),
            Healed = nodes_are_replaced(Network, Server, Mesh),
            Connections = connections(Healed),
            dns_goes_away(Server, Healed),
            dns_errs(Server, Healed),
            dns_lists_half_of_the_nodes(Server, Healed),
            dns_truncates(Server, Healed),
            ?assertEqual(Connections, connections(Healed))
        end)
    end}}.

nodes_are_replaced(Network, Server, Mesh) ->
    {Killed, Kept} = lists:split(?REPLACED, Mesh),
    Connections = connections(Kept),
    kill(Killed),
    Added = names(Network, ?REPLACED),
    publish(Server, Added ++ names_of(Kept)),
    Healed = Kept ++ start(Network, caravan_dns_server:nameserver(Server), query(), Added),
    await_full(Healed),
    assert_kept(Healed, fresh),
    ?assertEqual(Connections, connections(Kept)),
    Healed.

%% Nothing listens on the port of the nameserver; then it receives and never replies.
dns_goes_away(Server, Mesh) ->
    ok = caravan_dns_server:close_sockets(Server),
    assert_kept(Mesh, {failed, connrefused}),
    assert_looks_fail(Mesh, ?FAILED_LOOKS),
    assert_kept(Mesh, {failed, connrefused}),
    ok = caravan_dns_server:reopen(Server),
    assert_kept(Mesh, fresh),
    ok = caravan_dns_server:pause(Server),
    assert_kept(Mesh, {failed, timeout}),
    assert_looks_fail(Mesh, ?FAILED_LOOKS),
    assert_kept(Mesh, {failed, timeout}),
    ok = caravan_dns_server:resume(Server),
    assert_kept(Mesh, fresh).

dns_errs(Server, Mesh) ->
    [
        begin
            ok = caravan_dns_server:put(Server, query(), srv, Answer),
            assert_kept(Mesh, Outcome)
        end
     || {Answer, Outcome} <- [
            {servfail, {failed, servfail}},
            {nxdomain, {empty, nxdomain}},
            {[], {empty, nodata}}
        ]
    ].

%% Over TCP, so that the answer is complete.
dns_lists_half_of_the_nodes(Server, Mesh) ->
    {Listed, _} = lists:split(?NODES div 2, names_of(Mesh)),
    publish(Server, Listed),
    assert_kept(Mesh, fresh, Listed).

%% No TCP connection is served, and a UDP reply has room for some of the nodes only.
dns_truncates(Server, Mesh) ->
    publish(Server, names_of(Mesh)),
    assert_kept(Mesh, fresh),
    ok = caravan_dns_server:put(Server, query(), srv, servfail),
    assert_kept(Mesh, {failed, servfail}),
    Records = [record(Name) || Name <- names_of(Mesh), _ <- lists:seq(1, ?REPEATED)],
    ok = caravan_dns_server:put(Server, query(), srv, {by_transport, #{udp => Records, tcp => close}}),
    {ok, #{records := Some, complete := false}} =
        caravan_dns:lookup(query(), srv, #{nameservers => [caravan_dns_server:nameserver(Server)]}),
    ?assert(length(lists:usort([Port || #{port := Port} <- Some])) < ?NODES),
    assert_kept(Mesh, fresh).

names_of(Mesh) ->
    [Name || {Name, _} <- Mesh].
