%% Answers from the cache, beside ets:lookup/2 of the same term in the process that asks, and what a read there would take.
-module(bench_resolver_cached).

-export([measure/1, table/1, rows/1]).

-type measured() :: #{
    records := pos_integer(), callers := pos_integer(),
    %% Nanoseconds a read, and the medians of the ratios of the rounds to ets:lookup/2.
    times := #{reader() => float()}, ratios := #{reader() => float()}
}.
%% `lookup' is caravan_dns:lookup/3. `in_caller' is what is left of it without the way through the resolver's thread: a call of
%% the library that reads the name, the octets of the answer from a table, and the maps that are made of them.
-type reader() :: lookup | ets | in_caller.

-define(READERS, [lookup, ets, in_caller]).
-define(CASES, [{3, 1}, {3, 100}, {50, 1}]).
-define(ROUNDS, 5).
-define(READS, 20000).
-define(AIM, {at_most, 20}).

-spec measure(inet:port_number()) -> [measured()].
measure(Server) ->
    {ok, Resolver} = caravan_dns:open(#{
        nameservers => ["127.0.0.1:" ++ integer_to_list(Server)], transport => udp, cache => true
    }),
    Table = ets:new(?MODULE, [{read_concurrency, true}]),
    Measured = [measure(Records, Callers, Resolver, Table) || {Records, Callers} <- ?CASES],
    {ok, #{cache_hits := Hits, queries := Queries}} = caravan_dns:stats(Resolver),
    %% Answers grow old while they are read.
    true = Queries * 100 < Hits,
    true = ets:delete(Table),
    ok = caravan_dns:close(Resolver),
    Measured.

measure(Records, Callers, Resolver, Table) ->
    Name = list_to_binary(bench_resolver_load:name(Records, 1)),
    {ok, #{records := Answered} = Answer} = caravan_dns:lookup(Name, srv, #{resolver => Resolver}),
    Records = length(Answered),
    true = ets:insert(Table, [{Name, Answer}, {{packed, Name}, packed(Name, Resolver)}]),
    Rounds = [
        maps:from_list([{Reader, time(read(Reader, Name, Resolver, Table), Callers)} || Reader <- ?READERS])
     || _ <- lists:seq(1, ?ROUNDS)
    ],
    #{
        records => Records, callers => Callers,
        times => medians(Rounds, fun(Reader, Round) -> maps:get(Reader, Round) end),
        ratios => medians(Rounds, fun(Reader, #{ets := Ets} = Round) -> maps:get(Reader, Round) / Ets end)
    }.

medians(Rounds, Value) ->
    maps:from_list([{Reader, bench_report:median([Value(Reader, Round) || Round <- Rounds])} || Reader <- ?READERS]).

%% As the library hands it to a process that waits.
packed(Name, Resolver) ->
    Ref = make_ref(),
    {ok, _, _} = caravan_nif:lookup(Resolver, Name, srv, default, default, default, default, Ref),
    receive {caravan_dns, Ref, {ok, _} = Packed} -> Packed end.

read(lookup, Name, Resolver, _Table) ->
    Options = #{resolver => Resolver},
    fun() -> {ok, _} = caravan_dns:lookup(Name, srv, Options) end;
read(ets, Name, _Resolver, Table) ->
    fun() -> [{_, _}] = ets:lookup(Table, Name) end;
read(in_caller, Name, _Resolver, Table) ->
    Key = {packed, Name},
    fun() ->
        true = caravan_nif:is_dns_name(Name),
        [{_, Packed}] = ets:lookup(Table, Key),
        caravan_packed_answer:unpack(Packed)
    end.

%% Nanoseconds that a read takes, by the time that all callers need together.
time(Read, Callers) ->
    Each = ?READS div Callers,
    Start = erlang:monotonic_time(nanosecond),
    Workers = [spawn_monitor(fun() -> repeat(Read, Each) end) || _ <- lists:seq(1, Callers)],
    lists:foreach(fun({Pid, Monitor}) -> receive {'DOWN', Monitor, process, Pid, normal} -> ok end end, Workers),
    (erlang:monotonic_time(nanosecond) - Start) / (Each * Callers).

repeat(_Read, 0) -> ok;
repeat(Read, Times) -> _ = Read(), repeat(Read, Times - 1).

-spec table([measured()]) -> ok.
table(Measured) ->
    io:format(
        "~nAn answer from the cache beside ets:lookup/2 of the same term: nanoseconds a read, medians of ~b interleaved rounds.~n"
        "read in the caller: a call of the library with the name, ets:lookup/2 of the octets, and the maps made of them, which is~n"
        "what lookup/3 would take without the way through the resolver's thread. /e: ratio to ets:lookup/2.~n~n",
        [?ROUNDS]
    ),
    io:format("~8s ~8s ~10s ~7s ~12s ~20s ~7s ~s~n", [
        "records", "callers", "lookup/3", "/e", "ets:lookup/2", "read in the caller", "/e", " short of"
    ]),
    lists:foreach(fun line/1, Measured).

line(#{
    records := Records, callers := Callers,
    times := #{lookup := Lookup, ets := Ets, in_caller := InCaller}, ratios := #{lookup := Ratio, in_caller := InCallerRatio}
}) ->
    io:format("~8b ~8b ~10b ~7.1f ~12b ~20b ~7.1f ~s~n", [
        Records, Callers, round(Lookup), Ratio, round(Ets), round(InCaller), InCallerRatio,
        [" 20/e" || bench_report:verdict(?AIM, Ratio) =:= "missed"]
    ]).

-spec rows([measured()]) -> [bench_report:row()].
rows(Measured) ->
    lists:append([
        [
            row("cached lookup/3", lookup, "ets:lookup/2", ets, ?AIM, One),
            row("cached lookup/3", lookup, "a read in the caller", in_caller, none, One)
        ]
     || One <- Measured
    ]).

row(Subject, Reader, Rival, RivalReader, Aim, #{records := Records, callers := Callers, times := Times, ratios := Ratios}) ->
    #{
        subject => io_lib:format("~ts, ~b records, ~b caller~ts", [Subject, Records, Callers, [$s || Callers > 1]]),
        unit => "ns", value => maps:get(Reader, Times),
        rival => Rival, rival_value => maps:get(RivalReader, Times),
        ratio => maps:get(Reader, Ratios) / maps:get(RivalReader, Ratios), aim => Aim
    }.
