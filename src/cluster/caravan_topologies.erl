%% @private
%% The topologies that the configuration and caravan_cluster:start/1 want, kept running: one that crashes is started
%% again, after a back-off when it does so again and again, so that it ends neither the application nor the node.
-module(caravan_topologies).
-behaviour(gen_server).

-export([start_link/0, start/1, stop/1, reload/0, names/0, are_ignored/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, format_status/1]).
-export([format/1]).

%% One that has run for so long has not crashed again: it has crashed anew.
-define(CHANGE_TIMEOUT_MS, 2000).
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

%% The options have been checked.
-spec start(caravan_cluster:options()) -> {ok, pid()} | ignore | {error, not_started | {already_started, pid()}}.
start(Options) ->
    call({start, Options}).

-spec stop(atom()) -> ok | {error, not_found | not_started}.
stop(Name) ->
    call({stop, Name}).

%% Starts, changes and stops topologies, so that those of the configuration are as that is now.
-spec reload() -> ok | {error, not_started}.
reload() ->
    call(reload).

%% The names of all topologies of this node: of those that run, of those that have crashed, and of those that the configuration has
%% and that cannot be started as it has them.
-spec names() -> [atom()].
names() ->
    Kept = [Name || {Name, _} <- caravan_topology_registry:kept()],
    lists:usort(
        [Name || {Name, false} <- entries()] ++ Kept ++ caravan_topology_registry:once_ready() ++ caravan_topology_registry:names()
    ).

%% Whether a topology of this node is not started, since its query says so.
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
    %% Topologies under supervisors of users outlive the registry of an application that was stopped.
    ok = caravan_topology:renew(),
    {ok, configure(configured(), adopted())}.

%% For sys:get_status/1, observer and crash reports: options may be long.
-spec format_status(gen_server:format_status()) -> gen_server:format_status().
format_status(Status) ->
    maps:map(fun formatted/2, Status).

formatted(state, Topologies) -> maps:map(fun summary/2, Topologies);
formatted(_Key, Value) -> Value.

summary(_Name, #topology{state = {running, Pid, _Monitor, _Since}, origin = Origin, crashes = Crashes}) ->
    #{state => running, pid => Pid, origin => Origin, crashes => Crashes};
summary(_Name, #topology{state = {waiting, _Timer}, origin = Origin, crashes = Crashes}) ->
    #{state => waiting, origin => Origin, crashes => Crashes}.

%% What a predecessor of this process kept running, and what has crashed since its end.
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

%% Somebody has stopped it.
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
        %% One of that name runs under a supervisor of the user's by now.
        {error, {already_started, _} = Reason} ->
            ok = log(#{event => topology_not_started, topology => Name, reason => Reason}),
            forget(Name, Topologies);
        {error, Reason} -> wait(Name, Reason, Topology#topology{crashes = Crashes + 1}, Topologies)
    end.

%% The registry remembers it, should this process end.
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

%% The configuration

%% Those that are wanted, and the names of those that are left as they are, since what the configuration has for them is not
%% allowed.
configured() ->
    configured(caravan_config:value(topologies)).

configured({ok, Entries}) ->
    {Names, Good} = lists:foldl(fun entry/2, {[], []}, Entries),
    {lists:reverse(Good), [Name || {bad, Name} <- Names]};
configured({error, Error}) ->
    ok = log(#{event => bad_topologies, error => Error}),
    {[], all}.

%% One that cannot be started is reported and left out: a typo in one keeps neither the node from booting nor the others
%% from running.
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

%% One whose options are as they were may have been given others by caravan_cluster:change/2.
configure_one({Name, Options}, Topologies) ->
    case Topologies of
        #{Name := Topology} ->
            ok = change_running(Topology#topology.state, Name, Options),
            keep(Name, Topology#topology{options = Options, origin = configuration}, Topologies);
        #{} -> start_configured(caravan_topologies_sup:start_child(Options), Name, Options, Topologies)
    end.

%% One that is about to crash is started again with these options, and one that is stuck keeps nobody else waiting.
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
%% It runs under a supervisor of the user's.
start_configured({error, Reason}, Name, _Options, Topologies) ->
    ok = log(#{event => topology_not_started, topology => Name, reason => Reason}),
    Topologies.

name(#{name := Name}) -> Name;
name(Options) when is_list(Options) -> proplists:get_value(name, Options).

now_ms() ->
    erlang:monotonic_time(millisecond).

log(Report) ->
    caravan_log:report(error, Report, fun ?MODULE:format/1).

%% The line for an event in the log; called by logger.
-spec format(map()) -> {io:format(), [term()]}.
format(#{event := bad_topologies, error := Error}) ->
    {"~ts", [caravan_option:format_error(Error)]};
format(#{event := bad_topology, topology := none, error := Error}) ->
    {"~ts; the others are started", [caravan_option:format_error(Error)]};
format(#{event := bad_topology, topology := Name, error := Error}) ->
    {"~ts; topology ~ts is not started, or runs as it did", [caravan_option:format_error(Error), Name]};
format(#{event := topology_crashed, topology := Name, crashes := Crashes, restart_in := After}) ->
    {"caravan ~ts: has crashed (~b in a row) and is started again in ~b ms", [Name, Crashes, After]};
format(#{event := topology_not_started, topology := Name, reason := Reason}) ->
    {"caravan ~ts: cannot be started: ~0tp", [Name, Reason]};
format(Report) ->
    {"caravan: ~0tp", [Report]}.
