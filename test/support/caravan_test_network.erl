%% @doc Nodes that may connect to each other without epmd, and to no others: one cookie, ports of their own.
%%
%% ```
%% caravan_test_network:with(#{}, fun(Network) ->
%%     {A, NodeA} = caravan_test_network:boot(Network, "a"),
%%     {B, _} = caravan_test_network:boot(Network, "b"),
%%     true = caravan_test_node:call(NodeA, net_kernel, connect_node, [B])
%% end).
%% '''
-module(caravan_test_network).

-export([with/2, start/3, boot/2, boot/3, flags/2, node_name/3, helper_name/2, free_port/0, has_ipv6/0, hosts/2, hosts/3]).

-export_type([network/0, options/0]).

-type options() :: #{host => string(), name_flag => string(), interface => inet:ip_address() | any,
                     flags => [string()], epmd_module => string(), node => caravan_test_node:options()}.

-type network() :: #{cookie := string(), epmd_port := inet:port_number(), host := string(),
                     name_flag := string(), interface := inet:ip_address() | any, flags := [string()],
                     epmd_module := string(), node := caravan_test_node:options(), nodes := ets:table()}.

%% Below the ports that Linux and macOS use for outgoing connections, which could take a port that was free before.
-define(FIRST_PORT, 10000).
-define(LAST_PORT, 29999).
%% A test may also use the port next to one that it was given. The step is prime to the sizes of the shares, so that all
%% ports are used in turn.
-define(STRIDE, 7).

%% @doc Calls a function with a network. Afterwards none of its nodes is left, and no epmd runs. Options:
%%
%% <ul>
%% <li>`host': the part of node names after the `@'; `"127.0.0.1"'.</li>
%% <li>`name_flag': `"-name"' or `"-sname"'; `"-name"'.</li>
%% <li>`interface': where nodes listen, and nowhere else, or `any'; `{127,0,0,1}'.</li>
%% <li>`flags': more arguments of `erl' for every node; `[]'.</li>
%% <li>`epmd_module': `"caravan_epmd"'; `"erl_epmd"' makes nodes as OTP has them.</li>
%% <li>`node': more options of `caravan_test_node:start_link/1'; `#{}'.</li>
%% </ul>
-spec with(options(), fun((network()) -> Result)) -> Result.
with(Options, Fun) ->
    Defaults = #{host => "127.0.0.1", name_flag => "-name", interface => {127, 0, 0, 1}, flags => [],
                 epmd_module => "caravan_epmd", node => #{}, cookie => "c" ++ integer_to_list(rand:uniform(1 bsl 64)),
                 epmd_port => free_port()},
    Nodes = ets:new(nodes, []),
    Network = #{epmd_port := EpmdPort} = maps:merge(Defaults, Options#{nodes => Nodes}),
    try
        Result = Fun(Network),
        {error, econnrefused} = gen_tcp:connect({127, 0, 0, 1}, EpmdPort, []),
        Result
    after
        lists:foreach(fun({Node}) -> ok = caravan_test_node:kill(Node) end, ets:tab2list(Nodes)),
        ets:delete(Nodes)
    end.

%% @doc Starts a node, without waiting, with the flags that are given and those that `flags/2' makes of the
%% name; `none' stands for no name at all.
-spec start(network(), Name :: atom() | none, Flags :: [string()]) -> pid().
start(#{node := Options, nodes := Nodes, epmd_port := EpmdPort} = Network, Name, Flags) ->
    Env = [{"ERL_EPMD_PORT", integer_to_list(EpmdPort)} | maps:get(env, Options, [])],
    {ok, Node} = caravan_test_node:start_link(Options#{flags => flags(Network, Name) ++ Flags, env => Env}),
    true = ets:insert(Nodes, {Node}),
    Node.

%% @doc Boots a node that is called `Basename-Port', with a port that is free.
-spec boot(network(), Basename :: string()) -> {Name :: atom(), pid()}.
boot(Network, Basename) ->
    boot(Network, node_name(Network, Basename, free_port()), []).

%% @doc Boots a node and gives its name back.
-spec boot(network(), Name, Flags :: [string()]) -> {Name, pid()} when Name :: atom() | none.
boot(Network, Name, Flags) ->
    Node = start(Network, Name, Flags),
    case caravan_test_node:await_boot(Node) of
        ok -> {Name, Node};
        Ended -> error(Ended)
    end.

%% @doc The flags of a node of this network.
-spec flags(network(), Name :: atom() | none) -> [string()].
flags(#{cookie := Cookie, interface := Interface, flags := Flags, epmd_module := EpmdModule} = Network, Name) ->
    ["-start_epmd", "false", "-epmd_module", EpmdModule, "-setcookie", Cookie]
        ++ interface_flags(Interface) ++ name_flags(Network, Name) ++ Flags.

interface_flags(any) -> [];
interface_flags(Ip) -> ["-kernel", "inet_dist_use_interface", lists:flatten(io_lib:format("~w", [Ip]))].

name_flags(_Network, none) -> [];
name_flags(#{name_flag := NameFlag}, Name) -> [NameFlag, atom_to_list(Name)].

%% @doc `Basename-Port@Host'.
-spec node_name(network(), string(), inet:port_number()) -> atom().
node_name(#{host := Host}, Basename, Port) ->
    list_to_atom(lists:concat([Basename, "-", Port, "@", Host])).

%% @doc `PrefixBasename-Port@Host', the name of a helper if the prefix is one's, and its port, on which nobody listens.
-spec helper_name(network(), Prefix :: string()) -> {atom(), inet:port_number()}.
helper_name(Network, Prefix) ->
    ok = caravan_nif:load(),
    Name = node_name(Network, Prefix ++ "app", free_port()),
    Port = caravan_epmd:dist_port(Name),
    case is_free(Port) of
        true -> {Name, Port};
        false -> helper_name(Network, Prefix)
    end.

%% @doc Returns a port on which no process listens, a different one each time: a port is not returned again if a test has not
%% started to listen on it yet, or leaves it free on purpose.
-spec free_port() -> inet:port_number().
free_port() ->
    {First, Last} = ports(os:getenv("CARAVAN_TEST_PORTS")),
    Port = First + ?STRIDE * atomics:add_get(given_ports(), 1, 1) rem (Last - First + 1),
    case is_free(Port) of
        true -> Port;
        false -> free_port()
    end.

is_free(Port) ->
    case gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}]) of
        {ok, Socket} -> gen_tcp:close(Socket) =:= ok;
        {error, _} -> false
    end.

%% The number of ports given so far, counted from a number that differs between VMs.
given_ports() ->
    case persistent_term:get(?MODULE, none) of
        none ->
            Given = atomics:new(1, []),
            ok = atomics:put(Given, 1, rand:uniform(?LAST_PORT)),
            ok = persistent_term:put(?MODULE, Given),
            Given;
        Given ->
            Given
    end.

%% VMs that run tests at the same time have a share of the ports each, such as "10000-14999", so that no two of them use the
%% same free port.
ports(false) ->
    {?FIRST_PORT, ?LAST_PORT};
ports(Share) ->
    [First, Last] = string:split(Share, "-"),
    {list_to_integer(First), list_to_integer(Last)}.

%% @doc Whether this machine has an IPv6 loopback interface.
-spec has_ipv6() -> boolean().
has_ipv6() ->
    case gen_tcp:listen(0, [inet6, {ip, {0, 0, 0, 0, 0, 0, 0, 1}}]) of
        {ok, Socket} -> gen_tcp:close(Socket) =:= ok;
        {error, _} -> false
    end.

%% @equiv hosts(Directory, [{Host, Ip}])
-spec hosts(file:filename(), string(), inet:ip_address()) -> {string(), file:filename()}.
hosts(Directory, Host, Ip) ->
    hosts(Directory, [{Host, Ip}]).

%% @doc Writes a file that makes nodes know these hosts and ask no DNS server. Returns the environment variable to set for
%% the nodes.
-spec hosts(file:filename(), [{Host :: string(), inet:ip_address()}]) -> {string(), file:filename()}.
hosts(Directory, Hosts) ->
    Inetrc = ["{lookup, [file]}.\n", [io_lib:format("{host, ~p, [~p]}.~n", [Ip, Host]) || {Host, Ip} <- Hosts]],
    {"ERL_INETRC", caravan_test_directory:write(filename:join(Directory, "inetrc"), Inetrc)}.
