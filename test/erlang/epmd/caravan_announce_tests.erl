%% The lines that a node logs about its name and port.
-module(caravan_announce_tests).

-include_lib("eunit/include/eunit.hrl").

-define(A, 'app-4371@n.test').

%% Every event, with the facts that its line names.
every_event_has_a_line_that_names_its_facts_test_() ->
    [
        {atom_to_list(Event), fun() ->
            ok = caravan_test_log:assert_line(caravan_announce, Facts#{event => Event}, Named)
        end}
     || {Event, Facts, Named} <- [
            {digits_ignored, #{name => "app-80", port => 4370}, ["app-80", 4370]},
            {late_listen_port, #{name => ?A, port => 4371, listen_port => 4711}, [?A, 4371, 4711]},
            {listening,
                #{name => ?A, port => 4711, rule => listen_port, advertised_port => 4371, advertised_rule => name},
                [?A, 4711, listen_port, 4371, "the digits 4371 at the end of its name"]},
            {listening,
                #{name => ?A, port => 4371, rule => name, advertised_port => 4371, advertised_rule => name},
                [?A, "4371 (by the digits 4371 at the end of its name)"]},
            {listening, #{name => 'rpc-1f3a-app-4370@n.test', port => 64015, rule => helper, pattern => <<"mix_rpc">>},
                ['rpc-1f3a-app-4370@n.test', 64015, helper, mix_rpc]},
            {listening,
                #{
                    name => ?A, port => 4711, rule => listen_port, source => {variable, "CARAVAN_LISTEN_PORT"},
                    advertised_port => 4371, advertised_rule => default_port, advertised_source => flag
                },
                [?A, 4711, listen_port, "CARAVAN_LISTEN_PORT", 4371, default_port, "flag -caravan"]},
            {listening, #{name => "app1", port => 4711, rule => erl_dist_port, advertised_rule => port_srv},
                ["app1", 4711, erl_dist_port, port_srv]},
            {port_in_use,
                #{name => ?A, port => 4371, rule => name, source => default, holder => {ok, #{os_pid => "17", node => "b@h"}}},
                [?A, 4371, eaddrinuse, "b@h", "17", "app-4372"]},
            {port_in_use,
                #{name => "app", port => 4371, rule => erl_epmd_port, source => default, holder => unknown},
                ["app", 4371, "another program", "set erl_epmd_port"]},
            {bad_listen_port, #{error => {bad_option, 'NOMAD_PORT_dist', "x", "a port"}}, ['NOMAD_PORT_dist', "a port"]},
            {late_port, #{port => 4370, advertised_port => 4711}, [4370, 4711]},
            {name_spelling, #{name => 'app@Host-A.Test', expected => "app@host-a.test"}, ['app@Host-A.Test', "app@host-a.test"]},
            {not_in_epmd, #{name => app, port => 4370, reason => econnrefused}, [app, 4370, econnrefused]}
        ]
    ].

a_name_that_no_record_makes_is_warned_of_test_() ->
    [
        {atom_to_list(Name), fun() -> ?assertEqual(Expected, warned(Name)) end}
     || {Name, Expected} <- [
            {'app-4491@host-a.test', []},
            {'App_B-4491@host-a.test', []},
            {'app-4491@10.0.0.1', []},
            {'app-4491@fd00::1', []},
            {'app-4491@Laptop', []},
            {nonode, []},
            {'app-4491@Host-A.Test', ["app-4491@host-a.test"]},
            {'app-4491@n2.test.', ["app-4491@n2.test"]},
            {'app-4491@FD00:0::1', ["app-4491@fd00::1"]}
        ]
    ].

warned(Name) ->
    caravan_test_log:with_reports(warning, fun() ->
        ok = caravan_announce:spelling(Name),
        receive
            {caravan_test_log, #{event := name_spelling, name := Name, expected := Expected}} -> [Expected]
        after 0 -> []
        end
    end).

a_node_warns_of_its_spelling_once_test_() ->
    [
        {atom_to_list(Start), {timeout, 60, fun() -> caravan_test_network:with(#{host => "N.Test."}, fun(Network) ->
            caravan_test_log:with_file(Network, fun(Logging, Log) -> warns_once(Start, Logging, Log) end)
        end) end}}
     || Start <- [boot, run_time]
    ].

warns_once(Start, Network, Log) ->
    Name = caravan_test_network:node_name(Network, "app", caravan_test_network:free_port()),
    Node = start(Start, Network, Name),
    ?assertMatch({exited, 0, _}, caravan_test_node:stop(Node)),
    [Before, _Host] = string:split(atom_to_list(Name), "@"),
    Report = #{event => name_spelling, name => Name, expected => Before ++ "@n.test"},
    ?assertEqual([caravan_test_log:line(caravan_announce, Report)], [Line || {warning, Line} <- Log()]).

start(boot, Network, Name) ->
    {Name, Node} = caravan_test_network:boot(Network, Name, []),
    ok = caravan_test_node:call(Node, application, start, [caravan]),
    Node;
start(run_time, Network, Name) ->
    {none, Node} = caravan_test_network:boot(Network, none, []),
    {ok, _} = caravan_test_node:call(Node, net_kernel, start, [Name, #{name_domain => longnames}]),
    ok = caravan_test_node:call(Node, application, start, [caravan]),
    Node.

any_term_is_a_reason_test_() ->
    [
        ?_assertEqual(
            ok,
            caravan_test_log:assert_line(
                caravan_announce, #{event => not_in_epmd, name => app, port => 4370, reason => Reason}, [app, 4370]
            )
        )
     || Reason <- ["two\nlines", 'two\nlines', <<0, 255>>, "узел", {}, [improper | list], #{a => b}]
    ].

%% A filter of a handler may have removed keys.
a_report_without_its_facts_has_a_line_test_() ->
    [
        ?_assertMatch({"caravan" ++ _, [_]}, caravan_announce:format(Report))
     || Report <- [#{}, #{event => listening}, #{event => listening, name => ?A, port => 1, rule => name}]
    ].
