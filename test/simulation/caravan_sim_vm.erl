%% A VM that runs a topology: a deciding core, the atoms that the VM has, and what is under way for it. A functional state.
-module(caravan_sim_vm).

-export([boot/5, crash/4, step/4, id/1, host/1, name/1, module/1, options/1, status/2, health/2, was_ready/1, wanted/1, core/1]).
-export([wake/1, wake_wanted/1, polls/2, poll_ended/2, answer/2, connects/3, attempt_ended/2, attempt/2, publishes/2]).
-export([pause/1, resume/1, is_paused/1, postpone/2, is_atom_of/2, atoms/1, attempts/1]).

-export_type([vm/0]).

-type name() :: binary().

-record(vm, {
    %% Of this life of the VM; another one under the same name has another.
    id :: pos_integer(),
    name :: name(),
    host :: term(),
    module :: module(),
    options :: map(),
    core :: term(),
    atoms = #{} :: #{name() => []},
    %% The last records all of whose names are atoms.
    known = none :: term(),
    %% The earliest time at which `wake' is on its way.
    wake = none :: integer() | none,
    poll = none :: reference_number() | none,
    attempts = #{} :: #{name() => {reference_number(), Began :: integer()}},
    published = [] :: [name()],
    %% Whether the topology, or one before it that has crashed, was ready.
    was_ready = false :: boolean(),
    %% What has come while the VM is paused, the last one first.
    postponed = none :: none | [term()]
}).

-type reference_number() :: non_neg_integer().
-opaque vm() :: #vm{}.

%% A VM starts. Its topology finds nobody connected.
boot(Id, {Name, Host}, {Module, Options}, Now, Random) ->
    {Actions, Core} = Module:new(Options, [], [], Now, facts(Name, Random)),
    Vm = #vm{id = Id, name = Name, host = Host, module = Module, options = Options, core = Core, atoms = #{Name => []}},
    {Actions, ready(Actions, Vm)}.

%% The topology crashes, and another one takes its place.
crash(Connected, Now, Random, #vm{name = Name, module = Module, options = Options, published = Published, was_ready = WasReady} = Vm) ->
    {Actions, Core} = Module:new(Options, Published, Connected, Now, (facts(Name, Random))#{was_ready => WasReady}),
    {Actions, Vm#vm{core = Core, poll = none, attempts = #{}, wake = none}}.

step(Event, Now, Random, #vm{name = Name, module = Module, core = Core} = Vm) ->
    {Actions, Next} = Module:step(Event, Now, facts(Name, Random), Core),
    {Actions, ready(Actions, seen(Event, Vm#vm{core = Next}))}.

ready(Actions, #vm{was_ready = WasReady} = Vm) -> Vm#vm{was_ready = WasReady orelse lists:member(ready, Actions)}.

%% Who connects is an atom of this VM from then on.
seen({nodeup, Name}, #vm{atoms = Atoms} = Vm) -> Vm#vm{atoms = Atoms#{Name => []}};
seen({change, Options}, Vm) -> Vm#vm{options = Options};
seen(_Event, Vm) -> Vm.

facts(Name, Random) ->
    #{own => Name, can_connect => true, elsewhere => [], random => Random}.

id(#vm{id = Id}) -> Id.
host(#vm{host = Host}) -> Host.
name(#vm{name = Name}) -> Name.
module(#vm{module = Module}) -> Module.
options(#vm{options = Options}) -> Options.
core(#vm{core = Core}) -> Core.
wanted(#vm{module = Module, core = Core}) -> Module:wanted(Core).
status(Now, #vm{module = Module, core = Core}) -> Module:status(Now, Core).
health(Now, #vm{module = Module, core = Core}) -> Module:health(Now, Core).
was_ready(#vm{was_ready = WasReady}) -> WasReady.

%% One timer: a wake is sent when the core wants one earlier than the one that is on its way.
wake_wanted(#vm{module = Module, core = Core, wake = Sent} = Vm) ->
    case Module:wake_at(Core) of
        At when is_integer(At), (Sent =:= none orelse At < Sent) -> {At, Vm#vm{wake = At}};
        _ -> none
    end.

%% It has come.
wake(Vm) ->
    Vm#vm{wake = none}.

polls(Reference, Vm) -> Vm#vm{poll = Reference}.

poll_ended(Reference, #vm{poll = Reference} = Vm) -> {ok, Vm#vm{poll = none}};
poll_ended(_Other, _Vm) -> cancelled.

%% What the VM makes of the records of an answer: which names are no atoms so far.
answer({ok, #{records := Records} = Answer}, #vm{known = Records} = Vm) ->
    {{ok, Answer#{unknown => []}}, Vm};
answer({ok, #{records := Records} = Answer}, #vm{atoms = Atoms} = Vm) ->
    case [Name || Names <- Records, Name <- Names, not is_map_key(Name, Atoms)] of
        [] -> {{ok, Answer#{unknown => []}}, Vm#vm{known = Records}};
        Unknown -> {{ok, Answer#{unknown => lists:usort(Unknown)}}, Vm}
    end;
answer({error, _} = Error, Vm) ->
    {Error, Vm}.

publishes(Names, #vm{published = Names} = Vm) ->
    Vm;
publishes(Names, #vm{atoms = Atoms} = Vm) ->
    Vm#vm{published = Names, atoms = lists:foldl(fun(Name, All) -> All#{Name => []} end, Atoms, Names)}.

connects(Name, Attempt, #vm{attempts = Attempts} = Vm) ->
    Vm#vm{attempts = Attempts#{Name => Attempt}}.

attempt(Name, #vm{attempts = Attempts}) ->
    maps:get(Name, Attempts, none).

attempt_ended(Name, #vm{attempts = Attempts} = Vm) ->
    Vm#vm{attempts = maps:remove(Name, Attempts)}.

attempts(#vm{attempts = Attempts}) -> Attempts.
atoms(#vm{atoms = Atoms}) -> Atoms.
is_atom_of(Name, #vm{atoms = Atoms}) -> is_map_key(Name, Atoms).

pause(#vm{postponed = none} = Vm) -> Vm#vm{postponed = []};
pause(Vm) -> Vm.

resume(#vm{postponed = none} = Vm) -> {[], Vm};
resume(#vm{postponed = Postponed} = Vm) -> {lists:reverse(Postponed), Vm#vm{postponed = none}}.

is_paused(#vm{postponed = Postponed}) -> Postponed =/= none.

postpone(Item, #vm{postponed = Postponed} = Vm) ->
    Vm#vm{postponed = [Item | Postponed]}.
