%% Nodes whose ports are in SRV records.
-module(caravan_port_srv_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_dns_server, [count/1, put/4, queries/1]).
-import(caravan_test_nameserver, [with_network/2]).
-import(caravan_test_network, [boot/3, free_port/0, start/3]).
-import(caravan_test_node, [async/2, await_boot/1, await_peers/2, call/4, listening_ports/1, run/2, stop/1]).

-define(TEST(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

-define(LOCALHOST, {127, 0, 0, 1}).
-define(LOCALHOST6, {0, 0, 0, 0, 0, 0, 0, 1}).
-define(HANG_GUARD, 60000).

%% In this VM

one_lookup_gives_address_and_port_test_() ->
    ?TEST(with(#{}, fun(Server, System) ->
        put(Server, "app1.likes.test", srv, [{srv, 30, 0, 0, 4711, "n.test"}]),
        put(Server, "n.test", a, [{a, 30, {127, 0, 0, 7}}]),
        put(Server, "n.test", aaaa, [{aaaa, 30, ?LOCALHOST6}]),
        ?assertEqual({ok, {127, 0, 0, 7}, 4711, 6}, find("app1", inet)),
        ?assertEqual([srv], types(Server)),
        ?assertEqual({ok, ?LOCALHOST6, 4711, 6}, find("app1", inet6)),
        ?assertEqual([srv, srv], types(Server)),
        ?assertEqual(0, count(System))
    end)).

%% The way of dynamic-srv: each host is a service of its own.
the_host_alone_may_be_the_service_test_() ->
    ?TEST(with(#{}, fun(Server, _System) ->
        ok = application:set_env(caravan, port_srv, "{host}"),
        put(Server, "host.test", srv, [{srv, 30, 0, 0, 4711, "n.test"}]),
        put(Server, "n.test", a, [{a, 30, {127, 0, 0, 7}}]),
        ?assertEqual({ok, {127, 0, 0, 7}, 4711, 6}, find("app", inet))
    end)).

a_target_without_glue_is_looked_up_test_() ->
    ?TEST(with(#{server => #{glue => false}}, fun(Server, _System) ->
        put(Server, "app1.likes.test", srv, [{srv, 30, 0, 0, 4711, "n.test"}]),
        put(Server, "n.test", a, [{a, 30, {127, 0, 0, 7}}]),
        ?assertEqual({ok, {127, 0, 0, 7}, 4711, 6}, find("app1", inet)),
        ?assertEqual([srv, a], types(Server))
    end)).

glue_of_the_other_family_is_no_address_test_() ->
    ?TEST(with(#{}, fun(Server, System) ->
        put(Server, "app1.likes.test", srv, [{srv, 30, 0, 0, 4711, "n.test"}]),
        put(Server, "n.test", aaaa, [{aaaa, 30, ?LOCALHOST6}]),
        put(System, "n.test", a, [{a, 30, {127, 0, 0, 7}}]),
        ?assertEqual({ok, {127, 0, 0, 7}, 4711, 6}, find("app1", inet)),
        ?assertEqual([srv, a], types(Server))
    end)).

a_target_that_nobody_knows_is_an_error_test_() ->
    ?TEST(with(#{}, fun(Server, _System) ->
        put(Server, "app1.likes.test", srv, [{srv, 30, 0, 0, 4711, "n.test"}]),
        ?assertEqual({error, address}, find("app1", inet))
    end)).

%% A target is absolute: below a domain of the search list there is another machine.
a_target_is_not_looked_for_in_the_search_list_test_() ->
    ?TEST(with(#{}, fun(Server, System) ->
        put(Server, "app1.likes.test", srv, [{srv, 30, 0, 0, 4711, "n.test"}]),
        put(System, "n.test.corp.test", a, [{a, 30, {127, 0, 0, 8}}]),
        ok = inet_db:add_search("corp.test"),
        try
            ?assertEqual({ok, [{127, 0, 0, 8}]}, inet:getaddrs("n.test", inet)),
            ?assertEqual({error, address}, find("app1", inet)),
            put(System, "n.test", a, [{a, 30, {127, 0, 0, 7}}]),
            ?assertEqual({ok, {127, 0, 0, 7}, 4711, 6}, find("app1", inet))
        after
            ok = inet_db:del_search("corp.test")
        end
    end)).

a_target_may_be_in_the_hosts_file_test_() ->
    ?TEST(caravan_test_directory:with(fun(Directory) ->
        File = filename:join(Directory, "hosts"),
        ok = file:write_file(File, "127.0.0.7 n.test\n"),
        Config = [{port_srv, "{name}.likes.test"}, {resolver, #{hosts_file => File}}],
        with(#{config => Config}, fun(Server, _System) ->
            put(Server, "app1.likes.test", srv, [{srv, 30, 0, 0, 4711, "n.test"}]),
            ?assertEqual({ok, {127, 0, 0, 7}, 4711, 6}, find("app1", inet))
        end)
    end)).

the_first_priority_is_taken_test_() ->
    ?TEST(with(#{}, fun(Server, _System) ->
        put(Server, "app1.likes.test", srv,
            [{srv, 30, Priority, 0, 4710 + Priority, "n.test"} || Priority <- [3, 1, 2]]),
        put(Server, "n.test", a, [{a, 30, {127, 0, 0, 7}}]),
        ?assertEqual({ok, {127, 0, 0, 7}, 4711, 6}, find("app1", inet))
    end)).

the_host_may_be_in_the_template_test_() ->
    ?TEST(with(#{config => [{port_srv, "{name}.{host}.likes.test"}]}, fun(Server, _System) ->
        put(Server, "app1.host.test.likes.test", srv, [{srv, 30, 0, 0, 4711, "n.test"}]),
        put(Server, "n.test", a, [{a, 30, {127, 0, 0, 7}}]),
        ?assertEqual({ok, {127, 0, 0, 7}, 4711, 6}, find("app1", inet))
    end)).

where_there_are_no_records_the_default_port_holds_test_() ->
    ?TEST(with(#{config => [{port_srv, "{name}.{host}.likes.test"}, {default_port, 4712}]}, fun(Server, _System) ->
        %% The port rule was read when the epmd module started.
        ignore = caravan_epmd:start_link(),
        put(Server, "host.test", a, [{a, 30, {127, 0, 0, 8}}]),
        [begin
             put(Server, "app1.host.test.likes.test", srv, Answer),
             ?assertEqual({Answer, {ok, {127, 0, 0, 8}, 4712, 6}}, {Answer, find("app1", inet)})
         end
         || Answer <- [nxdomain, [], [{srv, 30, 0, 0, 0, "n.test"}]]],
        %% The result is not a DNS name.
        ?assertEqual({ok, ?LOCALHOST6, 4712, 6}, caravan_epmd:address_please("app1", "::1", inet6))
    end)).

a_nameserver_that_fails_is_an_error_test_() ->
    ?TEST(with(#{}, fun(Server, System) ->
        put(Server, "host.test", a, [{a, 30, ?LOCALHOST}]),
        [begin
             put(Server, "app1.likes.test", srv, Answer),
             ?assertEqual({Answer, {error, address}}, {Answer, find("app1", inet)})
         end
         || Answer <- [servfail, refused, {raw, fun caravan_dns_fixture:malformed/1}, drop]],
        ?assertEqual([srv], lists:usort(types(Server))),
        ?assertEqual(0, count(System)),
        ?assertEqual({messages, []}, process_info(self(), messages))
    end)).

%% Of 2500 ms, 500 are over when the first answer comes; the nameservers get three fifths of the rest.
all_lookups_share_one_budget_test_() ->
    ?TEST(with(#{}, fun(Server, _System) ->
        put(Server, "app1.likes.test", srv, {delay, 500, nxdomain}),
        put(Server, "host.test", a, [{a, 30, ?LOCALHOST}]),
        {Result, [{srv, First}, {a, Second}]} = traced_timeouts(fun() -> find("app1", inet) end),
        ?assertMatch({ok, ?LOCALHOST, _, 6}, Result),
        ?assert(First =< 2500),
        ?assert(Second =< 1200)
    end)).

traced_timeouts(Fun) ->
    Tracee = self(),
    Tracer = spawn_link(fun() -> collect([]) end),
    1 = erlang:trace(Tracee, true, [call, {tracer, Tracer}]),
    1 = erlang:trace_pattern({caravan_nif, lookup, 8}, true, [global]),
    Result = Fun(),
    1 = erlang:trace(Tracee, false, [call]),
    Delivered = erlang:trace_delivered(Tracee),
    receive {trace_delivered, Tracee, Delivered} -> ok end,
    1 = erlang:trace_pattern({caravan_nif, lookup, 8}, false, [global]),
    Tracer ! {give, self()},
    receive {collected, Calls} -> {Result, Calls} after ?HANG_GUARD -> error(no_tracer) end.

collect(Calls) ->
    receive
        {trace, _, call, {caravan_nif, lookup, [_, _, Type, _, _, Timeout, _, _]}} -> collect([{Type, Timeout} | Calls]);
        {give, To} -> To ! {collected, lists:reverse(Calls)}
    end.

names_that_say_their_port_ask_nobody_test_() ->
    ?TEST(with(#{}, fun(Server, System) ->
        put(Server, "app-4834.likes.test", srv, [{srv, 30, 0, 0, 4711, "n.test"}]),
        ?assertEqual({ok, ?LOCALHOST, 4834, 6}, caravan_epmd:address_please("app-4834", "127.0.0.1", inet)),
        ?assertEqual({ok, ?LOCALHOST, 62950, 6}, caravan_epmd:address_please("rem-1f3a-app1", "127.0.0.1", inet)),
        ?assertMatch(#{port := 4370, rule := port_srv}, caravan_epmd:explain("app1@127.0.0.1")),
        ?assertEqual({0, 0}, {count(Server), count(System)})
    end)).

with(Options, Test) ->
    Config = maps:get(config, Options, [{port_srv, "{name}.likes.test"}]),
    try
        caravan_test_nameserver:with(Options#{config => Config}, Test)
    after
        ignore = caravan_epmd:start_link()
    end.

find(Name, Family) ->
    caravan_epmd:address_please(Name, "host.test", Family).

types(Server) ->
    [Type || #{type := Type} <- queries(Server)].

%% In nodes

plain_names_and_dynamic_ports_on_one_host_test_() ->
    [?TEST(with_network(options(Template), fun(Server, Network) ->
        put(Server, "n.test", a, [{a, 0, ?LOCALHOST}]),
        Nodes = [begin
                     Port = free_port(),
                     put(Server, Name ++ Suffix, srv, [{srv, 0, 0, 0, Port, "n.test"}]),
                     boot_at(Port, Way, Name, Network)
                 end
                 || {Name, Way} <- [{"app1", listen_port}, {"app2", variable}, {"app3", erl_dist_port}]],
        [connects(From, To) || From <- Nodes, To <- Nodes, From =/= To]
     end))
     || {Template, Suffix} <- [{"{name}.likes.test", ".likes.test"},
                               {"{name}.{host}.likes.test", ".host.test.likes.test"}]].

%% A TTL of an hour, and a resolver with a cache.
a_node_that_has_moved_is_found_test_() ->
    ?TEST(with_network(options("{name}.likes.test", ["resolver", "#{cache=>true}"]), fun(Server, Network) ->
        put(Server, "n.test", a, [{a, 3600, ?LOCALHOST}]),
        [Here, Before, After] = [free_port() || _ <- [here, before, later]],
        Moves = fun(Port) -> put(Server, "app2.likes.test", srv, [{srv, 3600, 0, 0, Port, "n.test"}]) end,
        {_, NodeA} = boot_at(Here, listen_port, "app1", Network),
        Moves(Before),
        {B, First} = boot_at(Before, listen_port, "app2", Network),
        ?assertEqual(true, connect(NodeA, B)),
        ?assertEqual(Before, run(NodeA, fun cached_port/0)),
        {exited, 0, _} = stop(First),
        ok = await_peers(NodeA, []),
        Moves(After),
        {B, _} = boot_at(After, listen_port, "app2", Network),
        ?assertEqual(Before, run(NodeA, fun cached_port/0)),
        ?assertEqual(true, connect(NodeA, B))
    end)).

cached_port() ->
    {ok, #{records := [#{port := Port}]}} = caravan_dns:lookup("app2.likes.test", srv),
    Port.

%% The answer comes after net_kernel has been answered, and within the budget: otherwise there would be no connection.
net_kernel_answers_while_an_srv_lookup_hangs_test_() ->
    ?TEST(with_network(options("{name}.likes.test"), fun(Server, Network) ->
        [Here, There] = [free_port(), free_port()],
        put(Server, "n.test", a, [{a, 0, ?LOCALHOST}]),
        {_, NodeA} = boot_at(Here, listen_port, "app1", Network),
        {B, _} = boot_at(There, listen_port, "app2", Network),
        Gate = caravan_dns_gate:new(),
        put(Server, "app2.likes.test", srv, caravan_dns_gate:hold(Gate, [{srv, 0, 0, 0, There, "n.test"}])),
        Connecting = async(NodeA, fun() -> net_kernel:connect_node(B) end),
        ok = caravan_dns_server:await_queries(Server, 1, ?HANG_GUARD),
        ?assert(is_integer(call(NodeA, net_kernel, get_net_ticktime, []))),
        ?assertEqual([], call(NodeA, erlang, nodes, [connected])),
        ok = caravan_dns_gate:open(Gate),
        ?assertEqual(true, receive {Connecting, Result} -> Result after ?HANG_GUARD -> error(no_answer) end)
    end)).

a_bad_template_stops_the_boot_with_one_line_test_() ->
    [?TEST(caravan_test_network:with(#{}, fun(Network) ->
        ok = caravan_nif:load(),
        Node = start(Network, 'app1@127.0.0.1', ["-caravan", "port_srv", lists:flatten(io_lib:format("~0p", [Value]))]),
        Error = caravan_option:check({port_srv, flag}, Value, caravan_option:port_srv()),
        ?assertEqual({exited, 1, caravan_test_log:option_line(Error)}, await_boot(Node))
     end))
     || Value <- [1, "likes.test", "{name}.{hots}.test", "{name}..test", "{name} .test", []]].

%% The digits at the end of such a name are not a port.
a_plain_name_is_nothing_to_speak_of_test_() ->
    ?TEST(caravan_test_network:with(#{}, fun(Network) ->
        {_, Node} = boot(Network, 'app1@127.0.0.1', listening_with_port_srv(free_port())),
        ?assertEqual({exited, 0, <<>>}, stop(Node))
    end)).

the_application_says_how_others_find_the_port_test_() ->
    ?TEST(caravan_test_network:with(#{}, fun(Network) ->
        caravan_test_log:with_file(Network, fun(Logging, Log) ->
            Port = free_port(),
            {Name, Node} = boot(Logging, 'app1@127.0.0.1', listening_with_port_srv(Port)),
            ok = call(Node, application, start, [caravan]),
            {exited, 0, _} = stop(Node),
            Report = #{
                event => listening, name => Name, port => Port, rule => listen_port, source => flag,
                advertised_rule => port_srv, advertised_source => flag
            },
            ?assertEqual([{notice, caravan_test_log:line(caravan_announce, Report)}], Log())
        end)
    end)).

listening_with_port_srv(Port) ->
    ["-caravan", "port_srv", "\"{name}.likes.test\"", "listen_port", integer_to_list(Port)].

options(Template) ->
    options(Template, []).

options(Template, Flags) ->
    PortSrv = ["-caravan", "port_srv", lists:flatten(io_lib:format("~p", [Template])) | Flags],
    #{host => "host.test", flags => PortSrv ++ ["-connect_all", "false"]}.

boot_at(Port, Way, Name, #{node := #{env := Env} = Options} = Network) ->
    {Flags, Variables} = listening(Way, integer_to_list(Port)),
    Node = boot(Network#{node := Options#{env := Variables ++ Env}}, list_to_atom(Name ++ "@host.test"), Flags),
    ?assertEqual([Port], listening_ports(element(2, Node))),
    Node.

listening(listen_port, Port) -> {["-caravan", "listen_port", Port], []};
listening(variable, Port) -> {["-caravan", "listen_port", "{env,\"NODE_PORT\"}"], [{"NODE_PORT", Port}]};
listening(erl_dist_port, Port) -> {[], [{"ERL_DIST_PORT", Port}]}.

%% From one node to the other, without an existing connection.
connects({_, Node}, {Other, OtherNode}) ->
    ?assertEqual(true, connect(Node, Other)),
    ?assertEqual(Other, call(Node, rpc, call, [Other, erlang, node, []])),
    true = call(Node, erlang, disconnect_node, [Other]),
    ok = await_peers(Node, []),
    ok = await_peers(OtherNode, []).

connect(Node, Name) ->
    call(Node, net_kernel, connect_node, [Name]).
