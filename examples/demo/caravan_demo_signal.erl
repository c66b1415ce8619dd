%% Makes SIGTERM a message, so that the demo stops what it started before it ends.
-module(caravan_demo_signal).
-behaviour(gen_event).

-export([forward_sigterm/1]).
-export([init/1, handle_event/2, handle_call/2]).

%% From now on SIGTERM does not stop the VM, but sends `interrupted' to a process.
-spec forward_sigterm(pid()) -> ok.
forward_sigterm(Pid) ->
    gen_event:swap_handler(erl_signal_server, {erl_signal_handler, []}, {?MODULE, Pid}).

-spec init({pid(), term()}) -> {ok, pid()}.
init({Pid, _Replaced}) ->
    {ok, Pid}.

-spec handle_event(atom(), pid()) -> {ok, pid()}.
handle_event(sigterm, Pid) ->
    Pid ! interrupted,
    {ok, Pid};
handle_event(_Signal, Pid) ->
    {ok, Pid}.

-spec handle_call(term(), pid()) -> {ok, ok, pid()}.
handle_call(_Request, Pid) ->
    {ok, ok, Pid}.
