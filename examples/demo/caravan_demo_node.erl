%% What runs in each node of the demo, next to the application `caravan', which does the work.
%%
%% Says on standard output when the node is up and whom it gains and loses, one line each, beginning with `demo: ';
%% obeys the commands on standard input:
%%
%% ```
%% peers    says whom the node is connected to
%% stop     stops the node
%% '''
%%
%% The end of standard input means that the demo is gone, however that came: no node outlives it.
-module(caravan_demo_node).

-export([start/0]).

%% For `erl -s caravan_demo_node'.
-spec start() -> pid().
start() ->
    spawn(fun run/0).

run() ->
    ok = net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
    _ = spawn(fun obey/0),
    {ok, _} = application:ensure_all_started(caravan),
    say("up", []),
    report().

report() ->
    receive
        {nodeup, Node, _Info} -> say("gained ~ts", [Node]);
        {nodedown, Node, Info} -> say("lost ~ts ~0tp", [Node, proplists:get_value(nodedown_reason, Info)])
    end,
    report().

obey() ->
    case io:get_line("") of
        "peers\n" -> say("peers~ts", [[[" ", atom_to_list(Node)] || Node <- nodes(connected)]]), obey();
        "stop\n" -> init:stop();
        eof -> halt(1)
    end.

say(Format, Arguments) ->
    io:format("demo: " ++ Format ++ "~n", Arguments).
