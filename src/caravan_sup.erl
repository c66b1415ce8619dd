%% @private
-module(caravan_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

%% The supervisor owns the tables, so that they outlive a crash of a topology. Topologies keep running when
%% caravan_topologies crashes, and its successor takes charge of them.
init([]) ->
    ok = caravan_glue:create(),
    ok = caravan_address_history:create(),
    ok = caravan_topology_registry:create(),
    {ok, {#{strategy => rest_for_one, intensity => 10, period => 10}, [
        #{id => caravan_topologies_sup, start => {caravan_topologies_sup, start_link, []}, type => supervisor},
        #{id => caravan_topologies, start => {caravan_topologies, start_link, []}},
        #{id => caravan_departures, start => {caravan_departures, start_link, []}},
        #{id => caravan_health, start => {caravan_health, start_link, []}}
    ]}}.
