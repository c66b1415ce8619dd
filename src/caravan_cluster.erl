%% @doc Forms a cluster from the SRV records of a name, and keeps it whole.
%%
%% A topology looks up `query', turns each record into a node name `node_basename-Port@Target', and connects to the
%% nodes it is not connected to. It looks again every `poll_interval', at once when a node goes down, and more rarely
%% while DNS fails. It never disconnects anybody: when DNS fails it keeps the last good answer, and when the answer is
%% "none" it keeps the connections there are.
%%
%% Topologies are started from the configuration of the application, `{caravan, [{topologies, [{Name, Options}]}]}', or
%% under a supervisor of one's own by `caravan_cluster:child_spec(Options#{name => Name})'.
-module(caravan_cluster).
-behaviour(gen_server).

-export([start_link/1, child_spec/1, check_options/1, poll/1, status/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-export_type([options/0, status/0]).

-type options() :: #{
    %% Names the topology among those of the node, in status/1 and in the log.
    name := atom(),
    %% The name that has the SRV records.
    query := string() | binary(),
    %% What stands before `-Port@Target' in the names of the nodes.
    node_basename := string() | binary() | atom(),
    %% As in caravan_dns:lookup/3, with what the resolver has as the default.
    resolver => default | caravan_dns:resolver(),
    nameservers => default | system | [string() | binary(), ...],
    timeout => default | pos_integer(),
    transport => default | auto | udp | tcp,
    %% Milliseconds between looks, 100 to 3,600,000, give or take a tenth; default 5000.
    poll_interval => pos_integer(),
    %% Milliseconds for one node, 1 to 120,000; default 10000.
    connect_timeout => pos_integer(),
    %% Nodes connected to at a time, 1 to 1000; default 16.
    max_connecting => pos_integer(),
    %% Nodes taken from one answer, 1 to 10,000; default 1000.
    max_nodes => pos_integer()
} | [{atom(), term()}].

-type status() :: #{
    name := atom(),
    %% How the last lookup ended.
    last_lookup := none | fresh | {empty, nxdomain | nodata} | {failed, caravan_dns:reason()},
    %% The nodes of the last good answer without this one, and whether it was complete. Nodes of later answers that are
    %% not complete are added to a complete one.
    wanted := [node()],
    complete := boolean(),
    connected := [node()],
    connecting := [node()],
    failing := #{node() => #{count := pos_integer(), reason := refused | timeout}},
    atoms_left := non_neg_integer(),
    names_refused := non_neg_integer()
}.

-record(state, {
    options :: map(),
    lookup :: reference() | undefined,
    timer :: reference() | undefined,
    retry :: reference() | undefined,
    last_lookup = none :: none | fresh | {empty, nxdomain | nodata} | {failed, term()},
    failed_polls = 0 :: non_neg_integer(),
    wanted = [] :: [node()],
    complete = false :: boolean(),
    names :: caravan_node_names:state(),
    connector :: caravan_connector:state()
}).

%% @doc Starts a topology that is linked to the caller.
-spec start_link(options()) -> {ok, pid()} | {error, {already_started, pid()} | caravan_option:error()}.
start_link(Options) ->
    case check_options(Options) of
        {ok, #{name := Name} = Checked} -> gen_server:start_link({local, registered_name(Name)}, ?MODULE, Checked, []);
        {error, _} = Error -> Error
    end.

%% @doc A child specification for a supervisor. Options that are not allowed show when the child is started.
%%
%% ```
%% caravan_cluster:child_spec(#{name => app, query => "app.service.consul", node_basename => "app"}).
%% '''
-spec child_spec(options()) -> supervisor:child_spec().
child_spec(Options) ->
    #{id => {?MODULE, given_name(Options)}, start => {?MODULE, start_link, [Options]}}.

given_name(#{name := Name}) -> Name;
given_name(Options) when is_list(Options) -> proplists:get_value(name, Options);
given_name(_Options) -> undefined.

%% @doc The options with their defaults, or which of them is not allowed.
-spec check_options(options()) -> {ok, map()} | {error, caravan_option:error()}.
check_options(Options) ->
    caravan_option:validate(Options, [
        {name, required, {fun(Name) when is_atom(Name) -> {ok, Name}; (_) -> error end, "an atom"}},
        {query, required, caravan_option:dns_name()},
        {node_basename, required, caravan_option:basename()},
        {poll_interval, {default, 5000}, caravan_option:integer(100, 3600000)},
        {connect_timeout, {default, 10000}, caravan_option:integer(1, 120000)},
        {max_connecting, {default, 16}, caravan_option:integer(1, 1000)},
        {max_nodes, {default, 1000}, caravan_option:integer(1, 10000)}
        | [Option || {Key, _, _} = Option <- caravan_dns:lookup_options(), Key =/= srv_order]
    ]).

%% @doc Looks at once.
-spec poll(atom()) -> ok.
poll(Name) ->
    gen_server:cast(registered_name(Name), poll).

%% @doc What the topology knows, wants and does. Exits with `noproc' when there is no such topology.
-spec status(atom()) -> status().
status(Name) ->
    gen_server:call(registered_name(Name), status).

%% One more atom for each that is used as a name.
registered_name(Name) ->
    list_to_atom("caravan_cluster." ++ atom_to_list(Name)).

init(#{name := Name, node_basename := Basename, max_nodes := MaxNodes} = Options) ->
    ok = logger:set_process_metadata(#{caravan_topology => Name}),
    _ = net_kernel:monitor_nodes(true),
    State = #state{
        options = Options,
        names = caravan_node_names:new(Basename, MaxNodes),
        connector = caravan_connector:new(Options)
    },
    {ok, look(State)}.

handle_call(status, _From, State) ->
    {reply, status_of(State), State}.

handle_cast(poll, State) ->
    {noreply, look(State)}.

handle_info({caravan_dns, Ref, Result}, #state{lookup = Ref} = State) ->
    {noreply, schedule(connect(looked(Result, State#state{lookup = undefined})))};
handle_info({timeout, Timer, look}, #state{timer = Timer} = State) ->
    {noreply, look(State#state{timer = undefined})};
handle_info({timeout, Timer, retry}, #state{retry = Timer} = State) ->
    {noreply, connect(State#state{retry = undefined})};
handle_info({nodeup, Node}, #state{connector = Connector} = State) ->
    {noreply, State#state{connector = caravan_connector:forget(Node, Connector)}};
handle_info({nodedown, Node}, State) ->
    {noreply, node_is_down(Node, lists:member(Node, State#state.wanted), State)};
handle_info(Info, #state{connector = Connector} = State) ->
    case caravan_connector:handle_info(Info, Connector) of
        {connected, Node, Next} ->
            logger:notice("caravan ~ts: connected to ~ts", [name(State), Node]),
            {noreply, connect(State#state{connector = Next})};
        {failed, Node, Reason, Count, Next} ->
            report_failure(Node, Reason, Count, State),
            {noreply, connect(State#state{connector = Next})};
        ignore ->
            {noreply, State}
    end.

%% One lookup at a time: an answer that is on its way is as good as a new one.
look(#state{lookup = undefined, options = #{query := Query} = Options} = State) ->
    Ref = caravan_dns:lookup_async(Query, srv, maps:with([resolver, nameservers, timeout, transport], Options)),
    cancel_timer(State#state{lookup = Ref});
look(State) ->
    State.

looked({ok, Answer}, #state{names = Names, connector = Connector} = State) ->
    ok = caravan_glue:learn(Answer),
    {Nodes, NextNames} = caravan_node_names:from_answer(Answer, Names),
    #{complete := Complete} = Answer,
    Wanted = wanted(lists:delete(node(), Nodes), Complete, State),
    report_lookup(fresh, State),
    report_change(Wanted, State),
    State#state{
        last_lookup = fresh,
        failed_polls = 0,
        wanted = Wanted,
        complete = Complete orelse State#state.complete,
        names = NextNames,
        connector = caravan_connector:keep(Wanted, Connector)
    };
%% Consul says NXDOMAIN when no instance is healthy: that is no reason to forget those we know.
looked({error, Reason}, State) when Reason =:= nxdomain; Reason =:= nodata ->
    report_lookup({empty, Reason}, State),
    State#state{last_lookup = {empty, Reason}, failed_polls = 0};
looked({error, Reason}, #state{failed_polls = Failed} = State) ->
    report_lookup({failed, Reason}, State),
    State#state{last_lookup = {failed, Reason}, failed_polls = Failed + 1}.

%% What an incomplete answer leaves out may still be there: it only adds to a complete one.
wanted(Nodes, false, #state{complete = true, wanted = Before}) -> lists:umerge(Nodes, Before);
wanted(Nodes, _Complete, _State) -> Nodes.

connect(#state{wanted = Wanted, connector = Connector} = State) ->
    Missing = missing(Wanted, is_alive()),
    Next = caravan_connector:connect(Missing, Connector),
    retry_in(caravan_connector:next_retry(Missing, Next), State#state{connector = Next}).

%% One timer for the node whose back-off ends first.
retry_in(After, #state{retry = undefined} = State) when is_integer(After) ->
    State#state{retry = erlang:start_timer(After, self(), retry)};
retry_in(none, #state{retry = undefined} = State) ->
    State;
retry_in(After, #state{retry = Timer} = State) ->
    _ = erlang:cancel_timer(Timer),
    retry_in(After, State#state{retry = undefined}).

missing(Wanted, true) -> Wanted -- nodes(connected);
missing(_Wanted, false) -> [].

node_is_down(Node, true, State) ->
    logger:warning("caravan ~ts: lost ~ts", [name(State), Node]),
    arm_timer(caravan_schedule:look_after_nodedown(), State);
node_is_down(_Node, false, State) ->
    State.

schedule(#state{options = #{poll_interval := Interval}, failed_polls = Failed} = State) ->
    arm_timer(caravan_schedule:next_poll(Interval, Failed), State).

arm_timer(After, State) ->
    Cleared = cancel_timer(State),
    Cleared#state{timer = erlang:start_timer(After, self(), look)}.

cancel_timer(#state{timer = undefined} = State) ->
    State;
cancel_timer(#state{timer = Timer} = State) ->
    _ = erlang:cancel_timer(Timer),
    State#state{timer = undefined}.

status_of(#state{wanted = Wanted, connector = Connector, names = Names} = State) ->
    maps:merge(caravan_node_names:stats(Names), #{
        name => name(State),
        last_lookup => State#state.last_lookup,
        wanted => Wanted,
        complete => State#state.complete,
        connected => [Node || Node <- nodes(connected), lists:member(Node, Wanted)],
        connecting => caravan_connector:connecting(Connector),
        failing => caravan_connector:failing(Connector)
    }).

name(#state{options = #{name := Name}}) ->
    Name.

%% Only what changes is logged: a steady state is silent.
report_lookup(Same, #state{last_lookup = Same}) ->
    ok;
report_lookup(fresh, #state{last_lookup = none}) ->
    ok;
report_lookup(fresh, #state{options = #{query := Query}} = State) ->
    logger:notice("caravan ~ts: ~ts has records again", [name(State), Query]);
report_lookup({empty, Reason}, #state{options = #{query := Query}} = State) ->
    logger:notice("caravan ~ts: ~ts has no records (~ts); nobody is disconnected", [name(State), Query, Reason]);
report_lookup({failed, Reason}, #state{options = #{query := Query}} = State) ->
    logger:warning("caravan ~ts: cannot look up ~ts: ~0tp; the last good answer stands", [name(State), Query, Reason]).

report_change(Wanted, #state{wanted = Wanted}) ->
    ok;
report_change(Wanted, #state{wanted = Before} = State) ->
    logger:info("caravan ~ts: nodes in DNS now: ~0tp, gone: ~0tp", [name(State), Wanted, Before -- Wanted]).

report_failure(Node, Reason, 1, State) ->
    logger:warning("caravan ~ts: cannot connect to ~ts: ~ts", [name(State), Node, failure_text(Reason)]);
report_failure(_Node, _Reason, _Count, _State) ->
    ok.

failure_text(refused) -> "it is not reachable at the port of its name, or refuses us (cookie, name)";
failure_text(timeout) -> "it does not answer".
