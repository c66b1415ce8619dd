%% The lines of what a topology logs.
-module(caravan_report_tests).

-include_lib("eunit/include/eunit.hrl").

-define(A, 'app-4371@n.test').
-define(B, 'app-4372@n.test').

%% Every event, with the facts that its line names.
every_event_has_a_line_that_names_its_facts_test_() ->
    [
        {atom_to_list(Event), fun() ->
            Report = Facts#{event => Event, topology => test_topology},
            ok = caravan_test_log:assert_line(caravan_report, Report, [test_topology | Named])
        end}
     || {Event, Facts, Named} <- [
            {ignored, #{}, []},
            {not_distributed, #{}, []},
            {asks_epmd, #{tool => mix_release}, ["rel/vm.args.eex", "-epmd_module Elixir.Caravan.Epmd.Client"]},
            {asks_epmd, #{tool => mix}, ["iex", "-epmd_module caravan_epmd"]},
            {asks_epmd, #{tool => rebar3_shell}, ["rebar3 shell", "-epmd_module caravan_epmd"]},
            {asks_epmd, #{tool => erl}, ["vm.args", "-epmd_module caravan_epmd"]},
            {records_again, #{query => <<"app.test">>}, ["app.test"]},
            {no_records, #{query => <<"app.test">>, reason => nxdomain}, ["app.test", nxdomain]},
            {lookup_failed, #{query => <<"app.test">>, reason => servfail}, ["app.test", servfail]},
            {client_failed, #{query => <<"app.test">>, dns_client => a_client, reason => {error, {undef, {a_client, get_nodes, 1}}}},
                [a_client, "app.test", "there is no function a_client:get_nodes/1"]},
            {client_failed, #{query => <<"app.test">>, dns_client => a_client, reason => {bad_answer, {ok, []}}},
                [a_client, "app.test", "{ok,[]}"]},
            {function_failed, #{option => list_nodes, function => {m, f, 1}, failure => timeout},
                [list_nodes, "m:f/1", "took too long"]},
            {function_failed, #{option => disconnect, function => {m, f, 1}, failure => {raised, {exit, stop}}},
                [disconnect, "m:f/1", "raised exit stop"]},
            {found, #{nodes => [?A, ?B]}, [?A, ?B]},
            {found_once, #{nodes => [?A, ?B]}, [?A, ?B]},
            {change, #{wanted => 17, added => [?A], removed => [?B]}, [17, ?A, ?B]},
            {names_refused, #{reason => invalid, count => 17}, [17]},
            {names_refused, #{reason => max_nodes, count => 17, limit => 23}, [17, max_nodes, 23]},
            {names_refused, #{reason => atom_budget, count => 17, limit => 23}, [17, atom_budget, 23]},
            {names_refused, #{reason => unresolved, count => 17}, [17, "no address"]},
            {samples, #{records => 8}, [8, "{answers, sampled}"]},
            {left_out, #{counts => #{lost => 17, connected => 23}}, [17, "lost", 23]},
            {nodes_down, #{nodes => #{?A => connection_closed, ?B => disconnect}, flapping => [], connected => 17}, [?A, ?B, disconnect, 17]},
            {nodes_down, #{nodes => #{?A => connection_closed, ?B => disconnect}, flapping => [?B], connected => 17},
                [?A, ?B, "do not last", 17]},
            {own_alias, #{aliases => [?A], node => ?B}, [?A, ?B]},
            {connect_failed, #{node => ?A, reason => {unreachable, econnrefused, {{127, 0, 0, 1}, 4370}}}, [?A, econnrefused]},
            {flapping, #{node => ?A, reason => disconnect, count => 2, left_alone => 29000, connected => 17}, [?A, disconnect, 17, 2, 29]},
            {connected, #{nodes => [?A, ?B], connected => 17}, [?A, ?B, 17]},
            {node_down, #{node => ?A, reason => connection_closed, connected => 17}, [?A, connection_closed, 17]},
            {left, #{nodes => [?A], connected => 17}, [?A, "has left", 17]},
            {left, #{nodes => [?A, ?B], connected => 17}, [?A, ?B, "have left", 17]},
            {left_out, #{counts => #{left => 17}}, [17, "left"]},
            {leaving, #{away_ms => 61234}, [61]},
            {disconnect, #{node => ?A, result => true, absent_ms => 61234}, [?A, 61]}
        ]
    ].

%% Reasons come from users' functions, from OTP and from the network.
any_term_is_a_reason_test_() ->
    [
        ?_assertEqual(ok, caravan_test_log:assert_line(caravan_report, Report#{topology => test_topology, reason => Reason}, []))
     || Report <- [
            #{event => lookup_failed, query => <<"app.test">>},
            #{event => connect_failed, node => ?A},
            #{event => node_down, node => ?A, connected => 0}
        ],
        Reason <- [
            "two\nlines", <<"two\nlines">>, 'two\nlines', <<0, 255>>, <<1:3>>, "узел", self(), 1.5, {}, [], #{a => b},
            [improper | list], fun erlang:node/0, lists:seq(1, 1000), {unreachable, {tls_alert, "two\nlines"}},
            {result, "two\nlines"}, {raised, {error, [{m, f, 0, []}]}}
        ]
    ].

%% As when a filter of a handler has taken keys out.
a_report_without_its_facts_has_a_line_test_() ->
    [
        ?_assertMatch({"caravan" ++ _, [_ | _]}, caravan_report:format(Report))
     || Report <- [#{}, #{event => connected}, #{event => connected, topology => test_topology}, #{event => other}]
    ].

%% A deploy of many nodes makes more lines than there is room for, and nothing is wrong.
what_is_left_out_is_a_warning_only_where_something_is_wrong_test_() ->
    [
        {atom_to_list(Level), fun() ->
            caravan_test_log:with_reports(Level, fun() ->
                ok = caravan_report:log({left_out, Counts}, #{name => test_topology}),
                ?assertEqual(IsLogged, receive {caravan_test_log, #{event := left_out}} -> true after 0 -> false end)
            end)
        end}
     || {Level, Counts, IsLogged} <- [
            {warning, #{left => 2, connected => 3}, false},
            {notice, #{left => 2, connected => 3}, true},
            {warning, #{left => 2, lost => 1}, true}
        ]
    ].
