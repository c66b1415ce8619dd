%% The rows of bench/peers: what is tried with each contender, and the cell that comes of it.
-module(bench_peers_rows).

-export([register_instances/1, instances/2, outages/2, pair/2, remote/2, wrong_cookie/2]).

-export_type([world/0]).

%% `places': what nodes are started with. `consul': the address of the agent's nameserver.
-type world() :: #{places := bench_peers_launch:places(), consul := string()}.

-define(INSTANCES, 200).
-define(MEMBERS, 3).
-define(HTTP_TIMEOUT_MS, 5000).
%% Of an outage.
-define(OUTAGE_MS, 30000).
%% Two polls of each contender.
-define(COOKIE_MS, 12000).
-define(LINE_LENGTH, 130).
%% Queries for each node, with which every contender has polled since its mesh was complete.
-define(SETTLED_QUERIES, 3).
-define(SETTLED_TIMEOUT_MS, 40000).

%% Registers 200 instances of "app", and 200 of "named" with the addresses and tags that libcluster-dynamic-srv needs. No process listens
%% at their addresses. Those of "app" differ, because A records have no ports.
-spec register_instances(Agent :: term()) -> ok.
register_instances(Agent) ->
    [Http | _] = caravan_demo_consul:ports(Agent),
    lists:foreach(
        fun(Index) ->
            Port = 4000 + Index,
            Tag = lists:concat(["node-", Index]),
            ok = register_instance(Http, "app", "instance", lists:concat(["127.0.1.", Index]), Port),
            ok = register_instance(Http, "named", Tag, Tag ++ ".named.service.consul", Port)
        end,
        lists:seq(1, ?INSTANCES)
    ).

register_instance(Http, Service, Tag, Address, Port) ->
    Body = lists:flatten(
        io_lib:format(
            "{\"ID\": \"~ts-~b\", \"Name\": \"~ts\", \"Tags\": [\"~ts\"], \"Address\": \"~ts\", \"Port\": ~b}",
            [Service, Port, Service, Tag, Address, Port]
        )
    ),
    Url = lists:concat(["http://127.0.0.1:", Http, "/v1/agent/service/register"]),
    Request = {Url, [], "application/json", Body},
    {ok, {{_, 200, _}, _, _}} = httpc:request(put, Request, [{timeout, ?HTTP_TIMEOUT_MS}, {ssl, []}], []),
    ok.

%% How many of the instances in Consul one poll finds.
-spec instances(bench_peers_contender:id(), world()) -> iodata().
instances(Id, #{consul := Consul} = World) ->
    {Member, Start} = bench_peers_contender:consul(Id, Consul),
    [_, Port] = string:split(Consul, ":"),
    {ok, [Node]} = launch([Member], list_to_integer(Port), World),
    Found = caravan_test_node:run(Node, fun() -> bench_peers_node:first_poll(Start) end),
    ok = caravan_test_node:kill(Node),
    integer_to_list(Found).

%% Three cells: the connections that a cluster loses while its nameserver answers SERVFAIL; those that it loses while its nameserver is
%% silent; the longest time for which the process that polls keeps a caller waiting during the silence.
-spec outages(bench_peers_contender:id(), world()) -> [iodata()].
outages(Id, World) ->
    with_cluster(Id, ?MEMBERS, World, fun(Server, #{members := Members, zone := Zone, start := Start}, Nodes) ->
        _ = start(Start, Nodes),
        ok = await_settled(Server, Members, Nodes),
        [ok = caravan_dns_server:put(Server, Name, Type, servfail) || {Name, _, _} <- Zone, Type <- [a, aaaa, srv]],
        {LostToServfail, _} = observe(Start, Members, Nodes),
        ok = caravan_dns_server:clear(Server),
        ok = publish(Zone, Server),
        ok = await_settled(Server, Members, Nodes),
        ok = caravan_dns_server:pause(Server),
        {LostToSilence, Longest} = observe(Start, Members, Nodes),
        [lost(LostToServfail), lost(LostToSilence), [integer_to_list(Longest), " ms"]]
    end).

lost(Connections) ->
    io_lib:format("~b of ~b", [length(Connections), ?MEMBERS * (?MEMBERS - 1) div 2]).

%% The connections that were lost, and the longest wait.
observe(Start, Members, Nodes) ->
    Observed = bench_peers_launch:on_each(Nodes, fun() -> bench_peers_node:observe(Start, ?OUTAGE_MS) end),
    Lost = [
        lists:sort([Name, Other])
     || {#{name := Name}, {Others, _}} <- lists:zip(Members, Observed), Other <- Others
    ],
    {lists:usort(Lost), lists:max([Longest || {_, Longest} <- Observed])}.

%% libcluster disconnects only the nodes that its last poll has found connected, so each node polls again after the mesh is complete.
await_settled(Server, Members, Nodes) ->
    ok = await_mesh(Members, Nodes),
    ok = caravan_dns_server:reset_queries(Server),
    ok = caravan_dns_server:await_queries(Server, ?SETTLED_QUERIES * length(Nodes), ?SETTLED_TIMEOUT_MS),
    await_mesh(Members, Nodes).

await_mesh(Members, Nodes) ->
    Names = [Name || #{name := Name} <- Members],
    [ok = caravan_test_node:await_peers(Node, lists:delete(Name, Names)) || {Name, Node} <- lists:zip(Names, Nodes)],
    ok.

%% Whether two nodes at one address connect where no epmd runs.
-spec pair(bench_peers_contender:id(), world()) -> iodata().
pair(Id, World) ->
    with_pair(Id, World, fun(_Server, #{members := [_, Second]}, [Node, _]) ->
        ok = tell_port(Id, Second, Node),
        connect(Node, Second)
    end).

%% Whether the helper that a Mix release starts for `remote' reaches its node where no epmd runs.
-spec remote(bench_peers_contender:id(), world()) -> iodata().
remote(Id, World) ->
    with_pair(Id, World, fun(Server, #{members := [First, _]}, _Nodes) ->
        case launch([bench_peers_contender:helper(Id, First)], caravan_dns_server:port(Server), World) of
            {ok, [Node]} -> connect(Node, First);
            no_epmd -> "no, the helper does not start"
        end
    end).

with_pair(Id, World, Try) ->
    {ok, Server} = caravan_dns_server:start_link(#{}),
    #{members := Members, zone := Zone} = Pair = bench_peers_contender:pair(Id, caravan_dns_server:nameserver(Server)),
    ok = publish(Zone, Server),
    case launch(Members, caravan_dns_server:port(Server), World) of
        {ok, Nodes} -> Try(Server, Pair, Nodes);
        no_epmd -> "no, the node does not start"
    end.

%% Without it, epmdless_client takes the port of its own node for that of the other.
tell_port(epmdless, #{name := Name, port := Port}, Node) ->
    caravan_test_node:call(Node, epmdless_client, add_node, [Name, Port]);
tell_port(_Id, _Member, _Node) ->
    ok.

connect(Node, #{name := Name}) ->
    case caravan_test_node:call(Node, net_kernel, connect_node, [Name]) of
        true -> "yes";
        false -> "no"
    end.

%% What the log of a node says of another one that is listed and has another cookie.
-spec wrong_cookie(bench_peers_contender:id(), world()) -> iodata().
wrong_cookie(Id, World) ->
    with_cluster(Id, 2, World, fun(_Server, #{members := [_, Other], start := Start}, [First, Second] = Nodes) ->
        true = caravan_test_node:call(Second, erlang, set_cookie, [wrong]),
        _ = start(Start, Nodes),
        timer:sleep(?COOKIE_MS),
        {exited, _, Output} = caravan_test_node:stop(First),
        said(maps:get(name, Other), unicode:characters_to_list(Output))
    end).

%% The different lines that contain the name, without their time, level and colour, in alphabetical order.
said(Name, Output) ->
    Text = atom_to_list(Name),
    Lines = [plain(Text, Line) || Line <- string:lexemes(Output, "\n"), string:find(Line, Text) =/= nomatch],
    case lists:usort(Lines) of
        [] -> "no line";
        Said -> lists:join("; ", [["`", string:slice(Line, 0, ?LINE_LENGTH), "`"] || Line <- Said])
    end.

%% A dot of a pattern is that of the name, or any character.
plain(Name, Line) ->
    Replacements = [
        {[":?[\"']?", Name, "[\"']?"], "NODE"},
        {"\e\\[[0-9;]*m|^[0-9:.]+ +", ""},
        {"^\\[[a-z]+\\] +|\\*\\* ?| ?\\*\\*|[|]", ""}
    ],
    lists:foldl(
        fun({Pattern, New}, Text) -> re:replace(Text, Pattern, New, [global, unicode, {return, list}]) end, Line, Replacements
    ).

with_cluster(Id, Count, World, Test) ->
    {ok, Server} = caravan_dns_server:start_link(#{}),
    #{members := Members, zone := Zone} = Cluster =
        bench_peers_contender:cluster(Id, Count, caravan_dns_server:nameserver(Server)),
    ok = publish(Zone, Server),
    {ok, Nodes} = launch(Members, caravan_dns_server:port(Server), World),
    Test(Server, Cluster, Nodes).

publish(Zone, Server) ->
    [ok = caravan_dns_server:put(Server, Name, Type, Records) || {Name, Type, Records} <- Zone],
    ok.

start(Start, Nodes) ->
    bench_peers_launch:on_each(Nodes, fun() -> bench_peers_node:start(Start) end).

launch(Members, DnsPort, #{places := Places}) ->
    bench_peers_launch:launch(Members, DnsPort, Places).
