%% @private
%% The topologies of this node, and what each of them wants: one must not disconnect what another one lists.
-module(caravan_topology_registry).

-export([create/0, publish/2, withdraw/1, last/1, names/0, listed/0, is_listed/1]).
-export([subscribe/2, unsubscribe/2, subscribers/1]).

%% The table belongs to the calling process and goes with it.
-spec create() -> ok.
create() ->
    ?MODULE = ets:new(?MODULE, [named_table, public]),
    ok.

%% Said by the process of a topology.
-spec publish(atom(), [node()]) -> ok.
publish(Name, Wanted) ->
    _ = with_table(fun() -> ets:insert(?MODULE, {Name, self(), Wanted}) end, true),
    ok.

-spec withdraw(atom()) -> ok.
withdraw(Name) ->
    _ = with_table(fun() -> ets:delete(?MODULE, Name), ets:match_delete(?MODULE, {{subscriber, Name, '_'}}) end, true),
    ok.

%% What a topology of that name has published last, if it has crashed since.
-spec last(atom()) -> [node()].
last(Name) ->
    case with_table(fun() -> ets:lookup(?MODULE, Name) end, []) of
        [{Name, _Crashed, Wanted}] -> Wanted;
        [] -> []
    end.

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

-spec names() -> [atom()].
names() ->
    lists:sort([Name || {Name, _, _} <- living()]).

%% All nodes that DNS lists for one of them.
-spec listed() -> [node()].
listed() ->
    lists:usort(lists:append([Wanted || {_, _, Wanted} <- living()])).

%% Whether a topology other than the calling process lists the node, or has before it crashed.
-spec is_listed(node()) -> boolean().
is_listed(Node) ->
    lists:any(fun({_, Pid, Wanted}) -> Pid =/= self() andalso lists:member(Node, Wanted) end, rows()).

living() ->
    [Row || {_, Pid, _} = Row <- rows(), is_process_alive(Pid)].

rows() ->
    [Row || {_, _, _} = Row <- with_table(fun() -> ets:tab2list(?MODULE) end, [])].

%% A topology may run under a user's supervisor without the application.
with_table(Fun, Otherwise) ->
    try
        Fun()
    catch
        error:badarg -> Otherwise
    end.
