%% @private
%% Which names belong to one listener. If a topology has several basenames, each record gives a name for each of them, of
%% which at most one is right. When a node is connected under one of these names, the others are not tried. Functional state.
-module(caravan_listeners).

-export([new/1, wanted/2, up/2, down/2, alternatives/2, is_taken/3, count/4]).

-export_type([state/0, listener_of/0]).

-type name() :: binary().

%% Maps a name to its listener; `none' if each name is a listener of its own.
-type listener_of() :: none | fun((name()) -> Listener :: term()).

-record(state, {
    listener_of :: listener_of(),
    %% The wanted names of each listener.
    names = #{} :: #{Listener :: term() => [name()]},
    %% The number of nodes that are connected at each listener.
    taken = #{} :: #{Listener :: term() => pos_integer()}
}).

-opaque state() :: #state{}.

-spec new(listener_of()) -> state().
new(ListenerOf) ->
    #state{listener_of = ListenerOf}.

%% Sets the wanted names.
-spec wanted([name()], state()) -> state().
wanted(_Names, #state{listener_of = none} = State) ->
    State;
wanted(Names, #state{listener_of = ListenerOf} = State) ->
    State#state{names = maps:groups_from_list(ListenerOf, Names)}.

%% Notes that a node is connected.
-spec up(name(), state()) -> state().
up(_Name, #state{listener_of = none} = State) ->
    State;
up(Name, #state{listener_of = ListenerOf, taken = Taken} = State) ->
    State#state{taken = maps:update_with(ListenerOf(Name), fun(Count) -> Count + 1 end, 1, Taken)}.

%% Notes that a node is not connected any more.
-spec down(name(), state()) -> state().
down(_Name, #state{listener_of = none} = State) ->
    State;
down(Name, #state{listener_of = ListenerOf, taken = Taken} = State) ->
    State#state{taken = one_less(ListenerOf(Name), Taken)}.

one_less(Listener, Taken) ->
    case Taken of
        #{Listener := Count} when Count > 1 -> Taken#{Listener := Count - 1};
        #{} -> maps:remove(Listener, Taken)
    end.

%% Returns the wanted names of the node's listener, and the node's own name.
-spec alternatives(name(), state()) -> [name()].
alternatives(Name, #state{listener_of = none}) ->
    [Name];
alternatives(Name, #state{listener_of = ListenerOf, names = Names}) ->
    lists:usort([Name | maps:get(ListenerOf(Name), Names, [])]).

%% Returns whether another node is connected at the listener of this name, or whether that is the listener of this node.
-spec is_taken(name(), Own :: name(), state()) -> boolean().
is_taken(_Name, _Own, #state{listener_of = none}) ->
    false;
is_taken(Name, Own, #state{listener_of = ListenerOf, taken = Taken}) ->
    Listener = ListenerOf(Name),
    is_map_key(Listener, Taken) orelse Listener =:= ListenerOf(Own).

%% Returns the number of listeners that the names belong to, without that of this node, and the number of those at which a
%% node is connected.
-spec count([name()], Own :: name(), Connected :: #{name() => term()}, state()) -> {non_neg_integer(), non_neg_integer()}.
count(Names, _Own, Connected, #state{listener_of = none}) ->
    {length(Names), length([Name || Name <- Names, is_map_key(Name, Connected)])};
count(Names, Own, _Connected, #state{listener_of = ListenerOf, taken = Taken}) ->
    Listeners = maps:remove(ListenerOf(Own), maps:from_keys([ListenerOf(Name) || Name <- Names], [])),
    {map_size(Listeners), map_size(maps:with(maps:keys(Listeners), Taken))}.
