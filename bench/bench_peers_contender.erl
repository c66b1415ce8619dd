%% What bench/peers compares: the names, flags, records and configuration that each contender recommends for its nodes.
-module(bench_peers_contender).

-export([all/0, package/1, title/2, looks_up/1, cluster/3, consul/2, pair/2, helper/2]).

-export_type([id/0, member/0, cluster/0, start/0, record_set/0]).

%% `dynamic_srv_keep' is dynamic_srv with `disconnect_on_deregister: false'.
-type id() :: caravan | dns_poll | dns_srv | dns_cluster | dynamic_srv | dynamic_srv_keep | epmdless.

%% A node: its name, the flags and the variables that the contender needs, and where it listens. Port 0 is chosen by the system.
-type member() :: #{
    name := node(), flags := [string()], env := [{string(), string()}],
    address := inet:ip4_address(), port := inet:port_number()
}.

-type record_set() :: {Name :: string(), caravan_dns_wire:dns_type(), [caravan_dns_wire:resource_record()]}.

-type start() ::
    none
    | caravan
    | {libcluster, Strategy :: module(), Config :: [{atom(), term()}]}
    | {dns_cluster, Query :: binary()}.

%% The nodes, the records that list them, and what bench_peers_node:start/1 starts in each of them.
-type cluster() :: #{members := [member()], zone := [record_set()], start := start()}.

-define(LOCALHOST, {127, 0, 0, 1}).
-define(QUERY, "app.test").
%% bench_peers_rows registers these services.
-define(CONSUL_QUERY, "app.service.consul").
-define(CONSUL_NAMED_QUERY, "named.service.consul").
-define(KUBERNETES_QUERY, "app.default.svc.peers.test").

-spec all() -> [id()].
all() ->
    [caravan, dns_poll, dns_srv, dns_cluster, dynamic_srv, dynamic_srv_keep, epmdless].

%% The peer that bench/peers has compiled for it.
-spec package(id()) -> atom().
package(dns_poll) -> libcluster;
package(dns_srv) -> libcluster;
package(dynamic_srv_keep) -> dynamic_srv;
package(Id) -> Id.

-spec title(id(), Version :: string()) -> iodata().
title(caravan, Version) -> ["Caravan ", Version];
title(dns_poll, Version) -> ["epmd, libcluster ", Version, " DNSPoll"];
title(dns_srv, Version) -> ["epmd, libcluster ", Version, " Kubernetes.DNSSRV"];
title(dns_cluster, Version) -> ["epmd, dns_cluster ", Version];
title(dynamic_srv, Version) -> ["libcluster-dynamic-srv ", Version];
title(dynamic_srv_keep, Version) -> [title(dynamic_srv, Version), ", `disconnect_on_deregister: false`"];
title(epmdless, Version) -> ["epmdless ", Version].

%% Whether it finds nodes in DNS.
-spec looks_up(id()) -> boolean().
looks_up(Id) ->
    Id =/= epmdless.

%% Nodes that find each other.
-spec cluster(id(), Count :: pos_integer(), Nameserver :: string()) -> cluster().
cluster(caravan, Count, Nameserver) ->
    Members = [caravan_member(free_port(), Nameserver, ?QUERY) || _ <- lists:seq(1, Count)],
    Records = [{srv, 0, 1, 1, Port, "host.test"} || #{port := Port} <- Members],
    #{members => Members, zone => [{?QUERY, srv, Records}, {"host.test", a, [{a, 0, ?LOCALHOST}]}], start => caravan};
cluster(dns_poll, Count, _Nameserver) ->
    address_cluster(Count, dns_poll_start(?QUERY));
cluster(dns_cluster, Count, _Nameserver) ->
    address_cluster(Count, {dns_cluster, list_to_binary(?QUERY)});
cluster(dns_srv, Count, _Nameserver) ->
    Port = free_port(),
    Hosts = [{Index, lists:concat(["app-", Index, ".", ?KUBERNETES_QUERY])} || Index <- lists:seq(1, Count)],
    #{
        members => [dns_srv_member("app@" ++ Host, Port, loopback(Index)) || {Index, Host} <- Hosts],
        zone => [
            {?KUBERNETES_QUERY, srv, [{srv, 0, 1, 1, Port, Host} || {_, Host} <- Hosts]}
            | [{Host, a, [{a, 0, loopback(Index)}]} || {Index, Host} <- Hosts]
        ],
        start => dns_srv_start([])
    };
cluster(dynamic_srv_keep, Count, Nameserver) ->
    (cluster(dynamic_srv, Count, Nameserver))#{start := dynamic_srv_start(?QUERY, [{disconnect_on_deregister, false}])};
cluster(dynamic_srv, Count, _Nameserver) ->
    Members = [dynamic_srv_member(Index, free_port(), ?QUERY) || Index <- lists:seq(1, Count)],
    Targets = [{srv, 0, 1, 1, Port, target(Name)} || #{name := Name, port := Port} <- Members],
    #{
        members => Members,
        zone => [
            {?QUERY, srv, Targets}
            | lists:append([
                [{Target, a, [{a, 0, ?LOCALHOST}]}, {Target, srv, [Record]}]
             || {srv, _, _, _, _, Target} = Record <- Targets
            ])
        ],
        start => dynamic_srv_start(?QUERY, [])
    }.

address_cluster(Count, Start) ->
    Port = free_port(),
    Addresses = [loopback(Index) || Index <- lists:seq(1, Count)],
    #{
        members => [address_member(Port, Address) || Address <- Addresses],
        zone => [{?QUERY, a, [{a, 0, Address} || Address <- Addresses]}],
        start => Start
    }.

%% One node that polls a Consul agent. All instances of the service are elsewhere. The strategy for Kubernetes makes its query of the
%% parts of a name in Kubernetes, so it has the query from a resolver function, which its documentation offers.
-spec consul(id(), Nameserver :: string()) -> {member(), start()}.
consul(caravan, Nameserver) ->
    {caravan_member(free_port(), Nameserver, ?CONSUL_QUERY), caravan};
consul(dns_poll, _Nameserver) ->
    {address_member(free_port(), ?LOCALHOST), dns_poll_start(?CONSUL_QUERY)};
consul(dns_srv, _Nameserver) ->
    Resolver = fun(_KubernetesQuery) -> inet_res:getbyname(?CONSUL_QUERY, srv) end,
    {address_member(free_port(), ?LOCALHOST), dns_srv_start([{resolver, Resolver}])};
consul(dns_cluster, _Nameserver) ->
    {address_member(free_port(), ?LOCALHOST), {dns_cluster, <<?CONSUL_QUERY>>}};
consul(dynamic_srv_keep, Nameserver) ->
    {Member, _} = consul(dynamic_srv, Nameserver),
    {Member, dynamic_srv_start(?CONSUL_NAMED_QUERY, [{disconnect_on_deregister, false}])};
consul(dynamic_srv, _Nameserver) ->
    {dynamic_srv_member(0, free_port(), ?CONSUL_NAMED_QUERY), dynamic_srv_start(?CONSUL_NAMED_QUERY, [])}.

%% Two nodes at one address that do not look for each other, with the flags of a machine on which no epmd runs.
-spec pair(id(), Nameserver :: string()) -> cluster().
pair(Id, Nameserver) when Id =:= caravan; Id =:= dynamic_srv; Id =:= dynamic_srv_keep ->
    (cluster(Id, 2, Nameserver))#{start := none};
pair(epmdless, _Nameserver) ->
    #{members => [epmdless_member(Basename, free_port()) || Basename <- ["a", "b"]], zone => [], start => none};
pair(_Id, _Nameserver) ->
    Members = [member(Name, ["-start_epmd", "false"], [], 0) || Name <- ["a@127.0.0.1", "b@127.0.0.1"]],
    #{members => Members, zone => [], start => none}.

%% The helper that a Mix release starts for `remote' of a node of pair/2. epmdless recommends that it does not listen.
-spec helper(id(), member()) -> member().
helper(Id, #{name := Name, flags := Flags} = Member) ->
    Member#{name := helper_name(Name), flags := ["-hidden" | helper_flags(Id)] ++ Flags}.

helper_flags(epmdless) -> ["-dist_listen", "false"];
helper_flags(_Id) -> [].

helper_name(Name) ->
    list_to_atom("rem-1f3a-" ++ atom_to_list(Name)).

caravan_member(Port, Nameserver, Query) ->
    Topology = #{query => Query, node_basename => "app", node_name => "{basename}-{port}@{ip}"},
    Flags = [
        "-start_epmd", "false", "-epmd_module", "caravan_epmd",
        "-caravan", "nameservers", text([Nameserver]), "topologies", text([{app, Topology}])
    ],
    member(lists:concat(["app-", Port, "@127.0.0.1"]), Flags, [], Port).

%% The name of a node has no number, and an epmd knows a name once. So the port is the same for all nodes (-erl_epmd_port), each of
%% which has an address of its own.
address_member(Port, Address) ->
    static_port_member("app@" ++ inet:ntoa(Address), Port, Address, []).

dns_srv_member(Name, Port, Address) ->
    static_port_member(Name, Port, Address, [{"CLUSTER_DOMAIN", "peers.test"}]).

static_port_member(Name, Port, Address, Env) ->
    Flags = ["-start_epmd", "false", "-erl_epmd_port", integer_to_list(Port)],
    (member(Name, Flags, Env, Port))#{address := Address}.

dynamic_srv_member(Index, Port, Service) ->
    Flags = ["-start_epmd", "false", "-epmd_module", "Elixir.DynamicSrv.Epmd"],
    member(lists:concat(["node-", Index, "@", Service]), Flags, [{"ERL_DIST_PORT", integer_to_list(Port)}], Port).

epmdless_member(Basename, Port) ->
    Flags = ["-start_epmd", "false", "-epmd_module", "epmdless_client"],
    Name = lists:concat([Basename, "-", Port, "@127.0.0.1"]),
    member(Name, Flags, [{"ERL_DIST_PORT", integer_to_list(Port)}], Port).

member(Name, Flags, Env, Port) ->
    #{name => list_to_atom(Name), flags => Flags, env => Env, port => Port, address => ?LOCALHOST}.

dns_poll_start(Query) ->
    {libcluster, 'Elixir.Cluster.Strategy.DNSPoll', [{query, list_to_binary(Query)}, {node_basename, <<"app">>}]}.

dns_srv_start(More) ->
    Config = [{service, <<"app">>}, {application_name, <<"app">>}, {namespace, <<"default">>} | More],
    {libcluster, 'Elixir.Cluster.Strategy.Kubernetes.DNSSRV', Config}.

dynamic_srv_start(Service, More) ->
    {libcluster, 'Elixir.Cluster.Strategy.DynamicSrv', [{service, list_to_binary(Service)} | More]}.

%% "node-1.app.test" of 'node-1@app.test'.
target(Name) ->
    lists:flatten(string:replace(atom_to_list(Name), "@", ".")).

loopback(Index) ->
    {127, 0, 0, Index}.

free_port() ->
    caravan_test_network:free_port().

text(Term) ->
    lists:flatten(io_lib:format("~0p", [Term])).
