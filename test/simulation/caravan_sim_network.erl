%% A model of Erlang's distribution and of OTP's `global', for nodes under virtual time. A functional state: it knows no clock,
%% and what is random is drawn from the seed that it was given. An input gives what the nodes notice, and what is to be given
%% back by event/3 at a later time; of two at the same time the one that came out first comes first. Times are milliseconds.
%%
%% Here are VMs, attempts and connections (net_kernel.erl and dist_util.erl of kernel 8.5.3, OTP 25.2); what `global' makes of
%% them is in caravan_sim_global. Inside, nodes are numbers.
-module(caravan_sim_network).

-export([new/1, boot/3, stop/4, pause/3, resume/3, connect/4, disconnect/4, leave/3, fault/5, event/3]).
-export([nodes/2, links/2, is_up/2, connections/1]).

-export_type([net/0, settings/0, out/0, fault/0]).

-import(caravan_sim_bits, [bit/1, has/2, add/2, remove/2, minus/2, numbers/1, is_few/1]).

-type name() :: binary().
-type id() :: non_neg_integer().
-type bits() :: caravan_sim_bits:bits().
-type settings() :: #{
    %% Those of kernel: prevent_overlapping_partitions, connect_all, net_ticktime in milliseconds.
    prevent_overlapping := boolean(),
    connect_all := boolean(),
    net_ticktime := pos_integer(),
    %% One way.
    latency := {Min :: non_neg_integer(), Max :: non_neg_integer()},
    seed := integer()
}.
%% What happens to an attempt of one node to connect to another, and to what it sends: nothing; nobody listens; the handshake
%% fails, as with another cookie; it hangs until the timer of the set-up ends it; packets are lost. TCP sends those again: what
%% was lost arrives when the fault ends, where there is a connection still.
-type fault() :: none | refuse | reject | hang | drop.

-type out() ::
    {at, Time :: integer(), Internal :: term()}
    | {to, name(), {nodeup, name()} | {nodedown, name(), Reason :: atom()}}
    | {to, name(), {attempt, name(), connected | {failed, Reason :: term()}}}.

%% net_kernel's SETUPTIME.
-define(SETUP_MS, 7000).
%% DEFAULT_N_CONNECT_RETRIES of global, and the first attempt.
-define(SYNC_ATTEMPTS, 6).

-record(attempt, {
    id :: integer(),
    ends :: integer(),
    %% Whether connect/4 waits for its end, and how often sync_other/2 of global tries, if it is one of those.
    is_asked = false :: boolean(),
    syncs = none :: none | non_neg_integer()
}).

-record(vm, {
    name :: name(),
    is_up = false :: boolean(),
    %% From the middle of the network. Two nodes are as far from each other as both are from there, so that no way by a third
    %% one is shorter.
    distance = 0 :: non_neg_integer(),
    %% The serial number of the pause.
    pause = none :: none | integer(),
    %% How the last one ended: a machine that has vanished refuses nobody. Who is connected to it still?
    end_of = none :: none | shutdown | vanish,
    orphans = [] :: [{id(), Connection :: integer()}],
    %% Of a connection both ends have the number, and the time that a message takes over it.
    connections = #{} :: #{id() => {Connection :: integer(), Latency :: non_neg_integer()}},
    attempts = #{} :: #{id() => #attempt{}},
    %% What is to happen in it when it goes on, the last one first.
    held = [] :: [term()]
}).

-record(net, {
    settings :: settings(),
    random :: rand:state(),
    serial = 0 :: integer(),
    ids = #{} :: #{name() => id()},
    vms = #{} :: #{id() => #vm{}},
    %% A drop has a serial number, which tells one silence from the next, and what has been lost since, the last one first.
    faults = #{} :: #{{From :: id(), To :: id()} => fault() | {drop, integer(), [term()]}},
    %% As caravan_sim_global wants to see it.
    links = #{} :: #{id() => bits()},
    deaf = #{} :: #{id() => bits()},
    paused = 0 :: bits(),
    awake = 0 :: bits(),
    global :: caravan_sim_global:global(),
    outs = [] :: [out()]
}).

-opaque net() :: #net{}.

-spec new(settings()) -> net().
new(#{seed := Seed} = Settings) ->
    #net{settings = Settings, random = rand:seed_s(exsss, Seed), global = caravan_sim_global:new(Settings)}.

%% A VM of that name starts; a former one has ended. Those who believe in a connection to one that had vanished get a reset for
%% their next tick.
-spec boot(name(), Now :: integer(), net()) -> {[out()], net()}.
boot(Name, Now, Net) ->
    {Id, #net{awake = Awake, settings = #{net_ticktime := Time}} = Named} = id(Name, Net),
    #vm{orphans = Orphans} = vm(Id, Named),
    {Distance, Placed} = jitter(Named),
    Booted = put_vm(Id, #vm{name = Name, is_up = true, distance = Distance}, Placed#net{awake = add(Id, Awake)}),
    done(lists:foldl(
        fun({Peer, Connection}, Next) -> soon(max(1, Time div 4), Now, {closed, Peer, Id, Connection}, Next) end,
        Booted,
        Orphans
    )).

%% `shutdown' closes the connections at once, and global says nothing of it (`prepare_shutdown'). Of one that vanishes the
%% others find out when nothing has come for long.
-spec stop(name(), shutdown | vanish, Now :: integer(), net()) -> {[out()], net()}.
stop(Name, How, Now, Net) ->
    {Id, #net{links = Links, paused = Paused, awake = Awake, global = Global} = Named} = id(Name, Net),
    #vm{connections = Connections} = vm(Id, Named),
    Orphans = [{Peer, Connection} || {Peer, {Connection, _}} <- ordered(Connections), How =:= vanish],
    Stopped = put_vm(Id, #vm{name = Name, end_of = How, orphans = Orphans}, Named#net{
        links = maps:remove(Id, Links),
        paused = remove(Id, Paused),
        awake = remove(Id, Awake),
        global = caravan_sim_global:reset(Id, Global)
    }),
    done(lists:foldl(
        fun({Peer, Known}, Next) -> peer_stopped(How, Id, Peer, Known, Now, Next) end, Stopped, ordered(Connections)
    )).

peer_stopped(shutdown, Id, Peer, Known, Now, Net) -> say_closed(Id, Peer, Known, Now, Net);
peer_stopped(vanish, Id, Peer, {Connection, _}, Now, Net) -> silent(Peer, Id, Connection, Now, Net).

%% The VM does nothing (SIGSTOP): its kernel accepts connections still, and handshakes hang.
-spec pause(name(), Now :: integer(), net()) -> {[out()], net()}.
pause(Name, Now, Net) ->
    {Id, Named} = id(Name, Net),
    {Serial, #net{paused = Paused, awake = Awake} = Numbered} = serial(Named),
    #vm{connections = Connections} = Vm = vm(Id, Numbered),
    Still = put_vm(Id, Vm#vm{pause = Serial}, Numbered#net{paused = add(Id, Paused), awake = remove(Id, Awake)}),
    done(lists:foldl(
        fun({Peer, {Connection, _}}, Next) -> silent(Peer, Id, Connection, Now, Next) end, Still, ordered(Connections)
    )).

%% It sees what came meanwhile, in its order, and counts the silence of its peers anew.
-spec resume(name(), Now :: integer(), net()) -> {[out()], net()}.
resume(Name, Now, Net) ->
    {Id, #net{paused = Paused, awake = Awake} = Named} = id(Name, Net),
    #vm{connections = Connections, held = Held} = Vm = vm(Id, Named),
    Going = put_vm(Id, Vm#vm{pause = none, held = []}, Named#net{paused = remove(Id, Paused), awake = add(Id, Awake)}),
    Seeing = lists:foldr(fun(Event, Next) -> out({at, Now, Event}, Next) end, Going, Held),
    done(lists:foldl(
        fun({Peer, {Connection, _}}, Next) ->
            case silence(Peer, Id, Connection, Next) of
                none -> Next;
                _ -> silent(Id, Peer, Connection, Now, Next)
            end
        end,
        Seeing,
        ordered(Connections)
    )).

%% net_kernel:connect_node/1. The end comes as {attempt, To, Result}.
-spec connect(From :: name(), To :: name(), Now :: integer(), net()) -> {[out()], net()}.
connect(From, To, Now, Net) ->
    {FromId, Named} = id(From, Net),
    {ToId, Both} = id(To, Named),
    done(case connection(FromId, ToId, Both) of
        none -> attempt(FromId, ToId, fun(Attempt) -> Attempt#attempt{is_asked = true} end, Now, Both);
        _ -> out({to, From, {attempt, To, connected}}, Both)
    end).

%% erlang:disconnect_node/1.
-spec disconnect(name(), Peer :: name(), Now :: integer(), net()) -> {[out()], net()}.
disconnect(Name, Peer, Now, Net) ->
    {Id, Named} = id(Name, Net),
    {PeerId, Both} = id(Peer, Named),
    done(close(Id, PeerId, disconnect, Now, Both)).

%% global:disconnect/0: its `global' forgets all of them first, and tells none of another one.
-spec leave(name(), Now :: integer(), net()) -> {[out()], net()}.
leave(Name, Now, Net) ->
    {Id, #net{global = Global} = Named} = id(Name, Net),
    #vm{connections = Connections} = vm(Id, Named),
    done(lists:foldl(
        fun(Peer, Next) -> close(Id, Peer, disconnect, Now, Next) end,
        Named#net{global = caravan_sim_global:reset(Id, Global)},
        lists:sort(maps:keys(Connections))
    )).

%% From now on attempts of A to connect to B end so, and with `drop' nothing of A's arrives at B.
-spec fault(A :: name(), B :: name(), fault(), Now :: integer(), net()) -> {[out()], net()}.
fault(NameA, NameB, Fault, Now, Net) ->
    {A, Named} = id(NameA, Net),
    {B, Both} = id(NameB, Named),
    done(change_fault(fault_of(A, B, Both), Fault, A, B, Now, Both)).

change_fault(drop, drop, _A, _B, _Now, Net) ->
    Net;
change_fault(drop, Fault, A, B, Now, #net{faults = Faults, deaf = Deaf} = Net) ->
    #{{A, B} := {drop, _, Lost}} = Faults,
    Hearing = Net#net{faults = maps:remove({A, B}, Faults), deaf = Deaf#{A := remove(B, maps:get(A, Deaf))}},
    Arriving = lists:foldr(fun(Event, Next) -> out({at, Now, Event}, Next) end, Hearing, Lost),
    change_fault(none, Fault, A, B, Now, Arriving);
change_fault(_Former, drop, A, B, Now, Net) ->
    {Serial, #net{faults = Faults, deaf = Deaf} = Numbered} = serial(Net),
    Cut = Numbered#net{
        faults = Faults#{{A, B} => {drop, Serial, []}}, deaf = Deaf#{A => add(B, maps:get(A, Deaf, 0))}
    },
    case connection(B, A, Cut) of
        none -> Cut;
        {Connection, _} -> silent(B, A, Connection, Now, Cut)
    end;
change_fault(_Former, none, A, B, _Now, #net{faults = Faults} = Net) ->
    Net#net{faults = maps:remove({A, B}, Faults)};
change_fault(_Former, Fault, A, B, _Now, #net{faults = Faults} = Net) ->
    Net#net{faults = Faults#{{A, B} => Fault}}.

%% What was to be given back at this time.
-spec event(term(), Now :: integer(), net()) -> {[out()], net()}.
event(Event, Now, Net) ->
    done(happen(Event, Now, Net)).

%% Who is connected, sorted.
-spec nodes(name(), net()) -> [name()].
nodes(Name, #net{ids = Ids, vms = Vms} = Net) ->
    case Ids of
        #{Name := Id} -> lists:sort([(maps:get(Peer, Vms))#vm.name || Peer <- maps:keys((vm(Id, Net))#vm.connections)]);
        #{} -> []
    end.

%% The same as a set of numbers, and the number of the node.
-spec links(name(), net()) -> {Number :: id(), Connected :: bits()}.
links(Name, #net{ids = Ids, links = Links}) ->
    #{Name := Id} = Ids,
    {Id, maps:get(Id, Links, 0)}.

-spec is_up(name(), net()) -> boolean().
is_up(Name, #net{ids = Ids} = Net) ->
    case Ids of
        #{Name := Id} -> (vm(Id, Net))#vm.is_up;
        #{} -> false
    end.

%% How many connections there are, each of which has two ends.
-spec connections(net()) -> non_neg_integer().
connections(#net{vms = Vms}) ->
    maps:fold(fun(_, #vm{connections = Connections}, Sum) -> map_size(Connections) + Sum end, 0, Vms) div 2.

%% State

done(#net{outs = Outs} = Net) ->
    {lists:reverse(Outs), Net#net{outs = []}}.

out(Out, #net{outs = Outs} = Net) ->
    Net#net{outs = [Out | Outs]}.

%% Those that have never started are nobody's, and refuse.
id(Name, #net{ids = Ids, vms = Vms} = Net) ->
    case Ids of
        #{Name := Id} ->
            {Id, Net};
        #{} ->
            Id = map_size(Ids),
            {Id, Net#net{ids = Ids#{Name => Id}, vms = Vms#{Id => #vm{name = Name}}}}
    end.

vm(Id, #net{vms = Vms}) ->
    maps:get(Id, Vms).

put_vm(Id, Vm, #net{vms = Vms} = Net) ->
    Net#net{vms = Vms#{Id => Vm}}.

name(Id, Net) ->
    (vm(Id, Net))#vm.name.

connection(Id, Peer, Net) ->
    maps:get(Peer, (vm(Id, Net))#vm.connections, none).

%% The order of a large map is that of its implementation.
ordered(Map) ->
    lists:sort(maps:to_list(Map)).

fault_of(A, B, #net{faults = Faults}) ->
    case Faults of
        #{{A, B} := {drop, _, _}} -> drop;
        #{{A, B} := Fault} -> Fault;
        #{} -> none
    end.

serial(#net{serial = Serial} = Net) ->
    {Serial + 1, Net#net{serial = Serial + 1}}.

jitter(#net{settings = #{latency := {Min, Max}}, random = Random} = Net) ->
    {Number, Next} = rand:uniform_s(Max - Min + 1, Random),
    {Number - 1, Net#net{random = Next}}.

latency(One, Other, #net{settings = #{latency := {Min, _}}} = Net) ->
    #vm{distance = Distance} = vm(One, Net),
    #vm{distance = Further} = vm(Other, Net),
    Min + (Distance + Further) div 2.

%% To the farthest.
longest(#net{settings = #{latency := {_, Max}}}) -> Max.

longest(From, #net{settings = #{latency := {Min, Max}}} = Net) ->
    #vm{distance = Distance} = vm(From, Net),
    Min + (Distance + Max - Min) div 2.

%% So many ways from one to the other and back, and what the machines need. That varies: whether both ends of a pair that cannot
%% connect are let go or one, is a race between their attempts.
later(Ways, One, Other, Now, Event, Net) ->
    {Late, Drawn} = jitter(Net),
    out({at, Now + Ways * latency(One, Other, Net) + Late, Event}, Drawn).

%% At some time within.
soon(Milliseconds, Now, Event, #net{random = Random} = Net) ->
    {Number, Next} = rand:uniform_s(Milliseconds, Random),
    out({at, Now + Number, Event}, Net#net{random = Next}).

%% Nothing of Peer's arrives at Id any more, which closes the connection after the tick time, and up to a quarter more, unless
%% this silence has ended.
silent(Id, Peer, Connection, Now, #net{settings = #{net_ticktime := Time}} = Net) ->
    Silence = silence(Peer, Id, Connection, Net),
    soon(max(1, Time div 4), Now + Time, {tick, Id, Peer, Connection, Silence}, Net).

silence(Peer, Id, Connection, #net{faults = Faults} = Net) ->
    case {vm(Peer, Net), Faults} of
        {#vm{pause = Serial}, _} when is_integer(Serial) -> Serial;
        {_, #{{Peer, Id} := {drop, Serial, _}}} -> Serial;
        {#vm{connections = #{Id := {Connection, _}}}, _} -> none;
        _ -> ended
    end.

%% What is to happen in a paused VM happens when it goes on.
when_awake(Id, Event, Net, Fun) ->
    case vm(Id, Net) of
        #vm{is_up = true, pause = none} -> Fun();
        #vm{is_up = true} -> hold(Id, Event, Net);
        #vm{} -> Net
    end.

hold(Id, Event, Net) ->
    #vm{held = Held} = Vm = vm(Id, Net),
    put_vm(Id, Vm#vm{held = [Event | Held]}, Net).

%% What From sent and was lost comes when the fault ends.
when_heard(From, To, Event, #net{faults = Faults} = Net, Fun) ->
    case Faults of
        #{{From, To} := {drop, Serial, Lost}} -> Net#net{faults = Faults#{{From, To} := {drop, Serial, [Event | Lost]}}};
        #{} -> Fun()
    end.

%% Attempts to connect

attempt(From, To, Change, Now, Net) ->
    #vm{attempts = Attempts} = Vm = vm(From, Net),
    case Attempts of
        #{To := Attempt} ->
            put_vm(From, Vm#vm{attempts = Attempts#{To := Change(Attempt)}}, Net);
        #{} ->
            {Id, Next} = serial(Net),
            Attempt = Change(#attempt{id = Id, ends = Now + ?SETUP_MS}),
            later(1, From, To, Now, {arrived, From, To, Id}, put_vm(From, Vm#vm{attempts = Attempts#{To => Attempt}}, Next))
    end.

current(From, To, Id, Net) ->
    case vm(From, Net) of
        #vm{attempts = #{To := #attempt{id = Id} = Attempt}} -> Attempt;
        #vm{} -> none
    end.

happen({arrived, From, To, Id} = Event, Now, Net) ->
    case current(From, To, Id, Net) of
        none -> Net;
        Attempt -> accept(fate(From, To, Net), Event, Attempt, Now, Net)
    end;
happen({refused, From, To, Id, Reason} = Event, Now, Net) ->
    when_awake(From, Event, Net, fun() -> ended(From, To, Id, {failed, Reason}, Now, Net) end);
happen({setup_over, From, To, Id} = Event, Now, Net) ->
    when_awake(From, Event, Net, fun() -> ended(From, To, Id, {failed, timeout}, Now, Net) end);
happen({shaken, From, To, Id} = Event, Now, Net) ->
    case current(From, To, Id, Net) of
        none -> Net;
        Attempt -> when_awake(From, Event, Net, fun() -> shaken(fate(From, To, Net), Event, Attempt, Now, Net) end)
    end;
happen({closed, Id, Peer, Connection} = Event, Now, Net) ->
    when_connected(Id, Peer, Connection, Event, Net, fun() -> down(Id, Peer, connection_closed, Now, Net) end);
happen({message, From, To, Connection, Message} = Event, Now, Net) ->
    when_connected(To, From, Connection, Event, Net, fun() -> received(Message, bit(To), Now, Net) end);
%% Where both ends believe in the connection; the sender was heard when it sent.
happen({messages, From, Told, Message}, Now, #net{links = Links} = Net) ->
    arrive(Told band maps:get(From, Links, 0), Message, Now, Net);
happen({messages, Told, Message}, Now, Net) ->
    arrive(Told, Message, Now, Net);
happen({tick, Id, Peer, Connection, Silence}, Now, #net{awake = Awake} = Net) ->
    case has(Id, Awake) andalso connection(Id, Peer, Net) of
        {Connection, _} -> tick(silence(Peer, Id, Connection, Net), Silence, Id, Peer, Now, Net);
        _ -> Net
    end;
happen({agreed, One, Other, Connection}, Now, #net{global = Global} = Net) ->
    case {connection(One, Other, Net), connection(Other, One, Net)} of
        {{Connection, _}, {Connection, _}} ->
            act(caravan_sim_global:agreed(One, Other, Connection, view(Net), Global), Now, Net);
        _ ->
            Net
    end.

arrive(Told, Message, Now, #net{paused = Paused, awake = Awake} = Net) ->
    Held = lists:foldl(
        fun(To, Next) -> hold(To, {messages, bit(To), Message}, Next) end, Net, numbers(Told band Paused)
    ),
    received(Message, Told band Awake, Now, Held).

%% What came over a connection counts as long as that is there.
when_connected(Id, Peer, Connection, Event, Net, Fun) ->
    case connection(Id, Peer, Net) of
        {Connection, _} -> when_awake(Id, Event, Net, fun() -> when_heard(Peer, Id, Event, Net, Fun) end);
        _ -> Net
    end.

%% What stops an attempt. In a handshake both sides have to hear each other. A cookie is checked by both (challenge_accept and
%% challenge_ack of dist_util).
fate(From, To, Net) ->
    case {fault_of(From, To, Net), fault_of(To, From, Net)} of
        {drop, _} -> {drop, From, To};
        {_, drop} -> {drop, To, From};
        {none, reject} -> at(To, reject, Net);
        {Fault, _} -> at(To, Fault, Net)
    end.

at(To, Fault, Net) ->
    case vm(To, Net) of
        #vm{is_up = false, end_of = vanish} -> vanished;
        #vm{is_up = false} -> refuse;
        #vm{pause = none} -> Fault;
        #vm{} -> paused
    end.

accept(none, {_, From, To, Id}, _Attempt, Now, Net) ->
    later(3, From, To, Now, {shaken, From, To, Id}, Net);
accept(refuse, {_, From, To, Id}, _Attempt, Now, Net) ->
    later(1, From, To, Now, {refused, From, To, Id, {unreachable, econnrefused}}, Net);
accept(reject, {_, From, To, Id}, _Attempt, Now, Net) ->
    later(3, From, To, Now, {refused, From, To, Id, handshake}, Net);
accept(Fate, Event, Attempt, _Now, Net) -> hanging(Fate, Event, Attempt, Net).

%% dist_util goes on where the packet arrives late, if the timer of the set-up has not ended it.
hanging(Fate, {_, From, To, Id} = Event, #attempt{ends = Ends}, Net) ->
    Timed = out({at, Ends, {setup_over, From, To, Id}}, Net),
    case Fate of
        {drop, A, B} -> when_heard(A, B, Event, Timed, fun() -> Timed end);
        paused -> hold(To, Event, Timed);
        _ -> Timed
    end.

shaken(none, {_, From, To, _Id}, _Attempt, Now, Net) -> established(From, To, Now, Net);
shaken(Fate, Event, Attempt, Now, Net) -> accept(Fate, Event, Attempt, Now, Net).

ended(From, To, Id, Result, Now, Net) ->
    #vm{attempts = Attempts} = Vm = vm(From, Net),
    case Attempts of
        #{To := #attempt{id = Id} = Attempt} ->
            after_attempt(Attempt, Result, From, To, Now, put_vm(From, Vm#vm{attempts = maps:remove(To, Attempts)}, Net));
        #{} ->
            Net
    end.

after_attempt(#attempt{is_asked = true} = Attempt, Result, From, To, Now, Net) ->
    Told = out({to, name(From, Net), {attempt, name(To, Net), Result}}, Net),
    after_attempt(Attempt#attempt{is_asked = false}, Result, From, To, Now, Told);
after_attempt(#attempt{syncs = none}, _Result, _From, _To, _Now, Net) ->
    Net;
after_attempt(_Sync, connected, _From, _To, _Now, Net) ->
    Net;
%% sync_other/2: it tries again at once, and then takes the node for one that went down.
after_attempt(#attempt{syncs = Syncs}, {failed, _}, From, To, Now, Net) when Syncs > 1 ->
    attempt(From, To, fun(Attempt) -> Attempt#attempt{syncs = Syncs - 1} end, Now, Net);
after_attempt(_Sync, {failed, _}, From, To, Now, #net{global = Global} = Net) ->
    act(caravan_sim_global:sync_failed(From, To, view(Net), Global), Now, Net).

%% Of two attempts at once one connection comes (accept_pending of net_kernel). A former connection that only one side believes
%% in is closed (up_pending).
established(From, To, Now, Net) ->
    Fresh = former_down(To, From, Now, former_down(From, To, Now, Net)),
    {Connection, Numbered} = serial(Fresh),
    Known = {Connection, latency(From, To, Numbered)},
    Up = up(To, From, Known, up(From, To, Known, Numbered)),
    #net{global = Global} = Ended = connected(To, From, Now, connected(From, To, Now, Up)),
    act(caravan_sim_global:nodeup(From, To, Connection, Global), Now, Ended).

former_down(Id, Peer, Now, Net) ->
    case connection(Id, Peer, Net) of
        none -> Net;
        _ -> down(Id, Peer, connection_closed, Now, Net)
    end.

up(Id, Peer, Known, #net{links = Links} = Net) ->
    #vm{connections = Connections} = Vm = vm(Id, Net),
    Linked = Net#net{links = Links#{Id => add(Peer, maps:get(Id, Links, 0))}},
    Up = put_vm(Id, Vm#vm{connections = Connections#{Peer => Known}}, Linked),
    out({to, name(Id, Up), {nodeup, name(Peer, Up)}}, Up).

connected(From, To, Now, Net) ->
    case vm(From, Net) of
        #vm{attempts = #{To := #attempt{id = Id}}} -> ended(From, To, Id, connected, Now, Net);
        #vm{} -> Net
    end.

%% The end of connections

close(Id, Peer, Reason, Now, Net) ->
    case connection(Id, Peer, Net) of
        none -> Net;
        Known -> say_closed(Id, Peer, Known, Now, down(Id, Peer, Reason, Now, Net))
    end.

%% It comes after what was sent before; its process has to end before the node takes notice.
say_closed(Id, Peer, {Connection, Latency}, Now, Net) ->
    {Late, Drawn} = jitter(Net),
    Closed = out({at, Now + Latency + Late, {closed, Peer, Id, Connection}}, Drawn),
    case fault_of(Id, Peer, Closed) of
        drop -> silent(Peer, Id, Connection, Now, Closed);
        _ -> Closed
    end.

tick(Silence, Silence, Id, Peer, Now, Net) when Silence =/= none -> close(Id, Peer, net_tick_timeout, Now, Net);
tick(ended, _Former, Id, Peer, Now, Net) -> close(Id, Peer, net_tick_timeout, Now, Net);
tick(_Now, _Former, _Id, _Peer, _Time, Net) -> Net.

down(Id, Peer, Reason, Now, #net{links = Links} = Net) ->
    #vm{connections = Connections} = Vm = vm(Id, Net),
    Unlinked = Net#net{links = Links#{Id := remove(Peer, maps:get(Id, Links))}},
    Left = put_vm(Id, Vm#vm{connections = maps:remove(Peer, Connections)}, Unlinked),
    #net{global = Global} = Down = out({to, name(Id, Left), {nodedown, name(Peer, Left), Reason}}, Left),
    act(caravan_sim_global:nodedown(Id, Peer, view(Down), Global), Now, Down).

%% What global wants

view(#net{links = Links, deaf = Deaf, paused = Paused}) ->
    #{links => Links, deaf => Deaf, paused => Paused}.

received(Message, Receivers, Now, #net{global = Global} = Net) ->
    act(caravan_sim_global:received(Message, Receivers, view(Net), Global), Now, Net).

act({Actions, Global}, Now, Net) ->
    lists:foldl(fun(Action, Next) -> action(Action, Now, Next) end, Net#net{global = Global}, Actions).

action({sync, Id, Peers}, Now, #net{links = Links} = Net) ->
    lists:foldl(
        fun(Peer, Next) -> attempt(Id, Peer, fun(Attempt) -> Attempt#attempt{syncs = ?SYNC_ATTEMPTS} end, Now, Next) end,
        Net,
        numbers(minus(Peers, maps:get(Id, Links, 0) bor bit(Id)))
    );
action({send, From, Told, Message}, Now, Net) ->
    send(is_few(Told), From, Told, Message, Now, Net);
action({send, Told, Message}, Now, Net) ->
    out({at, Now + longest(Net), {messages, Told, Message}}, Net);
action({disconnect, Id, Peer}, Now, Net) ->
    close(Id, Peer, disconnect, Now, Net);
action({agree, Milliseconds, {One, Other, Connection}}, Now, Net) ->
    later(4, One, Other, Now + Milliseconds, {agreed, One, Other, Connection}, Net);
%% The next turn of the locker.
action({agree_later, {One, Other, Connection}}, Now, Net) ->
    soon(3000, Now, {agreed, One, Other, Connection}, Net).

%% To few, each over its connection, before the closing of that; to many at once.
send(true, From, Told, Message, Now, Net) ->
    #vm{connections = Connections} = vm(From, Net),
    lists:foldl(
        fun(To, Next) ->
            case Connections of
                #{To := {Connection, Latency}} -> out({at, Now + Latency, {message, From, To, Connection, Message}}, Next);
                #{} -> Next
            end
        end,
        Net,
        numbers(Told)
    );
send(false, From, Told, Message, Now, #net{deaf = Deaf} = Net) ->
    out({at, Now + longest(From, Net), {messages, From, minus(Told, maps:get(From, Deaf, 0)), Message}}, Net).
