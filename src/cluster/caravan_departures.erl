%% @private
%% Receives the farewells of other nodes that leave, and tells the topologies of this node. If this node has left and another
%% one connects, has this node say its farewell and disconnect once more.
-module(caravan_departures).
-behaviour(gen_server).

-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% The monitor of the process that says farewell, and for how long this node stays away if another node has connected
%% meanwhile.
-record(state, {
    under_way = none :: none | reference(),
    next = none :: none | pos_integer()
}).

-spec start_link() -> {ok, pid()} | {error, {already_started, pid()}}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

init([]) ->
    {ok, #state{}}.

handle_call(_Unknown, _From, State) ->
    {reply, {error, unknown_request}, State}.

%% Every topology of this node reports every node that connects. One process at a time says farewell; reports that come
%% meanwhile are combined into one more farewell.
handle_cast({say_again, Milliseconds}, #state{under_way = none} = State) ->
    {_Pid, Monitor} = spawn_monitor(fun() -> caravan_leave:again(Milliseconds) end),
    {noreply, State#state{under_way = Monitor}};
handle_cast({say_again, Milliseconds}, State) ->
    {noreply, State#state{next = Milliseconds}};
handle_cast(_Unknown, State) ->
    {noreply, State}.

handle_info({'DOWN', Monitor, process, _, _}, #state{under_way = Monitor, next = none}) ->
    {noreply, #state{}};
handle_info({'DOWN', Monitor, process, _, _}, #state{under_way = Monitor, next = Milliseconds}) ->
    handle_cast({say_again, Milliseconds}, #state{});
handle_info(Message, State) ->
    ok = told(caravan_farewell:read(Message)),
    {noreply, State}.

%% A farewell arrives before the connection ends, but topologies hear of the end from net_kernel, perhaps before this process
%% has told them. So the node that leaves waits for the reply, which is sent after the topologies have been told.
told({ok, {Pid, Milliseconds, Topologies} = Farewell}) ->
    ok = caravan_topology:tell(Topologies, {leaving, node(Pid), Milliseconds}),
    caravan_farewell:answer(Farewell);
told(error) ->
    ok.
