%% The text and the JSON of the health of a topology.
-module(caravan_health_report_tests).

-include_lib("eunit/include/eunit.hrl").

-define(ENDPOINT, {{127, 0, 0, 1}, 4370}).

a_reason_has_its_words_test_() ->
    [?_assertEqual(<<"not ready: ", Words/binary>>, caravan_health_report:format({not_ready, [Reason]}))
     || {Words, Reason} <- [
            {<<"this node is not distributed">>, not_distributed},
            {<<"this node has left its cluster and connects to no node for 9 s more">>, {leaving, #{left => 9000}}},
            {<<"1 other node is connected and 2 are expected">>, {too_few_nodes, #{expected => 2, connected => 1}}},
            {<<"0 other nodes are connected and 1 is expected">>, {too_few_nodes, #{expected => 1, connected => 0}}},
            {<<"no lookup has brought an answer yet">>, no_answer},
            {<<"no such topology runs">>, not_running},
            {<<"the topology does not answer">>, unresponsive},
            {<<"the last lookup has failed (timeout)">>, {lookup_failed, timeout}},
            {<<"DNS says that there are no records (nxdomain)">>, {no_records, nxdomain}},
            {<<"the last answer is 60 s old">>, {old_answer, #{age => 60000}}},
            {<<"DNS does not list this node">>, not_listed},
            {<<"the last answer may lack records">>, incomplete_answer},
            {<<"names of the last answer are refused: 2 badname, 1 other">>, {names_refused, #{badname => 2, "a term" => 1}}},
            {<<"none of 1 wanted node is connected">>, {isolated, #{wanted => 1}}},
            {<<"1 of 2 wanted nodes is connected">>, {partly_connected, #{wanted => 2, connected => 1}}},
            {<<"cannot connect to a@a (tls, unknown_ca), b@a (no_port, erl_epmd), c@a (unreachable, etimedout), d@a (no_node), e@a (other) and 1 more">>,
             {nodes_failing, #{'a@a' => #{reason => {tls, unknown_ca, here}}, 'b@a' => #{reason => {no_port, erl_epmd}},
                               'c@a' => #{reason => {unreachable, etimedout, ?ENDPOINT}}, 'd@a' => #{reason => {no_node, ?ENDPOINT}},
                               'e@a' => #{reason => "secret"}, 'f@a' => #{reason => cookie}}}},
            {<<"connections do not last: a@a (3)">>, {flapping, #{'a@a' => #{count => 3}}}},
            {<<"a_new_one">>, a_new_one}
        ]].

control_characters_are_not_printed_test() ->
    ?assertEqual(<<"degraded: the last lookup has failed (?[2J)">>, caravan_health_report:format({degraded, [{lookup_failed, '\e[2J'}]})).

verdict_of_what_does_not_answer_test() ->
    ?assertEqual(ok, caravan_health_report:verdict({main, {ok, ok}})).

json_of_health_test_() ->
    [?_assertEqual(Expected, caravan_health_report:health_json(Health))
     || {Expected, Health} <- [
            {#{health => ok, reasons => []}, ok},
            {#{health => degraded, reasons => [#{reason => not_listed, text => <<"DNS does not list this node">>, facts => #{}}]}, {degraded, [not_listed]}},
            {#{health => not_ready,
               reasons => [#{reason => lookup_failed, text => <<"the last lookup has failed (other)">>, facts => #{reason => <<"other">>}}]},
             {not_ready, [{lookup_failed, "secret"}]}},
            {#{health => not_ready, reasons => [#{reason => isolated, text => <<"none of 2 wanted nodes is connected">>, facts => #{wanted => 2}}]},
             {not_ready, [{isolated, #{wanted => 2}}]}}
        ]].

json_of_status_test() ->
    ?assertEqual(
        #{query => [#{query => <<"a">>}, #{basename => <<"b">>, query => <<"c">>}], nameservers => #{addresses => system, source => <<"VAR">>},
          source => <<"options">>, last_lookup => #{outcome => failed, reason => <<"timeout">>}, next_poll => 0, missing => null, own => null,
          counts => #{a => [1, <<"cookie">>]}},
        caravan_health_report:status_json(
            #{query => [<<"a">>, {<<"b">>, <<"c">>}], nameservers => {system, {variable, "VAR"}}, source => options, last_lookup => {failed, timeout},
              next_poll => now, missing => none, own => undefined, counts => #{a => [1, {cookie, "secret"}]}})
    ),
    ?assertEqual(#{last_lookup => #{outcome => fresh}, next_poll => 7}, caravan_health_report:status_json(#{last_lookup => fresh, next_poll => 7})).
