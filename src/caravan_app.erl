%% @private
-module(caravan_app).
-behaviour(application).

-export([start/2, stop/1]).

start(_Type, _Args) ->
    Listening = listening(),
    case caravan_boot:prepare() of
        ok ->
            warn_of_another_port(Listening, listening()),
            tell_of_port(net_kernel:get_state(), net_kernel:epmd_module()),
            warn_of_bad_resolver(caravan_dns:check_default()),
            caravan_sup:start_link();
        {error, Error} ->
            Line = caravan_boot:format_error(Error),
            logger:error("~ts", [Line]),
            {error, Line}
    end.

stop(_State) ->
    caravan_dns:drop_default().

%% A node without lookups runs, and says why they fail.
warn_of_bad_resolver(ok) -> ok;
warn_of_bad_resolver({error, Error}) -> logger:error("~ts", [caravan_dns:format_error(Error)]).

%% Distribution that was started at run time has told it itself.
tell_of_port(#{started := static}, Epmd) when
    Epmd =:= caravan_epmd; Epmd =:= 'Elixir.Caravan.Epmd.Client'
->
    caravan_announce:port(node());
tell_of_port(_State, _Epmd) ->
    ok.

%% The port that others look for this node at.
listening() ->
    case is_alive() of
        true -> caravan_epmd:port_please(node(), local);
        false -> noport
    end.

%% A value that appears only after distribution has started, as from runtime.exs, changes where others look for the node
%% and not where it listens. Without caravan_epmd, distribution knows nothing of either.
warn_of_another_port({port, Before, _}, {port, After, _}) when Before =/= After ->
    logger:error(
        "caravan: the node listens on ~b, and by default_port and port_range as they are now others look for it at ~b; "
        "set them where distribution sees them: vm.args, sys.config or config.exs",
        [Before, After]
    );
warn_of_another_port(_Before, _After) ->
    ok.
