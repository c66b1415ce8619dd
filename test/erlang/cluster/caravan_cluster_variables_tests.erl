%% Real nodes that are configured by environment variables only.
-module(caravan_cluster_variables_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3, free_port/0]).
-import(caravan_test_node, [await_peers/2, call/4]).

-define(QUERY, "app.service.test").

nodes_find_each_other_by_variables_alone_test_() ->
    {timeout, 120, fun() ->
        ok = caravan_nif:load(),
        {ok, Server} = caravan_dns_server:start_link(#{}),
        Nameserver = caravan_dns_server:nameserver(Server),
        Variables = [
            {"CARAVAN_NAMESERVERS", Nameserver},
            {"CARAVAN_CLUSTER_QUERY", ?QUERY},
            {"CARAVAN_CLUSTER_NODE_NAME", "{basename}-{port}@{ip}"}
        ],
        caravan_test_network:with(#{node => #{env => Variables}}, fun(Network) ->
            Ports = [free_port() || _ <- [a, b]],
            [A, B] = Names = [list_to_atom(lists:concat(["app-", Port, "@127.0.0.1"])) || Port <- Ports],
            ok = caravan_dns_server:put(Server, ?QUERY, srv, [{srv, 0, 0, 0, Port, "n.test"} || Port <- Ports]),
            ok = caravan_dns_server:put(Server, "n.test", a, [{a, 0, {127, 0, 0, 1}}]),
            Start = ["-eval", "{ok, _} = application:ensure_all_started(caravan)."],
            [{A, NodeA}, {B, NodeB}] = [boot(Network, Name, Start) || Name <- Names],
            ok = await_peers(NodeA, [B]),
            ok = await_peers(NodeB, [A]),
            ?assertMatch(
                #{
                    source := {variable, "CARAVAN_CLUSTER_QUERY"},
                    nameservers := {[_], {variable, "CARAVAN_NAMESERVERS"}},
                    connected := [B]
                },
                call(NodeA, caravan_cluster, status, [default])
            )
        end),
        caravan_dns_server:stop(Server)
    end}.
