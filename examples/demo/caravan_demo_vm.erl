%% A node of the demo, seen from outside: an operating system process `erl' with a pipe to its standard input and from
%% its standard output.
-module(caravan_demo_vm).

-export([write_config/3, start/2, send/2, kill/1, parse/1]).

-export_type([event/0, options/0]).

%% `directory' has the configuration; `epmd_port' is where epmd would be.
-type options() :: #{directory := file:filename(), epmd_port := inet:port_number(), cookie := string()}.

-type event() ::
    up
    | {gained, Node :: string()}
    | {lost, Node :: string(), Reason :: string()}
    | {peers, [Node :: string()]}
    | {log, Line :: binary()}.

-define(CONFIG, "node").
%% Nodes look this often, in milliseconds; the default of 5 s would make the demo long.
-define(POLL_INTERVAL_MS, 500).
-define(MAX_LINE, 4096).

%% Writes the configuration that all nodes share into a directory, and returns what it sets.
-spec write_config(file:filename(), Query :: string(), Nameserver :: string()) -> [{Key :: atom(), Value :: term()}].
write_config(Directory, Query, Nameserver) ->
    Topology = #{query => Query, node_basename => "app", poll_interval => ?POLL_INTERVAL_MS},
    Caravan = [{nameservers, [Nameserver]}, {topologies, [{demo, Topology}]}],
    File = filename:join(Directory, ?CONFIG ++ ".config"),
    ok = file:write_file(File, io_lib:format("~tp.~n", [[{caravan, Caravan}]])),
    Caravan.

%% Starts `erl' under a node name. The calling process gets what a port sends: `{data, {eol | noeol, Line}}' and
%% `{exit_status, Status}'.
-spec start(Node :: string(), options()) -> {port(), OsPid :: pos_integer()}.
start(Node, #{directory := Directory, epmd_port := EpmdPort, cookie := Cookie}) ->
    Vm = open_port({spawn_executable, filename:join([code:root_dir(), "bin", "erl"])}, [
        {args, distribution(Node, Cookie) ++ code(Directory)},
        {env, [{"ERL_EPMD_PORT", integer_to_list(EpmdPort)}]},
        {line, ?MAX_LINE},
        binary,
        exit_status,
        stderr_to_stdout
    ]),
    {os_pid, OsPid} = erlang:port_info(Vm, os_pid),
    {Vm, OsPid}.

%% The first two flags are Caravan's. Without -connect_all each connection of the mesh is made by discovery; by default
%% `global' would bring a node that is connected to one together with the others.
distribution(Node, Cookie) ->
    ["-start_epmd", "false", "-epmd_module", "caravan_epmd"] ++
        ["-name", Node, "-setcookie", Cookie, "-connect_all", "false"] ++
        ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"].

code(Directory) ->
    Paths = [filename:dirname(filename:absname(code:which(Module))) || Module <- [caravan_epmd, caravan_demo_node]],
    ["-noshell", "-pa"] ++ Paths ++ ["-config", filename:join(Directory, ?CONFIG), "-s", "caravan_demo_node"].

%% A command as caravan_demo_node reads it. The node may have ended meanwhile.
-spec send(port(), string()) -> ok.
send(Vm, Command) ->
    try
        true = port_command(Vm, [Command, $\n]),
        ok
    catch
        error:badarg -> ok
    end.

%% As the kernel does when memory runs out: the process gets no chance to say goodbye.
-spec kill(OsPid :: pos_integer()) -> ok.
kill(OsPid) ->
    _ = os:cmd("kill -KILL " ++ integer_to_list(OsPid)),
    ok.

%% A line of a node's output.
-spec parse(binary()) -> event().
parse(<<"demo: ", Said/binary>> = Line) ->
    case string:lexemes(binary_to_list(Said), " ") of
        ["up"] -> up;
        ["gained", Node] -> {gained, Node};
        ["lost", Node | Reason] -> {lost, Node, lists:flatten(lists:join(" ", Reason))};
        ["peers" | Nodes] -> {peers, Nodes};
        _ -> {log, Line}
    end;
parse(Line) ->
    {log, Line}.
