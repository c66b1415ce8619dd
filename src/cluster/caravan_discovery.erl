%% @private
%% What DNS says of a topology: the last good answer, how the last poll ended, and what that is worth. A functional state,
%% owned by a topology.
-module(caravan_discovery).

-export([new/2, change/2, polled/5, are_nodes/2, wanted/1, certainty/1, pace/2, status/1]).

-export_type([state/0]).

-record(state, {
    names :: caravan_node_names:state(),
    %% Nodes that are wanted whatever DNS says.
    fixed :: [node()],
    last_lookup = none :: caravan_cluster:last_lookup(),
    failed_polls = 0 :: non_neg_integer(),
    %% Seconds, of the last lookup; 0 unless that was fresh.
    ttl = 0 :: non_neg_integer(),
    answered_at :: integer() | undefined,
    %% Nodes of the last good answer, without this one.
    wanted = [] :: [node()],
    complete = false :: boolean(),
    %% Of the last answer itself, whatever it was added to.
    answer_complete = false :: boolean(),
    self_listed = false :: boolean(),
    own_aliases = [] :: [node()]
}).

-opaque state() :: #state{}.

%% What a predecessor wanted, which has crashed, is the last good answer until there is another one.
-spec new(Wanted :: [node()], map()) -> state().
new(Wanted, #{nodes := Fixed} = Options) ->
    without_query(Options, #state{names = caravan_node_names:new(Options), fixed = Fixed, wanted = lists:sort(Wanted)}).

%% What is wanted stands until the first answer under the new options, which may then be an incomplete one.
-spec change(map(), state()) -> state().
change(#{nodes := Fixed} = Options, #state{names = Names} = State) ->
    Changed = State#state{names = caravan_node_names:change(Options, Names), fixed = Fixed, failed_polls = 0, complete = false},
    without_query(Options, Changed).

%% Nobody will say what of the answers so far still holds.
without_query(#{query := none}, State) -> State#state{wanted = [], last_lookup = none, answer_complete = false};
without_query(_Options, State) -> State.

%% The end of a poll, after so much native time; says in the log what has changed. Where not all can be kept, those that
%% are connected are.
-spec polled(caravan_poll:outcome(), Duration :: integer(), Connected :: [node()], Options :: map(), state()) -> state().
polled(Outcome, Duration, Connected, Options, #state{last_lookup = Before} = State) ->
    Next = remember(Outcome, Connected, Options, State),
    Measurements = #{duration => Duration, endpoints => endpoint_count(Outcome)},
    ok = caravan_report:looked_up(Next#state.last_lookup, Before, Measurements, Options),
    Next.

endpoint_count({ok, #{endpoints := Endpoints}}) -> length(Endpoints);
endpoint_count({error, _}) -> 0.

remember({ok, #{endpoints := Endpoints, ttl := Ttl} = Finding}, Connected, Options, #state{names = Names} = State) ->
    {Nodes, NextNames} = caravan_node_names:from_endpoints(Endpoints, [node() | Connected], Names),
    {Own, Others} = lists:partition(fun is_own_name/1, Nodes),
    Complete = is_complete(Finding, last_refused(NextNames)),
    Next = State#state{
        names = NextNames,
        last_lookup = fresh,
        failed_polls = 0,
        ttl = Ttl,
        answered_at = now_ms(),
        wanted = wanted(Others, Complete, Connected, Options, State),
        complete = Complete orelse State#state.complete,
        answer_complete = Complete,
        self_listed = lists:member(node(), Own),
        own_aliases = lists:delete(node(), Own)
    },
    ok = caravan_report:found(is_debug(), Nodes, Options),
    ok = caravan_report:names(last_refused(NextNames), last_refused(Names), Options),
    ok = caravan_report:wanted(Next#state.wanted, State#state.wanted, Options),
    ok = caravan_report:own_alias(Next#state.own_aliases -- State#state.own_aliases, Options),
    Next;
%% Consul says NXDOMAIN when no instance is healthy: that is no reason to forget those we know.
remember({error, Reason}, _Connected, _Options, State) when Reason =:= nxdomain; Reason =:= nodata ->
    State#state{last_lookup = {empty, Reason}, failed_polls = 0, ttl = 0};
remember({error, Reason}, _Connected, _Options, #state{failed_polls = Failed} = State) ->
    State#state{last_lookup = {failed, Reason}, failed_polls = Failed + 1, ttl = 0}.

%% This node under another spelling is this node, too: to connect there would be to connect to itself.
is_own_name(Node) when Node =:= node() ->
    true;
is_own_name(Node) ->
    Own = atom_to_binary(node()),
    Text = atom_to_binary(Node),
    byte_size(Own) =:= byte_size(Text) andalso string:lowercase(Own) =:= string:lowercase(Text).

is_debug() ->
    caravan_config:value(debug) =:= {ok, true}.

last_refused(Names) ->
    maps:get(last_refused, caravan_node_names:stats(Names)).

%% Of an answer that was cut, nobody knows that what is left out is gone.
is_complete(#{complete := Complete}, #{max_nodes := OverMax, atom_budget := OverBudget}) ->
    Complete andalso OverMax =:= 0 andalso OverBudget =:= 0.

%% What an incomplete answer leaves out may still be there: it only adds to a complete one, within bounds.
wanted(Nodes, false, Connected, Options, #state{complete = true, wanted = Before}) ->
    bounded(lists:umerge(Nodes, Before), Nodes, Connected, max_wanted(Options));
wanted(Nodes, _Complete, _Connected, _Options, _State) ->
    Nodes.

max_wanted(#{max_nodes := MaxNodes, node_basename := [_ | _] = Basenames}) -> MaxNodes * length(Basenames);
max_wanted(#{max_nodes := MaxNodes}) -> MaxNodes.

%% Those that are connected stay first, then those that were listed last.
bounded(All, _Listed, _Connected, Max) when length(All) =< Max ->
    All;
bounded(All, Listed, Connected, Max) ->
    {First, NotConnected} = lists:partition(fun(Node) -> lists:member(Node, Connected) end, All),
    {Second, Third} = lists:partition(fun(Node) -> lists:member(Node, Listed) end, NotConnected),
    lists:sort(lists:sublist(First ++ Second ++ Third, Max)).

%% These have been connected.
-spec are_nodes([node()], state()) -> state().
are_nodes(Nodes, #state{names = Names} = State) ->
    State#state{names = lists:foldl(fun caravan_node_names:is_a_node/2, Names, Nodes)}.

-spec wanted(state()) -> [node()].
wanted(#state{wanted = Wanted, fixed = Fixed}) ->
    lists:umerge(Wanted, [Node || Node <- Fixed, not is_own_name(Node)]).

%% What the last poll was worth; none before the first.
-spec certainty(state()) -> none | fresh | caravan_prune:suppression().
certainty(#state{last_lookup = fresh, answer_complete = true}) -> fresh;
certainty(#state{last_lookup = fresh}) -> incomplete;
certainty(#state{last_lookup = {Outcome, _}}) -> Outcome;
certainty(#state{last_lookup = none}) -> none.

%% How the last poll ended, for who says when the next one comes. The first answer changes nothing that was known.
-spec pace(Before :: state(), state()) -> caravan_schedule:pace().
pace(_Before, #state{failed_polls = Failed}) when Failed > 0 -> {failed, Failed};
pace(#state{last_lookup = none}, #state{ttl = Ttl}) -> {steady, Ttl};
pace(#state{wanted = Wanted}, #state{wanted = Wanted, ttl = Ttl}) -> {steady, Ttl};
pace(_Before, #state{ttl = Ttl}) -> {changed, Ttl}.

%% The part of caravan_cluster:status/1 that is known here.
-spec status(state()) -> map().
status(#state{names = Names} = State) ->
    maps:merge(caravan_node_names:stats(Names), #{
        last_lookup => State#state.last_lookup,
        answer_age => age(State#state.answered_at),
        wanted => wanted(State),
        complete => State#state.complete,
        self_listed => State#state.self_listed orelse lists:member(node(), State#state.fixed)
    }).

age(undefined) -> none;
age(At) -> now_ms() - At.

now_ms() ->
    erlang:monotonic_time(millisecond).
