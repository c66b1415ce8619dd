%% @private
%% When a topology looks again, and when it tries a node again: later after each failure, up to a limit, and never at quite
%% the same time as other nodes do. All times are milliseconds. Each function takes a random number from its caller, so that
%% equal arguments give equal results.
-module(caravan_schedule).

-export([next_poll/3, look_after_nodedown/2, backoff/2, flap_backoff/2, rest/1, steady_after/0, report_delay/0, earlier/2]).

-export_type([pace/0, random/0]).

%% How the last poll ended: it failed as the Count-th in a row, it changed what is wanted, or it did not.
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
%% More than the 42 s in which `global' finds out that two nodes do not reach each other: it tries six times
%% (global_connect_retries of kernel, and once before), and a handshake that hangs takes 7 s (net_setuptime).
-define(STEADY, 60000).

-define(REST, 1000).

-define(REPORT_DELAY, 500).

%% No TTL keeps a topology from looking for longer than the longest poll_interval.
-define(MAX_TTL, 3600000).

%% What changes once often goes on changing: nodes are deployed one after the other.
-define(SOONER, 4).

%% After that many failures in a row every limit is reached; a larger shift would make large numbers of no use.
-define(MAX_DOUBLINGS, 16).

%% A tenth up or down: nodes that started together do not ask together for ever. While polls fail the interval is
%% doubled each time, up to a minute, or kept if it is longer. No answer is asked for again while its TTL runs: whoever
%% gave it would give the same.
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
%% Those that got an answer together do not ask for the next one together.
not_before(Ttl, _Wait, Random) -> min(Ttl * 1000, ?MAX_TTL) + one_to(?LEAST_INTERVAL, Random).

%% All nodes see that one went down, and half of a cluster may go: what they ask together stays in the order of what they
%% ask while nothing happens.
-spec look_after_nodedown(Interval :: pos_integer(), random()) -> pos_integer().
look_after_nodedown(Interval, Random) ->
    Interval div 2 + one_to(max(1, Interval div 2), Random).

%% After the Count-th failure in a row. Less up to a quarter, so that nodes which failed together do not come back
%% together.
-spec backoff(Count :: pos_integer(), random()) -> pos_integer().
backoff(Count, Random) ->
    Wait = doubled(?FIRST_BACKOFF, Count - 1, ?MAX_BACKOFF),
    Wait - one_to(Wait div 4, Random).

%% After the Count-th connection in a row that did not last. All nodes that are connected to one another wait so, and the first of
%% them to try again connects the others, too; more by up to a tenth, so that even that one keeps to the wait.
-spec flap_backoff(Count :: pos_integer(), random()) -> pos_integer().
flap_backoff(Count, Random) ->
    Wait = min(?MAX_FLAP_BACKOFF, ?FIRST_FLAP_BACKOFF * power(?FLAP_FACTOR, min(Count - 1, ?MAX_DOUBLINGS))),
    Wait + one_to(Wait div 10, Random).

power(_Base, 0) -> 1;
power(Base, Exponent) -> Base * power(Base, Exponent - 1).

%% Until what `global' does because of a lost connection is done with.
-spec rest(random()) -> pos_integer().
rest(Random) ->
    ?REST + one_to(?REST, Random).

%% How long a connection must last to be none that flaps.
-spec steady_after() -> pos_integer().
steady_after() -> ?STEADY.

%% A node that joins a large cluster is connected to all of it within this time, and one line of the log says so.
-spec report_delay() -> pos_integer().
report_delay() -> ?REPORT_DELAY.

-spec earlier(integer() | none, integer() | none) -> integer() | none.
earlier(none, At) -> At;
earlier(At, none) -> At;
earlier(One, Other) -> min(One, Other).

doubled(Wait, Times, Longest) ->
    min(Longest, Wait bsl min(Times, ?MAX_DOUBLINGS)).

%% Different calls with one random number give different numbers where their limits differ.
one_to(Limit, Random) ->
    1 + erlang:phash2({Limit, Random}, Limit).
