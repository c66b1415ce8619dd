%% @private
-module(caravan_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

%% The tables belong to the supervisor, so that no crash of a topology takes them along.
init([]) ->
    ok = caravan_glue:create(),
    ok = caravan_topology_registry:create(),
    {ok, {#{strategy => one_for_one, intensity => 10, period => 10}, topologies(caravan_config:value(topologies))}}.

topologies({ok, Topologies}) ->
    lists:flatmap(fun topology/1, Topologies);
topologies({error, Error}) ->
    logger:error("~ts", [caravan_option:format_error(Error)]),
    [].

%% A topology that cannot be started is reported and left out: a typo in one must not keep the node from booting.
topology({Name, Options}) ->
    case caravan_cluster:check_options(with_name(Name, Options)) of
        {ok, _} -> [caravan_cluster:child_spec(with_name(Name, Options))];
        {error, Error} -> reject(Name, Error)
    end.

with_name(Name, Options) when is_map(Options) -> Options#{name => Name};
with_name(Name, Options) -> lists:keystore(name, 1, Options, {name, Name}).

reject(Name, Error) ->
    logger:error("~ts; topology ~ts is not started", [caravan_option:format_error(Error), Name]),
    [].
