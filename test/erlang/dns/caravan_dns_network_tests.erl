%% A network that fails and recovers.
-module(caravan_dns_network_tests).

-include_lib("eunit/include/eunit.hrl").

-export([comes_and_goes/0]).

network_comes_and_goes_test_() ->
    {timeout, 180, ?_test(caravan_test_namespace:call("true", ?MODULE, comes_and_goes))}.

comes_and_goes() ->
    ok = caravan_nif:load(),
    set_loopback(up),
    {ok, Server} = caravan_dns_server:start_link(#{}),
    ok = caravan_dns_server:put(Server, "n1.test", a, [{a, 30, {10, 0, 0, 1}}]),
    {ok, Resolver} = caravan_dns:open(#{nameservers => [caravan_dns_server:nameserver(Server)], timeout => 2000}),
    Ask = fun(Transport) ->
        caravan_dns:lookup("n1.test", a, #{resolver => Resolver, transport => Transport})
    end,
    lists:foreach(
        fun(Transport) ->
            {Transport, {ok, _}} = {Transport, Ask(Transport)},
            set_loopback(down),
            {Transport, {error, Reason}} = {Transport, Ask(Transport)},
            %% That there was no answer does not count as an answer of the nameserver.
            true = lists:member(Reason, [connrefused, timeout]),
            set_loopback(up),
            {Transport, {ok, _}} = {Transport, Ask(Transport)}
        end,
        [udp, tcp, udp, tcp]
    ).

set_loopback(State) ->
    "" = os:cmd("ip link set lo " ++ atom_to_list(State)).
