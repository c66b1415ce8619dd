-module(caravan_kept_resolver_tests).

-include_lib("eunit/include/eunit.hrl").

-define(CALLERS, 1000).
-define(KEY, {?MODULE, key}).

it_is_opened_once_and_kept_test() ->
    with_opener(fun(Open, Opened) ->
        {ok, Resolver} = caravan_kept_resolver:get(?KEY, configuration, Open),
        ?assertEqual({ok, Resolver}, caravan_kept_resolver:get(?KEY, configuration, Open)),
        ?assertEqual({called, Resolver}, caravan_kept_resolver:with(?KEY, configuration, Open, fun(R) -> {called, R} end)),
        ?assertEqual(1, Opened())
    end).

another_configuration_has_another_one_test() ->
    with_opener(fun(Open, Opened) ->
        {ok, Resolver} = caravan_kept_resolver:get(?KEY, before, Open),
        {ok, Another} = caravan_kept_resolver:get(?KEY, since, Open),
        ?assertNotEqual(Resolver, Another),
        ?assertEqual(2, Opened())
    end).

%% The library returns these errors for a resolver of an instance that was replaced or unloaded.
one_that_is_gone_is_opened_again_test_() ->
    [
        fun() ->
            with_opener(fun(Open, Opened) ->
                {ok, Gone} = caravan_kept_resolver:get(?KEY, configuration, Open),
                {called, Resolver} = caravan_kept_resolver:with(?KEY, configuration, Open, call_unless(Gone, Error)),
                ?assertNotEqual(Gone, Resolver),
                ?assertEqual({ok, Resolver}, caravan_kept_resolver:get(?KEY, configuration, Open)),
                ?assertEqual(2, Opened())
            end)
        end
     || Error <- [fun(_) -> {error, closed} end, fun(Gone) -> {error, {bad_option, resolver, Gone, "text"}} end]
    ].

%% The error does not concern the kept resolver.
another_bad_option_is_given_back_test() ->
    with_opener(fun(Open, Opened) ->
        Error = {error, {bad_option, resolver, make_ref(), "text"}},
        ?assertEqual(Error, caravan_kept_resolver:with(?KEY, configuration, Open, fun(_) -> Error end)),
        ?assertEqual(1, Opened())
    end).

a_thousand_callers_open_one_test_() ->
    {timeout, 60, fun() ->
        with_opener(fun(Open, Opened) ->
            {ok, Gone} = caravan_kept_resolver:get(?KEY, configuration, Open),
            Call = call_unless(Gone, fun(_) -> {error, closed} end),
            Parent = self(),
            Callers = [
                spawn_link(fun() ->
                    receive go -> ok end,
                    Parent ! {self(), caravan_kept_resolver:with(?KEY, configuration, Open, Call)}
                end)
             || _ <- lists:seq(1, ?CALLERS)
            ],
            _ = [Caller ! go || Caller <- Callers],
            Results = lists:usort([receive {Caller, Result} -> Result end || Caller <- Callers]),
            ?assertMatch([{called, _}], Results),
            ?assertEqual(2, Opened())
        end)
    end}.

%% The registered name is free again.
what_fails_to_open_keeps_nobody_waiting_test() ->
    with_opener(fun(Open, _Opened) ->
        ?assertEqual({error, closed}, caravan_kept_resolver:get(?KEY, configuration, fun() -> {error, closed} end)),
        ?assertEqual({error, system}, caravan_kept_resolver:get(?KEY, configuration, fun() -> exit(killed) end)),
        ?assertMatch({ok, _}, caravan_kept_resolver:get(?KEY, configuration, Open))
    end).

call_unless(Gone, Error) ->
    fun(Resolver) when Resolver =:= Gone -> Error(Gone);
       (Resolver) -> {called, Resolver}
    end.

with_opener(Test) ->
    Count = counters:new(1, []),
    Open = fun() ->
        ok = counters:add(Count, 1, 1),
        {ok, make_ref()}
    end,
    try
        Test(Open, fun() -> counters:get(Count, 1) end)
    after
        ok = caravan_kept_resolver:drop(?KEY)
    end.
