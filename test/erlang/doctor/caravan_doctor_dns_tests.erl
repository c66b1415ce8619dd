%% What the doctor reports about nameservers and answers.
-module(caravan_doctor_dns_tests).

-include_lib("eunit/include/eunit.hrl").

-define(QUERY, <<"app.test">>).

nameservers_test_() ->
    caravan_dns_fixture:tests([fun each_code_has_its_name/1, fun a_nameserver_without_edns/1, fun a_reply_that_cannot_be_read/1]).

each_code_has_its_name(Server) ->
    [
        begin
            ok = caravan_dns_server:put(Server, "app.test", a, Reply),
            [{_, Seen} | _] = [{Subject, Seen} || #{subject := Subject, state := ok, seen := Seen} <- nameservers(Server)],
            ?assertMatch({Expected, {0, _}}, {Expected, binary:match(Seen, Expected)})
        end
     || {Expected, Reply} <- [
            {<<"NOERROR, 1 record, ">>, [{a, 1, {10, 0, 0, 1}}]}, {<<"FORMERR, ">>, formerr}, {<<"SERVFAIL, ">>, servfail}, {<<"NXDOMAIN, ">>, nxdomain},
            {<<"NOTIMP, ">>, notimp}, {<<"REFUSED, ">>, refused},
            {<<"RCODE 9, ">>, {raw, fun(<<Id:2/binary, _:2/binary, Rest/binary>>) -> <<Id/binary, 16#8189:16, Rest/binary>> end}}
        ]
    ].

a_nameserver_without_edns(_Server) ->
    {ok, Server} = caravan_dns_server:start_link(#{edns => false}),
    ok = caravan_dns_server:put(Server, "app.test", a, [{a, 1, {10, 0, 0, 1}}]),
    ?assert(lists:any(fun(#{seen := Seen}) -> binary:match(Seen, <<", no EDNS">>) =/= nomatch end, nameservers(Server))),
    ok = caravan_dns_server:stop(Server).

a_reply_that_cannot_be_read(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", a, {raw, fun(<<Id:2/binary, _/binary>>) -> Id end}),
    ?assertMatch([_, _ | _], [Seen || #{state := note, seen := <<"no answer: badresp">> = Seen} <- nameservers(Server)]).

nameservers(Server) ->
    nameservers_of(#{nameservers => [list_to_binary(caravan_dns_server:nameserver(Server))]}).

nameservers_of(Options) ->
    caravan_doctor_dns:nameservers(#{topologies => [{main, topology(Options)}]}).

topology(Options) ->
    maps:merge(#{queries => [{?QUERY, <<"app">>}], record => a, dns_client => default, resolver => default, nameservers => default}, Options).

those_of_the_system_are_not_asked_test_() ->
    [?_assertMatch([#{subject := <<"system">>, state := ok}], nameservers_of(#{nameservers => Given})) || Given <- [system, default]].

those_of_the_application_are_asked_test() ->
    Nobody = <<"127.0.0.1:1">>,
    caravan_test_config:with_environment([{nameservers, ["127.0.0.1:1"]}], fun() ->
        Checks = nameservers_of(#{}),
        ?assertMatch([_, _], [Seen || #{state := note, seen := <<"no answer: econnrefused">> = Seen} <- Checks]),
        ?assertMatch([#{name := dns_down}], [Cause || #{cause := Cause, subject := Subject} <- Checks, Subject =:= Nobody])
    end),
    caravan_test_config:with_environment([{nameservers, nonsense}], fun() -> ?assertEqual([], nameservers_of(#{})) end).

those_of_the_users_are_not_known_test_() ->
    [?_assertEqual([], nameservers_of(Options)) || Options <- [#{dns_client => a_module}, #{resolver => make_ref()}]].

forms_of_addresses_test_() ->
    [?_assertMatch([#{seen := <<"no answer: ", _/binary>>}, #{seen := <<"no answer: ", _/binary>>} | _], nameservers_of(#{nameservers => [Text]}))
     || Text <- [<<"127.0.0.99">>, <<"[::1]:1">>, <<"[::1]">>, <<"no address">>]].

answers_of_several_topologies_are_told_apart_test_() ->
    caravan_dns_fixture:tests([fun several_topologies/1]).

several_topologies(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", a, [{a, 1, {10, 0, 0, 1}}]),
    ok = caravan_dns_server:put(Server, "none.test", a, nxdomain),
    ok = caravan_dns_server:put(Server, "bad.test", a, servfail),
    Of = fun(Query) -> poll_options(Server, Query) end,
    {Checks, [_, _, _]} = caravan_doctor_dns:answers(#{topologies => [{one, Of(<<"app.test">>)}, {two, Of(<<"none.test">>)}, {three, Of(<<"bad.test">>)}]}),
    Asked = list_to_binary([", asked: ", caravan_dns_server:nameserver(Server)]),
    ?assertMatch([#{state := ok, subject := <<"app.test (topology one)">>, seen := <<"1 record, complete, TTL 1 s">>},
                  #{state := fault, cause := #{name := no_records}}, #{state := fault, cause := #{name := dns_error}}], Checks),
    ?assertEqual([<<"no A records (nxdomain)", Asked/binary>>, <<"its A records cannot be looked up: servfail", Asked/binary>>],
                 [Seen || #{state := fault, seen := Seen} <- Checks]).

a_query_without_records_is_no_fault_where_another_one_has_some_test_() ->
    caravan_dns_fixture:tests([fun one_query_of_two/1]).

one_query_of_two(Server) ->
    ok = caravan_dns_server:put(Server, "app.test", a, [{a, 1, {10, 0, 0, 1}}]),
    ok = caravan_dns_server:put(Server, "none.test", a, nxdomain),
    {ok, Options} = caravan_cluster:check_options(#{
        name => main, query => ["none.test", "app.test"], node_basename => "app", node_name => "{basename}@{ip}", record => a,
        nameservers => [caravan_dns_server:nameserver(Server)]
    }),
    {Checks, _} = caravan_doctor_dns:answers(#{topologies => [{main, Options}]}),
    ?assertEqual([ok, note], [State || #{state := State} <- Checks]).

who_was_asked_is_said_test_() ->
    {setup, fun caravan_nif:load/0, [
        {Expected, fun() ->
            {ok, Default} = caravan_cluster:check_options(#{name => main, query => "a.test", node_basename => "app"}),
            {ok, Closed} = caravan_dns:open(#{}),
            ok = caravan_dns:close(Closed),
            Options = case Changed of closed_resolver -> #{resolver => Closed, nameservers => default}; #{} -> Changed end,
            {[#{seen := Seen}], _} = caravan_doctor_dns:answers(#{topologies => [{main, maps:merge(Default, Options)}]}),
            ?assertMatch({match, _}, re:run(Seen, Expected))
         end}
     || {Expected, Changed} <- [
            {"cannot be looked up: .*, asked: no_such_client$", #{dns_client => no_such_client}},
            {"cannot be looked up: closed$", closed_resolver}
        ]
    ]}.

poll_options(Server, Query) ->
    {ok, Options} = caravan_cluster:check_options(#{
        name => main, query => Query, node_basename => "app", node_name => "{basename}@{ip}", record => a,
        nameservers => [caravan_dns_server:nameserver(Server)]
    }),
    Options.
