%% @private
%% Lists the nodes of a machine, as `epmd -names' lists those that are registered: on this machine by its processes, on
%% another one by asking for a name on a range of ports.
-module(caravan_names).

-export([of_this_machine/1, of_host/2]).

-define(TIMEOUT_MS, 5000).
-define(AT_A_TIME, 32).
-define(CONNECT_MS, 1000).
-define(ANSWER_MS, 2000).
%% How many ports are asked, from the default port on, unless --ports is given.
-define(USUAL_PORTS, 30).
-define(MAX_PORTS, 4096).
%% As in caravan_diagnosis: no node has this name, and the atom exists in every VM.
-define(NOBODY, <<"nonode@nohost">>).

-type seen() :: {name, binary()} | speaks_tls | no_node | silent | no_answer.

-spec of_this_machine(map()) -> ok.
of_this_machine(Options) ->
    io:put_chars(local(caravan_port_holder:nodes(), maps:get(json, Options, false))).

local(Nodes, true) ->
    json([Node#{name := list_to_binary(Name), os_pid := list_to_binary(Pid)} || #{name := Name, os_pid := Pid} = Node <- Nodes]);
local(Nodes, false) ->
    [local_line(Node) || Node <- Nodes].

local_line(#{name := Name, ports := Ports, os_pid := Pid}) ->
    {Port, _Rule} = caravan_port:of_name(Name),
    [io_lib:format("name ~ts at port ~b", [Name, Port]), listens(lists:member(Port, Ports)), io_lib:format(" (OS process ~ts)~n", [Pid])].

listens(true) -> "";
listens(false) -> ", where it does not listen".

%% Returns `none' if no node answers on the ports. Errors: the host has no address, the ports are not a range, the timeout is
%% not allowed.
-spec of_host(Host :: string(), map()) -> ok | none | {error, Line :: unicode:chardata()}.
of_host(Host, Options) ->
    case {ports(Options), caravan_option:check(timeout, maps:get(timeout, Options, ?TIMEOUT_MS), caravan_option:integer(1000, 60000)), address(Host)} of
        {_, {error, Error}, _} -> {error, caravan_option:format_error(Error)};
        {{ok, Ports}, {ok, Timeout}, {ok, Ip}} -> printed(look(Host, Ip, Ports, Timeout), Host, Ip, Ports, Options);
        {error, _, _} -> {error, io_lib:format("--ports is a port or a range such as 4370-4399, of at most ~b ports", [?MAX_PORTS])};
        {_, _, error} -> {error, [Host, " has no address"]}
    end.

ports(#{ports := Text}) -> range([string:to_integer(Part) || Part <- string:split(Text, "-")]);
ports(#{}) -> {ok, First} = caravan_config:value(default_port), {ok, lists:seq(First, min(65535, First + ?USUAL_PORTS - 1))}.

range([{Port, ""}]) -> range([{Port, ""}, {Port, ""}]);
range([{First, ""}, {Last, ""}]) when First >= 1, First =< Last, Last =< 65535, Last - First < ?MAX_PORTS -> {ok, lists:seq(First, Last)};
range(_NoRange) -> error.

%% Returns an address of either family.
address(Host) ->
    case inet:parse_strict_address(Host) of
        {ok, Ip} -> {ok, Ip};
        {error, einval} -> address(Host, caravan_listen:families())
    end.

address(_Host, []) ->
    error;
address(Host, [Family | Families]) ->
    case caravan_address:resolve(Host, Family, ?CONNECT_MS) of
        {ok, Ip} -> {ok, Ip};
        {error, _} -> address(Host, Families)
    end.

look(Host, Ip, Ports, Timeout) ->
    ok = start_tls(caravan_tls_probe:is_used()),
    Deadline = erlang:monotonic_time(millisecond) + Timeout,
    Look = fun() -> caravan_parallel:map(fun(Port) -> ask(Host, Ip, Port) end, Ports, ?AT_A_TIME, Deadline - 200) end,
    case caravan_task:call(Look, Deadline) of
        {ok, Seen} -> [{Port, seen(Result)} || {Port, Result} <- Seen, Result =/= {ok, closed}];
        _NoTime -> [{Port, silent} || Port <- Ports]
    end.

start_tls(true) -> {ok, _} = application:ensure_all_started(ssl), ok;
start_tls(false) -> ok.

seen({ok, Seen}) -> Seen;
seen(_NoTime) -> no_answer.

-spec ask(string(), inet:ip_address(), inet:port_number()) -> seen() | closed.
ask(Host, Ip, Port) ->
    case gen_tcp:connect(Ip, Port, [caravan_glue:family(Ip), binary, {active, false}], ?CONNECT_MS) of
        {ok, Socket} -> introduced(caravan_tls_probe:is_used(), Socket, Host, Ip, Port);
        {error, econnrefused} -> closed;
        {error, _} -> no_answer
    end.

introduced(false, Socket, _Host, _Ip, _Port) ->
    Seen = name(caravan_handshake:ask({tcp, Socket}, ?NOBODY, deadline())),
    ok = gen_tcp:close(Socket),
    Seen;
introduced(true, Probe, Host, Ip, Port) ->
    ok = gen_tcp:close(Probe),
    case caravan_tls_probe:connect(Host, Ip, Port, ?ANSWER_MS) of
        {ok, Socket} ->
            Seen = name(caravan_handshake:ask({tls, Socket}, ?NOBODY, deadline())),
            _ = ssl:close(Socket),
            Seen;
        timeout -> silent;
        {tls, _, _} -> speaks_tls;
        _NoTls -> no_node
    end.

deadline() ->
    erlang:monotonic_time(millisecond) + ?ANSWER_MS.

name({ok, #{name := Name}}) -> {name, Name};
name(speaks_tls) -> speaks_tls;
name({tls_alert, _}) -> speaks_tls;
name(Silent) when Silent =:= timeout; Silent =:= busy; Silent =:= not_allowed -> silent;
name(_NoNode) -> no_node.

printed(Seen, Host, Ip, Ports, Options) ->
    ok = io:put_chars(lines(maps:get(json, Options, false), Seen, Host, Ip, Ports)),
    found([Name || {_Port, {name, Name}} <- Seen]).

found([]) -> none;
found([_ | _]) -> ok.

lines(true, Seen, _Host, Ip, _Ports) ->
    json([(in_json(What))#{port => Port, address => list_to_binary(inet:ntoa(Ip))} || {Port, What} <- Seen]);
lines(false, Seen, Host, Ip, Ports) ->
    {Shut, Answers} = lists:partition(fun({_Port, What}) -> What =:= no_answer end, Seen),
    [
        [line(Port, What) || {Port, What} <- Answers],
        [io_lib:format("no answer from ~b ports~n", [length(Shut)]) || Shut =/= []],
        [io_lib:format("no node on the ports ~b to ~b of ~ts (~ts)~n", [hd(Ports), lists:last(Ports), Host, inet:ntoa(Ip)]) || none(Seen)]
    ].

none(Seen) ->
    found([Name || {_Port, {name, Name}} <- Seen]) =:= none.

in_json({name, Name}) -> #{name => Name};
in_json(What) -> #{name => null, reason => What}.

line(Port, {name, Name}) -> io_lib:format("name ~ts at port ~b~n", [Name, Port]);
line(Port, speaks_tls) -> io_lib:format("port ~b: it speaks TLS and does not tell its name~n", [Port]);
line(Port, no_node) -> io_lib:format("port ~b: no Erlang node~n", [Port]);
line(Port, silent) -> io_lib:format("port ~b: it accepts connections but does not answer~n", [Port]).

json(Value) -> [caravan_json:encode(Value), $\n].
