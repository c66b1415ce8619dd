%% What the application logs of a configuration that it cannot use, and the lines for it.
-module(caravan_app_tests).

-include_lib("eunit/include/eunit.hrl").

-export([log/2]).

-define(GUARD_MS, 30000).

%% Every event, with the facts that its line names.
every_event_has_a_line_that_names_its_facts_test_() ->
    BadOption = {bad_option, some_key, "some value", "something else"},
    Library = {"/nowhere/caravan_nif.so", {load_failed, "no such file"}},
    [
        {atom_to_list(Event), fun() -> ok = caravan_test_log:assert_line(Module, Facts#{event => Event}, Named) end}
     || {Module, Event, Facts, Named} <- [
            {caravan_app, not_started, #{error => BadOption}, [some_key, "some value", "something else"]},
            {caravan_app, not_started, #{error => Library}, ["/nowhere/caravan_nif.so"]},
            {caravan_app, bad_resolver, #{error => BadOption}, [some_key, "some value", "something else"]},
            {caravan_app, bad_resolver, #{error => closed}, [closed]},
            {caravan_topologies, bad_topologies, #{error => BadOption}, [some_key, "some value", "something else"]},
            {caravan_topologies, bad_topology, #{topology => test_topology, error => BadOption}, [
                test_topology, some_key, "some value", "something else"
            ]}
        ]
    ].

it_starts_with_what_it_needs_test() ->
    ?assertEqual({ok, [caravan]}, caravan:start()),
    ?assertEqual({ok, []}, caravan:start()),
    ok = application:stop(caravan).

%% A filter of a handler may have removed keys.
a_report_without_its_facts_has_a_line_test_() ->
    [
        ?_assertMatch({"caravan" ++ _, [_]}, Module:format(Report))
     || {Module, Report} <- [
            {caravan_app, #{}}, {caravan_app, #{event => not_started}}, {caravan_topologies, #{event => bad_topology}}
        ]
    ].

what_is_configured_wrongly_is_logged_test_() ->
    [
        {atom_to_list(Key), fun() -> ?assertEqual({Started, Report}, start(Key, Value)) end}
     || {Key, Value, Started, Report} <- [
            {default_port, 0, false, #{event => not_started, error => bad_option(default_port, 0)}},
            {resolver, 5, true, #{event => bad_resolver, error => bad_option(resolver, 5)}},
            {debug, yes, true, #{event => bad_value, error => bad_option(debug, yes)}},
            {topologies, 5, true, #{event => bad_topologies, error => bad_option(topologies, 5)}},
            {topologies, [{a, [{query, 5}, {node_basename, "app"}]}], true, #{
                event => bad_topology, topology => a, error => bad_option(query, 5)
            }}
        ]
    ].

%% Without the words for what is allowed.
bad_option(Key, Value) ->
    {bad_option, {Key, environment}, Value}.

%% Returns whether the application starts with that value, and the first error that it logs.
start(Key, Value) ->
    %% Loading an application sets the keys of its file and keeps those that are set.
    _ = application:load(caravan),
    ok = application:set_env(caravan, Key, Value),
    ok = logger:add_handler(?MODULE, ?MODULE, #{level => error, config => self()}),
    try
        Started = application:start(caravan),
        _ = application:stop(caravan),
        {Started =:= ok, logged()}
    after
        ok = logger:remove_handler(?MODULE),
        ok = application:unset_env(caravan, Key)
    end.

%% Called by logger.
log(#{msg := {report, #{event := _} = Report}}, #{config := Test}) ->
    Test ! {logged, Report};
log(_, _) ->
    ok.

logged() ->
    receive
        {logged, #{error := Error} = Report} -> Report#{error := without_words(Error)}
    after ?GUARD_MS -> error(nothing_logged)
    end.

without_words({bad_option, Key, Value, _Allowed}) -> {bad_option, Key, Value}.

%% The application logs each ignored value, unknown key and accidental variable once, and runs.
what_counts_for_nothing_is_logged_test() ->
    Variables = [{"CARAVAN_DEBUG", "true"}, {"CARAVAN_DEFAULT_PORT", "tcp://10.0.0.1:80"}],
    logs(Variables, [{nameserver, "127.0.0.1"}, {debug, false}], fun() ->
        ok = application:start(caravan),
        ok = application:stop(caravan)
    end, [
        #{event => variable_passed_over, variable => "CARAVAN_DEFAULT_PORT", value => "tcp://10.0.0.1:80"},
        #{event => value_overridden, key => debug, source => {variable, "CARAVAN_DEBUG"}, overridden => environment},
        #{event => unknown_key, key => nameserver, near => nameservers}
    ]).

%% application_controller calls it after the configuration has changed at run time.
a_change_that_counts_for_nothing_is_logged_test() ->
    logs([{"CARAVAN_DEBUG", "true"}], [{debug, false}, {port_range, {1, 2}}], fun() ->
        caravan_app:config_change([{debug, false}], [{port_range, {1, 2}}], [])
    end, [#{event => value_overridden, key => debug, source => {variable, "CARAVAN_DEBUG"}, overridden => environment}]).

%% Configured topologies take precedence over the one from variables.
a_reload_says_what_counts_for_nothing_test() ->
    logs([{"CARAVAN_CLUSTER_QUERY", "app.test"}], [{topologies, []}], fun() ->
        ?assertEqual({error, not_started}, caravan_cluster:reload())
    end, [#{event => value_overridden, key => topologies, source => environment, overridden => {variable, "CARAVAN_CLUSTER_QUERY"}}]).

%% Asserts that the function logs exactly these reports with these variables and this environment.
logs(Variables, Environment, Fun, Reports) ->
    caravan_test_config:with_variables(Variables, fun() ->
        caravan_test_config:with_environment(Environment, fun() -> caravan_test_log:with_reports(notice, Fun) end)
    end),
    ?assertEqual(Reports, [caravan_test_log:next_report() || _ <- Reports]),
    [ok = caravan_test_log:assert_no_report(Event) || Event <- [variable_passed_over, value_overridden, unknown_key]].
