%% @private
%% The process of a topology: it polls, remembers, connects and, where it is told to, disconnects. caravan_cluster is
%% the way to it. What it does is decided by functional states, each in a module of its own; here they meet.
-module(caravan_topology).
-behaviour(gen_server).

-export([start_link/1, registered_name/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-define(REPORT_DELAY_MS, 500).

-record(state, {
    options :: map(),
    poll :: {caravan_poll:poll(), Began :: integer()} | undefined,
    look_timer :: reference() | undefined,
    retry_timer :: reference() | undefined,
    last_lookup = none :: caravan_cluster:last_lookup(),
    failed_polls = 0 :: non_neg_integer(),
    answered_at :: integer() | undefined,
    %% Nodes of the last good answer, without this one.
    wanted = [] :: [node()],
    complete = false :: boolean(),
    %% Of the last answer itself, whatever it was added to.
    answer_complete = false :: boolean(),
    self_listed = false :: boolean(),
    own_aliases = [] :: [node()],
    members = caravan_members:new() :: caravan_members:state(),
    %% Members that the log has not named yet, and when it does.
    newcomers = [] :: [node()],
    report_timer :: reference() | undefined,
    names :: caravan_node_names:state(),
    connector :: caravan_connector:state(),
    prune :: caravan_prune:state(),
    audience = caravan_audience:new() :: caravan_audience:state()
}).

-spec start_link(map()) -> {ok, pid()} | {error, {already_started, pid()}}.
start_link(#{name := Name} = Options) ->
    gen_server:start_link({local, registered_name(Name)}, ?MODULE, Options, []).

%% One more atom for each that is used as a name.
-spec registered_name(atom()) -> atom().
registered_name(Name) ->
    list_to_atom("caravan_cluster." ++ atom_to_list(Name)).

init(#{name := Name} = Options) ->
    %% No domain: the default handler of OTP stops every event that has another one than otp's.
    ok = logger:set_process_metadata(#{caravan_topology => Name}),
    _ = net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
    ok = caravan_report:started(Options),
    ok = caravan_topologies:publish(Name, []),
    State = #state{
        options = Options,
        names = caravan_node_names:new(Options),
        connector = caravan_connector:new(Options),
        prune = caravan_prune:new(Options)
    },
    {ok, look(State)}.

terminate(_Reason, #state{options = #{name := Name}}) ->
    caravan_topologies:withdraw(Name).

handle_call(status, _From, State) ->
    {reply, status(State), State};
handle_call({await, Goal, Timeout}, From, #state{audience = Audience} = State) ->
    {noreply, refresh(State#state{audience = caravan_audience:await(From, Goal, Timeout, Audience)})};
handle_call(subscribe, {Pid, _}, #state{audience = Audience, members = Members} = State) ->
    Subscribed = State#state{audience = caravan_audience:subscribe(Pid, Audience)},
    {reply, {ok, caravan_members:connected(Members)}, Subscribed};
handle_call(unsubscribe, {Pid, _}, #state{audience = Audience} = State) ->
    {reply, ok, State#state{audience = caravan_audience:unsubscribe(Pid, Audience)}};
handle_call({change, Options}, _From, State) ->
    {reply, ok, look(changed(Options, cancel_poll(State)))}.

handle_cast(poll, State) ->
    {noreply, look(State)}.

handle_info({timeout, Timer, look}, #state{look_timer = Timer} = State) ->
    {noreply, look(State#state{look_timer = undefined})};
handle_info({timeout, Timer, retry}, #state{retry_timer = Timer} = State) ->
    {noreply, connect(State#state{retry_timer = undefined})};
handle_info({timeout, Timer, report}, #state{report_timer = Timer, newcomers = Nodes, options = Options} = State) ->
    Members = caravan_members:connected(State#state.members),
    ok = caravan_report:connected([Node || Node <- Nodes, lists:member(Node, Members)], length(Members), Options),
    {noreply, State#state{report_timer = undefined, newcomers = []}};
handle_info({nodeup, _Node, _Info}, State) ->
    {noreply, refresh(State)};
handle_info({nodedown, Node, Info}, State) ->
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
    case caravan_connector:handle_info(Info, Connector) of
        {Event, Next} ->
            ok = caravan_report:connect(Event, Options),
            connect(after_attempt(Event, State#state{connector = Next}));
        ignore ->
            handle_listener(Info, State)
    end.

%% Most times `nodeup' has come before; a list of the user's knows no such message.
after_attempt({connected, Node, _}, #state{members = Members} = State) ->
    case lists:member(Node, caravan_members:connected(Members)) of
        true -> State;
        false -> refresh(State)
    end;
after_attempt(_Failed, State) ->
    State.

handle_listener(Info, #state{audience = Audience} = State) ->
    case caravan_audience:handle_info(Info, Audience) of
        {handled, Next} -> State#state{audience = Next};
        ignore -> State
    end.

%% One poll at a time: an answer that is on its way is as good as a new one. What is missing is not left to wait for it.
look(#state{poll = undefined, options = Options} = State) ->
    connect(cancel_look(State#state{poll = {caravan_poll:start(Options), erlang:monotonic_time()}}));
look(State) ->
    State.

cancel_poll(#state{poll = {Poll, _Began}} = State) ->
    ok = caravan_poll:cancel(Poll),
    State#state{poll = undefined};
cancel_poll(State) ->
    State.

polled(Outcome, Began, #state{last_lookup = Before, wanted = Wanted, options = Options} = State) ->
    Looked = remember(Outcome, State),
    Measurements = #{duration => erlang:monotonic_time() - Began, endpoints => endpoint_count(Outcome)},
    ok = caravan_report:looked_up(Looked#state.last_lookup, Before, Measurements, Options),
    IsChanged = Before =/= none andalso Wanted =/= Looked#state.wanted,
    schedule(pace(Outcome, IsChanged, Looked), connect(prune(refresh(Looked)))).

endpoint_count({ok, #{endpoints := Endpoints}}) -> length(Endpoints);
endpoint_count({error, _}) -> 0.

remember({ok, #{endpoints := Endpoints, complete := Complete}}, #state{names = Names, options = Options} = State) ->
    {Nodes, NextNames} = caravan_node_names:from_endpoints(Endpoints, Names),
    {Own, Others} = lists:partition(fun is_own_name/1, Nodes),
    Aliases = lists:delete(node(), Own),
    Wanted = wanted(Others, Complete, State),
    ok = caravan_report:found(is_debug(), Nodes, Options),
    ok = caravan_report:names(last_refused(NextNames), last_refused(Names), Options),
    ok = caravan_report:wanted(Wanted, State#state.wanted, Options),
    ok = caravan_report:own_alias(Aliases -- State#state.own_aliases, Options),
    ok = caravan_topologies:publish(maps:get(name, Options), Wanted),
    State#state{
        last_lookup = fresh,
        failed_polls = 0,
        answered_at = now_ms(),
        wanted = Wanted,
        complete = Complete orelse State#state.complete,
        answer_complete = Complete,
        self_listed = lists:member(node(), Own),
        own_aliases = Aliases,
        members = caravan_members:list(Wanted, State#state.members),
        names = NextNames,
        connector = caravan_connector:keep(Wanted, State#state.connector),
        prune = listed(Wanted, Complete, State)
    };
%% Consul says NXDOMAIN when no instance is healthy: that is no reason to forget those we know.
remember({error, Reason}, State) when Reason =:= nxdomain; Reason =:= nodata ->
    State#state{last_lookup = {empty, Reason}, failed_polls = 0};
remember({error, Reason}, #state{failed_polls = Failed} = State) ->
    State#state{last_lookup = {failed, Reason}, failed_polls = Failed + 1}.

%% This node under another spelling is this node, too: to connect there would be to connect to itself.
is_own_name(Node) ->
    string:lowercase(atom_to_binary(Node)) =:= string:lowercase(atom_to_binary(node())).

is_debug() ->
    caravan_config:value(debug) =:= {ok, true}.

last_refused(Names) ->
    maps:get(last_refused, caravan_node_names:stats(Names)).

%% What an incomplete answer leaves out may still be there: it only adds to a complete one.
wanted(Nodes, false, #state{complete = true, wanted = Before}) -> lists:umerge(Nodes, Before);
wanted(Nodes, _Complete, _State) -> Nodes.

listed(Wanted, true, #state{prune = Prune, members = Members}) ->
    caravan_prune:listed(Wanted, caravan_members:connected(Members), now_ms(), Prune);
listed(_Wanted, false, #state{prune = Prune}) ->
    Prune.

pace({error, _}, _IsChanged, #state{failed_polls = Failed}) when Failed > 0 -> {failed, Failed};
pace({error, _}, _IsChanged, _State) -> {steady, 0};
pace({ok, #{ttl := Ttl}}, true, _State) -> {changed, Ttl};
pace({ok, #{ttl := Ttl}}, false, _State) -> {steady, Ttl}.

prune(#state{members = Members, prune = Prune, options = Options} = State) ->
    {Nodes, Next} = caravan_prune:due(certainty(State), caravan_members:connected(Members), now_ms(), Prune),
    Absent = caravan_prune:absent(now_ms(), Prune),
    lists:foreach(fun(Node) -> disconnect(Node, maps:get(Node, Absent), Options) end, Nodes),
    State#state{prune = Next}.

certainty(#state{last_lookup = fresh, answer_complete = true}) -> fresh;
certainty(#state{last_lookup = fresh}) -> incomplete;
certainty(#state{last_lookup = {Outcome, _}}) -> Outcome.

%% A function of the user's may take its time.
disconnect(Node, AbsentMs, #{disconnect := {Module, Function, Arguments}} = Options) ->
    _ = spawn(fun() ->
        caravan_report:disconnect(Node, apply(Module, Function, Arguments ++ [Node]), AbsentMs, Options)
    end),
    ok.

%% Who is connected now, and what has become of that since the last time.
refresh(State) ->
    refresh(connected_nodes(State), connection_closed, State).

%% What is wanted is listed still: no answer has said otherwise.
refresh(Connected, Reason, #state{wanted = Wanted, options = #{prune_after := Memory}, members = Before} = State) ->
    {Came, Went, Members} = caravan_members:refresh(Connected, Memory, caravan_members:list(Wanted, Before)),
    ok = report_members(Came, Went, Reason, length(caravan_members:connected(Members)), State),
    report_later(Came, State#state{
        members = Members,
        names = lists:foldl(fun caravan_node_names:is_a_node/2, State#state.names, Came),
        connector = lists:foldl(fun caravan_connector:forget/2, State#state.connector, Connected),
        audience = caravan_audience:connected(caravan_members:connected(Members), Connected, State#state.audience)
    }).

%% A node that joins a large cluster is connected to all of it at once, and one line says so.
report_later([], State) ->
    State;
report_later(Came, #state{report_timer = undefined} = State) ->
    report_later(Came, State#state{report_timer = erlang:start_timer(?REPORT_DELAY_MS, self(), report)});
report_later(Came, #state{newcomers = Newcomers} = State) ->
    State#state{newcomers = Came ++ Newcomers}.

report_members(Came, Went, Reason, Count, #state{options = #{name := Name} = Options, wanted = Wanted} = State) ->
    lists:foreach(
        fun(Node) -> caravan_report:down(Node, Reason, lists:member(Node, Wanted), Count, Options) end, Went
    ),
    lists:foreach(fun(Node) -> caravan_report:up(Node, Count, Options) end, Came),
    Events = [{down, Node} || Node <- Went] ++ [{up, Node} || Node <- Came],
    lists:foreach(fun(Event) -> caravan_audience:tell(Name, Event, State#state.audience) end, Events).

connected_nodes(#state{options = #{list_nodes := {Module, Function, Arguments}}} = State) ->
    try
        lists:usort(apply(Module, Function, Arguments))
    catch
        _:_ -> caravan_members:connected(State#state.members)
    end.

%% It may be connected again by the time this is read, and those who were told that it is up are told of both.
node_is_down(Node, Reason, #state{wanted = Wanted} = State) ->
    Refreshed = refresh(lists:delete(Node, connected_nodes(State)), Reason, State),
    case lists:member(Node, Wanted) of
        true -> arm_look(caravan_schedule:look_after_nodedown(), Refreshed);
        false -> Refreshed
    end.

connect(#state{connector = Connector} = State) ->
    Missing = missing(State),
    Next = caravan_connector:connect(Missing, Connector),
    retry_in(caravan_connector:next_retry(Missing, Next), State#state{connector = Next}).

missing(#state{options = #{connect := {net_kernel, connect_node, []}}} = State) ->
    case is_alive() of
        true -> not_connected(State);
        false -> []
    end;
missing(State) ->
    not_connected(State).

not_connected(#state{wanted = Wanted, options = Options} = State) ->
    Connected = connected_nodes(State),
    without_taken(caravan_node_names:same_listener(Options), Wanted -- Connected, Connected).

without_taken(false, Missing, _Connected) ->
    Missing;
without_taken(true, Missing, Connected) ->
    Taken = [listener(Node) || Node <- Connected],
    [Node || Node <- Missing, not lists:member(listener(Node), Taken)].

listener(Node) ->
    [_Name, Host] = string:split(atom_to_list(Node), "@"),
    {Host, caravan_nif:dist_port(Node)}.

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

%% What is wanted stands until the first answer under the new options, which may then be an incomplete one.
changed(#{name := Name} = Options, #state{options = #{name := Name}} = State) ->
    State#state{
        options = Options,
        failed_polls = 0,
        complete = false,
        names = caravan_node_names:change(Options, State#state.names),
        connector = caravan_connector:change(Options, State#state.connector),
        prune = caravan_prune:change(Options, State#state.prune)
    }.

status(#state{options = #{name := Name, query := Query}, wanted = Wanted, connector = Connector} = State) ->
    lists:foldl(fun maps:merge/2, caravan_node_names:stats(State#state.names), [
        caravan_prune:stats(State#state.prune),
        #{
            name => Name,
            query => Query,
            last_lookup => State#state.last_lookup,
            answer_age => age(State#state.answered_at),
            wanted => Wanted,
            complete => State#state.complete,
            self_listed => State#state.self_listed,
            connected => [Node || Node <- connected_nodes(State), lists:member(Node, Wanted)],
            connecting => caravan_connector:connecting(Connector),
            failing => maps:with(not_connected(State), caravan_connector:failing(Connector)),
            next_poll => next_poll(State),
            absent => caravan_prune:absent(now_ms(), State#state.prune)
        }
    ]).

age(undefined) -> none;
age(At) -> now_ms() - At.

next_poll(#state{poll = {_, _}}) -> now;
next_poll(#state{look_timer = Timer}) -> left(erlang:read_timer(Timer)).

left(false) -> now;
left(Milliseconds) -> Milliseconds.

now_ms() ->
    erlang:monotonic_time(millisecond).
