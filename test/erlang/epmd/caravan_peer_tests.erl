%% Nodes that others start or call: `peer' (OTP 25 and later) and erl_call, which has no epmd to ask either.
-module(caravan_peer_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/2, free_port/0, node_name/3]).
-import(caravan_test_node, [call/4, run/2]).

-export([peer/3, start_peers/2, random_name/1]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

a_peer_that_has_a_port_in_its_name_listens_there_test_() ->
    ?NODES(with_origin(fun(_Network, {Origin, Node}, Flags) ->
        Port = free_port(),
        Name = "peer-app-" ++ integer_to_list(Port),
        Expected = list_to_atom(Name ++ "@127.0.0.1"),
        ?assertEqual({Expected, [Origin], [Port]}, run(Node, fun() -> ?MODULE:peer(Name, Flags, none) end))
    end)).

%% Its name ends in the process id of the operating system, which is not its port.
a_peer_of_a_random_name_listens_at_its_hash_test_() ->
    [?NODES(with_origin(fun(_Network, {Origin, Node}, Flags) ->
        {Peer, Peers, [Port]} = run(Node, fun() -> ?MODULE:peer(?MODULE:random_name(Prefix), Flags, none) end),
        ?assertEqual([Origin], Peers),
        ?assertEqual({port, Port, 6}, caravan_epmd:port_please(Peer, local)),
        ?assertMatch(#{rule := helper}, caravan_epmd:explain(Peer))
    end))
     || Prefix <- ["peer", "pg_SUITE-two"]].

%% As in a mesh of `global': it gets their names from a node that is connected to them.
two_peers_are_dialled_by_a_node_that_did_not_know_them_test_() ->
    ?NODES(with_origin(fun(Network, {Origin, Node}, Flags) ->
        {_, Third} = boot(Network, "third"),
        Peers = run(Node, fun() -> ?MODULE:start_peers(2, Flags) end),
        [?assertEqual({Peer, true}, {Peer, call(Third, net_kernel, connect_node, [Peer])}) || Peer <- Peers],
        ?assertEqual(lists:sort(Peers), lists:sort(call(Third, erlang, nodes, []))),
        ?assertEqual(lists:sort(Peers), lists:sort(call(Node, erlang, nodes, []))),
        ?assertNot(lists:member(Origin, call(Third, erlang, nodes, [])))
    end)).

a_peer_reaches_a_third_node_by_its_name_test_() ->
    ?NODES(with_origin(fun(Network, {Origin, Node}, Flags) ->
        {Third, _} = boot(Network, "third"),
        {_, Peers, _} = run(Node, fun() -> ?MODULE:peer(?MODULE:random_name("peer"), Flags, Third) end),
        ?assertEqual(lists:sort([Origin, Third]), Peers)
    end)).

%% @doc Runs in the node: returns the name of a peer, the nodes that it is connected to, perhaps after connecting to a third
%% node, and where it listens.
-spec peer(string(), [string()], node() | none) -> {node(), [node()], [inet:port_number()]}.
peer(Name, Flags, Third) ->
    Options = #{name => Name, host => "127.0.0.1", longnames => true, args => Flags},
    {ok, Pid, Peer} = peer:start_link(Options),
    true = Third =:= none orelse rpc:call(Peer, net_kernel, connect_node, [Third]),
    Peers = lists:sort(rpc:call(Peer, erlang, nodes, [])),
    Ports = rpc:call(Peer, caravan_test_node, listening_ports, []),
    ok = peer:stop(Pid),
    {Peer, Peers, Ports}.

%% @doc Runs in the node: starts peers that stay, and returns their names.
-spec start_peers(pos_integer(), [string()]) -> [node()].
start_peers(Count, Flags) ->
    [begin
         Options = #{name => random_name("peer"), host => "127.0.0.1", longnames => true, args => Flags},
         {ok, _, Peer} = peer:start(Options),
         Peer
     end
     || _ <- lists:seq(1, Count)].

%% @doc A name of peer, on whose port no process listens.
-spec random_name(string()) -> string().
random_name(Prefix) ->
    Name = peer:random_name(Prefix),
    case gen_tcp:listen(caravan_epmd:dist_port(Name), [{ip, {127, 0, 0, 1}}]) of
        {ok, Socket} -> ok = gen_tcp:close(Socket), Name;
        {error, _} -> random_name(Prefix)
    end.

with_origin(Test) ->
    ignore = caravan_epmd:start_link(),
    Path = lists:usort([filename:dirname(code:where_is_file(Beam)) || Beam <- beams()]),
    Options = #{node => #{code_path => Path}, flags => ["-connect_all", "false"]},
    caravan_test_network:with(Options, fun(Network) ->
        Flags = caravan_test_network:flags(Network, none) ++ lists:append([["-pa", Directory] || Directory <- Path]),
        Test(Network, boot(Network, "origin"), Flags)
    end).

beams() ->
    ["caravan_epmd.beam", ?MODULE_STRING ".beam", "caravan_test_node.beam"].

%% erl_call

erl_call_reaches_a_node_by_its_port_test_() ->
    ?NODES(case os:find_executable("erl_call") of
        false -> io:format(user, "SKIP: this machine has no erl_call~n", []);
        Program -> erl_call(Program)
    end).

erl_call(Program) ->
    caravan_test_network:with(#{}, fun(#{cookie := Cookie} = Network) ->
        Port = free_port(),
        {A, _} = caravan_test_network:boot(Network, node_name(Network, "app", Port), []),
        Arguments = ["-address", "127.0.0.1:" ++ integer_to_list(Port), "-c", Cookie, "-a", "erlang node []"],
        Call = open_port({spawn_executable, Program}, [{args, Arguments}, exit_status, stderr_to_stdout]),
        ?assertEqual({0, lists:flatten(io_lib:format("~p", [A]))}, output(Call, ""))
    end).

output(Port, Output) ->
    receive
        {Port, {data, Text}} -> output(Port, Output ++ Text);
        {Port, {exit_status, Status}} -> {Status, Output}
    end.
