%% Where a node listens, where others look for it, and what it logs about both.
-module(caravan_listen_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3, free_port/0, node_name/3, start/3]).
-import(caravan_test_node, [await_boot/1, call/4, listening_ports/1, stop/1]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

%% Order

the_first_that_is_set_says_where_a_node_listens_test_() ->
    [?NODES(with(#{}, fun(Network) ->
        Ports = ports([name, key, variable, flag, environment]),
        #{name := Own, Rule := Expected} = Ports,
        Name = node_name(Network, "app", Own),
        {_, Node} = boot(in_environment(Network, Set, Ports), Name, flags(Set, Ports)),
        ?assertEqual({Set, [Expected]}, {Set, listening_ports(Node)}),
        ?assertEqual({Set, {port, Own, 6}}, {Set, call(Node, caravan_epmd, port_please, [Name, local])})
    end))
     || {Set, Rule} <- [
            {[], name},
            {[environment], environment},
            {[flag, environment], flag},
            {[{listen_port, key}, flag, environment], key},
            {[{listen_port, variable}, flag, environment], variable},
            {[{listen_port, name}, flag, environment], name}
        ]].

a_variable_in_sys_config_says_where_a_node_listens_test_() ->
    ?NODES(caravan_test_directory:with(fun(Directory) ->
        File = filename:join(Directory, "sys.config"),
        Config = "[{caravan, [{listen_port, {env, \"NOMAD_PORT_dist\"}}]}].",
        File = caravan_test_directory:write(File, Config),
        with(#{}, fun(Network) ->
            #{name := Own, variable := Expected} = Ports = ports([name, variable]),
            Set = in_environment(Network, [{listen_port, variable}], Ports),
            {_, Node} = boot(Set, node_name(Network, "app", Own), ["-config", File]),
            ?assertEqual([Expected], listening_ports(Node))
        end)
    end)).

%% Its digits, and the settings, belong to another node.
a_helper_listens_at_the_hash_of_its_name_test_() ->
    [?NODES(with(#{}, fun(Network) ->
        Ports = ports([name, key, flag, environment]),
        {Name, Port} = caravan_test_network:helper_name(Network, Prefix),
        Set = [{listen_port, Key}, flag, environment],
        {_, Node} = boot(in_environment(Network, Set, Ports), Name, ["-hidden" | flags(Set, Ports)]),
        ?assertEqual([Port], listening_ports(Node))
    end))
     || {Prefix, Key} <- [{"rem-1f3a-", key}, {"rpc-00c4-", name}]].

two_helpers_of_one_port_do_not_share_it_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {Name, Port} = caravan_test_network:helper_name(Network, "rem-1f3a-"),
        {ok, Socket} = gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}]),
        {exited, 1, Output} = await_boot(start(Network, Name, [])),
        ?assertMatch({match, _}, re:run(Output, "eaddrinuse")),
        ok = gen_tcp:close(Socket)
    end)).

%% Names and ports of helpers

what_makes_a_helper_comes_by_flag_or_by_variable_test_() ->
    [?NODES(begin
        First = free_port(),
        {Variables, Flags} = helpers(Source, "tool-{number}", {First, First + 4}),
        with(#{node => #{env => Variables}}, fun(Network) ->
            {_, Node} = boot(Network, node_name(Network, "tool", First), Flags),
            [Port] = listening_ports(Node),
            ?assert(Port > First andalso Port =< First + 4),
            {_, Other} = boot(Network, node_name(Network, "b", free_port()), Flags),
            ?assertEqual({port, Port, 6}, call(Other, caravan_epmd, port_please, ["tool-" ++ integer_to_list(First), local])),
            ?assertMatch(
                #{explanation := "the hash of a helper's name (pattern tool-{number})" ++ _},
                call(Node, caravan_epmd, explain, ["tool-4370"])
            )
        end)
    end)
     || Source <- [flag, variable]].

helpers(flag, Pattern, {First, Last}) ->
    Flags = ["helper_names", io_lib:format("[\"~ts\"]", [Pattern]), "helper_ports", io_lib:format("[~b,~b]", [First, Last])],
    {[], ["-caravan" | [lists:flatten(Flag) || Flag <- Flags]]};
helpers(variable, Pattern, {First, Last}) ->
    {[{"CARAVAN_HELPER_NAMES", Pattern}, {"CARAVAN_HELPER_PORTS", lists:concat([First, "-", Last])}], []}.

%% Otherwise two nodes would have the same port.
a_node_whose_name_says_no_port_is_looked_for_where_all_such_nodes_listen_test_() ->
    [?NODES(with(#{}, fun(Network) ->
        #{name := Own, Setting := Common} = Ports = ports([name, flag, environment]),
        Default = ["-caravan", "default_port", integer_to_list(free_port())],
        Set = in_environment(Network, [Setting], Ports),
        {App, NodeA} = boot(Set, 'app@127.0.0.1', Default ++ flags([Setting], Ports)),
        {B, NodeB} = boot(Set, node_name(Network, "b", Own), Default ++ flags([Setting, {listen_port, name}], Ports)),
        ?assertEqual([Common], listening_ports(NodeA)),
        ?assertEqual([Own], listening_ports(NodeB)),
        ?assertEqual({port, Common, 6}, call(NodeB, caravan_epmd, port_please, ["app", {127, 0, 0, 1}])),
        ?assertEqual({port, 4834, 6}, call(NodeB, caravan_epmd, port_please, ["app-4834", {127, 0, 0, 1}])),
        ?assertEqual(true, call(NodeB, net_kernel, connect_node, [App])),
        ok = caravan_test_node:await_peers(NodeA, [B])
    end))
     || Setting <- [flag, environment]].

%% What cannot be used

a_port_that_is_none_stops_the_boot_with_one_line_test_() ->
    [?NODES(with(#{node => #{env => Environment}}, fun(Network) ->
        Node = start(Network, node_name(Network, "a", free_port()), Flags),
        ?assertEqual({exited, 1, caravan_test_log:option_line(Error)}, await_boot(Node))
    end))
     || {Environment, Flags, Error} <-
            [{[], ["-caravan", "listen_port", lists:flatten(io_lib:format("~0p", [Port]))],
              caravan_option:check({listen_port, flag}, Port, caravan_option:listen_port())}
             || Port <- [0, 65536, x, "x", {env, []}]] ++
            [{[], ["-erl_epmd_port", Port], caravan_port:check_settings([{{erl_epmd_port, flag}, Port}])}
             || Port <- ["abc", "0"]] ++
            [{[{"ERL_DIST_PORT", Port}], [], caravan_port:check_settings([{{erl_dist_port, {variable, "ERL_DIST_PORT"}}, Port}])}
             || Port <- ["abc", "65536"]] ++
            [{[{"NOMAD_PORT_dist", Port} || Port =/= false], ["-caravan", "listen_port", "{env,\"NOMAD_PORT_dist\"}"],
              caravan_port:check_settings([{{listen_port, {variable, "NOMAD_PORT_dist"}}, Port}])}
             || Port <- [false, "", "abc"]]].

%% A port that is taken

a_busy_port_stops_the_boot_with_a_line_that_names_the_holder_test_() ->
    [?NODES(with(#{}, fun(Network) ->
        Port = free_port(),
        {Holder, HolderNode} = boot(Network, node_name(Network, "holder", Port), []),
        Pid = call(HolderNode, os, getpid, []),
        Node = start(Network, Name(Port), Flags(integer_to_list(Port))),
        {exited, 1, Line} = await_boot(Node),
        %% The line is the whole message, without a report of OTP around it.
        ?assertMatch({_, [_]}, {Line, string:lexemes(Line, "\n")}),
        [?assertNotEqual({Line, Part, nomatch}, {Line, Part, string:find(Line, Part)})
         || Part <- ["eaddrinuse", integer_to_list(Port), Rule, Pid, atom_to_list(Holder), Hint(Port)]]
    end))
     || {Name, Flags, Rule, Hint} <- [
            {fun(Port) -> list_to_atom(lists:concat(["app-", Port, "@127.0.0.1"])) end, fun(_) -> [] end, "(by the digits ",
             fun(Port) -> lists:concat(["app-", Port + 1]) end},
            {fun(_) -> 'app@127.0.0.1' end, fun(Port) -> ["-caravan", "default_port", Port] end,
             "(default_port: flag -caravan)", fun(Port) -> lists:concat(["app-", Port + 1]) end},
            {fun(_) -> 'app@127.0.0.1' end, fun(Port) -> ["-caravan", "listen_port", Port] end,
             "(listen_port: flag -caravan)", fun(_) -> "set listen_port to another port" end}
        ]].

a_program_that_holds_the_port_is_named_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        Port = free_port(),
        {ok, Socket} = gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}]),
        Node = start(Network, node_name(Network, "app", Port), []),
        {exited, 1, Line} = await_boot(Node),
        ok = gen_tcp:close(Socket),
        ?assertNotEqual({Line, nomatch}, {Line, string:find(Line, "OS process " ++ os:getpid())})
    end)).

%% It has another interface, so OTP can listen.
a_port_that_is_taken_at_another_address_is_free_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        Port = free_port(),
        {ok, Socket} = gen_tcp:listen(Port, [{ip, {127, 0, 0, 99}}]),
        {_, Node} = boot(Network, node_name(Network, "app", Port), []),
        ?assertEqual([Port], listening_ports(Node)),
        ok = gen_tcp:close(Socket)
    end)).

%% OTP returns `nodistribution'.
a_busy_port_is_an_error_at_run_time_test_() ->
    ?NODES(with_log(fun(Network, Log) ->
        Port = free_port(),
        {ok, Socket} = gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}]),
        {none, Node} = boot(Network, none, []),
        Name = node_name(Network, "app", Port),
        ?assertMatch({error, _}, call(Node, net_kernel, start, [Name, #{name_domain => longnames}])),
        ok = gen_tcp:close(Socket),
        ?assertMatch({ok, _}, call(Node, net_kernel, start, [Name, #{name_domain => longnames}])),
        ?assertMatch({exited, 0, _}, stop(Node)),
        ?assertMatch([{error, "caravan: app-" ++ _} | _], [Logged || {error, "caravan" ++ _} = Logged <- Log()])
    end)).

%% Any port

any_port_is_one_that_is_free_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        Named = free_port(),
        {_, Node} = boot(Network, node_name(Network, "app", Named), ["-caravan", "listen_port", "any"]),
        [Port] = listening_ports(Node),
        ?assertNotEqual(Named, Port),
        ?assertEqual(ok, call(Node, application, start, [caravan]))
    end)).

%% The variable concerns nodes that listen.
a_node_that_does_not_listen_needs_no_variable_test_() ->
    [?NODES(with(#{}, fun(Network) ->
        Flags = ["-caravan", "listen_port", "{env,\"NOMAD_PORT_dist\"}"],
        {_, Node} = boot(Network, Name, Flags ++ More),
        ?assertEqual([], listening_ports(Node)),
        ?assertEqual(ok, call(Node, application, start, [caravan]))
     end))
     || {Name, More} <- [{'app@127.0.0.1', ["-dist_listen", "false"]}, {none, []}]].

%% Advertised and listened on

a_node_is_reached_where_its_name_says_though_it_listens_elsewhere_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        #{name := Advertised, key := Inside} = Ports = ports([name, key]),
        %% A relay maps one port to the other, as a bridge network or a load balancer does.
        {ok, Relay} = caravan_test_relay:start_link(#{
            from => {{127, 0, 0, 1}, Advertised, []}, to => {{127, 0, 0, 1}, Inside, []},
            seed => 1, delay => {0, 0}, duplicate => 0
        }),
        {A, NodeA} = boot(Network, node_name(Network, "app", Advertised), flags([{listen_port, key}], Ports)),
        {B, NodeB} = caravan_test_network:boot(Network, "b"),
        ?assertEqual(true, call(NodeB, net_kernel, connect_node, [A])),
        ?assertEqual(A, call(NodeB, rpc, call, [A, erlang, node, []])),
        ok = caravan_test_node:await_peers(NodeA, [B]),
        ?assertMatch(#{connections := 1}, caravan_test_relay:counts(Relay)),
        ok = caravan_test_relay:stop(Relay),
        ?assertEqual({error, econnrefused}, gen_tcp:connect({127, 0, 0, 1}, Advertised, []))
    end)).

%% What is logged

the_application_logs_once_where_a_node_listens_and_is_found_test_() ->
    [?NODES(with_log(fun(Network, Log) ->
        Ports = ports([name, key, flag]),
        Name = Named(Ports),
        {_, Node} = boot(Network, Name, flags(Set, Ports)),
        ?assertEqual(ok, call(Node, application, start, [caravan])),
        ?assertMatch({exited, 0, _}, stop(Node)),
        #{Port := Actual, Advertised := AdvertisedPort} = Ports,
        ?assertEqual([{notice, listening(Name, {Actual, Rule}, {AdvertisedPort, NameRule})}], Log())
    end))
     || {Named, Set, {Port, Rule}, {Advertised, NameRule}} <- [
            {fun with_digits/1, [], {name, name}, {name, name}},
            {fun with_digits/1, [{listen_port, key}], {key, listen_port}, {name, name}},
            {fun without_digits/1, [{default_port, key}], {key, default_port}, {key, default_port}},
            {fun without_digits/1, [flag], {flag, erl_epmd_port}, {flag, erl_epmd_port}}
        ]].

with_digits(#{name := Port}) -> list_to_atom(lists:concat(["app-", Port, "@127.0.0.1"])).

without_digits(_Ports) -> 'app@127.0.0.1'.

listening(Name, {Port, Rule}, {AdvertisedPort, NameRule}) ->
    caravan_test_log:line(caravan_announce, #{
        event => listening,
        name => Name,
        port => Port,
        rule => Rule,
        source => source(Rule),
        advertised_port => AdvertisedPort,
        advertised_rule => NameRule,
        advertised_source => source(NameRule)
    }).

source(Key) when Key =:= listen_port; Key =:= default_port -> flag;
source(_Rule) -> default.

%% The boot script starts most applications before the boot is over.
the_line_is_logged_once_where_the_application_starts_with_the_node_test_() ->
    ?NODES(with_log(fun(Network, Log) ->
        Start = ["-eval", "ok = application:start(caravan)."],
        {_, Node} = boot(Network, node_name(Network, "app", free_port()), Start),
        ?assertMatch({exited, 0, _}, stop(Node)),
        ?assertMatch([_], Log())
    end)).

nothing_is_logged_of_a_node_that_nobody_looks_for_test_() ->
    [?NODES(with_log(fun(Network, Log) ->
        {_, Node} = boot(Network, Name, Flags),
        ?assertEqual(ok, call(Node, application, start, [caravan])),
        ?assertMatch({exited, 0, _}, stop(Node)),
        ?assertEqual({Name, []}, {Name, Log()})
    end))
     || {Name, Flags} <- [
            {'app-4370@127.0.0.1', ["-dist_listen", "false"]},
            {none, ["-name", "undefined@127.0.0.1"]},
            {none, []}
        ]].

%% As from a runtime.exs that is read after the distribution has started.
a_listen_port_that_is_set_too_late_is_an_error_in_the_log_test_() ->
    ?NODES(with_log(fun(Network, Log) ->
        #{name := Own, key := Late} = ports([name, key]),
        {Name, Node} = boot(Network, node_name(Network, "app", Own), []),
        ?assertEqual(ok, call(Node, application, set_env, [caravan, listen_port, Late])),
        ?assertEqual(ok, call(Node, application, start, [caravan])),
        ?assertMatch({exited, 0, _}, stop(Node)),
        Report = #{event => late_listen_port, name => Name, port => Own, listen_port => Late},
        ?assertEqual([{error, caravan_test_log:line(caravan_announce, Report)}], Log())
    end)).

each_start_of_the_distribution_at_run_time_is_logged_once_test_() ->
    [?NODES(with_log(fun(Network, Log) ->
        {none, Node} = boot(Network#{interface := any}, none, Protocols),
        ?assertEqual(ok, call(Node, application, start, [caravan])),
        Ports = [free_port() || _ <- [first, second]],
        [begin
             Name = node_name(Network, "app", Port),
             ?assertMatch({ok, _}, call(Node, net_kernel, start, [Name, #{name_domain => longnames}])),
             ?assertEqual(ok, call(Node, net_kernel, stop, []))
         end
         || Port <- Ports],
        ?assertMatch({exited, 0, _}, stop(Node)),
        Lines = [listening(lists:concat(["app-", Port]), {Port, name}, {Port, name}) || Port <- Ports],
        ?assertEqual([{notice, Line} || Line <- Lines], Log())
    end))
     || Protocols <- [[]] ++ [["-proto_dist", "inet_tcp", "inet6_tcp"] || caravan_test_network:has_ipv6()]].

an_application_that_starts_later_does_not_repeat_it_test_() ->
    ?NODES(with_log(fun(Network, Log) ->
        {none, Node} = boot(Network, none, []),
        Name = node_name(Network, "app", free_port()),
        ?assertMatch({ok, _}, call(Node, net_kernel, start, [Name, #{name_domain => longnames}])),
        ?assertEqual(ok, call(Node, application, start, [caravan])),
        ?assertMatch({exited, 0, _}, stop(Node)),
        ?assertMatch([_], Log())
    end)).

%% Calls a function with a network, and with a function that returns what its nodes have logged about Caravan.
with_log(Test) ->
    with(#{}, fun(Network) -> caravan_test_log:with_file(Network, Test) end).

%% Settings: the key listen_port, as a port of its own, as `name' or as {env, Variable}; -erl_epmd_port;
%% ERL_DIST_PORT.

ports(Rules) ->
    maps:from_list([{Rule, free_port()} || Rule <- Rules]).

flags(Set, Ports) ->
    lists:append([flag(Setting, Ports) || Setting <- Set]).

flag({listen_port, name}, _Ports) -> ["-caravan", "listen_port", "name"];
flag({listen_port, variable}, _Ports) -> ["-caravan", "listen_port", "{env,\"NOMAD_PORT_dist\"}"];
flag({Key, key}, Ports) -> ["-caravan", atom_to_list(Key), port_text(key, Ports)];
flag(flag, Ports) -> ["-erl_epmd_port", port_text(flag, Ports)];
flag(environment, _Ports) -> [].

in_environment(Network, Set, Ports) ->
    Network#{node := #{env => lists:append([variable(Setting, Ports) || Setting <- Set])}}.

variable({listen_port, variable}, Ports) -> [{"NOMAD_PORT_dist", port_text(variable, Ports)}];
variable(environment, Ports) -> [{"ERL_DIST_PORT", port_text(environment, Ports)}];
variable(_Setting, _Ports) -> [].

port_text(Rule, Ports) ->
    integer_to_list(maps:get(Rule, Ports)).

with(Options, Test) ->
    caravan_test_network:with(Options, Test).
