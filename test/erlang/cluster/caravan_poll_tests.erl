%% The outcomes of single polls.
-module(caravan_poll_tests).

-include_lib("eunit/include/eunit.hrl").

-define(HANG_GUARD, 30000).
-define(FD00_1, {16#fd00, 0, 0, 0, 0, 0, 0, 1}).

poll_test_() ->
    caravan_dns_fixture:tests([
        fun a_target_that_is_an_address_is_taken_as_that_address/1,
        fun targets_without_an_address_are_counted/1,
        fun where_names_need_no_address_no_target_is_unresolved/1,
        fun the_shortest_ttl_of_what_names_are_made_of_counts/1,
        fun the_ttl_of_an_address_that_is_looked_up_counts/1
    ]).

%% In a pod of Kubernetes nearly all names are looked up below the search domains of the cluster first.
a_target_is_an_absolute_name_test_() ->
    {atom_to_list(?FUNCTION_NAME), {timeout, 60, fun() ->
        ok = caravan_nif:load(),
        {ok, Server} = caravan_dns_server:start_link(#{glue => false}),
        {ok, Node} = caravan_test_node:start_link(#{
            env => [{"LOCALDOMAIN", "cluster.test"}, {"RES_OPTIONS", "ndots:5"}],
            flags => ["-caravan", "resolver", "#{search=>true}"],
            code_path => lists:usort([filename:dirname(code:which(Module)) || Module <- [caravan_poll, ?MODULE]])
        }),
        ok = caravan_test_node:await_boot(Node),
        ok = put_srv(Server, [{4371, "n1.test"}]),
        ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 30, {10, 0, 0, 1}}]),
        ok = caravan_dns_server:put(Server, "n1.test.cluster.test", a, [{a, 30, {10, 0, 0, 9}}]),
        Nameserver = caravan_dns_server:nameserver(Server),
        Finding = caravan_test_node:run(Node, fun() ->
            {ok, _} = application:ensure_all_started(caravan),
            poll_at(Nameserver, #{timeout => 5000})
        end),
        ?assertMatch(#{endpoints := [#{ip := {10, 0, 0, 1}}], complete := true}, Finding),
        %% The query of the options is found there.
        ?assert(lists:member("app.test.cluster.test", [Name || #{name := Name} <- caravan_dns_server:queries(Server)])),
        ok = caravan_test_node:kill(Node),
        ok = caravan_dns_server:stop(Server)
    end}}.

poll(Server, Options) ->
    poll_at(caravan_dns_server:nameserver(Server), Options).

poll_at(Nameserver, Options) ->
    {ok, Template} = caravan_template:parse(
        maps:get(node_name, Options, <<"app-{port}@{ip}">>), [basename, port, target, ip]
    ),
    Defaults = #{
        dns_client => default, query => "app.test", record => srv, transport => default, family => inet,
        nameservers => [Nameserver], timeout => 300, max_nodes => 10
    },
    await(caravan_poll:start(maps:merge(Defaults, Options#{node_name => Template}))).

await(Poll) ->
    receive
        {caravan_dns, _, _} = Message -> outcome(caravan_poll:handle_info(Message, Poll))
    after ?HANG_GUARD -> error(no_answer)
    end.

outcome({done, {ok, #{endpoints := Endpoints} = Finding}}) -> Finding#{endpoints := lists:sort(Endpoints)};
outcome({done, Error}) -> Error;
outcome({more, Poll}) -> await(Poll).

put_srv(Server, Targets) ->
    put_srv(Server, 30, Targets).

put_srv(Server, Ttl, Targets) ->
    caravan_dns_server:put(Server, "app.test", srv, [{srv, Ttl, 1, 1, Port, Target} || {Port, Target} <- Targets]).

a_target_that_is_an_address_is_taken_as_that_address(Server) ->
    %% A nameserver may answer anything for such a name.
    ok = caravan_dns_server:put(Server, "127.0.0.5", a, servfail),
    ok = put_srv(Server, [{4371, "127.0.0.5"}]),
    ?assertMatch(
        #{endpoints := [#{ip := {127, 0, 0, 5}, port := 4371}], unresolved := 0, complete := true}, poll(Server, #{})
    ),
    ?assertEqual([srv], lists:usort([Type || #{type := Type} <- caravan_dns_server:queries(Server)])),
    ?assertMatch(#{endpoints := [], unresolved := 1, complete := false}, poll(Server, #{family => inet6})),
    ok = put_srv(Server, [{4371, "fd00::1"}]),
    ?assertMatch(#{endpoints := [#{ip := ?FD00_1}], complete := true}, poll(Server, #{family => inet6})).

targets_without_an_address_are_counted(Server) ->
    ok = put_srv(Server, [{4371, "n1.test"}, {4372, "n2.test"}, {4373, "n3.test"}, {4374, "n4.test"}]),
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 30, {10, 0, 0, 1}}]),
    %% It has an address, but of the other family.
    ok = caravan_dns_server:put(Server, "n2.test", aaaa, [{aaaa, 30, ?FD00_1}]),
    ok = caravan_dns_server:put(Server, "n3.test", a, servfail),
    ?assertMatch(
        #{endpoints := [#{ip := {10, 0, 0, 1}}], unresolved := 3, complete := false},
        poll(Server, #{timeout => 2000})
    ).

where_names_need_no_address_no_target_is_unresolved(Server) ->
    ok = put_srv(Server, [{4371, "n1.test"}]),
    ?assertMatch(
        #{endpoints := [#{target := <<"n1.test">>}], unresolved := 0, complete := true},
        poll(Server, #{node_name => <<"app-{port}@{target}">>})
    ).

the_shortest_ttl_of_what_names_are_made_of_counts(Server) ->
    ok = put_srv(Server, 600, [{4371, "n1.test"}, {4372, "n2.test"}]),
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 7, {10, 0, 0, 1}}, {a, 5, {10, 0, 0, 2}}]),
    ok = caravan_dns_server:put(Server, "n2.test", a, [{a, 60, {10, 0, 0, 3}}]),
    ?assertMatch(#{ttl := 5, complete := true}, poll(Server, #{})),
    ?assertMatch(#{ttl := 600}, poll(Server, #{node_name => <<"app-{port}@{target}">>})),
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 6000, {10, 0, 0, 1}}]),
    ok = caravan_dns_server:put(Server, "n2.test", a, [{a, 6000, {10, 0, 0, 3}}]),
    ?assertMatch(#{ttl := 600, complete := true}, poll(Server, #{})).

the_ttl_of_an_address_that_is_looked_up_counts(_Server) ->
    {ok, Server} = caravan_dns_server:start_link(#{glue => false}),
    ok = put_srv(Server, 600, [{4371, "n1.test"}, {4372, "n2.test"}]),
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 3, {10, 0, 0, 1}}]),
    ok = caravan_dns_server:put(Server, "n2.test", a, [{a, 60, {10, 0, 0, 3}}]),
    ?assertMatch(#{endpoints := [_, _], ttl := 3, complete := true}, poll(Server, #{})),
    ok = caravan_dns_server:stop(Server).

what_the_default_resolver_is_asked_over_test_() ->
    [{lists:flatten(io_lib:format("~0p", [Value])), fun() ->
        caravan_test_config:with_environment([{resolver, Value}], fun() ->
            ?assertEqual(Expected, caravan_poll:transports(#{transport => default, record => srv, resolver => default}))
        end)
     end}
     || {Expected, Value} <- [{[tcp], #{transport => tcp}}, {[udp], [{transport, udp}]}, {[tcp, udp], #{}}, {unknown, nonsense}]].

a_value_that_is_not_allowed_says_no_nameserver_test() ->
    caravan_test_config:with_environment([{nameservers, nonsense}], fun() ->
        ?assertMatch({none, _}, caravan_poll:nameservers(#{queries => [<<"a.test">>], dns_client => default, nameservers => default, resolver => default}))
    end).

%% A user's client that is terminated causes no message, and the poll ignores other messages.
a_client_that_is_not_waited_for_any_more_test() ->
    Test = self(),
    {module, poll_client} = code:load_binary(poll_client, "", client()),
    Poll = caravan_poll:start(#{dns_client => poll_client, query => Test, timeout => default}),
    Client = receive {asked, Pid} -> Pid after ?HANG_GUARD -> error(not_asked) end,
    Monitor = monitor(process, Client),
    ?assertEqual(ignore, caravan_poll:handle_info({make_ref(), another}, Poll)),
    ok = caravan_poll:cancel(Poll),
    receive {'DOWN', Monitor, process, Client, _} -> ok after ?HANG_GUARD -> error(still_there) end,
    true = code:delete(poll_client).

client() ->
    Lines = ["-module(poll_client).", "-export([get_nodes/1]).", "get_nodes(Test) -> Test ! {asked, self()}, receive after infinity -> ok end."],
    Forms = [begin {ok, Tokens, _} = erl_scan:string(Line), {ok, Form} = erl_parse:parse_form(Tokens), Form end || Line <- Lines],
    {ok, poll_client, Binary} = compile:forms(Forms),
    Binary.
