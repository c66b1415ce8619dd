%% @private
%% Calls the function `list_nodes' of a topology, which may be the user's. Each call runs in a process of its own, because it
%% may take long, and one call runs at a time: requests during a call are answered by one more call after it. Functional
%% state, owned by the process of the topology.
-module(caravan_node_list).

-export([new/1, change/2, is_of_otp/1, ask/1, handle_info/3, lost/2]).

-export_type([state/0]).

-record(state, {
    function :: mfargs(),
    timeout :: pos_integer(),
    %% The result of the last call that succeeded.
    nodes = [] :: [node()],
    call :: {caravan_task:task([node()]), IsAskedAgain :: boolean()} | undefined,
    %% Whether the failure has been logged.
    fails = false :: boolean()
}).
-type mfargs() :: {module(), atom(), [term()]}.

-opaque state() :: #state{}.

-spec new(map()) -> state().
new(#{list_nodes := Function, connect_timeout := Timeout}) ->
    #state{function = Function, timeout = Timeout}.

%% Takes new options. With another function, the nodes of the old one are forgotten.
-spec change(map(), state()) -> state().
change(#{list_nodes := Function, connect_timeout := Timeout}, #state{function = Function} = State) ->
    State#state{timeout = Timeout};
change(Options, #state{call = Call}) ->
    _ = [ok = caravan_task:cancel(Task) || {Task, _} <- [Call]],
    new(Options).

%% Returns whether the function is the default, erlang:nodes(connected), which answers at once.
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

%% If the message ends a call, returns the connected nodes.
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

%% Removes a node that has gone down according to OTP.
-spec lost(node(), state()) -> state().
lost(Node, #state{nodes = Nodes} = State) ->
    State#state{nodes = lists:delete(Node, Nodes)}.
