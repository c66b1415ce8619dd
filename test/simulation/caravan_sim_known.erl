%% Worlds with a name: each has a fault that real clusters have shown, and that no change may bring back.
-module(caravan_sim_known).

-export([names/0, scenario/1]).

-define(MINUTE, 60000).

-spec names() -> [atom()].
names() ->
    [Name || {Name, _} <- all()].

-spec scenario(atom()) -> caravan_sim_world:scenario().
scenario(Name) ->
    {Name, Parts} = lists:keyfind(Name, 1, all()),
    caravan_sim_world:with_broken(with(Parts#{name => Name}, caravan_sim_world:base())).

with(Parts, #{options := Options, dns := Dns, network := Network} = Base) ->
    Deep = Parts#{
        options => maps:merge(Options, maps:get(options, Parts, #{})),
        dns => maps:merge(Dns, maps:get(dns, Parts, #{})),
        network => maps:merge(Network, maps:get(network, Parts, #{}))
    },
    maps:merge(Base, Deep).

%% Two nodes refuse each other and both reach the rest, for half an hour.
pair(Size, A, B, Fault) ->
    #{
        size => Size,
        faults => [{0, 30 * ?MINUTE, {cut, [{A, B}, {B, A}], Fault}}],
        ends => 30 * ?MINUTE,
        steady => #{from => 3 * ?MINUTE, to => 30 * ?MINUTE, pairs => [{A, B}, {B, A}]}
    }.

several(Basenames, BasenameOf, Options) ->
    #{
        basenames => Basenames,
        basename_of => BasenameOf,
        options => Options#{names_per_record => length(Basenames), listener => caravan_sim_world:listener(Basenames)}
    }.

all() ->
    [
        {pair_of_three, pair(3, 1, 3, reject)},
        {pair_of_six, pair(6, 1, 6, reject)},
        {pair_of_twenty, pair(20, 4, 17, refuse)},
        {pair_of_twenty_again, (pair(20, 4, 17, refuse))#{seed => 2}},
        {pair_that_hangs, pair(5, 1, 5, hang)},
        {pair_without_packets, pair(5, 2, 4, drop)},
        {pair_one_way, (pair(4, 1, 4, reject))#{faults => [{0, 30 * ?MINUTE, {cut, [{1, 4}], reject}}]}},
        {pair_that_may_overlap, (pair(6, 1, 6, reject))#{network => #{prevent_overlapping => false}}},
        {pair_without_connect_all, (pair(6, 1, 6, reject))#{network => #{connect_all => false}}},
        {two_pairs, (pair(8, 1, 2, reject))#{
            faults => [{0, 30 * ?MINUTE, {cut, [{1, 2}, {2, 1}, {5, 6}, {6, 5}], reject}}],
            steady => #{from => 3 * ?MINUTE, to => 30 * ?MINUTE, pairs => [{1, 2}, {2, 1}, {5, 6}, {6, 5}]}
        }},
        %% The host that comes sorts before others, and there is no room for all.
        {more_than_max_nodes, #{
            size => 4,
            options => #{max_nodes => 4, prune => true, prune_after => ?MINUTE, prune_max_fraction => 1},
            faults => [{2 * ?MINUTE, 9 * ?MINUTE, {scale, [10], 0}}],
            ends => 10 * ?MINUTE
        }},
        %% Those that hang sort first, and take more time than the longest back-off.
        {many_that_hang, #{
            size => 2,
            options => #{max_connecting => 4},
            faults => [
                {10000, 15 * ?MINUTE, {phantoms, 100, hang, for_good}},
                {2 * ?MINUTE, 15 * ?MINUTE, {crash_loop, [2], 300000, 1000, same, 0}}
            ],
            dead => 100,
            ends => 15 * ?MINUTE
        }},
        %% A cluster of one basename, whose records give names of two.
        {green_at_max_nodes, (several([<<"a">>, <<"b">>], fun(_) -> <<"b">> end, #{max_nodes => 12}))#{size => 12}},
        {green_deployed_again_and_again, (several([<<"a">>, <<"b">>], fun(_) -> <<"b">> end, #{atom_budget => 60}))#{
            size => 8,
            faults => [{Minute * ?MINUTE, 40 * ?MINUTE, {deploy, lists:seq(2, 8), 1000, 2000, new_port, 0}} || Minute <- lists:seq(2, 26, 2)],
            ends => 30 * ?MINUTE
        }},
        %% Each record has a name that is no node's, and there are atoms for half of the names.
        {green_replaced_with_few_atoms, (several([<<"a">>, <<"b">>], fun(_) -> <<"a">> end, #{atom_budget => 20}))#{
            size => 20,
            faults => [{2 * ?MINUTE, 4 * ?MINUTE, {replace, lists:seq(1, 5), lists:seq(21, 25)}}],
            ends => 5 * ?MINUTE
        }},
        {own_listener, (several([<<"a">>, <<"b">>, <<"c">>], fun(_) -> <<"b">> end, #{}))#{size => 3}},
        {blue_and_green, (several([<<"a">>, <<"b">>], fun(Host) when Host > 6 -> <<"b">>; (_) -> <<"a">> end, #{}))#{
            size => 6,
            faults => [{2 * ?MINUTE, 6 * ?MINUTE, {replace, lists:seq(1, 6), lists:seq(7, 12)}}],
            ends => 8 * ?MINUTE
        }},
        {crash_loop_of_new_ports, #{
            size => 3,
            options => #{atom_budget => 20},
            faults => [{?MINUTE, 20 * ?MINUTE, {crash_loop, [2], 3000, 5000, new_port, 1000}}],
            exact => false,
            ends => 20 * ?MINUTE
        }},
        {more_dead_than_atoms, #{
            size => 3,
            options => #{atom_budget => 20},
            faults => [{?MINUTE, 2 * ?MINUTE, {phantoms, 23, none, for_good}}],
            dead => 23,
            ends => 3 * ?MINUTE
        }},
        {topology_crash_without_dns, #{
            size => 5,
            options => #{prune => true, prune_after => ?MINUTE},
            faults => [
                {2 * ?MINUTE, 6 * ?MINUTE, {dns, all, timeout}},
                {3 * ?MINUTE, 3 * ?MINUTE, {topology_crash, 2}},
                {4 * ?MINUTE, 4 * ?MINUTE, {topology_crash, 3}},
                {2 * ?MINUTE, 5 * ?MINUTE, {die, [4], never}}
            ],
            ends => 8 * ?MINUTE
        }},
        {topology_crash_and_cut_answers, #{
            size => 6,
            options => #{prune => true, prune_after => ?MINUTE},
            faults => [
                {2 * ?MINUTE, 6 * ?MINUTE, {dns, all, {cut, 3}}}, {3 * ?MINUTE, 3 * ?MINUTE, {topology_crash, 2}}
            ],
            ends => 8 * ?MINUTE
        }},
        %% Eight of twenty at random, as AWS Cloud Map gives them.
        {samples, #{
            size => 20,
            dns => #{server => {sample, 8, true}},
            options => #{answers => sampled, prune => true, prune_after => ?MINUTE},
            exact => false,
            ends => 10 * ?MINUTE
        }},
        {samples_unsaid, #{
            size => 20,
            dns => #{server => {sample, 8, true}},
            faults => [{?MINUTE, 20 * ?MINUTE, {phantoms, 10, reject, until_end}}],
            exact => false,
            ends => 20 * ?MINUTE
        }},
        {samples_of_dead, #{
            size => 6,
            dns => #{server => {sample, 8, false}},
            options => #{max_nodes => 20, answers => sampled},
            faults => [{?MINUTE, 20 * ?MINUTE, {crash_loop, [2, 3, 4], 20000, 1000, new_port, 0}}],
            exact => false,
            ends => 20 * ?MINUTE
        }},
        {unresolved_targets, #{
            size => 6,
            options => #{prune => true, prune_after => ?MINUTE, prune_max_fraction => 1},
            faults => [{2 * ?MINUTE, 12 * ?MINUTE, {dns, all, {unresolved, 2}}}],
            ends => 12 * ?MINUTE
        }},
        %% Half of the cluster dies within fifteen seconds, while nobody needs to look for five minutes.
        {half_dies, #{
            size => 20,
            dns => #{ttl => 300},
            faults => [{4 * ?MINUTE, 8 * ?MINUTE, {die, lists:seq(1, 10), never}}],
            ends => 9 * ?MINUTE
        }},
        {half_dies_and_is_gone, #{
            size => 20,
            dns => #{ttl => 30},
            options => #{prune => true, prune_after => ?MINUTE},
            faults => [{4 * ?MINUTE, 8 * ?MINUTE, {die, lists:seq(1, 10), 1000}}],
            ends => 9 * ?MINUTE
        }},
        %% The host leaves DNS and runs on while DNS cannot be asked: nobody knows that it is absent.
        {outage_with_prune, #{
            size => 5,
            options => #{prune => true, prune_after => 2 * ?MINUTE, prune_max_fraction => 1},
            faults => [
                {3 * ?MINUTE - 10000, 10 * ?MINUTE, {unlist, 5}},
                {3 * ?MINUTE, 9 * ?MINUTE, {dns, all, servfail}}
            ],
            exact => false,
            ends => 13 * ?MINUTE
        }},
        {disconnect_that_fails, #{
            size => 5,
            options => #{prune => true, prune_after => ?MINUTE, prune_max_fraction => 1},
            faults => [{2 * ?MINUTE, 5 * ?MINUTE, {unlist, 5}}, {2 * ?MINUTE, 4 * ?MINUTE, disconnects_fail}],
            exact => false,
            ends => 6 * ?MINUTE
        }},
        {prune_of_many, #{
            size => 10,
            options => #{prune => true, prune_after => ?MINUTE},
            faults => [{2 * ?MINUTE, 8 * ?MINUTE, {unlist, Host}} || Host <- lists:seq(4, 10)],
            exact => false,
            ends => 9 * ?MINUTE
        }},
        {reasons_that_are_ever_new, (pair(4, 1, 4, reject))#{
            faults => [{0, 30 * ?MINUTE, {cut, [{1, 4}, {4, 1}], refuse}}, {0, 30 * ?MINUTE, ever_new_reasons}]
        }},
        %% Some stop and others are cut off, at the same time.
        {losses_of_several_kinds, #{
            size => 8,
            network => #{net_ticktime => 15000},
            faults => [
                {2 * ?MINUTE, 5 * ?MINUTE, {split, [1, 2], lists:seq(3, 8), drop}},
                {2 * ?MINUTE + 14000, 5 * ?MINUTE, {crash_loop, [7, 8], 2000, 2000, same, 0}}
            ],
            ends => 6 * ?MINUTE
        }},
        {halves_again_and_again, #{
            size => 8,
            network => #{net_ticktime => 15000},
            faults => [
                {Minute * ?MINUTE, Minute * ?MINUTE + 40000, {split, lists:seq(1, 4), lists:seq(5, 8), drop}}
             || Minute <- lists:seq(2, 10)
            ],
            ends => 12 * ?MINUTE
        }},
        {three_to_many_and_back, #{
            size => 3,
            faults => [{?MINUTE, 4 * ?MINUTE, {scale, lists:seq(4, 60), 300}}],
            ends => 6 * ?MINUTE
        }},
        {one_leaves_and_comes_back, #{
            size => 8,
            only_leaves => true,
            faults => [{2 * ?MINUTE, 3 * ?MINUTE, {leave, 3}}, {4 * ?MINUTE, 4 * ?MINUTE + 20000, {leave, 8}}],
            ends => 5 * ?MINUTE
        }},
        %% Each has been connected for less than a minute when the next ones go.
        {rolling_restart, #{
            size => 10,
            only_leaves => true,
            faults => [{2 * ?MINUTE, 5 * ?MINUTE, {rolling, lists:seq(1, 10), 15000, 3000, same, 0}}],
            ends => 5 * ?MINUTE
        }},
        %% Who has come back, and crashes before its time would be over, is lost like any other.
        {comes_back_and_crashes, #{
            size => 5,
            faults => [
                {2 * ?MINUTE, 3 * ?MINUTE, {rolling, [2], 500, 3000, same, 0}},
                {2 * ?MINUTE + 20000, 3 * ?MINUTE, {deploy, [2], 500, 3000, same, 0}}
            ],
            ends => 4 * ?MINUTE
        }},
        %% They come back after their time is over, and are listed all along.
        {left_for_long, #{
            size => 5,
            faults => [{2 * ?MINUTE, 6 * ?MINUTE, {rolling, [2, 3], 500, 4 * ?MINUTE, same, 5 * ?MINUTE}}],
            ends => 7 * ?MINUTE
        }},
        {paused, #{
            size => 5,
            faults => [{2 * ?MINUTE, 2 * ?MINUTE + 20000, {pause, 2}}, {3 * ?MINUTE, 6 * ?MINUTE, {pause, 4}}],
            ends => 7 * ?MINUTE
        }}
    ].
