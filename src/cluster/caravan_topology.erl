%% @private
%% The process of a topology: it polls, remembers, connects and, where it is told to, disconnects. caravan_cluster is
%% the way to it. What it does is decided by functional states, each in a module of its own; here they meet.
-module(caravan_topology).
-behaviour(gen_server).

-export([start_link/1, change/2, registered_name/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2, code_change/3]).

-define(REPORT_DELAY_MS, 500).

-record(state, {
    options :: map(),
    poll :: {caravan_poll:poll(), Began :: integer()} | undefined,
    look_timer :: reference() | undefined,
    %% Whether it has been told of, since the node is distributed or not.
    distributed = unknown :: unknown | boolean(),
    retry_timer :: reference() | undefined,
    discovery :: caravan_discovery:state(),
    node_list :: caravan_node_list:state(),
    members = caravan_members:new() :: caravan_members:state(),
    %% Members that the log has not named yet, and when it does.
    newcomers = [] :: [node()],
    report_timer :: reference() | undefined,
    connector :: caravan_connector:state(),
    %% Until when an operator keeps a node out, in monotonic milliseconds.
    excluded = #{} :: #{node() => {Until :: integer(), Timer :: reference()}},
    prune :: caravan_prune:state(),
    audience :: caravan_audience:state()
}).

-spec start_link(map()) -> {ok, pid()} | {error, {already_started, pid()}}.
start_link(#{name := Name} = Options) ->
    gen_server:start_link({local, registered_name(Name)}, ?MODULE, Options, []).

%% The options have been checked.
-spec change(atom(), map()) -> ok.
change(Name, Options) ->
    gen_server:call(registered_name(Name), {change, Options}, infinity).

%% One more atom for each that is used as a name.
-spec registered_name(atom()) -> atom().
registered_name(Name) ->
    list_to_atom("caravan_cluster." ++ atom_to_list(Name)).

init(#{name := Name} = Options) ->
    %% So that terminate/2 is called when a supervisor stops it.
    _ = process_flag(trap_exit, true),
    %% No domain: the default handler of OTP stops every event that has another one than otp's.
    ok = logger:set_process_metadata(#{caravan_topology => Name}),
    _ = net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
    Discovery = caravan_discovery:new(caravan_topology_registry:last(Name), Options),
    ok = caravan_topology_registry:publish(Name, caravan_discovery:wanted(Discovery)),
    State = #state{
        options = Options,
        discovery = Discovery,
        node_list = caravan_node_list:new(Options),
        connector = caravan_connector:new(Options),
        prune = caravan_prune:new(Options),
        audience = caravan_audience:new(Name)
    },
    {ok, look(list(refresh, State))}.

%% After a crash, what was published is there for its successor, and protects its nodes from `prune' of others.
terminate(Reason, #state{options = #{name := Name}}) when Reason =:= normal; Reason =:= shutdown ->
    caravan_topology_registry:withdraw(Name);
terminate({shutdown, _}, #state{options = #{name := Name}}) ->
    caravan_topology_registry:withdraw(Name);
terminate(_Crash, _State) ->
    ok.

code_change(_OldVersion, State, _Extra) ->
    {ok, State}.

handle_call(status, _From, State) ->
    {reply, status(State), State};
handle_call({await, Goal, Timeout}, From, #state{audience = Audience} = State) ->
    {noreply, list(refresh, State#state{audience = caravan_audience:await(From, Goal, Timeout, Audience)})};
handle_call(subscribe, {Pid, _}, #state{audience = Audience, members = Members} = State) ->
    Subscribed = State#state{audience = caravan_audience:subscribe(Pid, Audience)},
    {reply, {ok, caravan_members:connected(Members)}, Subscribed};
handle_call(unsubscribe, {Pid, _}, #state{audience = Audience} = State) ->
    {reply, ok, State#state{audience = caravan_audience:unsubscribe(Pid, Audience)}};
handle_call({exclude, Node, Milliseconds}, _From, #state{excluded = Excluded} = State) ->
    _ = [erlang:cancel_timer(Timer) || #{Node := {_, Timer}} <- [Excluded]],
    Exclusion = {now_ms() + Milliseconds, erlang:start_timer(Milliseconds, self(), exclusion_over)},
    {reply, ok, connect(State#state{excluded = Excluded#{Node => Exclusion}})};
handle_call(reconnect, _From, #state{connector = Connector} = State) ->
    {reply, ok, connect(State#state{connector = caravan_connector:all_due(now_ms(), Connector)})};
handle_call({change, Options}, _From, State) ->
    {reply, ok, look(list(refresh, changed(Options, cancel_poll(State))))};
handle_call(_Unknown, _From, State) ->
    {reply, {error, unknown_request}, State}.

handle_cast(poll, State) ->
    {noreply, look(State)};
handle_cast(_Unknown, State) ->
    {noreply, State}.

handle_info({timeout, Timer, look}, #state{look_timer = Timer} = State) ->
    {noreply, look(State#state{look_timer = undefined})};
handle_info({timeout, Timer, retry}, #state{retry_timer = Timer} = State) ->
    {noreply, connect(State#state{retry_timer = undefined})};
handle_info({timeout, Timer, report}, #state{report_timer = Timer, newcomers = Nodes, options = Options} = State) ->
    Members = caravan_members:connected(State#state.members),
    Came = [Node || Node <- lists:usort(Nodes), lists:member(Node, Members)],
    ok = caravan_report:connected(Came, length(Members), Options),
    {noreply, State#state{report_timer = undefined, newcomers = []}};
handle_info({timeout, _Timer, exclusion_over}, State) ->
    {noreply, connect(State#state{excluded = excluded_still(State)})};
handle_info({nodeup, _Node, _Info}, State) ->
    {noreply, list(refresh, State)};
handle_info({nodedown, Node, Info}, State) when is_atom(Node), is_list(Info) ->
    {noreply, node_is_down(Node, proplists:get_value(nodedown_reason, Info), State)};
handle_info(Info, State) ->
    {noreply, handle_part(Info, State)}.

%% The message is for one of the parts, or for nobody.
handle_part(Info, #state{poll = {Poll, Began}} = State) ->
    case caravan_poll:handle_info(Info, Poll) of
        {done, Outcome} -> polled(Outcome, Began, State#state{poll = undefined});
        {more, Next} -> State#state{poll = {Next, Began}};
        ignore -> handle_attempt(Info, State)
    end;
handle_part(Info, State) ->
    handle_attempt(Info, State).

handle_attempt(Info, #state{connector = Connector, options = Options} = State) ->
    case caravan_connector:handle_info(Info, now_ms(), Connector) of
        {Event, Next} ->
            ok = caravan_report:connect(Event, Options),
            connect(after_attempt(Event, State#state{connector = Next}));
        ignore ->
            handle_listener(Info, State)
    end.

%% Most times `nodeup' has come before; a list of the user's knows no such message.
after_attempt({connected, Node, _}, #state{members = Members, node_list = List} = State) ->
    case lists:member(Node, caravan_members:connected(Members)) of
        true -> State;
        false -> list(refresh, State#state{node_list = caravan_node_list:not_seen(Node, List)})
    end;
after_attempt(_Failed, State) ->
    State.

handle_listener(Info, #state{audience = Audience} = State) ->
    case caravan_audience:handle_info(Info, Audience) of
        {handled, Next} -> State#state{audience = Next};
        ignore -> handle_listing(Info, State)
    end.

handle_listing(Info, #state{node_list = List, options = Options} = State) ->
    case caravan_node_list:handle_info(Info, Options, List) of
        {Next, Again, Answered} -> again(Again, then(Next, State#state{node_list = Answered}));
        ignore -> State
    end.

again(no, State) -> State;
again(Next, State) -> list(Next, State).

%% While the node is not distributed nobody can be connected. OTP tells no process when that changes, so each look sees.
look(State) ->
    look_up(told(can_connect(State), State)).

told(Same, #state{distributed = Same} = State) ->
    State;
told(true, #state{options = Options} = State) ->
    ok = caravan_report:distributed(Options),
    State#state{distributed = true};
told(false, #state{options = Options} = State) ->
    ok = caravan_report:not_distributed(Options),
    State#state{distributed = false}.

can_connect(#state{options = #{connect := {net_kernel, connect_node, []}}}) -> is_alive();
can_connect(_State) -> true.

%% One poll at a time: an answer that is on its way is as good as a new one. What is missing is not left to wait for it.
look_up(#state{options = #{query := none}, distributed = true} = State) ->
    list(refresh, cancel_look(State));
look_up(#state{options = #{query := none, poll_interval := Interval}} = State) ->
    arm_look(Interval, State);
look_up(#state{poll = undefined, options = Options} = State) ->
    connect(cancel_look(State#state{poll = {caravan_poll:start(Options), erlang:monotonic_time()}}));
look_up(State) ->
    State.

cancel_poll(#state{poll = {Poll, _Began}} = State) ->
    ok = caravan_poll:cancel(Poll),
    State#state{poll = undefined};
cancel_poll(State) ->
    State.

polled(Outcome, Began, #state{discovery = Before, options = Options} = State) ->
    Duration = erlang:monotonic_time() - Began,
    Discovery = caravan_discovery:polled(Outcome, Duration, connected_nodes(State), Options, Before),
    Listed = in_answer(caravan_discovery:certainty(Discovery), State#state{discovery = Discovery}),
    schedule(caravan_discovery:pace(Before, Discovery), list(settle, Listed)).

%% There is an answer.
in_answer(Certainty, State) when Certainty =:= fresh; Certainty =:= incomplete ->
    Wanted = wanted(State),
    ok = caravan_topology_registry:publish(name(State), Wanted),
    State#state{
        connector = caravan_connector:keep(Wanted, State#state.connector),
        prune = absences(Certainty, Wanted, State)
    };
in_answer(_NoAnswer, State) ->
    State.

absences(fresh, Wanted, #state{prune = Prune, members = Members}) ->
    caravan_prune:listed(Wanted, caravan_members:connected(Members), now_ms(), Prune);
absences(incomplete, _Wanted, #state{prune = Prune}) ->
    Prune.

wanted(#state{discovery = Discovery}) ->
    caravan_discovery:wanted(Discovery).

name(#state{options = #{name := Name}}) ->
    Name.

prune(#state{discovery = Discovery, members = Members, prune = Prune, options = Options} = State) ->
    Now = now_ms(),
    Connected = caravan_members:connected(Members),
    {Nodes, Next} = caravan_prune:due(caravan_discovery:certainty(Discovery), Connected, Now, Prune),
    Absent = caravan_prune:absent(Now, Prune),
    lists:foreach(fun(Node) -> disconnect(Node, maps:get(Node, Absent), Options) end, Nodes),
    State#state{prune = Next}.

%% A function of the user's may take its time.
disconnect(Node, AbsentMs, #{disconnect := {Module, Function, Arguments}, connect_timeout := Timeout} = Options) ->
    _ = spawn(fun() ->
        Deadline = erlang:monotonic_time(millisecond) + Timeout,
        case caravan_task:call(fun() -> apply(Module, Function, Arguments ++ [Node]) end, Deadline) of
            {ok, Result} -> caravan_report:disconnect(Node, Result, AbsentMs, Options);
            Failure -> caravan_report:function_failed(disconnect, Failure, Options)
        end
    end),
    ok.

%% Asks who is connected, and goes on with that: at once, or when the answer is there.
list(Next, #state{node_list = List} = State) ->
    case caravan_node_list:ask(Next, List) of
        {known, Known} -> then(Next, State#state{node_list = Known});
        {asked, Asked} -> State#state{node_list = Asked}
    end.

then(refresh, State) -> connect(refresh(State));
then(settle, State) -> connect(prune(refresh(State))).

%% Who is connected now, and what has become of that since the last time.
refresh(State) ->
    Connected = connected_nodes(State),
    tell_of_unlisted(Connected, refresh(Connected, connection_closed, State)).

tell_of_unlisted(Connected, #state{node_list = List, options = Options} = State) ->
    {Unseen, Told} = caravan_node_list:told_unseen(Connected, List),
    lists:foreach(fun(Node) -> caravan_report:connect({failed, Node, not_listed, new, 0}, Options) end, Unseen),
    State#state{node_list = Told}.

%% What is wanted is listed still: no answer has said otherwise.
refresh(Connected, Reason, #state{options = #{prune_after := Memory}, members = Before} = State) ->
    {Came, Went, Members} = caravan_members:refresh(Connected, Memory, caravan_members:list(wanted(State), Before)),
    ok = report_members(Came, Went, Reason, length(caravan_members:connected(Members)), State),
    %% Of other nodes, such as helpers that come and go, it is no matter for how long.
    {Flaps, Connector} = caravan_connector:connected(caravan_members:connected(Members), now_ms(), State#state.connector),
    ok = caravan_report:flaps(Flaps, State#state.options),
    report_later(Came, State#state{
        members = Members,
        discovery = caravan_discovery:are_nodes(Came, State#state.discovery),
        connector = Connector,
        audience = caravan_audience:connected(caravan_members:connected(Members), Connected, State#state.audience)
    }).

%% A node that joins a large cluster is connected to all of it at once, and one line says so.
report_later([], State) ->
    State;
report_later(Came, #state{report_timer = undefined} = State) ->
    report_later(Came, State#state{report_timer = erlang:start_timer(?REPORT_DELAY_MS, self(), report)});
report_later(Came, #state{newcomers = Newcomers} = State) ->
    State#state{newcomers = Came ++ Newcomers}.

report_members(Came, Went, Reason, Count, #state{options = Options} = State) ->
    Wanted = wanted(State),
    lists:foreach(
        fun(Node) -> caravan_report:down(Node, Reason, lists:member(Node, Wanted), Count, Options) end, Went
    ),
    lists:foreach(fun(Node) -> caravan_report:up(Node, Count, Options) end, Came),
    Events = [{down, Node} || Node <- Went] ++ [{up, Node} || Node <- Came],
    lists:foreach(fun(Event) -> caravan_audience:tell(Event, State#state.audience) end, Events).

connected_nodes(#state{node_list = List}) ->
    caravan_node_list:connected(List).

%% It may be connected again by the time this is read, and those who were told that it is up are told of both.
node_is_down(Node, Reason, State) ->
    Left = lists:delete(Node, still_connected(State)),
    Lost = State#state{
        node_list = caravan_node_list:lost(Node, State#state.node_list),
        connector = lost(Reason, Node, State#state.connector)
    },
    Refreshed = list_anew(refresh(Left, Reason, Lost)),
    case lists:member(Node, wanted(State)) of
        true -> connect(look_within(caravan_schedule:look_after_nodedown(interval(State)), Refreshed));
        false -> Refreshed
    end.

lost(net_tick_timeout, Node, Connector) -> caravan_connector:lost_by_silence(Node, Connector);
lost(_Reason, _Node, Connector) -> Connector.

interval(#state{options = #{poll_interval := Interval}}) ->
    Interval.

%% Unless it looks earlier anyway: a node that goes down takes no look of a cluster's budget that is due.
look_within(After, #state{look_timer = undefined} = State) ->
    arm_look(After, State);
look_within(After, #state{look_timer = Timer} = State) ->
    case erlang:read_timer(Timer) of
        Left when is_integer(Left), Left > After -> arm_look(After, State);
        _ -> State
    end.

%% Of several that go down together, each goes when its own message is read, which has the reason.
still_connected(#state{node_list = List, members = Members}) ->
    case caravan_node_list:is_of_otp(List) of
        true -> lists:umerge(caravan_node_list:connected(List), lists:sort(caravan_members:connected(Members)));
        false -> caravan_node_list:connected(List)
    end.

%% OTP's list may have others that are down, whose messages are still to come.
list_anew(#state{node_list = List} = State) ->
    case caravan_node_list:is_of_otp(List) of
        true -> State;
        false -> list(refresh, State)
    end.

connect(#state{connector = Connector} = State) ->
    Missing = missing(State),
    Now = now_ms(),
    Next = caravan_connector:connect(Missing, Now, Connector),
    retry_in(caravan_connector:next_retry(Missing, Now, Next), State#state{connector = Next}).

missing(State) ->
    case can_connect(State) of
        true -> not_connected(State);
        false -> []
    end.

not_connected(#state{node_list = List} = State) ->
    not_connected(caravan_node_list:is_known(List), State).

not_connected(false, _State) ->
    [];
not_connected(true, #state{options = Options} = State) ->
    Connected = connected_nodes(State),
    Missing = (wanted(State) -- Connected) -- maps:keys(excluded(State)),
    without_taken(caravan_node_names:same_listener(Options), Missing, Connected).

excluded_still(#state{excluded = Excluded}) ->
    Now = now_ms(),
    maps:filter(fun(_Node, {Until, _}) -> Until > Now end, Excluded).

%% For how many milliseconds more.
excluded(#state{options = #{exclude := Always}} = State) ->
    Now = now_ms(),
    ForAWhile = maps:map(fun(_Node, {Until, _}) -> Until - Now end, excluded_still(State)),
    maps:merge(ForAWhile, maps:from_keys(Always, infinity)).

without_taken(false, Missing, _Connected) ->
    Missing;
without_taken(true, Missing, Connected) ->
    %% This node's own among them, under each of its names.
    Taken = [listener(Node) || Node <- [node() | Connected]],
    [Node || Node <- Missing, not lists:member(listener(Node), Taken)].

listener(Node) ->
    {lists:last(string:split(atom_to_list(Node), "@")), caravan_nif:dist_port(Node)}.

%% One timer for the node whose back-off ends first.
retry_in(After, #state{retry_timer = undefined} = State) when is_integer(After) ->
    State#state{retry_timer = erlang:start_timer(After, self(), retry)};
retry_in(none, #state{retry_timer = undefined} = State) ->
    State;
retry_in(After, #state{retry_timer = Timer} = State) ->
    _ = erlang:cancel_timer(Timer),
    retry_in(After, State#state{retry_timer = undefined}).

%% While a poll is under way, its end arms the timer.
schedule(Pace, #state{options = #{poll_interval := Interval}} = State) ->
    arm_look(caravan_schedule:next_poll(Interval, Pace), State).

arm_look(_After, #state{poll = {_, _}} = State) ->
    State;
arm_look(After, State) ->
    Cleared = cancel_look(State),
    Cleared#state{look_timer = erlang:start_timer(After, self(), look)}.

cancel_look(#state{look_timer = undefined} = State) ->
    State;
cancel_look(#state{look_timer = Timer} = State) ->
    _ = erlang:cancel_timer(Timer),
    State#state{look_timer = undefined}.

changed(#{name := Name} = Options, #state{options = #{name := Name}} = State) ->
    State#state{
        options = Options,
        discovery = caravan_discovery:change(Options, State#state.discovery),
        node_list = caravan_node_list:change(Options, State#state.node_list),
        connector = caravan_connector:change(Options, State#state.connector),
        prune = caravan_prune:change(Options, State#state.prune)
    }.

status(#state{options = #{query := Query}, connector = Connector, prune = Prune} = State) ->
    Connected = connected_nodes(State),
    Absent = maps:with(Connected, caravan_prune:absent(now_ms(), Prune)),
    lists:foldl(fun maps:merge/2, caravan_discovery:status(State#state.discovery), [
        caravan_prune:stats(Prune),
        #{
            name => name(State),
            source => source(name(State), caravan_config:value(topologies)),
            query => Query,
            nameservers => nameservers(State#state.options),
            connected => [Node || Node <- Connected, lists:member(Node, wanted(State))],
            connecting => caravan_connector:connecting(Connector),
            failing => maps:with(not_connected(State), caravan_connector:failing(now_ms(), Connector)),
            next_poll => next_poll(State),
            absent => Absent,
            excluded => excluded(State)
        }
    ]).

%% Who has said that there is such a topology.
source(Name, {ok, Topologies}) ->
    case lists:keymember(Name, 1, Topologies) of
        true -> caravan_config:source(topologies);
        false -> caller
    end;
source(_Name, {error, _}) ->
    caller.

%% Who is asked, and by whose word.
nameservers(#{query := none}) -> {none, no_query};
nameservers(#{dns_client := Client}) when Client =/= default -> {none, dns_client};
nameservers(#{nameservers := default, resolver := default}) -> of_application(caravan_config:value(nameservers));
nameservers(#{nameservers := default}) -> {none, resolver};
nameservers(#{nameservers := Nameservers}) -> {Nameservers, topology}.

of_application({ok, Nameservers}) -> {Nameservers, caravan_config:source(nameservers)};
of_application({error, _}) -> {none, caravan_config:source(nameservers)}.

next_poll(#state{options = #{query := none}}) -> none;
next_poll(#state{poll = {_, _}}) -> now;
next_poll(#state{look_timer = Timer}) -> left(erlang:read_timer(Timer)).

left(false) -> now;
left(Milliseconds) -> Milliseconds.

now_ms() ->
    erlang:monotonic_time(millisecond).
