-module(caravan_reason_kind_tests).

-include_lib("eunit/include/eunit.hrl").

%% Two reasons with the same cause; pids and the like differ each time.
reason() ->
    Reference = make_ref(),
    {raised, {error, {gone, [self(), Reference | spawn(fun() -> ok end)], #{Reference => {port(), fun() -> Reference end}}}}}.

port() -> hd(erlang:ports()).

what_differs_each_time_is_left_out_test() ->
    ?assertNotEqual(reason(), reason()),
    ?assertEqual(caravan_reason_kind:of_reason(reason()), caravan_reason_kind:of_reason(reason())).

what_a_reason_says_is_kept_test() ->
    Reasons = [
        timeout, {unreachable, econnrefused}, {unreachable, etimedout}, {result, no}, {result, other}, {result, [1, 2]},
        {result, #{on => 1}}, {result, #{on => 2}}, {result, "text"}, {result, <<"text">>}, {result, 1.5}
    ],
    Kinds = lists:map(fun caravan_reason_kind:of_reason/1, Reasons),
    ?assertEqual(length(Reasons), length(lists:usort(Kinds))),
    ?assertEqual({unreachable, econnrefused}, caravan_reason_kind:of_reason({unreachable, econnrefused})).

what_is_of_another_type_is_of_another_kind_test() ->
    Kinds = [caravan_reason_kind:of_reason(Term) || Term <- [self(), make_ref(), port(), fun() -> ok end]],
    ?assertEqual(4, length(lists:usort(Kinds))).

a_list_may_be_improper_test() ->
    ?assertEqual([pid | reference], caravan_reason_kind:of_reason([self() | make_ref()])).

a_host_with_several_addresses_fails_in_one_way_test() ->
    [Kind] = lists:usort([
        caravan_reason_kind:of_reason({unreachable, econnrefused, {Ip, 4370}}) || Ip <- [{10, 0, 0, 1}, {10, 0, 0, 2}]
    ]),
    ?assertNotEqual(Kind, caravan_reason_kind:of_reason({unreachable, etimedout, {{10, 0, 0, 1}, 4370}})),
    ?assertEqual(
        caravan_reason_kind:of_reason({no_node, {{10, 0, 0, 1}, 4370}}), caravan_reason_kind:of_reason({no_node, {{10, 0, 0, 2}, 4370}})
    ).
