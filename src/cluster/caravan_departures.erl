%% @private
%% Hears of other nodes that they leave, and tells the topologies of this node. Has this node disconnect once more when it has left and
%% somebody connects.
-module(caravan_departures).
-behaviour(gen_server).

-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% What says so once more now, and for how long this node is away when somebody has come meanwhile.
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

%% Each topology of this node says so of each node that comes: what is under way takes all who come meanwhile.
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

%% What comes over a connection comes before the end of that; but the topologies hear of the end from net_kernel, and maybe earlier
%% than from here. So the node that leaves waits for the answer, which is sent when the topologies have been told.
told({ok, {Pid, Milliseconds, Topologies} = Farewell}) ->
    ok = caravan_topology:tell(Topologies, {leaving, node(Pid), Milliseconds}),
    caravan_farewell:answer(Farewell);
told(error) ->
    ok.
