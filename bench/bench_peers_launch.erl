%% Starts the nodes of bench/peers.
-module(bench_peers_launch).

-export([launch/3, on_each/2]).

-export_type([places/0]).

%% Where files are written, and the code path of the nodes.
-type places() :: #{directory := file:filename(), code_path := [file:filename()]}.

-define(LOCALHOST, {127, 0, 0, 1}).

%% Starts the nodes where no epmd runs, with the nameserver at this port and no other, and waits until all have booted. They end with the
%% caller. Returns no_epmd if one of them ends because it cannot register at an epmd.
-spec launch([bench_peers_contender:member()], DnsPort :: inet:port_number(), places()) -> {ok, [pid()]} | no_epmd.
launch(Members, DnsPort, #{directory := Directory, code_path := CodePath}) ->
    EpmdPort = caravan_test_network:free_port(),
    Env = [{"ERL_INETRC", inetrc(Directory, DnsPort)}, {"ERL_EPMD_PORT", integer_to_list(EpmdPort)}],
    Nodes = [start(Member, Env, CodePath) || Member <- Members],
    Boots = [caravan_test_node:await_boot(Node) || Node <- Nodes],
    {error, econnrefused} = gen_tcp:connect(?LOCALHOST, EpmdPort, []),
    case [Output || {exited, _, Output} <- Boots] of
        [] ->
            {ok, Nodes};
        [Output | _] ->
            %% Any other reason is a fault of this bench.
            {match, _} = re:run(Output, "register/listen error: econnrefused"),
            no_epmd
    end.

start(#{env := OwnEnv} = Member, Env, CodePath) ->
    {ok, Node} = caravan_test_node:start_link(#{flags => flags(Member), env => Env ++ OwnEnv, code_path => CodePath}),
    Node.

%% A later resolv_conf would take the nameserver away.
inetrc(Directory, DnsPort) ->
    Text = io_lib:format("{resolv_conf, \"\"}. {lookup, [dns]}. {nameserver, ~w, ~b}.~n", [?LOCALHOST, DnsPort]),
    caravan_test_directory:write(filename:join(Directory, lists:concat(["inetrc.", DnsPort])), Text).

%% Many nodes share the machine.
flags(#{name := Name, flags := Flags, address := Address}) ->
    [
        "-name", atom_to_list(Name), "-setcookie", "peers",
        "-kernel", "inet_dist_use_interface", lists:flatten(io_lib:format("~w", [Address])),
        "+S", "1:1", "+SDcpu", "1:1", "+SDio", "1", "+A", "1", "+sbwt", "none"
    ] ++ Flags.

%% Calls a function in all nodes at once. Returns the results in the order of the nodes.
-spec on_each([pid()], fun(() -> Result)) -> [Result].
on_each(Nodes, Fun) ->
    Calls = [caravan_test_node:async(Node, Fun) || Node <- Nodes],
    [receive {Call, Result} -> Result end || Call <- Calls].
