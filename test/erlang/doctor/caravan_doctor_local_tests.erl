%% What the doctor reports about the machine, the configuration and the port of a node.
-module(caravan_doctor_local_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [free_port/0]).

a_directory_that_counts_for_nothing_is_said_test() ->
    Notes = fun() -> [Subject || #{state := note, subject := Subject} <- caravan_doctor_local:library(#{})] end,
    ?assertEqual([], Notes()),
    with_variable("CARAVAN_NIF_DIR", code:priv_dir(caravan), fun() -> ?assertEqual([], Notes()) end),
    with_variable("CARAVAN_NIF_DIR", "/elsewhere", fun() -> ?assertEqual([<<"CARAVAN_NIF_DIR">>], Notes()) end).

an_old_cares_is_a_note_where_it_is_a_part_of_the_library_test_() ->
    [
        ?_assertEqual(Notes, [Seen || #{state := note, seen := Seen} <- caravan_doctor_local:old_cares(#{version => Version, linked => Linked})])
     || {Version, Linked, Notes} <- [
            {<<"1.18.1">>, static, [<<"1.18.1 is linked into the library and has known faults, which 1.34.6 fixes: build again with a newer one">>]},
            {<<"1.34.6">>, static, []},
            {<<"1.34.10">>, static, []},
            {<<"1.18.1">>, shared, []}
        ]
    ].

a_value_that_is_not_allowed_is_a_fault_test() ->
    caravan_test_config:with_environment([{default_port, none}], fun() ->
        ?assertMatch([#{subject := <<"default_port">>, cause := #{name := configuration}}], faults(flags())),
        ?assertMatch([#{subject := <<"configuration">>, cause := #{name := configuration}}], faults(caravan_doctor_local:library(#{})))
    end).

values_and_keys_are_shown_test() ->
    caravan_test_config:with_environment([{default_port, 4371}, {defualt_port, 1}, {something_else, 1}, {topologies, [{main, #{query => "secret.test", node_basename => "app"}}]}], fun() ->
        Seen = maps:from_list([{Subject, Text} || #{subject := Subject, seen := Text} <- flags()]),
        ?assertMatch(#{<<"default_port">> := <<"4371 (", _/binary>>, <<"topologies">> := <<"[main] (", _/binary>>,
                       <<"defualt_port">> := <<"ignored: the application has no such key; did you mean default_port?">>,
                       <<"something_else">> := <<"ignored: the application has no such key">>}, Seen)
    end).

another_epmd_module_is_a_note_test() ->
    ok = application:set_env(kernel, epmd_module, another),
    ?assertMatch([#{state := note, seen := <<"another is not a module of Caravan">>}], [Check || #{subject := <<"epmd_module">>} = Check <- flags()]),
    ok = application:unset_env(kernel, epmd_module).

where_a_node_listens_test_() ->
    {setup, fun caravan_nif:load/0, [
        {"another host", ?_assertMatch([#{state := ok}], checks("app-4370@192.0.2.1"))},
        {"no such host", ?_assertMatch([#{state := ok}], checks("app-4370@nowhere.invalid"))},
        {"nobody", fun() ->
            ?assertMatch([#{state := ok}, #{cause := #{name := down}}], checks(named(free_port())))
         end},
        {"any port", fun() ->
            caravan_test_config:with_environment([{listen_port, any}], fun() ->
                ?assertMatch([#{state := ok}, #{state := note, seen := <<"it listens on any free port, but ", _/binary>>}], checks(named(free_port())))
            end)
         end},
        {"another port", fun() ->
            caravan_test_config:with_environment([{listen_port, free_port()}], fun() ->
                ?assertMatch([#{state := ok}, #{state := note, seen := <<"it is set to listen on ", _/binary>>}, #{cause := #{name := down}}], checks(named(free_port())))
            end)
         end},
        {"a port of a variable that is none", fun() ->
            with_variable("THE_PORT", "none", fun() ->
                caravan_test_config:with_environment([{listen_port, {env, "THE_PORT"}}], fun() ->
                    ?assertMatch([#{cause := #{name := configuration}}], faults(checks(named(free_port()))))
                end)
            end)
         end},
        {"another server", fun() ->
            {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
            {ok, Port} = inet:port(Socket),
            ?assertMatch([#{cause := #{name := port_taken}}], faults(checks(named(Port)))),
            ok = gen_tcp:close(Socket)
         end}
    ]}.

named(Port) -> lists:concat(["app-", Port, "@127.0.0.1"]).

checks(Name) -> caravan_doctor_local:node(#{own => list_to_binary(Name), mode => outside}).

flags() -> caravan_doctor_local:flags(#{mode => outside, given => []}).

faults(Checks) -> [Check || #{state := fault} = Check <- Checks].

with_variable(Variable, Value, Test) ->
    true = os:putenv(Variable, Value),
    try
        Test()
    after
        true = os:unsetenv(Variable)
    end.
