%% The lines of what a topology logs.
-module(caravan_report_tests).

-include_lib("eunit/include/eunit.hrl").

%% Callback of a logger handler.
-export([log/2]).

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
            {records, #{query => <<"app.test">>}, ["app.test"]},
            {records_again, #{query => <<"app.test">>}, ["app.test"]},
            {no_records, #{query => <<"app.test">>, reason => nxdomain, answered => true}, ["app.test", nxdomain, "no node is disconnected"]},
            {no_records, #{query => <<"app.test">>, reason => nxdomain, answered => false}, ["app.test", nxdomain, "no answer"]},
            {lookup_failed, #{query => <<"app.test">>, reason => servfail, answered => true, nameservers => system},
                ["app.test", servfail, "resolv.conf", "keeping the last answer"]},
            {lookup_failed, #{query => <<"app.test">>, reason => servfail, answered => false, nameservers => [<<"10.0.0.1:53">>],
                record => srv, transports => [tcp, udp]},
                ["SRV records of app.test", servfail, "10.0.0.1:53 over TCP and UDP", "no answer"]},
            {lookup_failed, #{query => <<"app.test">>, reason => timeout, answered => true, nameservers => system,
                record => addresses, transports => [tcp]},
                ["addresses of app.test", timeout, "resolv.conf over TCP", "keeping the last answer"]},
            {client_failed, #{query => <<"app.test">>, dns_client => a_client, answered => true,
                reason => {error, {undef, {a_client, get_nodes, 1}}}},
                [a_client, "app.test", "there is no function a_client:get_nodes/1", "keeping the last answer"]},
            {client_failed, #{query => <<"app.test">>, dns_client => a_client, answered => false, reason => {bad_answer, {ok, []}}},
                [a_client, "app.test", "{ok,[]}", "no answer"]},
            {never_answered, #{queries => #{<<"app.test">> => timeout}, held_ms => 60000, nameservers => [<<"10.0.0.1:53">>]},
                ["app.test", timeout, "60 s", "10.0.0.1:53"]},
            {unanswered, #{queries => #{<<"app.test">> => timeout}, held_ms => 600000, nameservers => system, transports => [tcp], record => a},
                ["app.test", timeout, "10 minutes", "resolv.conf over TCP", "keeping the last answer"]},
            {alone, #{wanted => 17, held_ms => 660000, failing => #{?A => timeout}}, [17, "11 minutes", ?A, "does not answer"]},
            {alone, #{wanted => 17, held_ms => 660000, failing => #{}}, [17, "11 minutes"]},
            {failing, #{nodes => #{?A => #{reason => timeout, held_ms => 60000}, ?B => #{reason => no_address, held_ms => 36000000}}},
                [?A, "does not answer", "60 s", ?B, "no address", "10 hours"]},
            {not_self_listed, #{node => ?A, same_host => []}, [?A]},
            {not_self_listed, #{node => ?A, same_host => [?B]}, [?A, ?B]},
            {connects_failed, #{nodes => [?A, ?B], reason => {unreachable, econnrefused, {{127, 0, 0, 1}, 4370}}}, [2, ?A, ?B, econnrefused]},
            {function_failed, #{option => list_nodes, function => {m, f, 1}, failure => timeout},
                [list_nodes, "m:f/1", "took too long"]},
            {function_failed, #{option => disconnect, function => {m, f, 1}, failure => {raised, {exit, stop}}},
                [disconnect, "m:f/1", "raised exit stop"]},
            {function_failed, #{option => disconnect, function => {m, f, 1}, failure => {exit, killed}}, [disconnect, "m:f/1", "was terminated: killed"]},
            {left_out, #{counts => #{connect_failed => 2, failing => 3, looked_up => 4, names_refused => 5, a_new_one => 6}},
                ["2 failures to connect", "3 reminders", "4 changed outcomes of lookups", "5 answers", "6 a_new_one"]},
            {found, #{nodes => [?A, ?B]}, [?A, ?B]},
            {found_once, #{nodes => [?A, ?B]}, [?A, ?B]},
            {change, #{wanted => 17, added => [?A], removed => [?B]}, [17, ?A, ?B]},
            {names_refused, #{reason => invalid, count => 17}, [17]},
            {names_refused, #{reason => max_nodes, count => 17, limit => 23}, [17, max_nodes, 23]},
            {names_refused, #{reason => atom_budget, count => 17, limit => 23}, [17, atom_budget, 23]},
            {names_refused, #{reason => unresolved, count => 17}, [17, "no address"]},
            {samples, #{records => 8}, [8, "{answers, sampled}"]},
            {left_out, #{counts => #{lost => 17, connected => 23}}, [17, "losses", 23]},
            {nodes_down, #{nodes => #{?A => connection_closed, ?B => disconnect}, flapping => [], failed => #{}, connected => 17},
                [?A, ?B, disconnect, 17]},
            {nodes_down, #{nodes => #{?A => connection_closed, ?B => disconnect}, flapping => [], failed => #{?B => timeout}, connected => 17},
                [?A, ?B, disconnect, 17, "does not answer"]},
            {nodes_down, #{nodes => #{?A => connection_closed, ?B => disconnect}, flapping => [?B], failed => #{}, connected => 17},
                [?A, ?B, "do not last", 17]},
            {own_alias, #{aliases => [?A], node => ?B}, [?A, ?B]},
            {connect_failed, #{node => ?A, reason => {unreachable, econnrefused, {{127, 0, 0, 1}, 4370}}}, [?A, econnrefused]},
            {flapping, #{node => ?A, reason => disconnect, count => 2, left_alone => 29000, connected => 17}, [?A, disconnect, 17, 2, 29]},
            {connected, #{nodes => [?A, ?B], connected => 17}, [?A, ?B, 17]},
            {node_down, #{node => ?A, reason => connection_closed, connected => 17}, [?A, connection_closed, 17]},
            {left, #{nodes => [?A], connected => 17}, [?A, "has left", 17]},
            {left, #{nodes => [?A, ?B], connected => 17}, [?A, ?B, "have left", 17]},
            {left_out, #{counts => #{left => 17}}, [17, "departures"]},
            {leaving, #{away_ms => 61234}, [61]},
            {node_down, #{node => ?A, reason => connection_closed, failure => timeout, connected => 17},
                [?A, connection_closed, "does not answer", 17]},
            {disconnect, #{node => ?A, result => true, absent_ms => 61234}, [?A, 61]}
        ]
    ].

%% Reasons come from users' functions, from OTP and from the network.
any_term_is_a_reason_test_() ->
    [
        ?_assertEqual(ok, caravan_test_log:assert_line(caravan_report, Report#{topology => test_topology, reason => Reason}, []))
     || Report <- [
            #{event => lookup_failed, query => <<"app.test">>, answered => true, nameservers => system},
            #{event => connect_failed, node => ?A},
            #{event => node_down, node => ?A, connected => 0}
        ],
        Reason <- [
            "two\nlines", <<"two\nlines">>, 'two\nlines', <<0, 255>>, <<1:3>>, "узел", self(), 1.5, {}, [], #{a => b},
            [improper | list], fun erlang:node/0, lists:seq(1, 1000), {unreachable, {tls_alert, "two\nlines"}},
            {result, "two\nlines"}, {raised, {error, [{m, f, 0, []}]}}
        ]
    ].

%% A filter of a handler may have removed keys.
a_report_without_its_facts_has_a_line_test_() ->
    [
        ?_assertMatch({"caravan" ++ _, [_ | _]}, caravan_report:format(Report))
     || Report <- [#{}, #{event => connected}, #{event => connected, topology => test_topology}, #{event => other}]
    ].

%% A deployment of many nodes causes more lines than the budget has, although nothing is wrong.
what_is_left_out_is_a_warning_only_where_something_is_wrong_test_() ->
    [
        {atom_to_list(Level), fun() ->
            caravan_test_log:with_reports(Level, fun() ->
                ok = caravan_report:log({left_out, Counts}, #{name => test_topology, log => all}),
                ?assertEqual(IsLogged, receive {caravan_test_log, #{event := left_out}} -> true after 0 -> false end)
            end)
        end}
     || {Level, Counts, IsLogged} <- [
            {warning, #{left => 2, connected => 3}, false},
            {notice, #{left => 2, connected => 3}, true},
            {warning, #{left => 2, lost => 1}, true}
        ]
    ].
%% Nobody would read a line with 200 nodes.
long_lists_are_cut_test_() ->
    Nodes = [list_to_atom("app-" ++ integer_to_list(Port) ++ "@n.test") || Port <- lists:seq(4001, 4200)],
    [
        {atom_to_list(Event), ?_assert(length(caravan_test_log:line(caravan_report, Facts#{event => Event, topology => app})) < 600)}
     || {Event, Facts} <- [
            {change, #{wanted => 200, added => Nodes, removed => Nodes}},
            {connected, #{nodes => Nodes, connected => 200}},
            {connects_failed, #{nodes => Nodes, reason => timeout}},
            {nodes_down, #{
                nodes => maps:from_keys(Nodes, connection_closed), flapping => Nodes, failed => maps:from_keys(Nodes, timeout), connected => 0
            }},
            {alone, #{wanted => 200, held_ms => 60000, failing => maps:from_keys(Nodes, timeout)}},
            {failing, #{nodes => maps:from_keys(Nodes, #{reason => timeout, held_ms => 60000})}},
            {found, #{nodes => Nodes}},
            {not_self_listed, #{node => ?A, same_host => Nodes}}
        ]
    ].

%% A change is a notice; a fault that an operator should look into is a warning.
levels_test_() ->
    Lost = fun(Reason, IsWanted, Flap) -> {<<"app-4371@n.test">>, Reason, IsWanted, Flap} end,
    Flap = {<<"app-4371@n.test">>, 2, 30000},
    Refused = {unreachable, econnrefused, {{127, 0, 0, 1}, 4370}},
    [
        ?_assertEqual({Level, Event}, logged(Report, #{}))
     || {Level, Event, Report} <- [
            {notice, node_down, {lost, [Lost(connection_closed, true, none)], [], 1}},
            {notice, node_down, {lost, [Lost(connection_closed, true, none)], [{<<"app-4371@n.test">>, Refused}], 1}},
            {warning, node_down, {lost, [Lost(connection_closed, true, none)], [{<<"app-4371@n.test">>, cookie}], 1}},
            {warning, node_down, {lost, [Lost(net_tick_timeout, true, none)], [], 1}},
            {notice, node_down, {lost, [Lost(net_tick_timeout, false, none)], [], 1}},
            {warning, flapping, {lost, [Lost(connection_closed, true, Flap)], [], 1}},
            {warning, nodes_down, {lost, [Lost(connection_closed, true, Flap), Lost(connection_closed, true, none)], [], 1}},
            {notice, connect_failed, {connect_failed, Refused, [<<"app-4371@n.test">>]}},
            {warning, connects_failed, {connect_failed, cookie, [<<"app-4371@n.test">>, <<"app-4372@n.test">>]}},
            {notice, connect_failed, {connect_failed, timeout, [<<"app-4371@n.test">>]}},
            {notice, connects_failed, {connect_failed, no_address, [<<"app-4371@n.test">>, <<"app-4372@n.test">>]}},
            {warning, samples, {samples, 3}},
            {warning, never_answered, {never_answered, [{{<<"app.test">>, own}, none}], 60000}},
            {warning, alone, {alone, 1, 60000, []}},
            {warning, failing, {failing, [{<<"app-4371@n.test">>, timeout, 60000}]}},
            {warning, never_answered, {never_answered, [{{<<"app.test">>, own}, {failed, timeout}}], 60000}},
            {warning, unanswered, {unanswered, [{{<<"app.test">>, own}, {empty, nxdomain}}], 600000}},
            {warning, not_self_listed, {not_self_listed, <<"app-4371@n.test">>, []}}
        ]
    ].

a_level_of_the_options_drops_what_is_below_test_() ->
    Report = {connected, [<<"app-4371@n.test">>], 1},
    [
        ?_assertEqual(Logged, logged(Report, #{log => Log}))
     || {Log, Logged} <- [
            {all, {notice, connected}}, {info, {notice, connected}}, {notice, {notice, connected}}, {warning, nothing}, {none, nothing}
        ]
    ].

over_what_a_lookup_went_is_said_test_() ->
    [
        ?_assertEqual({Options, Transports}, {Options, caravan_poll:transports(maps:merge(#{
            record => srv, transport => default, resolver => default
        }, Options))})
     || {Options, Transports} <- [
            {#{}, [tcp, udp]}, {#{transport => auto}, [tcp, udp]}, {#{transport => tcp}, [tcp]}, {#{record => a}, [tcp, udp]},
            {#{record => a, transport => udp}, [udp]}, {#{resolver => make_ref()}, unknown}
        ]
    ].

%% Returns the level and the event of a report in the log.
logged(Report, Overrides) ->
    Options = #{name => app, query => <<"app.test">>, queries => [{<<"app.test">>, own}], log => all, started_by => caller,
        dns_client => default, nameservers => default, resolver => default, record => srv, transport => default},
    ok = logger:add_handler(?MODULE, ?MODULE, #{level => debug, config => self()}),
    try
        ok = caravan_report:log(Report, maps:merge(Options, Overrides)),
        receive {?MODULE, Level, #{event := Event}} -> {Level, Event} after 0 -> nothing end
    after
        ok = logger:remove_handler(?MODULE)
    end.

%% Called by logger.
log(#{level := Level, msg := {report, Report}}, #{config := Test}) ->
    Test ! {?MODULE, Level, Report}.
