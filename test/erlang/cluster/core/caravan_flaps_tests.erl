-module(caravan_flaps_tests).

-include_lib("eunit/include/eunit.hrl").

-define(A, <<"a@x">>).
-define(B, <<"b@x">>).
-define(C, <<"c@x">>).
-define(D, <<"d@x">>).

-define(RANDOM, 7).

up(Ups) ->
    lists:foldl(fun({Name, At}, State) -> caravan_flaps:up(Name, At, State) end, caravan_flaps:new(), Ups).

%% They are lost one millisecond after another.
down(Names, Now, State) ->
    {_, Lost} = lists:foldl(
        fun(Name, {At, Next}) ->
            {_, _, Down} = caravan_flaps:down(Name, connection_closed, 0, At, ?RANDOM, Next),
            {At + 1, Down}
        end,
        {Now, State},
        Names
    ),
    Lost.

%% The nodes that may be tried within two seconds.
soon(Now, State) ->
    [Name || Name <- [?A, ?B, ?C, ?D], caravan_flaps:until(Name, State) =< Now + 2010].

%% `a' and `b' have been connected for long, and `c' and `d' have just connected. `a' cannot reach `c', and `b' cannot reach
%% `d'. Each node loses all four, in any order.
where_two_that_had_lasted_are_lost_no_newcomer_is_innocent_test_() ->
    Up = up([{?A, 0}, {?B, 0}, {?C, 100000}, {?D, 100001}]),
    [
        {lists:flatten(io_lib:format("~p", [Order])), ?_assertEqual([?A, ?B], soon(142000, down(Order, 142000, Up)))}
     || Order <- permutations([?A, ?B, ?C, ?D])
    ].

permutations([]) -> [[]];
permutations(List) -> [[Head | Tail] || Head <- List, Tail <- permutations(List -- [Head])].

%% All four have just connected. It is unknown which of them cannot reach each other, and not all of them are tried at once.
of_newcomers_that_are_lost_in_a_moment_one_is_innocent_test_() ->
    Up = up([{?A, 0}, {?B, 1}, {?C, 2}, {?D, 3}]),
    [
        {lists:flatten(io_lib:format("~p", [Order])), ?_assertMatch([_], soon(42000, down(Order, 42000, Up)))}
     || Order <- permutations([?A, ?B, ?C, ?D])
    ].

%% A later loss has a cause of its own.
a_moment_ends_test() ->
    Up = up([{?A, 0}, {?B, 1}, {?C, 2}, {?D, 3}]),
    First = down([?B, ?A], 30000, Up),
    ?assertEqual([], soon(30000, First)),
    Second = down([?D, ?C], 32000, First),
    ?assertMatch([_], soon(32000, Second)).

%% The others have let this node go. It comes back by way of none of those that it has lost before.
who_was_let_go_waits_for_all_test() ->
    Once = down([?B], 1000, up([{?A, 0}, {?B, 0}])),
    Before = caravan_flaps:until(?B, Once),
    {{flap, {?A, 1, LeftAlone}}, [], LetGo} = caravan_flaps:down(?A, disconnect, 0, 20000, ?RANDOM, Once),
    ?assert(20000 + LeftAlone > Before),
    ?assertEqual(20000 + LeftAlone, caravan_flaps:until(?B, LetGo)),
    ?assertEqual(never_lost, caravan_flaps:until(?C, LetGo)),
    ?assertEqual(never_lost, caravan_flaps:until(?B, caravan_flaps:forget(LetGo))).
