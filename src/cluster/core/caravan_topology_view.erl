%% @private
%% What there is to see of a topology: its status, the same in numbers, and its health. Functions of the parts that
%% caravan_topology_core has. Times are milliseconds.
-module(caravan_topology_view).

-export([status/2, gauges/2, health/3, health_facts/2]).

-export_type([view/0, gauges/0]).

-type name() :: binary().

-type view() :: #{
    options := caravan_topology_core:options(),
    own := name(),
    started_at := integer(),
    %% Whether this node can connect to others now.
    can_connect := boolean(),
    sources := caravan_sources:state(),
    wanted := #{name() => []},
    %% The same, sorted.
    published := [name()],
    connected := #{name() => []},
    members := caravan_members:state(),
    listeners := caravan_listeners:state(),
    connector := caravan_connector:state(),
    %% Until when an operator keeps a node out.
    excluded := #{name() => integer()},
    leavers := caravan_leavers:state(),
    prune := caravan_prune:state(),
    is_polling := boolean(),
    look_at := integer() | none
}.

-type gauges() :: #{
    %% Nodes.
    wanted := non_neg_integer(),
    connected := non_neg_integer(),
    %% Wanted nodes that are neither connected, nor excluded, nor gone by their own word; names of one listener count once.
    missing := non_neg_integer(),
    connecting := non_neg_integer(),
    failing := non_neg_integer(),
    %% Of these, those whose connections do not last.
    flapping := non_neg_integer(),
    %% Wanted nodes that have said that they leave, and are left alone.
    left := non_neg_integer(),
    absent := non_neg_integer(),
    %% Milliseconds.
    answer_age := non_neg_integer(),
    atoms_left := non_neg_integer(),
    %% Whether this node has left.
    leaving := 0..1,
    answered := 0..1,
    complete := 0..1,
    self_listed := 0..1
}.

%% The keys of caravan_cluster:status/1 that are known here. Those with a query of their own have the least sure one's.
-spec status(Now :: integer(), view()) -> map().
status(Now, #{options := Options, own := Own, sources := Sources, connector := Connector, prune := Prune} = View) ->
    #{published := Wanted, connected := Connected, leavers := Leavers} = View,
    lists:foldl(fun maps:merge/2, caravan_sources:status(Now, Own, Options, Sources), [
        caravan_prune:stats(Prune),
        caravan_leavers:status(Now, Leavers),
        #{
            wanted => Wanted,
            connected => lists:sort(maps:keys(maps:with(Wanted, Connected))),
            connecting => caravan_connector:connecting(Connector),
            failing => caravan_connector:failing(Now, Connector),
            next_poll => next_poll(Now, View),
            absent => maps:with(maps:keys(Connected), caravan_prune:absent(Now, Prune)),
            excluded => excluded(Now, View)
        }
    ]).

next_poll(_Now, #{options := #{queries := []}}) -> none;
next_poll(_Now, #{is_polling := true}) -> now;
next_poll(Now, #{look_at := At}) -> max(0, At - Now).

%% For how many milliseconds more.
excluded(Now, #{options := #{exclude := Always}, excluded := Excluded}) ->
    maps:merge(maps:map(fun(_Name, Until) -> max(0, Until - Now) end, Excluded), maps:from_keys(Always, infinity)).

%% The status in numbers, for who asks often: what is listed there is counted here. Where there was no answer yet, its age is that of
%% the topology.
-spec gauges(Now :: integer(), view()) -> gauges().
gauges(Now, #{options := Options, own := Own, started_at := Started, sources := Sources, connector := Connector, prune := Prune} = View) ->
    #{wanted := Wanted, connected := Connected} = View,
    #{self_listed := IsListed, complete := IsComplete, atoms_left := AtomsLeft} = caravan_sources:status(Now, Own, Options, Sources),
    Failing = maps:values(caravan_connector:failing(Now, Connector)),
    #{
        wanted => map_size(Wanted),
        connected => map_size(maps:intersect(Wanted, Connected)),
        missing => missing(caravan_leavers:is_away(Now, maps:get(leavers, View)), wanted_and_connected(View)),
        connecting => length(caravan_connector:connecting(Connector)),
        failing => length(Failing),
        flapping => length([lost_soon || #{reason := lost_soon} <- Failing]),
        left => left(View),
        leaving => number(caravan_leavers:is_away(Now, maps:get(leavers, View))),
        absent => map_size(maps:intersect(caravan_prune:absent(Now, Prune), Connected)),
        answered => number(caravan_sources:is_answered(Sources)),
        answer_age => caravan_sources:answer_age(Now, Started, Sources),
        complete => number(IsComplete),
        self_listed => number(IsListed),
        atoms_left => AtomsLeft
    }.

%% Names of one listener are names of one node.
left(#{wanted := Wanted, own := Own, connected := Connected, listeners := Listeners} = View) ->
    Left = [Name || Name <- maps:keys(Wanted), not is_map_key(Name, Connected), has_left(Name, View)],
    {Count, _Connected} = caravan_listeners:count(Left, Own, Connected, Listeners),
    Count.

%% Who has left misses nobody.
missing(true, _WantedAndConnected) -> 0;
missing(false, {Wanted, Connected}) -> Wanted - Connected.

number(true) -> 1;
number(false) -> 0.

%% What caravan_cluster:health/1 says, with names of nodes as they are here.
-spec health(Now :: integer(), view(), caravan_health_core:state()) -> ok | {degraded | not_ready, [term(), ...]}.
health(Now, View, Health) ->
    caravan_health_core:health(status(Now, View), health_facts(Now, View), Now, Health).

-spec health_facts(Now :: integer(), view()) -> caravan_health_core:facts().
health_facts(Now, #{options := #{expect := Expect} = Options, sources := Sources, members := Members, leavers := Leavers} = View) ->
    {Wanted, Connected} = wanted_and_connected(View),
    Leaving = caravan_leavers:away_for(Now, Leavers),
    #{
        can_connect => maps:get(can_connect, View) orelse Leaving =/= none,
        leaving => Leaving,
        certainty => certainty(Options, Sources),
        expected => expected(Expect, Wanted, Connected, caravan_members:count(Members)),
        wanted => Wanted,
        connected => Connected,
        options => Options
    }.

certainty(#{queries := []}, _Sources) -> no_query;
certainty(_Options, Sources) -> caravan_sources:certainty(Sources).

%% A number is one of members, as for caravan_cluster:await/3. A fraction is one of what is wanted. The product of a float may be
%% more by the last bit.
expected({fraction, Fraction}, Wanted, Connected, _Members) -> {ceil(Fraction * Wanted - 1.0e-9), Connected};
expected(Count, _Wanted, _Connected, Members) -> {Count, Members}.

%% How many nodes are wanted and neither kept out nor gone by their own word, and how many of them are connected. Names of one listener
%% are names of one node.
wanted_and_connected(#{wanted := Wanted, own := Own, connected := Connected, listeners := Listeners} = View) ->
    #{excluded := Excluded, options := #{exclude := Always}} = View,
    Out = maps:merge(Excluded, maps:from_keys(Always, [])),
    caravan_listeners:count(
        [Name || Name <- maps:keys(Wanted), is_map_key(Name, Connected) orelse not (is_map_key(Name, Out) orelse has_left(Name, View))],
        Own, Connected, Listeners
    ).

%% Under whichever name of its listener it has said so.
has_left(Name, #{listeners := Listeners, leavers := Leavers}) ->
    lists:any(fun(OfListener) -> caravan_leavers:is_leaving(OfListener, Leavers) end, caravan_listeners:alternatives(Name, Listeners)).
