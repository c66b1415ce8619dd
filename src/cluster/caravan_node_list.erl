%% @private
%% A list_nodes function of the user's. It is called by a process of its own, since it may take its time, and one call at a
%% time: whoever asks meanwhile gets the answer of another one, after it. A functional state, owned by a topology.
-module(caravan_node_list).

-export([new/1, change/2, is_of_otp/1, ask/1, handle_info/3, lost/2]).

-export_type([state/0]).

-record(state, {
    function :: mfargs(),
    timeout :: pos_integer(),
    %% As it was given last; while the function fails, that stands.
    nodes = [] :: [node()],
    call :: {caravan_task:task([node()]), IsAskedAgain :: boolean()} | undefined,
    %% Whether the log has told that it fails.
    fails = false :: boolean()
}).
-type mfargs() :: {module(), atom(), [term()]}.

-opaque state() :: #state{}.

-spec new(map()) -> state().
new(#{list_nodes := Function, connect_timeout := Timeout}) ->
    #state{function = Function, timeout = Timeout}.

%% Another function may give other nodes.
-spec change(map(), state()) -> state().
change(#{list_nodes := Function, connect_timeout := Timeout}, #state{function = Function} = State) ->
    State#state{timeout = Timeout};
change(Options, #state{call = Call}) ->
    _ = [ok = caravan_task:cancel(Task) || {Task, _} <- [Call]],
    new(Options).

%% Whether the options leave it to OTP to say who is connected, which it does at once.
-spec is_of_otp(map()) -> boolean().
is_of_otp(#{list_nodes := {erlang, nodes, [connected]}}) -> true;
is_of_otp(_Options) -> false.

-spec ask(state()) -> state().
ask(#state{function = {Module, Function, Arguments}, timeout = Timeout, call = undefined} = State) ->
    Call = fun() ->
        ok = caravan_label:set({caravan_list_nodes, Module, Function}),
        apply(Module, Function, Arguments)
    end,
    State#state{call = {caravan_task:start(Call, Timeout), false}};
ask(#state{call = {Task, _}} = State) ->
    State#state{call = {Task, true}}.

%% The nodes that are connected, if the message is the end of a call.
-spec handle_info(term(), map(), state()) -> {listed, [node()], state()} | ignore.
handle_info(Info, Options, #state{call = {Task, IsAskedAgain}} = State) ->
    case caravan_task:reference_of(Info) =:= caravan_task:reference(Task) of
        true ->
            #state{nodes = Nodes} = Next = answered(caravan_task:result(Info, Task), Options, State#state{call = undefined}),
            {listed, Nodes, again(IsAskedAgain, Next)};
        false ->
            ignore
    end;
handle_info(_Info, _Options, _State) ->
    ignore.

again(true, State) -> ask(State);
again(false, State) -> State.

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
    State#state{fails = true}.

tell(true, _Failure, _Options) -> ok;
tell(false, Failure, Options) -> caravan_report:function_failed(list_nodes, Failure, Options).

%% A node has gone down, as OTP says.
-spec lost(node(), state()) -> state().
lost(Node, #state{nodes = Nodes} = State) ->
    State#state{nodes = lists:delete(Node, Nodes)}.
