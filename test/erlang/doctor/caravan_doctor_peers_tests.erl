%% What the doctor reports about nodes that it cannot judge.
-module(caravan_doctor_peers_tests).

-include_lib("eunit/include/eunit.hrl").

-define(OWN, <<"own-4370@127.0.0.1">>).

%% From outside it is unknown whether the node itself is allowed.
a_node_that_allows_some_alone_may_allow_this_one_test_() ->
    {timeout, 60, fun() ->
        ok = caravan_nif:load(),
        caravan_test_network:with(#{}, fun(Network) ->
            {Name, Node} = caravan_test_network:boot(Network, "choosy"),
            ok = caravan_test_node:call(Node, net_kernel, allow, [[binary_to_atom(?OWN)]]),
            ?assertMatch([#{state := unknown, facts := #{port := _}}], peers(Name, 4000))
        end)
    end}.

%% A listener that hangs up late is examined, and the result is unknown.
who_has_not_answered_in_time_is_not_known_test_() ->
    {timeout, 60, fun() ->
        ok = caravan_nif:load(),
        {ok, Listen} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}, {backlog, 64}]),
        {ok, Port} = inet:port(Listen),
        ?assertMatch([#{state := unknown}], peers(list_to_atom(lists:concat(["slow-", Port, "@127.0.0.1"])), 1000)),
        ok = gen_tcp:close(Listen)
    end}.

peers(Name, Milliseconds) ->
    caravan_doctor_peers:peers(#{
        mode => outside, names => [?OWN, atom_to_binary(Name)], own => ?OWN, own_refuses => false, method => challenge,
        deadline => erlang:monotonic_time(millisecond) + Milliseconds
    }).
