%% The commands of scripts/caravan, as functions.
-module(caravan_command_tests).

-include_lib("eunit/include/eunit.hrl").


%% Returns what the command prints, and its exit status.
run(Arguments) ->
    caravan_test_output:of_function(fun() -> caravan_command:run(Arguments) end).

arguments_that_are_none_print_the_usage_test_() ->
    [
        {lists:flatten(lists:join(" ", Arguments)), ?_assertMatch({2, <<>>}, run(Arguments))}
     || Arguments <- [
            [], ["doc"], ["doctor", "word"], ["doctor", "--nod", "a@b"], ["doctor", "--node"], ["doctor", "--timeout", "5s"],
            ["doctor", "--timeout", "1"], ["doctor", "--node", "nohost"], ["doctor", "--record", "mx"], ["dig"], ["dig", "a", "mx"],
            ["dig", "a", "a", "a"], ["names", "host", "word"],
            ["names", "127.0.0.1", "--ports", "4399-4370"], ["names", "127.0.0.1", "--ports", "1-65535"], ["names", "127.0.0.1", "--ports", "a"],
            ["names", "127.0.0.1", "--timeout", "0"], ["names", "127.0.0.1", "--timeout", "-1000"], ["names", "127.0.0.1", "--timeout", "99999999999"],
            ["names", "host..invalid"], ["doctor", "--cookie-file"]
        ]
    ].

help_is_asked_for_test_() ->
    [
        ?_assertMatch({0, <<"usage: caravan doctor", _/binary>>}, run(Arguments))
     || Arguments <- [["--help"], ["help"], ["doctor", "--help"], ["dig", "--help"], ["names", "--json", "--help"]]
    ].

a_lookup_is_printed_as_people_know_it_test() ->
    with_server(fun(Server, Nameserver) ->
        ok = caravan_dns_server:put(Server, "_app._tcp.test", srv, [{srv, 30, 1, 2, 4370, "a.test"}]),
        ok = caravan_dns_server:put(Server, "a.test", a, [{a, 20, {10, 0, 0, 1}}]),
        {0, Text} = run(["dig", "_app._tcp.test", "--nameserver", Nameserver]),
        [Record, <<>>, <<";; addresses that came along">>, Address, <<>>, Summary, <<>>] = binary:split(Text, <<"\n">>, [global]),
        ?assertEqual(<<"_app._tcp.test 30 IN SRV 1 2 4370 a.test">>, Record),
        ?assertEqual(<<"a.test 20 IN A 10.0.0.1">>, Address),
        ?assertMatch(<<";; _app._tcp.test SRV: 1 record, complete, TTL 30 s, ", _/binary>>, Summary),
        {0, Udp} = run(["dig", "a.test", "A", "--udp", "--nameserver", Nameserver]),
        ?assertMatch(<<"a.test 20 IN A 10.0.0.1\n\n;; a.test A: 1 record, not known to be complete,", _/binary>>, Udp),
        {0, Json} = run(["dig", "_app._tcp.test", "srv", "--json", "--nameserver", Nameserver]),
        ?assertMatch(<<"{\"addresses\":{\"a.test\":[\"10.0.0.1\"]},\"complete\":true,", _/binary>>, Json)
    end).

a_name_without_records_is_a_fault_and_a_nameserver_that_is_down_another_status_test() ->
    with_server(fun(Server, Nameserver) ->
        ?assertMatch({1, <<";; nowhere.test A: nxdomain,", _/binary>>}, run(["dig", "nowhere.test", "a", "--nameserver", Nameserver])),
        ok = caravan_dns_server:close_sockets(Server),
        ?assertMatch({2, <<>>}, run(["dig", "nowhere.test", "a", "--nameserver", Nameserver]))
    end).

names_of_the_network_cannot_move_the_cursor_test() ->
    with_server(fun(Server, Nameserver) ->
        ok = caravan_dns_server:put(Server, "_app._tcp.test", srv, [{srv, 30, 1, 2, 4370, [27 | "[2J.test"]}]),
        {0, Text} = run(["dig", "_app._tcp.test", "--nameserver", Nameserver]),
        ?assertMatch({match, _}, re:run(Text, "4370 \\\\027\\[2J.test")),
        ?assertEqual(nomatch, binary:match(Text, <<27>>))
    end).

the_nodes_of_this_machine_are_listed_test_() ->
    {timeout, 60, fun() ->
        ok = caravan_nif:load(),
        caravan_test_network:with(#{}, fun(Network) ->
            {Name, _} = caravan_test_network:boot(Network, "listed"),
            {0, Text} = run(["names"]),
            Line = io_lib:format("name ~ts at port ~b \\(OS process [0-9]+\\)", [Name, caravan_epmd:dist_port(Name)]),
            ?assertMatch({match, _}, re:run(Text, Line)),
            {0, Json} = run(["names", "--json"]),
            ?assertMatch({_, _}, binary:match(Json, atom_to_binary(Name)))
        end)
    end}.

%% A node, a server of another protocol, one that says nothing, and a port where nothing listens.
the_nodes_of_another_machine_say_their_names_test_() ->
    {timeout, 60, fun() ->
        ok = caravan_nif:load(),
        caravan_test_network:with(#{}, fun(Network) ->
            {Name, _} = caravan_test_network:boot(Network, "listed"),
            Port = caravan_epmd:dist_port(Name),
            Ports = fun(First, Last) -> ["names", "127.0.0.1", "--ports", lists:concat([First, "-", Last])] end,
            ?assertEqual({0, iolist_to_binary(io_lib:format("name ~ts at port ~b~n", [Name, Port]))}, run(Ports(Port, Port))),
            {0, Json} = run(Ports(Port, Port) ++ ["--json"]),
            ?assertEqual(
                iolist_to_binary(io_lib:format("[{\"address\":\"127.0.0.1\",\"name\":\"~ts\",\"port\":~b}]~n", [Name, Port])), Json
            ),
            {ok, Silent} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
            {ok, SilentPort} = inet:port(Silent),
            {1, Text} = run(Ports(SilentPort, SilentPort)),
            ?assertMatch({match, _}, re:run(Text, "port [0-9]+: it accepts connections but does not answer\nno node on the ports")),
            ok = gen_tcp:close(Silent),
            ?assertMatch({1, _}, run(["names", "::1", "--ports", "1"])),
            ?assertMatch({1, <<"no node on the ports", _/binary>>}, run(Ports(SilentPort, SilentPort)))
        end)
    end}.

%% What other servers than nodes answer, each on a port of its own.
others_than_nodes_are_told_apart_test_() ->
    {timeout, 60, [{Expected, fun() ->
        ok = caravan_nif:load(),
        {ok, Listen} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
        {ok, Port} = inet:port(Listen),
        Server = spawn_link(fun() ->
            {ok, Socket} = gen_tcp:accept(Listen),
            {ok, _} = gen_tcp:recv(Socket, 2),
            ok = gen_tcp:send(Socket, Said),
            receive stop -> ok end
        end),
        Arguments = ["names", "127.0.0.1", "--ports", integer_to_list(Port)],
        {Status, Text} = run(Arguments ++ Json),
        ?assertEqual({1, {match, Expected}}, {Status, match_of(re:run(Text, Expected), Expected)}),
        Server ! stop,
        ok = gen_tcp:close(Listen)
     end}
     || {Expected, Said, Json} <- [
            {"it speaks TLS and does not tell its name", <<21, 3, 3, 2:16, 2, 10>>, []},
            {"no Erlang node", <<"HTTP/1.1 400 Bad Request\r\n">>, []},
            {"it accepts connections but does not answer", <<12:16, "snot_allowed">>, []},
            {"\"name\":null", <<"HTTP/1.1 400 Bad Request\r\n">>, ["--json"]}
        ]]}.

match_of({match, _}, Expected) -> {match, Expected};
match_of(nomatch, _Expected) -> nomatch.

addresses_of_both_families_and_no_records_are_printed_test() ->
    with_server(fun(Server, Nameserver) ->
        ok = caravan_dns_server:put(Server, "a.test", aaaa, [{aaaa, 20, {16#fd00, 0, 0, 0, 0, 0, 0, 1}}]),
        {0, Text} = run(["dig", "a.test", "aaaa", "--nameserver", Nameserver]),
        ?assertMatch(<<"a.test 20 IN AAAA fd00::1\n", _/binary>>, Text),
        {0, Json} = run(["dig", "a.test", "aaaa", "--nameserver", Nameserver, "--json"]),
        ?assertMatch({_, _}, binary:match(Json, <<"\"address\":\"fd00::1\"">>)),
        {1, None} = run(["dig", "none.test", "a", "--nameserver", Nameserver, "--json"]),
        ?assertMatch({_, _}, binary:match(None, <<"\"error\":\"nxdomain\"">>)),
        ok = application:set_env(caravan, nameservers, [Nameserver]),
        {1, Asked} = run(["dig", "none.test", "a"]),
        ok = application:unset_env(caravan, nameservers),
        ?assertMatch({_, _}, binary:match(Asked, list_to_binary(["asked: ", Nameserver])))
    end).

records_that_give_no_name_are_named_test() ->
    with_server(fun(Server, Nameserver) ->
        ok = caravan_dns_server:put(Server, "_app._tcp.test", srv, [
            {srv, 30, 1, 1, 4370, "a.test"}, {srv, 30, 1, 1, 0, "b.test"}, {srv, 30, 1, 1, 4371, "a@b.test"}
        ]),
        Options = #{query => "_app._tcp.test", node => "app-4370@a.test", nameservers => [Nameserver], handshake => false},
        {ok, #{cause := #{name := names}, checks := Checks}} = caravan_doctor:report(Options),
        Seen = [Text || #{step := names, state := note, seen := Text} <- Checks],
        ?assert(lists:member(<<"port 0 target b.test: no value for {port}">>, Seen)),
        ?assert(lists:member(<<"port 4371 target a@b.test: app-4371@a@b.test is not a node name">>, Seen))
    end).

answers_say_whose_they_are_and_who_was_asked_test() ->
    with_server(fun(Server, Nameserver) ->
        ok = caravan_dns_server:put(Server, "one.test", srv, [{srv, 30, 1, 1, 4370, "127.0.0.1"}]),
        Topologies = [{Name, [{query, Query}, {nameservers, [Nameserver]}]} || {Name, Query} <- [{one, "one.test"}, {two, "two.test"}]],
        ok = application:set_env(caravan, topologies, Topologies),
        {ok, #{checks := Checks}} = caravan_doctor:report(#{node => "app-4370@127.0.0.1", handshake => false}),
        ok = application:unset_env(caravan, topologies),
        ?assertEqual(
            [
                {<<"one.test (topology one)">>, <<"1 record, complete, TTL 30 s">>},
                {<<"two.test (topology two)">>, iolist_to_binary(["no SRV records (nxdomain), asked: ", Nameserver])}
            ],
            [{Subject, Seen} || #{step := answer, subject := Subject, seen := Seen} <- Checks]
        )
    end).

what_the_options_say_is_no_default_test() ->
    ok = caravan_nif:load(),
    {ok, #{checks := Checks}} = caravan_doctor:report(#{query => "app.test", nameservers => ["127.0.0.1:1"], node => "app-1@a.test"}),
    [Defaults] = [Seen || #{step := flags, subject := <<"defaults">>, seen := Seen} <- Checks],
    ?assertEqual([nomatch, nomatch], [binary:match(Defaults, Key) || Key <- [<<"nameservers">>, <<"topologies">>]]).

a_cookie_file_that_cannot_be_read_is_said_test() ->
    ok = caravan_nif:load(),
    {ok, #{checks := Checks}} = caravan_doctor:report(#{node => "app-1@127.0.0.1", cookie_file => "/nowhere/COOKIE"}),
    ?assertMatch(
        [#{state := unknown, seen := <<"cannot read the cookie file /nowhere/COOKIE: enoent">>}],
        [Check || #{step := cookie} = Check <- Checks]
    ).

%% Nodes that accept connections and do not answer: each takes seconds, and there are more than are asked at a time.
the_doctor_is_over_when_its_time_is_test_() ->
    {timeout, 60, fun() ->
        with_server(fun(Server, Nameserver) ->
            {ok, Silent} = gen_tcp:listen(0, [{backlog, 1024}]),
            {ok, Port} = inet:port(Silent),
            ok = caravan_dns_server:put(Server, "_app._tcp.test", srv, [
                {srv, 30, 1, 1, Port, lists:concat(["127.0.0.", Host])} || Host <- lists:seq(1, 60)
            ]),
            Options = #{
                query => "_app._tcp.test", node => "app-4370@10.0.0.1", nameservers => [Nameserver], timeout => 1500
            },
            {ok, #{checks := Checks}} = caravan_doctor:report(Options),
            Left = [Subject || #{step := peer, state := not_looked_at, subject := Subject} <- Checks],
            ?assert(length(Left) > 16),
            ?assertEqual(60, length([peer || #{step := peer} <- Checks])),
            ok = gen_tcp:close(Silent)
        end)
    end}.

what_a_client_over_udp_misses_is_said_test() ->
    with_server(#{oversize => trim}, fun(Server, Nameserver) ->
        ok = caravan_dns_server:put(Server, "_app._tcp.test", srv, [
            {srv, 30, 1, 1, 4000 + Number, "127.0.0.1"} || Number <- lists:seq(1, 200)
        ]),
        Options = #{query => "_app._tcp.test", node => "app-4001@127.0.0.1", nameservers => [Nameserver], handshake => false},
        {ok, Report} = caravan_doctor:report(Options),
        Text = unicode:characters_to_binary(caravan_doctor_text:format(Report, plain)),
        ?assertMatch({match, _}, re:run(Text, "a client that asks over UDP only sees [0-9]+ of 200 records, and the reply has no TC bit"))
    end).

digits_of_a_deploys_id_are_said_to_be_a_port_test_() ->
    [
        ?_assertEqual(IsSaid, [] =/= [said || #{step := node, state := note, seen := <<"the digits 61024", _/binary>>} <- checks(Node)])
     || {Node, IsSaid} <- [
            {"web-5f8d61024@10.0.0.1", true}, {"web-61024@10.0.0.1", false}, {"web_61024@10.0.0.1", false}, {"web@10.0.0.1", false}
        ]
    ].

checks(Node) ->
    ok = caravan_nif:load(),
    {ok, #{checks := Checks}} = caravan_doctor:report(#{node => Node}),
    Checks.

options_of_the_doctor_are_checked_test_() ->
    [
        ?_assertMatch({error, {bad_option, Key, _, _}}, caravan_doctor:report(#{Key => Value}))
     || {Key, Value} <- [{nodes, 1}, {node, nohost}, {timeout, 1}, {handshake, maybe_not}, {record, mx}]
    ].

a_topology_that_is_not_allowed_is_the_cause_test() ->
    ok = caravan_nif:load(),
    {ok, #{cause := Cause, status := fault}} = caravan_doctor:report(#{query => "app.test", node_name => "{nonsense}@x"}),
    ?assertMatch(#{name := configuration, text := <<"caravan: option node_name is", _/binary>>}, Cause).

with_server(Test) ->
    with_server(#{}, Test).

with_server(Options, Test) ->
    ok = caravan_nif:load(),
    {ok, Server} = caravan_dns_server:start_link(Options),
    try
        Test(Server, caravan_dns_server:nameserver(Server))
    after
        ok = caravan_dns_server:stop(Server)
    end.
