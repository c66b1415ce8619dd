%% How many lines of the log a node has while a fault goes on, and while a whole cluster is replaced node by node.
-module(caravan_sim_lines).

-export([print/0, worlds/1, lines/1]).

-define(MINUTE, 60000).
-define(EVERY, 6000).

-spec print() -> ok.
print() ->
    lists:foreach(
        fun({Title, World}) ->
            {Least, Median, Most} = lines(World),
            io:format("~ts: ~b minutes, lines of a node: ~b to ~b, median ~b~n", [Title, minutes(World), Least, Most, Median])
        end,
        worlds(100)
    ).

%% Those with a rolling deploy have as many nodes.
-spec worlds(pos_integer()) -> [{Title :: string(), caravan_sim_world:scenario()}].
worlds(Size) ->
    [
        {"four nodes, one of them dead, one in a crash loop", one_dead_one_flapping(5 * ?MINUTE)},
        {"the same for hours", one_dead_one_flapping(180 * ?MINUTE)},
        {lists:concat([Size, " nodes, each stopped and started, one each ", ?EVERY div 1000, " s"]), rolling(Size)}
    ].

one_dead_one_flapping(Ends) ->
    world(#{size => 4, ends => Ends, faults => [
        {1000, Ends, {die, [4], never}}, {20000, Ends, {crash_loop, [3], 20000, 5000, same, never}}
    ]}).

rolling(Size) ->
    Ends = (Size + 10) * ?EVERY,
    world(#{size => Size, ends => Ends, options => caravan_sim_world:options(#{poll_interval => 30000}), faults => [
        {30000, Ends, {deploy, lists:seq(1, Size), ?EVERY, 4000, same, 200}}
    ]}).

%% Lines are counted under a steady fault only.
world(Parts) ->
    World = caravan_sim_world:with_broken(maps:merge(caravan_sim_world:base(), Parts#{name => lines})),
    World#{steady => #{from => 0, to => 0, pairs => [], broken => #{}}}.

-spec lines(caravan_sim_world:scenario()) -> {Least :: non_neg_integer(), Median :: non_neg_integer(), Most :: non_neg_integer()}.
lines(World) ->
    #{outcome := ok, measures := Measures} = caravan_sim:run(World, #{checks => false}),
    Names = caravan_sim_measures:names(lines, Measures),
    Counts = lists:sort([caravan_sim_measures:of_vm(lines, Name, {0, minutes(World) + 2}, Measures) || Name <- Names]),
    {hd(Counts), lists:nth(length(Counts) div 2 + 1, Counts), lists:last(Counts)}.

minutes(#{ends := Ends}) -> Ends div ?MINUTE.
