%% @private
%% Supervises the topologies that caravan_topologies keeps running. Children are temporary, since caravan_topologies restarts
%% them.
-module(caravan_topologies_sup).
-behaviour(supervisor).

-export([start_link/0, start_child/1, stop_child/1]).
-export([init/1]).

-spec start_link() -> {ok, pid()} | {error, {already_started, pid()}}.
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec start_child(caravan_cluster:options()) -> {ok, pid() | undefined} | {error, term()}.
start_child(Options) ->
    supervisor:start_child(?MODULE, [Options]).

-spec stop_child(pid()) -> ok.
stop_child(Pid) ->
    _ = supervisor:terminate_child(?MODULE, Pid),
    ok.

init([]) ->
    Topology = #{
        id => topology, start => {caravan_cluster, start_link, []}, restart => temporary, modules => [caravan_topology]
    },
    {ok, {#{strategy => simple_one_for_one}, [Topology]}}.
