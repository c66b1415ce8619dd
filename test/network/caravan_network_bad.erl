%% @doc Lookups over a link that loses, delays, reorders and repeats packets, at real nameservers in a network namespace of their own.
%% test/network/bad makes the link. What is asserted are answers and how lookups end, and nothing of how long that takes.
-module(caravan_network_bad).

-export([main/1]).

-import(caravan_network_link, [lose/2, lost/1]).
-import(caravan_network_lookups, [await_answers/3, finish/1, run/1, start/1]).

-define(IP, {10, 9, 0, 2}).
%% What is known of a nameserver is known of its port, so scenarios that are about that have one of their own.
-define(PORT, 5300).
-define(SYN_PORT, 5301).
-define(DATA_PORT, 5302).

%% Those that Consul takes by default, in a namespace where they are free: HTTP, DNS, Serf in the LAN and in the WAN, RPC.
-define(CONSUL_PORTS, [8500, 8600, 8301, 8302, 8300]).
-define(CONSUL_START_MS, 30000).
-define(INSTANCES, 500).
-define(FIRST_INSTANCE, 4001).
-define(LOCALHOST, {127, 0, 0, 1}).

-define(LOOKUPS, 1000).
-define(OPEN, 100).
-define(ALL_BUT_LARGE, [srv, a, aaaa, addresses]).

%% A network that is quite well fails this in one run of a million.
-define(CHANCE, 1.0e-6).
%% For lookups that are to outlast what is bad.
-define(PATIENT, #{timeout => 30000}).
-define(BLACKOUT_MS, 4000).
-define(DESCRIPTORS_MS, 30000).

%% @doc Prints a line for each scenario. Where an expectation is not met it says which, and ends the VM with status 1.
-spec main([string()]) -> no_return().
main([Seed, Pid]) ->
    {_, Monitor} = spawn_monitor(fun() -> run_all(list_to_integer(Seed), Pid) end),
    receive
        {'DOWN', Monitor, process, _, normal} -> halt(0);
        {'DOWN', Monitor, process, _, Reason} -> io:format("~0tp~n", [Reason]), halt(1)
    end.

run_all(Seed, Pid) ->
    %% What fails is said once, by main/1.
    ok = logger:set_primary_config(level, none),
    ok = caravan_nif:load(),
    Link = caravan_network_link:open(Pid),
    caravan_test_directory:with(fun(Directory) ->
        all(#{link => Link, seed => Seed, directory => Directory, nameserver => nameserver(?PORT)})
    end).

all(#{link := Link, seed := Seed, directory := Directory} = Context) ->
    ok = caravan_network_zone:serve(Link, ?IP, [?PORT, ?SYN_PORT, ?DATA_PORT], Directory),
    #{c_ares := #{version := Version}} = caravan_nif:versions(),
    io:format("c-ares ~ts, seed ~b; loss by nft, delays by ~ts~n~n", [Version, Seed, delayer(Link)]),
    row(["", "asked", "answered", "complete", "given up", "failed", "at most", "lost", "queries per"]),
    {Sockets, _} = descriptors(),
    ok = losses(Context, 1),
    %% From their first lookup on there are the library's thread, and a program of OTP's, which HTTP requests need.
    {ok, _} = inet:gethostbyname("localhost"),
    {_, Others} = descriptors(),
    ok = losses(Context, 5),
    ok = losses(Context, 20),
    ok = delays(Context),
    ok = blackout(Context),
    ok = tcp_is_missing(Context),
    ok = tcp_falls_silent(Context),
    ok = consul(Context, caravan_test_consul:executable()),
    ok = await_descriptors(Sockets, Others, now_ms() + ?DESCRIPTORS_MS),
    io:format("~nno descriptors more than before: ~b of sockets, ~b others~n", [length(Sockets), length(Others)]).

delayer(Link) ->
    case caravan_network_link:has_netem(Link) of
        true -> "the kernel (netem)";
        false -> "a relay of ours, as the kernel has no netem"
    end.

nameserver(Port) ->
    lists:concat([inet:ntoa(?IP), ":", Port]).

%% Loss

losses(#{link := Link} = Context, Share) ->
    ok = lose(Link, [{percent, Share}]),
    Udp = run(plan(Context, #{transport => udp}, udp_lookups(Share), ?ALL_BUT_LARGE)),
    ok = shown(Context, ["loss of ", integer_to_list(Share), " % each way, udp"], Udp, most(Share, Udp)),
    Auto = run(plan(Context, #{}, ?LOOKUPS, [srv])),
    ok = shown(Context, ["loss of ", integer_to_list(Share), " % each way, auto"], Auto, most(Share, Auto)),
    %% These need TCP, and all that a connection carries is late when it loses something: their failures are not independent.
    Large = run(plan(Context, #{}, ?LOOKUPS, [large])),
    ok = shown(Context, ["loss of ", integer_to_list(Share), " % each way, auto, large"], Large, any),
    true = lost(Link) > 0,
    ok = lose(Link, []).

udp_lookups(20) -> 4000;
udp_lookups(_) -> 20000.

%% The failures that three independent tries have, twice; where they are few, as many as chance makes of them.
most(Share, #{asked := Asked}) ->
    Expected = Asked * math:pow(1 - math:pow(1 - Share / 100, 2), 3),
    None = math:exp(-Expected),
    max(trunc(2 * Expected), poisson(Expected, 0, None, 1 - None)).

%% The least number that is exceeded as rarely as ?CHANCE.
poisson(_Mean, Number, _Probability, Exceeded) when Exceeded < ?CHANCE ->
    Number;
poisson(Mean, Number, Probability, Exceeded) ->
    Next = Probability * Mean / (Number + 1),
    poisson(Mean, Number + 1, Next, Exceeded - Next).

%% Delays

delays(Context) ->
    Near = #{delay => {25, 25}, duplicate => 0},
    ok = all_complete(delayed(Context, Near, "50 ms there and back, auto", #{}, {1000, ?OPEN}, [srv, large])),
    Far = #{delay => {200, 200}, duplicate => 0},
    ok = all_complete(delayed(Context, Far, "400 ms there and back, auto", #{}, {300, ?OPEN}, [srv, large])),
    _ = delayed(Context, Far, "400 ms there and back, udp", #{transport => udp}, {1000, ?OPEN}, ?ALL_BUT_LARGE),
    Farther = #{delay => {400, 400}, duplicate => 0},
    ok = all_complete(delayed(Context, Farther, "800 ms there and back, auto", #{}, {300, ?OPEN}, [srv, large])),
    _ = delayed(Context, Farther, "800 ms there and back, udp", #{transport => udp}, {500, ?OPEN}, ?ALL_BUT_LARGE),
    Wild = #{delay => {5, 150}, duplicate => 20},
    ok = all_complete(delayed(Context, Wild, "5 to 150 ms each way, auto", #{}, {1000, ?OPEN}, [srv, large])),
    Udp = #{transport => udp},
    _ = delayed(Context, Wild, "5 to 150 ms each way, some twice, udp", Udp, {4000, ?OPEN}, [large | ?ALL_BUT_LARGE]),
    ok.

all_complete(#{answered := Answered, complete := Answered}) ->
    ok.

delayed(#{link := Link} = Context, Weather, Title, Options, {Lookups, Open}, Kinds) ->
    Server = {?IP, ?PORT, caravan_network_link:place(Link)},
    with_weather(Context, Server, Weather, fun(There) ->
        Summary = run((plan(There, Options, Lookups, Kinds))#{open := Open}),
        ok = shown(There, Title, Summary, 0),
        Summary
    end).

with_weather(#{link := Link, seed := Seed} = Context, Server, Weather, Test) ->
    Rest = caravan_network_link:delay(Link, Weather),
    From = {?IP, 0, caravan_network_link:place(Link)},
    {ok, Relay} = caravan_test_relay:start_link(Rest#{from => From, to => Server, seed => Seed}),
    Result = Test(Context#{nameserver := nameserver(caravan_test_relay:port(Relay))}),
    ok = assert_reordered(Rest, caravan_test_relay:counts(Relay)),
    ok = caravan_test_relay:stop(Relay),
    ok = caravan_network_link:lull(Link),
    Result.

%% A relay that is to reorder datagrams and has not has proved nothing. TCP gives it few.
assert_reordered(#{delay := {Same, Same}}, _Counts) -> ok;
assert_reordered(#{}, #{datagrams := Datagrams, overtaken := Overtaken}) when Overtaken > 0; Datagrams < 100 -> ok.

%% A blackout

blackout(#{link := Link} = Context) ->
    Loads = [
        {Title, start(plan(Context, maps:merge(?PATIENT, Options), infinity, Kinds))}
     || {Title, Options, Kinds} <- [
            {"a blackout, auto", #{}, [srv, large]},
            {"a blackout, udp", #{transport => udp}, ?ALL_BUT_LARGE}
        ]
    ],
    _ = [await_answers(Load, any, 200) || {_, Load} <- Loads],
    ok = lose(Link, [all]),
    %% What does not happen cannot be awaited.
    ok = timer:sleep(?BLACKOUT_MS),
    true = lost(Link) > 0,
    ok = lose(Link, []),
    _ = [await_answers(Load, any, 200) || {_, Load} <- Loads],
    lists:foreach(fun({Title, Load}) -> ok = shown(Context, Title, finish(Load), 0) end, Loads).

%% TCP alone

tcp_is_missing(#{link := Link} = Context) ->
    ok = lose(Link, [tcp_syn]),
    Load = start(small(Context#{nameserver := nameserver(?SYN_PORT)})),
    #{complete := 0} = await_answers(Load, incomplete, 300),
    come_back(Context, Load, "no connections for a time, auto").

tcp_falls_silent(#{link := Link} = Context) ->
    Load = start(small(Context#{nameserver := nameserver(?DATA_PORT)})),
    _ = await_answers(Load, complete, 100),
    ok = lose(Link, [tcp_data]),
    %% Some answers have come before.
    #{complete := Complete} = await_answers(Load, incomplete, 1),
    #{complete := Complete} = await_answers(Load, incomplete, 300),
    come_back(Context, Load, "silent connections for a time, auto").

come_back(#{link := Link} = Context, Load, Title) ->
    true = lost(Link) > 0,
    ok = lose(Link, []),
    _ = await_answers(Load, complete, 100),
    shown(Context, Title, finish(Load), 0).

%% Without large ones: what knot truncates has no records, so that over UDP there is nothing to answer them with.
small(Context) ->
    (plan(Context, #{}, infinity, [srv]))#{open := 20}.

%% Consul

consul(_Context, none) ->
    caravan_test_consul:say_so();
consul(#{link := Link, directory := Directory} = Context, {ok, Consul}) ->
    Program = caravan_test_directory:write(filename:join(Directory, "consul"), [
        "#!/bin/sh\nexec ", lists:join(" ", caravan_network_link:within(Link, [Consul])), " \"$@\"\n"
    ]),
    ok = file:change_mode(Program, 8#755),
    Place = caravan_network_link:place(Link),
    [Http, Dns | _] = ?CONSUL_PORTS,
    %% What is told Consul takes a way on which nothing is lost.
    Safe = #{seed => 0, delay => {0, 0}, duplicate => 0},
    {ok, Relay} = caravan_test_relay:start_link(Safe#{from => {?LOCALHOST, Http, []}, to => {?LOCALHOST, Http, Place}}),
    {ok, Agent} = caravan_demo_consul:start(#{
        directory => Directory, consul => Program, ports => ?CONSUL_PORTS, timeout => ?CONSUL_START_MS
    }),
    Last = ?FIRST_INSTANCE + ?INSTANCES - 1,
    _ = [
        caravan_demo_consul:add(#{id => "app-" ++ integer_to_list(Port), port => Port}, Agent)
     || Port <- lists:seq(?FIRST_INSTANCE, Last)
    ],
    ok = lose(Link, [{percent, 5}]),
    Weather = #{delay => {5, 100}, duplicate => 10},
    ok = with_weather(Context, {?LOCALHOST, Dns, Place}, Weather, fun consul_answers/1),
    ok = lose(Link, []),
    {ok, _} = caravan_demo_consul:stop(Agent),
    ok = application:stop(inets),
    ok = caravan_test_relay:stop(Relay).

%% Consul cuts an answer over UDP and does not say so.
consul_answers(Context) ->
    Plan = #{lookups => 100, open => 4, ask => fun consul_question/1},
    #{complete := Complete} = Auto = run(Plan#{resolver => resolver(Context, ?PATIENT)}),
    ok = shown(Context, ["Consul, ", integer_to_list(?INSTANCES), " instances, auto"], Auto, 0),
    true = Complete > 0,
    Cut = maps:merge(?PATIENT, #{transport => udp}),
    #{complete := 0} = Udp = run(Plan#{lookups := 1000, resolver => resolver(Context, Cut)}),
    shown(Context, ["Consul, ", integer_to_list(?INSTANCES), " instances, udp"], Udp, 0).

%% Equal lookups would share a query.
consul_question(Number) ->
    Names = ["app.service.consul", "_app._tcp.service.consul", "app.service.dc1.consul", "_app._tcp.service.dc1.consul"],
    {lists:nth(1 + Number rem length(Names), Names), srv, fun are_instances/1}.

are_instances(#{records := Records, complete := IsComplete}) ->
    Ports = [Port || #{port := Port} <- Records],
    All = lists:seq(?FIRST_INSTANCE, ?FIRST_INSTANCE + ?INSTANCES - 1),
    Ports =/= [] andalso Ports -- All =:= [] andalso (lists:sort(Ports) =:= All orelse not IsComplete).

%% What all share

plan(Context, Options, Lookups, Kinds) ->
    #{resolver => resolver(Context, Options), lookups => Lookups, open => ?OPEN, ask => fun(Number) -> question(Kinds, Number) end}.

resolver(#{nameserver := Nameserver}, Options) ->
    Options#{nameservers => [Nameserver], hosts_file => none}.

question(Kinds, Number) ->
    Kind = lists:nth(1 + Number rem length(Kinds), Kinds),
    {Name, Type} = caravan_network_zone:question(Kind, Number),
    {Name, Type, fun(Answer) -> caravan_network_zone:is_right(Kind, Number, Answer) end}.

%% All that a lookup may fail with is that nobody has answered.
shown(#{link := Link}, Title, #{asked := Asked, failed := Failed, queries := Queries} = Summary, Most) ->
    Failures = lists:sum(maps:values(Failed)),
    Counts = [maps:get(Key, Summary) || Key <- [asked, answered, complete, cancelled]] ++ [Failures, Most, lost(Link)],
    row([Title | [io_lib:format("~w", [Count]) || Count <- Counts]] ++ [io_lib:format("~.2f", [Queries / Asked])]),
    [] = maps:keys(maps:remove(timeout, Failed)),
    %% The atom `any' is greater than any number.
    true = Failures =< Most,
    ok.

row([Title | Cells]) ->
    io:format("~-40ts~ts~n", [lists:flatten(Title), [io_lib:format("~12ts", [lists:flatten(Cell)]) || Cell <- Cells]]).

%% Connections are kept for a time, and end by themselves.
await_descriptors(Sockets, Others, Deadline) ->
    {Left, Others1} = descriptors(),
    case Others1 -- Others of
        [] when length(Left) =< length(Sockets) ->
            ok;
        More ->
            now_ms() < Deadline orelse error({descriptors, Left, More}),
            ok = timer:sleep(100),
            await_descriptors(Sockets, Others, Deadline)
    end.

%% What they are of: sockets, and all else.
descriptors() ->
    Directory = "/proc/self/fd",
    {ok, Names} = file:list_dir(Directory),
    Targets = [Target || Name <- Names, {ok, Target} <- [file:read_link(filename:join(Directory, Name))]],
    lists:partition(fun(Target) -> lists:prefix("socket:", Target) end, Targets).

now_ms() ->
    erlang:monotonic_time(millisecond).
