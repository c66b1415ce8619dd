%% @private
%% What the log is told of members that come and go. A node that joins a large cluster, or leaves it, is connected to all of it
%% or loses all of it within a moment, and one line says so. A node that is lost and cannot be connected again is one event, and so
%% are nodes that cannot be connected for the same reason. A functional state of the deciding core.
-module(caravan_news).

-export([new/1, came/3, lost/3, lost_again/2, left/2, failed/4, has_line/3, due/3, due_at/1]).

-export_type([state/0, loss/0, failure/0]).

-type name() :: binary().

%% With the connection that has not lasted, if that is so not for the first time. The reason of a node that has said that it
%% leaves is `left'.
-type loss() :: {name(), Reason :: term(), IsWanted :: boolean(), caravan_flaps:flap() | none}.

-type failure() :: {name(), Reason :: term()}.

-type report() ::
    {connected, [name(), ...], Members :: non_neg_integer()}
    %% With those of them that could not be connected again.
    | {lost, [loss(), ...], [failure()], Members :: non_neg_integer()}
    | {left, [name(), ...], Members :: non_neg_integer()}
    | {connect_failed, Reason :: term(), [name(), ...]}
    | {left_out, caravan_line_budget:counts()}.

-record(state, {
    %% The last one first.
    newcomers = [] :: [name()],
    losses = [] :: [loss()],
    failures = [] :: [failure()],
    %% When the log is told of them.
    told_at = none :: integer() | none,
    lines :: caravan_line_budget:state()
}).

-opaque state() :: #state{}.

-spec new(Now :: integer()) -> state().
new(Now) ->
    #state{lines = caravan_line_budget:new(Now)}.

%% A member is connected.
-spec came(name(), Now :: integer(), state()) -> state().
came(Name, Now, #state{newcomers = Newcomers} = State) ->
    soon(Now, State#state{newcomers = [Name | Newcomers]}).

%% A member was lost.
-spec lost(loss(), Now :: integer(), state()) -> state().
lost(Loss, Now, #state{losses = Losses} = State) ->
    soon(Now, State#state{losses = [Loss | Losses]}).

%% A member was lost of which the log need not be told, unless it is about to be: then the last reason counts.
-spec lost_again(loss(), state()) -> state().
lost_again({Name, _, _, _} = Loss, #state{losses = Losses} = State) ->
    case lists:keymember(Name, 1, Losses) of
        true -> State#state{losses = [Loss | Losses]};
        false -> State
    end.

%% A member that was lost turns out to have left.
-spec left(name(), state()) -> state().
left(Name, #state{losses = Losses} = State) ->
    State#state{losses = lists:map(fun(Loss) -> as_left(Name, Loss) end, Losses)}.

as_left(Name, {Name, _Reason, IsWanted, _Flap}) -> {Name, left, IsWanted, none};
as_left(_Name, Loss) -> Loss.

%% A node could not be connected, for a reason that is new.
-spec failed(name(), Reason :: term(), Now :: integer(), state()) -> state().
failed(Name, Reason, Now, #state{failures = Failures} = State) ->
    soon(Now, State#state{failures = [{Name, Reason} | Failures]}).

soon(Now, #state{told_at = none} = State) -> State#state{told_at = Now + caravan_schedule:report_delay()};
soon(_Now, State) -> State.

%% Whether an event of this kind has a line.
-spec has_line(Kind :: atom(), Now :: integer(), state()) -> {boolean(), state()}.
has_line(Kind, Now, #state{lines = Lines} = State) ->
    {HasLine, Left} = caravan_line_budget:spend(Kind, Now, Lines),
    {HasLine, State#state{lines = Left}}.

%% What the log is told now. Of those that came, those that are there still; of those that failed, those that are missing still.
-spec due(Now :: integer(), caravan_members:state(), state()) -> {[report()], state()}.
due(Now, Members, State) ->
    {OfMembers, Told} = due_of_members(Now, Members, State),
    {LeftOut, Lines} = caravan_line_budget:summary(Now, Told#state.lines),
    {[{left_out, LeftOut} || LeftOut =/= none] ++ OfMembers, Told#state{lines = Lines}}.

due_of_members(Now, Members, #state{told_at = At, newcomers = Newcomers, losses = LastFirst} = State) when is_integer(At), At =< Now ->
    Came = [Name || Name <- lists:usort(Newcomers), caravan_members:is_member(Name, Members)],
    Count = caravan_members:count(Members),
    {Departures, Losses} = departures(lists:reverse(LastFirst)),
    Left = lists:usort([Name || {Name, _, _, _} <- Departures]),
    Failures = [
        Failure
     || {Name, _} = Failure <- lists:reverse(State#state.failures),
        not caravan_members:is_member(Name, Members), not lists:member(Name, Left)
    ],
    {OfLost, Others} = lists:partition(fun({Name, _Reason}) -> lists:keymember(Name, 1, Losses) end, Failures),
    Reports = lists:append([
        [{lost, Losses, OfLost, Count} || Losses =/= []],
        [{left, Left, Count} || Left =/= []],
        by_reason(Others),
        [{connected, Came, Count} || Came =/= []]
    ]),
    {Reports, State#state{told_at = none, newcomers = [], losses = [], failures = []}};
due_of_members(_Now, _Members, State) ->
    {[], State}.

%% Of who was lost twice the last reason counts.
departures(Losses) ->
    Last = maps:from_list([{Name, Reason} || {Name, Reason, _, _} <- Losses]),
    lists:partition(fun(Loss) -> map_get(element(1, Loss), Last) =:= left end, Losses).

by_reason([]) ->
    [];
by_reason([{_Name, Reason} | _] = Failures) ->
    Kind = caravan_reason_kind:of_reason(Reason),
    {Same, Others} = lists:partition(fun({_, Other}) -> caravan_reason_kind:of_reason(Other) =:= Kind end, Failures),
    [{connect_failed, Reason, lists:usort([Name || {Name, _} <- Same])} | by_reason(Others)].

%% When due/3 has something to say.
-spec due_at(state()) -> integer() | none.
due_at(#state{told_at = At, lines = Lines}) ->
    caravan_schedule:earlier(At, caravan_line_budget:due_at(Lines)).
