%% What happens to lookups and resolvers when the library is replaced, and when the node ends.
-module(caravan_dns_lifecycle_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3]).
-import(caravan_test_node, [await_boot/2, await_exit/1, call/4, run/2, stop/1]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).
-define(GUARD_MS, 30000).
-define(HOUR, 3600000).
-define(RELOADS, 10).
-define(CALLERS, 40).

every_lookup_ends_when_the_library_is_replaced_test_() ->
    ?NODES(with_node(fun(Node, _Server) ->
        {Results, Rounds} = run(Node, fun() -> lists:unzip([reload() || _ <- lists:seq(1, ?RELOADS)]) end),
        Kinds = lists:usort([kind(Result) || Result <- lists:append(Results)]),
        ?assertEqual([], Kinds -- [answered, {error, closed}]),
        %% Lookups without an answer have lasted until the old instance was unloaded.
        ?assert(lists:member({error, closed}, Kinds)),
        Expected = #{lookup => {error, closed}, stats => {error, closed}, close => ok, default => answered,
                     opened => answered},
        ?assertEqual([Expected || _ <- Rounds], Rounds),
        ?assertMatch({exited, 0, _}, stop(Node))
    end)).

%% Runs in the node. The handles of one round exist in all following rounds.
reload() ->
    {ok, Old} = caravan_dns:open(#{}),
    Handles = [Old | handles()],
    Callers = [start_caller(Name, Options) || _ <- lists:seq(1, ?CALLERS), Name <- ["n1.test", "silent.test"],
                                              Options <- [#{}, #{resolver => Old}]],
    [receive {Caller, started} -> ok after ?GUARD_MS -> error(not_started) end || {Caller, _} <- Callers],
    _ = code:purge(caravan_nif),
    {module, caravan_nif} = code:load_file(caravan_nif),
    ok = caravan_nif:load(),
    _ = code:purge(caravan_nif),
    put(handles, Handles),
    Results = [await_caller(Caller) || Caller <- Callers],
    {ok, #{queries := 0}} = caravan_dns:stats(),
    {ok, New} = caravan_dns:open(#{}),
    Of = fun(Handle) ->
        #{lookup => caravan_dns:lookup("n1.test", a, #{resolver => Handle}), stats => caravan_dns:stats(Handle),
          close => caravan_dns:close(Handle), default => kind(caravan_dns:lookup("n1.test", a)),
          opened => kind(caravan_dns:lookup("n1.test", a, #{resolver => New}))}
    end,
    [Round] = lists:usort([Of(Handle) || Handle <- Handles]),
    {Results, Round}.

handles() ->
    case get(handles) of
        undefined -> [];
        Handles -> Handles
    end.

start_caller(Name, Options) ->
    Starter = self(),
    spawn_monitor(fun() ->
        Ref = caravan_dns:lookup_async(Name, a, Options#{timeout => ?HOUR}),
        Starter ! {self(), started},
        exit(receive {caravan_dns, Ref, Result} -> Result end)
    end).

await_caller({Caller, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Caller, Result} -> Result
    after ?GUARD_MS -> error(no_result)
    end.

kind({ok, #{records := [#{address := {10, 0, 0, 1}}]}}) -> answered;
kind(Other) -> Other.

open_lookups_do_not_keep_a_node_from_stopping_test_() ->
    [{Title, ?NODES(with_node(fun(Node, Server) ->
        ok = open_lookups(Node, Server),
        End(Node),
        ?assertMatch({exited, 0, <<>>}, await_exit(Node))
     end))}
     || {Title, End} <- [
            {"init:stop", fun(Node) -> call(Node, init, stop, []) end},
            {"SIGTERM", fun(Node) ->
                %% OTP prints that it has received the signal.
                ok = call(Node, logger, set_primary_config, [level, error]),
                "" = os:cmd("kill -TERM " ++ call(Node, os, getpid, []))
             end},
            {"erlang:halt", fun(Node) -> ?assertError({exited, 0, _}, call(Node, erlang, halt, [0])) end},
            {"erlang:halt without flush", fun(Node) ->
                ?assertError({exited, 0, _}, call(Node, erlang, halt, [0, [{flush, false}]]))
             end}
        ]].

%% A message to a process that has ended, a handle that is garbage-collected, and a lookup that another process cancels.
lookups_end_with_their_callers_test_() ->
    ?NODES(with_node(fun(Node, Server) ->
        [
            begin
                ok = open_lookups(Node, Server),
                ok = run(Node, fun() -> end_callers(End) end)
            end
         || End <- [kill, cancel, close]
        ],
        ?assertEqual(answered, kind(call(Node, caravan_dns, lookup, ["n1.test", a]))),
        ?assertMatch({exited, 0, _}, stop(Node))
    end)).

%% Runs in the node.
end_callers(End) ->
    {ok, Own} = caravan_dns:open(#{}),
    Lookup = fun() ->
        Ref = caravan_dns:lookup_async("silent.test", a, #{resolver => Own, timeout => ?HOUR}),
        _ = case End of
            kill -> exit(self(), kill);
            cancel -> spawn(fun() -> caravan_dns:cancel(Ref) end), ok = caravan_dns:cancel(Ref);
            close -> {error, closed} = receive {caravan_dns, Ref, Result} -> Result end
        end
    end,
    Callers = [spawn_monitor(Lookup) || _ <- lists:seq(1, ?CALLERS)],
    ok = close_at_end(End, Own),
    _ = [receive {'DOWN', Monitor, process, Caller, _} -> ok after ?GUARD_MS -> error(no_end) end || {Caller, Monitor} <- Callers],
    true = erlang:garbage_collect(),
    ok.

close_at_end(close, Resolver) -> caravan_dns:close(Resolver);
close_at_end(_End, _Resolver) -> ok.

open_lookups_do_not_outlive_a_restart_test_() ->
    ?NODES(with_node(fun(Node, Server) ->
        [
            begin
                ok = open_lookups(Node, Server),
                ok = call(Node, init, restart, []),
                ?assertEqual(ok, await_boot(Node, Boot)),
                {ok, _} = call(Node, application, ensure_all_started, [caravan]),
                ?assertEqual(answered, kind(call(Node, caravan_dns, lookup, ["n1.test", a]))),
                {ok, #{in_flight := InFlight}} = call(Node, caravan_dns, stats, []),
                ?assertEqual(0, InFlight)
            end
         || Boot <- [2, 3, 4]
        ],
        ?assertMatch({exited, 0, _}, stop(Node))
    end)).

open_lookups(Node, Server) ->
    ok = caravan_dns_server:reset_queries(Server),
    ok = run(Node, fun() ->
        _ = [start_caller("silent.test", #{transport => Transport})
             || Transport <- [udp, tcp], _ <- lists:seq(1, ?CALLERS)],
        ok
    end),
    %% Equal lookups share a question.
    caravan_dns_server:await_queries(Server, 2, ?GUARD_MS).

with_node(Test) ->
    {ok, Server} = caravan_dns_server:start_link(#{}),
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 30, {10, 0, 0, 1}}]),
    ok = caravan_dns_server:put(Server, "silent.test", a, drop),
    Nameservers = io_lib:format("[~p]", [caravan_dns_server:nameserver(Server)]),
    try
        caravan_test_network:with(#{node => #{code_path => code_path()}}, fun(Network) ->
            {none, Node} = boot(Network, none, ["-caravan", "nameservers", lists:flatten(Nameservers)]),
            {ok, _} = call(Node, application, ensure_all_started, [caravan]),
            Test(Node, Server)
        end)
    after
        caravan_dns_server:stop(Server)
    end.

%% The node calls functions of this module.
code_path() ->
    [filename:dirname(code:where_is_file(atom_to_list(Module) ++ ".beam")) || Module <- [caravan_dns, ?MODULE]].
