%% What the doctor reports about set-ups that are broken in one way each, and about healthy ones.
-module(caravan_doctor_tests).

-include_lib("eunit/include/eunit.hrl").

each_set_up_has_its_cause_test_() ->
    [
        {Description, {timeout, 120, fun() ->
            case caravan_test_setups:run(Description) of
                {skipped, Why} -> io:format(user, "SKIP: ~ts:~ts~n", [Description, Why]);
                {Seen, Text} -> ?assertEqual({Cause, Text}, {Seen, Text})
            end
        end}}
     || {Description, Cause} <- caravan_test_setups:names()
    ].

a_node_looks_at_itself_alone_test_() ->
    {timeout, 60, fun() ->
        caravan_test_network:with(#{}, fun(Network) ->
            Other = caravan_test_network:node_name(Network, "other", caravan_test_network:free_port()),
            {Own, Node} = caravan_test_network:boot(Network, caravan_test_network:node_name(Network, "app", caravan_test_network:free_port()), []),
            ?assertMatch({error, {bad_option, node, Other, _}}, caravan_test_node:call(Node, caravan_doctor, report, [#{node => Other}])),
            {ok, #{node := Seen}} = caravan_test_node:call(Node, caravan_doctor, report, [#{node => Own, query => "no.test", timeout => 1000}]),
            ?assertEqual(atom_to_binary(Own), Seen)
        end)
    end}.

%% As erlexec reads them, without the arguments that a command must not apply.
vm_args_are_read_as_the_node_reads_them_test_() ->
    {timeout, 60, fun() ->
        Name = lists:concat(["app-", caravan_test_network:free_port(), "@127.0.0.1"]),
        VmArgs = [
            "## -sname no\n-epmd_module caravan_epmd\n-eval io:format(\"a\"),\n  halt(3).\n-name ", Name, " # -sname no\n-env A -sname\n-init_debug\n-emu_args\n",
            "-setcookie 'one' -setcookie \"two\"\n-kernel inet_dist_listen_options\n  [] -heart -detached\n-- -ignored\n-extra -name no\n"
        ],
        caravan_test_directory:with(fun(Directory) ->
            Cookies = caravan_test_directory:write(filename:join(Directory, ".erlang.cookie"), "three"),
            ok = file:change_mode(Cookies, 8#400),
            File = caravan_test_directory:write(filename:join(Directory, "vm.args"), VmArgs),
            {1, Json} = caravan_test_setups:command(["doctor", "--json", "--vm-args", File], [{"HOME", Directory}, {"RELEASE_COOKIE", false}]),
            [?assertMatch({Expected, {match, _}}, {Expected, re:run(Json, Expected)}) || Expected <- ["\"name\":\"down\"", "\"node\":\"" ++ Name, Cookies]],
            %% OTP ignores both of two cookies.
            [?assertMatch({Cookie, nomatch}, {Cookie, re:run(Json, Cookie)}) || Cookie <- ["setcookie", "one\"", "three"]]
        end)
    end}.

%% In a VM that has loaded nothing else.
the_script_looks_a_name_up_test_() ->
    {timeout, 60, fun() ->
        ok = caravan_nif:load(),
        {ok, Server} = caravan_dns_server:start_link(#{}),
        ok = caravan_dns_server:put(Server, "_app._tcp.test", srv, [{srv, 30, 1, 1, 4370, "127.0.0.1"}]),
        Arguments = ["dig", "_app._tcp.test", "srv", "--nameserver", caravan_dns_server:nameserver(Server)],
        ?assertMatch({0, <<"_app._tcp.test 30 IN SRV 1 1 4370 127.0.0.1", _/binary>>}, caravan_test_setups:command(Arguments)),
        ?assertMatch({2, <<"usage: caravan doctor", _/binary>>}, caravan_test_setups:command([])),
        ?assertMatch({2, _}, caravan_test_setups:command(["doctor", "--vm-args", "/nowhere"])),
        Foreign = ["doctor", "--json", "--node", <<"äpp-日本-4370@127.0.0.1"/utf8>>],
        Ebin = filename:dirname(code:which(caravan_epmd)),
        [
            ?assertMatch({Locale, Text, {match, _}}, {Locale, Text, re:run(Text, <<"\"node\":\"äpp-日本-4370@127.0.0.1\""/utf8>>)})
         || Locale <- ["C.UTF-8", "C"],
            {_, Text} <- [caravan_test_setups:command(Foreign, [{"LC_ALL", Locale}, {"CARAVAN_EBIN", Ebin}])]
        ],
        caravan_test_directory:with(fun(Directory) ->
            Template = caravan_test_directory:write(filename:join(Directory, "vm.args.src"), "## ${A}\n-name app-${PORT}@127.0.0.1\n"),
            ?assertMatch({2, <<"caravan: ", _/binary>>}, caravan_test_setups:command(["doctor", "--vm-args", Template]))
        end),
        ok = caravan_dns_server:stop(Server)
    end}.
