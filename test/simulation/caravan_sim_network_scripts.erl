%% What four nodes do to each other, written once: it is run on the model (caravan_sim_network) and on real nodes, which end
%% with equal connections. After each step everybody waits until nothing happens any more.
-module(caravan_sim_network_scripts).

-export([all/0]).

-export_type([script/0, step/0]).

-type node_of_script() :: a | b | c | d.
-type step() ::
    {connect, node_of_script(), node_of_script()}
    | {disconnect, node_of_script(), node_of_script()}
    %% global:disconnect/0.
    | {leave, node_of_script()}
    %% From now on neither accepts the other: it has another cookie for it.
    | {reject, node_of_script(), node_of_script()}
    | {accept, node_of_script(), node_of_script()}
    %% init:stop/0, and the end without a word.
    | {stop, node_of_script()}
    | {kill, node_of_script()}
    | {boot, node_of_script()}
    %% SIGSTOP and SIGCONT.
    | {pause, node_of_script()}
    | {resume, node_of_script()}
    %% Both, before anybody misses it.
    | {hiccup, node_of_script()}.

%% Where the order of messages decides, a step states the ends that are allowed, each as the pairs that are connected; the model
%% and the real nodes have one of them.
-type ends() :: [[{node_of_script(), node_of_script()}]].
%% The settings are those of kernel that differ from OTP's defaults.
-type script() :: {Name :: atom(), Settings :: map(), [step() | {race, step(), ends()}]}.

%% c and d let both go, or b alone: then they had b close its connections before it missed a, and b had nobody to tell. So with a.
-define(PART, {race, {disconnect, a, b}, [[{c, d}], ?ALL_BUT_B, ?ALL_BUT_A]}).
-define(ALL_BUT_A, [{b, c}, {b, d}, {c, d}]).
-define(ALL_BUT_B, [{a, c}, {a, d}, {c, d}]).
-define(ALL, [{a, b}, {a, c}, {a, d}, {b, c}, {b, d}, {c, d}]).
-define(ALONE, #{prevent_overlapping => false}).
-define(LOOSE, #{connect_all => false}).

-spec all() -> [script()].
all() ->
    [
        {a_chain_becomes_a_mesh, #{}, chain()},
        {a_star_becomes_a_mesh, #{}, star()},
        {a_chain_stays_one_without_connect_all, ?LOOSE, chain()},
        {a_star_stays_one_without_connect_all, ?LOOSE, star()},
        {two_pairs_become_a_mesh, #{}, [{connect, a, b}, {connect, c, d}, {connect, b, c}]},
        {who_stops_takes_nobody_along, #{}, star() ++ [{stop, d}]},
        {two_who_stop_take_nobody_along, #{}, star() ++ [{stop, c}, {stop, d}]},
        {who_leaves_takes_nobody_along, #{}, star() ++ [{leave, d}, {leave, a}]},
        {who_has_left_joins_all, #{}, star() ++ [{leave, d}, {connect, d, b}]},
        {who_has_restarted_joins_all, #{}, star() ++ [{stop, d}, {boot, d}, {connect, d, b}]},
        {who_has_restarted_is_joined, #{}, star() ++ [{stop, a}, {boot, a}, {connect, d, a}]},
        {who_parts_from_one_of_three, #{}, star() ++ [?PART]},
        {who_parts_from_one_of_two, #{}, [{connect, a, b}, {connect, a, c}, {race, {disconnect, b, c}, [[], [{a, b}], [{a, c}]]}]},
        {of_two_both_are_alone, #{}, [{connect, a, b}, {disconnect, b, a}]},
        {one_that_has_parted_comes_back, #{}, star() ++ [?PART, {race, {connect, a, c}, [?ALL_BUT_B, ?ALL]}]},
        {both_that_have_parted_meet, #{}, star() ++ [?PART, {race, {connect, a, b}, [[{a, b}, {c, d}], ?ALL]}]},
        {both_that_have_parted_come_back, #{},
            star() ++ [?PART, {race, {connect, a, b}, [[{a, b}, {c, d}], ?ALL]}, {connect, d, b}]},
        {a_pair_that_parts_is_its_own_affair_without_prevention, ?ALONE, star() ++ [{disconnect, a, b}]},
        {and_meets_again, ?ALONE, star() ++ [{disconnect, a, b}, {connect, b, a}]},
        {who_stops_without_prevention, ?ALONE, star() ++ [{stop, d}, {boot, d}, {connect, d, a}]},
        {a_pair_that_parts_without_connect_all, ?LOOSE, star() ++ [{connect, b, c}, {disconnect, a, b}]},
        {a_pair_that_rejects_each_other_without_prevention, ?ALONE, [{reject, a, c}, {connect, a, b}, {connect, c, b}]},
        {a_pair_that_rejects_each_other_without_connect_all, ?LOOSE, [{reject, a, c}, {connect, a, b}, {connect, c, b}]},
        {who_is_killed_takes_nobody_along, #{}, star() ++ [{kill, d}]},
        {who_was_killed_joins_all_again, #{}, star() ++ [{kill, d}, {boot, d}, {connect, c, d}]},
        {who_is_killed_without_connect_all, ?LOOSE, star() ++ [{kill, a}]},
        {two_edges_without_prevention, ?ALONE, star() ++ [{disconnect, a, b}, {disconnect, c, d}]},
        {two_edges_without_connect_all, ?LOOSE, star() ++ [{disconnect, a, b}, {disconnect, a, d}]},
        {two_pairs_part, #{},
            star() ++ [?PART, {race, {disconnect, c, d}, [[], [{a, c}], [{a, d}], [{b, c}], [{b, d}]]}]},
        {who_parts_from_all_without_prevention, ?ALONE,
            star() ++ [{disconnect, a, b}, {disconnect, a, c}, {disconnect, a, d}, {connect, b, a}]},
        {a_pair_without_anybody_that_rejects_each_other, #{}, [{reject, a, b}, {connect, a, b}, {connect, b, a}]},
        {who_is_rejected_by_all_stays_alone, #{},
            [{reject, a, d}, {reject, b, d}, {reject, c, d}, {connect, a, b}, {connect, b, c}, {connect, d, a}, {connect, c, d}]},
        {a_cookie_does_not_part_those_that_are_connected, #{}, star() ++ [{reject, a, b}]},
        {who_hiccups_is_not_missed, #{}, star() ++ [{hiccup, d}]},
        {who_was_paused_without_prevention, #{prevent_overlapping => false, net_ticktime => 4000},
            star() ++ [{pause, d}, {resume, d}, {connect, b, d}]},
        {a_pair_that_rejects_each_other, #{},
            [{reject, a, c}, {connect, a, b}, {race, {connect, c, b}, [[], [{a, b}], [{b, c}]]}]},
        %% b and c let a go, or d, or both, each by what it hears first. The model has both of them do the same. Real nodes differ when
        %% b's locker, which sends new_nodes, is slower than a, which fails to connect to d and says so: who hears first that d was lost
        %% and then that there is a d connects to it. Ways through a network take longer than that.
        {one_that_is_rejected_by_one_of_three, #{},
            [{connect, a, b}, {connect, a, c}, {reject, a, d},
                {race, {connect, d, b}, [[{b, c} | Kept] || Kept <- parts([{a, b}, {a, c}, {b, d}, {c, d}]), length(Kept) < 4]}]},
        {a_pair_that_accepts_each_other_again, #{},
            [{reject, a, c}, {connect, a, b}, {accept, a, c}, {connect, c, b}]},
        {who_was_paused_is_lost_and_comes_back, #{net_ticktime => 4000},
            star() ++ [{pause, d}, {resume, d}, {connect, d, a}]}
    ].

parts([]) -> [[]];
parts([First | Others]) -> [Kept ++ Part || Part <- parts(Others), Kept <- [[], [First]]].

chain() -> [{connect, a, b}, {connect, b, c}, {connect, c, d}].

star() -> [{connect, a, b}, {connect, a, c}, {connect, a, d}].
