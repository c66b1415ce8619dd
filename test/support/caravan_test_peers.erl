%% @doc Connections that are made up: what a topology connects, disconnects and lists, without any distribution.
%%
%% ```
%% Peers = caravan_test_peers:new(),
%% {ok, _} = caravan_cluster:start_link(maps:merge(caravan_test_peers:options(Peers), Options)).
%% '''
-module(caravan_test_peers).

-export([new/0, options/1, refuse/2, lose/2, join/2, list/1, await_call/0]).
-export([connect/3, disconnect/3]).

-type peers() :: ets:table().

%% @doc Nobody is connected; everybody can be. It belongs to the caller.
-spec new() -> peers().
new() ->
    ets:new(?MODULE, [public]).

%% @doc The options of a topology that has these peers. Each call of it is told to the process that calls this.
-spec options(peers()) -> #{connect | disconnect | list_nodes => {module(), atom(), [term()]}}.
options(Peers) ->
    #{
        connect => {?MODULE, connect, [Peers, self()]},
        disconnect => {?MODULE, disconnect, [Peers, self()]},
        list_nodes => {?MODULE, list, [Peers]}
    }.

%% @doc From now on the node gives this instead of a connection.
-spec refuse({node(), term()}, peers()) -> ok.
refuse({Node, Result}, Peers) ->
    true = ets:insert(Peers, {Node, {refuses, Result}}),
    ok.

%% @doc The connection to the node ends, and the topology is told.
-spec lose({node(), Topology :: atom()}, peers()) -> ok.
lose({Node, Topology}, Peers) ->
    true = ets:delete(Peers, Node),
    tell(Topology, {nodedown, Node, [{nodedown_reason, connection_closed}]}).

%% @doc The node connects to us, and the topology is told.
-spec join({node(), Topology :: atom()}, peers()) -> ok.
join({Node, Topology}, Peers) ->
    true = ets:insert(Peers, {Node, connected}),
    tell(Topology, {nodeup, Node, []}).

tell(Topology, Message) ->
    whereis(list_to_atom("caravan_cluster." ++ atom_to_list(Topology))) ! Message,
    ok.

%% @doc Those that are connected.
-spec list(peers()) -> [node()].
list(Peers) ->
    lists:sort([Node || {Node, connected} <- ets:tab2list(Peers)]).

%% @doc Waits until a topology has called connect or disconnect.
-spec await_call() -> {connect | disconnect, node()}.
await_call() ->
    receive
        {?MODULE, Call, Node} -> {Call, Node}
    after 30000 -> error(no_call)
    end.

%% @private
connect(Peers, Test, Node) ->
    Test ! {?MODULE, connect, Node},
    case ets:lookup(Peers, Node) of
        [{Node, {refuses, Result}}] -> Result;
        _ -> ets:insert(Peers, {Node, connected})
    end.

%% @private
disconnect(Peers, Test, Node) ->
    Deleted = ets:delete(Peers, Node),
    Test ! {?MODULE, disconnect, Node},
    Deleted.
