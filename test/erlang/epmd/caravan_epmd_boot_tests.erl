%% How caravan_epmd starts: with flags, at run time, and not at all.
-module(caravan_epmd_boot_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/2, boot/3, free_port/0, node_name/3, start/3]).
-import(caravan_test_node, [await_boot/1, call/4, listening_ports/1, stop/1]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

%% Flags

default_port_test_() ->
    ?NODES(begin
        Port = free_port(),
        with(#{flags => ["-caravan", "default_port", integer_to_list(Port)]}, fun(Network) ->
            {A, NodeA} = boot(Network, 'app@127.0.0.1', []),
            ?assertEqual([Port], listening_ports(NodeA)),
            {_, NodeB} = boot(Network, "b"),
            ?assertEqual(true, call(NodeB, net_kernel, connect_node, [A]))
        end)
    end).

port_range_test_() ->
    [?NODES(begin
        Low = free_port(),
        Default = integer_to_list(free_port()),
        Range = lists:flatten(io_lib:format(Form, [Low + 1, 65535])),
        with(#{flags => ["-caravan", "default_port", Default, "port_range", Range]}, fun(Network) ->
            {A, NodeA} = boot(Network, node_name(Network, "a", Low), []),
            ?assertEqual([list_to_integer(Default)], listening_ports(NodeA)),
            {_, NodeB} = boot(Network, node_name(Network, "b", Low + 1), []),
            ?assertEqual([Low + 1], listening_ports(NodeB)),
            ?assertEqual(true, call(NodeB, net_kernel, connect_node, [A]))
        end)
     end)
     || Form <- ["{~b,~b}", "[~b,~b]"]].

a_bad_flag_stops_the_boot_with_one_line_test_() ->
    [?NODES(with(#{}, fun(Network) ->
        Flags = ["-caravan", atom_to_list(Key), lists:flatten(io_lib:format("~0p", [Value]))],
        Node = start(Network, node_name(Network, "a", free_port()), Flags),
        Error = caravan_option:check({Key, flag}, Value, Type),
        ?assertEqual({exited, 1, caravan_test_log:option_line(Error)}, await_boot(Node))
     end))
     || {Key, Values, Type} <-
            [{default_port, [0, 65536, 1.5, nonsense, "4370"], caravan_option:port_number()},
             {port_range, [1024, {0, 1}, {2, 1}, {1, 65536}, {1, 2, 3}, nonsense], caravan_option:port_range()}],
        Value <- Values].

%% OTP reads the flag before Caravan, logs that it is not a term, and then ignores all flags of the application.
a_flag_that_is_no_term_stops_the_boot_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        Node = start(Network, node_name(Network, "a", free_port()), ["-caravan", "default_port", "{"]),
        ?assertMatch({exited, 1, _}, await_boot(Node))
    end)).

%% Warnings

digits_that_are_no_port_are_warned_of_once_test_() ->
    [?NODES(with_log(fun(Network, Log) ->
        Port = free_port(),
        Flags = ["-caravan", "default_port", integer_to_list(Port)],
        Own = list_to_atom(Name ++ "@127.0.0.1"),
        {_, Node} = boot(Network, Own, Flags),
        %% While the system boots there is no handler, and each entry appears twice.
        ?assertEqual([], Log()),
        ok = call(Node, application, start, [caravan]),
        ?assertMatch({exited, 0, _}, stop(Node)),
        Line = announced(#{event => digits_ignored, name => Own, port => Port}),
        ?assertEqual([{warning, Line} || Warned], [Entry || {warning, _} = Entry <- Log()])
     end))
     || {Name, Warned} <- [{"app-80", true}, {"app-99999", true}, {"app0", true}, {"app", false}, {"app-80-x", false}]].

%% Scripts parse the output of a helper. An ordinary node with such a name, which runs the application, logs it.
a_node_with_the_name_of_a_helper_is_told_by_the_application_test_() ->
    [?NODES(with_log(fun(Network, Log) ->
        {Name, Port} = caravan_test_network:helper_name(Network, "rpc-1f3a-"),
        {_, Node} = boot(Network, Name, Flags),
        [?assertEqual(ok, call(Node, application, start, [caravan])) || Told],
        ?assertMatch({exited, 0, _}, stop(Node)),
        Line = announced(#{event => listening, name => Name, port => Port, rule => helper, pattern => <<"mix_rpc">>}),
        ?assertEqual([{notice, Line} || Told], Log())
    end))
     || {Flags, Told} <- [{[], true}, {[], false}, {["-hidden"], false}]].

a_helper_that_starts_distribution_at_run_time_logs_nothing_test_() ->
    ?NODES(with_log(fun(Network, Log) ->
        {Name, Port} = caravan_test_network:helper_name(Network, "rabbitmqcli-18-"),
        {none, Node} = boot(Network, none, []),
        ?assertMatch({ok, _}, start_distribution(Node, Name)),
        ?assertEqual([Port], listening_ports(Node)),
        ?assertMatch({exited, 0, _}, stop(Node)),
        ?assertEqual([], Log())
    end)).

%% As from a runtime.exs that is read after the distribution has started.
a_port_that_changes_after_the_start_is_an_error_in_the_log_test_() ->
    ?NODES(with_log(fun(Network, Log) ->
        [Before, After] = [free_port() || _ <- [before, later]],
        %% Like sys.config, and unlike a flag, which takes precedence over everything.
        Config = write_config(Before),
        {_, Node} = boot(Network, 'app@127.0.0.1', ["-config", Config]),
        ok = file:delete(Config),
        ok = call(Node, application, set_env, [caravan, default_port, After]),
        ok = call(Node, application, start, [caravan]),
        ?assertMatch({exited, 0, _}, stop(Node)),
        Line = announced(#{event => late_port, port => Before, advertised_port => After}),
        ?assertEqual([Line], [Error || {error, Error} <- Log()])
    end)).

write_config(DefaultPort) ->
    File = filename:join("/tmp", lists:concat(["caravan-", os:getpid(), "-", DefaultPort, ".config"])),
    ok = file:write_file(File, io_lib:format("~p.", [[{caravan, [{default_port, DefaultPort}]}]])),
    File.

a_port_in_the_name_is_nothing_to_speak_of_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        ?assertEqual({exited, 0, <<>>}, stop(Node))
    end)).

%% Loaded modules

%% Each module that an ordinary node does not need lengthens the boot: most of them by a millisecond, `unicode_util', which
%% only `string' needs, by 25.
a_boot_loads_little_more_than_that_of_an_ordinary_node_test_() ->
    Always = [
        caravan_ascii, caravan_boot, caravan_config, caravan_epmd, caravan_listen, caravan_nif, caravan_option, caravan_port,
        caravan_variable
    ],
    %% crypto: net_kernel draws a creation. epp: reads the encoding of caravan.app, as for any application that a VM loads.
    OfOtp = [crypto, epp],
    [?NODES(with(#{node => #{env => Variables}}, fun(Network) ->
        Ordinary = caravan_test_epmd:with(Network, fun() -> loaded(Network#{epmd_module := "erl_epmd"}, []) end),
        ?assertEqual(lists:sort(Always ++ More), (loaded(Network, Flags) -- Ordinary) -- OfOtp)
     end))
     || {Variables, Flags, More} <- [
            {[], [], []},
            {[], ["-caravan", "default_port", "4371", "port_srv", "\"{name}.test\""], [caravan_template]},
            {[{"CARAVAN_DEFAULT_PORT", " 4371 "}, {"CARAVAN_PORT_RANGE", "1024-65535"}, {"CARAVAN_LISTEN_PORT", "name"},
              {"CARAVAN_NAMESERVERS", "127.0.0.1, [::1]:53"}, {"CARAVAN_RESOLVER", "timeout=500,cache=true"},
              {"CARAVAN_CLUSTER_QUERY", "app.test"}, {"ERL_DIST_PORT", " 4372 "}], [], []}
        ]].

loaded(Network, Flags) ->
    {_, Node} = boot(Network, node_name(Network, "a", free_port()), Flags),
    lists:sort([Module || {Module, _} <- call(Node, code, all_loaded, [])]).

%% Distribution that starts at run time

distribution_starts_and_stops_at_run_time_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {B, _} = boot(Network, "b"),
        {none, Node} = boot(Network, none, []),
        Creations =
            [begin
                 Port = free_port(),
                 ?assertMatch({ok, _}, start_distribution(Node, node_name(Network, "a", Port))),
                 ?assertEqual([Port], listening_ports(Node)),
                 ?assertEqual(true, call(Node, net_kernel, connect_node, [B])),
                 Creation = call(Node, erlang, system_info, [creation]),
                 ?assertEqual(ok, call(Node, net_kernel, stop, [])),
                 Creation
             end
             || _ <- [first, second]],
        ?assertEqual(2, length(lists:usort(Creations)))
    end)).

what_would_stop_a_boot_is_an_error_at_run_time_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {none, Node} = boot(Network, none, []),
        ok = call(Node, application, set_env, [caravan, default_port, 0]),
        Name = node_name(Network, "a", free_port()),
        {error, Error} = caravan_option:check({default_port, environment}, 0, caravan_option:port_number()),
        {error, Reason} = start_distribution(Node, Name),
        ?assertEqual(caravan_option:format_error(Error), caravan_test_log:find_line(Reason)),
        ok = call(Node, application, set_env, [caravan, default_port, 4370]),
        ?assertMatch({ok, _}, start_distribution(Node, Name))
    end)).

%% Escripts, `elixir' and `mix' run during the boot. They must get the error, too.
an_error_at_run_time_leaves_a_script_running_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        Start = "{error, _} = net_kernel:start('~s', #{name_domain => longnames}).",
        Name = node_name(Network, "a", free_port()),
        Flags = ["-caravan", "default_port", "0", "-eval", lists:flatten(io_lib:format(Start, [Name]))],
        Node = start(Network, none, Flags),
        ?assertEqual(ok, await_boot(Node))
    end)).

a_busy_port_at_run_time_is_an_error_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {B, NodeB} = boot(Network, "b"),
        {none, Node} = boot(Network, none, []),
        ?assertMatch({error, _}, start_distribution(Node, B)),
        ?assertEqual(nonode@nohost, call(Node, erlang, node, [])),
        ?assertEqual(B, call(NodeB, erlang, node, []))
    end)).

with(Options, Test) ->
    caravan_test_network:with(Options, Test).

with_log(Test) ->
    with(#{}, fun(Network) -> caravan_test_log:with_file(Network, Test) end).

announced(Report) ->
    caravan_test_log:line(caravan_announce, Report).

start_distribution(Node, Name) ->
    call(Node, net_kernel, start, [Name, #{name_domain => longnames}]).
