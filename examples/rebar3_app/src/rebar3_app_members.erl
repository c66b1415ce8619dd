%% @doc Logs which nodes join and leave the cluster.
-module(rebar3_app_members).
-behaviour(gen_server).
-include_lib("kernel/include/logger.hrl").

-export([start_link/0, list/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% @doc Starts the process that logs.
-spec start_link() -> {ok, pid()} | ignore | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc The nodes of the cluster, this one included, in order.
-spec list() -> [node()].
list() ->
    lists:sort([node() | nodes()]).

%% @private
init([]) ->
    ok = net_kernel:monitor_nodes(true),
    ?LOG_NOTICE("members: ~p", [list()]),
    {ok, []}.

%% @private
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_request}, State}.

%% @private
handle_cast(_Message, State) ->
    {noreply, State}.

%% @private
handle_info({Change, Node}, State) when Change =:= nodeup; Change =:= nodedown ->
    ?LOG_NOTICE("~s ~s, members: ~p", [Change, Node, list()]),
    {noreply, State}.
