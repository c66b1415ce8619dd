%% @doc What becomes of a network, drawn from a seed: faults, each with its time, and what they make of each node's link at a moment. Times
%% are milliseconds since the schedule's start. Nodes are numbers from 1 on.
-module(caravan_network_faults).

-export([draw/4, moments/1, active/2, link/2, answers/1, text/1, is_bystander/2, disturbs/1, silences/1]).

-export_type([scheduled/0, fault/0, link/0, rule/0]).

-type place() :: pos_integer().
-type fault() ::
    {loss, all | place(), Percent :: 1..20}
    %% Packets from the first one to the second one are lost.
    | {one_way, place(), place()}
    | {both_ways, place(), place()}
    %% The firewalls of both refuse each packet of the other one: whoever sends it is told to close the connection.
    | {refused, place(), place()}
    | {alone, place()}
    %% Whose questions, or rather the replies to them, are lost.
    | {no_nameserver, all | place()}
    | {answers, nxdomain | servfail}
    | {flapping, place()}
    | {no_route, place()}
    | {mtu, place(), pos_integer()}
    %% Packets of the node are late, by so many milliseconds, half of that more or less, and overtake each other; some come twice. It wants
    %% netem or frame_relay.
    | {delay, place(), Milliseconds :: pos_integer()}.
-type scheduled() :: {Start :: non_neg_integer(), End :: pos_integer(), fault()}.
-type rule() :: {drop, all | nameserver | place()} | {refuse, place()} | {lose, Percent :: 1..20}.
-type link() :: #{rules := [rule()], up := boolean(), mtu := pos_integer(), delay := non_neg_integer()}.

-define(PAUSE_MS, {2000, 10000}).
-define(FAULT_MS, {10000, 40000}).
%% Longer than OTP needs to find out that nothing comes over a connection any more: 75 s with the default of net_ticktime.
-define(LONG_MS, {80000, 100000}).
-define(FLAPS_MS, 20000).
-define(FLAP_MS, 2000).
-define(MTU, 1500).

%% @doc The faults of a seed, for so many nodes and so long.
-spec draw(Seed :: integer(), Milliseconds :: pos_integer(), Nodes :: pos_integer(), HasWeather :: boolean()) -> [scheduled()].
draw(Seed, Milliseconds, Nodes, HasWeather) ->
    rounds(0, Milliseconds, {kinds(HasWeather), Nodes}, rand:seed_s(exsss, Seed)).

%% Those that are there twice are drawn twice as often.
kinds(true) -> [delay, delay | kinds(false)];
kinds(false) -> [loss, loss, one_way, both_ways, refused, refused, alone, no_nameserver, answers, flapping, no_route, mtu].

%% Faults that begin together, after a pause.
rounds(From, Until, World, Random) ->
    {Pause, Random1} = between(?PAUSE_MS, Random),
    case From + Pause + element(1, ?FAULT_MS) > Until of
        true ->
            [];
        false ->
            {Count, Random2} = one_of([1, 1, 1, 2, 3], Random1),
            Schedule = fun(_Number, Next) -> scheduled(From + Pause, Until, World, Next) end,
            {Faults, Random3} = lists:mapfoldl(Schedule, Random2, lists:seq(1, Count)),
            lists:sort(Faults) ++ rounds(lists:max([End || {_, End, _} <- Faults]), Until, World, Random3)
    end.

scheduled(Start, Until, {Kinds, Nodes}, Random) ->
    {Kind, Random1} = one_of(Kinds, Random),
    {Fault, Random2} = fault(Kind, Nodes, Random1),
    {IsLong, Random3} = one_of([true, false, false], Random2),
    {Length, Random4} = between(span(Kind, IsLong), Random3),
    {{Start, min(Until, Start + Length), Fault}, Random4}.

span(flapping, _IsLong) -> {?FLAPS_MS, ?FLAPS_MS};
span(Kind, true) when Kind =:= one_way; Kind =:= both_ways; Kind =:= alone -> ?LONG_MS;
span(_Kind, _IsLong) -> ?FAULT_MS.

fault(loss, Nodes, Random) -> one_of([{loss, Place, Percent} || Place <- [all | places(Nodes)], Percent <- lists:seq(1, 20)], Random);
fault(no_nameserver, Nodes, Random) -> one_of([{no_nameserver, Place} || Place <- [all, all, all | places(Nodes)]], Random);
fault(answers, _Nodes, Random) -> one_of([{answers, nxdomain}, {answers, servfail}], Random);
fault(mtu, Nodes, Random) -> one_of([{mtu, Place, 1280} || Place <- places(Nodes)], Random);
fault(delay, Nodes, Random) -> one_of([{delay, Place, Ms} || Place <- places(Nodes), Ms <- [20, 200, 400]], Random);
fault(one_way, Nodes, Random) -> one_of([{one_way, From, To} || From <- places(Nodes), To <- places(Nodes), From =/= To], Random);
fault(Kind, Nodes, Random) when Kind =:= both_ways; Kind =:= refused ->
    one_of([{Kind, A, C} || A <- places(Nodes), C <- places(Nodes), A < C], Random);
fault(Kind, Nodes, Random) ->
    one_of([{Kind, Place} || Place <- places(Nodes)], Random).

places(Nodes) -> lists:seq(1, Nodes).

one_of(List, Random) ->
    {Number, Next} = rand:uniform_s(length(List), Random),
    {lists:nth(Number, List), Next}.

between({Least, Most}, Random) ->
    {Number, Next} = rand:uniform_s(Most - Least + 1, Random),
    {Least + Number - 1, Next}.

%% @doc When something changes.
-spec moments([scheduled()]) -> [non_neg_integer()].
moments(Scheduled) ->
    lists:usort(lists:append([moments_of(Each) || Each <- Scheduled])).

moments_of({Start, End, {flapping, _}}) -> [End | lists:seq(Start, End - 1, ?FLAP_MS)];
moments_of({Start, End, _}) -> [Start, End].

%% @doc The faults at a moment. A link that flaps is down or is well.
-spec active(Now :: non_neg_integer(), [scheduled()]) -> [fault()].
active(Now, Scheduled) ->
    [Fault || {Start, End, Fault} <- Scheduled, Start =< Now, Now < End, is_active(Fault, Now - Start)].

is_active({flapping, _}, Age) -> Age div ?FLAP_MS rem 2 =:= 0;
is_active(_, _Age) -> true.

%% @doc What faults make of the link of a node.
-spec link(place(), [fault()]) -> link().
link(Place, Faults) ->
    #{
        rules => lists:usort(lists:append([rules(Place, Fault) || Fault <- Faults])),
        up => [down || {Kind, Where} <- Faults, Kind =:= flapping orelse Kind =:= no_route, Where =:= Place] =:= [],
        mtu => lists:min([?MTU | [Mtu || {mtu, Where, Mtu} <- Faults, Where =:= Place]]),
        delay => lists:max([0 | [Ms || {delay, Where, Ms} <- Faults, Where =:= Place]])
    }.

rules(Place, {loss, Where, Percent}) when Where =:= all; Where =:= Place -> [{lose, Percent}];
rules(Place, {one_way, From, Place}) -> [{drop, From}];
rules(Place, {both_ways, Place, Other}) -> [{drop, Other}];
rules(Place, {both_ways, Other, Place}) -> [{drop, Other}];
rules(Place, {refused, Place, Other}) -> [{refuse, Other}];
rules(Place, {refused, Other, Place}) -> [{refuse, Other}];
rules(Place, {alone, Place}) -> [{drop, all}];
rules(_Place, {alone, Other}) -> [{drop, Other}];
rules(Place, {no_nameserver, Where}) when Where =:= all; Where =:= Place -> [{drop, nameserver}];
rules(_Place, _Fault) -> [].

%% @doc How the nameserver answers.
-spec answers([fault()]) -> records | nxdomain | servfail.
answers(Faults) ->
    case [Answer || {answers, Answer} <- Faults] of
        [] -> records;
        [Answer | _] -> Answer
    end.

%% @doc Whether two other nodes cannot reach each other.
-spec is_bystander(place(), fault()) -> boolean().
is_bystander(Place, {Kind, A, C}) when Kind =:= one_way; Kind =:= both_ways; Kind =:= refused -> Place =/= A andalso Place =/= C;
is_bystander(_Place, _Fault) -> false.

%% @doc Whether connections may be lost for it.
-spec disturbs(fault()) -> boolean().
disturbs(Fault) ->
    not lists:member(element(1, Fault), [no_nameserver, answers, mtu, delay]).

%% @doc Whether nothing may come over a connection, and nobody is told so.
-spec silences(fault()) -> boolean().
silences({refused, _, _}) -> false;
silences(Fault) -> disturbs(Fault).

%% @doc A fault in words.
-spec text(fault()) -> iodata().
text({loss, all, Percent}) -> io_lib:format("~b % of the packets to each node are lost", [Percent]);
text({loss, Place, Percent}) -> io_lib:format("~b % of the packets to node ~b are lost", [Percent, Place]);
text({one_way, From, To}) -> io_lib:format("packets from node ~b to node ~b are lost", [From, To]);
text({both_ways, A, C}) -> io_lib:format("packets between nodes ~b and ~b are lost", [A, C]);
text({refused, A, C}) -> io_lib:format("nodes ~b and ~b refuse packets of each other (RST)", [A, C]);
text({alone, Place}) -> io_lib:format("node ~b is cut from all", [Place]);
text({no_nameserver, all}) -> "the nameserver is silent";
text({no_nameserver, Place}) -> io_lib:format("the nameserver is silent for node ~b", [Place]);
text({answers, Answer}) -> io_lib:format("the nameserver answers ~s", [Answer]);
text({flapping, Place}) -> io_lib:format("the link of node ~b goes down and up every 2 s", [Place]);
text({no_route, Place}) -> io_lib:format("the link of node ~b is down", [Place]);
text({mtu, Place, Mtu}) -> io_lib:format("the MTU of node ~b is ~b", [Place, Mtu]);
text({delay, Place, Ms}) -> io_lib:format("packets of node ~b are ~b ms late, more or less, and some come twice", [Place, Ms]).
