%% @private
%% When a topology looks again, and when it tries a node again: longer after each failure, up to a limit, and never
%% quite when the others do. Milliseconds.
-module(caravan_schedule).

-export([next_poll/2, look_after_nodedown/1, backoff/1, flap_backoff/1, steady_after/0]).

-export_type([pace/0]).

%% How the last poll ended: it failed as the Count-th in a row, it changed what is wanted, or it did not.
-type pace() :: {failed, Count :: pos_integer()} | {changed, TtlSeconds :: non_neg_integer()}
    | {steady, TtlSeconds :: non_neg_integer()}.

-define(MAX_FAILED_INTERVAL, 60000).
-define(LEAST_INTERVAL, 100).
-define(FIRST_BACKOFF, 1000).
-define(MAX_BACKOFF, 60000).

-define(FIRST_FLAP_BACKOFF, 10000).
-define(FLAP_FACTOR, 4).
-define(MAX_FLAP_BACKOFF, 600000).
-define(STEADY, 30000).

%% No TTL keeps a topology from looking for longer than the longest poll_interval.
-define(MAX_TTL, 3600000).

%% What changes once often goes on changing: nodes are deployed one after the other.
-define(SOONER, 4).

%% After that many failures in a row every limit is reached; a larger shift would make large numbers of no use.
-define(MAX_DOUBLINGS, 16).

%% A tenth up or down: nodes that started together do not ask together for ever. While polls fail the interval is
%% doubled each time, up to a minute, or kept if it is longer. No answer is asked for again while its TTL runs: whoever
%% gave it would give the same.
-spec next_poll(Interval :: pos_integer(), pace()) -> pos_integer().
next_poll(Interval, {failed, Count}) ->
    jittered(doubled(Interval, Count, max(Interval, ?MAX_FAILED_INTERVAL)));
next_poll(Interval, {changed, Ttl}) ->
    not_before(Ttl, jittered(max(?LEAST_INTERVAL, Interval div ?SOONER)));
next_poll(Interval, {steady, Ttl}) ->
    not_before(Ttl, jittered(Interval)).

jittered(Wait) ->
    Wait - Wait div 10 + rand:uniform(max(1, Wait div 5)).

not_before(Ttl, Wait) when Ttl * 1000 =< Wait -> Wait;
%% Those that got an answer together do not ask for the next one together.
not_before(Ttl, _Wait) -> min(Ttl * 1000, ?MAX_TTL) + rand:uniform(?LEAST_INTERVAL).

%% All nodes see that one went down, and half of a cluster may go: what they ask together stays in the order of what they
%% ask while nothing happens.
-spec look_after_nodedown(Interval :: pos_integer()) -> pos_integer().
look_after_nodedown(Interval) ->
    Interval div 2 + rand:uniform(max(1, Interval div 2)).

%% After the Count-th failure in a row. Less up to a quarter, so that nodes which failed together do not come back
%% together.
-spec backoff(pos_integer()) -> pos_integer().
backoff(Count) ->
    Wait = doubled(?FIRST_BACKOFF, Count - 1, ?MAX_BACKOFF),
    Wait - rand:uniform(Wait div 4).

%% After the Count-th connection in a row that did not last. Both ends wait so, and the first of them to try again has the
%% other's wait end, too.
-spec flap_backoff(pos_integer()) -> pos_integer().
flap_backoff(Count) ->
    Wait = min(?MAX_FLAP_BACKOFF, ?FIRST_FLAP_BACKOFF * power(?FLAP_FACTOR, min(Count - 1, ?MAX_DOUBLINGS))),
    Wait - rand:uniform(Wait div 4).

power(_Base, 0) -> 1;
power(Base, Exponent) -> Base * power(Base, Exponent - 1).

%% How long a connection must last to be none that flaps. Those that `global' lets go last some seconds, as long as it takes
%% to find out that two nodes do not reach each other.
-spec steady_after() -> pos_integer().
steady_after() -> ?STEADY.

doubled(Wait, Times, Longest) ->
    min(Longest, Wait bsl min(Times, ?MAX_DOUBLINGS)).
