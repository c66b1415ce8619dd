%% @doc Set-ups in which nodes do not find each other, each broken in one way, and healthy ones; and what the doctor reports
%% about them.
-module(caravan_test_setups).

-export([names/0, run/1, main/0, command/1, command/2]).
-export([behind_a_firewall/0]).

-import(caravan_test_network, [boot/3, free_port/0, node_name/3]).

-define(LOOPBACK, {127, 0, 0, 1}).
-define(QUERY, "_app._tcp.test").
-define(HANG_GUARD, 60000).

%% @doc Returns the set-ups, by what is broken, with the cause that the doctor must report; `none' for healthy ones.
-spec names() -> [{Description :: string(), Cause :: atom()}].
names() ->
    [
        {"another cookie", cookie},
        {"a cookie that is a guess", down},
        {"the cookie of a release of Mix", none},
        {"another cookie than that of the release", cookie},
        {"registered with a wrong port", not_listed},
        {"names by address, and a topology that makes them of targets", node_name},
        {"a host in upper case, with a dot at its end", spelling},
        {"a node under another host than DNS has", other_name},
        {"a wrong basename", basename},
        {"DNS down", dns_down},
        {"DNS over UDP alone", dns_udp_only},
        {"a nameserver that refuses", dns_error},
        {"topologies of a VM without a name", not_distributed},
        {"a topology that excludes all others", none},
        {"IPv6 addresses alone", address_family},
        {"TLS on one side", tls_one_side},
        {"a certificate of another CA", certificate},
        {"-epmd_module missing there", epmd_there},
        {"-epmd_module missing here", epmd_here},
        {"-epmd_module as a flag and as a parameter", epmd_twice},
        {"unequal helper_ports", helper_ports},
        {"no library", library},
        {"a library of another version", library},
        {"the application is not started", not_started},
        {"the application is not started, and another node is down", not_started},
        {"nodes that are well and not connected", not_connected},
        {"the other node has left", others_left},
        {"a node with another cookie than its files have", cookie},
        {"files with the cookie of somebody else", unknown},
        {"a node that is stopped by a signal", silent},
        {"a node under another basename than it is registered with", basename},
        {"a topology of the configuration is asked for by its query", none},
        {"a firewall that drops", packets_dropped},
        {"two nodes on one port", port_taken},
        {"a proxy on the port of the node", none},
        {"files of a node that waits for others and logs into a file", none},
        {"a node that does not listen", none},
        {"another cookie for one node", none},
        {"a cluster of three, from outside", none},
        {"a cluster of three, from inside", none}
    ].

%% @doc Prints the table of all set-ups; ends the VM.
-spec main() -> no_return().
main() ->
    %% Nodes are linked to the process that starts them.
    _ = process_flag(trap_exit, true),
    Results = [{Description, Expected, run(Description)} || {Description, Expected} <- names()],
    lists:foreach(
        fun({Description, _Expected, {Seen, Text}}) -> io:format("~-45ts -> ~ts~n~47ts~ts~n", [Description, Seen, "", last_lines(Text)]) end,
        Results
    ),
    Right = length([right || {_, Expected, {Expected, _}} <- Results]),
    Skipped = length([skipped || {_, _, {skipped, _}} <- Results]),
    io:format("~b of ~b, ~b skipped~n", [Right, length(Results), Skipped]),
    halt(min(1, length(Results) - Right - Skipped)).

last_lines(Text) ->
    [_, Cause] = string:split(["\n\n" | string:trim(Text)], "\n\n", trailing),
    string:replace(Cause, "\n", "; ", all).

%% @doc Creates a set-up and runs the doctor. Returns the cause that it reports, `none' if there is no fault or `skipped' if
%% the machine lacks something, and what it prints.
-spec run(Description :: string()) -> {Cause :: atom(), Text :: unicode:chardata()}.
run("another cookie") ->
    with(#{}, fun(Server, Network) ->
        {Other, _} = boot(Network#{cookie := "another"}, "app"),
        Own = own(Network),
        from_outside(Network, Server, Own, [Own, Other], [])
    end);
run("a cookie that is a guess") ->
    with(#{}, fun(Server, Network) -> with_homes_cookie("guess", fun(Env) ->
        {Other, _} = boot(Network, "app"),
        Own = own(Network),
        ok = list(Server, [Own, Other]),
        {Cause, Text} = script(ebin(), Network#{cookie := none}, Server, Own, [], Env),
        {match, _} = re:run(Text, "is not compared, as the node may have another one"),
        {match, _} = re:run(Text, "only a completed handshake shows whether its cookie is the same"),
        {Cause, Text}
    end) end);
run("the cookie of a release of Mix") ->
    with(#{}, fun(Server, Network) -> with_homes_cookie("guess", fun(Env) ->
        {Own, _} = boot(Network, "app"),
        {Other, _} = boot(Network, "app"),
        ok = list(Server, [Own, Other]),
        {Cause, Text} = script(ebin(), Network#{cookie := {release, maps:get(cookie, Network)}}, Server, Own, [], Env),
        {match, _} = re:run(Text, "COOKIE, which .* accepts"),
        {match, _} = re:run(Text, "has the same cookie"),
        {Cause, Text}
    end) end);
run("another cookie than that of the release") ->
    with(#{}, fun(Server, Network) -> with_homes_cookie("guess", fun(Env) ->
        {Other, _} = boot(Network, "app"),
        Own = own(Network),
        ok = list(Server, [Own, Other]),
        script(ebin(), Network#{cookie := {release, "another"}}, Server, Own, [], Env)
    end) end);
run("names by address, and a topology that makes them of targets") ->
    with(#{}, fun(Server, Network) ->
        {Own, _} = boot(Network, "app"),
        ok = caravan_dns_server:put(Server, "host.test", a, [{a, 30, ?LOOPBACK}]),
        ok = caravan_dns_server:put(Server, ?QUERY, srv, [{srv, 30, 1, 1, caravan_epmd:dist_port(Own), "host.test"}]),
        from_outside(Network, Server, Own, [], [])
    end);
run("registered with a wrong port") ->
    with(#{}, fun(Server, Network) ->
        {Own, _} = boot(Network, "app"),
        from_outside(Network, Server, Own, [node_name(Network, "app", free_port())], [])
    end);
run("a host in upper case, with a dot at its end") ->
    with(#{host => "LocalHost."}, fun(Server, Network) ->
        Own = own(Network),
        from_outside(Network, Server, Own, [list_to_atom(lists:concat(["app-", caravan_epmd:dist_port(Own), "@localhost"]))], [])
    end);
run("a node under another host than DNS has") ->
    with(#{}, fun(Server, Network) ->
        {Other, _} = boot(Network, "app"),
        Own = own(Network),
        Elsewhere = list_to_atom(lists:concat(["app-", caravan_epmd:dist_port(Other), "@localhost"])),
        from_outside(Network, Server, Own, [Own, Elsewhere], [])
    end);
run("a wrong basename") ->
    with(#{}, fun(Server, Network) ->
        {Other, _} = boot(Network, "web"),
        Own = own(Network),
        from_outside(Network, Server, Own, [Own, node_name(Network, "app", caravan_epmd:dist_port(Other))], [])
    end);
run("DNS down") ->
    with(#{}, fun(Server, Network) ->
        ok = caravan_dns_server:close_sockets(Server),
        from_outside(Network, Server, own(Network), [], [])
    end);
run("DNS over UDP alone") ->
    with(#{server => #{transports => [udp]}}, fun(Server, Network) ->
        {Other, _} = boot(Network, "app"),
        Own = own(Network),
        from_outside(Network, Server, Own, [Own, Other], [])
    end);
run("a nameserver that refuses") ->
    with(#{}, fun(Server, Network) ->
        ok = caravan_dns_server:put(Server, ?QUERY, srv, refused),
        from_outside(Network, Server, own(Network), [], [])
    end);
run("topologies of a VM without a name") ->
    with(#{node => #{code_path => code_path()}}, fun(Server, Network) ->
        {none, Node} = boot(Network, none, []),
        ok = list(Server, [own(Network)]),
        ok = start_topology(Node, Server, #{node_basename => "app"}),
        answer(caravan_test_node:call(Node, caravan_doctor, report, [#{}]))
    end);
run("a topology that excludes all others") ->
    beside_another(fun(Other) -> #{exclude => [Other]} end);
run("IPv6 addresses alone") ->
    with(#{host => "six.test"}, fun(Server, Network) ->
        ok = caravan_dns_server:put(Server, "six.test", aaaa, [{aaaa, 30, {0, 0, 0, 0, 0, 0, 0, 1}}]),
        Own = own(Network),
        Nameservers = lists:flatten(io_lib:format("'[\"~s\"]'", [caravan_dns_server:nameserver(Server)])),
        from_outside(Network, Server, Own, [Own, node_name(Network, "app", free_port())], ["-caravan", "nameservers", Nameservers])
    end);
run("TLS on one side") ->
    with(#{}, fun(Server, Network) -> caravan_test_directory:with(fun(Directory) ->
        {Other, _} = boot(Network, "app"),
        Own = own(Network),
        from_outside(Network, Server, Own, [Own, Other], tls_flags(Directory))
    end) end);
run("a certificate of another CA") ->
    with(#{host => "localhost"}, fun(Server, Network) -> caravan_test_directory:with(fun(Directory) ->
        [Ours, Theirs] = [tls_flags(filename:join(Directory, Name)) || Name <- ["ours", "theirs"]],
        {Other, _} = boot(Network, node_name(Network, "app", free_port()), Theirs),
        Own = own(Network),
        from_outside(Network, Server, Own, [Own, Other], Ours)
    end) end);
run("-epmd_module missing there") ->
    with(#{}, fun(Server, Network) -> caravan_test_epmd:with(Network, fun() ->
        Other = node_name(Network, "app", free_port()),
        {Other, _} = boot(Network#{epmd_module := "erl_epmd"}, Other, []),
        Own = own(Network),
        from_outside(Network, Server, Own, [Own, Other], [])
    end) end);
run("-epmd_module missing here") ->
    with(#{}, fun(Server, Network) ->
        Own = own(Network),
        from_outside(Network#{epmd_module := none}, Server, Own, [Own], [])
    end);
run("-epmd_module as a flag and as a parameter") ->
    with(#{}, fun(Server, Network) ->
        Own = own(Network),
        from_outside(Network, Server, Own, [Own], ["-kernel", "epmd_module", "caravan_epmd"])
    end);
run("unequal helper_ports") ->
    with(#{}, fun(Server, Network) ->
        {Own, Node} = boot(Network, "app"),
        {Other, _} = boot(Network, node_name(Network, "app", free_port()), ["-caravan", "helper_ports", "{50000,60000}"]),
        true = caravan_test_node:call(Node, net_kernel, connect_node, [Other]),
        ok = list(Server, [Own, Other]),
        from_inside(Node, Server)
    end);
run("no library") ->
    with(#{}, fun(Server, Network) -> caravan_test_directory:with(fun(Directory) ->
        Ebin = filename:join([Directory, "caravan", "ebin"]),
        ok = filelib:ensure_path(Ebin),
        [
            {ok, _} = file:copy(Beam, filename:join(Ebin, filename:basename(Beam)))
         || Beam <- filelib:wildcard(filename:join(ebin(), "*"))
        ],
        Own = own(Network),
        script(Ebin, Network, Server, Own, [])
    end) end);
run("a library of another version") ->
    with(#{}, fun(Server, Network) -> caravan_test_directory:with(fun(Directory) ->
        script(other_version(Directory), Network, Server, own(Network), [])
    end) end);
run("the application is not started") ->
    with(#{}, fun(Server, Network) ->
        {Own, Node} = boot_configured(Network, Server, []),
        {Other, _} = boot(Network, "app"),
        ok = list(Server, [Own, Other]),
        answer(caravan_test_node:call(Node, caravan_doctor, report, [#{}]))
    end);
run("the application is not started, and another node is down") ->
    with(#{}, fun(Server, Network) ->
        {Own, Node} = boot_configured(Network, Server, []),
        ok = list(Server, [Own, node_name(Network, "app", free_port())]),
        answer(caravan_test_node:call(Node, caravan_doctor, report, [#{}]))
    end);
run("nodes that are well and not connected") ->
    beside_another(fun(_Other) -> #{connect => {erlang, is_atom, []}} end);
run("the other node has left") ->
    with(#{node => #{code_path => code_path()}}, fun(Server, Network) ->
        [{_, Node}, {_, OtherNode}] = Nodes = [boot(Network, "app") || _ <- [1, 2]],
        ok = list(Server, [Name || {Name, _} <- Nodes]),
        [ok = start_topology(Each, Server, #{}) || {_, Each} <- Nodes],
        [{ok, _} = caravan_test_node:call(Each, caravan_cluster, await, [app, 1, ?HANG_GUARD]) || {_, Each} <- Nodes],
        ok = caravan_test_node:call(OtherNode, caravan_cluster, leave, [app, ?HANG_GUARD]),
        #{} = await_status(Node, connected, []),
        answer(caravan_test_node:call(Node, caravan_doctor, report, [#{}]))
    end);
run("a node with another cookie than its files have") ->
    with(#{}, fun(Server, #{cookie := Cookie} = Network) ->
        {Own, _} = boot(Network#{cookie := "another"}, "app"),
        {Other, _} = boot(Network, "app"),
        ok = list(Server, [Own, Other]),
        script(ebin(), Network#{cookie := Cookie}, Server, Own, [])
    end);
run("files with the cookie of somebody else") ->
    with(#{}, fun(Server, Network) ->
        [{Own, _} | _] = Nodes = [boot(Network, "app") || _ <- [1, 2]],
        ok = list(Server, [Name || {Name, _} <- Nodes]),
        {Cause, Text} = script(ebin(), Network#{cookie := "somebodys"}, Server, Own, []),
        {match, _} = re:run(Text, "refuses the cookie, too"),
        {Cause, Text}
    end);
run("a node that is stopped by a signal") ->
    with(#{}, fun(Server, Network) ->
        {Own, Node} = boot(Network, "app"),
        ok = list(Server, [Own]),
        Pid = caravan_test_node:call(Node, os, getpid, []),
        _ = os:cmd("kill -STOP " ++ Pid),
        Seen = script(ebin(), Network, Server, Own, []),
        _ = os:cmd("kill -CONT " ++ Pid),
        Seen
    end);
run("a node under another basename than it is registered with") ->
    with(#{}, fun(Server, Network) ->
        {Own, Node} = boot(Network, "web"),
        {Other, _} = boot(Network, "app"),
        ok = list(Server, [Own, Other]),
        answer(caravan_test_node:call(Node, caravan_doctor, report, [#{
            query => ?QUERY, node_basename => "app", nameservers => [caravan_dns_server:nameserver(Server)]
        }]))
    end);
run("a topology of the configuration is asked for by its query") ->
    with(#{}, fun(Server, Network) ->
        {Own, Node} = boot_configured(Network, Server, [{node_name, "{basename}-{port}@{ip}"}]),
        ok = caravan_dns_server:put(Server, "host.test", a, [{a, 30, ?LOOPBACK}]),
        ok = caravan_dns_server:put(Server, ?QUERY, srv, [{srv, 30, 1, 1, caravan_epmd:dist_port(Own), "host.test"}]),
        {ok, _} = caravan_test_node:call(Node, application, ensure_all_started, [caravan]),
        answer(caravan_test_node:call(Node, caravan_doctor, report, [#{query => ?QUERY}]))
    end);
run("a firewall that drops") ->
    Output = caravan_test_namespace:output("ip link set lo up && nft add table inet t", ?MODULE, behind_a_firewall),
    of_namespace(Output);
run("two nodes on one port") ->
    with(#{}, fun(Server, Network) ->
        {Other, _} = boot(Network, "web"),
        Own = node_name(Network, "app", caravan_epmd:dist_port(Other)),
        from_outside(Network, Server, Own, [Own], [])
    end);
run("a proxy on the port of the node") ->
    with(#{}, fun(Server, Network) ->
        Own = node_name(Network, "app", free_port()),
        Listen = free_port(),
        {Own, _} = boot(Network, Own, ["-caravan", "listen_port", integer_to_list(Listen)]),
        {ok, Relay} = caravan_test_relay:start_link(#{
            from => {?LOOPBACK, caravan_epmd:dist_port(Own), []}, to => {?LOOPBACK, Listen, []}, seed => 1, delay => {0, 0}, duplicate => 0
        }),
        Seen = from_outside(Network, Server, Own, [Own], []),
        ok = caravan_test_relay:stop(Relay),
        Seen
    end);
run("files of a node that waits for others and logs into a file") ->
    with(#{}, fun(Server, Network) -> caravan_test_directory:with(fun(Directory) ->
        Log = filename:join(Directory, "node.log"),
        Config = caravan_test_directory:write(filename:join(Directory, "sys.config"), io_lib:format("~p.~n", [[{kernel, [
            {logger, [{handler, default, logger_std_h, #{config => #{file => Log}}}]},
            {sync_nodes_mandatory, ['other@127.0.0.1']}, {sync_nodes_timeout, infinity}
        ]}]])),
        {Own, _} = boot(Network, "app"),
        ok = list(Server, [Own]),
        Seen = script(ebin(), Network#{more => ["--sys-config", Config]}, Server, Own, []),
        false = filelib:is_regular(Log),
        Seen
    end) end);
run("a node that does not listen") ->
    with(#{}, fun(Server, Network) ->
        {Other, _} = boot(Network, "app"),
        {Cause, Text} = from_outside(Network, Server, own(Network), [Other], ["-dist_listen", "false"]),
        {match, _} = re:run(Text, "it is not listed, and does not listen"),
        {Cause, Text}
    end);
run("another cookie for one node") ->
    with(#{}, fun(Server, Network) ->
        {Own, Node} = boot(Network, "app"),
        {Other, OtherNode} = boot(Network#{cookie => "another"}, "app"),
        true = caravan_test_node:call(Node, erlang, set_cookie, [Other, together]),
        true = caravan_test_node:call(OtherNode, erlang, set_cookie, [Own, together]),
        ok = list(Server, [Own, Other]),
        from_inside(Node, Server)
    end);
run("a cluster of three, from outside") ->
    with(#{}, fun(Server, Network) ->
        [{Own, _} | _] = Nodes = [boot(Network, "app") || _ <- lists:seq(1, 3)],
        from_outside(Network, Server, Own, [Name || {Name, _} <- Nodes], [])
    end);
run("a cluster of three, from inside") ->
    with(#{}, fun(Server, Network) ->
        [{_, Node} | _] = Nodes = [boot(Network, "app") || _ <- lists:seq(1, 3)],
        ok = list(Server, [Name || {Name, _} <- Nodes]),
        ok = start_topology(Node, Server, #{}),
        {ok, _} = caravan_test_node:call(Node, caravan_cluster, await, [app, 2, ?HANG_GUARD]),
        answer(caravan_test_node:call(Node, caravan_doctor, report, [#{}]))
    end).

%% @doc Called in a VM with a network of its own: drops packets to the other node.
-spec behind_a_firewall() -> ok.
behind_a_firewall() ->
    {Cause, Text} = with(#{}, fun(Server, Network) ->
        {Other, _} = boot(Network, "app"),
        Own = own(Network),
        Rule = ["nft 'add chain inet t c { type filter hook input priority 0 ; } ; add rule inet t c tcp dport ",
            integer_to_list(caravan_epmd:dist_port(Other)), " drop'"],
        "" = os:cmd(lists:flatten(Rule)),
        from_outside(Network, Server, Own, [Own, Other], [])
    end),
    io:format("~ts~n~ts", [Cause, Text]).

of_namespace({skipped, Why}) ->
    {skipped, ["\n\n", Why]};
of_namespace({ok, Output}) ->
    [Cause, Text] = string:split(Output, "\n"),
    {binary_to_atom(Cause), Text}.

with(Options, Setup) ->
    ok = caravan_nif:load(),
    {ok, Server} = caravan_dns_server:start_link(maps:get(server, Options, #{})),
    Seen = caravan_test_network:with(maps:remove(server, Options), fun(Network) -> Setup(Server, Network) end),
    ok = caravan_dns_server:stop(Server),
    Seen.

boot(Network, Basename) ->
    boot(Network, node_name(Network, Basename, free_port()), []).

%% The node does not run, so the doctor examines it from outside.
own(Network) ->
    node_name(Network, "app", free_port()).

list(Server, Names) ->
    caravan_dns_server:put(Server, ?QUERY, srv, [{srv, 30, 1, 1, caravan_epmd:dist_port(Name), host(Name)} || Name <- Names]).

host(Name) ->
    lists:last(string:split(atom_to_list(Name), "@")).

from_outside(Network, Server, Own, Listed, Flags) ->
    ok = listed(Server, Listed),
    script(ebin(), Network, Server, Own, Flags).

listed(_Server, []) -> ok;
listed(Server, Listed) -> list(Server, Listed).

script(Ebin, Network, Server, Own, Flags) ->
    script(Ebin, Network, Server, Own, Flags, []).

script(Ebin, #{epmd_port := EpmdPort, cookie := Cookie} = Network, Server, Own, Flags, MoreEnv) ->
    caravan_test_directory:with(fun(Directory) ->
        VmArgs = caravan_test_directory:write(filename:join([Directory, "releases", "1", "vm.args"]), vm_args(Network, Own, Flags)),
        ok = cookie_of_release(Cookie, filename:join([Directory, "releases", "COOKIE"])),
        Arguments = ["doctor", "--vm-args", VmArgs, "--query", ?QUERY, "--nameserver", caravan_dns_server:nameserver(Server)
            | maps:get(more, Network, [])],
        Env = [{"CARAVAN_EBIN", Ebin}, {"ERL_EPMD_PORT", integer_to_list(EpmdPort)}, {"CARAVAN_NIF_DIR", false} | MoreEnv],
        {Status, Text} = command(Arguments, Env),
        {JsonStatus, Json} = command(Arguments ++ ["--json"], Env),
        [nomatch = string:find(Printed, Secret) || Printed <- [Text, Json], Secret <- secrets(Cookie)],
        {cause([{Status, Text}, {JsonStatus, Json}]), Text}
    end).

cookie_of_release({release, Cookie}, File) -> file:write_file(File, [Cookie, $\n]);
cookie_of_release(_Flag, _File) -> ok.

secrets(none) -> [];
secrets({release, Cookie}) -> [Cookie];
secrets(Cookie) -> [Cookie].

%% The cookie that OTP uses if no other one is given.
with_homes_cookie(Cookie, Fun) ->
    caravan_test_directory:with(fun(Home) ->
        File = caravan_test_directory:write(filename:join(Home, ".erlang.cookie"), Cookie),
        ok = file:change_mode(File, 8#400),
        Fun([{"HOME", Home}, {"RELEASE_COOKIE", false}])
    end).

%% The modules, one of which expects a library of another version.
other_version(Directory) ->
    Ebin = filename:join([Directory, "caravan", "ebin"]),
    ok = filelib:ensure_path(Ebin),
    [{ok, _} = file:copy(Beam, filename:join(Ebin, filename:basename(Beam))) || Beam <- filelib:wildcard(filename:join(ebin(), "*"))],
    ok = filelib:ensure_path(filename:join([Directory, "caravan", "priv"])),
    {ok, _} = file:copy(caravan_nif:library_file(), filename:join([Directory, "caravan", "priv", "caravan_nif.so"])),
    {ok, Source} = file:read_file(filename:join([root(), "src", "dns", "caravan_nif.erl"])),
    Changed = re:replace(Source, "-define\\(ABI, [0-9]+\\)", "-define(ABI, 99)"),
    File = caravan_test_directory:write(filename:join(Directory, "caravan_nif.erl"), Changed),
    {ok, caravan_nif} = compile:file(File, [{outdir, Ebin}]),
    Ebin.

%% A node with a topology in its configuration that does not run yet.
boot_configured(Network, Server, Options) ->
    Topology = {app, [{query, ?QUERY}, {nameservers, [caravan_dns_server:nameserver(Server)]} | Options]},
    Topologies = lists:flatten(io_lib:format("~0p", [[Topology]])),
    boot(Network, node_name(Network, "app", free_port()), ["-caravan", "topologies", Topologies]).

%% Runs the doctor inside a node with a topology with these options, beside another node, which DNS lists as well.
beside_another(Options) ->
    with(#{node => #{code_path => code_path()}}, fun(Server, Network) ->
        {Own, Node} = boot(Network, "app"),
        {Other, _} = boot(Network, "app"),
        ok = list(Server, [Own, Other]),
        ok = start_topology(Node, Server, Options(Other)),
        #{} = await_status(Node, last_lookup, fresh),
        answer(caravan_test_node:call(Node, caravan_doctor, report, [#{}]))
    end).

start_topology(Node, Server, Options) ->
    {ok, _} = caravan_test_node:call(Node, application, ensure_all_started, [caravan]),
    {ok, _} = caravan_test_node:call(Node, caravan_cluster, start, [Options#{
        name => app, query => ?QUERY, nameservers => [caravan_dns_server:nameserver(Server)]
    }]),
    ok.

await_status(Node, Key, Value) ->
    caravan_test_node:call(Node, caravan_test_topology, await, [app, Key, Value]).

code_path() ->
    [ebin(), filename:dirname(code:which(?MODULE))].

%% Arguments that start the node, and which a command must not apply.
vm_args(#{cookie := Cookie, epmd_module := Module}, Own, Flags) ->
    [
        "## a comment\n-heart\n", [["-epmd_module ", Module, $\n] || Module =/= none],
        "-name ", atom_to_list(Own), $\n, [["-setcookie ", Cookie, $\n] || is_list(Cookie)], lists:join($\s, [flag(Flag) || Flag <- Flags]), $\n
    ].

flag([First | _] = Flag) when First =:= $-; First =:= $' -> Flag;
flag(Word) when Word =:= "epmd_module"; Word =:= "caravan_epmd" -> Word;
flag(Value) -> [$", Value, $"].

command(Arguments, Env) ->
    Script = filename:absname(filename:join([root(), "scripts", "caravan"])),
    Port = open_port({spawn_executable, Script}, [{args, Arguments}, {env, Env}, exit_status, stderr_to_stdout, binary]),
    collect(Port, <<>>).

collect(Port, Text) ->
    receive
        {Port, {data, Data}} -> collect(Port, <<Text/binary, Data/binary>>);
        {Port, {exit_status, Status}} -> {Status, Text}
    after ?HANG_GUARD -> error({hangs, Text})
    end.

%% @doc The exit status of `scripts/caravan' in a VM of its own, and what it prints.
-spec command([string()]) -> {0..255, binary()}.
command(Arguments) ->
    command(Arguments, [{"CARAVAN_EBIN", ebin()}]).

%% The exit status and both forms of the report agree.
cause([{Status, Text}, {Status, Json}]) ->
    case re:run(Json, "^\\{\"cause\":(null|\\{\"advice\":\"(?:[^\"\\\\]|\\\\.)*\",\"name\":\"([a-z_]+)\")", [{capture, all_but_first, list}]) of
        {match, ["null"]} when Status =:= 2 -> {match, _} = re:run(Text, "could not be judged"), unknown;
        {match, ["null"]} when Status =:= 0 -> {match, _} = re:run(Text, "no fault found"), none;
        {match, [_, Name]} when Status =:= 1 -> {match, _} = re:run(Text, "cause: "), list_to_atom(Name);
        _ -> {unclear, Status, Text, Json}
    end.

from_inside(Node, Server) ->
    answer(caravan_test_node:call(Node, caravan_doctor, report, [#{
        query => ?QUERY, nameservers => [caravan_dns_server:nameserver(Server)]
    }])).

answer({ok, #{cause := none, status := ok} = Report}) -> {none, caravan_doctor_text:format(Report, plain)};
answer({ok, #{cause := #{name := Name}, status := fault} = Report}) -> {Name, caravan_doctor_text:format(Report, plain)};
answer({ok, #{status := unknown} = Report}) -> {unknown, caravan_doctor_text:format(Report, plain)}.

tls_flags(Directory) ->
    ok = filelib:ensure_path(Directory),
    ["-proto_dist", "inet_tls", "-ssl_dist_optfile", caravan_test_certificates:create(Directory, "localhost")].

ebin() ->
    filename:dirname(code:which(caravan_command)).

%% The checkout: tests are compiled below its _build.
root() ->
    hd([Root || Root <- [".", os:getenv("CARAVAN_ROOT", ".")], filelib:is_regular(filename:join([Root, "scripts", "caravan"]))]).
