%% @doc Runs EUnit modules at the same time, each in a VM of its own, since most of them mostly wait for nodes.
%%
%% ```
%% erl -noshell -pa EBIN -run caravan_test_runner main JOBS RECORD MODULE...
%% '''
%%
%% Prints the output of each module when it has ended. At the end prints the output of modules with failures again, which
%% tests failed, and how many passed. `RECORD' is a file that gets a line for each test: its milliseconds, a tab, its name.
%% The modules that took longest in the last record run first.
-module(caravan_test_runner).

-export([main/1, run_module/1]).
%% Callbacks of eunit_listener:
-export([start/1, init/1, handle_begin/3, handle_end/3, handle_cancel/3, terminate/2]).

%% A module that takes longer has hung.
-define(HANG_GUARD_MS, 600000).

%% Tests take their ports from a share of this range: see caravan_test_network:free_port/0.
-define(FIRST_PORT, 10000).
-define(PORTS, 20000).

-type totals() :: #{pass := non_neg_integer(), fail := non_neg_integer(), skip := non_neg_integer()}.

-spec main([string()]) -> no_return().
main([Jobs, Record | Modules]) ->
    Slots = lists:seq(0, list_to_integer(Jobs) - 1),
    Queue = slowest_first(Modules, read_record(Record)),
    ok = filelib:ensure_dir(Record),
    _ = file:delete(Record),
    {Totals, Times, Failed, Outputs} = run(Queue, Slots, {length(Slots), Record}, #{}, {#{pass => 0, fail => 0, skip => 0}, [], [], []}),
    Lines = [io_lib:format("~b\t~ts~n", [Ms, Name]) || {Ms, Name} <- Times],
    ok = file:write_file(Record, unicode:characters_to_binary(Lines)),
    #{pass := Pass, fail := Fail, skip := Skip} = Totals,
    _ = [io:format("~n~ts", [Output]) || Output <- lists:reverse(Outputs)],
    _ = [io:format("failed: ~ts~n", [Name]) || Name <- lists:reverse(Failed)],
    io:format("~b passed, ~b failed, ~b skipped~n", [Pass, Fail, Skip]),
    halt(exit_status(Totals)).

exit_status(#{pass := Pass, fail := 0}) when Pass > 0 -> 0;
exit_status(_Totals) -> 1.

%% One VM for each free slot. Each slot has a share of the ports.
run([], _Free, _Jobs, Running, Sums) when map_size(Running) =:= 0 ->
    Sums;
run([Module | Queue], [Slot | Free], {Jobs, Record} = Shared, Running, Sums) ->
    Results = Record ++ "." ++ Module,
    _ = file:delete(Results),
    Vm = start_vm(Module, Results, Slot, Jobs),
    run(Queue, Free, Shared, Running#{Vm => {Module, Results, Slot, []}}, Sums);
run(Queue, Free, Shared, Running, Sums) ->
    receive
        {Vm, {data, Text}} ->
            {Module, Results, Slot, Output} = maps:get(Vm, Running),
            run(Queue, Free, Shared, Running#{Vm := {Module, Results, Slot, [Output, Text]}}, Sums);
        {Vm, {exit_status, Status}} ->
            {{Module, Results, Slot, Output}, Others} = maps:take(Vm, Running),
            Printed = io_lib:format("==> ~ts~n~ts~n", [Module, Output]),
            io:put_chars(Printed),
            run(Queue, [Slot | Free], Shared, Others, ended(Module, Status, file:consult(Results), Printed, Sums));
        {timeout, _, {hangs, Vm}} ->
            ok = kill(Vm),
            run(Queue, Free, Shared, Running, Sums)
    end.

%% The end of the port is handled like an exit status.
kill(Vm) ->
    case erlang:port_info(Vm, os_pid) of
        {os_pid, Pid} ->
            io:format("A module hangs; its VM, OS process ~b, is killed.~n", [Pid]),
            _ = os:cmd("kill -KILL " ++ integer_to_list(Pid)),
            ok;
        undefined ->
            ok
    end.

start_vm(Module, Results, Slot, Jobs) ->
    Share = ?PORTS div Jobs,
    First = ?FIRST_PORT + Slot * Share,
    Paths = lists:append([["-pa", Path] || Path <- paths()]),
    Vm = open_port({spawn_executable, os:find_executable("erl")}, [
        {args, ["+Bd", "-noshell"] ++ Paths ++ ["-run", ?MODULE_STRING, "run_module", Module, Results]},
        {env, [{"CARAVAN_TEST_PORTS", lists:concat([First, "-", First + Share - 1])}]},
        exit_status,
        stderr_to_stdout,
        binary
    ]),
    _ = erlang:start_timer(?HANG_GUARD_MS, self(), {hangs, Vm}),
    Vm.

paths() ->
    Modules = [?MODULE, caravan_nif, caravan_demo, caravan_task_tests, caravan_sim_network],
    lists:usort([filename:absname(filename:dirname(code:which(Module))) || Module <- Modules]).

%% A VM that ends without a count of its tests has failed, whatever its status, and so has a module without tests.
ended(Module, Status, {ok, Results}, Printed, {Totals, Times, Failed, Outputs}) ->
    #{fail := Fail} = Counts = counts(Status, [Counts || {totals, Counts} <- Results]),
    Names = failed(Fail, Module, [Name || {failed, Name} <- Results]),
    {add(Counts, Totals), [{Ms, Name} || {test, Ms, Name} <- Results] ++ Times, Names ++ Failed, [Printed || Fail > 0] ++ Outputs};
ended(Module, _Status, {error, _}, Printed, {Totals, Times, Failed, Outputs}) ->
    {add(counts(1, []), Totals), Times, failed(1, Module, []) ++ Failed, [Printed | Outputs]}.

failed(0, _Module, _Names) -> [];
failed(_Fail, Module, []) -> [Module];
failed(_Fail, _Module, Names) -> Names.

counts(_Status, [#{pass := 0, fail := 0, skip := 0} = None]) -> None#{fail := 1};
counts(0, [#{} = Counts]) -> Counts;
counts(_Status, [#{fail := Fail} = Counts]) -> Counts#{fail := max(1, Fail)};
counts(_Status, []) -> #{pass => 0, fail => 1, skip => 0}.

-spec add(totals(), totals()) -> totals().
add(Counts, Totals) ->
    maps:map(fun(Key, Total) -> Total + maps:get(Key, Counts) end, Totals).

read_record(File) ->
    case file:read_file(File) of
        {ok, Text} -> [string:split(Line, "\t") || Line <- string:split(Text, "\n", all), Line =/= <<>>];
        {error, _} -> []
    end.

%% Without a record, the given order.
slowest_first(Modules, Record) ->
    Times = lists:foldl(fun add_time/2, #{}, Record),
    Ranked = [{-maps:get(list_to_binary(Module), Times, 0), Module} || Module <- Modules],
    [Module || {_, Module} <- lists:keysort(1, Ranked)].

add_time([Ms, Name], Times) ->
    [Module | _] = string:split(Name, ":"),
    maps:update_with(Module, fun(Sum) -> Sum + binary_to_integer(Ms) end, binary_to_integer(Ms), Times).

%% @doc Runs in a VM of its own: runs the tests of one module and writes the result of each to a file.
-spec run_module([string()]) -> no_return().
run_module([Name, Results]) ->
    Module = list_to_atom(Name),
    %% If the VM that started this one has ended, the results are not read.
    Guard = spawn(fun() -> eof = io:get_line(""), halt(1) end),
    {ok, File} = file:open(Results, [write, {encoding, utf8}]),
    Result = eunit:test(Module, [verbose, {report, {?MODULE, [Module, File]}}]),
    ok = caravan_test_lines:write(),
    %% Standard input also ends with that VM.
    true = exit(Guard, kill),
    %% The output of the tests is flushed before the VM ends.
    init:stop(case Result of ok -> 0; _ -> 1 end),
    receive after infinity -> ok end.

%% @private
start([Module, File]) ->
    eunit_listener:start(?MODULE, [{Module, File}]).

%% @private
init([State]) ->
    State.

%% @private
handle_begin(_Kind, _Data, State) ->
    State.

%% @private
handle_end(test, Data, {Module, _File} = State) ->
    Name = test_name(Module, Data),
    failed_test(proplists:get_value(status, Data), Name, write({test, proplists:get_value(time, Data, 0), Name}, State));
handle_end(group, _Data, State) ->
    State.

%% @private
handle_cancel(test, Data, {Module, _File} = State) ->
    write({failed, test_name(Module, Data)}, State);
handle_cancel(group, _Data, State) ->
    State.

failed_test({error, _Why}, Name, State) -> write({failed, Name}, State);
failed_test(_Passed, _Name, State) -> State.

%% A cancelled test, such as one that takes too long, has not passed.
%% @private
terminate({ok, Data}, State) ->
    Counts = maps:with([pass, fail, skip], maps:from_list(Data)),
    Cancelled = proplists:get_value(cancel, Data, 0),
    _ = write({totals, maps:update_with(fail, fun(Fail) -> Fail + Cancelled end, Counts)}, State),
    ok;
terminate({error, _Reason}, _State) ->
    ok.

test_name(Module, Data) ->
    {_Module, Function, _Arity} = proplists:get_value(source, Data, {Module, unknown, 0}),
    lists:flatten(io_lib:format("~ts: ~ts ~ts", [Module, Function, description(proplists:get_value(desc, Data))])).

description(Text) when is_list(Text); is_binary(Text) -> Text;
description(_None) -> "".

write(Term, {_Module, File} = State) ->
    ok = io:format(File, "~0p.~n", [Term]),
    State.
