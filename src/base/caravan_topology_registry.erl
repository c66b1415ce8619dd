%% @private
%% The topologies of this node, and what each of them wants: one must not disconnect what another one lists.
-module(caravan_topology_registry).

-export([create/0, publish/2, withdraw/1, withdraw_crashed/1, last/1, names/0, listed/0, listed_elsewhere/0, names_lately/0]).
-export([subscribe/2, unsubscribe/2, subscribers/1, keep/2, forget/1, kept/0, set_ready/1, was_ready/1, once_ready/0, set_ignored/1, has_ignored/0]).

%% For how long what a topology wanted counts after it has crashed, in milliseconds.
-define(MEMORY, 600000).

%% The table belongs to the calling process and goes with it.
-spec create() -> ok.
create() ->
    ?MODULE = ets:new(?MODULE, [named_table, public]),
    ok.

%% Said by the process of a topology.
-spec publish(atom(), [node()]) -> ok.
publish(Name, Wanted) ->
    _ = with_table(fun() -> ets:insert(?MODULE, {Name, self(), Wanted, now_ms()}) end, true),
    ok.

-spec withdraw(atom()) -> ok.
withdraw(Name) ->
    _ = with_table(fun() -> ets:match_delete(?MODULE, {{subscriber, Name, '_'}}), ets:delete(?MODULE, {ready, Name}), ets:delete(?MODULE, Name) end, true),
    ok.

%% Unless one of that name runs, under another supervisor.
-spec withdraw_crashed(atom()) -> ok.
withdraw_crashed(Name) ->
    case lists:member(Name, names()) of
        true -> ok;
        false -> withdraw(Name)
    end.

%% What a topology of that name has published last, if it has crashed since.
-spec last(atom()) -> [node()].
last(Name) ->
    lists:append([Wanted || {Own, _, Wanted, _} <- rows(), Own =:= Name]).

%% Processes that hear of a topology's members; they outlive its crash.
-spec subscribe(atom(), pid()) -> ok.
subscribe(Name, Pid) ->
    _ = with_table(fun() -> ets:insert(?MODULE, {{subscriber, Name, Pid}}) end, true),
    ok.

-spec unsubscribe(atom(), pid()) -> ok.
unsubscribe(Name, Pid) ->
    _ = with_table(fun() -> ets:delete(?MODULE, {subscriber, Name, Pid}) end, true),
    ok.

-spec subscribers(atom()) -> [pid()].
subscribers(Name) ->
    [Pid || [Pid] <- with_table(fun() -> ets:match(?MODULE, {{subscriber, Name, '$1'}}) end, [])].

%% What whoever keeps topologies running has to know of each after its own crash.
-spec keep(atom(), term()) -> ok.
keep(Name, What) ->
    _ = with_table(fun() -> ets:insert(?MODULE, {{kept, Name}, What}) end, true),
    ok.

-spec forget(atom()) -> ok.
forget(Name) ->
    _ = with_table(fun() -> ets:delete(?MODULE, {kept, Name}) end, true),
    ok.

-spec kept() -> [{atom(), term()}].
kept() ->
    lists:sort([{Name, What} || [Name, What] <- with_table(fun() -> ets:match(?MODULE, {{kept, '$1'}, '$2'}) end, [])]).

%% A topology of that name is ready for the first time. It outlives a crash.
-spec set_ready(atom()) -> ok.
set_ready(Name) ->
    _ = with_table(fun() -> ets:insert(?MODULE, {{ready, Name}}) end, true),
    ok.

-spec was_ready(atom()) -> boolean().
was_ready(Name) ->
    with_table(fun() -> ets:member(?MODULE, {ready, Name}) end, false).

%% The names of those that were ready, and were not stopped since.
-spec once_ready() -> [atom()].
once_ready() ->
    lists:append(with_table(fun() -> ets:match(?MODULE, {{ready, '$1'}}) end, [])).

%% A topology of that name is not started, since its query says so.
-spec set_ignored(atom()) -> ok.
set_ignored(Name) ->
    _ = with_table(fun() -> ets:insert(?MODULE, {{ignored, Name}}) end, true),
    ok.

%% Whether there is one.
-spec has_ignored() -> boolean().
has_ignored() ->
    with_table(fun() -> ets:match(?MODULE, {{ignored, '$1'}}, 1) =/= '$end_of_table' end, false).

-spec names() -> [atom()].
names() ->
    lists:sort([Name || {Name, _, _, _} <- living()]).

%% All nodes that DNS lists for one of them.
-spec listed() -> [node()].
listed() ->
    lists:usort(lists:append([Wanted || {_, _, Wanted, _} <- living()])).

%% What topologies other than the calling process list, or have listed before they crashed.
-spec listed_elsewhere() -> [node()].
listed_elsewhere() ->
    Own = self(),
    lists:usort(lists:append([Wanted || {_, Pid, Wanted, _} <- rows(), Pid =/= Own])).

%% Those that run, and those that have crashed and may come back.
-spec names_lately() -> [atom()].
names_lately() ->
    lists:usort([Name || {Name, _, _, _} <- rows()]).

living() ->
    [Row || {_, Pid, _, _} = Row <- rows(), is_process_alive(Pid)].

%% Of those that run, and of those that have crashed lately.
rows() ->
    Now = now_ms(),
    [
        Row
     || {_, Pid, _, At} = Row <- with_table(fun() -> ets:tab2list(?MODULE) end, []),
        Now - At < ?MEMORY orelse is_process_alive(Pid)
    ].

now_ms() ->
    erlang:monotonic_time(millisecond).

%% A topology may run under a user's supervisor without the application.
with_table(Fun, Otherwise) ->
    try
        Fun()
    catch
        error:badarg -> Otherwise
    end.
