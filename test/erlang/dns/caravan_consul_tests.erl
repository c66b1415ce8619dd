-module(caravan_consul_tests).

-include_lib("eunit/include/eunit.hrl").

-define(INSTANCES, 200).
-define(START_TIMEOUT_MS, 30000).

%% A real agent, where scripts/setup could get one; it cannot only where Debian's archive has none.
consul_test_() ->
    Consul = filename:absname("_build/consul/usr/bin/consul"),
    case filelib:is_regular(Consul) of
        true ->
            {setup, fun() -> start(Consul) end, fun stop/1, fun(Agent) ->
                {timeout, 120, [
                    {"discovery gets all instances", fun() -> discovery_gets_all_instances(Agent) end},
                    {"no instance is an authoritative none", fun() -> no_instance_is_an_authoritative_none(Agent) end}
                ]}
            end};
        false ->
            ?debugMsg("SKIP: there is no Consul at _build/consul; scripts/setup consul says why"),
            []
    end.

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
    %% What others get, and why TCP is asked first: Consul cuts the answer without a word.
    {ok, #{records := Some, complete := false}} =
        caravan_dns:lookup(caravan_demo_consul:query(), srv, Options#{transport => udp}),
    ?assert(length(Some) < ?INSTANCES),
    {ok, Naive} = inet_res:resolve(
        caravan_demo_consul:query(), in, srv, [{nameservers, [nameserver(Agent)]}, {alt_nameservers, []}]
    ),
    ?assertEqual(3, length(inet_dns:msg(Naive, anlist))).

nameserver(Agent) ->
    [Address, Port] = string:split(caravan_demo_consul:nameserver(Agent), ":"),
    {ok, Ip} = inet:parse_address(Address),
    {Ip, list_to_integer(Port)}.

no_instance_is_an_authoritative_none({_, Agent}) ->
    ?assertEqual(
        {error, nxdomain},
        caravan_dns:lookup("none.service.consul", srv, #{nameservers => [caravan_demo_consul:nameserver(Agent)]})
    ).
