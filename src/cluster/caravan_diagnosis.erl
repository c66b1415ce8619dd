%% @private
%% Why a node could not be connected: net_kernel says no more than `false'.
-module(caravan_diagnosis).

-export([beforehand/1, why/2, format/1]).

-export_type([reason/0]).

-type reason() ::
    no_address
    | {no_port, EpmdModule :: module()}
    | {unreachable, inet:posix()}
    | handshake
    | {other_name, binary()}
    | {tls, Alert :: atom()}
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
-define(ANSWER_TIMEOUT_MS, 2000).

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

%% Takes the steps of OTP's net_kernel once more. To be called by a process that may wait. The attempt that failed took so
%% long: net_kernel ends one that nobody answers.
-spec why(node(), Milliseconds :: non_neg_integer()) -> reason().
why(Node, Milliseconds) ->
    case {string:split(atom_to_list(Node), "@"), beforehand(Node)} of
        {[Name, Host], ok} -> unanswered(reach(Name, Host, net_kernel:epmd_module()), Milliseconds >= setup_time());
        {[_Name, _Host], Reason} -> Reason;
        {[_NoHost], _} -> no_address
    end.

unanswered(handshake, true) -> timeout;
unanswered(Reason, _HasTakenItsTime) -> Reason.

%% As net_kernel reads it.
setup_time() ->
    case application:get_env(kernel, net_setuptime) of
        {ok, Seconds} when is_number(Seconds), Seconds > 0, Seconds =< 120 -> round(Seconds * 1000);
        _ -> 7000
    end.

is_long(Host) ->
    lists:member($., Host) orelse lists:member($:, Host).

reach(Name, Host, Epmd) ->
    case (address_resolver(Epmd)):address_please(Name, Host, caravan_listen:first_family()) of
        {ok, Ip, Port, _Version} -> try_port(Name, Host, Ip, Port);
        {ok, Ip} -> reach_port(Epmd:port_please(Name, Ip), Name, Host, Ip, Epmd);
        _NoAddress -> no_address
    end.

%% As OTP does it: an -epmd_module need not know addresses.
address_resolver(Epmd) ->
    case erlang:function_exported(Epmd, address_please, 3) of
        true -> Epmd;
        false -> erl_epmd
    end.

reach_port({port, Port, _Version}, Name, Host, Ip, _Epmd) -> try_port(Name, Host, Ip, Port);
reach_port(_NoPort, _Name, _Host, _Ip, Epmd) -> {no_port, Epmd}.

%% The next attempt takes another address, where there is one.
try_port(Name, Host, Ip, Port) ->
    case gen_tcp:connect(Ip, Port, [binary, {active, false}, {packet, 2}], ?CONNECT_TIMEOUT_MS) of
        {ok, Socket} ->
            IsThisNode = is_this_node(inet:sockname(Socket), Ip, Port),
            Reason = accepted(IsThisNode, caravan_tls_probe:is_used(), Socket, Name, Host),
            ok = gen_tcp:close(Socket),
            in_tls(Reason, Host, Ip, Port);
        {error, Posix} ->
            ok = caravan_address_history:failed(Host, Ip),
            {unreachable, Posix}
    end.

%% A connection to an address of this machine comes from that address.
is_this_node({ok, {Ip, _}}, Ip, Port) -> element(1, caravan_port:of_name(node())) =:= Port;
is_this_node(_Elsewhere, _Ip, _Port) -> false.

accepted(true, _IsTls, _Socket, _Name, _Host) ->
    this_node;
accepted(false, true, _Socket, _Name, _Host) ->
    speaks_tls;
accepted(false, false, Socket, Name, Host) ->
    challenged(caravan_challenge:name(Socket, ?ANSWER_TIMEOUT_MS), unicode:characters_to_binary([Name, "@", Host])).

challenged({ok, Name}, Name) -> handshake;
challenged({ok, Other}, _Name) -> {other_name, Other};
challenged(timeout, _Name) -> timeout;
challenged(refused, _Name) -> handshake.

in_tls(speaks_tls, Host, Ip, Port) ->
    case caravan_tls_probe:try_handshake(Host, Ip, Port, ?ANSWER_TIMEOUT_MS) of
        {tls, _} = Reason -> Reason;
        timeout -> timeout;
        _Other -> handshake
    end;
in_tls(Reason, _Host, _Ip, _Port) ->
    Reason.


%% A clause that goes on after "cannot connect to app@host: ". Of another term, which a filter of the log may have put in
%% place of a reason, it is that term.
-spec format(reason() | term()) -> iodata().
format(no_address) -> "its host has no address";
format({no_port, erl_epmd}) -> "this node asks epmd for ports (it has no -epmd_module), and epmd knows none of that name";
format({no_port, Epmd}) -> io_lib:format("the -epmd_module of this node, ~ts, knows no port of that name", [Epmd]);
format({unreachable, Posix}) -> io_lib:format("nothing accepts connections where it is looked for (~0tp)", [Posix]);
format(handshake) -> "it is reachable and refuses the handshake: another cookie, or over TLS another name";
format({other_name, Name}) ->
    ["it calls itself ", other_name(Name), ", and OTP connects names that are equal to the letter"];
format({tls, closed}) -> "it is reachable and ends the TLS handshake: perhaps it speaks no TLS";
format({tls, Alert}) -> io_lib:format("it is reachable, and the TLS handshake fails (~0tp)", [Alert]);
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

%% A filter of the log may have put something else there.
other_name(Name) when is_binary(Name) -> io_lib:format("~ts", [Name]);
other_name(Name) -> io_lib:format("~0tp", [Name]).
