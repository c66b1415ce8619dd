%% @private Nothing here starts Caravan: rebar3_app.app.src names it, so it starts first, from the topologies in
%% config/sys.config.
-module(rebar3_app_app).
-behaviour(application).

-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> supervisor:startlink_ret().
start(_Type, _Args) ->
    rebar3_app_sup:start_link().

-spec stop(term()) -> ok.
stop(_State) ->
    ok.
