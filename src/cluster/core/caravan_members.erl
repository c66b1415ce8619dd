%% @private
%% The members of a topology: connected nodes that are wanted, or were until recently. Functional state of the deciding core.
-module(caravan_members).

-export([new/0, listed/3, unlisted/3, up/4, down/4, forget/2, is_member/2, connected/1, count/1]).

-export_type([state/0]).

-type name() :: binary().

-record(state, {
    members = #{} :: #{name() => []},
    %% Nodes that are not listed any more, and until when each of them becomes a member again if it connects by itself.
    known = #{} :: #{name() => Until :: integer()}
}).

-opaque state() :: #state{}.

-spec new() -> state().
new() ->
    #state{}.

%% Notes that a node is listed from now on. Returns `came' if that makes it a member, which it is if it is connected.
-spec listed(name(), IsConnected :: boolean(), state()) -> {came | same, state()}.
listed(Name, true, #state{members = Members} = State) when not is_map_key(Name, Members) ->
    {came, State#state{members = Members#{Name => []}}};
listed(_Name, _IsConnected, State) ->
    {same, State}.

%% Notes that a node is not listed any more, and remembers it until the given time. A connected node stays a member.
-spec unlisted(name(), Until :: integer(), state()) -> state().
unlisted(Name, Until, #state{known = Known} = State) ->
    State#state{known = Known#{Name => Until}}.

%% Notes that a node is connected. Returns `came' if that makes it a member.
-spec up(name(), IsListed :: boolean(), Now :: integer(), state()) -> {came | same, state()}.
up(Name, IsListed, Now, #state{known = Known} = State) ->
    listed(Name, IsListed orelse maps:get(Name, Known, Now) > Now, State).

%% Notes that a node is not connected any more. Returns `went' if it was a member. Unless it is listed, it is remembered
%% until the given time.
-spec down(name(), IsListed :: boolean(), Until :: integer(), state()) -> {went | same, state()}.
down(Name, IsListed, Until, #state{members = Members} = State) ->
    case maps:take(Name, Members) of
        {[], Left} when IsListed -> {went, State#state{members = Left}};
        {[], Left} -> {went, unlisted(Name, Until, State#state{members = Left})};
        error -> {same, State}
    end.

%% Forgets the nodes that are remembered until an earlier time.
-spec forget(Now :: integer(), state()) -> state().
forget(_Now, #state{known = Known} = State) when map_size(Known) =:= 0 ->
    State;
forget(Now, #state{known = Known} = State) ->
    State#state{known = maps:filter(fun(_Name, Until) -> Until > Now end, Known)}.

-spec is_member(name(), state()) -> boolean().
is_member(Name, #state{members = Members}) ->
    is_map_key(Name, Members).

-spec connected(state()) -> [name()].
connected(#state{members = Members}) ->
    lists:sort(maps:keys(Members)).

-spec count(state()) -> non_neg_integer().
count(#state{members = Members}) ->
    map_size(Members).
