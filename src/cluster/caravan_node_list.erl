%% @private
%% Which nodes are connected: OTP knows at once. A list_nodes of the user's is called by a process of its own, since it may
%% take its time, and one call at a time: whoever asks meanwhile gets the answer of another one, after it. A functional
%% state, owned by a topology.
-module(caravan_node_list).

-export([new/1, change/2, connected/1, is_known/1, is_of_otp/1, ask/2, handle_info/3, lost/2]).
-export([not_seen/2, told_unseen/2]).

-export_type([state/0, next/0]).

%% What follows an answer: seeing who has come and gone, or that and what else the end of a poll brings.
-type next() :: refresh | settle.

-record(state, {
    function :: mfargs(),
    timeout :: pos_integer(),
    nodes = unknown :: unknown | [node()],
    call :: {caravan_task:task([node()]), next(), Again :: next() | no} | undefined,
    %% Whether the log has told that it fails.
    fails = false :: boolean(),
    %% Connected, as connect says, and not in the list since; and those that the log has told of.
    unseen = [] :: [node()],
    told = [] :: [node()]
}).
-type mfargs() :: {module(), atom(), [term()]}.

-opaque state() :: #state{}.

-define(OTP, {erlang, nodes, [connected]}).

-spec new(map()) -> state().
new(#{list_nodes := Function, connect_timeout := Timeout}) ->
    #state{function = Function, timeout = Timeout}.

%% Another function may give other nodes.
-spec change(map(), state()) -> state().
change(#{list_nodes := Function, connect_timeout := Timeout}, #state{function = Function} = State) ->
    State#state{timeout = Timeout};
change(Options, #state{call = Call}) ->
    _ = [ok = caravan_task:cancel(Task) || {Task, _, _} <- [Call]],
    new(Options).

%% As it was given last; while the function fails, that stands.
-spec connected(state()) -> [node()].
connected(#state{function = ?OTP}) -> lists:usort(erlang:nodes(connected));
connected(#state{nodes = unknown}) -> [];
connected(#state{nodes = Nodes}) -> Nodes.

%% Before the first answer nobody knows who is missing.
-spec is_known(state()) -> boolean().
is_known(#state{function = Function, nodes = Nodes}) ->
    Function =:= ?OTP orelse Nodes =/= unknown.

-spec is_of_otp(state()) -> boolean().
is_of_otp(#state{function = Function}) ->
    Function =:= ?OTP.

-spec ask(next(), state()) -> {known | asked, state()}.
ask(_Next, #state{function = ?OTP} = State) ->
    {known, State};
ask(Next, #state{function = {Module, Function, Arguments}, timeout = Timeout, call = undefined} = State) ->
    Task = caravan_task:start(fun() -> apply(Module, Function, Arguments) end, Timeout),
    {asked, State#state{call = {Task, Next, no}}};
ask(Next, #state{call = {Task, First, Again}} = State) ->
    {asked, State#state{call = {Task, First, both(Next, Again)}}}.

both(settle, _) -> settle;
both(refresh, no) -> refresh;
both(refresh, Again) -> Again.

%% What follows the answer, and what another one was asked for meanwhile.
-spec handle_info(term(), map(), state()) -> {next(), Again :: next() | no, state()} | ignore.
handle_info(Info, Options, #state{call = {Task, Next, Again}} = State) ->
    case caravan_task:reference_of(Info) =:= caravan_task:reference(Task) of
        true -> {Next, Again, answered(caravan_task:result(Info, Task), Options, State#state{call = undefined})};
        false -> ignore
    end;
handle_info(_Info, _Options, _State) ->
    ignore.

answered({ok, Nodes}, Options, State) when length(Nodes) >= 0 ->
    case lists:all(fun is_atom/1, Nodes) of
        true -> State#state{nodes = lists:usort(Nodes), fails = false};
        false -> failed({result, Nodes}, Options, State)
    end;
answered({ok, Other}, Options, State) ->
    failed({result, Other}, Options, State);
answered(Failure, Options, State) ->
    failed(Failure, Options, State).

failed(Failure, Options, #state{fails = Told} = State) ->
    ok = tell(Told, Failure, Options),
    State#state{nodes = connected(State), fails = true}.

tell(true, _Failure, _Options) -> ok;
tell(false, Failure, Options) -> caravan_report:function_failed(list_nodes, Failure, Options).

%% A node has gone down, as OTP says.
-spec lost(node(), state()) -> state().
lost(_Node, #state{nodes = unknown} = State) -> State;
lost(Node, #state{nodes = Nodes} = State) -> State#state{nodes = lists:delete(Node, Nodes)}.

%% The node is connected, as connect says, and has not been in the list so far.
-spec not_seen(node(), state()) -> state().
not_seen(Node, #state{unseen = Unseen} = State) ->
    State#state{unseen = [Node | Unseen]}.

%% Of those, the ones that are not in the list now and that the log has not told of: each is tried again and again.
-spec told_unseen(Connected :: [node()], state()) -> {[node()], state()}.
told_unseen(Connected, #state{unseen = Unseen, told = Told} = State) ->
    New = (lists:usort(Unseen) -- Connected) -- Told,
    {New, State#state{unseen = [], told = lists:usort(New ++ Told) -- Connected}}.
