%% @private
-module(caravan_app).
-behaviour(application).

-export([start/2, prep_stop/1, stop/1, config_change/3]).
-export([format/1]).

start(_Type, _Args) ->
    Listening = listening(),
    case caravan_boot:prepare() of
        ok ->
            ok = caravan_config_report:all(),
            warn_of_another_port(Listening, listening()),
            tell_of_port(net_kernel:get_state(), net_kernel:epmd_module()),
            warn_of_bad_resolver(caravan_dns:check_default()),
            caravan_sup:start_link();
        {error, Error} ->
            ok = log(not_started, Error),
            {error, caravan_boot:format_error(Error)}
    end.

%% Topologies of the application are still running here, whereas those under users' supervisors have ended.
prep_stop(State) ->
    ok = caravan_leave:at_stop(),
    State.

stop(_State) ->
    caravan_dns:drop_default().

config_change(Changed, New, _Removed) ->
    %% caravan_cluster:reload/0 logs errors of the topologies itself.
    ok = caravan_config_report:changed([Key || {Key, _} <- Changed ++ New, Key =/= topologies]),
    _ = caravan_cluster:reload(),
    ok = caravan_health:reload(),
    ok.

%% The node starts even if the default resolver has bad options, so that other applications run; lookups return the error.
warn_of_bad_resolver(ok) -> ok;
warn_of_bad_resolver({error, Error}) -> log(bad_resolver, Error).

%% A distribution that was started at run time has logged its port already.
tell_of_port(#{started := static}, Epmd) when
    Epmd =:= caravan_epmd; Epmd =:= 'Elixir.Caravan.Epmd.Client'
->
    caravan_announce:after_boot(node());
tell_of_port(_State, _Epmd) ->
    ok.

%% Returns the port at which other nodes look for this node.
listening() ->
    case is_alive() of
        true -> caravan_epmd:port_please(node(), local);
        false -> noport
    end.

%% A value that is set after the distribution has started, as in runtime.exs, changes where other nodes look for this one,
%% but not where it listens. If the distribution runs without caravan_epmd, the library was not loaded and the port before
%% is `noport'.
warn_of_another_port({port, Before, _}, {port, After, _}) when Before =/= After ->
    caravan_announce:changed_port(Before, After);
warn_of_another_port(_Before, _After) ->
    ok.

log(Event, Error) ->
    caravan_log:report(error, #{event => Event, error => Error}, fun ?MODULE:format/1).

%% Formats an event for the log. Called by logger.
-spec format(map()) -> {io:format(), [term()]}.
format(#{event := not_started, error := Error}) -> {"~ts", [caravan_boot:format_error(Error)]};
format(#{event := bad_resolver, error := Error}) -> {"~ts", [caravan_dns:format_error(Error)]};
format(Report) -> {"caravan: ~0tp", [Report]}.
