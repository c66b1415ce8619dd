%% @private
%% What is shown of a topology: its status, the status in numbers, and its health. Pure functions of the parts of
%% caravan_topology_core. Times are in milliseconds.
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
    %% The wanted names, sorted.
    published := [name()],
    connected := #{name() => []},
    members := caravan_members:state(),
    listeners := caravan_listeners:state(),
    connector := caravan_connector:state(),
    %% Until when an operator has excluded a node.
    excluded := #{name() => integer()},
    leavers := caravan_leavers:state(),
    prune := caravan_prune:state(),
    is_polling := boolean(),
    look_at := integer() | none
}.

-type gauges() :: #{
    %% Numbers of nodes.
    wanted := non_neg_integer(),
    connected := non_neg_integer(),
    %% Wanted nodes that are not connected, not excluded and have not left. Names of one listener count once.
    missing := non_neg_integer(),
    connecting := non_neg_integer(),
    failing := non_neg_integer(),
    %% Those of the failing nodes whose connections do not last.
    flapping := non_neg_integer(),
    %% Wanted nodes that have left and are left alone.
    left := non_neg_integer(),
    absent := non_neg_integer(),
    %% In milliseconds.
    answer_age := non_neg_integer(),
    atoms_left := non_neg_integer(),
    %% Whether this node has left.
    leaving := 0..1,
    answered := 0..1,
    complete := 0..1,
    self_listed := 0..1
}.

%% Returns the keys of caravan_cluster:status/1 that the core knows. Keys that exist once for each query have the value of
%% the least certain one.
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

%% For how many more milliseconds each node is excluded.
excluded(Now, #{options := #{exclude := Always}, excluded := Excluded}) ->
    maps:merge(maps:map(fun(_Name, Until) -> max(0, Until - Now) end, Excluded), maps:from_keys(Always, infinity)).

%% Returns the status in numbers, which is cheap enough to be called often: counts replace the lists. The age of an answer is
%% counted from the start of the topology if there has been none.
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

%% Names of one listener belong to one node.
left(#{wanted := Wanted, own := Own, connected := Connected, listeners := Listeners} = View) ->
    Left = [Name || Name <- maps:keys(Wanted), not is_map_key(Name, Connected), has_left(Name, View)],
    {Count, _Connected} = caravan_listeners:count(Left, Own, Connected, Listeners),
    Count.

%% A node that has left misses no others.
missing(true, _WantedAndConnected) -> 0;
missing(false, {Wanted, Connected}) -> Wanted - Connected.

number(true) -> 1;
number(false) -> 0.

%% Returns what caravan_cluster:health/1 returns, with node names as binaries.
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

%% A number counts members, as in caravan_cluster:await/3. A fraction is one of the wanted nodes; a product of floats may
%% exceed the exact value by its last bit.
expected({fraction, Fraction}, Wanted, Connected, _Members) -> {ceil(Fraction * Wanted - 1.0e-9), Connected};
expected(Count, _Wanted, _Connected, Members) -> {Count, Members}.

%% Returns the number of wanted nodes that are neither excluded nor have left, and the number of those that are connected.
%% Names of one listener belong to one node.
wanted_and_connected(#{wanted := Wanted, own := Own, connected := Connected, listeners := Listeners} = View) ->
    #{excluded := Excluded, options := #{exclude := Always}} = View,
    Out = maps:merge(Excluded, maps:from_keys(Always, [])),
    caravan_listeners:count(
        [Name || Name <- maps:keys(Wanted), is_map_key(Name, Connected) orelse not (is_map_key(Name, Out) orelse has_left(Name, View))],
        Own, Connected, Listeners
    ).

%% A node may have announced its departure under another name of its listener.
has_left(Name, #{listeners := Listeners, leavers := Leavers}) ->
    lists:any(fun(OfListener) -> caravan_leavers:is_leaving(OfListener, Leavers) end, caravan_listeners:alternatives(Name, Listeners)).
