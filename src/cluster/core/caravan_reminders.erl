%% @private
%% Which conditions are logged again while they hold, and when. A condition is logged a minute after it began, ten minutes
%% after that, and then every hour. A condition whose beginning is logged already (`unanswered') is logged ten minutes after
%% it began, and then every hour. A condition that ends earlier is not logged. Functional state of the deciding core.
-module(caravan_reminders).

-export([new/0, holds/3, ends/2, is_held/2, due/2, due_at/1]).

-export_type([state/0, subject/0]).

-type subject() ::
    %% Nodes are wanted, and none is connected.
    alone
    %% Complete answers do not list this node. That may be intended, so it is logged only once.
    | not_self_listed
    %% A query has never been answered with records.
    | {never_answered, Query :: term()}
    %% A query that was answered with records before is not answered with records now. The beginning is logged at once.
    | {unanswered, Query :: term()}
    %% A wanted node cannot be connected.
    | {failing, Name :: binary()}
    %% A connection to a node whose earlier connections did not last. That it lasts is logged once.
    | {lasting, Name :: binary()}.

-define(MINUTE_MS, 60000).
-define(SECOND_MS, 600000).
-define(LATER_MS, 3600000).

-record(state, {
    held = #{} :: #{subject() => {Since :: integer(), DueAt :: integer() | never, Said :: non_neg_integer()}},
    turns = gb_sets:new() :: gb_sets:set({DueAt :: integer(), subject()})
}).

-opaque state() :: #state{}.

-spec new() -> state().
new() ->
    #state{}.

%% Notes that the condition holds, since now unless it did before.
-spec holds(subject(), Now :: integer(), state()) -> state().
holds(Subject, _Now, #state{held = Held} = State) when is_map_key(Subject, Held) ->
    State;
holds(Subject, Now, State) ->
    put_off(Subject, Now, at(Subject, Now + first(Subject)), 0, State).

first({unanswered, _Query}) -> ?SECOND_MS;
first(_Subject) -> ?MINUTE_MS.

%% Times are rounded up to whole minutes, so that one line a minute names all nodes that fail one after another.
at({Kind, _}, At) when Kind =:= failing; Kind =:= lasting -> At + (?MINUTE_MS - mod(At, ?MINUTE_MS)) rem ?MINUTE_MS;
at(_Subject, At) -> At.

%% The monotonic clock may be negative.
mod(At, Divisor) -> ((At rem Divisor) + Divisor) rem Divisor.

put_off(Subject, Since, never, Said, #state{held = Held} = State) ->
    State#state{held = Held#{Subject => {Since, never, Said}}};
put_off(Subject, Since, At, Said, #state{held = Held, turns = Turns} = State) ->
    State#state{held = Held#{Subject => {Since, At, Said}}, turns = gb_sets:add_element({At, Subject}, Turns)}.

-spec ends(subject(), state()) -> state().
ends(Subject, #state{held = Held, turns = Turns} = State) ->
    case maps:take(Subject, Held) of
        {{_Since, At, _Said}, Left} -> State#state{held = Left, turns = gb_sets:del_element({At, Subject}, Turns)};
        error -> State
    end.

-spec is_held(subject(), state()) -> boolean().
is_held(Subject, #state{held = Held}) ->
    is_map_key(Subject, Held).

%% Returns the conditions to log now, and for how many milliseconds each has held.
-spec due(Now :: integer(), state()) -> {[{subject(), HeldMs :: non_neg_integer()}], state()}.
due(Now, State) ->
    due(Now, [], State).

due(Now, Due, #state{turns = Turns, held = Held} = State) ->
    case gb_sets:is_empty(Turns) orelse gb_sets:smallest(Turns) of
        {At, Subject} when At =< Now ->
            #{Subject := {Since, At, Said}} = Held,
            Left = State#state{turns = gb_sets:delete({At, Subject}, Turns)},
            due(Now, [{Subject, Now - Since} | Due], said(next(Subject, Said, Now), Subject, Since, Said + 1, Left));
        _EmptyOrLater ->
            {lists:sort(Due), State}
    end.

said(ended, Subject, _Since, _Said, #state{held = Held} = State) -> State#state{held = maps:remove(Subject, Held)};
said(At, Subject, Since, Said, State) -> put_off(Subject, Since, At, Said, State).

next({lasting, _Name}, _Said, _Now) -> ended;
next(not_self_listed, _Said, _Now) -> never;
next({unanswered, _Query}, _Said, Now) -> Now + ?LATER_MS;
next(Subject, 0, Now) -> at(Subject, Now + ?SECOND_MS);
next(Subject, _Said, Now) -> at(Subject, Now + ?LATER_MS).

%% Returns when due/2 must be called next.
-spec due_at(state()) -> integer() | none.
due_at(#state{turns = Turns}) ->
    case gb_sets:is_empty(Turns) orelse gb_sets:smallest(Turns) of
        {At, _Subject} -> At;
        true -> none
    end.
