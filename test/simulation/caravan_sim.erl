%% The engine: a world of VMs, each with a deciding core, under virtual time. It takes what is to happen next from a queue,
%% gives it to the core that it is for, and carries the core's actions out on the models of the network and of DNS. All that
%% is random comes from the seed of the scenario, so a scenario always gives the same run. Times are milliseconds.
-module(caravan_sim).

-export([run/2]).

-export_type([result/0, run_options/0, op/0]).

-type name() :: binary().
-type host() :: pos_integer().

%% What operators and faults do to the world.
-type op() ::
    %% A VM starts on the host, under its old name or a new one, and is registered after a while.
    {boot, host(), same | new_port, RegisterAfter :: non_neg_integer()}
    %% It stops; its record goes after a while, or stays.
    | {stop, host(), shutdown | vanish, UnregisterAfter :: non_neg_integer() | never}
    %% It says to the others that it leaves before it stops; or it disconnects, and runs on.
    | {end_of, host(), UnregisterAfter :: non_neg_integer() | never}
    | {leave, host(), Milliseconds :: pos_integer()}
    | {disconnect_all, host()}
    | {pause | resume | crash | poll | reconnect | list | unlist, host()}
    | {exclude, host(), Other :: host(), Milliseconds :: pos_integer()}
    | {change, host(), Patch :: map()}
    %% Attempts and traffic from the one host to the other.
    | {link, host(), host(), Fault :: atom()}
    %% A record of a node that is none.
    | {phantom, Id :: pos_integer(), Fault :: atom()}
    | {no_phantom, Id :: pos_integer()}
    | {dns, host() | all, caravan_sim_dns:fault() | none}
    %% The user's connect function gives ever new reasons; the disconnect function raises.
    | {reasons, kernel | ever_new}
    | {disconnects, ok | failed}
    %% From now on the host belongs to the cluster, or does so no more.
    | {expect, host(), boolean()}
    %% All faults are over: what belongs to the cluster runs and is listed, and nothing else.
    | quiet.

-type run_options() :: #{
    core => module(),
    checks => boolean(),
    trace => boolean()
}.

-type result() :: #{
    outcome := ok | {violated, atom(), At :: integer(), Details :: term()},
    ended_at := integer(),
    events := non_neg_integer(),
    measures := caravan_sim_measures:measures(),
    trace := [{At :: integer(), name() | world, term()}]
}.

-record(world, {
    now = 0 :: integer(),
    queue = caravan_sim_queue:new() :: caravan_sim_queue:queue(),
    random :: rand:state(),
    scenario :: map(),
    core :: module(),
    net :: term(),
    %% What the network has said and nobody has read yet, the last one first.
    outbox = [] :: [term()],
    zones :: #{Query :: term() => caravan_sim_dns:dns()},
    vms = #{} :: #{name() => caravan_sim_vm:vm()},
    %% Which VM runs on a host, and what its next new name has in it.
    hosts = #{} :: #{host() => name()},
    ports = #{} :: #{host() => pos_integer()},
    registered = #{} :: #{Key :: term() => Id :: pos_integer()},
    expected = #{} :: #{host() => []},
    links = #{} :: #{{host(), host()} => atom()},
    phantoms = #{} :: #{name() => atom()},
    reasons = kernel :: kernel | ever_new,
    disconnects = ok :: ok | failed,
    serial = 1 :: pos_integer(),
    checks :: caravan_sim_checks:checks() | off,
    measures :: caravan_sim_measures:measures(),
    trace :: off | [{integer(), name() | world, term()}],
    events = 0 :: non_neg_integer()
}).

%% The largest number that list_to_pid/1 takes, and one.
-define(MAX_PID, 32768).
-define(CONNECT_TIMEOUT, 10000).
-define(SWEEP, 10000).
%% For how long a node that is stopped is left alone.
-define(STOPPED, 60000).
%% In which the others hear that a node leaves, before it disconnects.
-define(HEARD_WITHIN, 15).
%% How long a world that has become whole is watched.
-define(CALM, 60000).

-spec run(caravan_sim_world:scenario(), run_options()) -> result().
run(#{seed := Seed, network := Network, queries := Queries, dns := Dns, ends := Ends} = Scenario, Options) ->
    World = #world{
        random = rand:seed_s(exsss, Seed),
        scenario = Scenario,
        core = maps:get(core, Options, caravan_topology_core),
        net = caravan_sim_network:new(Network#{seed => Seed}),
        zones = maps:from_keys(Queries, caravan_sim_dns:new(Dns)),
        checks = checks(maps:get(checks, Options, true), Scenario),
        measures = caravan_sim_measures:new(),
        trace = trace(maps:get(trace, Options, false))
    },
    Ops = [Op || {At, _} = Op <- caravan_sim_operators:ops(Scenario), At < Ends],
    Planned = lists:foldl(fun({At, Op}, Next) -> at(At, {op, Op}, Next) end, World, Ops),
    ended(loop(at(?SWEEP, sweep, at(Ends, {op, quiet}, Planned)))).

checks(true, Scenario) -> caravan_sim_checks:new(Scenario);
checks(false, _Scenario) -> off.

trace(true) -> [];
trace(false) -> off.

ended({Outcome, #world{now = Now, events = Events, measures = Measures, trace = Trace}}) ->
    #{outcome => Outcome, ended_at => Now, events => Events, measures => Measures, trace => traced(Trace)}.

traced(off) -> [];
traced(Trace) -> lists:reverse(Trace).

loop(#world{queue = Queue, events = Events} = World) ->
    {Now, Item, Rest} = caravan_sim_queue:out(Queue),
    try settle(happens(Item, World#world{now = Now, queue = Rest, events = Events + 1})) of
        #world{} = Next -> loop(Next);
        {whole, Next} -> {ok, Next}
    catch
        throw:{violated, Invariant, Details, Trace} ->
            {{violated, Invariant, Now, Details}, World#world{now = Now, trace = Trace}}
    end.

at(Time, Item, #world{queue = Queue} = World) ->
    World#world{queue = caravan_sim_queue:in(Time, Item, Queue)}.

in(After, Item, #world{now = Now} = World) ->
    at(Now + After, Item, World).

random(#world{random = Random} = World) ->
    {Number, Next} = rand:uniform_s(134217728, Random),
    {Number - 1, World#world{random = Next}}.

traces(_Who, _What, #world{trace = off} = World) -> World;
traces(Who, What, #world{trace = Trace, now = Now} = World) -> World#world{trace = [{Now, Who, What} | Trace]}.

%% What happens

happens({net, Internal}, #world{net = Net, now = Now} = World) ->
    network(caravan_sim_network:event(Internal, Now, Net), World);
happens({vm, Name, Id, Item}, #world{vms = Vms} = World) ->
    case Vms of
        #{Name := Vm} -> for_vm(caravan_sim_vm:id(Vm) =:= Id, Item, Vm, World);
        #{} -> World
    end;
happens({op, Op}, World) ->
    op(Op, traces(world, Op, World));
happens({register, Host, Name, Id}, #world{vms = Vms} = World) ->
    case Vms of
        #{Name := Vm} -> registers(caravan_sim_vm:id(Vm) =:= Id, Host, Name, Id, World);
        #{} -> World
    end;
happens({unregister, Host, Name, Id}, #world{registered = Registered} = World) ->
    case Registered of
        #{{Host, Name} := Id} -> unregistered(Host, Name, World);
        #{} -> World
    end;
happens(sweep, #world{checks = off, scenario = #{ends := Ends}, now = Now} = World) when Now > Ends ->
    {whole, World};
happens(sweep, #world{checks = off} = World) ->
    in(?SWEEP, sweep, World);
happens(sweep, World) ->
    swept(in(?SWEEP, sweep, World)).

%% What the network says is read in the order in which it was said.
settle({whole, World}) ->
    {whole, World};
settle(#world{outbox = []} = World) ->
    World;
settle(#world{outbox = Outbox} = World) ->
    settle(lists:foldl(fun said/2, World#world{outbox = []}, lists:reverse(Outbox))).

network({Outs, Net}, #world{outbox = Outbox} = World) ->
    World#world{net = Net, outbox = lists:reverse(Outs, Outbox)}.

said({at, Time, Internal}, World) ->
    at(Time, {net, Internal}, World);
said({to, Name, What}, #world{vms = Vms} = World) ->
    case Vms of
        #{Name := Vm} -> for_vm(true, What, Vm, World);
        #{} -> World
    end.

for_vm(false, _Item, _Vm, World) ->
    World;
for_vm(true, Item, Vm, World) ->
    case caravan_sim_vm:is_paused(Vm) of
        true -> put_vm(caravan_sim_vm:postpone(Item, Vm), World);
        false -> vm(Item, Vm, World)
    end.

put_vm(Vm, #world{vms = Vms} = World) ->
    World#world{vms = Vms#{caravan_sim_vm:name(Vm) => Vm}}.

vm(wake, Vm, #world{now = Now} = World) ->
    Woken = caravan_sim_vm:wake(Vm),
    case caravan_sim_vm:wake_wanted(Woken) of
        {At, _} when At =< Now -> event(wake, Woken, World);
        {At, Waiting} -> wake_at(At, Waiting, World);
        none -> put_vm(Woken, World)
    end;
vm({polled, Poll, Outcomes, Duration}, Vm, World) ->
    case caravan_sim_vm:poll_ended(Poll, Vm) of
        {ok, Next} ->
            {Answers, Last} = lists:mapfoldl(
                fun({Query, Outcome}, Answering) ->
                    {Answer, Answered} = caravan_sim_vm:answer(Outcome, Answering),
                    {{Query, Answer}, Answered}
                end,
                Next,
                Outcomes
            ),
            event({polled, Answers, Duration}, Last, World);
        cancelled ->
            World
    end;
vm({timeout, Name, Attempt}, Vm, World) ->
    case caravan_sim_vm:attempt(Name, Vm) of
        {Attempt, _} -> attempt_ended(Name, {failed, timeout}, Vm, World);
        _ -> World
    end;
vm({attempt, Name, Result}, Vm, World) ->
    attempt_ended(Name, Result, Vm, World);
vm({disconnected, _, _} = Event, Vm, World) ->
    event(Event, Vm, World);
vm(list_nodes, Vm, #world{net = Net} = World) ->
    event({listed, caravan_sim_network:nodes(caravan_sim_vm:name(Vm), Net)}, Vm, World);
vm({nodeup, _} = Event, Vm, World) ->
    event(Event, Vm, World);
vm({nodedown, _, _} = Event, Vm, World) ->
    event(Event, Vm, World);
vm(Event, Vm, World) ->
    event(Event, Vm, World).

%% An attempt that has been given up may still end in the network.
attempt_ended(Name, Result, Vm, #world{now = Now} = World) ->
    case caravan_sim_vm:attempt(Name, Vm) of
        {_, Began} ->
            {Told, Next} = told(Result, World),
            event({attempted, Name, Told, Now - Began}, caravan_sim_vm:attempt_ended(Name, Vm), Next);
        none ->
            World
    end.

told({failed, Reason}, #world{reasons = ever_new, serial = Serial} = World) ->
    Pid = list_to_pid("<0." ++ integer_to_list(Serial rem ?MAX_PID) ++ ".0>"),
    {{failed, {raised, {Reason, Pid}}}, World#world{serial = Serial + 1}};
told(Result, World) ->
    {Result, World}.

event(Event, Vm, #world{now = Now} = World) ->
    Name = caravan_sim_vm:name(Vm),
    {Random, Drawn} = random(World),
    Seen = observes(Name, {event, Event}, Drawn),
    {Actions, Next} = caravan_sim_vm:step(Event, Now, Random, Vm),
    acted(Actions, Next, Seen).

%% The VM is put back after its actions: each of them may change it.
acted(Actions, Vm, World) ->
    Name = caravan_sim_vm:name(Vm),
    {NextVm, Next} = lists:foldl(
        fun(Action, {Acting, Changed}) -> act(Action, Name, Acting, observes(Name, {action, Action}, Changed)) end,
        {Vm, World},
        Actions
    ),
    case caravan_sim_vm:wake_wanted(NextVm) of
        {At, Waiting} -> wake_at(At, Waiting, Next);
        none -> put_vm(NextVm, Next)
    end.

wake_at(At, Vm, #world{now = Now} = World) ->
    at(max(At, Now), {vm, caravan_sim_vm:name(Vm), caravan_sim_vm:id(Vm), wake}, put_vm(Vm, World)).

act(poll, Name, Vm, #world{serial = Serial} = World) ->
    {Outcomes, Delay, Next} = asked(caravan_sim_vm:host(Vm), World#world{serial = Serial + 1}),
    Polled = {vm, Name, caravan_sim_vm:id(Vm), {polled, Serial, Outcomes, Delay}},
    {caravan_sim_vm:polls(Serial, Vm), in(Delay, Polled, Next)};
act(cancel_poll, _Name, Vm, World) ->
    {caravan_sim_vm:polls(none, Vm), World};
act({connect, Peer}, Name, Vm, #world{serial = Serial, net = Net, now = Now} = World) ->
    Connecting = network(caravan_sim_network:connect(Name, Peer, Now, Net), World#world{serial = Serial + 1}),
    Timeout = {vm, Name, caravan_sim_vm:id(Vm), {timeout, Peer, Serial}},
    {caravan_sim_vm:connects(Peer, {Serial, Now}, Vm), in(?CONNECT_TIMEOUT, Timeout, Connecting)};
act({disconnect, Peer, _AbsentMs}, Name, Vm, #world{disconnects = ok, net = Net, now = Now} = World) ->
    Disconnecting = network(caravan_sim_network:disconnect(Name, Peer, Now, Net), World),
    {Vm, in(1, {vm, Name, caravan_sim_vm:id(Vm), {disconnected, Peer, ok}}, Disconnecting)};
act({disconnect, Peer, _AbsentMs}, Name, Vm, World) ->
    {Vm, in(1, {vm, Name, caravan_sim_vm:id(Vm), {disconnected, Peer, failed}}, World)};
act(list_nodes, Name, Vm, #world{scenario = #{size := Size}} = World) ->
    {Vm, in(list_takes(Size), {vm, Name, caravan_sim_vm:id(Vm), list_nodes}, World)};
act({announce, Peer, Milliseconds}, Name, Vm, World) ->
    {Vm, hears(Peer, caravan_sim_vm:host(Vm), {leaving, Name, Milliseconds}, 0, World)};
act({disconnect_again, _Milliseconds}, _Name, Vm, World) ->
    {Vm, in(?HEARD_WITHIN, {op, {disconnect_again, caravan_sim_vm:host(Vm)}}, World)};
act({publish, Names}, _Name, Vm, World) ->
    {caravan_sim_vm:publishes(Names, Vm), World};
act(_Told, _Name, Vm, World) ->
    {Vm, World}.

%% A function of the user's that lists hundreds of nodes takes its time, in which many of them come.
list_takes(Size) when Size > 100 -> 100;
list_takes(_Size) -> 1.

asked(Host, #world{zones = Zones, now = Now, random = Random} = World) ->
    {Outcomes, {Delay, Drawn, Asked}} = lists:mapfoldl(
        fun({Query, Dns}, {Longest, State, All}) ->
            {Outcome, Took, Next, Left} = caravan_sim_dns:ask(Host, Now, State, Dns),
            {{Query, Outcome}, {max(Took, Longest), Next, All#{Query => Left}}}
        end,
        {0, Random, Zones},
        maps:to_list(Zones)
    ),
    {Outcomes, Delay, World#world{random = Drawn, zones = Asked}}.

%% Who looks on: the trace, the counts, the invariants.
observes(Name, What, World) ->
    checked(Name, What, traces(Name, What, measured(Name, What, World))).

measured(_Name, _What, #world{scenario = #{steady := none}} = World) ->
    World;
measured(Name, What, #world{now = Now, measures = Measures, core = Core, scenario = Scenario} = World) ->
    case caravan_sim_measures:observe(Name, What, Now, {Core, Scenario}, Measures) of
        Measures -> World;
        Counted -> World#world{measures = Counted}
    end.

checked(_Name, _What, #world{checks = off} = World) ->
    World;
checked(Name, What, #world{checks = Checks, now = Now} = World) ->
    case guarded(fun() -> caravan_sim_checks:observe(Name, What, Now, Checks) end, World) of
        Checks -> World;
        Seen -> World#world{checks = Seen}
    end.

%% What is violated ends the run, with the trace so far.
guarded(Check, #world{trace = Trace}) ->
    try
        Check()
    catch
        throw:{violated, Invariant, Details} -> throw({violated, Invariant, Details, Trace})
    end.

%% Operators

op({boot, Host, _Port, _RegisterAfter}, #world{hosts = Hosts} = World) when is_map_key(Host, Hosts) ->
    World;
op({boot, Host, Port, RegisterAfter}, #world{ports = Ports, serial = Serial} = World) ->
    Number = next_port(Port, maps:get(Host, Ports, 4000)),
    Name = name(basename(Host, World), Number, Host),
    in(RegisterAfter, {register, Host, Name, Serial}, boots(Serial, Name, Host, World#world{
        ports = Ports#{Host => Number}, serial = Serial + 1
    }));
op({stop, Host, How, UnregisterAfter}, #world{hosts = Hosts} = World) ->
    case Hosts of
        #{Host := Name} -> stops(Name, Host, How, UnregisterAfter, World);
        #{} -> World
    end;
op({end_of, Host, UnregisterAfter}, World) ->
    %% Of one in four the end of the connection may come before the word.
    {Random, Drawn} = random(World),
    Late = 3 * ?HEARD_WITHIN * (1 - min(1, Random rem 4)),
    in(?HEARD_WITHIN, {op, {stop, Host, shutdown, UnregisterAfter}}, leaves(Host, ?STOPPED, Late, Drawn));
op({leave, Host, Milliseconds}, World) ->
    in(?HEARD_WITHIN, {op, {disconnect_all, Host}}, leaves(Host, Milliseconds, 0, World));
op({disconnect_all, Host}, World) ->
    on_host(Host, World, fun(Name, _Vm, #world{net = Net, now = Now} = There) ->
        network(caravan_sim_network:leave(Name, Now, Net), There)
    end);
%% It may have come back meanwhile.
op({disconnect_again, Host}, World) ->
    on_host(Host, World, fun(_Name, Vm, #world{now = Now} = There) ->
        case caravan_sim_vm:status(Now, Vm) of
            #{leaving := none} -> There;
            #{leaving := _Milliseconds} -> op({disconnect_all, Host}, There)
        end
    end);
op({pause, Host}, World) ->
    on_host(Host, World, fun(Name, Vm, #world{net = Net, now = Now} = There) ->
        network(caravan_sim_network:pause(Name, Now, Net), put_vm(caravan_sim_vm:pause(Vm), There))
    end);
op({resume, Host}, World) ->
    on_host(Host, World, fun(Name, Vm, #world{net = Net, now = Now} = There) ->
        {Postponed, Resumed} = caravan_sim_vm:resume(Vm),
        Running = network(caravan_sim_network:resume(Name, Now, Net), put_vm(Resumed, There)),
        lists:foldl(
            fun(Item, #world{vms = Vms} = Next) -> for_vm(true, Item, maps:get(Name, Vms), Next) end,
            observes(Name, resumed, Running),
            Postponed
        )
    end);
op({crash, Host}, World) ->
    on_host(Host, World, fun(Name, Vm, #world{net = Net, now = Now} = There) ->
        {Random, Drawn} = random(There),
        Connected = caravan_sim_network:nodes(Name, Net),
        {Actions, Next} = caravan_sim_vm:crash(Connected, Now, Random, Vm),
        acted(Actions, Next, observes(Name, {crashed, Connected}, Drawn))
    end);
op({exclude, Host, Other, Milliseconds}, #world{hosts = Hosts} = World) ->
    case Hosts of
        #{Other := Name} -> tells(Host, {exclude, Name, Milliseconds}, World);
        #{} -> World
    end;
op({change, Host, Patch}, World) ->
    on_host(Host, World, fun(_Name, Vm, There) ->
        event({change, maps:merge(caravan_sim_vm:options(Vm), Patch)}, Vm, There)
    end);
op({Event, Host}, World) when Event =:= poll; Event =:= reconnect ->
    tells(Host, Event, World);
op({link, From, To, Fault}, #world{links = Links, ports = Ports} = World) ->
    Linked = World#world{links = linked({From, To}, Fault, Links)},
    case Ports of
        #{From := A, To := B} -> faulty(name(basename(From, World), A, From), name(basename(To, World), B, To), Fault, Linked);
        #{} -> Linked
    end;
op({phantom, Id, Fault}, #world{phantoms = Phantoms} = World) ->
    Name = phantom(Id),
    Known = in_zone({phantom, Id}, fun(Key, Dns) -> caravan_sim_dns:register(Key, record(Name, World), Dns) end, World),
    lists:foldl(
        fun(From, Next) -> faulty(From, Name, Fault, Next) end,
        Known#world{phantoms = Phantoms#{Name => Fault}},
        lists:sort(maps:keys(World#world.vms))
    );
op({no_phantom, Id}, #world{phantoms = Phantoms} = World) ->
    in_zone({phantom, Id}, fun caravan_sim_dns:unregister/2, World#world{phantoms = maps:remove(phantom(Id), Phantoms)});
op({unlist, Host}, World) ->
    on_host(Host, World, fun(Name, _Vm, There) -> unregistered(Host, Name, There) end);
op({list, Host}, World) ->
    on_host(Host, World, fun(Name, Vm, There) -> registers(true, Host, Name, caravan_sim_vm:id(Vm), There) end);
op({dns, Asker, none}, World) ->
    in_zones(fun(Dns) -> caravan_sim_dns:mend(Asker, Dns) end, World);
op({dns, Asker, Fault}, World) ->
    in_zones(fun(Dns) -> caravan_sim_dns:fault(Asker, Fault, Dns) end, World);
op({reasons, Reasons}, World) ->
    World#world{reasons = Reasons};
op({disconnects, Result}, World) ->
    World#world{disconnects = Result};
op({expect, Host, true}, #world{expected = Expected} = World) ->
    World#world{expected = Expected#{Host => []}};
op({expect, Host, false}, #world{expected = Expected} = World) ->
    World#world{expected = maps:remove(Host, Expected)};
op(quiet, World) ->
    quiet(World).

on_host(Host, #world{hosts = Hosts, vms = Vms} = World, Do) ->
    case Hosts of
        #{Host := Name} -> Do(Name, maps:get(Name, Vms), World);
        #{} -> World
    end.

tells(Host, Event, World) ->
    on_host(Host, World, fun(_Name, Vm, There) -> for_vm(true, Event, Vm, There) end).

next_port(same, Number) -> Number;
next_port(new_port, Number) -> Number + 1.

basename(Host, #world{scenario = #{basename_of := BasenameOf}}) ->
    BasenameOf(Host).

name(Basename, Port, Host) ->
    <<Basename/binary, $-, (integer_to_binary(Port))/binary, "@h", (integer_to_binary(Host))/binary>>.

phantom(Id) ->
    <<"a-4000@d", (integer_to_binary(Id))/binary>>.

%% A record gives a name for each basename.
record(Name, #world{scenario = #{basenames := Basenames}}) ->
    [_, Rest] = binary:split(Name, <<"-">>),
    lists:sort([<<Basename/binary, $-, Rest/binary>> || Basename <- Basenames]).

boots(Id, Name, Host, #world{net = Net, now = Now, hosts = Hosts, core = Core, scenario = #{options := Options}} = World) ->
    Up = network(caravan_sim_network:boot(Name, Now, Net), World#world{hosts = Hosts#{Host => Name}}),
    {Random, Drawn} = random(with_faults(Name, Host, Up)),
    {Actions, Vm} = caravan_sim_vm:boot(Id, {Name, Host}, {Core, Options}, Now, Random),
    acted(Actions, Vm, observes(Name, {booted, Options}, Drawn)).

leaves(Host, Milliseconds, Late, World) ->
    on_host(Host, World, fun(Name, Vm, #world{net = Net} = There) ->
        lists:foldl(
            fun(Peer, Next) -> hears(Peer, Host, {leaving, Name, Milliseconds}, Late, Next) end,
            for_vm(true, {leave, Milliseconds}, Vm, There),
            caravan_sim_network:nodes(Name, Net)
        )
    end).

%% Where packets are lost the word is, too.
hears(Peer, From, Word, Late, #world{vms = Vms, links = Links} = World) ->
    case Vms of
        #{Peer := Vm} -> heard(maps:get({From, caravan_sim_vm:host(Vm)}, Links, none), Vm, Word, Late, World);
        #{} -> World
    end.

heard(drop, _Vm, _Word, _Late, World) ->
    World;
heard(_Fault, Vm, Word, Late, World) ->
    {Random, Drawn} = random(World),
    in(1 + Random rem max(4, Late), {vm, caravan_sim_vm:name(Vm), caravan_sim_vm:id(Vm), Word}, Drawn).

%% What is wrong between the host and others is so for its new VM, too.
with_faults(Name, Host, #world{links = Links, hosts = Hosts, phantoms = Phantoms} = World) ->
    Linked = maps:fold(
        fun
            ({From, To}, Fault, Next) when From =:= Host, is_map_key(To, Hosts) -> faulty(Name, maps:get(To, Hosts), Fault, Next);
            ({From, To}, Fault, Next) when To =:= Host, is_map_key(From, Hosts) -> faulty(maps:get(From, Hosts), Name, Fault, Next);
            (_Link, _Fault, Next) -> Next
        end,
        World,
        Links
    ),
    maps:fold(fun(Phantom, Fault, Next) -> faulty(Name, Phantom, Fault, Next) end, Linked, Phantoms).

faulty(A, B, Fault, #world{net = Net, now = Now} = World) ->
    network(caravan_sim_network:fault(A, B, Fault, Now, Net), World).

linked(Link, none, Links) -> maps:remove(Link, Links);
linked(Link, Fault, Links) -> Links#{Link => Fault}.

stops(Name, Host, How, UnregisterAfter, #world{net = Net, now = Now, hosts = Hosts, vms = Vms} = World) ->
    {Vm, Left} = maps:take(Name, Vms),
    Down = network(caravan_sim_network:stop(Name, How, Now, Net), observes(Name, stopped, World#world{
        vms = Left, hosts = maps:remove(Host, Hosts)
    })),
    unregister_after(UnregisterAfter, Host, Name, caravan_sim_vm:id(Vm), Down).

unregister_after(never, _Host, _Name, _Id, World) -> World;
unregister_after(After, Host, Name, Id, World) -> in(After, {unregister, Host, Name, Id}, World).

registers(false, _Host, _Name, _Id, World) ->
    World;
registers(true, Host, Name, Id, #world{registered = Registered} = World) ->
    in_zone({Host, Name}, fun(Key, Dns) -> caravan_sim_dns:register(Key, record(Name, World), Dns) end, World#world{
        registered = Registered#{{Host, Name} => Id}
    }).

unregistered(Host, Name, #world{registered = Registered} = World) ->
    in_zone({Host, Name}, fun caravan_sim_dns:unregister/2, World#world{registered = maps:remove({Host, Name}, Registered)}).

%% With several queries each host is in the zone of one of them.
in_zone({Host, _} = Key, Change, #world{zones = Zones} = World) ->
    Queries = lists:sort(maps:keys(Zones)),
    Query = lists:nth(1 + erlang:phash2(Host, length(Queries)), Queries),
    World#world{zones = maps:update_with(Query, fun(Dns) -> Change(Key, Dns) end, Zones)}.

in_zones(Change, #world{zones = Zones} = World) ->
    World#world{zones = maps:map(fun(_Query, Dns) -> Change(Dns) end, Zones)}.

quiet(#world{links = Links, hosts = Hosts, expected = Expected, registered = Registered} = World) ->
    Mended = lists:foldl(fun op/2, World, lists:append([
        [{link, From, To, none} || {From, To} <- lists:sort(maps:keys(Links))],
        [{resume, Host} || Host <- lists:sort(maps:keys(Hosts))],
        [{reasons, kernel}, {disconnects, ok}],
        [{stop, Host, shutdown, 0} || Host <- lists:sort(maps:keys(maps:without(maps:keys(Expected), Hosts)))],
        [{boot, Host, same, 0} || Host <- lists:sort(maps:keys(maps:without(maps:keys(Hosts), Expected)))]
    ])),
    Clear = in_zones(fun caravan_sim_dns:mend_all/1, Mended),
    #world{hosts = Running, vms = Vms} = Clear,
    Stale = lists:sort([Key || {Host, Name} = Key <- maps:keys(Registered), maps:get(Host, Running, none) =/= Name]),
    Listed = lists:foldl(fun({Host, Name}, Next) -> unregistered(Host, Name, Next) end, Clear, Stale),
    lists:foldl(
        fun({Host, Name}, Next) -> registers(true, Host, Name, caravan_sim_vm:id(maps:get(Name, Vms)), Next) end,
        checks_quiet(Listed),
        lists:sort(maps:to_list(Running))
    ).

checks_quiet(#world{checks = off} = World) -> World;
checks_quiet(#world{checks = Checks, now = Now} = World) -> World#world{checks = caravan_sim_checks:quiet(Now, Checks)}.

%% The invariants that look at all of the world.
swept(#world{checks = Checks, vms = Vms, net = Net, zones = Zones, now = Now} = World) ->
    {Random, Drawn} = random(counted(World)),
    View = #{
        vms => Vms,
        net => Net,
        zones => [caravan_sim_dns:records(Dns) || Dns <- maps:values(Zones)],
        random => Random
    },
    Next = guarded(fun() -> caravan_sim_checks:sweep(View, Now, Checks) end, World),
    whole(caravan_sim_checks:whole_since(Next), Drawn#world{checks = Next}).

counted(#world{scenario = #{steady := none}} = World) ->
    World;
counted(#world{scenario = Scenario, vms = Vms, net = Net, now = Now, measures = Measures} = World) ->
    Connected = maps:map(fun(Name, _Vm) -> caravan_sim_network:links(Name, Net) end, Vms),
    World#world{measures = caravan_sim_measures:sweep(Connected, Now, Scenario, Measures)}.

whole(Since, #world{now = Now} = World) when is_integer(Since), Now - Since >= ?CALM -> {whole, World};
whole(_Since, World) -> World.
