%% Where the values of keys come from, and which source counts.
-module(caravan_config_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_config, [value/1, source/1]).
-import(caravan_test_config, [with_environment/2, with_variables/2]).

%% Texts of variables and the values that they stand for, and texts that are refused.
-define(VARIABLES, [
    {default_port, "CARAVAN_DEFAULT_PORT", "4371", 4371, "0"},
    {port_range, "CARAVAN_PORT_RANGE", "2000-3000", {2000, 3000}, "3000-2000"},
    {port_range, "CARAVAN_PORT_RANGE", "2000, 3000", {2000, 3000}, "2000"},
    {port_in_name, "CARAVAN_PORT_IN_NAME", "dash", dash, "dashes"},
    {helper_ports, "CARAVAN_HELPER_PORTS", "62000-62002", {62000, 62002}, "62000-62001"},
    {helper_names, "CARAVAN_HELPER_NAMES", "foo-{number}-{number},*-tool", [<<"foo-{number}-{number}">>, <<"*-tool">>],
        "foo-{digits}"},
    {helper_names, "CARAVAN_HELPER_NAMES", "foo-*", [<<"foo-*">>], "*"},
    {listen_port, "CARAVAN_LISTEN_PORT", "4372", 4372, "65536"},
    {listen_port, "CARAVAN_LISTEN_PORT", "name", name, "nowhere"},
    {listen_port, "CARAVAN_LISTEN_PORT", "default", default, "defaults"},
    {listen_port, "CARAVAN_LISTEN_PORT", "any", any, "-1"},
    {listen_port, "CARAVAN_LISTEN_PORT", "env:NOMAD_PORT_dist", {env, "NOMAD_PORT_dist"}, "env:"},
    {port_srv, "CARAVAN_PORT_SRV", "{name}.app.test", [name, <<".app.test">>], "app.test"},
    {port_srv, "CARAVAN_PORT_SRV", "none", none, "{name}..test"},
    {fallback, "CARAVAN_FALLBACK", "epmd", epmd, "epmdd"},
    {nameservers, "CARAVAN_NAMESERVERS", "127.0.0.1:8600, [::1]:53", [<<"127.0.0.1:8600">>, <<"[::1]:53">>], "nowhere"},
    {nameservers, "CARAVAN_NAMESERVERS", " system ", system, ","},
    {resolver, "CARAVAN_RESOLVER", "timeout=500,cache=true,transport=tcp,hosts_file=/etc/hosts",
        [{timeout, 500}, {cache, true}, {transport, tcp}, {hosts_file, "/etc/hosts"}], "timeout"},
    {health, "CARAVAN_HEALTH", "port=4380,ip=0.0.0.0", #{port => 4380, ip => {0, 0, 0, 0}}, "port=none"},
    {health, "CARAVAN_HEALTH", "port=4380", #{port => 4380, ip => {127, 0, 0, 1}}, "4380"},
    {health, "CARAVAN_HEALTH", "none", none, "port=4380,ip=localhost"},
    {debug, "CARAVAN_DEBUG", "true", true, "yes"}
]).

variables_test_() ->
    [
        [
            {Variable ++ "=" ++ Text, fun() -> a_variable_gives_the_value(Key, Variable, Text, Value) end},
            {Variable ++ "=" ++ Wrong, fun() -> a_wrong_variable_is_named(Key, Variable, Wrong) end}
        ]
     || {Key, Variable, Text, Value, Wrong} <- ?VARIABLES
    ].

a_variable_gives_the_value(Key, Variable, Text, Value) ->
    with_variables([{Variable, Text}], fun() ->
        ?assertEqual({ok, Value}, value(Key)),
        ?assertEqual({variable, Variable}, source(Key))
    end).

a_wrong_variable_is_named(Key, Variable, Text) ->
    with_variables([{Variable, Text}], fun() ->
        {error, {bad_option, Named, Text, [_ | _]} = Error} = value(Key),
        ?assertEqual({Key, {variable, Variable}}, Named),
        Line = caravan_option:format_error(Error),
        [?assertNotEqual(nomatch, string:find(Line, Part)) || Part <- [Variable, atom_to_list(Key), Text]]
    end).

%% The application's environment and a variable: each takes precedence over the sources before it.
a_variable_beats_the_applications_environment_test() ->
    with_variables([], fun() -> ?assertEqual({{ok, 4370}, default}, {value(default_port), source(default_port)}) end),
    with_environment([{default_port, 4371}], fun() ->
        with_variables([], fun() ->
            ?assertEqual({{ok, 4371}, environment}, {value(default_port), source(default_port)}),
            ?assertEqual([], caravan_config:overridden())
        end),
        with_variables([{"CARAVAN_DEFAULT_PORT", "4372"}], fun() ->
            ?assertEqual({ok, 4372}, value(default_port)),
            ?assertEqual([{default_port, environment, {variable, "CARAVAN_DEFAULT_PORT"}}], caravan_config:overridden())
        end)
    end).

%% A helper would not read it.
what_helpers_have_to_know_does_not_come_from_the_applications_environment_test_() ->
    [
        {atom_to_list(Key), fun() ->
            with_environment([{Key, Value}], fun() ->
                with_variables([], fun() ->
                    {error, {bad_option, {Key, environment}, Value, _} = Error} = value(Key),
                    Line = caravan_option:format_error(Error),
                    [
                        ?assertNotEqual({Part, nomatch}, {Part, string:find(Line, Part)})
                     || Part <- [atom_to_list(Key), caravan_variable:name(Key), "-caravan"]
                    ],
                    ?assertEqual({error, Error}, caravan_boot:prepare())
                end),
                with_variables([{caravan_variable:name(Key), Text}], fun() -> ?assertEqual({ok, Value}, value(Key)) end)
            end)
        end}
     || {Key, Value, Text} <- [{helper_ports, {62000, 62002}, "62000-62002"}, {helper_names, [<<"foo-*">>], "foo-*"}]
    ].

names_and_ports_of_helpers_are_checked_test_() ->
    [
        [
            {lists:flatten(io_lib:format("~0p", [Value])), fun() ->
                ?assertEqual(Checked, caravan_option:check(Key, Value, caravan_option:Key()))
            end}
         || {Key, Value, Checked} <- [
                {helper_ports, [61000, 61002], {ok, {61000, 61002}}},
                {helper_names, [], {ok, []}},
                {helper_names, ["foo-*", <<"bar-{number}">>], {ok, [<<"foo-*">>, <<"bar-{number}">>]}},
                {helper_names, lists:duplicate(16, "a"), {ok, lists:duplicate(16, <<"a">>)}}
            ]
        ],
        [
            {lists:flatten(io_lib:format("~0p", [Value])), fun() ->
                {error, Error} = caravan_option:check(Key, Value, caravan_option:Key()),
                ?assertMatch({bad_option, Key, Value, [_ | _]}, Error)
            end}
         || {Key, Value} <- [
                {helper_ports, {61000, 61001}}, {helper_ports, {65000, 65536}}, {helper_ports, {61002, 61000}},
                {helper_ports, 61000}, {helper_names, "foo-*"}, {helper_names, <<"foo-*">>}, {helper_names, [foo]},
                {helper_names, ["*"]}, {helper_names, ["foo@h"]}, {helper_names, [lists:duplicate(65, $a)]},
                {helper_names, lists:duplicate(17, "a")}, {helper_names, ["a" | "b"]}
            ]
        ]
    ].

%% Flags cannot be set in a running VM.
a_flag_beats_a_variable_test_() ->
    {timeout, 60, fun() ->
        Expression =
            "ok = caravan_config:load(), "
            "ok = application:set_env(caravan, default_port, 4373), "
            "io:format(\"~0p\", [[{caravan_config:value(K), caravan_config:source(K)} || K <- [default_port, debug]]]), "
            "io:format(\"~0p\", [caravan_config:overridden()]), halt().",
        Output = vm([{"CARAVAN_DEFAULT_PORT", "4371"}, {"CARAVAN_DEBUG", "true"}], "-caravan default_port 4372", Expression),
        ?assertEqual(
            "[{{ok,4372},flag},{{ok,true},{variable,\"CARAVAN_DEBUG\"}}]"
            "[{default_port,{variable,\"CARAVAN_DEFAULT_PORT\"},flag},{default_port,environment,flag}]",
            Output
        )
    end}.

%% As application_controller treats several flags.
flags_count_as_for_otp_test_() ->
    {timeout, 60, fun() ->
        Flags = "-caravan default_port 4371 default_port 4372 -caravan default_port 4373 debug true",
        Expression =
            "ok = caravan_config:load(), "
            "io:format(\"~0p\", [[{ok, element(2, caravan_config:given(K))} =:= application:get_env(caravan, K) "
            "|| K <- [default_port, debug]]]), halt().",
        ?assertEqual("[true,true]", vm([], Flags, Expression))
    end}.

a_flag_that_is_no_term_is_an_error_test_() ->
    {timeout, 60, fun() ->
        Expression = "io:format(\"~ts\", [caravan_option:format_error(element(2, caravan_config:load()))]), halt().",
        Output = vm([], "-caravan default_port [1", Expression),
        Line = "caravan: option default_port of the flag -caravan is \"[1\"; allowed: an Erlang term",
        ?assert(lists:suffix(Line, Output))
    end}.

%% Kubernetes sets these beside Services called caravan and caravan-default.
an_option_of_the_resolver_that_is_none_is_named_test() ->
    with_variables([{"CARAVAN_RESOLVER", "tiemout=5"}], fun() ->
        {error, Error} = caravan_dns:check_default(),
        ?assertMatch({bad_option, {tiemout, {variable, "CARAVAN_RESOLVER"}}, 5, _}, Error)
    end).

what_kubernetes_sets_is_passed_over_test() ->
    Variables = [
        {"CARAVAN_PORT", "tcp://10.0.0.1:80"},
        {"CARAVAN_SERVICE_HOST", "10.0.0.1"},
        {"CARAVAN_DEFAULT_PORT", "tcp://10.0.0.1:80"},
        {"CARAVAN_DEFAULT_PORT_80_TCP", "tcp://10.0.0.1:80"}
    ],
    with_variables(Variables, fun() ->
        ?assertEqual({{ok, 4370}, default}, {value(default_port), source(default_port)}),
        ?assertEqual([{"CARAVAN_DEFAULT_PORT", "tcp://10.0.0.1:80"}], caravan_config:passed_over())
    end).

an_empty_variable_is_as_one_that_is_not_set_test() ->
    with_variables([{"CARAVAN_DEFAULT_PORT", ""}, {"CARAVAN_NAMESERVERS", " "}, {"CARAVAN_CLUSTER_QUERY", ""}], fun() ->
        ?assertEqual([default, default, default], [source(Key) || Key <- [default_port, nameservers, topologies]])
    end).

variables_make_one_topology_test() ->
    Variables = [
        {"CARAVAN_CLUSTER_QUERY", "app.service.consul"},
        {"CARAVAN_CLUSTER_BASENAME", "blue,green"},
        {"CARAVAN_CLUSTER_NODE_NAME", "{basename}-{port}@{ip}"},
        {"CARAVAN_CLUSTER_RECORD", "srv"}
    ],
    with_variables(Variables, fun() ->
        {ok, [{default, Options}]} = value(topologies),
        {ok, Checked} = caravan_cluster:check_options([{name, default} | Options]),
        ?assertMatch(
            #{query := <<"app.service.consul">>, node_basename := [<<"blue">>, <<"green">>], record := srv}, Checked
        )
    end).

the_query_of_a_variable_may_be_several_or_none_test() ->
    Query = fun(Text) ->
        with_variables([{"CARAVAN_CLUSTER_QUERY", Text}], fun() ->
            {ok, [{default, Options}]} = value(topologies),
            {_, Query} = lists:keyfind(query, 1, Options),
            {ok, #{query := Checked}} = caravan_cluster:check_options([{name, default}, {node_basename, "app"} | Options]),
            {Query, Checked}
        end)
    end,
    ?assertMatch({ignore, _}, Query("ignore")),
    ?assertMatch({["a.test", "b.test"], [<<"a.test">>, <<"b.test">>]}, Query("a.test, b.test")),
    ?assertMatch({"a.test", <<"a.test">>}, Query("a.test")).

topologies_that_are_written_beat_the_one_of_variables_test() ->
    with_environment([{topologies, []}], fun() ->
        with_variables([{"CARAVAN_CLUSTER_QUERY", "app.service.consul"}], fun() ->
            ?assertEqual({{ok, []}, environment}, {value(topologies), source(topologies)}),
            ?assertEqual([{topologies, {variable, "CARAVAN_CLUSTER_QUERY"}, environment}], caravan_config:overridden())
        end)
    end).

a_wrong_variable_of_the_topology_is_named_test_() ->
    [
        {Variable ++ "=" ++ Text, fun() ->
            with_variables([{"CARAVAN_CLUSTER_QUERY", "app.test"}, {"CARAVAN_CLUSTER_BASENAME", "app"}, {Variable, Text}], fun() ->
                {ok, [{default, Options}]} = value(topologies),
                {error, Error} = caravan_cluster:check_options([{name, default} | Options]),
                ?assertMatch({bad_option, {Option, {variable, Variable}}, _, _}, caravan_config:topology_error(Error))
            end)
        end}
     || {Option, Variable, Text} <- [
            {query, "CARAVAN_CLUSTER_QUERY", "a..test"},
            {query, "CARAVAN_CLUSTER_QUERY", "none"},
            {node_basename, "CARAVAN_CLUSTER_BASENAME", "a.b"},
            {node_name, "CARAVAN_CLUSTER_NODE_NAME", "{name}@{ip}"},
            {record, "CARAVAN_CLUSTER_RECORD", "mx"}
        ]
    ].

a_missing_variable_of_the_topology_is_named_test() ->
    with_variables([{"CARAVAN_CLUSTER_BASENAME", "app"}], fun() ->
        {ok, [{default, Options}]} = value(topologies),
        {error, Error} = caravan_cluster:check_options([{name, default} | Options]),
        ?assertMatch(
            {bad_option, {query, {variable, "CARAVAN_CLUSTER_QUERY"}}, missing, _}, caravan_config:topology_error(Error)
        )
    end).

unknown_keys_have_a_near_one_test_() ->
    [
        {atom_to_list(Unknown), fun() ->
            with_environment([{Unknown, 1}], fun() ->
                ?assertEqual([{Unknown, Near}], caravan_config:unknown_keys())
            end)
        end}
     || {Unknown, Near} <- [
            {nameserver, nameservers}, {topology, topologies}, {default_prot, default_port}, {cookie, none}
        ]
    ].

every_event_has_a_line_that_names_its_facts_test_() ->
    [
        {atom_to_list(Event), fun() ->
            ok = caravan_test_log:assert_line(caravan_config_report, Facts#{event => Event}, Named)
        end}
     || {Event, Facts, Named} <- [
            {variable_passed_over, #{variable => "CARAVAN_DEFAULT_PORT", value => "tcp://10.0.0.1:80"},
                ["CARAVAN_DEFAULT_PORT", "tcp://10.0.0.1:80"]},
            {value_overridden, #{key => debug, source => {variable, "CARAVAN_DEBUG"}, overridden => environment},
                [debug, "CARAVAN_DEBUG", "the application's environment"]},
            {unknown_key, #{key => nameserver, near => nameservers}, [nameserver, nameservers]},
            {bad_value, #{error => {bad_option, debug, yes, "one of [true,false]"}}, [debug, yes, "[true,false]"]},
            {unknown_key, #{key => cookie, near => none}, [cookie]}
        ]
    ].

a_report_without_its_facts_has_a_line_test() ->
    ?assertMatch({"caravan" ++ _, [_]}, caravan_config_report:format(#{event => unknown_key})).

vm(Variables, Flags, Expression) ->
    Erl = filename:join([code:root_dir(), "bin", "erl"]),
    Arguments = ["-noshell", "-pa", filename:dirname(code:which(caravan_config))] ++ string:lexemes(Flags, " ") ++
        ["-eval", Expression],
    Port = open_port({spawn_executable, Erl}, [{args, Arguments}, {env, Variables}, exit_status, stderr_to_stdout, hide]),
    collect(Port, "").

collect(Port, Output) ->
    receive
        {Port, {data, Data}} -> collect(Port, Output ++ Data);
        {Port, {exit_status, 0}} -> Output
    end.
