%% @private
-module(caravan_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).
-export([format/1]).

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
    ok = log(#{event => bad_topologies, error => Error}),
    [].

%% A topology that cannot be started is reported and left out: a typo in one must not keep the node from booting.
topology({Name, Options}) ->
    case caravan_cluster:check_options(with_name(Name, Options)) of
        {ok, _} -> [caravan_cluster:child_spec(with_name(Name, Options))];
        {error, Error} -> reject(Name, caravan_config:topology_error(Error))
    end.

with_name(Name, Options) when is_map(Options) -> Options#{name => Name};
with_name(Name, Options) -> lists:keystore(name, 1, Options, {name, Name}).

reject(Name, Error) ->
    ok = log(#{event => bad_topology, topology => Name, error => Error}),
    [].

log(Report) ->
    caravan_log:report(error, Report, fun ?MODULE:format/1).

%% The line for an event in the log; called by logger.
-spec format(map()) -> {io:format(), [term()]}.
format(#{event := bad_topologies, error := Error}) ->
    {"~ts", [caravan_option:format_error(Error)]};
format(#{event := bad_topology, topology := Name, error := Error}) ->
    {"~ts; topology ~ts is not started", [caravan_option:format_error(Error), Name]};
format(Report) ->
    {"caravan: ~0tp", [Report]}.
