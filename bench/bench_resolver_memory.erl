%% Resident memory: over a million lookups, and of lookups that wait for an answer. Each in a VM of its own: memory that
%% one leaves behind free would hide what the other takes.
-module(bench_resolver_memory).

-export([in_flight/1, million/1]).

-define(ROW, #{transport => udp, records => 3, callers => 100, condition => calm}).
-define(STEPS, 10).
-define(STEP_LOOKUPS, 100000).
%% As many as there may be to one nameserver, nearly.
-define(IN_FLIGHT, 4000).
-define(SETTLE_MS, 1000).
-define(MAX_NATIVE_BYTES, 8192).
%% Of the second half over the first. The VM's allocators alone let single steps differ by more.
-define(MAX_GROWTH_KIB, 2048).

-spec in_flight(inet:port_number()) -> ok | failed.
in_flight(Server) ->
    warm_up(Server),
    {ok, Silent} = gen_udp:open(0, [{ip, {127, 0, 0, 1}}, {active, false}]),
    {ok, Port} = inet:port(Silent),
    {ok, Resolver} = caravan_dns:open(#{
        nameservers => ["127.0.0.1:" ++ integer_to_list(Port)], transport => udp, timeout => 60000, tries => 1, max_inflight => 4096
    }),
    {Resident, Vm} = memory(),
    Refs = [caravan_dns:lookup_async(name(Number), srv, #{resolver => Resolver}) || Number <- lists:seq(1, ?IN_FLIGHT)],
    {ResidentThen, VmThen} = memory(),
    %% All of them are in flight still.
    {message_queue_len, 0} = process_info(self(), message_queue_len),
    lists:foreach(fun caravan_dns:cancel/1, Refs),
    ok = gen_udp:close(Silent),
    Each = (ResidentThen - Resident) * 1024 div ?IN_FLIGHT,
    OfVm = (VmThen - Vm) div ?IN_FLIGHT,
    io:format("A lookup in flight, of ~b without an answer: ~b bytes of resident memory more; ~b by the VM's own account.~n", [
        ?IN_FLIGHT, Each, OfVm
    ]),
    verdict(Each < ?MAX_NATIVE_BYTES, "under 8 KiB").

%% Equal lookups would join one.
name(Number) ->
    iolist_to_binary(["c", integer_to_list(Number), "._app._tcp.bench.test"]).

-spec million(inet:port_number()) -> ok | failed.
million(Server) ->
    warm_up(Server),
    io:format("~10s ~14s ~10s~n", ["lookups", "resident KiB", "failures"]),
    Steps = [step(Step, ?ROW, Server) || Step <- lists:seq(1, ?STEPS)],
    {First, Second} = lists:split(?STEPS div 2, [Resident || {_, Resident} <- Steps]),
    Growth = lists:max(Second) - lists:max(First),
    io:format("Most of the second half less most of the first: ~b KiB.~n", [Growth]),
    worst([
        verdict(Growth =< ?MAX_GROWTH_KIB, "flat (2 MiB)"),
        verdict(lists:all(fun({Failures, _}) -> Failures =:= 0 end, Steps), "no failure")
    ]).

warm_up(Server) ->
    #{failures := 0} = bench_resolver_load:measure(caravan, ?ROW, 1000, Server),
    ok.

worst(Results) ->
    case lists:member(failed, Results) of
        true -> failed;
        false -> ok
    end.

step(Step, Row, Server) ->
    %% In a process of its own, so that what the bench itself gathers goes with it.
    {Pid, Monitor} = spawn_monitor(fun() ->
        #{failures := Failures} = bench_resolver_load:measure(caravan, Row, ?STEP_LOOKUPS, Server),
        exit({failures, Failures})
    end),
    Failures = receive {'DOWN', Monitor, process, Pid, {failures, Count}} -> Count end,
    {Resident, _} = memory(),
    io:format("~10b ~14b ~10b~n", [Step * ?STEP_LOOKUPS, Resident, Failures]),
    {Failures, Resident}.

verdict(true, Aim) -> io:format("Reached: ~s.~n", [Aim]), ok;
verdict(false, Aim) -> io:format("Missed: ~s.~n", [Aim]), failed.

%% Resident KiB of this process, and bytes that the VM knows of.
memory() ->
    timer:sleep(?SETTLE_MS),
    lists:foreach(fun erlang:garbage_collect/1, processes()),
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [KiB]} = re:run(Status, "VmRSS:\\s+(\\d+) kB", [{capture, all_but_first, binary}]),
    {binary_to_integer(KiB), erlang:memory(total)}.
