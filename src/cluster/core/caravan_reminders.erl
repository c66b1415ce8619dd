%% @private
%% Which conditions an operator is reminded of while they hold, and when: a minute after they began, ten minutes later, and each
%% hour from then on; of what the log has had at its begin, ten minutes after that for the first time. What ends before is never said. A functional state of the deciding core.
-module(caravan_reminders).

-export([new/0, holds/3, ends/2, is_held/2, due/2, due_at/1]).

-export_type([state/0, subject/0]).

-type subject() ::
    %% Nodes are wanted, and none is connected.
    alone
    %% Complete answers do not have this node. That may be as it should be, and is said once.
    | not_self_listed
    %% A query that has never had an answer.
    | {never_answered, Query :: term()}
    %% A query that has had an answer, and has none now. The log has that at once.
    | {unanswered, Query :: term()}
    %% A wanted node that cannot be connected.
    | {failing, Name :: binary()}
    %% A connection to a node whose connections have not lasted. That it lasts is said once.
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

%% The condition holds: since now, unless it did before.
-spec holds(subject(), Now :: integer(), state()) -> state().
holds(Subject, _Now, #state{held = Held} = State) when is_map_key(Subject, Held) ->
    State;
holds(Subject, Now, State) ->
    put_off(Subject, Now, at(Subject, Now + first(Subject)), 0, State).

first({unanswered, _Query}) -> ?SECOND_MS;
first(_Subject) -> ?MINUTE_MS.

%% Nodes fail one after the other, and one line a minute names all of them.
at({Kind, _}, At) when Kind =:= failing; Kind =:= lasting -> At + (?MINUTE_MS - mod(At, ?MINUTE_MS)) rem ?MINUTE_MS;
at(_Subject, At) -> At.

%% The clock may be below zero.
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

%% What is to be said now, and for how many milliseconds it has held.
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

%% When due/2 has something to say.
-spec due_at(state()) -> integer() | none.
due_at(#state{turns = Turns}) ->
    case gb_sets:is_empty(Turns) orelse gb_sets:smallest(Turns) of
        {At, _Subject} -> At;
        true -> none
    end.
