%% @doc Runs in a node: writes down which connections come and go there, for as long as the node runs.
-module(caravan_network_record).

-export([start/0, events/0, losses/3]).

-export_type([event/0]).

%% Milliseconds of the system's clock, which nodes of one machine share.
-type event() :: {At :: integer(), up, node()} | {At :: integer(), down, node(), Reason :: term()}.

%% @doc Begins. Connections that there are count as none that came.
-spec start() -> ok.
start() ->
    Caller = self(),
    _ = spawn(fun() ->
        true = register(?MODULE, self()),
        ok = net_kernel:monitor_nodes(true, [nodedown_reason]),
        Caller ! {?MODULE, started},
        record([])
    end),
    receive {?MODULE, started} -> ok end.

record(Events) ->
    receive
        {nodeup, Node, _} -> record([{now_ms(), up, Node} | Events]);
        {nodedown, Node, Info} -> record([{now_ms(), down, Node, proplists:get_value(nodedown_reason, Info)} | Events]);
        {events, Asker} -> Asker ! {?MODULE, Events}, record(Events)
    end.

%% @doc All so far, in their order.
-spec events() -> [event()].
events() ->
    ?MODULE ! {events, self()},
    receive {?MODULE, Events} -> lists:reverse(Events) end.

%% @doc How many connections were lost from one moment on, before another one.
-spec losses([event()], From :: integer(), Until :: integer()) -> non_neg_integer().
losses(Events, From, Until) ->
    length([At || {At, down, _, _} <- Events, At >= From, At < Until]).

now_ms() ->
    os:system_time(millisecond).
