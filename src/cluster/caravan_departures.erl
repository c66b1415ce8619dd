%% @private
%% Hears of other nodes that they leave, and tells the topologies of this node.
-module(caravan_departures).
-behaviour(gen_server).

-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-spec start_link() -> {ok, pid()} | {error, {already_started, pid()}}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

init([]) ->
    {ok, none}.

handle_call(_Unknown, _From, State) ->
    {reply, {error, unknown_request}, State}.

handle_cast(_Unknown, State) ->
    {noreply, State}.

handle_info(Message, State) ->
    ok = told(caravan_farewell:read(Message)),
    {noreply, State}.

%% What comes over a connection comes before the end of that; but the topologies hear of the end from net_kernel, and maybe earlier
%% than from here. So the node that leaves waits for the answer, which is sent when the topologies have been told.
told({ok, {Pid, Milliseconds, Topologies} = Farewell}) ->
    ok = caravan_topology:tell(Topologies, {leaving, node(Pid), Milliseconds}),
    caravan_farewell:answer(Farewell);
told(error) ->
    ok.
