%% @private
%% Intervals of polls and attempts. They grow with each failure up to a limit, and are random within bounds, so that nodes do
%% not act at the same time. All times are in milliseconds. Random numbers are arguments, so that equal arguments give equal
%% results.
-module(caravan_schedule).

-export([next_poll/3, look_after_nodedown/2, backoff/2, flap_backoff/2, rest/1, steady_after/0, report_delay/0, earlier/2]).

-export_type([pace/0, random/0]).

%% How the last poll ended: it failed, as the Count-th in a row; it changed the wanted nodes; or it did not change them.
-type pace() :: {failed, Count :: pos_integer()} | {changed, TtlSeconds :: non_neg_integer()}
    | {steady, TtlSeconds :: non_neg_integer()}.
-type random() :: non_neg_integer().

-define(MAX_FAILED_INTERVAL, 60000).
-define(LEAST_INTERVAL, 100).
-define(FIRST_BACKOFF, 1000).
-define(MAX_BACKOFF, 60000).

-define(FIRST_FLAP_BACKOFF, 30000).
-define(FLAP_FACTOR, 4).
-define(MAX_FLAP_BACKOFF, 600000).
%% More than the 42 s that `global' needs to find out that two nodes cannot reach each other: it tries six times
%% (global_connect_retries of kernel, and once before), and a handshake that hangs takes 7 s (net_setuptime).
-define(STEADY, 60000).

-define(REST, 1000).

-define(REPORT_DELAY, 500).

%% A longer TTL does not delay the next poll beyond the maximal poll_interval.
-define(MAX_TTL, 3600000).

%% After a change the next poll comes sooner, by this factor, because deployments replace one node after another.
-define(SOONER, 4).

%% After this many failures in a row every limit is reached. A larger shift would only make large numbers.
-define(MAX_DOUBLINGS, 16).

%% Returns the time until the next poll. The interval is random within a tenth of its value, so that nodes that started at
%% the same time do not go on polling at the same time. It doubles with each failed poll, up to a minute, or up to `Interval'
%% if that is longer. No poll comes before the TTL of the last answer has expired, since it would return the same.
-spec next_poll(Interval :: pos_integer(), pace(), random()) -> pos_integer().
next_poll(Interval, {failed, Count}, Random) ->
    jittered(doubled(Interval, Count, max(Interval, ?MAX_FAILED_INTERVAL)), Random);
next_poll(Interval, {changed, Ttl}, Random) ->
    not_before(Ttl, jittered(max(?LEAST_INTERVAL, Interval div ?SOONER), Random), Random);
next_poll(Interval, {steady, Ttl}, Random) ->
    not_before(Ttl, jittered(Interval, Random), Random).

jittered(Wait, Random) ->
    Wait - Wait div 10 + one_to(max(1, Wait div 5), Random).

not_before(Ttl, Wait, _Random) when Ttl * 1000 =< Wait -> Wait;
%% Nodes that got an answer at the same time should not ask for the next one at the same time.
not_before(Ttl, _Wait, Random) -> min(Ttl * 1000, ?MAX_TTL) + one_to(?LEAST_INTERVAL, Random).

%% Returns the time until the poll that follows the loss of a node. All nodes notice the loss, and half of a cluster may be
%% lost at once, so these polls are spread over half of an interval.
-spec look_after_nodedown(Interval :: pos_integer(), random()) -> pos_integer().
look_after_nodedown(Interval, Random) ->
    Interval div 2 + one_to(max(1, Interval div 2), Random).

%% Returns the back-off after the Count-th failure in a row. It is shortened by up to a quarter at random, so that nodes that
%% failed at the same time are not tried at the same time.
-spec backoff(Count :: pos_integer(), random()) -> pos_integer().
backoff(Count, Random) ->
    Wait = doubled(?FIRST_BACKOFF, Count - 1, ?MAX_BACKOFF),
    Wait - one_to(Wait div 4, Random).

%% Returns the back-off after the Count-th connection in a row that did not last. All nodes of the cluster wait, and the
%% first one to connect makes the others connect as well, so the back-off is lengthened at random, by up to a tenth: even the
%% first one waits for the whole time.
-spec flap_backoff(Count :: pos_integer(), random()) -> pos_integer().
flap_backoff(Count, Random) ->
    Wait = min(?MAX_FLAP_BACKOFF, ?FIRST_FLAP_BACKOFF * power(?FLAP_FACTOR, min(Count - 1, ?MAX_DOUBLINGS))),
    Wait + one_to(Wait div 10, Random).

power(_Base, 0) -> 1;
power(Base, Exponent) -> Base * power(Base, Exponent - 1).

%% Returns how long to wait until `global' has finished what it does because of a lost connection.
-spec rest(random()) -> pos_integer().
rest(Random) ->
    ?REST + one_to(?REST, Random).

%% Returns how long a connection must last so that it does not count as a flap.
-spec steady_after() -> pos_integer().
steady_after() -> ?STEADY.

%% Returns how long to collect events for one line of the log. A node that joins a large cluster connects to all of it within
%% this time.
-spec report_delay() -> pos_integer().
report_delay() -> ?REPORT_DELAY.

-spec earlier(integer() | none, integer() | none) -> integer() | none.
earlier(none, At) -> At;
earlier(At, none) -> At;
earlier(One, Other) -> min(One, Other).

doubled(Wait, Times, Longest) ->
    min(Longest, Wait bsl min(Times, ?MAX_DOUBLINGS)).

%% The limit is part of the hash, so that one random number gives different results for different limits.
one_to(Limit, Random) ->
    1 + erlang:phash2({Limit, Random}, Limit).
