%% Nodes with names `label@rest' that listen on the port of the SRV record of `label.rest': docs/upgrading.md, "From
%% libcluster-dynamic-srv".
-module(caravan_cluster_label_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_node, [await_peers/2]).

-define(QUERY, "app.service.test").
%% The digits at the ends of the names are not ports, although two of them could be.
-define(LABELS, ["node-0", "node-8001", "node-8002"]).

nodes_named_by_labels_find_the_ports_of_their_records_test_() ->
    {timeout, 60, fun() ->
        ok = caravan_nif:load(),
        {ok, Server} = caravan_dns_server:start_link(#{}),
        caravan_test_network:with(#{host => ?QUERY}, fun(Network) ->
            Ports = [{Label, caravan_test_network:free_port()} || Label <- ?LABELS],
            [ok = publish(Server, Label, Port) || {Label, Port} <- Ports],
            ok = caravan_dns_server:put(Server, ?QUERY, srv, [record(Label, Port) || {Label, Port} <- Ports]),
            Nodes = [{name(Label), start(Network, Server, Label, Port)} || {Label, Port} <- Ports],
            [?assertEqual(ok, caravan_test_node:await_boot(Node)) || {_, Node} <- Nodes],
            [ok = await_peers(Node, [Other || {Other, _} <- Nodes, Other =/= Name]) || {Name, Node} <- Nodes]
        end),
        ok = caravan_dns_server:stop(Server)
    end}.

publish(Server, Label, Port) ->
    ok = caravan_dns_server:put(Server, target(Label), srv, [record(Label, Port)]),
    ok = caravan_dns_server:put(Server, target(Label), a, [{a, 0, {127, 0, 0, 1}}]).

record(Label, Port) ->
    {srv, 0, 1, 1, Port, target(Label)}.

target(Label) ->
    Label ++ "." ++ ?QUERY.

name(Label) ->
    list_to_atom(Label ++ "@" ++ ?QUERY).

start(#{node := Options} = Network, Server, Label, Port) ->
    Topology = [{query, ?QUERY}, {node_name, "{label}@{domain}"}],
    Flags = [
        "-caravan", "nameservers", term([caravan_dns_server:nameserver(Server)]),
        "port_srv", term("{name}.{host}"), "port_in_name", "none", "topologies", term([{app, Topology}]),
        "-eval", "{ok, _} = application:ensure_all_started(caravan)."
    ],
    WithPort = Network#{node := Options#{env => [{"ERL_DIST_PORT", integer_to_list(Port)}]}},
    caravan_test_network:start(WithPort, name(Label), Flags).

term(Term) ->
    lists:flatten(io_lib:format("~0p", [Term])).
