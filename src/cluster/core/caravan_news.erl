%% @private
%% What the log reports about nodes that connect, fail and are lost. A node that joins a large cluster, or leaves it, gains
%% or loses all members within a moment, which is reported in one line. A node that is lost and cannot be connected again is
%% one event, and so are several nodes that cannot be connected for the same reason. Functional state of the deciding core.
-module(caravan_news).

-export([new/1, came/3, lost/3, lost_again/2, left/2, failed/4, has_line/3, due/3, due_at/1]).

-export_type([state/0, loss/0, failure/0]).

-type name() :: binary().

%% The loss of a member, with the flap if its connections did not last repeatedly. The reason is `left' if the node had
%% announced that it leaves.
-type loss() :: {name(), Reason :: term(), IsWanted :: boolean(), caravan_flaps:flap() | none}.

-type failure() :: {name(), Reason :: term()}.

-type report() ::
    {connected, [name(), ...], Members :: non_neg_integer()}
    %% With those of the lost nodes that could not be connected again.
    | {lost, [loss(), ...], [failure()], Members :: non_neg_integer()}
    | {left, [name(), ...], Members :: non_neg_integer()}
    | {connect_failed, Reason :: term(), [name(), ...]}
    | {left_out, caravan_line_budget:counts()}.

-record(state, {
    %% The most recent ones first.
    newcomers = [] :: [name()],
    losses = [] :: [loss()],
    failures = [] :: [failure()],
    %% When they are reported.
    told_at = none :: integer() | none,
    lines :: caravan_line_budget:state()
}).

-opaque state() :: #state{}.

-spec new(Now :: integer()) -> state().
new(Now) ->
    #state{lines = caravan_line_budget:new(Now)}.

%% Notes that a member has connected.
-spec came(name(), Now :: integer(), state()) -> state().
came(Name, Now, #state{newcomers = Newcomers} = State) ->
    soon(Now, State#state{newcomers = [Name | Newcomers]}).

%% Notes that a member was lost.
-spec lost(loss(), Now :: integer(), state()) -> state().
lost(Loss, Now, #state{losses = Losses} = State) ->
    soon(Now, State#state{losses = [Loss | Losses]}).

%% Notes the loss of a member that needs no line of its own. If a loss of that member is about to be reported, the new reason
%% replaces the earlier one.
-spec lost_again(loss(), state()) -> state().
lost_again({Name, _, _, _} = Loss, #state{losses = Losses} = State) ->
    case lists:keymember(Name, 1, Losses) of
        true -> State#state{losses = [Loss | Losses]};
        false -> State
    end.

%% Notes that a lost member has announced that it leaves.
-spec left(name(), state()) -> state().
left(Name, #state{losses = Losses} = State) ->
    State#state{losses = lists:map(fun(Loss) -> as_left(Name, Loss) end, Losses)}.

as_left(Name, {Name, _Reason, IsWanted, _Flap}) -> {Name, left, IsWanted, none};
as_left(_Name, Loss) -> Loss.

%% Notes that a node could not be connected for a new reason.
-spec failed(name(), Reason :: term(), Now :: integer(), state()) -> state().
failed(Name, Reason, Now, #state{failures = Failures} = State) ->
    soon(Now, State#state{failures = [{Name, Reason} | Failures]}).

soon(Now, #state{told_at = none} = State) -> State#state{told_at = Now + caravan_schedule:report_delay()};
soon(_Now, State) -> State.

%% Returns whether an event of this kind may be logged.
-spec has_line(Kind :: atom(), Now :: integer(), state()) -> {boolean(), state()}.
has_line(Kind, Now, #state{lines = Lines} = State) ->
    {HasLine, Left} = caravan_line_budget:spend(Kind, Now, Lines),
    {HasLine, State#state{lines = Left}}.

%% Returns what is to report now. Of the nodes that connected, only present members are reported; of those that failed, only
%% those that are still missing.
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

%% For a node that was lost twice, the last reason counts.
departures(Losses) ->
    Last = maps:from_list([{Name, Reason} || {Name, Reason, _, _} <- Losses]),
    lists:partition(fun(Loss) -> map_get(element(1, Loss), Last) =:= left end, Losses).

by_reason([]) ->
    [];
by_reason([{_Name, Reason} | _] = Failures) ->
    Kind = caravan_reason_kind:of_reason(Reason),
    {Same, Others} = lists:partition(fun({_, Other}) -> caravan_reason_kind:of_reason(Other) =:= Kind end, Failures),
    [{connect_failed, Reason, lists:usort([Name || {Name, _} <- Same])} | by_reason(Others)].

%% Returns when due/3 must be called next.
-spec due_at(state()) -> integer() | none.
due_at(#state{told_at = At, lines = Lines}) ->
    caravan_schedule:earlier(At, caravan_line_budget:due_at(Lines)).
