%% @doc Forms a cluster from what DNS says of a name, and keeps it whole.
%%
%% A topology looks up `query', makes a node name of each record, by default `{basename}-{port}@{target}', and connects
%% to the nodes that it is not connected to. It polls again every `poll_interval', also when a node goes down, and
%% more rarely while DNS fails. It disconnects nobody, unless `prune' says so: when DNS fails the last good answer
%% stands, and when the answer is "none", too.
%%
%% Topologies are started from the configuration of the application, `{caravan, [{topologies, [{Name, Options}]}]}', by
%% {@link start/1}, or under a supervisor of one's own by {@link child_spec/1}. There may be many.
%%
%% Functions that ask a topology exit with `noproc' if no topology of that name runs, as gen_server:call/2 does.
-module(caravan_cluster).

-export([start_link/1, child_spec/1, start/1, stop/1, change/2, reload/0, topologies/0]).
-export([poll/1, status/1, why/1, health/1, format_health/1, await/3, subscribe/1, unsubscribe/1, exclude/3, reconnect/1]).
-export([leave/0, leave/1, leave/2]).
-export([check_options/1]).

-export_type([options/0, status/0, last_lookup/0, why/0, health/0, health_reason/0]).

-define(LEAVE_MS, 60000).
-define(MAX_LEAVE_MS, 86400000).

-type options() :: #{
    %% Names the topology among those of the node, in status/1 and in the log.
    name := atom(),
    %% The name to look up, or a list of up to 16 of them, of which each may have a basename of its own; required without
    %% `nodes'. All of them are looked up at each poll, and what any of them lists is wanted. Nodes are pruned only when
    %% each of them has a complete answer. With `ignore', or the `nil' that Elixir has for what is not set, nothing is
    %% started, as is often wanted in development.
    query => string() | binary() | [string() | binary() | {basename(), string() | binary()}, ...] | ignore | nil,
    %% Nodes that are wanted whatever DNS says, up to 1000: alone, as in development, or beside a query, for a node that
    %% boots while DNS is down. Their names are taken as they are written.
    nodes => [node() | string() | binary()],
    %% Nodes that this one does not connect to, though they are wanted.
    exclude => [node() | string() | binary()],
    %% What stands for `{basename}' in the names of the nodes; by default what stands before the `@' of this node's name,
    %% without the port. With several, a record gives a name for each. Where `{port}' is in the template, they are taken as
    %% names for one listener: when one is connected, the others are not tried.
    node_basename => default | basename() | [basename(), ...],
    %% The template of node names. SRV records have `{basename}', `{port}', `{target}', the first label of the target as
    %% `{label}' and what follows it as `{domain}', and `{ip}'; records of addresses have `{basename}' and `{ip}'. `default'
    %% is `"{basename}-{port}@{target}"' for SRV records, `"{basename}@{ip}"' for others.
    node_name => default | string() | binary(),
    %% What is looked up; default `srv'. With `addresses', A and AAAA: nodes are at the addresses of the families that the
    %% distribution speaks (`-proto_dist').
    record => srv | a | aaaa | addresses,
    %% As in caravan_dns:lookup/3, with what the resolver has as the default. Records of addresses, too, are asked for over
    %% TCP first, as only TCP gives all of them, whatever the resolver has, unless `transport' says otherwise.
    resolver => default | caravan_dns:resolver(),
    nameservers => default | system | [string() | binary(), ...],
    timeout => default | pos_integer(),
    transport => default | auto | udp | tcp,
    %% A module with get_nodes/1, which is given the query, a binary, and returns a list of `{Port, Host}', in a process
    %% of its own. An empty list is an empty answer, an exception a failed poll. It may take `timeout', by default 15 s.
    dns_client => default | module(),
    %% Milliseconds between polls, 100 to 3,600,000, give or take a tenth; default 5000. A quarter of that after a
    %% change, no less than the TTL of the answer (an hour at most).
    poll_interval => pos_integer(),
    %% Milliseconds for one node, 1 to 120,000; default 10000.
    connect_timeout => pos_integer(),
    %% Nodes connected to at a time, 1 to 1000; default 16.
    max_connecting => pos_integer(),
    %% Nodes taken from one answer, 1 to 10,000; default 1000.
    max_nodes => pos_integer(),
    %% Atoms that the topology may make of names that turn out to be no nodes', 1 to 100,000; default half of `max_nodes'.
    %% A name that is connected once counts no more, and every ten minutes one is given back, the oldest. After a crash the
    %% topology may make as many again.
    atom_budget => default | pos_integer(),
    %% Whether an answer shows all nodes or, as that of AWS Cloud Map, a sample of them; default `all'. A node of a sample is
    %% wanted until it has not been in an answer for `sampled_expiry', and nobody is pruned.
    answers => all | sampled,
    %% Milliseconds, 1000 to 86,400,000; default 600,000. Nodes of incomplete answers are wanted for that long as well.
    sampled_expiry => pos_integer(),
    %% Whether nodes are disconnected that DNS does not list any more; default `false'.
    prune => boolean(),
    %% Milliseconds that a node must be absent from fresh and complete answers, 1000 to 86,400,000; default 300,000.
    prune_after => pos_integer(),
    %% The part of the cluster, this node included, that may be disconnected within `prune_after', above 0 and up to 1;
    %% default 0.34. Rounded down: with the default, a cluster of two disconnects nobody.
    prune_max_fraction => number(),
    %% How many other nodes must be connected for this one to be ready (health/1): a number from 0 to 10,000, which counts as
    %% that of await/3 does; or `{fraction, F}', F above 0 and up to 1, of the wanted nodes, rounded up, without this node and those
    %% that are excluded. Default 0.
    expect => non_neg_integer() | {fraction, number()},
    %% Milliseconds, 0 to 3,600,000, for which neither the wanted nor the connected nodes have changed when the topology becomes
    %% ready for the first time. Default 0.
    stable_for => non_neg_integer(),
    %% What connects and disconnects a node, which is appended to the arguments, and gives `true'; what gives the list
    %% of nodes that are connected. Defaults: `{net_kernel, connect_node, []}', `{erlang, disconnect_node, []}',
    %% `{erlang, nodes, [connected]}'.
    connect => mfargs(),
    disconnect => mfargs(),
    list_nodes => mfargs(),
    %% The least level of what the topology logs; default `all', with `none' nothing. What the log has of options that are not allowed,
    %% and of a topology that crashes, is not the topology's.
    log => logger:level() | all | none
} | [{atom(), term()}].
-type basename() :: string() | binary() | atom().
-type mfargs() :: {module(), atom(), [term()]}.

%% How the last lookup ended: with records; with a nameserver's word that there are none; not at all.
-type last_lookup() ::
    none | fresh | {empty, nxdomain | nodata} | {failed, caravan_dns:reason() | caravan_dns:error() | {client, term()}}.

-type status() :: #{
    name := atom(),
    %% Who has said that there is such a topology: a source of the key `topologies', or whoever called start/1,
    %% start_link/1 or a supervisor of theirs.
    source := caravan_config:source() | caller,
    %% None where the nodes are a fixed list. Of several queries, the keys that tell of answers tell of the one that knows
    %% least: `last_lookup', `answer_age', `complete'.
    query := binary() | [binary() | {Basename :: binary(), binary()}, ...] | none,
    %% Which nameservers are asked, and where they come from: the option of the topology, its resolver or client, or a source of the key
    %% `nameservers'.
    nameservers := {system | [binary(), ...] | none, no_query | topology | resolver | dns_client | caravan_config:source()},
    last_lookup := last_lookup(),
    %% Milliseconds since the last answer with records.
    answer_age := none | non_neg_integer(),
    %% Milliseconds until the next lookup; `now' while one is under way; none without a query.
    next_poll := now | none | non_neg_integer(),
    %% The nodes of the last complete answer and of `nodes', and those that incomplete answers have listed within
    %% `sampled_expiry', without this one; and whether there was a complete answer.
    wanted := [node()],
    complete := boolean(),
    %% Whether the last answer lists this node, or `nodes' has it: others look for it there. Names of answers are compared as
    %% DNS does it, without regard to case.
    self_listed := boolean(),
    %% Those of the wanted nodes that are connected, that are being connected, and that could not be connected: how
    %% often in a row, why, and in how many milliseconds they are tried again.
    connected := [node()],
    connecting := [node()],
    failing := #{
        node() => #{
            count := pos_integer(), reason := caravan_diagnosis:reason(), retry_in := non_neg_integer()
        }
    },
    %% Nodes of the option `exclude', and those of exclude/3 for so many milliseconds more.
    excluded := #{node() => infinity | non_neg_integer()},
    %% For how many milliseconds more this node connects to nobody since leave/0,1,2; and nodes that have said that they leave: for
    %% so many milliseconds more they are not tried, unless they come back by themselves.
    leaving := none | pos_integer(),
    left := #{node() => non_neg_integer()},
    %% Connected nodes that DNS has listed and does not list any more, and for how many milliseconds.
    absent := #{node() => non_neg_integer()},
    %% How many nodes `prune' has disconnected; those that were due and stayed, by the last poll, and why; and how often
    %% that has happened.
    pruned := non_neg_integer(),
    suppressed := #{node() => caravan_prune:suppression()},
    suppressions := non_neg_integer(),
    %% What is left of `atom_budget'; names that were refused, in all and of the last answer.
    atoms_left := non_neg_integer(),
    names_refused := non_neg_integer(),
    %% `unresolved' counts targets without an address.
    last_refused := #{invalid | max_nodes | atom_budget | unresolved => non_neg_integer()}
}.

%% What there is of one node.
-type why() :: #{
    node := binary(),
    %% `connected'; `proven', which is a node of that name with the same cookie that is not connected; `reachable', where the cookie is not
    %% known; or what is in the way (docs/clusters.md has all reasons).
    result := connected | proven | reachable | caravan_why:kept_out() | caravan_diagnosis:reason(),
    %% The result as a clause without a dot at its end, such as "the cookie differs".
    explanation := string(),
    %% Where this node looks for it, and what the node there calls itself, as far as that is known.
    address => inet:ip_address(),
    port => inet:port_number(),
    name_there => binary()
}.
%% Whether this node may take traffic, as far as the topology knows. A node that is degraded may.
-type health() :: ok | {degraded, [health_reason(), ...]} | {not_ready, [health_reason(), ...]}.

%% Times are milliseconds.
-type health_reason() ::
    %% These keep a node from being ready, at any time.
    %%
    %% This node is not distributed.
    not_distributed
    %% This node has left (leave/0), for so many milliseconds more.
    | {leaving, #{left := pos_integer()}}
    %% Fewer other nodes are connected than `expect' says: `expected' is that number, or the fraction of the wanted nodes.
    | {too_few_nodes, #{expected := pos_integer(), connected := non_neg_integer()}}
    %% These keep a node from being ready until the topology was ready for the first time.
    %%
    %% No poll has brought an answer of each query so far. That there are no records is an answer.
    | no_answer
    %% The cluster has changed less than `stable_for' ago, and is ready in `left' unless it changes again.
    | {unstable, #{stable_for := pos_integer(), left := pos_integer()}}
    %% These keep a node from being ready if the topology never was. Otherwise the node is degraded.
    %%
    %% No topology of that name runs: it was never started, or it has crashed and waits for its restart.
    | not_running
    %% The topology has not answered within a second.
    | unresponsive
    %% The others degrade a node.
    %%
    %% The last lookup has failed.
    | {lookup_failed, caravan_dns:reason() | caravan_dns:error() | {client, term()}}
    %% The last answer is that there are no records.
    | {no_records, nxdomain | nodata}
    %% The last answer with records is older than a minute and than three poll intervals, `limit', and the last lookup brought none.
    | {old_answer, #{age := pos_integer(), limit := pos_integer()}}
    %% The last answer is complete and does not list this node.
    | not_listed
    %% The last answer may lack records.
    | incomplete_answer
    %% Names of the last answer that were refused, or targets without an address, as `last_refused' of the status.
    | {names_refused, #{invalid | max_nodes | atom_budget | unresolved => pos_integer()}}
    %% Attempts to connect have failed, and none of the wanted nodes is connected, or not all of them are. More than this the node
    %% does not know: others of the cluster may be connected to more of them.
    | {isolated, #{wanted := pos_integer()}}
    | {partly_connected, #{wanted := pos_integer(), connected := pos_integer()}}
    %% Nodes that cannot be connected, as `failing' of the status, and those whose connections do not last.
    | {nodes_failing, #{
        node() => #{count := pos_integer(), reason := caravan_diagnosis:reason(), retry_in := non_neg_integer()}
    }}
    | {flapping, #{node() => #{count := pos_integer(), reason := lost_soon, retry_in := non_neg_integer()}}}.

%% For how long health/1 waits for a topology that is busy, in milliseconds.
-define(HEALTH_TIMEOUT_MS, 1000).

%% @doc Starts a topology that is linked to the caller; none, and `ignore', when its query says so.
-spec start_link(options()) -> {ok, pid()} | ignore | {error, {already_started, pid()} | caravan_option:error()}.
start_link(Options) ->
    case check_options(Options) of
        {ok, #{query := ignore, name := Name}} -> ok = caravan_topology_registry:set_ignored(Name), ok = caravan_report:ignored(Name), ignore;
        {ok, Checked} -> caravan_topology:start_link(Checked);
        {error, _} = Error -> Error
    end.

%% @doc A child specification for a supervisor. Options that are not allowed show when the child is started.
%%
%% ```
%% caravan_cluster:child_spec(#{name => app, query => "app.service.consul", node_basename => "app"}).
%% '''
-spec child_spec(options()) -> supervisor:child_spec().
child_spec(Options) ->
    #{
        id => {?MODULE, given_name(Options)}, start => {?MODULE, start_link, [Options]}, modules => [caravan_topology]
    }.

given_name(#{name := Name}) -> Name;
given_name(Options) when length(Options) >= 0 -> proplists:get_value(name, Options);
given_name(_Options) -> undefined.

%% @doc Starts a topology under Caravan's own supervisor, as one of the configuration: one that crashes is started again,
%% after a back-off of up to a minute when it does so again and again. Errors: `not_started' when the
%% application is not, `{already_started, Pid}', and what is not allowed of the options.
%%
%% ```
%% {ok, _} = caravan_cluster:start(#{name => app, query => "app.service.consul", node_basename => "app"}).
%% '''
-spec start(options()) ->
    {ok, pid()} | ignore | {error, not_started | {already_started, pid()} | caravan_option:error()}.
start(Options) ->
    case check_options(Options) of
        {ok, _} -> caravan_topologies:start(Options);
        {error, _} = Error -> Error
    end.

%% @doc Stops a topology that {@link start/1} or the configuration has started. The connections stay. Errors:
%% `not_found' when Caravan's supervisor has none of that name, `not_started' when the application is not.
%%
%% ```
%% ok = caravan_cluster:stop(app).
%% '''
-spec stop(atom()) -> ok | {error, not_found | not_started}.
stop(Name) ->
    caravan_topologies:stop(Name).

%% @doc Makes the topologies of the configuration as the application's environment is now: starts those that are new, stops
%% those that have gone, and gives other options to those that have changed, also by {@link change/2}. Connections stay. One whose
%% entry is not allowed runs as it did; the log names it. Topologies of
%% {@link start/1} are left alone, but one that the configuration has by then belongs to it from then on. OTP calls this after a change of the environment (config_change). Errors: `not_started'.
%%
%% ```
%% ok = application:set_env(caravan, topologies, [{app, [{query, "app.service.consul"}, {node_basename, "app"}]}]),
%% ok = caravan_cluster:reload().
%% '''
-spec reload() -> ok | {error, not_started}.
reload() ->
    ok = caravan_config_report:changed([topologies]),
    caravan_topologies:reload().

%% @doc Gives a topology other options, all of them; it polls at once. Who waits or is subscribed stays so, and what was
%% wanted stands until there is an answer, but for names of `nodes' that it no longer has, and without a query nothing
%% stands. After a crash the topology is started with its first options.
%%
%% ```
%% ok = caravan_cluster:change(app, #{query => "app.service.consul", node_basename => "app", poll_interval => 1000}).
%% '''
-spec change(atom(), options() | map()) -> ok | {error, caravan_option:error()}.
change(Name, Options) ->
    case check_options(caravan_topology_options:with_name(Name, Options)) of
        {ok, #{query := ignore}} -> {error, {bad_option, query, ignore, "a query; stop/1 ends a topology"}};
        {ok, Checked} -> caravan_topology:change(Name, Checked, infinity);
        {error, _} = Error -> Error
    end.

%% @doc The names of the topologies of this node. One that runs without the application is not among them.
-spec topologies() -> [atom()].
topologies() ->
    caravan_topology_registry:names().

%% @private
%% The options with their defaults, or which of them is not allowed.
-spec check_options(options()) -> {ok, map()} | {error, caravan_option:error()}.
check_options(Options) ->
    caravan_topology_options:check(Options).

%% @doc Makes the topology poll at once, if there is one.
-spec poll(atom()) -> ok.
poll(Name) ->
    gen_server:cast(caravan_topology:registered_name(Name), poll).

%% @doc What the topology knows, wants and does.
-spec status(atom()) -> status().
status(Name) ->
    status_of(whereis(caravan_topology:registered_name(Name)), Name).

%% A handler of telemetry events runs in the process of the topology, which cannot call itself.
status_of(Pid, Name) when Pid =:= self() ->
    [{Name, {ok, Status}}] = caravan_topology:ask([Name], status, 0),
    Status;
status_of(_Pid, Name) ->
    call(Name, status).

%% @doc Why a node is not connected. Says first what the topologies of this node know: the node has left, this one has, or it is excluded.
%% Otherwise it takes the steps of an attempt to connect, from the node's port and address to the end of the handshake, and says which
%% of them fails.
%%
%% It takes up to ten seconds, connects nobody, and makes no atom of the name. The handshake is that of a hidden node, whose name begins
%% with `0-caravan-doctor', with the default cookie, closed at once; where the cookie differs, the other node logs that. Any node may be
%% asked for, of a topology or not. In a handler of telemetry events it stops the topology for as long. Errors: the argument is no name of
%% a node; `{not_loaded, Text}': the library cannot be loaded, and `Text' says why.
%%
%% `result' is `connected'; `proven': a node of that name with the same cookie answers, and is not connected; `reachable': a node of that
%% name answers, and its cookie is not known; or a reason, such as `cookie' (docs/clusters.md has all of them).
%%
%% ```
%% #{result := cookie, explanation := Text} = caravan_cluster:why('app-4370@10.0.0.1').
%% '''
-spec why(node() | string() | binary()) -> why() | {error, caravan_option:error() | {not_loaded, Text :: string()}}.
why(Node) ->
    why(caravan_nif:load(), Node).

why(ok, Node) ->
    case caravan_option:check(node, Node, node_text()) of
        {ok, Text} -> caravan_why:explain(Text);
        {error, _} = Error -> Error
    end;
why({error, LoadError}, _Node) ->
    {error, {not_loaded, caravan_load_error:format(LoadError)}}.

node_text() ->
    {fun node_text/1, "the name of a node, as name@host"}.

node_text(Node) when is_atom(Node) -> node_text(atom_to_binary(Node));
node_text(Node) -> as_node_name(caravan_option:check(node, Node, caravan_option:text())).

as_node_name({ok, Text}) -> as_node_name(caravan_nif:node_name(Text), Text);
as_node_name({error, _}) -> error.

as_node_name({ok, _}, Text) -> {ok, Text};
as_node_name({error, badname}, _Text) -> error.
%% @doc Whether this node may take traffic, as far as the topology knows: `ok', or what keeps it from that (`not_ready'), or what
%% is not as it should be and keeps nobody from it (`degraded'). Of `not_ready' the first reasons are those that keep the node from
%% being ready. That DNS fails never makes a ready node `not_ready'.
%%
%% It does not raise, and waits for a topology that is busy for at most a second. Of a topology that does not run or does not
%% answer it says `degraded' if that one was ready before, as its connections stand, and otherwise `not_ready'.
%%
%% ```
%% {not_ready, [{too_few_nodes, #{expected := 2, connected := 1}}]} = caravan_cluster:health(app).
%% '''
-spec health(atom()) -> health().
health(Name) ->
    caravan_health_report:verdict(hd(caravan_topology:ask([Name], health, ?HEALTH_TIMEOUT_MS))).

%% @doc A health in words, as one line of UTF-8 without a newline, for logs and for what a probe prints. Of many nodes it names some.
%%
%% ```
%% <<"not ready: 1 other node is connected and 2 are expected">> =
%%     caravan_cluster:format_health({not_ready, [{too_few_nodes, #{expected => 2, connected => 1}}]}).
%% '''
-spec format_health(health()) -> unicode:unicode_binary().
format_health(Health) ->
    caravan_health_report:format(Health).

%% @doc Waits until so many other nodes of the topology are connected, or until the given nodes are, whether they are of the topology or
%% not, or, with `ready', until {@link health/1} is not `not_ready'. Returns the nodes of the topology that are connected then, or
%% `{error, timeout}'. `Timeout' is in milliseconds, 0 to 4,294,967,295, or `infinity'. Exits with `noproc' if no topology of that name
%% runs, as the functions do that ask one.
%%
%% ```
%% {ok, Nodes} = caravan_cluster:await(app, 2, 30000),
%% {ok, _} = caravan_cluster:await(app, ['app-4370@10.0.0.1'], 30000),
%% {error, timeout} = caravan_cluster:await(app, 500, 0).
%% '''
-spec await(atom(), Goal :: non_neg_integer() | [node()] | ready, timeout()) ->
    {ok, [node()]} | {error, timeout | caravan_option:error()}.
await(Name, Goal, Timeout) ->
    case {caravan_option:check(goal, Goal, goal()), caravan_option:check(timeout, Timeout, timeout())} of
        {{ok, _}, {ok, _}} -> call(Name, {await, Goal, Timeout});
        {{error, _} = Error, _} -> Error;
        {_, {error, _} = Error} -> Error
    end.

goal() ->
    {fun goal/1, "a number of nodes, a list of nodes, or ready"}.

goal(ready) -> {ok, ready};
goal(Count) when is_integer(Count), Count >= 0 -> {ok, Count};
goal(Nodes) when length(Nodes) >= 0 -> all_atoms(Nodes, lists:all(fun is_atom/1, Nodes));
goal(_) -> error.

all_atoms(Nodes, true) -> {ok, Nodes};
all_atoms(_Nodes, false) -> error.

timeout() ->
    {fun timeout/1, "infinity, or milliseconds from 0 to 4294967295"}.

timeout(infinity) -> {ok, infinity};
timeout(Timeout) when is_integer(Timeout), Timeout >= 0, Timeout =< 16#FFFFFFFF -> {ok, Timeout};
timeout(_) -> error.

%% @doc Tells the caller, from now on, of nodes of the topology that are connected or lost:
%% `{caravan_cluster, Name, {up | down, Node}}'. Returns those that are connected now. The subscription ends with the
%% caller, with {@link unsubscribe/1}, and with {@link stop/1}. It outlives a crash of the topology, of which
%% `{caravan_cluster, Name, restarted}' tells: whoever keeps a list asks {@link subscribe/1} for it again.
%%
%% ```
%% {ok, Nodes} = caravan_cluster:subscribe(app),
%% receive {caravan_cluster, app, {up, Node}} -> Node end.
%% '''
-spec subscribe(atom()) -> {ok, [node()]}.
subscribe(Name) ->
    call(Name, subscribe).

%% @doc Ends a subscription of the caller. Messages that have come already stay.
-spec unsubscribe(atom()) -> ok.
unsubscribe(Name) ->
    call(Name, unsubscribe).

%% @doc Keeps the topology from connecting to a node for so many milliseconds, up to 2^32 - 1. A connection that there is
%% stays, and the node, or `global', may connect it to this one again: to keep it out of a cluster, exclude it on all others and
%% stop its own topology (docs/clusters.md). Another call for the node replaces the time; 0 ends it. A node that was disconnected by
%% hand counts as one whose connection did not last, and is left alone for a while after that, unless {@link reconnect/1} ends it.
%%
%% ```
%% ok = caravan_cluster:exclude(app, 'app-4370@10.0.0.1', 600000).
%% '''
-spec exclude(atom(), node(), non_neg_integer()) -> ok | {error, caravan_option:error()}.
exclude(Name, Node, Milliseconds) when is_atom(Node) ->
    case caravan_option:check(milliseconds, Milliseconds, caravan_option:integer(0, 16#FFFFFFFF)) of
        {ok, _} -> call(Name, {exclude, Node, Milliseconds});
        {error, _} = Error -> Error
    end.

%% @doc Makes the topology try all nodes that are missing at once, whatever their back-off, as after a fault that is mended. Ends
%% what {@link leave/0} has begun.
%%
%% ```
%% ok = caravan_cluster:reconnect(app).
%% '''
-spec reconnect(atom()) -> ok.
reconnect(Name) ->
    call(Name, reconnect).

%% @doc Takes this node out of its cluster for a minute: as leave/2 for all topologies of this node. It is for a node that is drained
%% before it is stopped; the end of the node does as much by itself, unless the key `leave_on_stop' says otherwise.
%%
%% ```
%% ok = caravan_cluster:leave().
%% '''
-spec leave() -> ok.
leave() ->
    caravan_leave:leave(all, ?LEAVE_MS).

%% @doc As leave/2, for a minute.
-spec leave(atom()) -> ok.
leave(Name) ->
    ok = leave(Name, ?LEAVE_MS).

%% @doc Takes this node out of a topology for so many milliseconds, 1 to 86,400,000, and for a second at least. It says to all nodes that
%% are connected that it goes, its topology connects to nobody, and it disconnects, within a second, and again where a node connects that
%% has not heard. The topologies of the others do not connect to this node until the time is over or it comes back by itself, and log one
%% line at notice. This node connects again when the time is over, and after {@link reconnect/1}. Another call replaces the time. Exits
%% with `noproc' if no topology of that name runs.
%%
%% It disconnects from all nodes (`global:disconnect/0', since OTP 25.1) and says so to all topologies of the others. Where another
%% topology of this node, which has not left, wants a node that is connected, it disconnects nobody, and says so to the topologies of that
%% name alone. Before OTP 25.1 it disconnects nobody either.
%%
%% ```
%% ok = caravan_cluster:leave(app, 300000).
%% '''
-spec leave(atom(), pos_integer()) -> ok | {error, caravan_option:error()}.
leave(Name, Milliseconds) ->
    case caravan_option:check(milliseconds, Milliseconds, caravan_option:integer(1, ?MAX_LEAVE_MS)) of
        {ok, _} -> leave_if_there(whereis(caravan_topology:registered_name(Name)), Name, Milliseconds);
        {error, _} = Error -> Error
    end.

leave_if_there(undefined, Name, Milliseconds) -> exit({noproc, {?MODULE, leave, [Name, Milliseconds]}});
leave_if_there(_Pid, Name, Milliseconds) -> caravan_leave:leave(Name, Milliseconds).

%% A topology answers at once, and an await ends by its own time-out.
call(Name, Request) ->
    gen_server:call(caravan_topology:registered_name(Name), Request, infinity).
