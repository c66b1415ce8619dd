%% @private
-module(caravan_app).
-behaviour(application).

-export([start/2, stop/1]).

start(_Type, _Args) ->
    case prepare() of
        ok ->
            caravan_sup:start_link();
        {error, Line} ->
            logger:error("~ts", [Line]),
            {error, Line}
    end.

stop(_State) ->
    ok.

%% Usually caravan_epmd has done both already; an application without distribution comes here first.
prepare() ->
    case caravan_nif:load() of
        ok ->
            case caravan_config:apply_port_rule() of
                ok -> ok;
                {error, Error} -> {error, caravan_option:format_error(Error)}
            end;
        {error, Error} ->
            {error, caravan_nif:format_error(Error)}
    end.
