%% @doc What topologies and the default resolver are like now, as events of <a href="https://hexdocs.pm/telemetry">telemetry</a>:
%% gauges for `telemetry_poller', and through it for Prometheus and others. docs/telemetry.md has all events of Caravan, recipes and a
%% dashboard. Caravan does not depend on telemetry: without that application nothing happens.
-module(caravan_telemetry).

-export([measure/0]).

%% Milliseconds, for all of it.
-define(BOUND_MS, 1000).

%% @doc Emits `[caravan, cluster, status]' for each topology of this node, and `[caravan, resolver, status]',
%% `[caravan, resolver, outcome]' and `[caravan, resolver, latency]' for the default resolver. It never raises, and takes a second at
%% the longest: a topology that does not answer within that time is left out. Of 500 nodes it counts, and lists none.
%%
%% ```
%% {ok, _} = telemetry_poller:start_link([{measurements, [{caravan_telemetry, measure, []}]}, {period, 10000}]).
%% '''
-spec measure() -> ok.
measure() ->
    measure(caravan_event:is_heard()).

measure(false) ->
    ok;
measure(true) ->
    Deadline = erlang:monotonic_time(millisecond) + ?BOUND_MS,
    lists:foreach(fun topology/1, caravan_topology:ask(caravan_cluster:topologies(), gauges, ?BOUND_MS)),
    resolver(caravan_task:call(fun caravan_dns:stats/0, Deadline)).

topology({Name, {ok, Gauges}}) ->
    caravan_event:execute([caravan, cluster, status], Gauges, #{topology => Name});
topology({_Name, _BusyOrGone}) ->
    ok.

resolver({ok, {ok, #{outcomes := Outcomes, latency := Latency} = Stats}}) ->
    Of = #{resolver => default},
    ok = caravan_event:execute([caravan, resolver, status], maps:without([outcomes, latency], Stats), Of),
    maps:foreach(
        fun(Outcome, Count) -> ok = caravan_event:execute([caravan, resolver, outcome], #{count => Count}, Of#{outcome => Outcome}) end,
        Outcomes
    ),
    latency(Latency, 0, Of);
resolver(_NoResolver) ->
    ok.

%% As Prometheus has buckets: each counts what the ones before it count, too.
latency([], _Sum, _Of) ->
    ok;
latency([{Bound, Count} | Latency], Sum, Of) ->
    ok = caravan_event:execute([caravan, resolver, latency], #{bucket => Sum + Count}, Of#{le => seconds(Bound)}),
    latency(Latency, Sum + Count, Of).

seconds(infinity) -> <<"+Inf">>;
seconds(Microseconds) -> float_to_binary(Microseconds / 1000000, [{decimals, 6}, compact]).
