%% Started by bench/instructions: lookups that are counted, and the table.
-module(bench_instructions).

-export([look_up/1, report/1]).

-define(CALLERS, 100).

%% Parts of the resolver's thread: what all calls of a function take, without those of others that belong to other parts.
-define(PARTS, [
    {"c-ares, reading", "ares_process_fds?", ["caravan::Channel::on_answer\\("]},
    {"c-ares, sending", "ares_query", ["Datagrams::send\\("]},
    {"decoding", "caravan::decode_reply\\(", []},
    {"result and message", "CallingProcess::deliver\\(", []},
    {"all", "caravan::Worker::run\\(", []}
]).

%% The arguments are the transport, the port of the nameserver and how many lookups.
-spec look_up([string()]) -> no_return().
look_up([Transport, Port, Lookups]) ->
    ok = caravan_nif:load(),
    {ok, Resolver} = caravan_dns:open(#{
        nameservers => ["127.0.0.1:" ++ Port],
        transport => list_to_existing_atom(Transport),
        timeout => 60000,
        hosts_file => none
    }),
    Each = list_to_integer(Lookups) div ?CALLERS,
    Callers = [spawn_monitor(fun() -> caller(Resolver, Number, Each) end) || Number <- lists:seq(1, ?CALLERS)],
    [receive {'DOWN', Ref, process, Pid, normal} -> ok end || {Pid, Ref} <- Callers],
    halt().

caller(Resolver, Number, Lookups) ->
    Name = iolist_to_binary(["c", integer_to_list(Number), "._app-3._tcp.bench.test"]),
    [{ok, #{records := [_, _, _]}} = caravan_dns:lookup(Name, srv, #{resolver => Resolver}) || _ <- lists:seq(1, Lookups)],
    ok.

%% The arguments are the directory of the profiles and the lookups of the short runs and of the long ones.
-spec report([string()]) -> no_return().
report([Directory, Short, Long]) ->
    io:format("~-40ts~10ts~10ts~n", ["instructions a lookup", "udp", "tcp"]),
    Lookups = list_to_integer(Long) - list_to_integer(Short),
    [Udp, Tcp] = [
        [{Name, (Of(Long) - Of(Short)) div Lookups} || {Name, Of} <- rows(filename:join(Directory, Transport ++ "-"))]
     || Transport <- ["udp", "tcp"]
    ],
    [io:format("~-40ts~10b~10b~n", [Name, OverUdp, OverTcp]) || {{Name, OverUdp}, {Name, OverTcp}} <- lists:zip(Udp, Tcp)],
    halt().

%% The thread of the resolver is the one that runs its loop; all others are the VM's.
rows(Prefix) ->
    [
        {"resolver's thread: " ++ Name, fun(Run) -> part(resolver_thread(Prefix ++ Run), Function, Without) end}
     || {Name, Function, Without} <- ?PARTS
    ] ++ [{"schedulers", fun(Run) -> lists:sum([total(Text) || Text <- vm_threads(Prefix ++ Run)]) end}].

resolver_thread(Prefix) ->
    [Text] = [Text || Text <- threads(Prefix), is_resolver(Text)],
    Text.

vm_threads(Prefix) -> [Text || Text <- threads(Prefix), not is_resolver(Text)].

is_resolver(Text) -> binary:match(Text, <<"caravan::Worker::run(">>) =/= nomatch.

threads(Prefix) ->
    [begin {ok, Text} = file:read_file(File), Text end || File <- filelib:wildcard(Prefix ++ "-*.txt")].

part(Text, Function, Without) ->
    inclusive(Text, Function) - lists:sum([inclusive(Text, Other) || Other <- Without]).

%% "38,304,517 (43.93%)  file:function [object]", of the greatest one that matches.
inclusive(Text, Function) ->
    case re:run(Text, "^ *([0-9,]+) \\([^)]*\\)  [^\n]*?" ++ Function, [multiline, {capture, [1], list}]) of
        {match, [Count]} -> number(Count);
        nomatch -> 0
    end.

total(Text) ->
    case re:run(Text, "^ *([0-9,]+) \\([^)]*\\)  PROGRAM TOTALS", [multiline, {capture, [1], list}]) of
        {match, [Count]} -> number(Count);
        nomatch -> 0
    end.

number(Text) -> list_to_integer([Digit || Digit <- Text, Digit =/= $,]).
