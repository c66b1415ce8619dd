%% @doc A real `erl' process, for tests of what a node does while it boots and of what nodes do to each other.
%%
%% The test controls the node over a TCP connection, which needs no distribution. The node connects when it has booted, and
%% again after `init:restart/0'; `await_boot/2' waits for that. When the connection closes, the node halts, so it does not
%% outlive the VM that started it. A node that never gets so far is killed when the process that started it ends.
-module(caravan_test_node).
-behaviour(gen_server).

-export([start_link/1, await_boot/1, await_boot/2, await_exit/1, await_output/2]).
-export([await_peer/2, await_peers/2, listening_ports/1, call/4, run/2, async/2, write/2, stop/1, kill/1]).
-export([serve/2, connected/1, connected_to/1, listening_ports/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([options/0, ended/0]).

-type options() :: #{flags => [string()], env => [{string(), string()}], code_path => [file:filename()],
                     cd => file:filename(), pty => boolean(), prefix => [string()],
                     control_ip => inet:ip4_address()}.

-type ended() :: {exited, Status :: non_neg_integer(), Output :: binary()}.

-type condition() :: {boot, pos_integer()} | {output, iodata()} | exit.

-record(state, {port :: port(),
                control = none :: gen_tcp:socket() | none,
                boots = 0 :: non_neg_integer(),
                exit = running :: running | non_neg_integer(),
                output = <<>> :: binary(),
                %% Requests are numbered because a reference changes when it is sent to a node that gets a name meanwhile.
                calls = #{} :: #{pos_integer() => gen_server:from()},
                last_call = 0 :: non_neg_integer(),
                waiters = [] :: [{gen_server:from(), condition()}]}).

%% A wait that reaches this limit fails the test; events come much sooner.
-define(HANG_GUARD, 60000).

%% @doc Starts a node and does not wait for its boot. Options:
%%
%% <ul>
%% <li>`flags': arguments of `erl' besides `-noshell'; `[]'.</li>
%% <li>`env': more environment variables; `[]'.</li>
%% <li>`code_path': directories for `-pa'; those of Caravan's modules.</li>
%% <li>`cd': the working directory; that of the test.</li>
%% <li>`pty': whether the node has a terminal and thus a shell; `false'.</li>
%% <li>`prefix': a command that runs the node, with its arguments; `[]'.</li>
%% <li>`control_ip': an address of the test that the node reaches; `{127,0,0,1}'.</li>
%% </ul>
-spec start_link(options()) -> {ok, pid()}.
start_link(Options) ->
    gen_server:start_link(?MODULE, Options, []).

%% @doc Waits until the node has booted, that is `await_boot(Node, 1)'.
-spec await_boot(pid()) -> ok | ended().
await_boot(Node) ->
    await_boot(Node, 1).

%% @doc Waits until the node has booted N times.
-spec await_boot(pid(), pos_integer()) -> ok | ended().
await_boot(Node, N) ->
    request(Node, {await, {boot, N}}).

%% @doc Waits until the node has ended. Its output, including standard error, is complete then.
-spec await_exit(pid()) -> ended().
await_exit(Node) ->
    request(Node, {await, exit}).

%% @doc Waits until the output of the node so far matches a regular expression.
-spec await_output(pid(), iodata()) -> ok | ended().
await_output(Node, Pattern) ->
    request(Node, {await, {output, Pattern}}).

%% @doc Waits until the node is connected to another one.
-spec await_peer(pid(), node()) -> ok.
await_peer(Node, Peer) ->
    call(Node, ?MODULE, connected, [Peer]).

%% @doc Waits until the node is connected to the given nodes and to no other.
-spec await_peers(pid(), [node()]) -> ok.
await_peers(Node, Peers) ->
    call(Node, ?MODULE, connected_to, [lists:sort(Peers)]).

%% @doc The TCP ports that the node listens on.
-spec listening_ports(pid()) -> [inet:port_number()].
listening_ports(Node) ->
    call(Node, ?MODULE, listening_ports, []).

%% @doc Calls a function in a process of its own in the node. Returns its result, or raises what it raises.
-spec call(pid(), module(), atom(), [term()]) -> term().
call(Node, Module, Function, Arguments) ->
    answer(request(Node, {call, {Module, Function, Arguments}})).

%% @doc As `call/4', with a function of a module that is on the node's code path.
-spec run(pid(), fun(() -> term())) -> term().
run(Node, Fun) ->
    call(Node, erlang, apply, [Fun, []]).

%% @doc Like `run/2', but does not wait; the caller receives `{Ref, Result}'.
-spec async(pid(), fun(() -> term())) -> reference().
async(Node, Fun) ->
    Caller = self(),
    Ref = make_ref(),
    _ = spawn_link(fun() -> Caller ! {Ref, run(Node, Fun)} end),
    Ref.

%% @doc Writes to the standard input or the terminal of the node.
-spec write(pid(), iodata()) -> ok.
write(Node, Text) ->
    request(Node, {write, Text}).

%% @doc Stops the node in order, with `init:stop/0'.
-spec stop(pid()) -> ended().
stop(Node) ->
    ok = call(Node, init, stop, []),
    await_exit(Node).

%% @doc Kills the node if it is still running. Returns after its process has ended.
-spec kill(pid()) -> ok.
kill(Node) ->
    gen_server:stop(Node, normal, ?HANG_GUARD).

request(Node, Request) ->
    try
        gen_server:call(Node, Request, ?HANG_GUARD)
    catch
        exit:{timeout, _} -> error({hangs, Request, gen_server:call(Node, output)})
    end.

answer({value, Value}) -> Value;
answer({exited, _, _} = Ended) -> error(Ended);
answer({Class, Reason, Stack}) -> erlang:raise(Class, Reason, Stack).

%% @private
init(Options) ->
    process_flag(trap_exit, true),
    ControlIp = maps:get(control_ip, Options, {127, 0, 0, 1}),
    {ok, Listen} = gen_tcp:listen(0, [binary, {packet, 4}, {active, false}, {ip, ControlIp}]),
    {ok, ControlPort} = inet:port(Listen),
    Server = self(),
    _ = spawn_link(fun() -> accept(Listen, Server) end),
    {ok, #state{port = open(ControlIp, ControlPort, Options)}}.

open(ControlIp, ControlPort, Options) ->
    Flags = vm_flags() ++ code_path(Options) ++ maps:get(flags, Options, []),
    Serve = ["-eval", serve_expression(ControlIp, ControlPort)],
    Command = program(maps:get(pty, Options, false), Flags ++ Serve),
    [Program | Arguments] = maps:get(prefix, Options, []) ++ Command,
    open_port({spawn_executable, os:find_executable(Program)},
              [{args, [unicode:characters_to_binary(Argument) || Argument <- Arguments]},
               {env, environment(maps:get(env, Options, []))}, {cd, maps:get(cd, Options, ".")},
               binary, exit_status, stderr_to_stdout, use_stdio, hide]).

%% Flags for all nodes of a run of tests.
vm_flags() -> string:lexemes(os:getenv("CARAVAN_TEST_VM_FLAGS", ""), " ").

program(false, Arguments) ->
    ["erl", "-noshell" | Arguments];
program(true, Arguments) ->
    Quoted = [["'", string:replace(Argument, "'", "'\\''", all), "' "] || Argument <- Arguments],
    ["script", "-qefc", lists:flatten(["exec erl ", Quoted]), "/dev/null"].

%% Loaded by its path, since a node with -mode embedded searches no module.
serve_expression(ControlIp, ControlPort) ->
    File = filename:rootname(code:where_is_file(?MODULE_STRING ".beam")),
    Expression = "{module, _} = code:load_abs(~p), ~p:serve(~w, ~b).",
    lists:flatten(io_lib:format(Expression, [File, ?MODULE, ControlIp, ControlPort])).

code_path(Options) ->
    Directories = maps:get(code_path, Options, [filename:dirname(code:where_is_file("caravan_epmd.beam"))]),
    lists:append([["-pa", Directory] || Directory <- Directories]).

%% Flags that a developer sets for all VMs do not apply to these nodes. A remote shell needs a type of terminal, which may be
%% unset where the tests run.
environment(Variables) ->
    Unset = [{Name, false} || Name <- ["ERL_FLAGS", "ERL_AFLAGS", "ERL_ZFLAGS", "ERL_LIBS", "ERL_INETRC"]],
    Set = [{"ERL_CRASH_DUMP", "/dev/null"}, {"TERM", "xterm"}],
    lists:ukeysort(1, Variables ++ Set ++ Unset).

accept(Listen, Server) ->
    case gen_tcp:accept(Listen) of
        {ok, Socket} ->
            ok = gen_tcp:controlling_process(Socket, Server),
            Server ! {control, Socket},
            accept(Listen, Server);
        {error, closed} ->
            ok
    end.

%% @private
handle_call({await, Condition}, From, #state{waiters = Waiters} = State) ->
    {noreply, answer_waiters(State#state{waiters = [{From, Condition} | Waiters]})};
handle_call({call, _}, _From, #state{exit = Status} = State) when Status =/= running ->
    {reply, ended(State), State};
handle_call({call, MFA}, From, #state{control = Socket, calls = Calls, last_call = Last} = State)
  when Socket =/= none ->
    ok = gen_tcp:send(Socket, term_to_binary({Last + 1, MFA})),
    {noreply, State#state{calls = Calls#{Last + 1 => From}, last_call = Last + 1}};
handle_call({call, _}, _From, State) ->
    {reply, {error, not_booted, []}, State};
handle_call({write, Text}, _From, #state{port = Port} = State) ->
    true = port_command(Port, Text),
    {reply, ok, State};
handle_call(output, _From, #state{output = Output} = State) ->
    {reply, Output, State}.

%% @private
handle_cast(_, State) ->
    {noreply, State}.

%% @private
handle_info({control, Socket}, #state{boots = Boots} = State) ->
    ok = inet:setopts(Socket, [{active, true}]),
    {noreply, answer_waiters(State#state{control = Socket, boots = Boots + 1})};
handle_info({tcp, Socket, Bytes}, #state{control = Socket, calls = Calls} = State) ->
    {Number, Result} = binary_to_term(Bytes),
    {From, Left} = maps:take(Number, Calls),
    gen_server:reply(From, Result),
    {noreply, State#state{calls = Left}};
handle_info({tcp_closed, Socket}, #state{control = Socket} = State) ->
    {noreply, State#state{control = none}};
handle_info({Port, {data, Bytes}}, #state{port = Port, output = Output} = State) ->
    {noreply, answer_waiters(State#state{output = <<Output/binary, Bytes/binary>>})};
handle_info({Port, {exit_status, Status}}, #state{port = Port, calls = Calls} = State) ->
    Ended = State#state{exit = Status, control = none, calls = #{}},
    lists:foreach(fun(From) -> gen_server:reply(From, ended(Ended)) end, maps:values(Calls)),
    {noreply, answer_waiters(Ended)};
handle_info(_, State) ->
    {noreply, State}.

answer_waiters(#state{waiters = Waiters} = State) ->
    State#state{waiters = [Waiter || {From, Condition} = Waiter <- Waiters,
                                     not answer_waiter(From, outcome(Condition, State))]}.

answer_waiter(_From, pending) ->
    false;
answer_waiter(From, Outcome) ->
    gen_server:reply(From, Outcome),
    true.

outcome({boot, N}, #state{boots = Boots}) when Boots >= N -> ok;
outcome({output, Pattern}, #state{output = Output} = State) ->
    case re:run(Output, Pattern, [unicode, {capture, none}]) of
        match -> ok;
        nomatch -> ended(State)
    end;
outcome(_, State) -> ended(State).

ended(#state{exit = running}) -> pending;
ended(#state{exit = Status, output = Output}) -> {exited, Status, Output}.

%% @private
terminate(_, #state{port = Port, exit = running}) ->
    case erlang:port_info(Port, os_pid) of
        {os_pid, Pid} -> _ = os:cmd("kill -KILL " ++ integer_to_list(Pid));
        undefined -> already_ended
    end,
    receive {Port, {exit_status, _}} -> ok after ?HANG_GUARD -> error(cannot_be_killed) end;
terminate(_, _) ->
    ok.

%% @doc Runs in the node: connects to the test after the boot and handles its requests.
-spec serve(inet:ip4_address(), inet:port_number()) -> pid().
serve(ControlIp, ControlPort) ->
    ok = note_lines(os:getenv("CARAVAN_TEST_LINES")),
    spawn(fun() ->
                  ok = await_started(),
                  case gen_tcp:connect(ControlIp, ControlPort, [binary, {packet, 4}, {active, false}]) of
                      {ok, Socket} -> serve_requests(Socket);
                      {error, _} -> halt(1)
                  end
          end).

%% Also loaded by its path.
note_lines(false) ->
    ok;
note_lines(_Directory) ->
    File = filename:join(filename:dirname(code:which(?MODULE)), "caravan_test_lines"),
    {module, caravan_test_lines} = code:load_abs(File),
    caravan_test_lines:keep_writing().

await_started() ->
    case init:notify_when_started(self()) of
        started -> ok;
        ok -> receive {init, started} -> ok end
    end.

serve_requests(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Bytes} ->
            _ = spawn(fun() -> serve_request(Socket, binary_to_term(Bytes)) end),
            serve_requests(Socket);
        {error, _} ->
            halt(1)
    end.

serve_request(Socket, {Number, {Module, Function, Arguments}}) ->
    Result = try
                 {value, apply(Module, Function, Arguments)}
             catch
                 Class:Reason:Stack -> {Class, Reason, Stack}
             end,
    %% The receiver of the result may kill this node.
    ok = write_lines(os:getenv("CARAVAN_TEST_LINES")),
    ok = gen_tcp:send(Socket, term_to_binary({Number, Result})).

write_lines(false) -> ok;
write_lines(_Directory) -> caravan_test_lines:write().

%% @doc Runs in the node: returns when it is connected to the given node.
-spec connected(node()) -> ok.
connected(Peer) ->
    ok = net_kernel:monitor_nodes(true, [{node_type, all}]),
    case lists:member(Peer, nodes(connected)) of
        true -> ok;
        false -> receive {nodeup, Peer, _} -> ok end
    end.

%% @doc Runs in the node: returns when it is connected to the given nodes and to no other.
-spec connected_to([node()]) -> ok.
connected_to(Peers) ->
    ok = net_kernel:monitor_nodes(true, [{node_type, all}]),
    await_connected(Peers).

await_connected(Peers) ->
    case lists:sort(nodes(connected)) of
        Peers -> ok;
        _ -> receive {Change, _, _} when Change =:= nodeup; Change =:= nodedown -> await_connected(Peers) end
    end.

%% @doc Runs in the node: returns the ports of its sockets without a peer.
-spec listening_ports() -> [inet:port_number()].
listening_ports() ->
    Sockets = [Port || Port <- erlang:ports(), erlang:port_info(Port, name) =:= {name, "tcp_inet"}],
    [Number || Socket <- Sockets,
               {error, enotconn} =:= inet:peername(Socket),
               {ok, Number} <- [inet:port(Socket)]].
