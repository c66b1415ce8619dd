%% @private
%% Keeps the topologies of the configuration and of caravan_cluster:start/1 running. A topology that crashes is restarted,
%% after a back-off if it crashes repeatedly, so that it terminates neither the application nor the node.
-module(caravan_topologies).
-behaviour(gen_server).

-export([start_link/0, start/1, stop/1, reload/0, names/0, are_ignored/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, format_status/1]).
-export([format/1]).

%% How long a topology may take to apply new options.
-define(CHANGE_TIMEOUT_MS, 2000).
%% The crash of a topology that has run for longer counts as its first.
-define(STEADY_MS, 60000).

-record(topology, {
    options :: caravan_cluster:options(),
    origin :: configuration | caller,
    state :: {running, pid(), Monitor :: reference(), Since :: integer()} | {waiting, Timer :: reference()},
    crashes = 0 :: non_neg_integer()
}).

-type state() :: #{atom() => #topology{}}.

-spec start_link() -> {ok, pid()} | {error, {already_started, pid()}}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% Starts a topology. The options have been checked.
-spec start(caravan_cluster:options()) -> {ok, pid()} | ignore | {error, not_started | {already_started, pid()}}.
start(Options) ->
    call({start, Options}).

-spec stop(atom()) -> ok | {error, not_found | not_started}.
stop(Name) ->
    call({stop, Name}).

%% Starts, changes and stops topologies so that they match the current configuration.
-spec reload() -> ok | {error, not_started}.
reload() ->
    call(reload).

%% Returns the names of all topologies of this node: those that run, those that have crashed, and those of the configuration
%% that cannot be started because of their options.
-spec names() -> [atom()].
names() ->
    Kept = [Name || {Name, _} <- caravan_topology_registry:kept()],
    lists:usort(
        [Name || {Name, false} <- entries()] ++ Kept ++ caravan_topology_registry:once_ready() ++ caravan_topology_registry:names()
    ).

%% Returns whether a topology of this node is not started because its query is `ignore'.
-spec are_ignored() -> boolean().
are_ignored() ->
    caravan_topology_registry:has_ignored() orelse lists:any(fun({_Name, IsIgnored}) -> IsIgnored end, entries()).

entries() ->
    entries(caravan_config:value(topologies)).

entries({ok, Entries}) -> [{Name, is_ignored(Name, Options)} || {Name, Options} <- Entries, is_atom(Name)];
entries({error, _}) -> [].

is_ignored(Name, Options) ->
    case caravan_topology_options:check(caravan_topology_options:with_name(Name, Options)) of
        {ok, #{query := ignore}} -> true;
        _ -> false
    end.

call(Request) ->
    try
        gen_server:call(?MODULE, Request, infinity)
    catch
        exit:{noproc, _} -> {error, not_started}
    end.

-spec init([]) -> {ok, state()}.
init([]) ->
    %% Topologies under users' supervisors publish again: the registry they knew ended with the application.
    ok = caravan_topology:renew(),
    {ok, configure(configured(), adopted())}.

%% Shortens the state for sys:get_status/1, observer and crash reports, since options may be long.
-spec format_status(gen_server:format_status()) -> gen_server:format_status().
format_status(Status) ->
    maps:map(fun formatted/2, Status).

formatted(state, Topologies) -> maps:map(fun summary/2, Topologies);
formatted(_Key, Value) -> Value.

summary(_Name, #topology{state = {running, Pid, _Monitor, _Since}, origin = Origin, crashes = Crashes}) ->
    #{state => running, pid => Pid, origin => Origin, crashes => Crashes};
summary(_Name, #topology{state = {waiting, _Timer}, origin = Origin, crashes = Crashes}) ->
    #{state => waiting, origin => Origin, crashes => Crashes}.

%% Returns the topologies of the predecessor of this process: takes charge of those that run, and restarts those that have
%% crashed since.
adopted() ->
    lists:foldl(fun adopt/2, #{}, caravan_topology_registry:kept()).

adopt({Name, {Options, Origin}}, Topologies) ->
    case whereis(caravan_topology:registered_name(Name)) of
        undefined ->
            Waiting = #topology{options = Options, origin = Origin, state = {waiting, make_ref()}, crashes = 1},
            restart(Name, Waiting, Topologies);
        Pid ->
            Topologies#{Name => running(Pid, Options, Origin, 0)}
    end.

handle_call({start, Options}, _From, Topologies) ->
    Name = name(Options),
    case Topologies of
        #{Name := #topology{state = {running, Pid, _, _}}} -> {reply, {error, {already_started, Pid}}, Topologies};
        #{} -> started(caravan_topologies_sup:start_child(Options), Name, Options, Topologies)
    end;
handle_call({stop, Name}, _From, Topologies) ->
    case Topologies of
        #{Name := Topology} -> {reply, ok, end_topology(Name, Topology, Topologies)};
        #{} -> {reply, {error, not_found}, Topologies}
    end;
handle_call(reload, _From, Topologies) ->
    {reply, ok, configure(configured(), Topologies)};
handle_call(_Unknown, _From, Topologies) ->
    {reply, {error, unknown_request}, Topologies}.

started({ok, undefined}, _Name, _Options, Topologies) ->
    {reply, ignore, Topologies};
started({ok, Pid}, Name, Options, Topologies) ->
    _ = [cancel_timer(Timer) || #{Name := #topology{state = {waiting, Timer}}} <- [Topologies]],
    {reply, {ok, Pid}, keep(Name, running(Pid, Options, caller, 0), Topologies)};
started({error, _} = Error, _Name, _Options, Topologies) ->
    {reply, Error, Topologies}.

handle_cast(_Unknown, Topologies) ->
    {noreply, Topologies}.

handle_info({'DOWN', Monitor, process, _Pid, Reason}, Topologies) ->
    Ended = [Name || {Name, #topology{state = {running, _, Own, _}}} <- maps:to_list(Topologies), Own =:= Monitor],
    {noreply, ended(Ended, Reason, Topologies)};
handle_info({timeout, Timer, {restart, Name}}, Topologies) ->
    case Topologies of
        #{Name := #topology{state = {waiting, Timer}} = Topology} -> {noreply, restart(Name, Topology, Topologies)};
        #{} -> {noreply, Topologies}
    end;
handle_info(_Unknown, Topologies) ->
    {noreply, Topologies}.

%% The topology was stopped.
ended([Name], Reason, Topologies) when Reason =:= normal; Reason =:= shutdown ->
    forget(Name, Topologies);
ended([Name], Reason, Topologies) ->
    #{Name := #topology{state = {running, _, _, Since}, crashes = Before} = Topology} = Topologies,
    Crashes = crashes(now_ms() - Since, Before),
    wait(Name, Reason, Topology#topology{crashes = Crashes}, Topologies);
ended([], _Reason, Topologies) ->
    Topologies.

crashes(Ran, _Before) when Ran > ?STEADY_MS -> 1;
crashes(_Ran, Before) -> Before + 1.

wait(Name, Reason, #topology{crashes = Crashes} = Topology, Topologies) ->
    After = restart_after(Crashes),
    ok = log(#{event => topology_crashed, topology => Name, reason => Reason, crashes => Crashes, restart_in => After}),
    Timer = erlang:start_timer(After, self(), {restart, Name}),
    Topologies#{Name => Topology#topology{state = {waiting, Timer}}}.

restart_after(1) -> 0;
restart_after(Crashes) -> caravan_schedule:backoff(Crashes - 1, rand:uniform(16#100000000)).

restart(Name, #topology{options = Options, origin = Origin, crashes = Crashes} = Topology, Topologies) ->
    case caravan_topologies_sup:start_child(Options) of
        {ok, Pid} -> Topologies#{Name => running(Pid, Options, Origin, Crashes)};
        %% A topology of that name has been started under a user's supervisor meanwhile.
        {error, {already_started, _} = Reason} ->
            ok = log(#{event => topology_not_started, topology => Name, reason => Reason}),
            forget(Name, Topologies);
        {error, Reason} -> wait(Name, Reason, Topology#topology{crashes = Crashes + 1}, Topologies)
    end.

%% Stores the topology in the registry, which outlives a crash of this process.
keep(Name, #topology{options = Options, origin = Origin} = Topology, Topologies) ->
    ok = caravan_topology_registry:keep(Name, {Options, Origin}),
    Topologies#{Name => Topology}.

forget(Name, Topologies) ->
    ok = caravan_topology_registry:forget(Name),
    maps:remove(Name, Topologies).

running(Pid, Options, Origin, Crashes) ->
    #topology{
        options = Options, origin = Origin, crashes = Crashes,
        state = {running, Pid, monitor(process, Pid), now_ms()}
    }.

end_topology(Name, #topology{state = {running, Pid, Monitor, _}}, Topologies) ->
    true = demonitor(Monitor, [flush]),
    ok = caravan_topologies_sup:stop_child(Pid),
    ok = caravan_topology_registry:withdraw(Name),
    forget(Name, Topologies);
end_topology(Name, #topology{state = {waiting, Timer}}, Topologies) ->
    ok = cancel_timer(Timer),
    ok = caravan_topology_registry:withdraw_crashed(Name),
    forget(Name, Topologies).

cancel_timer(Timer) ->
    _ = erlang:cancel_timer(Timer),
    ok.

%% Configuration

%% Returns the topologies to run, and the names of those that stay unchanged because their entries are not allowed.
configured() ->
    configured(caravan_config:value(topologies)).

configured({ok, Entries}) ->
    {Names, Good} = lists:foldl(fun entry/2, {[], []}, Entries),
    {lists:reverse(Good), [Name || {bad, Name} <- Names]};
configured({error, Error}) ->
    ok = log(#{event => bad_topologies, error => Error}),
    {[], all}.

%% An entry that is not allowed is logged and skipped: a typo prevents neither the boot of the node nor the other topologies.
entry({Name, Options}, {Names, Good}) when is_atom(Name), is_map(Options); is_atom(Name), is_list(Options) ->
    Named = caravan_topology_options:with_name(Name, Options),
    case {lists:keymember(Name, 2, Names), caravan_topology_options:check(Named)} of
        {true, _} ->
            ok = reject(none, bad_entry(Name, "each name of a topology once")),
            {Names, Good};
        {false, {ok, #{query := ignore}}} ->
            ok = caravan_report:ignored(Name),
            {[{good, Name} | Names], Good};
        {false, {ok, _}} ->
            {[{good, Name} | Names], [{Name, Named} | Good]};
        {false, {error, Error}} ->
            ok = reject(Name, caravan_config:topology_error(Error)),
            {[{bad, Name} | Names], Good}
    end;
entry(Other, {Names, Good}) ->
    ok = reject(none, bad_entry(Other, "{Name, Options}")),
    {Names, Good}.

bad_entry(Value, Allowed) ->
    {bad_option, {topologies, caravan_config:source(topologies)}, Value, Allowed}.

reject(Name, Error) ->
    log(#{event => bad_topology, topology => Name, error => Error}).

configure({Wanted, Left}, Topologies) ->
    Unwanted = [
        Named
     || {Name, #topology{origin = configuration}} = Named <- maps:to_list(Topologies),
        not lists:keymember(Name, 1, Wanted),
        not is_left(Name, Left)
    ],
    Others = lists:foldl(fun({Name, Topology}, Map) -> end_topology(Name, Topology, Map) end, Topologies, Unwanted),
    lists:foldl(fun configure_one/2, Others, Wanted).

is_left(_Name, all) -> true;
is_left(Name, Names) -> lists:member(Name, Names).

%% The options are applied even if the entry is unchanged, because caravan_cluster:change/2 may have set others.
configure_one({Name, Options}, Topologies) ->
    case Topologies of
        #{Name := Topology} ->
            ok = change_running(Topology#topology.state, Name, Options),
            keep(Name, Topology#topology{options = Options, origin = configuration}, Topologies);
        #{} -> start_configured(caravan_topologies_sup:start_child(Options), Name, Options, Topologies)
    end.

%% If the topology crashes now, it is restarted with these options. If it hangs, the call times out and the other topologies
%% are configured.
change_running({running, _, _, _}, Name, Options) ->
    {ok, Checked} = caravan_topology_options:check(Options),
    try
        caravan_topology:configure(Name, Checked, ?CHANGE_TIMEOUT_MS)
    catch
        exit:_ -> ok
    end;
change_running({waiting, _}, _Name, _Options) ->
    ok.

start_configured({ok, Pid}, Name, Options, Topologies) ->
    keep(Name, running(Pid, Options, configuration, 0), Topologies);
%% A topology of that name runs under a user's supervisor.
start_configured({error, Reason}, Name, _Options, Topologies) ->
    ok = log(#{event => topology_not_started, topology => Name, reason => Reason}),
    Topologies.

name(#{name := Name}) -> Name;
name(Options) when is_list(Options) -> proplists:get_value(name, Options).

now_ms() ->
    erlang:monotonic_time(millisecond).

log(Report) ->
    caravan_log:report(error, Report, fun ?MODULE:format/1).

%% Formats an event for the log. Called by logger.
-spec format(map()) -> {io:format(), [term()]}.
format(#{event := bad_topologies, error := Error}) ->
    {"~ts", [caravan_option:format_error(Error)]};
format(#{event := bad_topology, topology := none, error := Error}) ->
    {"~ts; this entry is skipped, and the other topologies are started", [caravan_option:format_error(Error)]};
format(#{event := bad_topology, topology := Name, error := Error}) ->
    {"~ts; topology ~ts is not started, or keeps its former options if it runs", [caravan_option:format_error(Error), Name]};
format(#{event := topology_crashed, topology := Name, crashes := Crashes, restart_in := After}) ->
    {"caravan ~ts: the topology crashed (~b in a row) and will be restarted in ~b ms", [Name, Crashes, After]};
format(#{event := topology_not_started, topology := Name, reason := Reason}) ->
    {"caravan ~ts: cannot start the topology: ~0tp", [Name, Reason]};
format(Report) ->
    {"caravan: ~0tp", [Report]}.
