%% @private
%% The processes that wait for members of a topology, and those that are subscribed to them. Functional state, owned by the
%% process of the topology.
-module(caravan_audience).

-export([new/1, renew/1, await/4, has_waiters/1, subscribe/2, unsubscribe/2, tell/2, connected/4, handle_info/2]).

-export_type([state/0, goal/0]).

%% What a waiter waits for: a number of members, all of these nodes, or that the topology is ready.
-type goal() :: non_neg_integer() | [node()] | ready.

-record(waiter, {
    from :: gen_server:from(),
    goal :: goal(),
    timer :: reference() | undefined
}).

%% The keys are the monitors of the processes.
-record(state, {
    topology :: atom(),
    waiters = #{} :: #{reference() => #waiter{}},
    subscribers = #{} :: #{reference() => pid()}
}).

-opaque state() :: #state{}.

%% Returns the state with the subscribers of a crashed topology of that name, and sends each of them `restarted'.
-spec new(atom()) -> state().
new(Topology) ->
    Subscribers = maps:from_list([{monitor(process, Pid), Pid} || Pid <- caravan_topology_registry:subscribers(Topology)]),
    State = #state{topology = Topology, subscribers = Subscribers},
    ok = tell(restarted, State),
    State.

%% Subscribes the processes again, in the table of a registry that has been restarted.
-spec renew(state()) -> ok.
renew(#state{topology = Topology, subscribers = Subscribers}) ->
    lists:foreach(fun(Pid) -> ok = caravan_topology_registry:subscribe(Topology, Pid) end, maps:values(Subscribers)).

%% Adds a waiter. The caller of gen_server:call/3 gets its reply from connected/4, or from handle_info/2 when its time is
%% over.
-spec await(gen_server:from(), goal(), timeout(), state()) -> state().
await({Pid, _} = From, Goal, Timeout, #state{waiters = Waiters} = State) ->
    Monitor = monitor(process, Pid),
    Waiter = #waiter{from = From, goal = Goal, timer = start_timer(Timeout, Monitor)},
    State#state{waiters = Waiters#{Monitor => Waiter}}.

-spec has_waiters(state()) -> boolean().
has_waiters(#state{waiters = Waiters}) ->
    map_size(Waiters) > 0.

start_timer(infinity, _Monitor) -> undefined;
start_timer(Timeout, Monitor) -> erlang:start_timer(Timeout, self(), {?MODULE, Monitor}).

%% A process that is subscribed already stays subscribed once.
-spec subscribe(pid(), state()) -> state().
subscribe(Pid, #state{topology = Topology, subscribers = Subscribers} = State) ->
    ok = caravan_topology_registry:subscribe(Topology, Pid),
    case lists:member(Pid, maps:values(Subscribers)) of
        true -> State;
        false -> State#state{subscribers = Subscribers#{monitor(process, Pid) => Pid}}
    end.

-spec unsubscribe(pid(), state()) -> state().
unsubscribe(Pid, #state{topology = Topology, subscribers = Subscribers} = State) ->
    ok = caravan_topology_registry:unsubscribe(Topology, Pid),
    {Gone, Left} = lists:partition(fun({_, Subscriber}) -> Subscriber =:= Pid end, maps:to_list(Subscribers)),
    _ = [demonitor(Monitor, [flush]) || {Monitor, _} <- Gone],
    State#state{subscribers = maps:from_list(Left)}.

-spec tell({up | down, node()} | restarted, state()) -> ok.
tell(Event, #state{topology = Topology, subscribers = Subscribers}) ->
    lists:foreach(fun(Pid) -> Pid ! {caravan_cluster, Topology, Event} end, maps:values(Subscribers)).

%% Replies to the waiters whose goal is reached.
-spec connected(Members :: [node()], IsConnected :: fun((node()) -> boolean()), IsReady :: fun(() -> boolean()), state()) -> state().
connected(Members, IsConnected, IsReady, #state{waiters = Waiters} = State) ->
    Left = maps:filter(
        fun(Monitor, #waiter{goal = Goal} = Waiter) ->
            case is_reached(Goal, Members, IsConnected, IsReady) of
                true -> answer(Monitor, Waiter, {ok, Members}), false;
                false -> true
            end
        end,
        Waiters
    ),
    State#state{waiters = Left}.

is_reached(ready, _Members, _IsConnected, IsReady) -> IsReady();
is_reached(Count, Members, _IsConnected, _IsReady) when is_integer(Count) -> length(Members) >= Count;
is_reached(Nodes, _Members, IsConnected, _IsReady) -> lists:all(fun(Node) -> Node =:= node() orelse IsConnected(Node) end, Nodes).

answer(Monitor, #waiter{from = From, timer = Timer}, Answer) ->
    true = demonitor(Monitor, [flush]),
    _ = [erlang:cancel_timer(Timer) || Timer =/= undefined],
    gen_server:reply(From, Answer).

-spec handle_info(term(), state()) -> {handled, state()} | ignore.
handle_info({timeout, _, {?MODULE, Monitor}}, #state{waiters = Waiters} = State) when is_map_key(Monitor, Waiters) ->
    {Waiter, Left} = maps:take(Monitor, Waiters),
    answer(Monitor, Waiter, {error, timeout}),
    {handled, State#state{waiters = Left}};
handle_info({'DOWN', Monitor, process, Pid, _}, #state{waiters = Waiters, subscribers = Subscribers} = State) when
    is_map_key(Monitor, Waiters); is_map_key(Monitor, Subscribers)
->
    _ = [caravan_topology_registry:unsubscribe(State#state.topology, Pid) || is_map_key(Monitor, Subscribers)],
    _ = [erlang:cancel_timer(Timer) || #{Monitor := #waiter{timer = Timer}} <- [Waiters], Timer =/= undefined],
    {handled, State#state{
        waiters = maps:remove(Monitor, Waiters), subscribers = maps:remove(Monitor, Subscribers)
    }};
handle_info(_Message, _State) ->
    ignore.
