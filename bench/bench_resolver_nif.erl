%% The longest calls into native code. A scheduler that the operating system stops in the middle of a call makes it long
%% as well: beside each longest call stands that of a call that does next to nothing, measured the same way, in turn.
-module(bench_resolver_nif).

-export([run/1]).

-define(ROUNDS, 10).
-define(CALLS, 1000).
-define(MAX_US, 100).

-spec run(inet:port_number()) -> ok | failed.
run(Server) ->
    Address = iolist_to_binary(["127.0.0.1:", integer_to_list(Server)]),
    Label = binary:copy(<<"a">>, 49),
    Long = iolist_to_binary([lists:duplicate(4, [Label, "."]), "bench.test"]),
    Resolver = bench_resolver_load:resolver(udp, Server),
    Huge = binary:copy(<<"a.">>, 5000000),
    Many = [Address || _ <- lists:seq(1, 16)],
    Options = #{
        nameservers => Many, transport => auto, timeout => 5000, tries => 3, rotate => false, edns_size => 4096,
        mixed_case => false, search => default, hosts_file => <<"/etc/hosts">>, max_inflight => 128, max_queue => 100000,
        srv_order => false, cache => {1000, 3600, 60}
    },
    {First, {ok, _}} = timed(fun() -> lookup(Resolver, <<"c1._app-3._tcp.bench.test">>, [Address], udp) end),
    io:format("The first lookup, which starts the thread: ~.1f us~n~n", [First / 1000]),
    io:format("~b calls each, us; least: the least of the longest calls of ~b rounds~n", [?ROUNDS * ?CALLS, ?ROUNDS]),
    io:format("~-46s ~8s ~8s ~8s ~8s ~14s ~14s~n", ["", "median", "p99.9", "least", "longest", "over 100 us", "control over"]),
    Longest = [row(Name, Call) || {Name, Call} <- [
        {"lookup/8: UDP", fun() -> lookup(Resolver, <<"c1._app-3._tcp.bench.test">>, [Address], udp) end},
        {"lookup/8: longest name, 16 nameservers", fun() -> lookup(Resolver, Long, Many, auto) end},
        {"lookup/8: TCP", fun() -> lookup(Resolver, <<"c1._app-3._tcp.bench.test">>, [Address], tcp) end},
        {"lookup/8: a name of 10 MB", fun() -> lookup(Resolver, Huge, [Address], udp) end},
        {"lookup/8 and cancel/1", fun() -> lookup_and_cancel(Resolver, Address) end},
        {"open/1: 16 nameservers", fun() -> caravan_nif:open(Options) end},
        {"open/1 and close/1", fun() -> caravan_nif:close(caravan_nif:open(Options)) end},
        {"stats/1", fun() -> caravan_nif:stats(Resolver) end},
        {"dist_port/1: a string of 10,000 characters", dist_port(lists:duplicate(10000, $1))},
        {"dist_port/1: a binary of 10 MB", dist_port(Huge)},
        {"node_name/1: a text of 10 MB", fun() -> caravan_nif:node_name(Huge) end},
        {"is_nameserver/1: a text of 10 MB", fun() -> caravan_nif:is_nameserver(Huge) end}
    ]],
    verdict(lists:max(Longest)).

verdict(Least) when Least =< ?MAX_US * 1000 -> io:format("~nReached: no call takes over 100 us in every round.~n"), ok;
verdict(_Least) -> io:format("~nMissed: a call takes over 100 us in every round.~n"), failed.

dist_port(Name) -> fun() -> caravan_nif:dist_port(Name) end.

lookup(Resolver, Name, Nameservers, Transport) ->
    caravan_nif:lookup(Resolver, Name, srv, Nameservers, Transport, 5000, default, own).

lookup_and_cancel(Resolver, Address) ->
    {ok, Ref} = lookup(Resolver, <<"c1._app-3._tcp.bench.test">>, [Address], udp),
    caravan_nif:cancel(Ref).

row(Name, Call) ->
    Rounds = [{times(Call), times(fun() -> caravan_nif:is_nameserver(<<>>) end)} || _ <- lists:seq(1, ?ROUNDS)],
    Times = lists:sort(lists:append([Own || {Own, _} <- Rounds])),
    Control = lists:append([Empty || {_, Empty} <- Rounds]),
    Least = lists:min([lists:max(Own) || {Own, _} <- Rounds]),
    io:format("~-46s ~8.2f ~8.2f ~8.2f ~8.1f ~14b ~14b~n", [
        Name, share(0.5, Times), share(0.999, Times), Least / 1000, lists:last(Times) / 1000, over(Times), over(Control)
    ]),
    Least.

share(Share, Sorted) -> lists:nth(ceil(Share * length(Sorted)), Sorted) / 1000.

over(Times) -> length([Time || Time <- Times, Time > ?MAX_US * 1000]).

times(Call) -> [alone(Call) || _ <- lists:seq(1, ?CALLS)].

%% Every call in a process of its own: no heap is collected in the middle of one.
alone(Call) ->
    {Pid, Monitor} = spawn_opt(fun() -> exit({time, settled(Call)}) end, [monitor, {min_heap_size, 1000}]),
    receive
        {'DOWN', Monitor, process, Pid, {time, Time}} -> Time;
        {'DOWN', Monitor, process, Pid, Reason} -> error({no_such_call, Reason})
    end.

%% Waits for the answer outside of the measured time: a thread that competes for the processor is none of the call's.
%% Answers are small for the same reason: another thread of the VM gives the memory of large ones back.
settled(Call) ->
    {Time, Result} = timed(Call),
    case Result of
        {ok, Ref} when is_reference(Ref) -> receive {caravan_dns, Ref, _} -> ok end;
        _ -> ok
    end,
    Time.

timed(Call) ->
    Start = erlang:monotonic_time(nanosecond),
    Result = Call(),
    {erlang:monotonic_time(nanosecond) - Start, Result}.
