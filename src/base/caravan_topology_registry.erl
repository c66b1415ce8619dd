%% @private
%% The topologies of this node, and what each of them wants: one must not disconnect what another one lists.
-module(caravan_topology_registry).

-export([create/0, publish/2, withdraw/1, names/0, listed/0, is_listed/1]).

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
    _ = with_table(fun() -> ets:delete(?MODULE, Name) end, true),
    ok.

-spec names() -> [atom()].
names() ->
    lists:sort([Name || {Name, _, _} <- living()]).

%% All nodes that DNS lists for one of them.
-spec listed() -> [node()].
listed() ->
    lists:usort(lists:append([Wanted || {_, _, Wanted} <- living()])).

%% Whether a topology other than the calling process lists the node.
-spec is_listed(node()) -> boolean().
is_listed(Node) ->
    lists:any(fun({_, Pid, Wanted}) -> Pid =/= self() andalso lists:member(Node, Wanted) end, living()).

living() ->
    [Row || {_, Pid, _} = Row <- with_table(fun() -> ets:tab2list(?MODULE) end, []), is_process_alive(Pid)].

%% A topology may run under a user's supervisor without the application.
with_table(Fun, Otherwise) ->
    try
        Fun()
    catch
        error:badarg -> Otherwise
    end.
