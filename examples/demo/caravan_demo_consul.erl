%% A real Consul agent in dev mode, in its own process, as the registry: services through its HTTP API, SRV records from
%% its DNS port.
-module(caravan_demo_consul).
-behaviour(caravan_demo_registry).

-export([title/0, start/1, facts/1, name/0, nameserver/1, query/0, host/1, add/2, remove/2, stop/1, log/1]).
-export([os_pid/1, ports/1]).

-record(state, {
    agent :: port(),
    os_pid :: string(),
    version :: string(),
    ports :: ports(),
    log :: file:filename()
}).

%% For HTTP, DNS, Serf in the LAN and in the WAN, and the server's RPC.
-type ports() :: [inet:port_number()].

-define(QUERY, "app.service.consul").
-define(ATTEMPTS, 3).
-define(HTTP_TIMEOUT_MS, 5000).
-define(PROBE_INTERVAL_MS, 50).
-define(STOP_TIMEOUT_MS, 10000).

%% Runs the agent and ends it by the first line of standard input or by its end, so that it outlives nobody who started
%% it. The first line of output is the agent's process id.
-define(RUN_UNTIL_INPUT,
    "log=$1; shift; exec 3<&0; \"$@\" >\"$log\" 2>&1 3<&- & agent=$!; echo $agent; "
    %% Must not hold standard output open: a port reports the end of its program only when that is closed.
    "{ read -r line <&3; kill $agent; } >/dev/null 2>&1 & watcher=$!; "
    "wait $agent; status=$?; kill $watcher 2>/dev/null; exit $status"
).

-spec title() -> unicode:chardata().
title() ->
    "Erlang nodes without epmd, found through a Consul agent".

%% Returns when the agent has a leader, from which on it takes registrations.
-spec start(caravan_demo_registry:settings()) -> {ok, #state{}} | {error, unicode:chardata() | interrupted}.
start(Settings) ->
    {ok, _} = application:ensure_all_started(inets),
    start(Settings, ?ATTEMPTS).

start(#{timeout := Timeout} = Settings, Attempts) ->
    State = run_agent(Settings),
    Deadline = erlang:monotonic_time(millisecond) + Timeout,
    case {await_leader(State, Deadline), Attempts} of
        {ok, _} ->
            {ok, State};
        %% Another program may have taken one of the ports.
        {ended, More} when More > 1 ->
            start(Settings, Attempts - 1);
        {ended, _} ->
            {error, ["the Consul agent ended: ", last_line(State)]};
        {Failure, _} ->
            _ = stop(State),
            {error, reason(Failure, State)}
    end.

run_agent(#{directory := Directory, consul := Consul} = Settings) ->
    Ports = maps:get(ports, Settings, caravan_demo_net:free_ports(5)),
    Log = filename:join(Directory, "consul.log"),
    PortsOption = io_lib:format(
        "ports { http = ~b dns = ~b serf_lan = ~b serf_wan = ~b server = ~b grpc = -1 }", Ports
    ),
    Arguments =
        ["agent", "-dev", "-node", "demo", "-bind", "127.0.0.1", "-client", "127.0.0.1"] ++
            ["-hcl", "disable_update_check = true", "-hcl", lists:flatten(PortsOption)],
    Agent = open_port({spawn_executable, "/bin/sh"}, [
        {args, ["-c", ?RUN_UNTIL_INPUT, "sh", Log, Consul | Arguments]}, {line, 80}, exit_status
    ]),
    OsPid = receive {Agent, {data, {eol, Line}}} -> Line end,
    #state{agent = Agent, os_pid = OsPid, version = version(Consul), ports = Ports, log = Log}.

version(Consul) ->
    hd(string:split(os:cmd("'" ++ Consul ++ "' version"), "\n")).

%% A program that is not yet listening sends no event; so it is asked again and again.
await_leader(#state{agent = Agent} = State, Deadline) ->
    case request(get, "/v1/status/leader", "", State) of
        {ok, "\"\""} -> probe_again(Agent, State, Deadline);
        {ok, _Leader} -> ok;
        {error, _} -> probe_again(Agent, State, Deadline)
    end.

probe_again(Agent, State, Deadline) ->
    receive
        {Agent, {exit_status, _}} -> ended;
        interrupted -> interrupted
    after ?PROBE_INTERVAL_MS ->
        case erlang:monotonic_time(millisecond) < Deadline of
            true -> await_leader(State, Deadline);
            false -> timeout
        end
    end.

reason(interrupted, _State) -> interrupted;
reason(timeout, State) -> ["the Consul agent has no leader; its last line: ", last_line(State)].

last_line(State) ->
    case log(State) of
        [] -> "";
        Lines -> lists:last(Lines)
    end.

-spec facts(#state{}) -> [{string(), unicode:chardata()}].
facts(#state{version = Version, os_pid = OsPid} = State) ->
    [
        {"Consul", [Version, ", agent -dev, OS process ", OsPid]},
        {"HTTP API", url("", State)},
        {"DNS", nameserver(State)}
    ].

-spec name() -> string().
name() ->
    "consul".

-spec nameserver(#state{}) -> string().
nameserver(#state{ports = [_Http, Dns | _]}) ->
    "127.0.0.1:" ++ integer_to_list(Dns).

-spec query() -> string().
query() ->
    ?QUERY.

%% Consul makes the target from the address of the service, in hexadecimal digits.
-spec host(pos_integer()) -> string().
host(_Number) ->
    "7f000001.addr.dc1.consul".

-spec add(caravan_demo_registry:instance(), #state{}) -> {unicode:chardata(), #state{}}.
add(#{id := Id, port := Port}, State) ->
    Body = io_lib:format("{\"ID\":\"~ts\",\"Name\":\"app\",\"Address\":\"127.0.0.1\",\"Port\":~b}", [Id, Port]),
    put("/v1/agent/service/register", unicode:characters_to_list(Body), State).

-spec remove(caravan_demo_registry:instance(), #state{}) -> {unicode:chardata(), #state{}}.
remove(#{id := Id}, State) ->
    put("/v1/agent/service/deregister/" ++ Id, "", State).

put(Path, Body, State) ->
    {ok, _} = request(put, Path, Body, State),
    {string:trim(["PUT ", Path, " ", Body]), State}.

request(Method, Path, Body, State) ->
    Url = url(Path, State),
    Request = case Method of get -> {Url, []}; put -> {Url, [], "application/json", Body} end,
    %% Without `ssl', httpc of OTP 27 and 29 asks for the system's CA certificates, and raises where there are none.
    case httpc:request(Method, Request, [{timeout, ?HTTP_TIMEOUT_MS}, {ssl, []}], []) of
        {ok, {{_, 200, _}, _, Answer}} -> {ok, string:trim(Answer)};
        {ok, {{_, Status, _}, _, Answer}} -> {error, {Status, Answer}};
        {error, Reason} -> {error, Reason}
    end.

url(Path, #state{ports = [Http | _]}) ->
    "http://127.0.0.1:" ++ integer_to_list(Http) ++ Path.

%% The process of the agent.
-spec os_pid(#state{}) -> string().
os_pid(#state{os_pid = OsPid}) ->
    OsPid.

%% Where it listens; as a setting, `ports', they make an agent take the place of one that has ended.
-spec ports(#state{}) -> ports().
ports(#state{ports = Ports}) ->
    Ports.

-spec stop(#state{}) -> {ok, unicode:chardata()} | {error, unicode:chardata()}.
stop(#state{agent = Agent, os_pid = OsPid}) ->
    ok = caravan_demo_vm:send(Agent, "stop"),
    receive
        {Agent, {exit_status, _}} -> {ok, ["OS process ", OsPid, " ended"]}
    after ?STOP_TIMEOUT_MS ->
        ok = caravan_demo_vm:kill(list_to_integer(OsPid)),
        {error, "the Consul agent did not end when it was told to, and was killed"}
    end.

-spec log(#state{}) -> [string()].
log(#state{log = Log}) ->
    case file:read_file(Log) of
        {ok, Text} -> string:lexemes(unicode:characters_to_list(Text), "\n");
        {error, _} -> []
    end.
