%% @private
%% Limits the number of lines that a topology logs. A persistent fault, or a deployment of a large cluster, causes more
%% events than anybody reads. When the budget is spent, one line a minute summarizes the events that were not logged.
%% Functional state of the deciding core.
-module(caravan_line_budget).

-export([new/1, spend/3, summary/2, due_at/1]).

-export_type([state/0, counts/0]).

%% The number of events of each kind that were not logged.
-type counts() :: #{Kind :: atom() => pos_integer()}.

%% How many lines may be logged at once, and how long it takes until one more may be logged.
-define(BURST, 20).
-define(REFILL_MS, 60000).

-record(state, {
    lines = ?BURST :: non_neg_integer(),
    %% Since when the budget waits for its next line.
    filled_at :: integer(),
    left_out = #{} :: counts()
}).

-opaque state() :: #state{}.

-spec new(Now :: integer()) -> state().
new(Now) ->
    #state{filled_at = Now}.

%% Returns whether an event of this kind may be logged. An event that may not is counted.
-spec spend(Kind :: atom(), Now :: integer(), state()) -> {boolean(), state()}.
spend(Kind, Now, State) ->
    case filled(Now, State) of
        #state{lines = Lines, left_out = LeftOut} = Filled when Lines > 0, map_size(LeftOut) =:= 0 ->
            {true, Filled#state{lines = Lines - 1}};
        #state{left_out = LeftOut} = Filled ->
            {false, Filled#state{left_out = maps:update_with(Kind, fun(Count) -> Count + 1 end, 1, LeftOut)}}
    end.

filled(Now, #state{lines = Lines, filled_at = At} = State) ->
    More = (Now - At) div ?REFILL_MS,
    case Lines + More >= ?BURST of
        true -> State#state{lines = ?BURST, filled_at = Now};
        false -> State#state{lines = Lines + More, filled_at = At + More * ?REFILL_MS}
    end.

%% Returns the counts of events that were not logged, if the budget has a line for the summary.
-spec summary(Now :: integer(), state()) -> {counts() | none, state()}.
summary(_Now, #state{left_out = LeftOut} = State) when map_size(LeftOut) =:= 0 ->
    {none, State};
summary(Now, State) ->
    case filled(Now, State) of
        #state{lines = 0} = Filled -> {none, Filled};
        #state{lines = Lines, left_out = LeftOut} = Filled -> {LeftOut, Filled#state{lines = Lines - 1, left_out = #{}}}
    end.

%% Returns when summary/2 must be called next.
-spec due_at(state()) -> integer() | none.
due_at(#state{left_out = LeftOut}) when map_size(LeftOut) =:= 0 -> none;
due_at(#state{lines = 0, filled_at = At}) -> At + ?REFILL_MS;
due_at(#state{filled_at = At}) -> At.
