%% @doc Simulated connections, which a topology connects, disconnects and lists without any distribution.
%%
%% ```
%% Peers = caravan_test_peers:new(),
%% {ok, _} = caravan_cluster:start_link(maps:merge(caravan_test_peers:options(Peers), Options)).
%% '''
-module(caravan_test_peers).

-export([new/0, options/1, refuse/2, lose/2, join/2, list/1, await_call/0]).
-export([connect/3, disconnect/3]).

-type peers() :: ets:table().

%% @doc Returns peers of which none is connected and all can be. The caller owns the table.
-spec new() -> peers().
new() ->
    ets:new(?MODULE, [public]).

%% @doc Returns the options of a topology with these peers. The caller receives a message for each call of the topology.
-spec options(peers()) -> #{connect | disconnect | list_nodes => {module(), atom(), [term()]}}.
options(Peers) ->
    #{
        connect => {?MODULE, connect, [Peers, self()]},
        disconnect => {?MODULE, disconnect, [Peers, self()]},
        list_nodes => {?MODULE, list, [Peers]}
    }.

%% @doc Makes attempts to connect to the node return this.
-spec refuse({node(), term()}, peers()) -> ok.
refuse({Node, Result}, Peers) ->
    true = ets:insert(Peers, {Node, {refuses, Result}}),
    ok.

%% @doc Ends the connection to the node, and tells the topology.
-spec lose({node(), Topology :: atom()}, peers()) -> ok.
lose({Node, Topology}, Peers) ->
    true = ets:delete(Peers, Node),
    tell(Topology, {nodedown, Node, [{nodedown_reason, connection_closed}]}).

%% @doc Connects the node, and tells the topology.
-spec join({node(), Topology :: atom()}, peers()) -> ok.
join({Node, Topology}, Peers) ->
    true = ets:insert(Peers, {Node, connected}),
    tell(Topology, {nodeup, Node, []}).

tell(Topology, Message) ->
    whereis(list_to_atom("caravan_cluster." ++ atom_to_list(Topology))) ! Message,
    ok.

%% @doc Returns the connected nodes.
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
