%% Real nodes, with the defaults of OTP, one of which leaves.
-module(caravan_leave_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3, free_port/0, node_name/3]).
-import(caravan_test_node, [await_exit/1, await_peers/2, call/4]).

-export([record/0, recorded/0, await_report/2, log/2]).

-define(LONG_MS, 3600000).
-define(GUARD_MS, 30000).

leaving_test_() ->
    [
        {atom_to_list(element(2, erlang:fun_info(Test, name))), {timeout, 120, fun() -> with_mesh(Count, Test) end}}
     || {Count, Test} <- [
            {5, fun one_of_five_leaves_and_comes_back/1},
            {3, fun it_comes_back_when_the_time_is_over/1},
            {3, fun a_topology_that_has_not_heard_of_it_does_not_bring_it_back/1},
            {3, fun a_node_that_is_stopped_leaves/1},
            {2, fun a_tool_that_has_a_node_leave_gets_its_answer/1},
            {3, fun a_node_that_gets_sigterm_leaves/1},
            {3, fun a_node_may_be_told_not_to_leave/1},
            {3, fun a_node_that_stops_the_application_stays/1},
            {3, fun a_node_whose_topologies_have_ended_leaves/1},
            {3, fun a_topology_beside_another_one_disconnects_nobody/1},
            {3, fun a_topology_that_starts_later_keeps_its_connections/1},
            {3, fun who_comes_back_after_somebody_has_connected_stays/1},
            {3, fun the_last_topology_that_leaves_disconnects/1},
            {3, fun a_helper_stays/1},
            {3, fun garbage_is_no_departure/1}
        ]
    ].

what_is_no_time_or_no_topology_is_an_error_test_() ->
    [?_assertMatch({error, {bad_option, milliseconds, Bad, _}}, caravan_cluster:leave(nobody, Bad)) || Bad <- [0, 86400001, infinity, 1.5]] ++
        [?_assertExit({noproc, _}, caravan_cluster:leave(nobody)), ?_assertExit({noproc, _}, caravan_cluster:leave(nobody, 1000))].

%% Without a topology, or on a node that is not distributed, there is no cluster to leave.
a_topology_that_tries_a_node_counts_more_than_one_that_does_not_test_() ->
    Status = #{name => app, wanted => ['b@h'], left => #{}, excluded => #{}, leaving => none},
    Left = Status#{left := #{'b@h' => 7}},
    [
        ?_assertEqual({Statuses, KeptOut}, {Statuses, caravan_why:kept_out(<<"b@h">>, Statuses)})
     || {Statuses, KeptOut} <- [
            {[], none}, {[Status], none}, {[Status#{wanted := []}], none},
            {[Left], {left, there, 7}}, {[Status#{leaving := 9}], {left, here, 9}}, {[Status#{leaving := 9, wanted := []}], none},
            {[Status#{excluded := #{'b@h' => infinity}}], {excluded, app}},
            {[Left, Status], none}, {[Left, Status#{wanted := []}], {left, there, 7}}
        ]
    ].

who_is_alone_leaves_nobody_test() ->
    ?assertEqual(ok, caravan_cluster:leave()).

one_of_five_leaves_and_comes_back([{Leaver, Leaving} | Others] = Mesh) ->
    ok = call(Leaving, caravan_cluster, leave, [app, ?LONG_MS]),
    ok = await_peers(Leaving, []),
    ?assertMatch(#{leaving := Ms} when Ms > 0, status(Leaving)),
    [
        begin
            ok = await_peers(Node, [Name || {Name, _} <- Others, Name =/= Own]),
            %% An operator may call reconnect, which ends back-offs.
            ok = call(Node, caravan_cluster, reconnect, [app]),
            ?assertMatch(#{connecting := [], failing := Failing, left := #{Leaver := _}} when Failing =:= #{}, status(Node)),
            ?assertMatch(#{nodes := [Leaver], connected := 3}, await(Node, left)),
            ?assertMatch(#{result := {left, there, Ms}} when Ms > 0, call(Node, caravan_cluster, why, [Leaver])),
            ?assertMatch(#{left := 1, leaving := 0, wanted := 4, connected := 3, missing := 0, failing := 0}, gauges(Node))
        end
     || {Own, Node} <- Others
    ],
    ?assertMatch(#{result := {left, here, _}}, call(Leaving, caravan_cluster, why, [element(1, hd(Others))])),
    ?assertMatch(#{left := 0, leaving := 1, connected := 0, missing := 0}, gauges(Leaving)),
    ok = call(Leaving, caravan_cluster, reconnect, [app]),
    await_mesh(Mesh),
    [?assertMatch(#{left := Left, leaving := none} when Left =:= #{}, status(Node)) || {_, Node} <- Mesh],
    [?assertEqual({Own, [{down, Leaver}, {up, Leaver}]}, {Own, changes(Node)}) || {Own, Node} <- Others],
    assert_no_warnings(Mesh).

%% caravan_telemetry asks for these gauges.
gauges(Node) ->
    call(Node, gen_server, call, [caravan_topology:registered_name(app), gauges]).

it_comes_back_when_the_time_is_over([{Leaver, Leaving} | Others] = Mesh) ->
    ok = call(Leaving, caravan_cluster, leave, [app, 500]),
    _ = [await(Node, left) || {_, Node} <- Others],
    await_mesh(Mesh),
    [?assertEqual([{down, Leaver}, {up, Leaver}], changes(Node)) || {_, Node} <- Others],
    assert_no_warnings(Mesh).

%% As a node that has been started meanwhile.
a_topology_that_has_not_heard_of_it_does_not_bring_it_back([{Leaver, Leaving} | Others] = Mesh) ->
    ok = call(Leaving, caravan_cluster, leave, [app, ?LONG_MS]),
    ok = await_peers(Leaving, []),
    {Name, Node} = lists:last(Others),
    true = call(Node, erlang, exit, [call(Node, erlang, whereis, [caravan_topology:registered_name(app)]), kill]),
    Name = call(Leaving, ?MODULE, await_report, [{up, Name}, ?GUARD_MS]),
    ok = await_peers(Leaving, []),
    [ok = await_peers(Other, others(Own, Mesh) -- [Leaver]) || {Own, Other} <- Others],
    ?assertMatch(#{left := #{Leaver := _}}, status(Node)).

%% The script of a relx release calls `leave', and its other commands work while the node is away.
a_tool_that_has_a_node_leave_gets_its_answer([{Leaver, Leaving}, {_, Other}]) ->
    case os:find_executable("erl_call") of
        false ->
            io:format(user, "SKIP: there is no erl_call~n", []);
        Tool ->
            Address = lists:concat(["127.0.0.1:", caravan_epmd:dist_port(Leaver)]),
            Cookie = atom_to_list(call(Leaving, erlang, get_cookie, [])),
            Words = fun(Call) -> [Tool, "-c", Cookie, "-R", "-address", Address, "-a", "'" ++ Call ++ "'", "; echo \" status $?\""] end,
            Ask = fun(Call) -> string:trim(os:cmd(lists:flatten(lists:join(" ", Words(Call))))) end,
            ?assertEqual("ok status 0", Ask("caravan_cluster leave")),
            _ = await(Other, left),
            ?assertMatch({match, _}, re:run(Ask("erlang node"), lists:concat([Leaver, ".* status 0$"])))
    end.

a_node_that_is_stopped_leaves(Mesh) ->
    leaves(Mesh, fun(Node) -> ok = call(Node, init, stop, []) end).

a_node_that_gets_sigterm_leaves(Mesh) ->
    leaves(Mesh, fun(Node) -> _ = os:cmd("kill -TERM " ++ call(Node, os, getpid, [])) end).

%% Topologies under users' supervisors end before the application.
a_node_whose_topologies_have_ended_leaves(Mesh) ->
    leaves(Mesh, fun(Node) ->
        ok = call(Node, caravan_cluster, stop, [app]),
        ok = call(Node, init, stop, [])
    end).

leaves([{Leaver, Leaving} | Others], Stop) ->
    Stop(Leaving),
    [?assertMatch(#{nodes := [Leaver]}, await(Node, left)) || {_, Node} <- Others],
    ?assertMatch({exited, 0, _}, await_exit(Leaving)),
    [?assertMatch(#{connecting := [], failing := Failing, left := #{Leaver := _}} when Failing =:= #{}, status(Node)) || {_, Node} <- Others],
    [?assertEqual([{down, Leaver}], changes(Node)) || {_, Node} <- Others],
    assert_no_warnings(Others).

a_node_may_be_told_not_to_leave([{Leaver, Leaving} | Others]) ->
    ok = call(Leaving, application, set_env, [caravan, leave_on_stop, false]),
    ok = call(Leaving, init, stop, []),
    [?assertMatch(#{node := Leaver}, await(Node, node_down)) || {_, Node} <- Others],
    [?assertMatch(#{left := Left} when Left =:= #{}, status(Node)) || {_, Node} <- Others].

a_node_that_stops_the_application_stays([{_, Stopping} | Others] = Mesh) ->
    ok = call(Stopping, application, stop, [caravan]),
    [?assertMatch(#{left := Left} when Left =:= #{}, status(Node)) || {_, Node} <- Others],
    [ok = await_peers(Node, others(Own, Mesh)) || {Own, Node} <- Mesh],
    [?assertEqual([], changes(Node)) || {_, Node} <- Mesh].

a_topology_beside_another_one_disconnects_nobody([{Leaver, Leaving} | Others] = Mesh) ->
    Names = [Name || {Name, _} <- Mesh],
    {ok, _} = call(Leaving, caravan_cluster, start, [#{name => web, nodes => Names}]),
    {_, Other} = hd(Others),
    {ok, _} = call(Other, caravan_cluster, start, [#{name => web, nodes => Names}]),
    ok = call(Leaving, caravan_cluster, leave, [app]),
    [?assertMatch(#{left := #{Leaver := _}}, status(Node)) || {_, Node} <- Others],
    ?assertMatch(#{left := Left} when Left =:= #{}, call(Other, caravan_cluster, status, [web])),
    ?assertMatch({#{leaving := Ms}, #{leaving := none}} when is_integer(Ms), {status(Leaving), call(Leaving, caravan_cluster, status, [web])}),
    [?assertEqual([], changes(Node)) || {_, Node} <- Mesh].

a_topology_that_starts_later_keeps_its_connections([{Leaver, Leaving} | Others] = Mesh) ->
    ok = call(Leaving, caravan_cluster, leave, [app, ?LONG_MS]),
    ok = await_peers(Leaving, []),
    {ok, _} = call(Leaving, caravan_cluster, start, [#{name => web, nodes => [Name || {Name, _} <- Mesh]}]),
    await_mesh(Mesh),
    ok = call(Leaving, caravan_leave, again, [?LONG_MS]),
    ok = await_peers(Leaving, others(Leaver, Mesh)),
    [?assertEqual([{down, Leaver}, {up, Leaver}], changes(Node)) || {_, Node} <- Others].

%% The second disconnect has begun when the node comes back.
who_comes_back_after_somebody_has_connected_stays([{Leaver, Leaving}, {_, Other} | _] = Mesh) ->
    ok = call(Leaving, caravan_cluster, leave, [app, ?LONG_MS]),
    ok = await_peers(Leaving, []),
    true = call(Other, net_kernel, connect_node, [Leaver]),
    ok = call(Leaving, caravan_cluster, reconnect, [app]),
    await_mesh(Mesh),
    ok = call(Leaving, caravan_leave, again, [?LONG_MS]),
    ok = await_peers(Leaving, others(Leaver, Mesh)),
    ?assertMatch(#{leaving := none, failing := Failing} when Failing =:= #{}, status(Leaving)).

%% The other node has left before.
the_last_topology_that_leaves_disconnects([{Leaver, Leaving} | Others] = Mesh) ->
    {ok, _} = call(Leaving, caravan_cluster, start, [#{name => web, nodes => [Name || {Name, _} <- Mesh]}]),
    ok = call(Leaving, caravan_cluster, leave, [app, ?LONG_MS]),
    ?assertEqual(lists:sort([Name || {Name, _} <- Others]), lists:sort(call(Leaving, erlang, nodes, []))),
    ok = call(Leaving, caravan_cluster, leave, [web, ?LONG_MS]),
    ok = await_peers(Leaving, []),
    [?assertMatch(#{left := #{Leaver := _}}, status(Node)) || {_, Node} <- Others].

%% A hidden node, such as a release's `rpc', which may be the caller of `leave'.
a_helper_stays([{Leaver, Leaving} | Others]) ->
    Cookie = call(Leaving, erlang, get_cookie, []),
    {ok, Helper} = caravan_test_node:start_link(#{
        flags => ["-start_epmd", "false", "-epmd_module", "caravan_epmd", "-hidden", "-name", "rpc-1a2b-app-4370@127.0.0.1", "-setcookie", atom_to_list(Cookie)]
    }),
    try
        ok = caravan_test_node:await_boot(Helper),
        ?assertEqual(ok, call(Helper, rpc, call, [Leaver, caravan_cluster, leave, []])),
        ?assertEqual([], call(Leaving, erlang, nodes, [])),
        ?assertEqual([Leaver], call(Helper, erlang, nodes, [hidden])),
        _ = [await(Node, left) || {_, Node} <- Others]
    after
        ok = caravan_test_node:kill(Helper)
    end.

garbage_is_no_departure([{_, Node}, {_, Sender} | _]) ->
    Process = call(Node, erlang, whereis, [caravan_departures]),
    Remote = call(Sender, erlang, whereis, [init]),
    Bad = [
        {caravan_leaving, Version, Pid, Milliseconds, Topologies}
     || {Version, Pid, Milliseconds, Topologies} <- [
            {2, Remote, 1000, all},
            {1, node(), 1000, all},
            {1, Process, 1000, all},
            {1, Remote, 0, all},
            {1, Remote, 86400001, all},
            {1, Remote, 1000, none},
            {1, Remote, 1000, [app | all]},
            {1, Remote, 1000, ["app"]},
            {1, Remote, 1000, lists:duplicate(1001, app)},
            {1, Remote, 1000, [other]}
        ]
    ] ++ [garbage],
    [Message = call(Node, erlang, send, [caravan_departures, Message]) || Message <- Bad],
    %% It has read all messages, and has told the topology, before it answers.
    {error, unknown_request} = call(Node, gen_server, call, [caravan_departures, what]),
    ?assertMatch(#{left := Left} when Left =:= #{}, status(Node)),
    ?assertEqual(Process, call(Node, erlang, whereis, [caravan_departures])).

%% Helpers

with_mesh(Count, Test) ->
    ok = caravan_nif:load(),
    Beams = [filename:dirname(code:which(Module)) || Module <- [caravan_epmd, ?MODULE]],
    caravan_test_network:with(#{node => #{code_path => Beams}}, fun(Network) ->
        Names = [node_name(Network, "app", free_port()) || _ <- lists:seq(1, Count)],
        Mesh = [boot(Network, Name, []) || Name <- Names],
        [ok = start(Node, Names) || {_, Node} <- Mesh],
        await_mesh(Mesh),
        %% While `global' synchronizes with a node, each of its messages connects that node again.
        [ok = call(Node, global, sync, []) || {_, Node} <- Mesh],
        _ = [ok = call(Node, ?MODULE, record, []) || {_, Node} <- Mesh],
        Test(Mesh)
    end).

start(Node, Names) ->
    ok = call(Node, application, set_env, [caravan, topologies, [{app, #{nodes => Names}}]]),
    {ok, _} = call(Node, application, ensure_all_started, [caravan]),
    ok.

await_mesh(Mesh) ->
    [ok = await_peers(Node, others(Name, Mesh)) || {Name, Node} <- Mesh].

others(Own, Mesh) ->
    [Name || {Name, _} <- Mesh, Name =/= Own].

status(Node) ->
    call(Node, caravan_cluster, status, [app]).

await(Node, Event) ->
    call(Node, ?MODULE, await_report, [Event, ?GUARD_MS]).

changes(Node) ->
    [{Change, Name} || {Change, Name} <- call(Node, ?MODULE, recorded, [])].

assert_no_warnings(Mesh) ->
    [
        ?assertEqual({Own, []}, {Own, [Report || {log, Level, Report} <- call(Node, ?MODULE, recorded, []), Level =/= notice]})
     || {Own, Node} <- Mesh
    ].

%% Runs in the node: collects what Caravan logs from notice on, and which nodes come and go.

record() ->
    Caller = self(),
    _ = spawn(fun() ->
        true = register(?MODULE, self()),
        ok = net_kernel:monitor_nodes(true),
        ok = logger:add_handler(?MODULE, ?MODULE, #{level => notice}),
        Caller ! recording,
        record([], [])
    end),
    receive recording -> ok end.

record(Seen, Waiters) ->
    receive
        {nodeup, Node} -> record([{up, Node} | Seen], [Waiter || Waiter <- Waiters, not answered(Waiter, [{up, Node}])]);
        {nodedown, Node} -> record([{down, Node} | Seen], Waiters);
        {log, _, _} = Logged -> record([Logged | Seen], [Waiter || Waiter <- Waiters, not answered(Waiter, [Logged])]);
        {recorded, Asker} -> Asker ! {recorded, lists:reverse(Seen)}, record(Seen, Waiters);
        {await, _, _} = Waiter -> record(Seen, [Waiter || not answered(Waiter, Seen)] ++ Waiters)
    end.

answered({await, {up, Node}, Asker}, Seen) ->
    IsUp = lists:member({up, Node}, Seen),
    _ = [Asker ! {logged, Node} || IsUp],
    IsUp;
answered({await, Event, Asker}, Seen) ->
    case [Report || {log, _, #{event := Own} = Report} <- Seen, Own =:= Event] of
        [Report | _] -> Asker ! {logged, Report}, true;
        [] -> false
    end.

recorded() ->
    ?MODULE ! {recorded, self()},
    receive {recorded, Seen} -> Seen end.

await_report(Event, Timeout) ->
    ?MODULE ! {await, Event, self()},
    receive {logged, Report} -> Report after Timeout -> error({not_logged, Event, recorded()}) end.

log(#{level := Level, msg := {report, #{event := _, topology := _} = Report}}, _Config) ->
    ?MODULE ! {log, Level, Report};
log(_Event, _Config) ->
    ok.
