%% @private
%% How many lines a topology logs. A steady fault, or a deploy of a large cluster, makes more events than anybody reads: after so
%% many lines there is one a minute, which counts what was left out. A functional state of the deciding core.
-module(caravan_line_budget).

-export([new/1, spend/3, summary/2, due_at/1]).

-export_type([state/0, counts/0]).

%% How many events of each kind had no line, since when.
-type counts() :: #{Kind :: atom() => pos_integer()}.

%% So many lines at once, and one more each minute.
-define(BURST, 20).
-define(REFILL_MS, 60000).

-record(state, {
    lines = ?BURST :: non_neg_integer(),
    %% Since when the next line is on its way.
    filled_at :: integer(),
    left_out = #{} :: counts()
}).

-opaque state() :: #state{}.

-spec new(Now :: integer()) -> state().
new(Now) ->
    #state{filled_at = Now}.

%% Whether an event of this kind has a line. One that has none is counted.
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

%% What has been left out so far, when there is a line for that.
-spec summary(Now :: integer(), state()) -> {counts() | none, state()}.
summary(_Now, #state{left_out = LeftOut} = State) when map_size(LeftOut) =:= 0 ->
    {none, State};
summary(Now, State) ->
    case filled(Now, State) of
        #state{lines = 0} = Filled -> {none, Filled};
        #state{lines = Lines, left_out = LeftOut} = Filled -> {LeftOut, Filled#state{lines = Lines - 1, left_out = #{}}}
    end.

%% When summary/2 has something to say.
-spec due_at(state()) -> integer() | none.
due_at(#state{left_out = LeftOut}) when map_size(LeftOut) =:= 0 -> none;
due_at(#state{lines = 0, filled_at = At}) -> At + ?REFILL_MS;
due_at(#state{filled_at = At}) -> At.
