%% @private
%% When a topology looks again, and when it tries a node again: longer after each failure, up to a limit, and never
%% quite when the others do. Milliseconds.
-module(caravan_schedule).

-export([next_poll/2, look_after_nodedown/0, backoff/1]).

-define(MAX_FAILED_INTERVAL, 60000).
-define(NODEDOWN_SPREAD, 200).
-define(FIRST_BACKOFF, 1000).
-define(MAX_BACKOFF, 60000).

%% After that many failures in a row every limit is reached; a larger shift would make large numbers of no use.
-define(MAX_DOUBLINGS, 16).

%% The interval, doubled for each failed poll in a row, and a tenth up or down: nodes that started together do not ask
%% together for ever. An interval above a minute is kept as it is.
-spec next_poll(pos_integer(), FailedPolls :: non_neg_integer()) -> pos_integer().
next_poll(Interval, FailedPolls) ->
    Wait = doubled(Interval, FailedPolls, max(Interval, ?MAX_FAILED_INTERVAL)),
    Wait - Wait div 10 + rand:uniform(max(1, Wait div 5)).

%% All nodes see that one went down; not all of them look in the same instant.
-spec look_after_nodedown() -> pos_integer().
look_after_nodedown() ->
    rand:uniform(?NODEDOWN_SPREAD).

%% After the Count-th failure in a row. Less up to a quarter, so that nodes which failed together do not come back
%% together.
-spec backoff(pos_integer()) -> pos_integer().
backoff(Count) ->
    Wait = doubled(?FIRST_BACKOFF, Count - 1, ?MAX_BACKOFF),
    Wait - rand:uniform(Wait div 4).

doubled(Wait, Times, Longest) ->
    min(Longest, Wait bsl min(Times, ?MAX_DOUBLINGS)).
