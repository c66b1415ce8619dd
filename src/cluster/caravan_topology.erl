%% @private
%% The process of a topology. It passes events to caravan_topology_core, with the time and the facts of this node, and
%% carries out the actions that the core returns. It makes no decisions and never blocks. Users call it through
%% caravan_cluster.
-module(caravan_topology).
-behaviour(gen_server).

-export([start_link/1, change/3, configure/3, renew/0, tell/2, registered_name/1, ask/3]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2, code_change/3, format_status/1]).

-export_type([question/0]).

-define(PREFIX, "caravan_cluster.").

%% What ask/3 can ask a topology.
-type question() :: status | options | gauges | health | health_and_status.

-record(state, {
    options :: map(),
    core :: caravan_topology_core:state(),
    %% The running poll: the lookups that have not ended, and the outcomes of the others.
    lookups = #{} :: #{caravan_topology_options:query() => caravan_poll:poll()},
    outcomes = [] :: [{caravan_topology_options:query(), caravan_discovery:outcome()}],
    poll_began = 0 :: integer(),
    attempts = #{} :: #{reference() => caravan_attempt:attempt()},
    disconnects = #{} :: #{reference() => {node(), AbsentMs :: non_neg_integer(), Began :: integer(), caravan_task:task(term())}},
    %% The name of this node. While the distribution is stopped, the last name that it had.
    own = node() :: node(),
    %% The topologies of other nodes that are told when this node leaves.
    leaves = all :: all | [atom()],
    %% Whether the failure of the disconnect function has been logged.
    disconnect_fails = false :: boolean(),
    node_list :: caravan_node_list:state(),
    timer = none :: none | {At :: integer(), reference()},
    audience :: caravan_audience:state()
}).

-spec start_link(map()) -> {ok, pid()} | {error, {already_started, pid()}}.
start_link(#{name := Name} = Options) ->
    gen_server:start_link({local, registered_name(Name)}, ?MODULE, Options, []).

%% Changes the options, which have been checked. If the call times out, the topology still applies them when it handles the
%% request.
-spec change(atom(), map(), timeout()) -> ok.
change(Name, Options, Timeout) ->
    gen_server:call(registered_name(Name), {change, Options}, Timeout).

%% Like change/3, but has no effect if the options are the same.
-spec configure(atom(), map(), timeout()) -> ok.
configure(Name, Options, Timeout) ->
    gen_server:call(registered_name(Name), {configure, Options}, Timeout).

%% Makes all topologies of this node publish again what they want. Called when the registry has been restarted.
-spec renew() -> ok.
renew() ->
    tell(all, renew).

%% Sends a message to all topologies of this node, or to those with the given names. The names may come from another node, so
%% no atom is made of them.
-spec tell(all | [atom()], renew | {leaving, node(), pos_integer()} | {leave, pos_integer(), all | [atom()]}) -> ok.
tell(Topologies, What) ->
    Told = [Name || Name <- registered(), ?PREFIX ++ Topology <- [atom_to_list(Name)], is_one_of(Topology, Topologies)],
    lists:foreach(fun(Name) -> ok = gen_server:cast(Name, What) end, Told).

is_one_of(_Topology, all) -> true;
is_one_of(Topology, Names) -> lists:any(fun(Name) -> atom_to_list(Name) =:= Topology end, Names).

%% Returns the name under which the topology is registered. Makes one more atom for each name.
-spec registered_name(atom()) -> atom().
registered_name(Name) ->
    list_to_atom(?PREFIX ++ atom_to_list(Name)).

%% Asks several topologies at the same time, and returns their answers within `Timeout' milliseconds.
-spec ask([atom()], question(), Timeout :: non_neg_integer()) -> [{atom(), {ok, term()} | not_running | unresponsive}].
ask(Names, Question, Timeout) ->
    Deadline = now_ms() + Timeout,
    Requests = [{Name, send_request(Name, Question)} || Name <- Names],
    [{Name, response(Sent, Deadline)} || {Name, Sent} <- Requests].

%% If the registered name would be too long for an atom, no topology has this name.
send_request(Name, Question) ->
    try registered_name(Name) of
        Server -> send_request_to(whereis(Server), Server, Question)
    catch
        error:_ -> not_running
    end.

%% A handler of telemetry events or log events runs in the process of the topology, which cannot call itself.
send_request_to(Pid, _Server, Question) when Pid =:= self() -> {answered, answer(Question, get(?MODULE))};
send_request_to(_Pid, Server, Question) -> {sent, gen_server:send_request(Server, Question)}.

response({answered, Answer}, _Deadline) ->
    {ok, Answer};
response({sent, Id}, Deadline) ->
    case gen_server:receive_response(Id, max(0, Deadline - now_ms())) of
        {reply, Answer} -> {ok, Answer};
        {error, _} -> not_running;
        timeout -> unresponsive
    end;
response(not_running, _Deadline) ->
    not_running.

init(#{name := Name} = Options) ->
    %% So that terminate/2 is called when the supervisor stops the process.
    _ = process_flag(trap_exit, true),
    ok = caravan_label:set({caravan_topology, Name}),
    %% Without a domain, because OTP's default handler drops events with another domain than `otp'.
    ok = logger:set_process_metadata(#{caravan_topology => Name}),
    _ = net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
    {Actions, Core} = caravan_topology_core:new(
        caravan_topology_options:for_core(Options),
        texts(caravan_topology_registry:last(Name)),
        texts(erlang:nodes(connected)),
        now_ms(),
        (facts(start, Options))#{was_ready => caravan_topology_registry:was_ready(Name)}
    ),
    State = #state{
        options = Options,
        core = Core,
        node_list = caravan_node_list:new(Options),
        audience = caravan_audience:new(Name)
    },
    {ok, carry_out(Actions, State)}.

%% After a crash the published nodes stay in the registry: the successor starts with them, and other topologies do not prune
%% them.
terminate(Reason, #state{options = #{name := Name}}) when Reason =:= normal; Reason =:= shutdown ->
    caravan_topology_registry:withdraw(Name);
terminate({shutdown, _}, #state{options = #{name := Name}}) ->
    caravan_topology_registry:withdraw(Name);
terminate(_Crash, _State) ->
    ok.

code_change(_OldVersion, State, _Extra) ->
    {ok, State}.

%% Shortens the state for sys:get_status/1, observer and crash reports to numbers. caravan_cluster:status/1 has the names.
format_status(Status) ->
    maps:map(fun formatted/2, Status).

formatted(state, #state{options = #{name := Name, query := Query}, core = Core} = State) ->
    Summary = maps:with([last_lookup, next_poll], caravan_topology_core:status(now_ms(), Core)),
    maps:merge(maps:merge(Summary, caravan_topology_core:gauges(now_ms(), Core)), #{
        name => Name,
        query => Query,
        lookups => map_size(State#state.lookups),
        disconnecting => map_size(State#state.disconnects)
    });
formatted(_Key, Value) ->
    Value.

handle_call(Question, _From, State) when Question =:= status; Question =:= options; Question =:= gauges ->
    {reply, answer(Question, State), State};
handle_call(Question, _From, State) when Question =:= health; Question =:= health_and_status ->
    Checked = step(check, State),
    {reply, answer(Question, Checked), Checked};
handle_call({await, Goal, Timeout}, From, #state{audience = Audience} = State) ->
    {noreply, step(refresh, State#state{audience = caravan_audience:await(From, Goal, Timeout, Audience)})};
handle_call(subscribe, {Pid, _}, #state{audience = Audience} = State) ->
    {reply, {ok, members(State)}, State#state{audience = caravan_audience:subscribe(Pid, Audience)}};
handle_call(unsubscribe, {Pid, _}, #state{audience = Audience} = State) ->
    {reply, ok, State#state{audience = caravan_audience:unsubscribe(Pid, Audience)}};
handle_call({exclude, Node, Milliseconds}, _From, State) ->
    {reply, ok, step({exclude, text(Node), Milliseconds}, State)};
handle_call(reconnect, _From, State) ->
    {reply, ok, step(reconnect, State)};
handle_call({configure, Options}, _From, #state{options = Options} = State) ->
    {reply, ok, State};
handle_call({configure, Options}, _From, State) ->
    {reply, ok, changed(Options, State)};
handle_call({change, Options}, _From, State) ->
    {reply, ok, changed(Options, State)};
handle_call(_Unknown, _From, State) ->
    {reply, {error, unknown_request}, State}.

handle_cast(poll, State) ->
    {noreply, step(poll, State)};
handle_cast(renew, #state{options = #{name := Name}, core = Core, audience = Audience} = State) ->
    ok = caravan_topology_registry:publish(Name, nodes_of(caravan_topology_core:wanted(Core))),
    _ = [ok = caravan_topology_registry:set_ready(Name) || caravan_topology_core:was_ready(Core)],
    ok = caravan_audience:renew(Audience),
    {noreply, State};
handle_cast({leaving, Node, Milliseconds}, State) ->
    {noreply, step({leaving, text(Node), Milliseconds}, State)};
handle_cast({leave, Milliseconds, Topologies}, State) ->
    {noreply, step({leave, Milliseconds}, State#state{leaves = Topologies})};
handle_cast(_Unknown, State) ->
    {noreply, State}.

handle_info({timeout, Timer, wake}, #state{timer = {_At, Timer}} = State) ->
    {noreply, step(wake, State#state{timer = none})};
handle_info({?MODULE, list_nodes}, State) ->
    {noreply, step({listed, texts(erlang:nodes(connected))}, State)};
handle_info({nodeup, Node, _Info}, State) when is_atom(Node) ->
    {noreply, step({nodeup, text(Node)}, State)};
handle_info({nodedown, Node, Info}, #state{node_list = List} = State) when is_atom(Node), is_list(Info) ->
    Reason = proplists:get_value(nodedown_reason, Info),
    {noreply, step({nodedown, text(Node), Reason}, State#state{node_list = caravan_node_list:lost(Node, List)})};
handle_info(Info, State) ->
    {noreply, ended(caravan_task:reference_of(Info), Info, State)}.

changed(Options, #state{node_list = List} = State) ->
    Changed = State#state{options = Options, node_list = caravan_node_list:change(Options, List)},
    step({change, caravan_topology_options:for_core(Options)}, Changed).

%% Handles the end of an attempt, of a disconnect function or of a lookup.
ended(Reference, Info, #state{attempts = Attempts} = State) when is_map_key(Reference, Attempts) ->
    {Attempt, Left} = maps:take(Reference, Attempts),
    {Node, Result, Duration} = caravan_attempt:result(Info, Attempt),
    step({attempted, text(Node), Result, Duration}, State#state{attempts = Left});
ended(Reference, Info, #state{disconnects = Disconnects} = State) when is_map_key(Reference, Disconnects) ->
    {{Node, AbsentMs, Began, Task}, Left} = maps:take(Reference, Disconnects),
    Duration = erlang:monotonic_time() - Began,
    disconnected(caravan_task:result(Info, Task), Node, {AbsentMs, Duration}, State#state{disconnects = Left});
ended(_Reference, Info, #state{lookups = Lookups} = State) ->
    looked_up(maps:to_list(Lookups), Info, State).

disconnected({ok, true}, Node, {AbsentMs, Duration}, #state{options = Options} = State) ->
    ok = caravan_report:disconnect(Node, true, AbsentMs, Duration, Options),
    step({disconnected, text(Node), ok}, State#state{disconnect_fails = false});
disconnected({ok, Result}, Node, Times, State) ->
    disconnected({result, Result}, Node, Times, State);
disconnected(Failure, Node, _Times, #state{options = Options, disconnect_fails = Told} = State) ->
    ok = caravan_report:disconnect_failed(Node, Failure, Options),
    _ = [ok = caravan_report:function_failed(disconnect, Failure, Options) || not Told],
    step({disconnected, text(Node), failed}, State#state{disconnect_fails = true}).

looked_up([], Info, State) ->
    heard(Info, State);
looked_up([{Query, Lookup} | Others], Info, #state{lookups = Lookups} = State) ->
    case caravan_poll:handle_info(Info, Lookup) of
        {done, Outcome} -> answered(Query, Outcome, State#state{lookups = maps:remove(Query, Lookups)});
        {more, Next} -> State#state{lookups = Lookups#{Query := Next}};
        ignore -> looked_up(Others, Info, State)
    end.

answered(Query, Outcome, #state{options = Options, outcomes = Outcomes, own = Before} = State) ->
    Own = own(is_alive(), Before),
    Named = caravan_node_names:of_outcome(Outcome, Query, Options#{own => Own}),
    polled(State#state{own = Own, outcomes = [{Query, Named} | Outcomes]}).

%% While the distribution is stopped, the last name of this node counts, so that the names of other nodes do not change.
own(true, _Before) -> node();
own(false, Before) -> Before.

polled(#state{lookups = Left} = State) when map_size(Left) > 0 ->
    State;
polled(#state{outcomes = Outcomes, poll_began = Began} = State) ->
    step({polled, lists:reverse(Outcomes), erlang:monotonic_time() - Began}, State#state{outcomes = []}).

heard(Info, #state{audience = Audience} = State) ->
    case caravan_audience:handle_info(Info, Audience) of
        {handled, Next} -> State#state{audience = Next};
        ignore -> listed(Info, State)
    end.

listed(Info, #state{node_list = List, options = Options} = State) ->
    case caravan_node_list:handle_info(Info, Options, List) of
        {listed, Nodes, Next} -> step({listed, texts(Nodes)}, State#state{node_list = Next});
        ignore -> State
    end.

%% Events and actions

step(Event, #state{core = Core, options = Options} = State) ->
    {Actions, Next} = caravan_topology_core:step(Event, now_ms(), facts(Event, Options), Core),
    carry_out(Actions, State#state{core = Next}).

facts(Event, #{connect := Connect} = Options) ->
    #{
        own => text(node()),
        can_connect => can_connect(Connect),
        elsewhere => elsewhere(Event, Options),
        random => rand:uniform(16#100000000) - 1
    }.

can_connect({net_kernel, connect_node, []}) -> is_alive();
can_connect(_OfUser) -> true.

%% Only the end of a poll and a list of connected nodes can cause pruning.
elsewhere({Event, _}, #{prune := true}) when Event =:= listed -> texts(caravan_topology_registry:listed_elsewhere());
elsewhere({polled, _, _}, #{prune := true}) -> texts(caravan_topology_registry:listed_elsewhere());
elsewhere(_Event, _Options) -> [].

carry_out(Actions, State) ->
    %% ask/3 reads the state here if it is called in this process.
    _ = put(?MODULE, State),
    awaited(timed(lists:foldl(fun act/2, State, Actions))).

act(poll, #state{options = #{queries := Queries} = Options} = State) ->
    State#state{
        lookups = maps:from_list([{Query, caravan_poll:start(Options#{query => Text})} || {Text, _} = Query <- Queries]),
        outcomes = [],
        poll_began = erlang:monotonic_time()
    };
act(cancel_poll, #state{lookups = Lookups} = State) ->
    ok = lists:foreach(fun caravan_poll:cancel/1, maps:values(Lookups)),
    State#state{lookups = #{}, outcomes = []};
act({connect, Name}, #state{attempts = Attempts, options = Options} = State) ->
    Attempt = caravan_attempt:start(node_of(Name), Options),
    State#state{attempts = Attempts#{caravan_attempt:reference(Attempt) => Attempt}};
act({disconnect, Name, AbsentMs}, #state{disconnects = Disconnects, options = Options} = State) ->
    #{disconnect := {Module, Function, Arguments}, connect_timeout := Timeout} = Options,
    Node = node_of(Name),
    Disconnect = fun() ->
        ok = caravan_label:set({caravan_disconnect, Node}),
        apply(Module, Function, Arguments ++ [Node])
    end,
    Task = caravan_task:start(Disconnect, Timeout),
    State#state{disconnects = Disconnects#{caravan_task:reference(Task) => {Node, AbsentMs, erlang:monotonic_time(), Task}}};
act(list_nodes, #state{options = Options} = State) ->
    list_nodes(caravan_node_list:is_of_otp(Options), State);
act({announce, Name, Milliseconds}, #state{leaves = Topologies} = State) ->
    _ = caravan_farewell:say([node_of(Name)], Milliseconds, Topologies),
    State;
%% If other topologies of this node stayed, no node was disconnected.
act({disconnect_again, Milliseconds}, #state{leaves = all} = State) ->
    ok = caravan_farewell:say_again(Milliseconds),
    State;
act({disconnect_again, _Milliseconds}, State) ->
    State;
act({publish, Names}, #state{options = #{name := Topology}} = State) ->
    ok = caravan_topology_registry:publish(Topology, nodes_of(Names)),
    State;
act(ready, #state{options = #{name := Topology}} = State) ->
    ok = caravan_topology_registry:set_ready(Topology),
    State;
act({tell, {Event, Name}}, #state{audience = Audience} = State) ->
    ok = caravan_audience:tell({Event, node_of(Name)}, Audience),
    State;
act({report, Report}, #state{options = Options} = State) ->
    ok = caravan_report:emit(Report, Options),
    ok = caravan_report:log(Report, Options),
    State;
act({emit, Report}, #state{options = Options} = State) ->
    ok = caravan_report:emit(Report, Options),
    State.

%% The message makes the process read OTP's list after it has handled the nodeup messages that are already in its mailbox.
list_nodes(true, State) ->
    self() ! {?MODULE, list_nodes},
    State;
list_nodes(false, #state{node_list = List} = State) ->
    State#state{node_list = caravan_node_list:ask(List)}.

timed(#state{core = Core, timer = Timer} = State) ->
    State#state{timer = set_timer(caravan_topology_core:wake_at(Core), Timer)}.

set_timer(At, {At, _} = Timer) ->
    Timer;
set_timer(At, {_Other, Timer}) ->
    _ = erlang:cancel_timer(Timer, [{async, true}, {info, false}]),
    set_timer(At, none);
set_timer(none, none) ->
    none;
set_timer(At, none) ->
    {At, erlang:start_timer(At, self(), wake, [{abs, true}])}.

awaited(#state{audience = Audience, core = Core} = State) ->
    case caravan_audience:has_waiters(Audience) of
        true ->
            IsConnected = fun(Node) -> caravan_topology_core:is_connected(text(Node), Core) end,
            State#state{audience = caravan_audience:connected(members(State), IsConnected, fun() -> is_ready(State) end, Audience)};
        false ->
            State
    end.

members(#state{core = Core}) ->
    nodes_of(caravan_topology_core:members(Core)).

%% Questions

answer(status, State) -> status(State);
answer(options, #state{options = Options}) -> Options;
answer(gauges, #state{core = Core}) -> caravan_topology_core:gauges(now_ms(), Core);
answer(health, State) -> health(State);
answer(health_and_status, State) -> {health(State), status(State)}.

status(#state{options = #{name := Name, query := Query} = Options, core = Core}) ->
    Decided = caravan_topology_core:status(now_ms(), Core),
    maps:merge(maps:map(fun with_nodes/2, Decided), #{
        name => Name,
        source => source(Name, caravan_config:value(topologies)),
        query => Query,
        nameservers => caravan_poll:nameservers(Options)
    }).

with_nodes(Key, Names) when Key =:= wanted; Key =:= connected; Key =:= connecting ->
    nodes_of(Names);
with_nodes(Key, ByName) when Key =:= failing; Key =:= absent; Key =:= suppressed; Key =:= excluded; Key =:= left ->
    by_node(ByName);
with_nodes(_Key, Value) ->
    Value.

by_node(ByName) ->
    maps:from_list([{node_of(Name), Value} || {Name, Value} <- maps:to_list(ByName)]).

is_ready(#state{core = Core}) ->
    case caravan_topology_core:health(now_ms(), Core) of
        {not_ready, _} -> false;
        _ -> true
    end.

health(#state{core = Core}) ->
    with_nodes_of_reasons(caravan_topology_core:health(now_ms(), Core)).

with_nodes_of_reasons(ok) -> ok;
with_nodes_of_reasons({Verdict, Reasons}) -> {Verdict, lists:map(fun with_nodes_of_reason/1, Reasons)}.

with_nodes_of_reason({Fault, ByName}) when Fault =:= nodes_failing; Fault =:= flapping ->
    {Fault, by_node(ByName)};
with_nodes_of_reason(Reason) ->
    Reason.

%% Returns where the topology is defined.
source(Name, {ok, Topologies}) ->
    case lists:keymember(Name, 1, Topologies) of
        true -> caravan_config:source(topologies);
        false -> caller
    end;
source(_Name, {error, _}) ->
    caller.

%% The core has node names as binaries. Names that it acts on have passed the budget of atoms.

text(Node) -> atom_to_binary(Node).

texts(Nodes) -> lists:map(fun text/1, Nodes).

node_of(Name) -> binary_to_atom(Name).

nodes_of(Names) -> lists:map(fun node_of/1, Names).

now_ms() ->
    erlang:monotonic_time(millisecond).
