%% @private
%% What the doctor sees of DNS: each nameserver on the wire, the answers that a topology would get, the names that it makes of them.
-module(caravan_doctor_dns).

-export([nameservers/1, answers/1, names/1]).

-define(PROBE_MS, 1000).
-define(LOOKUP_MS, 1500).

%% Each nameserver that the topologies ask, over UDP and over TCP.
-spec nameservers(caravan_doctor:context()) -> [caravan_check:check()].
nameservers(#{topologies := Topologies}) ->
    Questions = lists:usort(lists:append([questions(Options) || {_Name, Options} <- Topologies])),
    Deadline = erlang:monotonic_time(millisecond) + ?PROBE_MS,
    Probes = [
        {Nameserver, Transport, caravan_task:start(fun() -> probe(Nameserver, Transport, Query, Type, Deadline) end, ?PROBE_MS + 200)}
     || {Nameserver, Query, Type} <- first_of_each(Questions), Nameserver =/= system, Transport <- [udp, tcp]
    ],
    System = [system() || {system, _, _} <- first_of_each(Questions)],
    System ++ of_probes([{Nameserver, Transport, awaited(Task)} || {Nameserver, Transport, Task} <- Probes]).

system() ->
    caravan_check:ok(nameserver, "system", "those of resolv.conf", []).

%% Which nameserver is asked what. Of a resolver or a client of the user's nobody knows.
questions(#{dns_client := Client}) when Client =/= default -> [];
questions(#{nameservers := default, resolver := Resolver}) when Resolver =/= default -> [];
questions(#{queries := Queries, nameservers := Given, record := Record}) ->
    [{Nameserver, Query, Record} || {Query, _} <- Queries, Nameserver <- each(Given)].

each(default) -> each_of_application(caravan_config:value(nameservers));
each(system) -> [system];
each(Nameservers) -> Nameservers.

each_of_application({ok, system}) -> [system];
each_of_application({ok, Nameservers}) -> Nameservers;
each_of_application({error, _}) -> [].

first_of_each(Questions) ->
    lists:ukeysort(1, Questions).

probe(Nameserver, Transport, Query, Type, Deadline) ->
    case address(unicode:characters_to_list(Nameserver)) of
        {ok, Address} -> caravan_dns_probe:ask(Address, Transport, Query, Type, Deadline);
        error -> {error, badaddress}
    end.

%% The text has been checked: an address, with a port behind IPv4 or behind brackets.
address("[" ++ Text) ->
    [Ip, Rest] = string:split(Text, "]"),
    with_port(Ip, Rest);
address(Text) ->
    case inet:parse_strict_address(Text) of
        {ok, Ip} -> {ok, {Ip, 53}};
        {error, einval} -> [Ip | Port] = string:split(Text, ":", trailing), with_port(Ip, lists:append([":" | Port]))
    end.

with_port(Text, Port) ->
    case {inet:parse_strict_address(Text), Port} of
        {{ok, Ip}, ":" ++ Digits} -> {ok, {Ip, list_to_integer(Digits)}};
        {{ok, Ip}, ""} -> {ok, {Ip, 53}};
        {{error, einval}, _} -> error
    end.

awaited(Task) ->
    Reference = caravan_task:reference(Task),
    receive
        {'DOWN', Reference, process, _, _} = Message -> caravan_task:result(Message, Task);
        {timeout, _, {caravan_task, Reference}} = Message -> caravan_task:result(Message, Task)
    end.

of_probes(Probes) ->
    Checks = [seen(Nameserver, Transport, Result) || {Nameserver, Transport, Result} <- Probes] ++ missed(Probes),
    faults(Checks, [{Nameserver, Transport, is_answer(Result)} || {Nameserver, Transport, Result} <- Probes]).

seen(Nameserver, Transport, {ok, {ok, #{rcode := Rcode} = Reply}}) ->
    #{answers := Answers, octets := Octets, truncated := Truncated, edns := Edns, milliseconds := Milliseconds} = Reply,
    caravan_check:ok(nameserver, subject(Nameserver, Transport), "~ts, ~b records, ~b octets~ts~ts, ~b ms", [
        rcode(Rcode), Answers, Octets, [", truncated (TC)" || Truncated], edns(Edns), Milliseconds
    ]);
seen(Nameserver, Transport, {ok, {error, Reason}}) ->
    caravan_check:note(nameserver, subject(Nameserver, Transport), "no answer: ~0tp", [Reason]);
seen(Nameserver, Transport, timeout) ->
    caravan_check:note(nameserver, subject(Nameserver, Transport), "no answer: timeout", []);
seen(Nameserver, Transport, _Raised) ->
    caravan_check:note(nameserver, subject(Nameserver, Transport), "its reply cannot be read", []).

%% What a client does not see that asks over UDP and believes what it gets.
missed(Probes) ->
    [
        caravan_check:note(nameserver, Nameserver, "a client that asks over UDP alone sees ~b of ~b records~ts", [
            OverUdp, OverTcp, [", and is not told so" || not Truncated]
        ])
     || {Nameserver, udp, {ok, {ok, #{answers := OverUdp, truncated := Truncated}}}} <- Probes,
        {Other, tcp, {ok, {ok, #{answers := OverTcp}}}} <- Probes,
        Other =:= Nameserver,
        OverUdp < OverTcp
    ].

subject(Nameserver, udp) -> [Nameserver, " over UDP"];
subject(Nameserver, tcp) -> [Nameserver, " over TCP"].

edns(true) -> ", EDNS";
edns(false) -> ", no EDNS".

rcode(0) -> "NOERROR";
rcode(1) -> "FORMERR";
rcode(2) -> "SERVFAIL";
rcode(3) -> "NXDOMAIN";
rcode(4) -> "NOTIMP";
rcode(5) -> "REFUSED";
rcode(Other) -> ["RCODE ", integer_to_list(Other)].

is_answer({ok, {ok, #{rcode := Rcode}}}) -> Rcode =:= 0 orelse Rcode =:= 3;
is_answer(_Other) -> false.

%% One that answers is enough, but over TCP.
faults(Checks, []) ->
    Checks;
faults(Checks, Answered) ->
    case {lists:any(fun({_, Transport, Is}) -> Transport =:= tcp andalso Is end, Answered), lists:keymember(true, 3, Answered)} of
        {true, _} -> Checks;
        {false, true} -> Checks ++ [fault(dns_udp_only, Answered, "answers over UDP and not over TCP")];
        {false, false} -> Checks ++ [fault(dns_down, Answered, "does not answer")]
    end.

fault(Cause, Answered, What) ->
    Nameservers = lists:join(", ", lists:usort([Nameserver || {Nameserver, _, _} <- Answered])),
    caravan_check:fault(nameserver, Nameservers, What, caravan_cause:new(Cause, ["the nameserver ", Nameservers, " ", What])).

%% What the queries of each topology bring, by a poll as the topology makes it.
-spec answers(caravan_doctor:context()) -> {[caravan_check:check()], [{Topology :: atom(), term(), caravan_poll:outcome()}]}.
answers(#{topologies := Topologies}) ->
    Polls = [
        {Name, Query, Options, caravan_task:start(fun() -> poll(Options, Text) end, ?LOOKUP_MS + 500)}
     || {Name, #{queries := Queries} = Options} <- Topologies, {Text, _} = Query <- Queries
    ],
    Outcomes = [{Name, Query, Options, outcome(awaited(Task))} || {Name, Query, Options, Task} <- Polls],
    {[answer(Text, Outcome, Options) || {_, {Text, _}, Options, Outcome} <- Outcomes], [{Name, Query, Outcome} || {Name, Query, _, Outcome} <- Outcomes]}.

poll(Options, Text) ->
    finish(caravan_poll:start(Options#{query => Text, timeout => ?LOOKUP_MS}), erlang:monotonic_time(millisecond) + ?LOOKUP_MS + 200).

finish(Poll, Deadline) ->
    receive
        Message -> finished(caravan_poll:handle_info(Message, Poll), Poll, Deadline)
    after caravan_task:remaining(Deadline) ->
        ok = caravan_poll:cancel(Poll),
        {error, timeout}
    end.

finished({done, Outcome}, _Poll, _Deadline) -> Outcome;
finished({more, Next}, _Poll, Deadline) -> finish(Next, Deadline);
finished(ignore, Poll, Deadline) -> finish(Poll, Deadline).

outcome({ok, Outcome}) -> Outcome;
outcome(_TimeoutOrRaised) -> {error, timeout}.

answer(Text, {ok, #{endpoints := Endpoints, complete := true, ttl := Ttl}}, _Options) ->
    caravan_check:ok(answer, Text, "~b records, complete, TTL ~b s", [length(Endpoints), Ttl]);
answer(Text, {ok, #{endpoints := Endpoints, unresolved := Unresolved, ttl := Ttl}}, _Options) ->
    caravan_check:note(answer, Text, "~b records, incomplete~ts, TTL ~b s: what it leaves out is not known to be gone", [
        length(Endpoints), [io_lib:format(" (~b targets without an address)", [Unresolved]) || Unresolved > 0], Ttl
    ]);
answer(Text, {error, Reason}, _Options) when Reason =:= nxdomain; Reason =:= nodata ->
    What = io_lib:format("no records (~ts)", [Reason]),
    caravan_check:fault(answer, Text, What, caravan_cause:new(no_records, [Text, " has ", What]));
answer(Text, {error, Reason}, Options) ->
    What = io_lib:format("its ~ts records cannot be looked up: ~0tp", [record(Options), Reason]),
    caravan_check:fault(answer, Text, What, caravan_cause:new(cause(Reason), [Text, ": ", What])).

record(#{record := Record}) -> string:uppercase(atom_to_list(Record)).

cause(Reason) when Reason =:= timeout; Reason =:= connrefused -> dns_down;
cause(_Answered) -> dns_error.

%% The names of nodes that the topologies make of that, and this node among them.
-spec names(caravan_doctor:context()) -> {[caravan_check:check()], [binary()]}.
names(#{own := Own, topologies := Topologies, answers := Answers}) ->
    Named = [
        {Text, caravan_node_names:of_outcome(Outcome, Query, own(Own, Options))}
     || {Name, {Text, _} = Query, Outcome} <- Answers, {Topology, Options} <- Topologies, Topology =:= Name, can_be_named(Own, Query)
    ],
    Fixed = [atom_to_binary(Node) || {_, #{nodes := Nodes}} <- Topologies, Node <- Nodes],
    Names = lists:usort(Fixed ++ lists:append([lists:append(Records) || {_, {ok, #{records := Records}}} <- Named])),
    Refused = [refused(Text, Invalid) || {Text, {ok, #{invalid := Invalid}}} <- Named, Invalid > 0],
    Unnamed = [unnamed(Text) || {_, {Text, own} = Query, {ok, _}} <- Answers, not can_be_named(Own, Query)],
    {Unnamed ++ [found(Names) || Names =/= []] ++ Refused ++ self(Own, Names, [Text || {Text, {ok, _}} <- Named]), Names}.

%% Without a basename the names are made with that of this node.
can_be_named(none, {_Text, own}) -> false;
can_be_named(_Own, _Query) -> true.

own(none, Options) -> Options;
own(Own, Options) -> Options#{own => binary_to_atom(Own)}.

unnamed(Text) ->
    caravan_check:unknown(names, Text, "names are made with the basename of a node: give --node NAME or --basename NAME", []).

found(Names) ->
    caravan_check:ok(names, "nodes", "~b: ~ts", [length(Names), shortened(Names)]).

shortened(Names) when length(Names) =< 10 -> lists:join(", ", Names);
shortened(Names) -> [lists:join(", ", lists:sublist(Names, 10)), io_lib:format(" and ~b more", [length(Names) - 10])].

refused(Text, Invalid) ->
    What = io_lib:format("~b records of ~ts give no name of a node", [Invalid, Text]),
    caravan_check:fault(names, Text, What, caravan_cause:new(names, What)).

self(_Own, _Names, []) -> [];
self(none, _Names, _Queries) -> [];
self(Own, Names, _Queries) -> listed(lists:member(Own, Names), [Name || Name <- Names, caravan_discovery:is_own_name(Name, Own)], Own, Names).

listed(true, _Same, Own, _Names) ->
    [caravan_check:ok(self, Own, "it is listed", [])];
listed(false, [Alias | _], Own, _Names) ->
    What = io_lib:format("DNS lists this node, ~ts, as ~ts, and OTP connects names that are equal to the letter", [Own, Alias]),
    [caravan_check:fault(self, Own, What, caravan_cause:new(spelling, What))];
listed(false, [], Own, Names) ->
    Instead = instead([Name || Name <- Names, host(Name) =:= host(Own)]),
    [caravan_check:fault(self, Own, ["DNS does not list it", Instead], caravan_cause:new(not_listed, ["DNS does not list this node, ", Own, Instead]))].

instead([]) -> "";
instead(AtItsHost) -> ["; at its host it lists ", shortened(AtItsHost)].

host(Name) ->
    string:lowercase(lists:last(binary:split(Name, <<"@">>))).
