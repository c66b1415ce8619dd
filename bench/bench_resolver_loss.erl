%% What becomes of lookups on a network that loses datagrams: the firewall of the network namespace drops a share of them each way.
-module(bench_resolver_loss).

-export([run/1, lose/1]).

-define(LOSSES, [1, 5, 10, 20]).
%% One caller waits for a second at each try that is lost.
-define(CALLERS, [{1, 300}, {1000, 20000}]).
-define(TIMEOUT_MS, 5000).

-spec run(inet:port_number()) -> ok | failed.
run(Server) ->
    io:format(
        "Lookups over UDP at one nameserver with the default options; datagrams are lost at random, each way.~n"
        "most: the failures that three independent tries have, twice.~n~n"
        "~6ts ~8ts ~8ts ~9ts ~9ts ~9ts ~9ts ~11ts~n",
        ["loss", "callers", "lookups", "answered", "failed", "most", "overload", "queries per"]
    ),
    Rows = [row(Loss, Callers, Lookups, Server) || {Callers, Lookups} <- ?CALLERS, Loss <- ?LOSSES],
    lose(0),
    case lists:all(fun(IsWithin) -> IsWithin end, Rows) of
        true -> ok;
        false -> failed
    end.

row(Loss, Callers, Lookups, Server) ->
    lose(Loss),
    {ok, Resolver} = caravan_dns:open(#{
        nameservers => ["127.0.0.1:" ++ integer_to_list(Server)], transport => udp, timeout => ?TIMEOUT_MS
    }),
    Tickets = atomics:new(1, []),
    ok = atomics:put(Tickets, 1, Lookups),
    Self = self(),
    Workers = [
        spawn_link(fun() -> Self ! {self(), caller(bench_resolver_load:name(3, Caller), Resolver, Tickets, {0, 0})} end)
     || Caller <- lists:seq(1, Callers)
    ],
    Counts = [receive {Worker, Count} -> Count end || Worker <- Workers],
    {ok, #{queries := Queries}} = caravan_dns:stats(Resolver),
    ok = caravan_dns:close(Resolver),
    Answered = lists:sum([Count || {Count, _} <- Counts]),
    Overload = lists:sum([Count || {_, Count} <- Counts]),
    Failed = (Lookups - Answered) / Lookups,
    Most = 2 * math:pow(1 - math:pow(1 - Loss / 100, 2), 3),
    io:format("~4b % ~8b ~8b ~9b ~7.2f % ~7.2f % ~9b ~11.2f~n", [
        Loss, Callers, Lookups, Answered, 100 * Failed, 100 * Most, Overload, Queries / Lookups
    ]),
    Overload =:= 0 andalso Failed =< Most.

%% How many lookups were answered, and how many refused.
caller(Name, Resolver, Tickets, {Answered, Overload} = Counts) ->
    case atomics:sub_get(Tickets, 1, 1) of
        Ticket when Ticket >= 0 ->
            Next = case caravan_dns:lookup(Name, srv, #{resolver => Resolver}) of
                {ok, _} -> {Answered + 1, Overload};
                {error, overload} -> {Answered, Overload + 1};
                {error, _} -> Counts
            end,
            caller(Name, Resolver, Tickets, Next);
        _ ->
            Counts
    end.

%% In percent, on the way in: who sends a datagram that is dropped on the way out is told so.
-spec lose(Percent :: 0..100) -> ok.
lose(Loss) ->
    Rules = [
        "flush ruleset\n",
        [
            io_lib:format(
                "table ip loss {~nchain input {~ntype filter hook input priority 0;~n"
                "meta l4proto udp numgen random mod 100 < ~b drop~n}~n}~n", [Loss]
            )
         || Loss > 0
        ]
    ],
    File = "/tmp/bench_resolver_loss." ++ os:getpid(),
    ok = file:write_file(File, Rules),
    "" = os:cmd("nft -f " ++ File),
    ok = file:delete(File).
