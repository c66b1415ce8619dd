%% @doc A real epmd, on the port of a network.
-module(caravan_test_epmd).

-export([with/2, start/1, start/2, stop/1]).

-export_type([epmd/0]).

-opaque epmd() :: port().

%% A wait that reaches this limit fails the test.
-define(HANG_GUARD, 60000).

%% @doc Calls a function while an epmd runs.
-spec with(caravan_test_network:network(), fun(() -> Result)) -> Result.
with(Network, Fun) ->
    Epmd = start(Network),
    try
        Fun()
    after
        stop(Epmd)
    end.

%% @doc Starts an epmd and waits until it listens.
-spec start(caravan_test_network:network()) -> epmd().
start(Network) ->
    start(Network, ["127.0.0.1"]).

%% @doc Like start/1, on some addresses of this machine, including `"127.0.0.1"'.
-spec start(caravan_test_network:network(), Addresses :: [string()]) -> epmd().
start(#{epmd_port := EpmdPort}, Addresses) ->
    Arguments = ["-port", integer_to_list(EpmdPort), "-address", lists:flatten(lists:join(",", Addresses))],
    Epmd = open_port({spawn_executable, os:find_executable("epmd")},
                     [{args, Arguments}, exit_status, stderr_to_stdout, hide]),
    ok = caravan_dns_fixture:await_value(listens, fun() -> listens(EpmdPort) end),
    Epmd.

listens(EpmdPort) ->
    case gen_tcp:connect({127, 0, 0, 1}, EpmdPort, [{active, false}]) of
        {ok, Socket} -> ok = gen_tcp:close(Socket), listens;
        {error, Reason} -> Reason
    end.

%% @doc Stops an epmd, which may have stopped already. Returns after its process has ended.
-spec stop(epmd()) -> ok.
stop(Epmd) ->
    case erlang:port_info(Epmd, os_pid) of
        {os_pid, Pid} ->
            _ = os:cmd("kill -KILL " ++ integer_to_list(Pid)),
            receive {Epmd, {exit_status, _}} -> flush(Epmd) after ?HANG_GUARD -> error(cannot_be_killed) end;
        undefined ->
            ok
    end.

flush(Epmd) ->
    receive
        {Epmd, {data, _}} -> flush(Epmd)
    after 0 -> ok
    end.
