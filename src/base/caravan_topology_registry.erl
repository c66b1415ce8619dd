%% @private
%% The table of this node's topologies: which nodes each of them wants, who is subscribed to it and whether it was ready. It
%% outlives the crash of a topology. No topology disconnects a node that another one wants.
-module(caravan_topology_registry).

-export([create/0, publish/2, withdraw/1, withdraw_crashed/1, last/1, names/0, listed/0, listed_elsewhere/0, names_lately/0]).
-export([subscribe/2, unsubscribe/2, subscribers/1, keep/2, forget/1, kept/0, set_ready/1, was_ready/1, once_ready/0, set_ignored/1, has_ignored/0]).

%% How long the wanted nodes of a crashed topology count, in milliseconds since it last published them.
-define(MEMORY, 600000).

%% Creates the table. The calling process owns it, and the table is deleted with that process.
-spec create() -> ok.
create() ->
    ?MODULE = ets:new(?MODULE, [named_table, public]),
    ok.

%% Stores the nodes that a topology wants. Called by the process of the topology.
-spec publish(atom(), [node()]) -> ok.
publish(Name, Wanted) ->
    _ = with_table(fun() -> ets:insert(?MODULE, {Name, self(), Wanted, now_ms()}) end, true),
    ok.

-spec withdraw(atom()) -> ok.
withdraw(Name) ->
    _ = with_table(fun() -> ets:match_delete(?MODULE, {{subscriber, Name, '_'}}), ets:delete(?MODULE, {ready, Name}), ets:delete(?MODULE, Name) end, true),
    ok.

%% Removes what is stored of a topology, unless a topology of that name runs under another supervisor.
-spec withdraw_crashed(atom()) -> ok.
withdraw_crashed(Name) ->
    case lists:member(Name, names()) of
        true -> ok;
        false -> withdraw(Name)
    end.

%% Returns the nodes that a topology of that name published last: `[]' if it has not published, or if it has crashed and
%% published too long ago.
-spec last(atom()) -> [node()].
last(Name) ->
    lists:append([Wanted || {Own, _, Wanted, _} <- rows(), Own =:= Name]).

%% Subscribes a process to the members of a topology. The subscription outlives a crash of the topology.
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

%% Stores what caravan_topologies has to know of a topology after a crash of its own.
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

%% Notes that a topology of that name has become ready. The note outlives a crash of the topology.
-spec set_ready(atom()) -> ok.
set_ready(Name) ->
    _ = with_table(fun() -> ets:insert(?MODULE, {{ready, Name}}) end, true),
    ok.

-spec was_ready(atom()) -> boolean().
was_ready(Name) ->
    with_table(fun() -> ets:member(?MODULE, {ready, Name}) end, false).

%% Returns the names of the topologies that have been ready and have not been stopped since.
-spec once_ready() -> [atom()].
once_ready() ->
    lists:append(with_table(fun() -> ets:match(?MODULE, {{ready, '$1'}}) end, [])).

%% Notes that a topology of that name is not started because its query is `ignore'.
-spec set_ignored(atom()) -> ok.
set_ignored(Name) ->
    _ = with_table(fun() -> ets:insert(?MODULE, {{ignored, Name}}) end, true),
    ok.

%% Returns whether any topology is not started for that reason.
-spec has_ignored() -> boolean().
has_ignored() ->
    with_table(fun() -> ets:match(?MODULE, {{ignored, '$1'}}, 1) =/= '$end_of_table' end, false).

-spec names() -> [atom()].
names() ->
    lists:sort([Name || {Name, _, _, _} <- living()]).

%% Returns all nodes that the running topologies want.
-spec listed() -> [node()].
listed() ->
    lists:usort(lists:append([Wanted || {_, _, Wanted, _} <- living()])).

%% Returns the nodes that topologies other than the calling process want, including topologies that have crashed lately.
-spec listed_elsewhere() -> [node()].
listed_elsewhere() ->
    Own = self(),
    lists:usort(lists:append([Wanted || {_, Pid, Wanted, _} <- rows(), Pid =/= Own])).

%% Returns the names of the running topologies and of those that have crashed lately and may be restarted.
-spec names_lately() -> [atom()].
names_lately() ->
    lists:usort([Name || {Name, _, _, _} <- rows()]).

living() ->
    [Row || {_, Pid, _, _} = Row <- rows(), is_process_alive(Pid)].

%% The rows of the running topologies, and of crashed ones that published within the last ?MEMORY milliseconds.
rows() ->
    Now = now_ms(),
    [
        Row
     || {_, Pid, _, At} = Row <- with_table(fun() -> ets:tab2list(?MODULE) end, []),
        Now - At < ?MEMORY orelse is_process_alive(Pid)
    ].

now_ms() ->
    erlang:monotonic_time(millisecond).

%% There is no table if a topology runs under a user's supervisor without the application.
with_table(Fun, Otherwise) ->
    try
        Fun()
    catch
        error:badarg -> Otherwise
    end.
