%% @doc A zone in which every record says of which name it is, so that an answer for another name is seen; and the nameserver, knot,
%% that serves it.
-module(caravan_network_zone).

-export([serve/4, question/2, is_right/3]).

-export_type([kind/0]).

%% `large' is an SRV lookup whose answer fits into no datagram.
-type kind() :: srv | large | a | aaaa | addresses.

-define(NAMES, 2000).
-define(LARGE_NAMES, 200).
-define(INSTANCES, 3).
-define(LARGE_INSTANCES, 150).
-define(TTL, 30).
-define(START_TIMEOUT_MS, 20000).

%% @doc Starts the nameserver, in the namespace at the other end of the link, and returns when it listens. It ends with this VM.
-spec serve(caravan_network_link:link(), inet:ip4_address(), [inet:port_number(), ...], file:filename()) -> ok.
serve(Link, Ip, [Port | _] = Ports, Directory) ->
    _ = caravan_test_directory:write(filename:join(Directory, "zone"), zone()),
    Config = caravan_test_directory:write(filename:join(Directory, "knot.conf"), config(inet:ntoa(Ip), Ports, Directory)),
    [Program | Arguments] = caravan_network_link:within(Link, ["knotd", "-c", Config]),
    Knot = open_port({spawn_executable, os:find_executable(Program)}, [{args, Arguments}, exit_status, stderr_to_stdout]),
    await(Knot, Ip, Port, erlang:monotonic_time(millisecond) + ?START_TIMEOUT_MS).

%% A program that is not yet listening sends no event; so it is tried again and again. Once knot listens it has read its zone.
await(Knot, Ip, Port, Deadline) ->
    case gen_tcp:connect(Ip, Port, []) of
        {ok, Socket} ->
            gen_tcp:close(Socket);
        {error, Reason} ->
            receive
                {Knot, {exit_status, Status}} -> error({knot, Status})
            after 50 ->
                erlang:monotonic_time(millisecond) < Deadline orelse error({knot, Reason}),
                await(Knot, Ip, Port, Deadline)
            end
    end.

%% @doc The name and the type of a lookup. Other numbers are other names, up to the size of the zone.
-spec question(kind(), non_neg_integer()) -> {string(), caravan_dns:type()}.
question(large, Number) -> {service(large, Number rem ?LARGE_NAMES), srv};
question(srv, Number) -> {service(srv, Number rem ?NAMES), srv};
question(Type, Number) -> {host(Number rem ?NAMES, 1), Type}.

%% @doc Whether these are records of that name and type and no others, and all of them where the answer says so.
-spec is_right(kind(), non_neg_integer(), caravan_dns:answer()) -> boolean().
is_right(Kind, Number, #{records := Records, addresses := Glue, complete := IsComplete}) ->
    All = records(Kind, Number),
    Got = lists:sort([maps:remove(ttl, Record) || Record <- Records]),
    Got =/= [] andalso Got -- All =:= [] andalso (Got =:= All orelse not IsComplete) andalso
        lists:all(fun({Target, Addresses}) -> is_glue(Kind, Number, Target, Addresses) end, maps:to_list(Glue)).

is_glue(srv, Number, Target, Addresses) ->
    Name = Number rem ?NAMES,
    Own = [[ipv4(Name, Instance), ipv6(Name, Instance)] || Instance <- instances(srv), list_to_binary(host(Name, Instance)) =:= Target],
    Addresses =/= [] andalso Addresses -- lists:append(Own) =:= [];
is_glue(_Kind, _Number, _Target, _Addresses) ->
    false.

records(a, Number) -> [#{address => ipv4(Number rem ?NAMES, 1)}];
records(aaaa, Number) -> [#{address => ipv6(Number rem ?NAMES, 1)}];
records(addresses, Number) -> lists:sort(records(a, Number) ++ records(aaaa, Number));
records(srv, Number) -> srv_records(srv, Number rem ?NAMES);
records(large, Number) -> srv_records(large, Number rem ?LARGE_NAMES).

srv_records(Kind, Name) ->
    lists:sort([
        #{priority => 1, weight => Name, port => port(Instance), target => list_to_binary(target(Kind, Name, Instance))}
     || Instance <- instances(Kind)
    ]).

instances(srv) -> lists:seq(1, ?INSTANCES);
instances(large) -> lists:seq(1, ?LARGE_INSTANCES).

service(Kind, Name) -> lists:flatten(io_lib:format("_~s-~b._tcp.bad.test", [Kind, Name])).

%% The targets of large answers lie in another zone, so that no addresses come along.
target(srv, Name, Instance) -> host(Name, Instance);
target(large, Name, Instance) -> lists:flatten(io_lib:format("n~b-~b.nodes.test", [Name, Instance])).

host(Name, Instance) -> lists:flatten(io_lib:format("n~b-~b.bad.test", [Name, Instance])).

port(Instance) -> 4370 + Instance.

ipv4(Name, Instance) -> {10, Instance, Name div 256, Name rem 256}.

ipv6(Name, Instance) -> {16#fd00, 0, 0, 0, 0, 0, Instance, Name}.

zone() ->
    [
        io_lib:format("$TTL ~b~nbad.test. SOA ns.bad.test. hostmaster.bad.test. 1 3600 600 86400 30~n", [?TTL]),
        "bad.test. NS ns.bad.test.\nns.bad.test. A 10.9.0.2\n",
        [srv_lines(srv, Name) || Name <- lists:seq(0, ?NAMES - 1)],
        [srv_lines(large, Name) || Name <- lists:seq(0, ?LARGE_NAMES - 1)],
        [address_lines(Name, Instance) || Name <- lists:seq(0, ?NAMES - 1), Instance <- instances(srv)]
    ].

srv_lines(Kind, Name) ->
    [
        io_lib:format("~s. SRV ~b ~b ~b ~s.~n", [service(Kind, Name), Priority, Weight, Port, Target])
     || #{priority := Priority, weight := Weight, port := Port, target := Target} <- srv_records(Kind, Name)
    ].

address_lines(Name, Instance) ->
    io_lib:format("~s. A ~s~n~s. AAAA ~s~n", [
        host(Name, Instance), inet:ntoa(ipv4(Name, Instance)), host(Name, Instance), inet:ntoa(ipv6(Name, Instance))
    ]).

config(Ip, Ports, Directory) ->
    Listen = lists:join(", ", [io_lib:format("~s@~b", [Ip, Port]) || Port <- Ports]),
    io_lib:format(
        "server:~n    rundir: \"~ts\"~n    listen: [ ~s ]~n    udp-workers: 1~n    tcp-workers: 1~n    background-workers: 1~n"
        "    tcp-idle-timeout: 60~n    tcp-io-timeout: 0~n    udp-max-payload: 4096~n"
        "database:~n    storage: \"~ts\"~n"
        "log:~n  - target: stderr~n    any: error~n"
        "zone:~n  - domain: bad.test~n    file: \"~ts/zone\"~n    zonefile-sync: -1~n    journal-content: none~n",
        [Directory, Listen, Directory, Directory]
    ).
