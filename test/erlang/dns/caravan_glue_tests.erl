-module(caravan_glue_tests).

-include_lib("eunit/include/eunit.hrl").

%% The table belongs to the process that creates it, so each test is one function.
glue_test_() ->
    [
        {spawn, fun what_is_learnt_is_known/0},
        {spawn, fun a_later_answer_counts/0},
        {spawn, fun what_is_too_old_is_the_last_resort/0},
        {spawn, fun an_address_lives_as_long_as_its_own_ttl/0},
        {spawn, fun the_number_of_targets_is_limited/0},
        {spawn, fun without_the_table_nothing_is_known_and_nothing_fails/0}
    ].

answer(Addresses) ->
    answer(Addresses, 0).

%% The SRV records may have a longer TTL than any address.
answer(Addresses, AddressTtl) ->
    Ttls = maps:map(fun(_Target, _Ips) -> AddressTtl end, Addresses),
    #{records => [], addresses => Addresses, address_ttls => Ttls, ttl => 100000, complete => true}.

what_is_learnt_is_known() ->
    ok = caravan_glue:create(),
    ok = caravan_glue:learn(answer(#{
        <<"N1.test">> => [{16#fd00, 0, 0, 0, 0, 0, 0, 1}, {10, 0, 0, 2}, {10, 0, 0, 1}],
        <<"n2.test">> => [{10, 0, 0, 3}]
    })),
    ?assertEqual([{10, 0, 0, 2}, {10, 0, 0, 1}], caravan_glue:addresses("n1.TEST", inet)),
    ?assertEqual([{16#fd00, 0, 0, 0, 0, 0, 0, 1}], caravan_glue:addresses("n1.test", inet6)),
    ?assertEqual([{10, 0, 0, 3}], caravan_glue:addresses("n2.test", inet)),
    ?assertEqual([], caravan_glue:addresses("n2.test", inet6)),
    ?assertEqual([], caravan_glue:addresses("n3.test", inet)).

a_later_answer_counts() ->
    ok = caravan_glue:create(),
    ok = caravan_glue:learn(answer(#{<<"n1.test">> => [{10, 0, 0, 1}]})),
    ok = caravan_glue:learn(answer(#{<<"n1.test">> => [{10, 0, 0, 9}]})),
    ?assertEqual([{10, 0, 0, 9}], caravan_glue:addresses("n1.test", inet)).

what_is_too_old_is_the_last_resort() ->
    ok = caravan_glue:create(),
    ok = caravan_glue:learn(answer(#{<<"n1.test">> => [{10, 0, 0, 1}]})),
    true = ets:update_element(caravan_glue, <<"n1.test">>, {3, erlang:monotonic_time(millisecond)}),
    ?assertEqual([], caravan_glue:addresses("n1.test", inet)),
    ?assertEqual([{10, 0, 0, 1}], caravan_glue:last_addresses("n1.test", inet)),
    ?assertEqual([], caravan_glue:last_addresses("n1.test", inet6)).

an_address_lives_as_long_as_its_own_ttl() ->
    ok = caravan_glue:create(),
    [
        begin
            Before = erlang:monotonic_time(millisecond),
            ok = caravan_glue:learn(answer(#{<<"n1.test">> => [{10, 0, 0, 1}]}, Ttl)),
            After = erlang:monotonic_time(millisecond),
            [{_, _, Expires}] = ets:lookup(caravan_glue, <<"n1.test">>),
            ?assert(Expires >= Before + Lives andalso Expires =< After + Lives)
        end
     || {Ttl, Lives} <- [{0, 10000}, {1, 10000}, {60, 60000}, {86400, 300000}]
    ].

the_number_of_targets_is_limited() ->
    ok = caravan_glue:create(),
    Addresses = fun(Answer) -> [{target(Answer, N), [{10, 0, 0, 1}]} || N <- lists:seq(1, 4000)] end,
    [ok = caravan_glue:learn(answer(maps:from_list(Addresses(Answer)))) || Answer <- lists:seq(1, 5)],
    ?assert(ets:info(caravan_glue, size) =< 10000),
    ?assertEqual([{10, 0, 0, 1}], caravan_glue:addresses(binary_to_list(target(5, 4000)), inet)).

target(Answer, N) ->
    iolist_to_binary(io_lib:format("n~b.a~b.test", [N, Answer])).

without_the_table_nothing_is_known_and_nothing_fails() ->
    ?assertEqual(undefined, ets:whereis(caravan_glue)),
    ok = caravan_glue:learn(answer(#{<<"n1.test">> => [{10, 0, 0, 1}]})),
    ?assertEqual([], caravan_glue:addresses("n1.test", inet)),
    ?assertNot(caravan_glue:lacks("n1.test", inet)).
