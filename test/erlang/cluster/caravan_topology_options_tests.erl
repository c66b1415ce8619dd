%% Values that the options of a topology cannot have.
-module(caravan_topology_options_tests).

-include_lib("eunit/include/eunit.hrl").

bad_values_test_() ->
    {setup, fun caravan_nif:load/0, [
        {lists:flatten(io_lib:format("~p ~0p", [Key, Value])),
         ?_assertMatch({error, {bad_option, Key, Value, [_ | _]}}, check(#{Key => Value}))}
     || {Key, Value} <- [
            {name, "text"}, {dns_client, "text"}, {prune_max_fraction, 0}, {prune_max_fraction, 1.1}, {prune_max_fraction, half}, {started_by, nobody},
            {node_name, <<"{basename}">>}, {node_name, <<"{basename}@{ip}@{ip}">>}, {node_name, <<"{basename}@{nonsense}">>},
            {node_name, <<"{basename}@a..b">>}, {node_name, <<"{basename} x@{ip}">>}, {connect, {m, f, no_list}}, {connect, f}
        ]
    ]}.

names_of_address_records_have_no_port_test_() ->
    {setup, fun caravan_nif:load/0, [
        ?_assertMatch({error, {bad_option, node_name, _, "a node name with {basename} or {ip} in it; " ++ _}},
                      check(#{record => a, node_name => <<"{basename}-{port}@{ip}">>})),
        ?_assertMatch({ok, _}, check(#{record => a, node_name => <<"{basename}@{ip}">>, started_by => caller, prune_max_fraction => 1}))
    ]}.

check(Options) ->
    caravan_cluster:check_options(maps:merge(#{name => main, query => "a.test", node_basename => "app"}, Options)).
