%% A network that goes away and comes back, in a VM with a network of its own (namespaces(7)).
-module(caravan_dns_network_tests).

-include_lib("eunit/include/eunit.hrl").

-export([run_in_namespace/0]).

-define(GUARD_MS, 60000).

network_comes_and_goes_test_() ->
    {timeout, 120,
        ?_test(
            case unshare(["true"]) of
                {0, _} -> ?assertEqual({0, "ok"}, unshare(vm()));
                {_, Why} -> io:format(user, "SKIP: no network namespaces: ~ts~n", [Why])
            end
        )}.

vm() ->
    Paths = [filename:dirname(code:which(Module)) || Module <- [caravan_nif, ?MODULE, caravan_dns_server]],
    ["erl", "-noinput", "-pa" | Paths] ++ ["-run", atom_to_list(?MODULE), "run_in_namespace"].

unshare(Command) ->
    case os:find_executable("unshare") of
        false -> {127, "there is no unshare(1)"};
        Unshare -> run(Unshare, ["--net", "--map-root-user" | Command])
    end.

run(Program, Arguments) ->
    Port = open_port({spawn_executable, Program}, [{args, Arguments}, exit_status, stderr_to_stdout]),
    output(Port, []).

output(Port, Text) ->
    receive
        {Port, {data, Data}} -> output(Port, [Text | Data]);
        {Port, {exit_status, Status}} -> {Status, string:trim(lists:flatten(Text))}
    after ?GUARD_MS -> error({hang, lists:flatten(Text)})
    end.

run_in_namespace() ->
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
            %% What the nameserver said it did not say.
            true = lists:member(Reason, [connrefused, timeout]),
            set_loopback(up),
            {Transport, {ok, _}} = {Transport, Ask(Transport)}
        end,
        [udp, tcp, udp, tcp]
    ),
    io:format("ok~n"),
    halt(0).

set_loopback(State) ->
    "" = os:cmd("ip link set lo " ++ atom_to_list(State)).
