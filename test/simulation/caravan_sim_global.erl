%% What OTP's `global' decides about connections, for all nodes of a model: global.erl of kernel 8.5.3 (OTP 25.2). A functional
%% state; what it wants done comes out as actions, for caravan_sim_network to carry out. Nodes are numbers.
%%
%% Names and locks are left out but for the time that they take: a locker waits before it asks for the lock of both partitions
%% (loop_the_locker/1), and a node that does not answer keeps them from being joined. The tags that tell sessions apart
%% (`sync_tag_my', init_connect_ack, cancel_connect) have no part here, since a session is named by its connection. Versions of
%% the protocol, global groups and old nodes are left out.
-module(caravan_sim_global).

-export([new/1, reset/2, nodeup/4, agreed/5, nodedown/4, sync_failed/4, received/4]).

-export_type([global/0, view/0, action/0, message/0]).

-import(caravan_sim_bits, [bit/1, has/2, add/2, remove/2, minus/2, numbers/1, is_few/1, count/2]).

-type id() :: non_neg_integer().
-type bits() :: caravan_sim_bits:bits().

%% What the network looks like: who is connected, whose packets are lost on their way to whom, who is paused.
-type view() :: #{links := #{id() => bits()}, deaf := #{id() => bits()}, paused := bits()}.

-type action() ::
    %% A process for each tries to connect to it (sync_other/2).
    {sync, id(), Peers :: bits()}
    %% To each of them over its connection.
    | {send, From :: id(), To :: bits(), message()}
    %% To each of them from somebody who is connected to it.
    | {send, To :: bits(), message()}
    %% net_kernel:async_disconnect/1.
    | {disconnect, id(), Peer :: id()}
    %% agreed/5 is to be called: after a while, or later, when nobody is in the way.
    | {agree, Milliseconds :: pos_integer(), {id(), id(), Connection :: integer()}}
    | {agree_later, {id(), id(), Connection :: integer()}}.

-type message() ::
    {new_nodes, bits()}
    | {remove_connection, From :: id()}
    | {lost_connection, NodeA :: id(), Operation :: pos_integer(), NodeB :: id()}.

%% Of the map `known' of global's state the keys: those that are known, `{pending, Node}', `{removing, Node}'.
-record(node, {known = 0 :: bits(), pending = 0 :: bits(), removing = 0 :: bits()}).

-record(global, {
    is_on :: boolean(),
    is_preventing :: boolean(),
    nodes = #{} :: #{id() => #node{}},
    %% Who has a node as known or pending: those whom the loss of a connection to it concerns.
    knowers = #{} :: #{id() => bits()},
    %% global_lost_connections: who has handled the operation of that number.
    operation = 0 :: non_neg_integer(),
    handled = #{} :: #{pos_integer() => bits()}
}).

%% Operations that are remembered. A message lives for a few ways through the network.
-define(OPERATIONS, 10000).

-opaque global() :: #global{}.

%% inform_connection_loss/2 and the clauses of lost_connection want both settings.
-spec new(#{connect_all := boolean(), prevent_overlapping := boolean(), _ => _}) -> global().
new(#{connect_all := IsOn, prevent_overlapping := IsPreventing}) ->
    #global{is_on = IsOn, is_preventing = IsOn andalso IsPreventing}.

%% The node has ended, or begins.
-spec reset(id(), global()) -> global().
reset(Name, Global) ->
    #node{known = Known, pending = Pending} = node(Name, Global),
    #global{nodes = Nodes} = Unknown = lists:foldl(
        fun(Peer, Next) -> unknow(Name, Peer, Next) end, Global, numbers(Known bor Pending)
    ),
    Unknown#global{nodes = maps:remove(Name, Nodes)}.

%% handle_nodeup/2 and init_connect/6: the one that does not know the other begins a session, in which the other has no part
%% when it knows that one (it is `pre_connect' then). Both lockers wait before they ask for the lock.
-spec nodeup(id(), id(), Connection :: integer(), global()) -> {[action()], global()}.
nodeup(_One, _Other, _Connection, #global{is_on = false} = Global) ->
    {[], Global};
nodeup(One, Other, Connection, Global) ->
    #node{known = KnownToOne} = node(One, Global),
    #node{known = KnownToOther} = node(Other, Global),
    case has(Other, KnownToOne) orelse has(One, KnownToOther) of
        true ->
            {[], Global};
        false ->
            Wait = min(locker_wait(KnownToOne), locker_wait(KnownToOther)),
            {[{agree, Wait, {One, Other, Connection}}], pend(Other, One, pend(One, Other, Global))}
    end.

%% loop_the_locker/1.
locker_wait(0) -> 200;
locker_wait(Known) -> 1000 + 100 * count(20, Known).

%% Both have the lock, if all whom they know are there to give it (lock_nodes_safely/3): resolved/5 on both sides.
-spec agreed(id(), id(), Connection :: integer(), view(), global()) -> {[action()], global()}.
agreed(One, Other, Connection, #{paused := Paused}, Global) ->
    #node{known = KnownToOne, pending = PendingOfOne} = node(One, Global),
    #node{known = KnownToOther, pending = PendingOfOther} = node(Other, Global),
    IsPending = has(Other, PendingOfOne) andalso has(One, PendingOfOther),
    case IsPending andalso (KnownToOne bor KnownToOther) band Paused of
        %% `in_sync' has ended the session of the one, and ends that of the other.
        false ->
            {[], unpend(Other, One, unpend(One, Other, Global))};
        0 ->
            {ActionsOfOne, Resolved} = resolved(One, Other, KnownToOther, Global),
            {ActionsOfOther, Last} = resolved(Other, One, KnownToOne, Resolved),
            {ActionsOfOne ++ ActionsOfOther, Last};
        _ ->
            {[{agree_later, {One, Other, Connection}}], Global}
    end.

%% It connects to those whom the other one knows, and tells those whom it knew before.
resolved(Name, Peer, KnownToPeer, Global) ->
    #node{known = Known} = node(Name, Global),
    Others = remove(Name, KnownToPeer),
    Joined = add(Peer, Others),
    News = case remove(Peer, Known) of
        0 -> [];
        Told -> [{send, Name, Told, {new_nodes, Joined}}]
    end,
    {[{sync, Name, Others} | News], learn(Name, Joined, Global)}.

%% handle_nodedown/3 of `disconnected': who lets the peer go on behalf of another one says nothing.
-spec nodedown(id(), Peer :: id(), view(), global()) -> {[action()], global()}.
nodedown(_Name, _Peer, _View, #global{is_on = false} = Global) ->
    {[], Global};
nodedown(Name, Peer, View, Global) ->
    #node{removing = Removing} = Node = node(Name, Global),
    case has(Peer, Removing) of
        true ->
            {[], forget(Name, Peer, put_node(Name, Node#node{removing = remove(Peer, Removing)}, Global))};
        false ->
            {Actions, Informed} = inform(Name, Peer, View, Global),
            {Actions, forget(Name, Peer, Informed)}
    end.

%% sync_other/2 gives up: `extra_nodedown'.
-spec sync_failed(id(), Peer :: id(), view(), global()) -> {[action()], global()}.
sync_failed(Name, Peer, View, Global) ->
    nodedown(Name, Peer, View, Global).

%% inform_connection_loss/2. Where nobody has anything to do with Peer, the message would change nothing.
inform(_Name, _Peer, _View, #global{is_preventing = false} = Global) ->
    {[], Global};
inform(Name, Peer, View, Global) ->
    IsOfConcern = remove(Name, knowers(Peer, Global)) =/= 0,
    case IsOfConcern andalso remove(Peer, reached(Name, View, Global)) of
        false -> {[], Global};
        0 -> {[], Global};
        Told -> operate(Name, Peer, Told, Global)
    end.

operate(Name, Peer, Told, #global{operation = Last, handled = Handled} = Global) ->
    Operation = Last + 1,
    Remembered = case map_size(Handled) > 2 * ?OPERATIONS of
        true -> maps:filter(fun(Other, _) -> Other > Last - ?OPERATIONS end, Handled);
        false -> Handled
    end,
    {
        [{send, Name, Told, {lost_connection, Name, Operation, Peer}}],
        Global#global{operation = Operation, handled = Remembered#{Operation => bit(Name)}}
    }.

%% gns_volatile_multicast/5: to all that are known or pending, where there is a connection.
reached(Name, #{links := Links, deaf := Deaf}, Global) ->
    minus(heard(Name, Global) band maps:get(Name, Links, 0), maps:get(Name, Deaf, 0)).

%% The message has come to all of them.
-spec received(message(), Receivers :: bits(), view(), global()) -> {[action()], global()}.
received({new_nodes, New}, Receivers, _View, Global) ->
    lists:foldl(fun(Name, Next) -> new_nodes(Name, New, Next) end, {[], Global}, numbers(Receivers));
received({remove_connection, From}, Receivers, _View, Global) ->
    lists:foldl(fun(Name, Next) -> remove_connection(Name, From, Next) end, {[], Global}, numbers(Receivers));
received({lost_connection, _, Operation, _} = Message, Receivers, View, #global{handled = AllHandled} = Global) ->
    case AllHandled of
        #{Operation := Handled} -> lost_connection(minus(Receivers, Handled), Handled, Message, View, Global);
        #{} -> {[], Global}
    end.

%% new_nodes/6.
new_nodes(Name, New, {Actions, Global}) ->
    #node{known = Known} = node(Name, Global),
    case minus(remove(Name, New), Known) of
        0 -> {Actions, Global};
        Added -> {[{sync, Name, Added} | Actions], learn(Name, Added, Global)}
    end.

%% The clause of remove_connection in handle_info/2.
remove_connection(Name, Peer, {Actions, Global}) ->
    case has(Peer, heard(Name, Global)) of
        true -> {[{disconnect, Name, Peer} | Actions], let_go(Name, Peer, Global)};
        false -> {Actions, Global}
    end.

%% The clause of lost_connection in handle_info/2, at those that have not handled it yet. Each of them tells all it knows of but
%% NodeA, and lets NodeB go; NodeB lets NodeA go.
lost_connection(0, _Handled, _Message, _View, Global) ->
    {[], Global};
lost_connection(New, Handled, {lost_connection, NodeA, Operation, NodeB} = Message, View, Global) ->
    Now = Handled bor New,
    Concerned = remove(NodeB, New) band knowers(NodeB, Global),
    IsMutual = has(NodeB, New) andalso has(NodeA, heard(NodeB, Global)),
    Letting = [{Name, NodeB} || Name <- numbers(Concerned)] ++ [{NodeB, NodeA} || IsMutual],
    Forwards = forward(New, Now, Message, View, Global),
    Removed = lists:foldl(fun({Name, Peer}, Next) -> let_go(Name, Peer, Next) end, Global, Letting),
    {
        Forwards ++ [{send, Name, bit(Peer), {remove_connection, Name}} || {Name, Peer} <- Letting],
        handled(Operation, Now, is_few(New) orelse Forwards =/= [], Removed)
    }.

%% Of many that were told at once and told nobody, no message is left.
handled(Operation, Now, true, #global{handled = Handled} = Global) ->
    Global#global{handled = Handled#{Operation => Now}};
handled(Operation, _Now, false, #global{handled = Handled} = Global) ->
    Global#global{handled = maps:remove(Operation, Handled)}.

%% The message goes on only as long as it can concern somebody who has not handled it. Of many that tell the same ones, it
%% comes at once.
forward(New, Handled, {lost_connection, NodeA, _, NodeB} = Message, View, Global) ->
    Knowers = remove(NodeA, knowers(NodeB, Global)),
    IsNodeBLeft = Knowers =/= 0 andalso not has(NodeB, Handled) andalso has(NodeA, heard(NodeB, Global)),
    case IsNodeBLeft orelse minus(Knowers, Handled) =/= 0 of
        false ->
            [];
        true ->
            Senders = numbers(New),
            Unaware = fun(Name) -> minus(reached(Name, View, Global), add(NodeA, Handled)) end,
            case is_few(New) of
                true -> [{send, Name, Told, Message} || Name <- Senders, Told <- [Unaware(Name)], Told =/= 0];
                false -> [{send, Told, Message} || Told <- [union(Senders, Unaware)], Told =/= 0]
            end
    end.

union(Names, Fun) ->
    lists:foldl(fun(Name, All) -> Fun(Name) bor All end, 0, Names).

%% handle_nodedown/3 of `remove_connection'.
let_go(Name, Peer, Global) ->
    #node{removing = Removing} = Node = node(Name, Global),
    forget(Name, Peer, put_node(Name, Node#node{removing = add(Peer, Removing)}, Global)).

%% State

node(Name, #global{nodes = Nodes}) -> maps:get(Name, Nodes, #node{}).

put_node(Name, Node, #global{nodes = Nodes} = Global) -> Global#global{nodes = Nodes#{Name => Node}}.

knowers(Name, #global{knowers = Knowers}) -> maps:get(Name, Knowers, 0).

%% is_node_potentially_known/2.
heard(Name, Global) ->
    #node{known = Known, pending = Pending} = node(Name, Global),
    Known bor Pending.

know(Name, Peer, #global{knowers = Knowers} = Global) ->
    Global#global{knowers = Knowers#{Peer => add(Name, maps:get(Peer, Knowers, 0))}}.

unknow(Name, Peer, #global{knowers = Knowers} = Global) ->
    Global#global{knowers = Knowers#{Peer => remove(Name, maps:get(Peer, Knowers, 0))}}.

pend(Name, Peer, Global) ->
    #node{pending = Pending} = Node = node(Name, Global),
    know(Name, Peer, put_node(Name, Node#node{pending = add(Peer, Pending)}, Global)).

unpend(Name, Peer, Global) ->
    #node{known = Known, pending = Pending} = Node = node(Name, Global),
    Ended = put_node(Name, Node#node{pending = remove(Peer, Pending)}, Global),
    case has(Peer, Known) of
        true -> Ended;
        false -> unknow(Name, Peer, Ended)
    end.

learn(Name, New, Global) ->
    #node{known = Known, pending = Pending} = Node = node(Name, Global),
    Learnt = put_node(Name, Node#node{known = Known bor New, pending = minus(Pending, New)}, Global),
    lists:foldl(fun(Peer, Next) -> know(Name, Peer, Next) end, Learnt, numbers(minus(New, Known bor Pending))).

forget(Name, Peer, Global) ->
    #node{known = Known, pending = Pending} = Node = node(Name, Global),
    unknow(Name, Peer, put_node(Name, Node#node{known = remove(Peer, Known), pending = remove(Peer, Pending)}, Global)).
