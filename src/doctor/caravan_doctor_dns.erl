%% @private
%% Examines DNS: what each nameserver replies, and which answers the topologies get.
-module(caravan_doctor_dns).

-export([nameservers/1, answers/1, poll/3]).

-define(PROBE_MS, 1000).
-define(LOOKUP_MS, 1500).

%% Examines each nameserver that the topologies ask, over UDP and over TCP.
-spec nameservers(caravan_doctor:context()) -> [caravan_check:check()].
nameservers(#{topologies := Topologies}) ->
    Questions = lists:usort(lists:append([questions(Options) || {_Name, Options} <- Topologies])),
    Deadline = erlang:monotonic_time(millisecond) + ?PROBE_MS,
    Probes = [
        {Nameserver, Transport, caravan_task:start(fun() -> probe(Nameserver, Transport, Query, Type, Deadline) end, ?PROBE_MS + 200)}
     || {Nameserver, Query, Type} <- first_of_each(Questions), Nameserver =/= system, Transport <- [udp, tcp]
    ],
    System = [system() || {system, _, _} <- first_of_each(Questions)],
    System ++ of_probes([{Nameserver, Transport, caravan_task:await(Task)} || {Nameserver, Transport, Task} <- Probes]).

system() ->
    caravan_check:ok(nameserver, "system", "those of resolv.conf", []).

%% Returns which question to ask of each nameserver. The nameservers of a user's resolver or client are not known.
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

%% Parses a nameserver, whose syntax has been checked: an address, with a port after an IPv4 address or after brackets.
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

of_probes(Probes) ->
    Checks = [seen(Nameserver, Transport, Result) || {Nameserver, Transport, Result} <- Probes] ++ missed(Probes),
    faults(Checks, [{Nameserver, Transport, has_answered(Result)} || {Nameserver, Transport, Result} <- Probes]).

seen(Nameserver, Transport, {ok, {ok, #{rcode := Rcode} = Reply}}) ->
    #{answers := Answers, octets := Octets, truncated := Truncated, edns := Edns, milliseconds := Milliseconds} = Reply,
    caravan_check:ok(nameserver, subject(Nameserver, Transport), "~ts, ~ts, ~b octets~ts~ts, ~b ms", [
        rcode(Rcode), caravan_check:count(Answers, "record"), Octets, [", truncated (TC)" || Truncated], edns(Edns), Milliseconds
    ]);
seen(Nameserver, Transport, {ok, {error, Reason}}) ->
    caravan_check:note(nameserver, subject(Nameserver, Transport), "no answer: ~0tp", [Reason]);
seen(Nameserver, Transport, timeout) ->
    caravan_check:note(nameserver, subject(Nameserver, Transport), "no answer: timeout", []);
seen(Nameserver, Transport, _Raised) ->
    caravan_check:note(nameserver, subject(Nameserver, Transport), "its reply cannot be read", []).

%% Notes where a client that asks over UDP only, and ignores the TC bit, misses records.
missed(Probes) ->
    [
        caravan_check:note(nameserver, Nameserver, "a client that asks over UDP only sees ~b of ~ts~ts", [
            OverUdp, caravan_check:count(OverTcp, "record"), [", and the reply has no TC bit" || not Truncated]
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

%% Returns whether a nameserver has answered. An error is an answer, too: the nameserver runs and can be reached, and the
%% step `answer' names the error.
has_answered({ok, {ok, #{rcode := _}}}) -> true;
has_answered(_Other) -> false.

%% One nameserver that answers over TCP is enough.
faults(Checks, []) ->
    Checks;
faults(Checks, Answered) ->
    case {lists:any(fun({_, Transport, Has}) -> Transport =:= tcp andalso Has end, Answered), lists:keymember(true, 3, Answered)} of
        {true, _} -> Checks;
        {false, true} -> Checks ++ [fault(dns_udp_only, Answered, "answers over UDP but not over TCP")];
        {false, false} -> Checks ++ [fault(dns_down, Answered, "does not answer")]
    end.

fault(Cause, Answered, What) ->
    Nameservers = lists:join(", ", lists:usort([Nameserver || {Nameserver, _, _} <- Answered])),
    caravan_check:fault(nameserver, Nameservers, What, caravan_cause:new(Cause, ["the nameserver ", Nameservers, " ", What])).

%% Polls each query of each topology as the topology itself does.
-spec answers(caravan_doctor:context()) -> {[caravan_check:check()], [{Topology :: atom(), term(), caravan_poll:outcome()}]}.
answers(#{topologies := Topologies}) ->
    Polls = [
        {Name, Query, Options, caravan_task:start(fun() -> poll(Options, Text, ?LOOKUP_MS) end, ?LOOKUP_MS + 500)}
     || {Name, #{queries := Queries} = Options} <- Topologies, {Text, _} = Query <- Queries
    ],
    Outcomes = [{Name, Query, Options, outcome(caravan_task:await(Task))} || {Name, Query, Options, Task} <- Polls],
    Checks = [answer(subject_of(Name, Text, Topologies), Text, Outcome, Options) || {Name, {Text, _}, Options, Outcome} <- Outcomes],
    {beside_others(Checks, Outcomes), [{Name, Query, Outcome} || {Name, Query, _, Outcome} <- Outcomes]}.

%% A query without records is no fault if another query of the topology has some, as while one of two services is not
%% deployed yet.
beside_others(Checks, Outcomes) ->
    WithRecords = [Name || {Name, _Query, _Options, {ok, #{endpoints := [_ | _]}}} <- Outcomes],
    [unless_only(lists:member(Name, WithRecords), Check) || {Check, {Name, _, _, _}} <- lists:zip(Checks, Outcomes)].

unless_only(true, #{cause := #{name := no_records}} = Check) -> (maps:remove(cause, Check))#{state := note};
unless_only(_HasOthers, Check) -> Check.

%% The topology is named because several may ask for the same name.
subject_of(_Name, Text, [_One]) -> Text;
subject_of(Name, Text, _Several) -> io_lib:format("~ts (topology ~ts)", [Text, Name]).

%% Polls one query as a topology with these options does. The timeout is in milliseconds.
-spec poll(Options :: map(), Query :: binary(), Timeout :: pos_integer()) -> caravan_poll:outcome().
poll(Options, Text, Timeout) ->
    finish(caravan_poll:start(Options#{query => Text, timeout => Timeout}), erlang:monotonic_time(millisecond) + Timeout + 200).

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

answer(Subject, _Text, {ok, #{endpoints := Endpoints, complete := true, ttl := Ttl}}, _Options) ->
    caravan_check:ok(answer, Subject, "~ts, complete, TTL ~b s", [caravan_check:count(length(Endpoints), "record"), Ttl]);
answer(Subject, _Text, {ok, #{endpoints := Endpoints, unresolved := Unresolved, ttl := Ttl}}, _Options) ->
    caravan_check:note(answer, Subject, "~ts, incomplete~ts, TTL ~b s: nodes that it does not list may still be registered", [
        caravan_check:count(length(Endpoints), "record"),
        [[" (", caravan_check:count(Unresolved, "target"), " without an address)"] || Unresolved > 0],
        Ttl
    ]);
answer(Subject, Text, {error, Reason}, Options) when Reason =:= nxdomain; Reason =:= nodata ->
    What = io_lib:format("no ~ts records (~ts)", [record(Options), Reason]),
    caravan_check:fault(answer, Subject, [What, asked(Options)], caravan_cause:new(no_records, [Text, " has ", What, asked(Options)]));
answer(Subject, Text, {error, Reason}, Options) ->
    What = io_lib:format("its ~ts records cannot be looked up: ~0tp", [record(Options), Reason]),
    caravan_check:fault(answer, Subject, [What, asked(Options)], caravan_cause:new(cause(Reason), [Text, ": ", What, asked(Options)])).

asked(#{dns_client := Client}) when Client =/= default -> [", asked: ", atom_to_list(Client)];
asked(Options) -> of_nameservers(caravan_poll:nameservers(Options)).

of_nameservers({system, _Source}) -> ", asked: the nameservers of resolv.conf";
of_nameservers({[_ | _] = Nameservers, _Source}) -> [", asked: ", lists:join(", ", Nameservers)];
of_nameservers(_OfResolver) -> "".

record(#{record := Record}) -> string:uppercase(atom_to_list(Record)).

cause(Reason) when Reason =:= timeout; Reason =:= connrefused -> dns_down;
cause(_Answered) -> dns_error.
