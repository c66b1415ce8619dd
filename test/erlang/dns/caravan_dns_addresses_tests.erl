%% Lookups of type `addresses': both families, and names that need no nameserver.
-module(caravan_dns_addresses_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_dns_fixture, [await/1, open/2]).

-define(IPV4, {10, 0, 0, 1}).
-define(IPV6, {16#fd00, 0, 0, 0, 0, 0, 0, 1}).

addresses_test_() ->
    caravan_dns_fixture:tests([
        fun both_families_in_one_answer/1,
        fun one_family_is_enough/1,
        fun name_without_addresses_is_nodata/1,
        fun name_of_neither_family_is_nxdomain/1,
        fun family_that_failed_makes_the_answer_incomplete/1,
        fun failure_of_both_is_a_failure/1,
        fun failure_of_one_leaves_no_certainty/1,
        fun complete_over_tcp/1,
        fun both_families_count_as_one_lookup/1,
        fun cancelled_as_one/1,
        fun addresses_need_no_nameserver/1,
        fun what_looks_like_an_address_is_asked_for/1,
        fun names_in_the_hosts_file_need_no_nameserver/1,
        fun other_types_pass_the_hosts_file_by/1,
        fun names_that_are_not_in_the_hosts_file_are_asked_for/1,
        fun without_a_hosts_file_all_are_asked_for/1,
        fun hosts_file_of_any_name/1
    ]).

both_families_in_one_answer(Server) ->
    put_both(Server, [{a, 30, ?IPV4}], [{aaaa, 20, ?IPV6}]),
    {ok, #{records := Records, addresses := #{}, ttl := 20}} = lookup(Server, "n1.test"),
    ?assertEqual([#{address => ?IPV4, ttl => 30}, #{address => ?IPV6, ttl => 20}], lists:sort(Records)),
    ?assertEqual([a, aaaa], lists:sort([Type || #{type := Type} <- caravan_dns_server:queries(Server)])).

one_family_is_enough(Server) ->
    put_both(Server, [{a, 30, ?IPV4}], []),
    ?assertMatch({ok, #{records := [#{address := ?IPV4, ttl := 30}], ttl := 30}}, lookup(Server, "n1.test")),
    put_both(Server, [], [{aaaa, 20, ?IPV6}]),
    ?assertMatch({ok, #{records := [#{address := ?IPV6, ttl := 20}], ttl := 20}}, lookup(Server, "n1.test")).

name_without_addresses_is_nodata(Server) ->
    put_both(Server, [], []),
    ?assertEqual({error, nodata}, lookup(Server, "n1.test")).

name_of_neither_family_is_nxdomain(Server) ->
    ?assertEqual({error, nxdomain}, lookup(Server, "none.test")).

family_that_failed_makes_the_answer_incomplete(Server) ->
    [
        begin
            put_both(Server, Ipv4, Ipv6),
            {ok, #{records := [#{address := Found}], complete := Complete}} = lookup(Server, "n1.test", tcp()),
            ?assertEqual({Ipv4, Ipv6, Address, Whole}, {Ipv4, Ipv6, Found, Complete})
        end
     || {Ipv4, Ipv6, Address, Whole} <- [
            {[{a, 30, ?IPV4}], servfail, ?IPV4, false},
            {refused, [{aaaa, 30, ?IPV6}], ?IPV6, false},
            {[{a, 30, ?IPV4}], [], ?IPV4, true},
            {nxdomain, [{aaaa, 30, ?IPV6}], ?IPV6, true}
        ]
    ].

failure_of_both_is_a_failure(Server) ->
    put_both(Server, servfail, servfail),
    ?assertEqual({error, servfail}, lookup(Server, "n1.test")).

%% Only both answers together say that there are no addresses.
failure_of_one_leaves_no_certainty(Server) ->
    [
        begin
            put_both(Server, Ipv4, Ipv6),
            ?assertEqual({Ipv4, Ipv6, {error, refused}}, {Ipv4, Ipv6, lookup(Server, "n1.test")})
        end
     || {Ipv4, Ipv6} <- [{refused, nxdomain}, {nxdomain, refused}, {refused, []}, {[], refused}]
    ].

complete_over_tcp(Server) ->
    put_both(Server, [{a, 30, ?IPV4}], [{aaaa, 20, ?IPV6}]),
    ?assertMatch({ok, #{complete := false}}, lookup(Server, "n1.test")),
    ?assertMatch({ok, #{complete := true, records := [_, _]}}, lookup(Server, "n1.test", tcp())).

both_families_count_as_one_lookup(Server) ->
    put_both(Server, [{a, 30, ?IPV4}], [{aaaa, 20, ?IPV6}]),
    Resolver = open(Server, #{hosts_file => none}),
    {ok, _} = caravan_dns:lookup("n1.test", addresses, #{resolver => Resolver}),
    caravan_dns_fixture:await_value({1, 2}, fun() ->
        {ok, #{outcomes := #{ok := Ok}, queries := Queries}} = caravan_dns:stats(Resolver),
        {Ok, Queries}
    end).

cancelled_as_one(Server) ->
    Gate = caravan_dns_gate:new(),
    Held = caravan_dns_gate:hold(Gate, []),
    put_both(Server, Held, Held),
    Resolver = open(Server, #{hosts_file => none}),
    Ref = caravan_dns:lookup_async("n1.test", addresses, #{resolver => Resolver}),
    ok = caravan_dns_server:await_queries(Server, 1, 10000),
    ok = caravan_dns:cancel(Ref),
    ok = caravan_dns_gate:open(Gate),
    %% The message of the first lookup would have arrived before the answer of the second.
    {error, nodata} = await(caravan_dns:lookup_async("n1.test", addresses, #{resolver => Resolver})),
    ?assertEqual({messages, []}, process_info(self(), messages)).

addresses_need_no_nameserver(Server) ->
    [
        ?assertEqual(
            {Text, {ok, #{records => [#{address => Address, ttl => 0}], addresses => #{}, ttl => 0, complete => true}}},
            {Text, lookup(Server, Text)}
        )
     || {Text, Address} <- [
            {"10.0.0.1", ?IPV4},
            {<<"fd00::1">>, ?IPV6},
            {"FD00:0:0:0:0:0:0:1", ?IPV6},
            {"::", {0, 0, 0, 0, 0, 0, 0, 0}}
        ]
    ],
    ?assertEqual(0, caravan_dns_server:count(Server)).

what_looks_like_an_address_is_asked_for(Server) ->
    ?assertEqual({error, nxdomain}, lookup(Server, "10.0.0.256")),
    ?assertEqual({error, badname}, lookup(Server, "fd00::g")),
    ?assertEqual({error, nxdomain}, caravan_dns:lookup("10.0.0.1", a, #{resolver => open(Server, #{})})),
    ?assertMatch([_, _, _], caravan_dns_server:queries(Server)).

names_in_the_hosts_file_need_no_nameserver(Server) ->
    with_hosts("10.0.0.1 n1.test alias # n3.test\nfd00::1\tN1.Test\nnonsense n4.test\n", fun(File) ->
        Resolver = open(Server, #{hosts_file => File}),
        [
            begin
                {ok, #{records := Records, ttl := 0, complete := true}} =
                    caravan_dns:lookup(Name, addresses, #{resolver => Resolver}),
                Found = [Address || #{address := Address, ttl := 0} <- Records],
                ?assertEqual({Name, Addresses}, {Name, lists:sort(Found)})
            end
         || {Name, Addresses} <- [
                {"n1.test", [?IPV4, ?IPV6]},
                {"N1.TEST", [?IPV4, ?IPV6]},
                {<<"n1.test.">>, [?IPV4, ?IPV6]},
                {"Alias", [?IPV4]}
            ]
        ],
        ?assertEqual(0, caravan_dns_server:count(Server))
    end).

other_types_pass_the_hosts_file_by(Server) ->
    with_hosts("10.0.0.1 n1.test\n", fun(File) ->
        Options = #{resolver => open(Server, #{hosts_file => File})},
        ?assertEqual({error, nxdomain}, caravan_dns:lookup("n1.test", a, Options)),
        ?assertMatch({ok, _}, caravan_dns:lookup("n1.test", addresses, Options))
    end).

names_that_are_not_in_the_hosts_file_are_asked_for(Server) ->
    with_hosts("10.0.0.1 n1.test.example # n1.test\n# 10.0.0.1 n1.test\n10.0.0.x n1.test\n", fun(File) ->
        Options = #{resolver => open(Server, #{hosts_file => File})},
        ?assertEqual({error, nxdomain}, caravan_dns:lookup("n1.test", addresses, Options))
    end).

without_a_hosts_file_all_are_asked_for(Server) ->
    caravan_test_directory:with(fun(Directory) ->
        [
            ?assertEqual(
                {HostsFile, {error, nxdomain}}, {HostsFile, lookup(Server, "localhost", #{hosts_file => HostsFile})}
            )
         || HostsFile <- [none, filename:join(Directory, "missing"), Directory]
        ]
    end).

hosts_file_of_any_name(Server) ->
    caravan_test_directory:with(fun(Directory) ->
        [
            begin
                File = caravan_test_directory:write(filename:join(Directory, Name), "10.0.0.1 n1.test\n"),
                ?assertMatch({ok, _}, lookup(Server, "n1.test", #{hosts_file => File}))
            end
         || Name <- ["h\366sts", "a b", <<"binary">>]
        ]
    end).

tcp() -> #{transport => tcp}.

put_both(Server, Ipv4, Ipv6) ->
    ok = caravan_dns_server:put(Server, "n1.test", a, Ipv4),
    ok = caravan_dns_server:put(Server, "n1.test", aaaa, Ipv6).

lookup(Server, Name) ->
    lookup(Server, Name, #{}).

%% Without the hosts file of the machine that runs the test.
lookup(Server, Name, Options) ->
    Resolver = open(Server, maps:merge(#{hosts_file => none}, Options)),
    caravan_dns:lookup(Name, addresses, #{resolver => Resolver}).

with_hosts(Text, Test) ->
    caravan_test_directory:with(fun(Directory) ->
        Test(caravan_test_directory:write(filename:join(Directory, "hosts"), Text))
    end).
