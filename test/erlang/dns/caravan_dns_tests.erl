-module(caravan_dns_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_dns_fixture, [await/1]).

-define(GUARD_MS, 50000).

dns_test_() ->
    caravan_dns_fixture:tests([
        fun srv_records_with_glue/1,
        fun addresses_of_targets_keep_the_order_of_the_reply_and_have_ttls/1,
        fun glue_of_any_number_of_targets/1,
        fun address_records/1,
        fun aliases_are_followed/1,
        fun least_ttl_counts/1,
        fun tcp_first_for_srv/1,
        fun udp_with_edns_for_addresses/1,
        fun truncated_answer_is_asked_again_over_tcp/1,
        fun errors_keep_their_meaning/1,
        fun silence_is_a_timeout/1,
        fun garbage_is_badresp/1,
        fun waiting_leaves_no_message/1,
        fun answer_comes_as_message/1,
        fun a_message_has_what_a_caller_that_waits_gets/1,
        fun cancelled_lookup_sends_nothing/1,
        fun answered_lookup_is_flushed_by_cancel/1,
        fun many_callers_at_once/1,
        fun configured_nameservers_are_the_default/1
    ]).

lookup(Server, Name, Type) ->
    lookup(Server, Name, Type, #{}).

lookup(Server, Name, Type, Options) ->
    caravan_dns:lookup(Name, Type, Options#{nameservers => [caravan_dns_server:nameserver(Server)]}).

put_service(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", srv, [
        {srv, 30, 1, 10, 4371, "n1.test"}, {srv, 30, 2, 20, 4372, "n2.test"}
    ]),
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 30, {127, 0, 0, 1}}, {a, 30, {127, 0, 0, 2}}]).

srv_records_with_glue(Server) ->
    put_service(Server),
    {ok, #{records := Records, addresses := Addresses, ttl := 30, complete := true}} =
        lookup(Server, "app.test", srv),
    ?assertEqual(
        [
            #{priority => 1, weight => 10, port => 4371, target => <<"n1.test">>, ttl => 30},
            #{priority => 2, weight => 20, port => 4372, target => <<"n2.test">>, ttl => 30}
        ],
        lists:sort(Records)
    ),
    ?assertEqual([<<"n1.test">>], maps:keys(Addresses)),
    ?assertEqual([{127, 0, 0, 1}, {127, 0, 0, 2}], lists:sort(maps:get(<<"n1.test">>, Addresses))).

addresses_of_targets_keep_the_order_of_the_reply_and_have_ttls(Server) ->
    put_service(Server),
    Ips = [{127, 0, 0, 9}, {127, 0, 0, 1}, {127, 0, 0, 5}],
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, Ttl, Ip} || {Ttl, Ip} <- lists:zip([9, 7, 8], Ips)]),
    ok = caravan_dns_server:put(Server, "n2.test", a, [{a, 0, {127, 0, 0, 2}}]),
    {ok, #{addresses := Addresses, address_ttls := Ttls, ttl := 30}} = lookup(Server, "app.test", srv),
    ?assertEqual(#{<<"n1.test">> => Ips, <<"n2.test">> => [{127, 0, 0, 2}]}, Addresses),
    ?assertEqual(#{<<"n1.test">> => 7, <<"n2.test">> => 0}, Ttls),
    {ok, Address} = lookup(Server, "n1.test", a),
    ?assertNot(is_map_key(address_ttls, Address)).

%% Around the size from which maps are hash maps, which the VM builds in another way.
glue_of_any_number_of_targets(Server) ->
    [
        begin
            Targets = ["t" ++ integer_to_list(N) ++ ".test" || N <- lists:seq(1, Count)],
            Records = [{srv, 30, 1, 1, 4371, Target} || Target <- Targets],
            ok = caravan_dns_server:put(Server, "glue.test", srv, Records),
            [ok = caravan_dns_server:put(Server, Target, a, [{a, 30, {10, 0, 0, 1}}]) || Target <- Targets],
            Ref = caravan_dns:lookup_async("glue.test", srv, #{nameservers => [caravan_dns_server:nameserver(Server)]}),
            {ok, #{addresses := Addresses}} = await(Ref),
            ?assertEqual(maps:from_list([{list_to_binary(Target), [{10, 0, 0, 1}]} || Target <- Targets]), Addresses)
        end
     || Count <- [1, 31, 32, 33, 34, 400]
    ].

address_records(Server) ->
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 7, {10, 0, 0, 1}}]),
    ok = caravan_dns_server:put(Server, "n1.test", aaaa, [{aaaa, 8, {16#fd00, 0, 0, 0, 0, 0, 0, 1}}]),
    ?assertMatch(
        {ok, #{records := [#{address := {10, 0, 0, 1}, ttl := 7}], addresses := #{}}}, lookup(Server, <<"n1.test">>, a)
    ),
    ?assertMatch(
        {ok, #{records := [#{address := {16#fd00, 0, 0, 0, 0, 0, 0, 1}, ttl := 8}]}}, lookup(Server, "n1.test", aaaa)
    ).

aliases_are_followed(Server) ->
    ok = caravan_dns_server:put(Server, "www.test", cname, [{cname, 60, "n1.test"}]),
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 90, {10, 0, 0, 1}}]),
    ?assertMatch({ok, #{records := [#{address := {10, 0, 0, 1}}], ttl := 60}}, lookup(Server, "www.test", a)).

least_ttl_counts(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", srv, [
        {srv, 30, 1, 1, 4371, "n1.test"}, {srv, 5, 1, 1, 4372, "n2.test"}
    ]),
    ?assertMatch({ok, #{ttl := 5}}, lookup(Server, "app.test", srv)).

tcp_first_for_srv(Server) ->
    put_service(Server),
    {ok, #{complete := true}} = lookup(Server, "app.test", srv),
    ?assertMatch([#{transport := tcp}], caravan_dns_server:queries(Server)),
    {ok, #{complete := false}} = lookup(Server, "app.test", srv, #{transport => udp}),
    ?assertMatch([_, #{transport := udp}], caravan_dns_server:queries(Server)).

udp_with_edns_for_addresses(Server) ->
    put_service(Server),
    {ok, _} = lookup(Server, "n1.test", a),
    ?assertMatch([#{transport := udp, edns_size := 4096}], caravan_dns_server:queries(Server)).

truncated_answer_is_asked_again_over_tcp(Server) ->
    Records = [{srv, 30, 1, 1, 1024 + N, "n" ++ integer_to_list(N) ++ ".test"} || N <- lists:seq(1, 300)],
    ok = caravan_dns_server:put(Server, "many.test", srv, Records),
    {ok, #{records := Found, complete := true}} = lookup(Server, "many.test", srv, #{transport => udp}),
    ?assertEqual(300, length(Found)),
    ?assertMatch([#{transport := udp}, #{transport := tcp}], caravan_dns_server:queries(Server)).

errors_keep_their_meaning(Server) ->
    ok = caravan_dns_server:put(Server, "empty.test", srv, []),
    ?assertEqual({error, nodata}, lookup(Server, "empty.test", srv)),
    ?assertEqual({error, nxdomain}, lookup(Server, "none.test", srv)),
    [
        begin
            ok = caravan_dns_server:put(Server, "bad.test", srv, Rcode),
            Result = lookup(Server, "bad.test", srv, #{transport => Transport}),
            ?assertEqual({Transport, {error, Rcode}}, {Transport, Result})
        end
     || Rcode <- [servfail, refused, notimp, formerr], Transport <- [udp, tcp, auto]
    ],
    ?assertEqual({error, badname}, lookup(Server, "no name.test", srv)),
    ?assertEqual({error, badname}, lookup(Server, lists:duplicate(300, $a), srv)),
    ok = caravan_dns_server:close_sockets(Server),
    ?assertEqual({error, connrefused}, lookup(Server, "empty.test", srv)),
    ?assertEqual({error, connrefused}, lookup(Server, "empty.test", a)).

silence_is_a_timeout(Server) ->
    ok = caravan_dns_server:put(Server, "silent.test", srv, drop),
    [
        ?assertEqual({error, timeout}, lookup(Server, "silent.test", srv, #{transport => Transport, timeout => 100}))
     || Transport <- [udp, tcp, auto]
    ].

garbage_is_badresp(Server) ->
    ok = caravan_dns_server:put(Server, "garbage.test", srv, {raw, fun caravan_dns_fixture:malformed/1}),
    ?assertEqual({error, badresp}, lookup(Server, "garbage.test", srv, #{transport => udp})).

waiting_leaves_no_message(Server) ->
    put_service(Server),
    {ok, _} = lookup(Server, "app.test", srv),
    {error, nxdomain} = lookup(Server, "none.test", srv),
    ?assertEqual({messages, []}, process_info(self(), messages)).

answer_comes_as_message(Server) ->
    put_service(Server),
    Ref = caravan_dns:lookup_async("app.test", srv, [{nameservers, [caravan_dns_server:nameserver(Server)]}]),
    ?assert(is_reference(Ref)),
    ?assertMatch({ok, #{complete := true}}, await(Ref)),
    Bad = caravan_dns:lookup_async("app.test", srv, [{timeout, 0}]),
    ?assertEqual({error, {bad_option, timeout, 0, "default, or an integer from 1 to 3600000"}}, await(Bad)).

%% One error comes from the library, the other one from the caller's process.
a_message_has_what_a_caller_that_waits_gets(Server) ->
    put_service(Server),
    ok = caravan_dns_server:put(Server, "n2.test", aaaa, [{aaaa, 7, {16#2001, 16#DB8, 0, 0, 0, 0, 0, 16#FFFF}}]),
    Many = ["n" ++ integer_to_list(N) ++ ".many.test" || N <- lists:seq(1, 40)],
    ok = caravan_dns_server:put(Server, "many.test", srv, [{srv, 30, 65535, 0, 4370, Name} || Name <- Many]),
    [ok = caravan_dns_server:put(Server, Name, a, [{a, 86400, {10, 0, 0, 255}}]) || Name <- Many],
    Options = #{nameservers => [caravan_dns_server:nameserver(Server)]},
    [
        ?assertEqual(
            sorted(await(caravan_dns:lookup_async(Name, Type, Options))), sorted(caravan_dns:lookup(Name, Type, Options))
        )
     || {Name, Type} <- [
            {"app.test", srv}, {"many.test", srv}, {"n1.test", a}, {"n2.test", aaaa}, {"n1.test", addresses}, {"none.test", a}
        ]
    ].

%% Records of equal priority come in random order.
sorted({ok, #{records := [#{target := _} | _] = Records} = Answer}) -> {ok, Answer#{records := lists:sort(Records)}};
sorted(Result) -> Result.

cancelled_lookup_sends_nothing(Server) ->
    Nameservers = [caravan_dns_server:nameserver(Server)],
    ok = caravan_dns_server:put(Server, "held.test", a, drop),
    Ref = caravan_dns:lookup_async("held.test", a, #{nameservers => Nameservers, timeout => 200}),
    ok = caravan_dns_server:await_queries(Server, 1, ?GUARD_MS),
    ok = caravan_dns:cancel(Ref),
    ok = caravan_dns:cancel(Ref),
    %% A later lookup with the same timeout: the questions of the first one have been sent by its end.
    {error, timeout} = lookup(Server, "held.test", a, #{timeout => 200}),
    ?assertEqual({messages, []}, process_info(self(), messages)).

answered_lookup_is_flushed_by_cancel(Server) ->
    put_service(Server),
    Refs = [
        caravan_dns:lookup_async("app.test", srv, #{nameservers => [caravan_dns_server:nameserver(Server)]})
     || _ <- lists:seq(1, 200)
    ],
    _ = await(lists:last(Refs)),
    lists:foreach(fun caravan_dns:cancel/1, Refs),
    {error, nxdomain} = lookup(Server, "none.test", srv),
    ?assertEqual({messages, []}, process_info(self(), messages)).

%% Each lookup has a name of its own, since equal questions share a query.
many_callers_at_once(Server) ->
    Numbers = lists:seq(1, 10000),
    [ok = caravan_dns_server:put(Server, own_name(N), a, [{a, 7, own_address(N)}]) || N <- Numbers],
    {ok, Resolver} = caravan_dns:open(#{nameservers => [caravan_dns_server:nameserver(Server)], timeout => ?GUARD_MS}),
    Ask = fun(N) -> spawn_monitor(fun() -> exit(caravan_dns:lookup(own_name(N), a, #{resolver => Resolver})) end) end,
    Callers = [{N, Ask(N)} || N <- Numbers],
    Results = [{N, await_exit(Monitor)} || {N, {_, Monitor}} <- Callers],
    ?assertEqual([], [{N, Result} || {N, Result} <- Results, not is_own_answer(N, Result)]).

own_name(N) -> "n" ++ integer_to_list(N) ++ ".test".

own_address(N) -> {10, 0, N div 256, N rem 256}.

is_own_answer(N, {ok, #{records := [#{address := Address}]}}) -> Address =:= own_address(N);
is_own_answer(_N, _Result) -> false.

await_exit(Monitor) ->
    receive
        {'DOWN', Monitor, process, _, Result} -> Result
    after ?GUARD_MS -> error(no_result)
    end.

configured_nameservers_are_the_default(Server) ->
    put_service(Server),
    ok = application:set_env(caravan, nameservers, [caravan_dns_server:nameserver(Server)]),
    try
        ?assertMatch({ok, #{records := [_, _]}}, caravan_dns:lookup("app.test", srv))
    after
        ok = application:unset_env(caravan, nameservers)
    end.

%% The error names the option, its value and what is allowed.
bad_options_test_() ->
    {setup, fun caravan_nif:load/0, [
        ?_assertMatch({error, {bad_option, Key, _, [_ | _]}}, caravan_dns:lookup("app.test", Type, Options))
     || {Key, Type, Options} <- [
            {type, mx, #{}},
            {timeout, a, #{timeout => 0}},
            {timeout, a, #{timeout => 3600001}},
            {timeout, a, #{timeout => infinity}},
            {transport, a, #{transport => sctp}},
            {nameservers, a, #{nameservers => []}},
            {nameservers, a, #{nameservers => ["127.0.0.1:0"]}},
            {nameservers, a, #{nameservers => ["ns.example"]}},
            {nameservers, a, #{nameservers => lists:duplicate(17, "127.0.0.1")}},
            {nameservers, a, #{nameservers => "127.0.0.1"}},
            {retries, a, #{retries => 3}},
            {options, a, [timeout]},
            {options, a, 5000}
        ]
    ]}.

name_that_is_none_test_() ->
    {setup, fun caravan_nif:load/0, [
        ?_assertMatch({error, {bad_option, name, _, _}}, caravan_dns:lookup(Name, a))
     || Name <- [undefined, "", <<>>, [$a | $b], ["a", 256], 5]
    ]}.
