%% @doc The application as a whole.
-module(caravan).

-export([start/0]).

%% @doc Starts the application and those it needs, for servers whose boot script does not have it: `erl -s caravan'.
%% Returns what application:ensure_all_started/1 does.
%%
%% ```
%% {ok, _} = caravan:start().
%% '''
-spec start() -> {ok, [atom()]} | {error, term()}.
start() ->
    application:ensure_all_started(caravan).
