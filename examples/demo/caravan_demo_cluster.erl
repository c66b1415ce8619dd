%% The nodes of the demo and what is known of them from what they say. Each function is a step: it does something or
%% waits for something, and returns the state after it, or what is missing when it did not happen in time.
-module(caravan_demo_cluster).

-export([new/2, start/2, publish/2, withdraw/2, kill/2, stop/1]).
-export([await_mesh/1, check_mesh/1, check_no_epmd/1, summary/1, logs/1]).

-export_type([cluster/0, step/0, missing/0]).

-record(node, {
    id :: string(),
    port :: inet:port_number(),
    name :: string(),
    vm :: port(),
    os_pid :: pos_integer(),
    status = starting :: starting | up | killed | stopping | ended,
    starts_left :: non_neg_integer(),
    %% As its node events say.
    peers = [] :: [string()],
    %% As it said when asked.
    answer = none :: none | [string()],
    %% The last line first.
    log = [] :: [binary()]
}).

-record(cluster, {
    registry :: module(),
    registry_state :: caravan_demo_registry:state(),
    timeout :: non_neg_integer(),
    vm_options :: caravan_demo_vm:options(),
    stopping = false :: boolean(),
    registry_ended = false :: boolean(),
    nodes = #{} :: #{pos_integer() => #node{}}
}).

-opaque cluster() :: #cluster{}.
-type missing() :: [interrupted | unicode:chardata()].
-type step() :: {ok, cluster()} | {failed, missing(), cluster()}.

%% How often a node is started anew because another program has taken the port that was free a moment before.
-define(RESTARTS, 3).
-define(STOP_TIMEOUT_MS, 10000).

%% Starts the registry and prints what the demo consists of.
-spec new(module(), caravan_demo_registry:settings()) -> {ok, cluster()} | {failed, missing()}.
new(Registry, #{timeout := Timeout, directory := Directory} = Settings) ->
    case Registry:start(Settings) of
        {ok, State} ->
            Config = caravan_demo_vm:write_config(Directory, Registry:query(), Registry:nameserver(State)),
            Node = {"Each node", "erl -start_epmd false -epmd_module caravan_epmd -name app-PORT@HOST ..."},
            Keys = [{"caravan", io_lib:format("~0tp", [Setting])} || Setting <- Config],
            caravan_demo_output:facts(Registry:facts(State) ++ [Node | Keys]),
            [EpmdPort] = caravan_demo_net:free_ports(1),
            Options = #{directory => Directory, epmd_port => EpmdPort, cookie => cookie()},
            {ok, #cluster{registry = Registry, registry_state = State, timeout = Timeout, vm_options = Options}};
        {error, Missing} ->
            {failed, [Missing]}
    end.

cookie() ->
    binary_to_list(binary:encode_hex(crypto:strong_rand_bytes(16))).

%% Starts nodes and waits until they are up.
-spec start([pos_integer()], cluster()) -> step().
start(Numbers, Cluster) ->
    Ports = caravan_demo_net:free_ports(length(Numbers)),
    Launch = fun({Number, Port}, C) -> launch(Number, Port, ?RESTARTS, C) end,
    await(fun not_up/1, lists:foldl(Launch, Cluster, lists:zip(Numbers, Ports))).

launch(Number, Port, StartsLeft, #cluster{registry = Registry, vm_options = Options} = Cluster) ->
    Id = "app-" ++ integer_to_list(Port),
    Name = Id ++ "@" ++ Registry:host(Number),
    {Vm, OsPid} = caravan_demo_vm:start(Name, Options),
    caravan_demo_output:event(Id, "starts as ~ts, OS process ~b", [Name, OsPid]),
    Node = #node{id = Id, port = Port, name = Name, vm = Vm, os_pid = OsPid, starts_left = StartsLeft},
    put_node(Number, Node, Cluster).

not_up(Cluster) ->
    [[Id, " is not up"] || #node{id = Id, status = starting} <- nodes_of(Cluster)].

-spec publish([pos_integer()], cluster()) -> step().
publish(Numbers, Cluster) ->
    {ok, lists:foldl(fun(Number, C) -> change_registry(add, Number, C) end, Cluster, Numbers)}.

-spec withdraw(pos_integer(), cluster()) -> step().
withdraw(Number, Cluster) ->
    {ok, change_registry(remove, Number, Cluster)}.

change_registry(Change, Number, #cluster{registry = Registry, registry_state = State, nodes = Nodes} = Cluster) ->
    #node{id = Id, port = Port} = maps:get(Number, Nodes),
    Instance = #{number => Number, id => Id, port => Port, host => Registry:host(Number)},
    {Text, Changed} = Registry:Change(Instance, State),
    caravan_demo_output:event(Registry:name(), "~ts", [Text]),
    Cluster#cluster{registry_state = Changed}.

-spec kill(pos_integer(), cluster()) -> step().
kill(Number, #cluster{nodes = Nodes} = Cluster) ->
    #node{id = Id, os_pid = OsPid} = Node = maps:get(Number, Nodes),
    caravan_demo_output:event(Id, "SIGKILL to OS process ~b", [OsPid]),
    ok = caravan_demo_vm:kill(OsPid),
    {ok, put_node(Number, Node#node{status = killed}, Cluster)}.

%% Waits until each node that is up has said of each other that it is connected, and of no more.
-spec await_mesh(cluster()) -> step().
await_mesh(Cluster) ->
    await(fun not_meshed/1, Cluster).

not_meshed(Cluster) ->
    [[Id, " is not gone"] || #node{id = Id, status = killed} <- nodes_of(Cluster)] ++
        lists:flatmap(fun(#node{peers = Peers} = Node) -> wrong_peers(Node, Peers, Cluster) end, up(Cluster)).

wrong_peers(#node{id = Id} = Node, Peers, Cluster) ->
    Expected = expected_peers(Node, Cluster),
    [[Id, " is not connected to ", short(Peer)] || Peer <- Expected -- Peers] ++
        [[Id, " is still connected to ", short(Peer)] || Peer <- Peers -- Expected].

expected_peers(#node{name = Name}, Cluster) ->
    [Other || #node{name = Other} <- up(Cluster), Other =/= Name].

%% Asks each node that is up whom it is connected to, hidden nodes included.
-spec check_mesh(cluster()) -> step().
check_mesh(#cluster{nodes = Nodes} = Cluster) ->
    lists:foreach(fun(#node{vm = Vm}) -> caravan_demo_vm:send(Vm, "peers") end, up(Cluster)),
    Asked = Cluster#cluster{nodes = maps:map(fun(_, Node) -> Node#node{answer = none} end, Nodes)},
    case await(fun unanswered/1, Asked) of
        {ok, Answered} -> verdict(wrong_answers(Answered), Answered);
        Failed -> Failed
    end.

unanswered(Cluster) ->
    [[Id, " does not answer"] || #node{id = Id, answer = none} <- up(Cluster)].

wrong_answers(Cluster) ->
    lists:flatmap(fun(#node{answer = Answer} = Node) -> wrong_peers(Node, Answer, Cluster) end, up(Cluster)).

%% What would start epmd, or ask it, would do so at ERL_EPMD_PORT, which is a port of this demo's own.
-spec check_no_epmd(cluster()) -> step().
check_no_epmd(#cluster{vm_options = #{epmd_port := Port}} = Cluster) ->
    case caravan_demo_net:is_listening(Port) of
        false ->
            caravan_demo_output:event("epmd", "none: nothing listens on port ~b, the nodes' ERL_EPMD_PORT", [Port]),
            {ok, Cluster};
        true ->
            {failed, [io_lib:format("something listens on port ~b, the nodes' ERL_EPMD_PORT", [Port])], Cluster}
    end.

%% Ends nodes and registry; waits until their processes have ended.
-spec stop(cluster()) -> step().
stop(Cluster) ->
    Told = maps:fold(fun stop_node/3, Cluster#cluster{stopping = true}, Cluster#cluster.nodes),
    case await(fun running/1, deadline(?STOP_TIMEOUT_MS), Told) of
        {ok, Stopped} -> stop_registry([], Stopped);
        {failed, Missing, Left} -> stop_registry(Missing, kill_the_rest(Left))
    end.

stop_node(Number, #node{vm = Vm, status = Status} = Node, Cluster) when Status =:= starting; Status =:= up ->
    ok = caravan_demo_vm:send(Vm, "stop"),
    put_node(Number, Node#node{status = stopping}, Cluster);
stop_node(_Number, _Ended, Cluster) ->
    Cluster.

running(Cluster) ->
    [[Id, " does not stop"] || #node{id = Id, status = Status} <- nodes_of(Cluster), Status =/= ended].

kill_the_rest(Cluster) ->
    [ok = caravan_demo_vm:kill(OsPid) || #node{os_pid = OsPid, status = Status} <- nodes_of(Cluster), Status =/= ended],
    Cluster.

stop_registry(Missing, #cluster{registry_ended = true} = Cluster) ->
    verdict(Missing, Cluster);
stop_registry(Missing, #cluster{registry = Registry, registry_state = State} = Cluster) ->
    case Registry:stop(State) of
        {ok, Text} ->
            caravan_demo_output:event(Registry:name(), "~ts", [Text]),
            verdict(Missing, Cluster);
        {error, Text} ->
            verdict(Missing ++ [Text], Cluster)
    end.

verdict([], Cluster) -> {ok, Cluster};
verdict(Missing, Cluster) -> {failed, Missing, Cluster}.

%% Takes what the nodes say until nothing is missing.
await(Missing, #cluster{timeout = Timeout} = Cluster) ->
    await(Missing, deadline(Timeout), Cluster).

deadline(Timeout) ->
    erlang:monotonic_time(millisecond) + Timeout.

await(Missing, Deadline, Cluster) ->
    case Missing(Cluster) of
        [] -> {ok, Cluster};
        Texts -> receive_one(Missing, Texts, Deadline, Cluster)
    end.

receive_one(Missing, Texts, Deadline, Cluster) ->
    receive
        Message ->
            case handle(Message, Cluster) of
                {ok, Next} -> await(Missing, Deadline, Next);
                Failed -> Failed
            end
    after max(0, Deadline - erlang:monotonic_time(millisecond)) ->
        {failed, Texts, Cluster}
    end.

handle(interrupted, #cluster{stopping = true} = Cluster) ->
    {ok, Cluster};
handle(interrupted, Cluster) ->
    {failed, [interrupted], Cluster};
handle({Program, Event}, #cluster{nodes = Nodes} = Cluster) when is_port(Program) ->
    case [{Number, Node} || {Number, #node{vm = Vm} = Node} <- maps:to_list(Nodes), Vm =:= Program] of
        [{Number, Node}] -> from_node(Event, Number, Node, Cluster);
        [] -> from_registry(Event, Cluster)
    end.

from_registry({exit_status, Status}, #cluster{registry = Registry} = Cluster) ->
    {failed, [ended_text(Registry:name(), Status)], Cluster#cluster{registry_ended = true}};
from_registry({data, _}, Cluster) ->
    {ok, Cluster}.

from_node({data, {_, Line}}, Number, Node, Cluster) ->
    said(caravan_demo_vm:parse(Line), Number, Node, Cluster);
from_node({exit_status, Status}, Number, #node{id = Id, status = Before, os_pid = OsPid} = Node, Cluster) ->
    Ended = put_node(Number, Node#node{status = ended}, Cluster),
    case {Before, Status} of
        {starting, _} -> start_again(port_was_taken(Node), Status, Number, Node, Ended);
        _ when Before =:= killed; Before =:= stopping, Status =:= 0 ->
            caravan_demo_output:event(Id, "OS process ~b ended, status ~b", [OsPid, Status]),
            {ok, Ended};
        _ -> {failed, [ended_text(Id, Status)], Ended}
    end.

port_was_taken(#node{starts_left = StartsLeft, log = Log}) ->
    StartsLeft > 0 andalso lists:any(fun(Line) -> binary:match(Line, <<"eaddrinuse">>) =/= nomatch end, Log).

start_again(true, _Status, Number, #node{id = Id, starts_left = StartsLeft}, Cluster) ->
    caravan_demo_output:event(Id, "finds its port taken by another program"),
    [Another] = caravan_demo_net:free_ports(1),
    {ok, launch(Number, Another, StartsLeft - 1, Cluster)};
start_again(false, Status, _Number, #node{id = Id}, Cluster) ->
    {failed, [ended_text(Id, Status)], Cluster}.

ended_text(Id, Status) ->
    io_lib:format("~ts ended with status ~b", [Id, Status]).

said(up, _Number, #node{status = stopping}, Cluster) ->
    {ok, Cluster};
said(up, Number, #node{id = Id, port = Port} = Node, Cluster) ->
    Next = put_node(Number, Node#node{status = up}, Cluster),
    case caravan_demo_net:is_listening(Port) of
        true ->
            caravan_demo_output:event(Id, "is up and accepts connections on 127.0.0.1:~b", [Port]),
            {ok, Next};
        false ->
            {failed, [io_lib:format("~ts is up, but does not listen on port ~b", [Id, Port])], Next}
    end;
said({gained, Peer}, Number, #node{id = Id, peers = Peers} = Node, Cluster) ->
    caravan_demo_output:event(Id, "is connected to ~ts", [short(Peer)]),
    {ok, put_node(Number, Node#node{peers = [Peer | Peers]}, Cluster)};
%% While all stop, they lose one another; that is nobody's news.
said({lost, Peer, Reason}, Number, #node{id = Id, peers = Peers, status = Status} = Node, Cluster) ->
    _ = Status =:= up andalso caravan_demo_output:event(Id, "has lost ~ts: ~ts", [short(Peer), Reason]),
    {ok, put_node(Number, Node#node{peers = lists:delete(Peer, Peers)}, Cluster)};
said({peers, Peers}, Number, #node{id = Id} = Node, Cluster) ->
    Short = [short(Peer) || Peer <- lists:sort(Peers)],
    caravan_demo_output:event(Id, "is connected to ~ts", [lists:join(" and ", Short)]),
    {ok, put_node(Number, Node#node{answer = Peers}, Cluster)};
said({log, Line}, Number, #node{log = Log} = Node, Cluster) ->
    {ok, put_node(Number, Node#node{log = [Line | Log]}, Cluster)}.

short(Name) ->
    hd(string:split(Name, "@")).

put_node(Number, Node, #cluster{nodes = Nodes} = Cluster) ->
    Cluster#cluster{nodes = Nodes#{Number => Node}}.

nodes_of(#cluster{nodes = Nodes}) ->
    [Node || {_, Node} <- lists:sort(maps:to_list(Nodes))].

up(Cluster) ->
    [Node || #node{status = up} = Node <- nodes_of(Cluster)].

%% What has been shown, of a cluster that has not been stopped yet.
-spec summary(cluster()) -> unicode:chardata().
summary(Cluster) ->
    Up = [Id || #node{id = Id} <- up(Cluster)],
    Ended = [Id || #node{id = Id, status = ended} <- nodes_of(Cluster)],
    [lists:join(", ", Up), " are connected to one another and to no other node; ", lists:join(", ", Ended)] ++
        " was killed and noticed; all that was started has ended".

%% What nodes and registry wrote besides events.
-spec logs(cluster()) -> [{Who :: string(), Lines :: [unicode:chardata()]}].
logs(#cluster{registry = Registry, registry_state = State} = Cluster) ->
    OfNodes = [{Id, lists:reverse(Log)} || #node{id = Id, log = Log} <- nodes_of(Cluster)],
    [{Who, Lines} || {Who, [_ | _] = Lines} <- [{Registry:name(), Registry:log(State)} | OfNodes]].
