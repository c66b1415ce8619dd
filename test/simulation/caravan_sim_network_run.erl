%% Runs the model of the network alone, without anybody who acts on what the nodes notice.
-module(caravan_sim_network_run).

-export([new/2, new/3, input/3, until/2, quiet/1, noticed/1, net/1, now/1, mesh/2, cold_mesh/1]).

-export_type([run/0]).

-record(run, {
    net :: caravan_sim_network:net(),
    now = 0 :: integer(),
    queue = caravan_sim_queue:new() :: caravan_sim_queue:queue(),
    noticed = [] :: [{Time :: integer(), Node :: binary(), What :: term()}]
}).

-opaque run() :: #run{}.

%% VMs of these names, with OTP's defaults but for the settings that are given.
-spec new([binary()], Settings :: map()) -> run().
new(Names, Settings) ->
    new(Names, Settings, 1).

-spec new([binary()], Settings :: map(), Seed :: integer()) -> run().
new(Names, Settings, Seed) ->
    Defaults = #{prevent_overlapping => true, connect_all => true, net_ticktime => 60000, latency => {1, 5}, seed => Seed},
    Run = #run{net = caravan_sim_network:new(maps:merge(Defaults, Settings))},
    lists:foldl(fun(Name, Next) -> input(boot, [Name], Next) end, Run, Names).

%% A function of caravan_sim_network, with its arguments but the last two.
-spec input(Function :: atom(), Arguments :: [term()], run()) -> run().
input(Function, Arguments, #run{net = Net, now = Now} = Run) ->
    took(apply(caravan_sim_network, Function, Arguments ++ [Now, Net]), Run).

%% Up to that time.
-spec until(Time :: integer(), run()) -> run().
until(Time, #run{queue = Queue} = Run) ->
    case caravan_sim_queue:out(Queue) of
        {Due, Event, Left} when Due =< Time -> until(Time, happens(Due, Event, Run#run{queue = Left}));
        _ -> Run#run{now = Time}
    end.

%% Until nothing is left to happen.
-spec quiet(run()) -> run().
quiet(#run{queue = Queue} = Run) ->
    case caravan_sim_queue:out(Queue) of
        {Due, Event, Left} -> quiet(happens(Due, Event, Run#run{queue = Left}));
        empty -> Run
    end.

happens(Due, Event, #run{net = Net} = Run) ->
    took(caravan_sim_network:event(Event, Due, Net), Run#run{now = Due}).

took({Outs, Net}, Run) ->
    lists:foldl(fun out/2, Run#run{net = Net}, Outs).

out({at, Time, Event}, #run{queue = Queue} = Run) -> Run#run{queue = caravan_sim_queue:in(Time, Event, Queue)};
out({to, Node, What}, #run{noticed = Noticed, now = Now} = Run) -> Run#run{noticed = [{Now, Node, What} | Noticed]}.

%% What the nodes have noticed, in its order.
-spec noticed(run()) -> [{Time :: integer(), Node :: binary(), What :: term()}].
noticed(#run{noticed = Noticed}) -> lists:reverse(Noticed).

-spec net(run()) -> caravan_sim_network:net().
net(#run{net = Net}) -> Net.

-spec now(run()) -> integer().
now(#run{now = Now}) -> Now.

%% All of them are connected to the first one, and by `global' to each other.
-spec mesh([binary()], Settings :: map()) -> run().
mesh([First | Others] = Names, Settings) ->
    quiet(lists:foldl(fun(Name, Next) -> input(connect, [Name, First], Next) end, new(Names, Settings), Others)).

%% Prints how long the model takes for a mesh of so many: erl -noshell -pa ... -run caravan_sim_network_run cold_mesh 500 -s init stop
-spec cold_mesh([string()]) -> ok.
cold_mesh([Size]) ->
    Names = [<<"n", (integer_to_binary(Number))/binary>> || Number <- lists:seq(1, list_to_integer(Size))],
    {Microseconds, #run{net = Net, now = Now}} = timer:tc(fun() -> mesh(Names, #{}) end),
    io:format("~s nodes, ~b connections after ~b ms of their time, in ~b ms~n", [
        Size, caravan_sim_network:connections(Net), Now, Microseconds div 1000
    ]).
