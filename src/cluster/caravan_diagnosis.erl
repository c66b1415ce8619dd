%% @private
%% Why a node could not be connected: net_kernel says no more than `false'.
-module(caravan_diagnosis).

-export([beforehand/1, why/1, kind/1, format/1]).

-export_type([reason/0]).

-type reason() ::
    no_address
    | {no_port, EpmdModule :: module()}
    | {unreachable, inet:posix()}
    | handshake
    | this_node
    | needs_long_names
    | needs_short_names
    | not_distributed
    | not_listed
    | lost_soon
    | timeout
    | {result, term()}
    | {raised, term()}.

-define(CONNECT_TIMEOUT_MS, 1000).

%% What is known before an attempt: OTP would log an error for each.
-spec beforehand(node()) -> ok | needs_short_names | needs_long_names.
beforehand(Node) ->
    case string:split(atom_to_list(Node), "@") of
        [_Name, Host] -> names_fit(net_kernel:longnames(), is_long(Host));
        [_NoHost] -> ok
    end.

names_fit(true, false) -> needs_short_names;
names_fit(false, true) -> needs_long_names;
names_fit(_LongNames, _IsLong) -> ok.

%% Takes the steps of OTP's net_kernel once more. To be called by a process that may wait.
-spec why(node()) -> reason().
why(Node) ->
    case string:split(atom_to_list(Node), "@") of
        [Name, Host] -> why(Name, Host, beforehand(Node));
        [_NoHost] -> no_address
    end.

why(Name, Host, ok) -> reach(Name, Host, net_kernel:epmd_module());
why(_Name, _Host, Reason) -> Reason.

is_long(Host) ->
    lists:member($., Host) orelse lists:member($:, Host).

reach(Name, Host, Epmd) ->
    case Epmd:address_please(Name, Host, caravan_listen:first_family()) of
        {ok, Ip, Port, _Version} -> try_port(Ip, Port);
        {ok, Ip} -> reach_port(Epmd:port_please(Name, Ip), Ip, Epmd);
        _NoAddress -> no_address
    end.

reach_port({port, Port, _Version}, Ip, _Epmd) -> try_port(Ip, Port);
reach_port(_NoPort, _Ip, Epmd) -> {no_port, Epmd}.

try_port(Ip, Port) ->
    case gen_tcp:connect(Ip, Port, [], ?CONNECT_TIMEOUT_MS) of
        {ok, Socket} ->
            Reason = who_listens(inet:sockname(Socket), Ip, Port),
            ok = gen_tcp:close(Socket),
            Reason;
        {error, Posix} ->
            {unreachable, Posix}
    end.

%% A connection to an address of this machine comes from that address.
who_listens({ok, {Ip, _}}, Ip, Port) ->
    case caravan_port:of_name(node()) of
        {Port, _Rule} -> this_node;
        _ -> handshake
    end;
who_listens(_Elsewhere, _Ip, _Port) ->
    handshake.

%% What a reason has in common with others of its kind: pids, references and the like in it are new each time.
-spec kind(reason() | term()) -> term().
kind(Pid) when is_pid(Pid) -> pid;
kind(Reference) when is_reference(Reference) -> reference;
kind(Port) when is_port(Port) -> port;
kind(Fun) when is_function(Fun) -> function;
kind([Head | Tail]) -> [kind(Head) | kind(Tail)];
kind(Tuple) when is_tuple(Tuple) -> list_to_tuple(kind(tuple_to_list(Tuple)));
kind(Map) when is_map(Map) -> {map, kind(lists:sort(maps:to_list(Map)))};
kind(Other) -> Other.

%% A clause that goes on after "cannot connect to app@host: ". Of another term, which a filter of the log may have put in
%% place of a reason, it is that term.
-spec format(reason() | term()) -> iodata().
format(no_address) -> "its host has no address";
format({no_port, erl_epmd}) -> "this node asks epmd for ports (it has no -epmd_module), and epmd knows none of that name";
format({no_port, Epmd}) -> io_lib:format("the -epmd_module of this node, ~ts, knows no port of that name", [Epmd]);
format({unreachable, Posix}) -> io_lib:format("nothing accepts connections where it is looked for (~0tp)", [Posix]);
format(handshake) -> "it is reachable and refuses the handshake: another cookie, or another name";
format(this_node) -> "its address and port are those of this node, which has another name";
format(needs_long_names) -> "its name is a long one, and this node was started with a short one (-sname)";
format(needs_short_names) -> "its name is a short one, and this node was started with a long one (-name)";
format(not_distributed) -> "this node is not distributed";
format(not_listed) -> "it was connected, and the configured list_nodes does not have it";
format(lost_soon) -> "its connections do not last";
format(timeout) -> "it does not answer";
format({result, Result}) -> io_lib:format("the configured connect function gave ~0tp", [Result]);
format({raised, What}) -> ["the configured connect function raised ", caravan_exception:format(What)];
format(Other) -> io_lib:format("~0tp", [Other]).
