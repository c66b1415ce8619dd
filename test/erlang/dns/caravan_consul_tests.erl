-module(caravan_consul_tests).

-include_lib("eunit/include/eunit.hrl").

-define(INSTANCES, 200).
-define(START_TIMEOUT_MS, 30000).

consul_test_() ->
    caravan_test_consul:tests(fun(Consul) ->
        {setup, fun() -> start(Consul) end, fun stop/1, fun(Agent) ->
            [
                {"discovery gets all instances", {timeout, 120, fun() -> discovery_gets_all_instances(Agent) end}},
                {"no instance is an authoritative none", {timeout, 60, fun() -> no_instance_is_an_authoritative_none(Agent) end}},
                {"an answer that Consul cuts is not complete", {timeout, 120, fun() -> a_cut_answer_is_not_complete(Agent) end}}
            ]
        end}
    end).

start(Consul) ->
    Directory = filename:join("/tmp", "caravan_consul_tests." ++ os:getpid()),
    ok = filelib:ensure_path(Directory),
    {ok, _} = application:ensure_all_started(caravan),
    {ok, Agent} = caravan_demo_consul:start(#{
        directory => Directory, consul => Consul, timeout => ?START_TIMEOUT_MS
    }),
    {Directory, Agent}.

stop({Directory, Agent}) ->
    {ok, _} = caravan_demo_consul:stop(Agent),
    ok = application:stop(caravan),
    ok = file:del_dir_r(Directory).

register_instances(Agent) ->
    [
        caravan_demo_consul:add(#{number => N, id => "app-" ++ integer_to_list(N), host => "", port => 4000 + N}, Agent)
     || N <- lists:seq(1, ?INSTANCES)
    ].

discovery_gets_all_instances({_, Agent}) ->
    _ = register_instances(Agent),
    Options = #{nameservers => [caravan_demo_consul:nameserver(Agent)]},
    {ok, #{records := Records, addresses := Addresses, complete := true}} =
        caravan_dns:lookup(caravan_demo_consul:query(), srv, Options),
    Ports = lists:usort([Port || #{port := Port} <- Records]),
    ?assertEqual(lists:seq(4001, 4000 + ?INSTANCES), Ports),
    ?assertEqual(#{<<"7f000001.addr.dc1.consul">> => [{127, 0, 0, 1}]}, Addresses),
    %% Clients that ask over UDP get this, which is why TCP is asked first: Consul cuts the answer without the TC bit.
    {ok, #{records := Some, complete := false}} =
        caravan_dns:lookup(caravan_demo_consul:query(), srv, Options#{transport => udp}),
    ?assert(length(Some) < ?INSTANCES),
    {ok, Naive} = inet_res:resolve(
        caravan_demo_consul:query(), in, srv, [{nameservers, [nameserver(Agent)]}, {alt_nameservers, []}]
    ),
    ?assertEqual(3, length(inet_dns:msg(Naive, anlist))).

%% Over TCP, without the TC bit: at 1,024 records and near 64 KiB.
a_cut_answer_is_not_complete({_, Agent}) ->
    ok = put(Agent, "/v1/catalog/register", "{\"Node\": \"far\", \"Address\": \"127.0.0.2\"}"),
    %% UDP must not be asked instead, however slow the machine is.
    Options = #{nameservers => [caravan_demo_consul:nameserver(Agent)], transport => tcp, timeout => 60000},
    Answer = fun(Service, Count, Address) ->
        ok = put_services(Agent, Service, Count, Address),
        {ok, #{records := Records, complete := IsComplete}} = caravan_dns:lookup(
            Service ++ ".service.consul", srv, Options
        ),
        {length(Records), IsComplete}
    end,
    ?assertEqual({1000, true}, Answer("below", 1000, "127.0.0.2")),
    ?assertEqual({1024, false}, Answer("short", 1100, "127.0.0.2")),
    Label = lists:duplicate(50, $n),
    {Some, false} = Answer("long", 1600, Label ++ "." ++ Label ++ ".test"),
    ?assert(Some < 1024).

%% A transaction has at most 64 operations.
put_services(_Agent, _Service, 0, _Address) ->
    ok;
put_services(Agent, Service, Count, Address) ->
    Numbers = lists:seq(max(1, Count - 63), Count),
    Operations = [
        io_lib:format(
            "{\"Service\": {\"Verb\": \"set\", \"Node\": \"far\", \"Service\": "
            "{\"ID\": \"~ts-~b\", \"Service\": \"~ts\", \"Address\": \"~ts\", \"Port\": ~b}}}",
            [Service, Number, Service, Address, Number]
        )
     || Number <- Numbers
    ],
    ok = put(Agent, "/v1/txn", ["[", lists:join(",", Operations), "]"]),
    put_services(Agent, Service, Count - length(Numbers), Address).

put(Agent, Path, Body) ->
    [Http | _] = caravan_demo_consul:ports(Agent),
    Request = {"http://127.0.0.1:" ++ integer_to_list(Http) ++ Path, [], "application/json", iolist_to_binary(Body)},
    {ok, {{_, 200, _}, _, _}} = httpc:request(put, Request, [{ssl, []}], []),
    ok.

nameserver(Agent) ->
    [Address, Port] = string:split(caravan_demo_consul:nameserver(Agent), ":"),
    {ok, Ip} = inet:parse_address(Address),
    {Ip, list_to_integer(Port)}.

no_instance_is_an_authoritative_none({_, Agent}) ->
    ?assertEqual(
        {error, nxdomain},
        caravan_dns:lookup("none.service.consul", srv, #{nameservers => [caravan_demo_consul:nameserver(Agent)]})
    ).
