%% @private
%% The nodes that have announced that they leave, and the departure of this node: who is left alone, and until when.
%% Functional state of the deciding core. Times are in milliseconds.
-module(caravan_leavers).

-export([new/0, says/5, down/2, up/3, is_leaving/2, leave/2, returned/3, is_away/2, away_for/2, stay/1, over/2, due_at/1, status/2]).

-export_type([state/0]).

-type name() :: binary().

-define(MAX_RETURNS, 3).
%% A departure takes at most this long. After a later disconnect, the connection might be wanted again.
-define(LEAVING_TAKES_MS, 2000).

-record(state, {
    %% Until when the node is left alone, and whether the connection over which it announced its departure has ended.
    leaving = #{} :: #{name() => {Until :: integer(), connected | gone}},
    %% The same, ordered by time.
    times = gb_sets:new() :: gb_sets:set({Until :: integer(), name()}),
    %% Until when this node connects to no other.
    away_until = none :: none | integer(),
    %% How often each node has connected to this one while it is away.
    returns = #{} :: #{name() => pos_integer()}
}).

-opaque state() :: #state{}.

-spec new() -> state().
new() ->
    #state{}.

%% Notes that a node leaves and should be left alone until the given time. At most `Limit' nodes are remembered.
-spec says(name(), Until :: integer(), IsConnected :: boolean(), Limit :: pos_integer(), state()) -> state().
says(Name, _Until, _IsConnected, Limit, #state{leaving = Leaving} = State)
  when map_size(Leaving) >= Limit, not is_map_key(Name, Leaving) ->
    State;
says(Name, Until, IsConnected, _Limit, State) ->
    #state{leaving = Leaving, times = Times} = Others = forget(Name, State),
    Others#state{leaving = Leaving#{Name => {Until, whereabouts(IsConnected)}}, times = gb_sets:add({Until, Name}, Times)}.

whereabouts(true) -> connected;
whereabouts(false) -> gone.

%% Notes that the connection to a node has ended.
-spec down(name(), state()) -> state().
down(Name, #state{leaving = Leaving} = State) ->
    case Leaving of
        #{Name := {Until, connected}} -> State#state{leaving = Leaving#{Name := {Until, gone}}};
        #{} -> State
    end.

%% Notes that a node has connected. If it had left, it is back. The same holds for a node of the same listener under another
%% name.
-spec up(name(), Alternatives :: [name()], state()) -> state().
up(_Name, _Alternatives, #state{leaving = Leaving} = State) when map_size(Leaving) =:= 0 ->
    State;
up(Name, Alternatives, State) ->
    lists:foldl(fun came_back/2, State, [Name | Alternatives]).

came_back(Name, #state{leaving = Leaving} = State) ->
    case Leaving of
        #{Name := {_Until, gone}} -> forget(Name, State);
        #{} -> State
    end.

forget(Name, #state{leaving = Leaving, times = Times} = State) ->
    case maps:take(Name, Leaving) of
        {{Until, _}, Left} -> State#state{leaving = Left, times = gb_sets:delete({Until, Name}, Times)};
        error -> State
    end.

-spec is_leaving(name(), state()) -> boolean().
is_leaving(Name, #state{leaving = Leaving}) ->
    is_map_key(Name, Leaving).

%% Notes that this node leaves.
-spec leave(Until :: integer(), state()) -> state().
leave(Until, State) ->
    State#state{away_until = Until, returns = #{}}.

%% Handles a node that connects while this one is away. Returns whether to disconnect again. After ?MAX_RETURNS returns it
%% does not: the node sends messages to this one or does not understand farewells, and disconnecting would never end.
-spec returned(name(), Now :: integer(), state()) -> {boolean(), state()}.
returned(Name, Now, #state{returns = Returns} = State) ->
    Count = maps:get(Name, Returns, 0) + 1,
    {Count =< ?MAX_RETURNS andalso away_for(Now, State) > ?LEAVING_TAKES_MS, State#state{returns = Returns#{Name => Count}}}.

%% Returns whether this node has left and connects to no other.
-spec is_away(Now :: integer(), state()) -> boolean().
is_away(Now, State) ->
    away_for(Now, State) =/= none.

%% Returns for how many more milliseconds this node is away, or `none'.
-spec away_for(Now :: integer(), state()) -> none | pos_integer().
away_for(Now, #state{away_until = Until}) when is_integer(Until), Until > Now -> Until - Now;
away_for(_Now, _State) -> none.

%% Ends the departure of this node.
-spec stay(state()) -> state().
stay(State) ->
    State#state{away_until = none, returns = #{}}.

%% Returns the nodes whose time is over, and forgets them.
-spec over(Now :: integer(), state()) -> {[name()], state()}.
over(Now, #state{away_until = Until} = State) when is_integer(Until), Until =< Now -> over(Now, [], stay(State));
over(Now, State) -> over(Now, [], State).

over(Now, Names, #state{times = Times} = State) ->
    case gb_sets:is_empty(Times) orelse gb_sets:smallest(Times) of
        {Until, Name} when Until =< Now -> over(Now, [Name | Names], forget(Name, State));
        _ -> {Names, State}
    end.

%% Returns when over/2 must be called next.
-spec due_at(state()) -> integer() | none.
due_at(#state{times = Times, away_until = Until}) ->
    case gb_sets:is_empty(Times) of
        true -> Until;
        false -> caravan_schedule:earlier(element(1, gb_sets:smallest(Times)), Until)
    end.

%% Returns for how many more milliseconds this node is away, and for how many each other node is left alone.
-spec status(Now :: integer(), state()) -> #{leaving := none | pos_integer(), left := #{name() => non_neg_integer()}}.
status(Now, #state{leaving = Leaving} = State) ->
    #{
        leaving => away_for(Now, State),
        left => maps:map(fun(_Name, {Over, _}) -> max(0, Over - Now) end, Leaving)
    }.
