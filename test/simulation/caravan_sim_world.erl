%% Worlds: a scenario says how many nodes there are, how DNS and the network behave, what the options are, and which faults
%% begin and end when. Here they are drawn from a seed; caravan_sim_known has those with a name.
-module(caravan_sim_world).

-export([random/2, base/0, options/1, listener/1, with_broken/1]).

-export_type([scenario/0]).

-type scenario() :: #{
    name := atom(),
    seed := integer(),
    size := pos_integer(),
    network := map(),
    queries := [atom(), ...],
    dns := caravan_sim_dns:settings(),
    options := map(),
    basenames := [binary(), ...],
    basename_of := fun((pos_integer()) -> binary()),
    %% Within how many milliseconds the first nodes start.
    start := non_neg_integer(),
    faults := [caravan_sim_operators:fault()],
    %% When all faults are over.
    ends := pos_integer(),
    %% Records of nodes that are none, and stay.
    dead := non_neg_integer(),
    %% Whether a node that is told all wants what is listed, and nothing else.
    exact := boolean(),
    %% A fault that stays as it is, for windows of ten minutes.
    steady := none | #{from := integer(), to := integer(), pairs := list(), broken => map()}
}.

-define(MINUTE, 60000).

%% A seed and a number of nodes, or `any'.
-spec random(integer(), pos_integer() | any) -> scenario().
random(Seed, Size) ->
    {Scenario, _} = drawn(draw_size(Size), rand:seed_s(exsss, {Seed, 1, 1}), Seed),
    with_broken(Scenario).

draw_size(any) -> fun(State) -> one_of([3, 3, 4, 5, 6, 8, 10, 13, 16, 20], State) end;
draw_size(Size) -> fun(State) -> {Size, State} end.

drawn(DrawSize, State0, Seed) ->
    {Size, State1} = DrawSize(State0),
    {Interval, State2} = one_of(intervals(Size), State1),
    {Ttl, State3} = one_of([0, 0, 5, 30, 300], State2),
    {Caches, State4} = chance(0.3, State3),
    {Server, State5} = server(Size, State4),
    {Prevent, State6} = chance(0.85, State5),
    {All, State7} = chance(0.85, State6),
    {Prune, State8} = chance(0.4, State7),
    {MaxConnecting, State9} = one_of([16, 16, 16, 4, 1], State8),
    {Two, State10} = chance(0.15, State9),
    {List, State11} = one_of([otp, otp, otp, otp, otp, function], State10),
    {TwoZones, State12} = chance(0.1, State11),
    {Kind, State13} = one_of([steady, storm, storm, storm], State12),
    {Tick, State14} = one_of([60000, 60000, 15000], State13),
    Basenames = basenames(Two),
    Base = (base())#{
        name := random,
        seed := Seed,
        size := Size,
        network := #{prevent_overlapping => Prevent, connect_all => All, latency => {1, 5}, net_ticktime => Tick},
        queries := queries(TwoZones),
        dns := #{ttl => Ttl, caches => Caches andalso is_atom(Server), server => Server},
        basenames := Basenames,
        options := options(#{
            queries => queries(TwoZones),
            poll_interval => interval(Kind, Server, Interval, Size),
            prune => Prune,
            prune_after => 120000,
            max_connecting => MaxConnecting,
            answers => answers(Server),
            listener => listener(Basenames),
            names_per_record => length(Basenames),
            list_nodes => listing(List, Size)
        }),
        exact := Server =:= all
    },
    faults(Kind, Base, State14).

intervals(Size) when Size > 100 -> [15000, 30000, 60000];
intervals(_Size) -> [5000, 5000, 5000, 1000, 15000].

%% A steady fault lasts for long, and each sample is another answer to all of a large cluster.
interval(steady, _Server, _Interval, Size) when Size > 100 -> 60000;
interval(_Kind, {sample, _, _}, _Interval, Size) when Size > 100 -> 60000;
interval(_Kind, _Server, Interval, _Size) -> Interval.

%% To ask for a list of all nodes takes time in proportion to them, for each of them.
listing(_List, Size) when Size > 100 -> otp;
listing(List, _Size) -> List.

server(Size, State) ->
    {Kind, Next} = one_of([all, all, all, all, all, all, unsure, sample], State),
    server(Kind, Size, Next).

server(sample, Size, State) when Size > 3 ->
    {Part, Next} = one_of(parts(Size), State),
    {Complete, Last} = chance(0.5, Next),
    {{sample, Part, Complete}, Last};
server(sample, _Size, State) ->
    {all, State};
server(Kind, _Size, State) ->
    {Kind, State}.

parts(Size) when Size > 100 -> [Size div 2, Size - 1];
parts(Size) -> [Size div 2, Size - 1, max(2, Size div 3)].

%% Who knows that a server gives samples says so.
answers({sample, _, _}) -> sampled;
answers(_Server) -> all.

basenames(true) -> [<<"a">>, <<"b">>];
basenames(false) -> [<<"a">>].

queries(true) -> [first, second];
queries(false) -> [first].

%% Names of one record have the same port and host.
-spec listener([binary()]) -> none | fun((binary()) -> binary()).
listener([_]) -> none;
listener(_Several) -> fun(Name) -> lists:last(binary:split(Name, <<"-">>)) end.

%% Three nodes, the default options, and nothing wrong.
-spec base() -> scenario().
base() ->
    #{
        name => base,
        seed => 1,
        size => 3,
        network => #{prevent_overlapping => true, connect_all => true, latency => {1, 5}, net_ticktime => 60000},
        queries => [first],
        dns => #{ttl => 0, caches => false, server => all},
        options => options(#{}),
        basenames => [<<"a">>],
        basename_of => fun(_Host) -> <<"a">> end,
        start => 3000,
        faults => [],
        ends => 5 * ?MINUTE,
        dead => 0,
        exact => true,
        steady => none
    }.

%% The defaults of caravan_cluster:options(), as the core has them.
-spec options(map()) -> map().
options(Others) ->
    maps:merge(
        #{
            queries => [first],
            nodes => [],
            exclude => [],
            poll_interval => 5000,
            max_connecting => 16,
            max_nodes => 1000,
            names_per_record => 1,
            atom_budget => 500,
            prune => false,
            prune_after => 300000,
            prune_max_fraction => 0.34,
            answers => all,
            sampled_expiry => 600000,
            listener => none,
            list_nodes => otp,
            expect => 0,
            stable_for => 0
        },
        Others
    ).

%% One to three pairs that are cut, and nothing else, for half an hour.
faults(steady, #{size := Size} = Base, State0) ->
    {Count, State1} = one_of(pairs(Size), State0),
    {Pairs, State2} = several(Count, fun(State) -> pair(Size, State) end, State1),
    {Fault, State3} = one_of([reject, reject, refuse, hang, drop], State2),
    {IsBoth, State4} = chance(0.7, State3),
    From = 3 * ?MINUTE,
    To = From + steady_for(Size),
    Directed = lists:usort(lists:append([[{A, B} | [{B, A} || IsBoth]] || {A, B} <- Pairs])),
    {Disturbed, State5} = chance(0.5, State4),
    Split = [{2 * ?MINUTE, To, {cut, Directed, Fault}} || not Disturbed],
    %% A connection that is up is not touched by a fault of attempts: it has to be lost first.
    Reboot = [{From - 30000, From, {deploy, lists:usort([A || {A, _} <- Directed]), 500, 3000, same, 0}} || not Disturbed],
    Steady = #{from => From, to => To, pairs => Directed},
    Cut = [{0, To, {cut, Directed, Fault}} || Disturbed],
    {Base#{faults := Cut ++ Split ++ Reboot, ends := To, steady := Steady}, State5};
faults(storm, #{size := Size} = Base, State0) ->
    {Count, State1} = one_of(counts(Size), State0),
    {Faults, State2} = several(Count, fun(State) -> fault(Size, State) end, State1),
    Ends = lists:max([To || {_, To, _} <- Faults]) + 1000,
    Dead = lists:sum([Number || {_, _, {phantoms, Number, _, for_good}} <- Faults]),
    {Base#{faults := Faults, ends := Ends, dead := Dead}, State2}.

%% A large world is slow.
counts(Size) when Size > 100 -> [1, 1, 1, 2];
counts(_Size) -> [1, 2, 3, 4, 6].

some(Size) when Size > 100 -> 20;
some(Size) -> Size.

cuts(Size) when Size > 100 -> [1];
cuts(_Size) -> [1, 1, 2, 4].

pairs(Size) when Size > 100 -> [1];
pairs(_Size) -> [1, 1, 1, 2, 3].

%% At least one window of ten minutes after the first five.
steady_for(Size) when Size > 100 -> 16 * ?MINUTE;
steady_for(_Size) -> 27 * ?MINUTE.

fault(Size, State0) ->
    {Start, State1} = number(30, 600, State0),
    {Long, State2} = one_of([5, 20, 40, 100, 200, 400], State1),
    {What, State3} = what(Size, State2),
    {{Start * 1000, (Start + Long) * 1000, What}, State3}.

what(Size, State) ->
    {Kind, Next} = one_of(
        [cut, cut, split, split, pause, die, crash_loop, deploy, deploy, scale, replace, dns, dns, dns, phantoms, topology_crash,
            operator, reasons, disconnects],
        State
    ),
    what(Kind, Size, Next).

what(cut, Size, State0) ->
    {Count, State1} = one_of(cuts(Size), State0),
    {Pairs, State2} = several(Count, fun(State) -> pair(Size, State) end, State1),
    {Fault, State3} = one_of([reject, refuse, hang, drop, drop], State2),
    {IsBoth, State4} = chance(0.6, State3),
    {{cut, lists:usort(lists:append([[{A, B} | [{B, A} || IsBoth]] || {A, B} <- Pairs])), Fault}, State4};
what(split, Size, State0) ->
    {Some, State1} = number(1, max(1, some(Size) div 2), State0),
    {Fault, State2} = one_of([drop, drop, reject, refuse], State1),
    {{split, lists:seq(1, Some), lists:seq(Some + 1, Size), Fault}, State2};
what(pause, Size, State0) ->
    {Host, State1} = number(1, Size, State0),
    {{pause, Host}, State1};
what(die, Size, State0) ->
    {Count, State1} = one_of([1, some(Size) div 3 + 1, some(Size) div 2], State0),
    {After, State2} = one_of([0, 10000, 60000, never], State1),
    {{die, lists:seq(1, max(1, Count)), After}, State2};
what(crash_loop, Size, State0) ->
    {Host, State1} = number(1, Size, State0),
    {Up, State2} = one_of([2000, 10000, 25000, 40000], State1),
    {Down, State3} = one_of([1000, 5000], State2),
    {Port, State4} = one_of([same, new_port], State3),
    {After, State5} = one_of([0, 0, 10000, 60000], State4),
    {{crash_loop, [Host], Up, Down, Port, After}, State5};
what(deploy, Size, State0) ->
    {Every, State1} = one_of([500, 3000, 15000], State0),
    {Port, State2} = one_of([same, new_port, new_port], State1),
    {After, State3} = one_of([0, 1000, 10000], State2),
    %% Most are stopped in order.
    {Kind, State4} = one_of([deploy, rolling, rolling], State3),
    {{Kind, lists:seq(1, some(Size)), Every, 2000, Port, After}, State4};
what(scale, Size, State0) ->
    {More, State1} = number(1, some(Size), State0),
    {Every, State2} = one_of([0, 1000, 5000], State1),
    {{scale, lists:seq(Size + 1, Size + More), Every}, State2};
what(replace, Size, State) ->
    {{replace, lists:seq(1, some(Size)), lists:seq(2 * Size + 1, 2 * Size + some(Size))}, State};
what(dns, Size, State0) ->
    {Host, State1} = number(1, Size, State0),
    {Asker, State2} = one_of([all, all, Host], State1),
    {Fault, State3} = one_of(
        [
            nxdomain, servfail, timeout, {slow, 3000}, {cut, max(1, Size div 2)}, {sample, max(1, Size div 2), true},
            {sample, max(1, Size div 2), false}, stale, {unresolved, 1}, {invalid, 2}
        ],
        State2
    ),
    {{dns, Asker, Fault}, State3};
what(phantoms, _Size, State0) ->
    {Count, State1} = one_of([1, 5, 40], State0),
    {Fault, State2} = one_of([none, drop, hang, reject], State1),
    {Until, State3} = one_of([until_end, for_good], State2),
    {{phantoms, Count, Fault, Until}, State3};
what(topology_crash, Size, State0) ->
    {Host, State1} = number(1, Size, State0),
    {{topology_crash, Host}, State1};
what(operator, Size, State0) ->
    {Host, State1} = number(1, Size, State0),
    {Other, State2} = number(1, Size, State1),
    {Act, State3} = one_of(
        [{poll, Host}, {reconnect, Host}, {exclude, Host, Other}, {change, Host, #{max_connecting => 3}}, {leave, Host}, {leave, Host}],
        State2
    ),
    {Act, State3};
what(reasons, _Size, State) ->
    {ever_new_reasons, State};
what(disconnects, _Size, State) ->
    {disconnects_fail, State}.

pair(Size, State0) ->
    {A, State1} = number(1, Size, State0),
    {Step, State2} = number(1, Size - 1, State1),
    {{A, 1 + (A + Step - 1) rem Size}, State2}.

number(From, To, State) ->
    {Number, Next} = rand:uniform_s(To - From + 1, State),
    {From + Number - 1, Next}.

one_of(List, State) ->
    {Number, Next} = rand:uniform_s(length(List), State),
    {lists:nth(Number, List), Next}.

chance(Probability, State) ->
    {Number, Next} = rand:uniform_s(State),
    {Number < Probability, Next}.

several(0, _Draw, State) ->
    {[], State};
several(Count, Draw, State) ->
    {One, Next} = Draw(State),
    {Others, Last} = several(Count - 1, Draw, Next),
    {[One | Others], Last}.

%% The pairs of a steady fault by their names: nobody gets another port meanwhile.
-spec with_broken(scenario()) -> scenario().
with_broken(#{steady := #{pairs := Pairs} = Steady, basename_of := BasenameOf} = Scenario) ->
    Name = fun(Host) ->
        Basename = BasenameOf(Host),
        <<Basename/binary, "-4000@h", (integer_to_binary(Host))/binary>>
    end,
    Both = lists:usort([Pair || {A, B} <- Pairs, Pair <- [{A, B}, {B, A}]]),
    Scenario#{steady := Steady#{broken => maps:from_list([{{Name(A), Name(B)}, []} || {A, B} <- Both])}};
with_broken(Scenario) ->
    Scenario.
