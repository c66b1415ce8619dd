%% @private
%% One poll of DNS, from its first lookup to its outcome. Functional state; its owner passes messages on.
-module(caravan_poll).

-export([start/1, handle_info/2, cancel/1, nameservers/1, transports/1]).

-export_type([poll/0, outcome/0, finding/0]).

-type finding() :: #{
    endpoints := [caravan_node_names:endpoint()],
    %% In seconds. For names made of addresses, the least TTL of the records and of their addresses.
    ttl := non_neg_integer(),
    %% The number of records whose target has no address although the names need one. An answer with such a record is
    %% incomplete, since the node of the record may be well and connected.
    unresolved := non_neg_integer(),
    complete := boolean()
}.
-type outcome() :: {ok, finding()} | {error, reason()}.
-type reason() :: caravan_dns:reason() | caravan_dns:error() | {client, term()}.

-record(poll, {
    options :: map(),
    waits_for ::
        undefined | {lookup, reference()}
        | {targets, #{reference() => {a | aaaa | addresses, caravan_node_names:endpoint()}}}
        | {client, reference(), caravan_task:task([term()])},
    transport = default :: default | auto | udp | tcp,
    finding :: finding() | undefined
}).

-opaque poll() :: #poll{}.

-spec start(map()) -> poll().
start(#{dns_client := default, record := srv, transport := Transport} = Options) ->
    look_up(Transport, #poll{options = Options});
%% Addresses are asked for over TCP first. The default is UDP, over which an answer is not known to be complete: Consul
%% leaves out what does not fit.
start(#{dns_client := default, transport := Transport} = Options) when Transport =:= default; Transport =:= auto ->
    look_up(tcp, #poll{options = Options});
start(#{dns_client := default, transport := Transport} = Options) ->
    look_up(Transport, #poll{options = Options});
start(#{dns_client := Client, query := Query, timeout := Timeout} = Options) ->
    #poll{options = Options, waits_for = ask_client(Client, Query, client_timeout(Timeout))}.

look_up(Transport, #poll{options = #{query := Query, record := Record} = Options} = Poll) ->
    Ref = caravan_dns:lookup_async(Query, Record, (lookup_options(Options))#{transport => Transport}),
    Poll#poll{waits_for = {lookup, Ref}, transport = Transport}.

lookup_options(Options) ->
    maps:with([resolver, nameservers, timeout, transport], Options).

ask_client(Client, Query, Timeout) ->
    Ask = fun() ->
        ok = caravan_label:set({caravan_poll, Client, Query}),
        Client:get_nodes(Query)
    end,
    Task = caravan_task:start(Ask, Timeout),
    {client, caravan_task:reference(Task), Task}.

%% inet_res needs 9.4 s to give up on one nameserver for a name with a search list.
client_timeout(default) -> 15000;
client_timeout(Timeout) -> Timeout.

-spec handle_info(term(), poll()) -> {done, outcome()} | {more, poll()} | ignore.
handle_info({caravan_dns, Ref, Result}, #poll{waits_for = {lookup, Ref}} = Poll) ->
    looked_up(Result, Poll);
handle_info({caravan_dns, Ref, Result}, #poll{waits_for = {targets, Targets}} = Poll) when is_map_key(Ref, Targets) ->
    {{Type, Endpoint}, Left} = maps:take(Ref, Targets),
    target_looked_up(Result, Type, Endpoint, Left, Poll);
handle_info(Message, #poll{waits_for = {client, Reference, Task}}) ->
    case caravan_task:reference_of(Message) of
        Reference -> {done, client_outcome(caravan_task:result(Message, Task))};
        _Another -> ignore
    end;
handle_info(_Message, _Poll) ->
    ignore.

%% Ends the poll without an outcome. No message of the poll arrives after this function has returned.
-spec cancel(poll()) -> ok.
cancel(#poll{waits_for = {lookup, Ref}}) ->
    caravan_dns:cancel(Ref);
cancel(#poll{waits_for = {targets, Targets}}) ->
    lists:foreach(fun caravan_dns:cancel/1, maps:keys(Targets));
cancel(#poll{waits_for = {client, _Reference, Task}}) ->
    caravan_task:cancel(Task).

looked_up({ok, #{ttl := Ttl, complete := Complete} = Answer}, #poll{options = #{record := srv} = Options} = Poll) ->
    ok = caravan_glue:learn(Answer),
    found(srv_endpoints(Answer, Options), finding(Ttl, Complete, []), Poll);
looked_up({ok, #{records := Records, ttl := Ttl, complete := Complete}}, #poll{options = #{record := Record}}) ->
    Ips = of_record(Record, [Ip || #{address := Ip} <- Records]),
    {done, {ok, finding(Ttl, Complete, [#{ip => Ip} || Ip <- Ips])}};
looked_up({error, Reason}, #poll{options = #{record := Record, transport := Transport}, transport = tcp} = Poll)
  when Record =/= srv, Transport =/= tcp, Reason =/= nxdomain, Reason =/= nodata ->
    {more, look_up(udp, Poll)};
looked_up({error, _} = Error, _Poll) ->
    {done, Error}.

finding(Ttl, Complete, Endpoints) ->
    #{endpoints => Endpoints, ttl => Ttl, unresolved => 0, complete => Complete}.

srv_endpoints(#{records := Records} = Answer, #{node_name := Template, family := Family}) ->
    NeedsIp = caravan_template:uses(ip, Template),
    lists:flatmap(
        fun(#{port := Port, target := Target}) ->
            Endpoint = #{port => Port, target => Target},
            with_ips(NeedsIp, Family, addresses(Target, Answer), Endpoint)
        end,
        Records
    ).

with_ips(false, _Family, _Addresses, Endpoint) -> [Endpoint];
with_ips(true, Family, {literal, Ip}, Endpoint) -> with_literal(of_family(Family, [Ip]), Endpoint);
with_ips(true, Family, {glue, Ips, Ttl}, Endpoint) -> with_glue(of_family(Family, Ips), Ttl, Endpoint).

with_literal([], Endpoint) -> [{unresolved, Endpoint}];
with_literal([Ip], Endpoint) -> [Endpoint#{ip => Ip}].

with_glue([], _Ttl, Endpoint) -> [{without_ip, Endpoint}];
with_glue(Ips, Ttl, Endpoint) -> [{ttl, Ttl} | [Endpoint#{ip => Ip} || Ip <- Ips]].

%% Some records have an IP address as their target, although RFC 2782 requires a host name. No lookup is needed for it.
addresses(Target, #{addresses := Addresses, address_ttls := Ttls}) ->
    case inet:parse_strict_address(binary_to_list(Target)) of
        {ok, Ip} -> {literal, Ip};
        {error, einval} -> {glue, maps:get(Target, Addresses, []), maps:get(Target, Ttls, none)}
    end.

%% Of an answer with both families, only addresses of the families of the distribution are used.
of_record(addresses, Ips) -> lists:append([of_family(Family, Ips) || Family <- lists:usort(caravan_listen:families())]);
of_record(_OneFamily, Ips) -> Ips.

%% An IP address in a node name must be of the family of the distribution.
of_family(inet, Ips) -> [Ip || Ip <- Ips, tuple_size(Ip) =:= 4];
of_family(inet6, Ips) -> [Ip || Ip <- Ips, tuple_size(Ip) =:= 8].

%% Most nameservers send the addresses of the targets along. Targets without glue are looked up.
found(Endpoints, Finding, #poll{options = #{max_nodes := MaxNodes}} = Poll) ->
    Without = [Endpoint || {without_ip, Endpoint} <- Endpoints],
    Ready = [Endpoint || #{} = Endpoint <- Endpoints],
    Unresolved = [Endpoint || {unresolved, Endpoint} <- Endpoints],
    #{ttl := Ttl, complete := Complete} = Finding,
    with_target(
        ask_for_targets(lists:sublist(Without, MaxNodes), Poll),
        Poll#poll{finding = Finding#{
            endpoints := Ready,
            ttl := lists:min([Ttl | [AddressTtl || {ttl, AddressTtl} <- Endpoints]]),
            unresolved := length(Unresolved),
            complete := Complete andalso Unresolved =:= [] andalso length(Without) =< MaxNodes
        }}
    ).

ask_for_targets(Endpoints, #poll{options = #{family := Family}} = Poll) ->
    maps:from_list([ask_for_target(record_type(Family), Endpoint, Poll) || Endpoint <- Endpoints]).

%% A name in a record is absolute (RFC 1035, section 3.1): with the search list, another machine could be found below one of
%% its domains.
ask_for_target(Type, #{target := Target} = Endpoint, #poll{options = Options}) ->
    {caravan_dns:lookup_async(<<Target/binary, $.>>, Type, lookup_options(Options)), {Type, Endpoint}}.

record_type(inet) -> a;
record_type(inet6) -> aaaa.

with_target(Left, #poll{finding = Finding}) when map_size(Left) =:= 0 -> {done, {ok, Finding}};
with_target(Left, Poll) -> {more, Poll#poll{waits_for = {targets, Left}}}.

target_looked_up({ok, #{records := Records, ttl := Ttl}}, Type, Endpoint, Left, Poll) ->
    #poll{options = #{family := Family}, finding = #{ttl := Before} = Finding} = Poll,
    Ips = of_family(Family, [Ip || #{address := Ip} <- Records]),
    with_target(Left, resolved(Ips, Endpoint, Poll#poll{finding = Finding#{ttl := min(Before, lifetime(Type, Ttl))}}));
%% The nameservers say that there is no address. A lookup of `addresses' also reads the hosts file.
target_looked_up({error, Reason}, Type, Endpoint, Left, Poll)
  when Type =/= addresses, (Reason =:= nxdomain orelse Reason =:= nodata orelse Reason =:= badname) ->
    {Ref, Asked} = ask_for_target(addresses, Endpoint, Poll),
    with_target(Left#{Ref => Asked}, Poll);
target_looked_up({error, _Reason}, _Type, Endpoint, Left, Poll) ->
    with_target(Left, resolved([], Endpoint, Poll)).

%% A line of the hosts file has no TTL.
lifetime(addresses, _Ttl) -> infinity;
lifetime(_Type, Ttl) -> Ttl.

resolved([], _Endpoint, #poll{finding = #{unresolved := Count} = Finding} = Poll) ->
    Poll#poll{finding = Finding#{unresolved := Count + 1, complete := false}};
resolved(Ips, Endpoint, #poll{finding = #{endpoints := Endpoints} = Finding} = Poll) ->
    Poll#poll{finding = Finding#{endpoints := [Endpoint#{ip => Ip} || Ip <- Ips] ++ Endpoints}}.

%% A client cannot distinguish "there are none" from "could not ask". An empty list counts as an empty answer, which
%% disconnects no node.
client_outcome({ok, []}) ->
    {error, nodata};
client_outcome({ok, Answer}) ->
    try
        {ok, finding(0, true, [client_endpoint(Record) || Record <- Answer])}
    catch
        error:_ -> {error, {client, {bad_answer, Answer}}}
    end;
client_outcome({raised, What}) ->
    {error, {client, What}};
client_outcome({exit, _} = Exit) ->
    {error, {client, Exit}};
client_outcome(timeout) ->
    {error, timeout}.

client_endpoint({Port, Host}) when is_integer(Port), Port >= 0, Port =< 65535 ->
    #{port => Port, target => iolist_to_binary(Host)}.

%% Returns the nameservers that are asked with these options, and where they are configured.
-spec nameservers(map()) -> {system | [binary(), ...] | none, no_query | topology | resolver | dns_client | caravan_config:source()}.
nameservers(#{queries := []}) -> {none, no_query};
nameservers(#{dns_client := Client}) when Client =/= default -> {none, dns_client};
nameservers(#{nameservers := default, resolver := default}) -> of_application(caravan_config:value(nameservers));
nameservers(#{nameservers := default}) -> {none, resolver};
nameservers(#{nameservers := Nameservers}) -> {Nameservers, topology}.

of_application({ok, Nameservers}) -> {Nameservers, caravan_config:source(nameservers)};
of_application({error, _}) -> {none, caravan_config:source(nameservers)}.

%% Returns the transports in the order of their use, or `unknown' for a user's resolver.
-spec transports(map()) -> [udp | tcp, ...] | unknown.
transports(#{transport := Transport}) when Transport =:= udp; Transport =:= tcp -> [Transport];
transports(#{record := Record}) when Record =/= srv -> [tcp, udp];
transports(#{transport := auto}) -> [tcp, udp];
transports(#{resolver := default}) -> of_resolver(caravan_config:value(resolver));
transports(#{}) -> unknown.

of_resolver({ok, Options}) ->
    case [Transport || {transport, Transport} <- as_list(Options)] of
        [Transport | _] when Transport =:= udp; Transport =:= tcp -> [Transport];
        _Auto -> [tcp, udp]
    end;
of_resolver({error, _}) ->
    unknown.

as_list(Options) when is_map(Options) -> maps:to_list(Options);
as_list(Options) -> Options.
