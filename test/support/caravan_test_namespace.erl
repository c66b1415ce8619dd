%% @doc Tests in a VM with a network and mounts of its own (namespaces(7)). No other process sees them, and they are gone
%% when the VM ends.
-module(caravan_test_namespace).

-export([call/3, output/3, enter/1]).

%% A wait that reaches this limit fails the test.
-define(HANG_GUARD, 170000).

%% @doc Calls a function without arguments in such a VM, after a shell command that needs the namespaces. If the command
%% fails, or there are no namespaces, prints SKIP. Raises if the function raises.
-spec call(Prepare :: string(), module(), Function :: atom()) -> ok.
call(Prepare, Module, Function) ->
    case output(Prepare, Module, Function) of
        {ok, _Output} -> ok;
        {skipped, Why} -> io:format(user, "SKIP: ~ts~n", [Why])
    end.

%% @doc Like call/3, but returns what the function printed, or why it was not called.
-spec output(Prepare :: string(), module(), Function :: atom()) -> {ok, binary()} | {skipped, iodata()}.
output(Prepare, Module, Function) ->
    case unshare(Prepare) of
        {0, _} ->
            {Status, Output} = unshare(Prepare ++ " && exec " ++ vm(Module, Function)),
            Status =:= 0 orelse error({Module, Function, unicode:characters_to_list(Output)}),
            {ok, Output};
        {_, Why} ->
            {skipped, ["no network namespaces: ", Why]}
    end.

vm(Module, Function) ->
    Paths = lists:usort([filename:dirname(code:which(Each)) || Each <- [caravan_nif, ?MODULE, Module]]),
    Words = ["erl", "-noshell", "-pa"] ++ Paths ++ ["-run", ?MODULE, "enter", Module, Function],
    lists:concat(lists:join(" ", Words)).

unshare(Command) ->
    case os:find_executable("unshare") of
        false -> {127, "there is no unshare(1)"};
        Unshare -> run(Unshare, ["--net", "--mount", "--map-root-user", "sh", "-c", Command])
    end.

run(Program, Arguments) ->
    Options = [{args, Arguments}, {env, [{"ERL_CRASH_DUMP", "/dev/null"}]}, exit_status, stderr_to_stdout, binary],
    output(open_port({spawn_executable, Program}, Options), <<>>).

output(Port, Text) ->
    receive
        {Port, {data, Data}} -> output(Port, <<Text/binary, Data/binary>>);
        {Port, {exit_status, Status}} -> {Status, string:trim(Text)}
    after ?HANG_GUARD -> error({hangs, Text})
    end.

%% @doc Runs in the VM, which ends with the one that has started it.
-spec enter([string()]) -> no_return().
enter([Module, Function]) ->
    _ = spawn(fun() -> eof = io:get_line(""), halt(1) end),
    {_, Monitor} = spawn_monitor(list_to_atom(Module), list_to_atom(Function), []),
    receive
        {'DOWN', Monitor, process, _, normal} -> halt(0);
        {'DOWN', Monitor, process, _, Reason} -> io:format("~0tp~n", [Reason]), halt(1)
    end.
