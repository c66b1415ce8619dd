%% The DNS server of the tests, in the VM of the demo, as the registry.
-module(caravan_demo_dns).
-behaviour(caravan_demo_registry).

-export([title/0, start/1, facts/1, name/0, nameserver/1, query/0, host/1, add/2, remove/2, stop/1, log/1]).

-record(state, {
    server :: pid(),
    instances = [] :: [caravan_demo_registry:instance()]
}).

-define(QUERY, "app.demo.internal").
-define(TTL, 5).

-spec title() -> unicode:chardata().
title() ->
    "Erlang nodes without epmd, found through an embedded DNS server".

-spec start(caravan_demo_registry:settings()) -> {ok, #state{}}.
start(_Settings) ->
    {ok, Server} = caravan_dns_server:start_link(#{}),
    {ok, #state{server = Server}}.

-spec facts(#state{}) -> [{string(), unicode:chardata()}].
facts(State) ->
    [{"DNS server", [nameserver(State), ", UDP and TCP, in the VM that prints this"]}].

-spec name() -> string().
name() ->
    "dns".

-spec nameserver(#state{}) -> string().
nameserver(#state{server = Server}) ->
    caravan_dns_server:nameserver(Server).

-spec query() -> string().
query() ->
    ?QUERY.

%% Names that no other DNS server knows.
-spec host(pos_integer()) -> string().
host(Number) ->
    "node-" ++ integer_to_list(Number) ++ ".demo.internal".

-spec add(caravan_demo_registry:instance(), #state{}) -> {unicode:chardata(), #state{}}.
add(#{host := Host} = Instance, #state{server = Server, instances = Instances} = State) ->
    ok = caravan_dns_server:put(Server, Host, a, [{a, ?TTL, {127, 0, 0, 1}}]),
    Added = Instances ++ [Instance],
    ok = publish(Server, Added),
    {["added: ", srv_text(Instance)], State#state{instances = Added}}.

-spec remove(caravan_demo_registry:instance(), #state{}) -> {unicode:chardata(), #state{}}.
remove(#{host := Host} = Instance, #state{server = Server, instances = Instances} = State) ->
    Left = lists:delete(Instance, Instances),
    ok = publish(Server, Left),
    ok = caravan_dns_server:delete(Server, Host, a),
    {["removed: ", srv_text(Instance)], State#state{instances = Left}}.

publish(Server, []) ->
    caravan_dns_server:delete(Server, ?QUERY, srv);
publish(Server, Instances) ->
    Records = [{srv, ?TTL, 0, 0, Port, Host} || #{port := Port, host := Host} <- Instances],
    caravan_dns_server:put(Server, ?QUERY, srv, Records).

srv_text(#{host := Host, port := Port}) ->
    io_lib:format("~ts SRV 0 0 ~b ~ts", [?QUERY, Port, Host]).

-spec stop(#state{}) -> {ok, unicode:chardata()}.
stop(#state{server = Server}) ->
    ok = caravan_dns_server:stop(Server),
    {ok, "stopped"}.

-spec log(#state{}) -> [].
log(_State) ->
    [].
