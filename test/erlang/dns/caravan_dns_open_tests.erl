%% Which options caravan_dns:open/1 accepts and refuses.
-module(caravan_dns_open_tests).

-include_lib("eunit/include/eunit.hrl").

-define(NAMESERVERS(Count), lists:duplicate(Count, "127.0.0.1")).
-define(MAX_SECONDS, 16#7FFFFFFF).

bad_option_is_named_test_() ->
    {setup, fun caravan_nif:load/0, [
        {title(Key, Bad), ?_assertMatch({error, {bad_option, Key, Bad, [_ | _]}}, caravan_dns:open(#{Key => Bad}))}
     || {Key, Values} <- bad(), Bad <- Values
    ]}.

bad() ->
    [
        {nameservers, [[], none, "127.0.0.1", ["ns.test"], ["127.0.0.1:0"], ["127.0.0.1:65536"], ["[::1]:x"], [ipv4],
            ?NAMESERVERS(17), ["127.0.0.1" | none]]},
        {timeout, [0, -1, 3600001, 1.0, infinity, default]},
        {tries, [0, 11, many, default]},
        {rotate, [0, default, undefined]},
        {transport, [sctp, default, "udp"]},
        {edns_size, [-1, 1, 511, 4097, 512.0, none]},
        {mixed_case, [1, yes]},
        {search, [none, ["a.test"], 1]},
        {hosts_file, ["", <<>>, default, {file, "hosts"}, [-1], ["hosts" | none], [16#D800]]},
        {max_inflight, [0, 4097, infinity]},
        {max_queue, [-1, 1000001, infinity]},
        {srv_order, [default, 1]},
        {cache, [default, 1000, [max_ttl], #{entries => 1}, #{max_entries => 0}, #{max_entries => 1000001},
            #{max_ttl => -1}, #{max_ttl => ?MAX_SECONDS + 1}, #{max_negative_ttl => -1},
            #{max_negative_ttl => ?MAX_SECONDS + 1}]},
        {retries, [3]},
        {resolver, [default]}
    ].

extreme_is_accepted_test_() ->
    {setup, fun caravan_nif:load/0, [
        {title(Key, Value), ?_assertMatch({ok, _}, caravan_dns:open([{Key, Value}]))}
     || {Key, Values} <- good(), Value <- Values
    ]}.

good() ->
    [
        {nameservers, [default, system, ["127.0.0.1:1"], [<<"[::1]:65535">>], ["::1"], ?NAMESERVERS(16)]},
        {timeout, [1, 3600000]},
        {tries, [1, 10]},
        {rotate, [true, false]},
        {transport, [auto, udp, tcp]},
        {edns_size, [0, 512, 4096]},
        {mixed_case, [true, false]},
        {search, [default, true, false]},
        {hosts_file, [none, "h", <<"h">>, [246], ["a", $b, <<"c">>], "/there/is/no/such/file"]},
        {max_inflight, [1, 4096]},
        {max_queue, [0, 1000000]},
        {srv_order, [true, false]},
        {cache, [true, false, #{}, [], [{max_ttl, 1}],
            #{max_entries => 1, max_ttl => 0, max_negative_ttl => 0},
            #{max_entries => 1000000, max_ttl => ?MAX_SECONDS, max_negative_ttl => ?MAX_SECONDS}]}
    ].

%% The library copies them in the call, which occupies the scheduler.
texts_have_an_end_test_() ->
    {setup, fun caravan_nif:load/0, [
        ?_assertMatch({ok, _}, caravan_dns:open(#{hosts_file => text(4096)})),
        [?_assertMatch({error, {bad_option, hosts_file, _, _}}, caravan_dns:open(#{hosts_file => Text})) || Text <- too_long()],
        [?_assertMatch({error, {bad_option, nameservers, _, _}}, caravan_dns:open(#{nameservers => [Text]})) || Text <- too_long()],
        ?_assertEqual({error, badname}, caravan_dns:lookup(text(4096), a)),
        [?_assertMatch({error, {bad_option, name, _, "a non-empty string or binary of up to 4096 octets"}}, caravan_dns:lookup(Text, a))
         || Text <- too_long()],
        fun the_library_refuses_a_long_path/0
    ]}.

too_long() -> [text(4097), binary_to_list(text(4097)), text(1 bsl 20)].

text(Size) -> binary:copy(<<"a">>, Size).

the_library_refuses_a_long_path() ->
    Open = fun(Path) ->
        caravan_nif:open(#{
            nameservers => system, transport => auto, timeout => 1, tries => 1, rotate => true, edns_size => 0, mixed_case => false,
            search => default, hosts_file => Path, max_inflight => 1, max_queue => 0, srv_order => true, cache => false
        })
    end,
    ?assert(is_reference(Open(text(4096)))),
    ?assertError(badarg, Open(text(4097))).

title(Key, Value) ->
    lists:flatten(io_lib:format("~p ~0p", [Key, Value])).

what_is_no_collection_of_options_is_said_test_() ->
    {setup, fun caravan_nif:load/0, [
        ?_assertEqual(
            {error, {bad_option, options, Options, "a map or a list of {Key, Value}"}}, caravan_dns:open(Options)
        )
     || Options <- [none, 5, [timeout], [{timeout, 1, 2}], "options", <<"options">>]
    ]}.

known_keys_are_said_test() ->
    _ = caravan_nif:load(),
    {error, {bad_option, nameserver, "127.0.0.1", Said}} = caravan_dns:open(#{nameserver => "127.0.0.1"}),
    Known = [
        "nameservers", "timeout", "tries", "rotate", "transport", "edns_size", "mixed_case", "search", "hosts_file",
        "max_inflight",        "max_queue", "srv_order", "cache"
    ],
    ?assertEqual([], Known -- string:lexemes(Said, ", ")).

every_error_has_a_text_of_one_line_test_() ->
    [
        ?_assertMatch(
            {match, _},
            re:run(caravan_dns:format_error(Reason), ["\\Acaravan: [^\n]*\\b", atom_to_list(Reason), "\\b[^\n]*\\z"])
        )
     || Reason <- [nxdomain, nodata, servfail, refused, formerr, notimp, timeout, connrefused, badresp, badname, closed,
                   overload, system]
    ].

value_of_many_lines_is_said_in_one_test() ->
    Long = [{Key, lists:duplicate(100, Key)} || Key <- lists:seq(1, 20)],
    {error, Error} = caravan_dns:open(#{timeout => Long}),
    ?assertEqual(nomatch, string:find(caravan_dns:format_error(Error), "\n")).
