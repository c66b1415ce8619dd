%% A topology under random events of nodes, of DNS and of an operator. Seeds are fixed, so that failures can be reproduced.
%% The invariants are checked after each step.
-module(caravan_topology_core_property_tests).

-include_lib("eunit/include/eunit.hrl").

-define(OWN, <<"f@x">>).
-define(EVENTS, 1000).

%% What the process of a topology would be doing, and the state of the world. `up' are the connected nodes.
-record(world, {
    core :: caravan_topology_core:state(),
    now = 0 :: integer(),
    options :: caravan_topology_core:options(),
    random :: rand:state(),
    can_connect = true :: boolean(),
    up = [] :: [binary()],
    is_polling = false :: boolean(),
    attempts = [] :: [binary()],
    disconnects = [] :: [binary()],
    lists = 0 :: non_neg_integer(),
    %% According to what was published and told.
    wanted = [] :: [binary()],
    members = [] :: [binary()],
    was_ready = false :: boolean()
}).

life_test_() ->
    [
        {lists:concat([ListNodes, " ", Seed]), {timeout, 60, fun() -> live(Seed, ListNodes) end}}
     || ListNodes <- [otp, function], Seed <- lists:seq(1, 8)
    ].

live(Seed, ListNodes) ->
    {Options, Random} = options(ListNodes, rand:seed_s(exsss, Seed)),
    {Up, Drawn} = some(names(), Random),
    {Actions, Core} = caravan_topology_core:new(Options, [<<"a@x">>, <<"b@x">>], Up, 0, facts(true, 0)),
    Begun = carried_out(Actions, #world{core = Core, options = Options, random = Drawn, up = Up}),
    _ = lists:foldl(fun(_, World) -> happens(World) end, checked(Begun), lists:seq(1, ?EVENTS)),
    ok.

names() -> [<<C, "@x">> || C <- lists:seq($a, $l)].

facts(CanConnect, Random) ->
    #{own => ?OWN, can_connect => CanConnect, elsewhere => [<<"c@x">>], random => Random}.

options(ListNodes, Random0) ->
    {Queries, Random1} = one_of([[one], [one, two], [two], []], Random0),
    {Nodes, Random2} = some(names(), Random1),
    {Exclude, Random3} = one_of([[], [], [<<"d@x">>]], Random2),
    {MaxConnecting, Random4} = one_of([1, 3, 16], Random3),
    {MaxNodes, Random5} = one_of([2, 1000], Random4),
    {Answers, Random6} = one_of([all, sampled], Random5),
    {Listener, Random7} = one_of([none, fun listener/1], Random6),
    {
        #{
            queries => Queries, nodes => case Queries of [] -> Nodes; _ -> [] end, exclude => Exclude, poll_interval => 5000,
            max_connecting => MaxConnecting, max_nodes => MaxNodes, atom_budget => 4, prune => true, prune_after => 20000,
            prune_max_fraction => 0.5, answers => Answers, sampled_expiry => 30000, listener => Listener,
            list_nodes => ListNodes, expect => 0, stable_for => 0
        },
        Random7
    }.

%% Three names share one listener.
listener(<<C, _/binary>>) -> C div 3.

%% Some time passes, with `wake' events at their times; then an event happens.
happens(#world{now = Now} = World) ->
    {Passed, Next} = draw([0, 1, 50, 700, 3000, 30000], World),
    event(woken(Now + Passed, Next)).

woken(Until, #world{core = Core} = World) ->
    case caravan_topology_core:wake_at(Core) of
        At when is_integer(At), At =< Until -> woken(Until, step(wake, World#world{now = At}));
        _Later -> World#world{now = Until}
    end.

event(World) ->
    {Kind, Next} = draw(
        [
            polled, polled, polled, attempted, attempted, attempted, nodeup, nodedown, listed, listed, disconnected,
            poll, refresh, exclude, reconnect, change, distribution
        ],
        World
    ),
    event(Kind, Next).

event(polled, #world{is_polling = true, options = #{queries := Queries}} = World) ->
    {Outcomes, Next} = lists:mapfoldl(fun outcome/2, World, Queries),
    step({polled, Outcomes, 0}, Next#world{is_polling = false});
event(attempted, #world{attempts = [_ | _] = Attempts} = World) ->
    {Name, Next} = draw(Attempts, World),
    {Result, Ended} = draw([connected, {failed, timeout}, {failed, make_ref()}], Next),
    attempted(Name, Result, Ended);
event(nodeup, World) ->
    {Name, Next} = draw(names(), World),
    node_up(Name, Next);
event(nodedown, #world{up = [_ | _] = Up} = World) ->
    {Name, Next} = draw(Up, World),
    {Reason, Lost} = draw([connection_closed, net_tick_timeout], Next#world{up = lists:delete(Name, Up)}),
    step({nodedown, Name, Reason}, Lost);
event(listed, #world{lists = Lists, up = Up} = World) when Lists > 0 ->
    step({listed, lists:sort(Up)}, World#world{lists = Lists - 1});
event(disconnected, #world{disconnects = [Name | Left], up = Up} = World) ->
    {Result, Next} = draw([ok, failed], World#world{disconnects = Left}),
    Ended = step({disconnected, Name, Result}, Next),
    case Result =:= ok andalso lists:member(Name, Up) of
        true -> step({nodedown, Name, disconnect}, Ended#world{up = lists:delete(Name, Up)});
        false -> Ended
    end;
event(exclude, World) ->
    {Name, Named} = draw(names(), World),
    {Milliseconds, Next} = draw([0, 1, 10000], Named),
    step({exclude, Name, Milliseconds}, Next);
%% The process drops the results of a cancelled poll, and of lists.
event(change, #world{options = #{list_nodes := ListNodes}, random = Random} = World) ->
    {Options, Drawn} = options(ListNodes, Random),
    step({change, Options}, World#world{options = Options, random = Drawn, lists = 0});
event(distribution, World) ->
    {CanConnect, Next} = draw([true, true, true, false], World),
    Next#world{can_connect = CanConnect};
event(Kind, World) when Kind =:= poll; Kind =:= refresh; Kind =:= reconnect ->
    step(Kind, World);
event(_Impossible, World) ->
    World.

%% `nodeup' usually comes before the end of the attempt.
attempted(Name, connected, World) ->
    {Order, Next} = draw([before, behind, never], World),
    case Order of
        before -> ended(Name, connected, node_up(Name, Next));
        behind -> node_up(Name, ended(Name, connected, Next));
        never -> ended(Name, connected, Next)
    end;
attempted(Name, Failed, World) ->
    ended(Name, Failed, World).

ended(Name, Result, #world{attempts = Attempts} = World) ->
    step({attempted, Name, Result, 0}, World#world{attempts = lists:delete(Name, Attempts)}).

node_up(Name, #world{up = Up} = World) ->
    case Name =:= ?OWN orelse lists:member(Name, Up) of
        true -> World;
        false -> step({nodeup, Name}, World#world{up = [Name | Up]})
    end.

outcome(Query, World) ->
    {Kind, Next} = draw([answer, answer, answer, nxdomain, timeout], World),
    {Outcome, Last} = outcome_of(Kind, Next),
    {{Query, Outcome}, Last}.

outcome_of(answer, #world{random = Random0} = World) ->
    {Names, Random1} = some(names() ++ [<<"F@x">>], Random0),
    {Unknown, Random2} = some(Names, Random1),
    {Complete, Random3} = one_of([true, true, false], Random2),
    {Ttl, Random4} = one_of([0, 0, 5, 3600], Random3),
    Answer = #{
        records => [[Name] || Name <- Names], unknown => Unknown, invalid => 0, unresolved => 0, ttl => Ttl,
        complete => Complete
    },
    {{ok, Answer}, World#world{random = Random4}};
outcome_of(Reason, World) ->
    {{error, Reason}, World}.

draw(Choices, #world{random = Random} = World) ->
    {Choice, Next} = one_of(Choices, Random),
    {Choice, World#world{random = Next}}.

one_of(Choices, Random) ->
    {Index, Next} = rand:uniform_s(length(Choices), Random),
    {lists:nth(Index, Choices), Next}.

some(Names, Random) ->
    lists:foldl(
        fun(Name, {Chosen, Drawn}) ->
            {Toss, Next} = rand:uniform_s(2, Drawn),
            {[Name || Toss =:= 1] ++ Chosen, Next}
        end,
        {[], Random},
        Names
    ).

%% Steps, and the invariants that are checked after each

step(Event, #world{core = Core, now = Now, can_connect = CanConnect, random = Random} = World) ->
    {Number, Drawn} = rand:uniform_s(16#7FFFFFF, Random),
    {Actions, Next} = caravan_topology_core:step(Event, Now, facts(CanConnect, Number), Core),
    checked(carried_out(Actions, World#world{core = Next, random = Drawn})).

carried_out(Actions, World) -> lists:foldl(fun carry_out/2, World, Actions).

carry_out(poll, #world{is_polling = false} = World) ->
    World#world{is_polling = true};
carry_out(cancel_poll, #world{is_polling = true} = World) ->
    World#world{is_polling = false};
carry_out({connect, Name}, #world{attempts = Attempts, options = #{exclude := Excluded}} = World) ->
    ?assert(World#world.can_connect),
    ?assertNot(lists:member(Name, [?OWN, <<"F@x">> | Attempts ++ Excluded])),
    World#world{attempts = [Name | Attempts]};
carry_out({disconnect, Name, AbsentMs}, #world{members = Members, disconnects = Names} = World) ->
    ?assert(lists:member(Name, Members)),
    ?assertNot(lists:member(Name, World#world.wanted)),
    ?assertNotEqual(<<"c@x">>, Name),
    ?assert(AbsentMs >= 20000),
    World#world{disconnects = Names ++ [Name]};
carry_out(list_nodes, #world{options = #{list_nodes := function}, lists = Lists} = World) ->
    World#world{lists = min(2, Lists + 1)};
carry_out({publish, Names}, World) ->
    ?assertEqual(lists:usort(Names), Names),
    World#world{wanted = Names};
carry_out(ready, #world{was_ready = false} = World) ->
    World#world{was_ready = true};
carry_out({tell, {up, Name}}, #world{members = Members} = World) ->
    ?assertNot(lists:member(Name, Members)),
    World#world{members = [Name | Members]};
carry_out({tell, {down, Name}}, #world{members = Members} = World) ->
    ?assert(lists:member(Name, Members)),
    World#world{members = lists:delete(Name, Members)};
carry_out({Kind, Report}, World) when Kind =:= report; Kind =:= emit ->
    ?assert(is_boolean(caravan_topology_core:is_line(Report))),
    World.

checked(#world{core = Core, now = Now, options = Options} = World) ->
    #{max_connecting := MaxConnecting, list_nodes := ListNodes, queries := Queries} = Options,
    WakeAt = caravan_topology_core:wake_at(Core),
    ?assert(WakeAt =:= none orelse WakeAt > Now),
    %% With queries, a poll is running or due.
    ?assert(Queries =:= [] orelse World#world.is_polling orelse is_integer(WakeAt)),
    ?assertEqual(World#world.wanted, caravan_topology_core:wanted(Core)),
    ?assertNot(lists:member(?OWN, World#world.wanted)),
    ?assertEqual(lists:sort(World#world.members), caravan_topology_core:members(Core)),
    Status = caravan_topology_core:status(Now, Core),
    #{connecting := Connecting, connected := Connected, failing := Failing, atoms_left := AtomsLeft} = Status,
    ?assertEqual(lists:sort(World#world.attempts), Connecting),
    ?assertEqual([], Connected -- World#world.members),
    ?assertEqual([], maps:keys(Failing) -- World#world.wanted),
    ?assert(AtomsLeft >= 0 andalso AtomsLeft =< 4),
    ok = stays_ready(World, caravan_topology_core:health(Now, Core)),
    ok = up_is_known(ListNodes, World),
    ok = nobody_waits_without_a_reason(length(Connecting) < MaxConnecting, Status, World),
    World.

%% While this node is distributed, a topology is ready if and only if it has been ready before.
stays_ready(#world{can_connect = true, was_ready = WasReady}, Health) ->
    ?assertEqual(WasReady, Health =:= ok orelse element(1, Health) =:= degraded),
    ok;
stays_ready(_NotDistributed, _Health) ->
    ok.

up_is_known(otp, #world{core = Core, up = Up}) ->
    ?assertEqual(lists:sort(Up), [Name || Name <- names(), caravan_topology_core:is_connected(Name, Core)]),
    ok;
up_is_known(function, _World) ->
    ok.

%% A wanted and missing node is being tried, has failed or is excluded, unless the maximal number of attempts is running.
nobody_waits_without_a_reason(true, Status, #world{can_connect = true, options = #{listener := none, list_nodes := otp}} = World) ->
    #{connecting := Connecting, failing := Failing, wanted := Wanted, excluded := Excluded} = Status,
    ?assertEqual([], Wanted -- (Connecting ++ maps:keys(Failing) ++ maps:keys(Excluded) ++ World#world.up)),
    ok;
nobody_waits_without_a_reason(_HasRoom, _Status, _World) ->
    ok.
