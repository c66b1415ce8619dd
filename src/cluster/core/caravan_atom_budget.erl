%% @private
%% Bounds how many names of answers become atoms. Names come from the network and atoms are never collected, so a topology
%% may spend only a limited number of atoms on names under which no node has been connected. A name under which a node is
%% connected gives its atom back, so that a cluster may replace its nodes for years. In addition, one atom is given back
%% every ten minutes, that of the oldest name: a node that crashes repeatedly and comes back under a new name each time does
%% not exclude new nodes for good. Functional state.
-module(caravan_atom_budget).

-export([new/1, change/2, admit/4, proven/2, left/1]).

-export_type([state/0]).

-type name() :: binary().

%% 52,560 atoms a year, of the 1,048,576 that a VM has by default.
-define(REFILL_MS, 600000).

-record(state, {
    budget :: pos_integer(),
    %% The names that have cost an atom, with a serial number, and the same by serial number.
    spent = #{} :: #{name() => Serial :: integer()},
    order = gb_trees:empty() :: gb_trees:tree(Serial :: integer(), name()),
    serial = 0 :: integer(),
    refilled_at = 0 :: integer(),
    %% For each query the names of its last answer that were refused, and since when.
    refused = #{} :: #{Query :: term() => #{name() => Since :: integer()}}
}).

-opaque state() :: #state{}.

-spec new(Budget :: pos_integer()) -> state().
new(Budget) ->
    #state{budget = Budget}.

%% Changes the budget. What has been spent stays spent.
-spec change(Budget :: pos_integer(), state()) -> state().
change(Budget, State) ->
    State#state{budget = Budget}.

%% Decides which names of an answer to this query may become atoms. The given names are no atoms so far. If the budget does
%% not suffice for all, the names that have been refused for longest are admitted first. Returns the refused names.
-spec admit([name()], Query :: term(), Now :: integer(), state()) -> {Refused :: [name()], state()}.
admit([], Query, _Now, #state{refused = Refused} = State) ->
    {[], State#state{refused = maps:remove(Query, Refused)}};
admit(Unknown, Query, Now, State) ->
    #state{budget = Budget, spent = Spent, refused = AllBefore} = Refilled = refill(Now, State),
    Before = maps:get(Query, AllBefore, #{}),
    New = [Name || Name <- Unknown, not is_map_key(Name, Spent)],
    Room = max(0, Budget - map_size(Spent)),
    case length(New) =< Room of
        true ->
            {[], spend(New, Now, Refilled#state{refused = maps:remove(Query, AllBefore)})};
        false ->
            Waiting = lists:sort([{maps:get(Name, Before, Now), Name} || Name <- New]),
            {Admitted, Refused} = lists:split(Room, Waiting),
            Spending = spend([Name || {_, Name} <- Admitted], Now, Refilled),
            {[Name || {_, Name} <- Refused], Spending#state{
                refused = AllBefore#{Query => maps:from_list([{Name, Since} || {Since, Name} <- Refused])}
            }}
    end.

spend(Names, Now, #state{spent = Spent} = State) when map_size(Spent) =:= 0, Names =/= [] ->
    lists:foldl(fun spend_one/2, State#state{refilled_at = Now}, Names);
spend(Names, _Now, State) ->
    lists:foldl(fun spend_one/2, State, Names).

spend_one(Name, #state{spent = Spent, order = Order, serial = Serial} = State) ->
    State#state{
        spent = Spent#{Name => Serial}, order = gb_trees:insert(Serial, Name, Order), serial = Serial + 1
    }.

refill(Now, #state{refilled_at = At, spent = Spent} = State) when map_size(Spent) > 0, Now - At >= ?REFILL_MS ->
    give_back_oldest((Now - At) div ?REFILL_MS, State#state{refilled_at = Now - (Now - At) rem ?REFILL_MS});
refill(_Now, State) ->
    State.

give_back_oldest(Count, #state{spent = Spent, order = Order} = State) when Count > 0, map_size(Spent) > 0 ->
    {_Serial, Name, Left} = gb_trees:take_smallest(Order),
    give_back_oldest(Count - 1, State#state{spent = maps:remove(Name, Spent), order = Left});
give_back_oldest(_Count, State) ->
    State.

%% A node was connected under one of these names, which belong to one record. All of them give their atoms back, since the
%% record is genuine.
-spec proven([name()], state()) -> state().
proven(Names, State) ->
    lists:foldl(fun give_back/2, State, Names).

give_back(Name, #state{spent = Spent, order = Order} = State) ->
    case maps:take(Name, Spent) of
        {Serial, Left} -> State#state{spent = Left, order = gb_trees:delete(Serial, Order)};
        error -> State
    end.

-spec left(state()) -> non_neg_integer().
left(#state{budget = Budget, spent = Spent}) ->
    max(0, Budget - map_size(Spent)).
