%% @doc Answers of the test DNS server that are held back until the test lets them go.
%%
%% ```
%% Gate = caravan_dns_gate:new(),
%% ok = caravan_dns_server:put(Server, "held.test", a, caravan_dns_gate:hold(Gate, [{a, 30, {10, 0, 0, 1}}])),
%% Ref = caravan_dns:lookup_async("held.test", a),
%% ok = caravan_dns_server:await_queries(Server, 1, 5000),
%% ok = caravan_dns_gate:open(Gate).
%% '''
-module(caravan_dns_gate).

-export([new/0, hold/2, open/1]).

%% @doc Returns a closed gate. It is linked to the caller, and opens at the latest when the caller terminates.
-spec new() -> pid().
new() ->
    spawn_link(fun() -> receive open -> ok end end).

%% @doc Returns an answer that waits for the gate. Until then it blocks its socket, which for UDP serves all queries.
-spec hold(pid(), caravan_dns_zone:answer()) -> caravan_dns_zone:answer().
hold(Gate, Answer) ->
    fun(_Transport, _Query) ->
        Monitor = monitor(process, Gate),
        receive {'DOWN', Monitor, process, Gate, _} -> Answer end
    end.

%% @doc Opens the gate for answers that wait and for later ones.
-spec open(pid()) -> ok.
open(Gate) ->
    Gate ! open,
    ok.
