%% @private
%% Why a node could not be connected: net_kernel says no more than `false'. The steps of OTP's net_kernel are taken once more, and what
%% each of them finds is noted.
-module(caravan_diagnosis).

-export([beforehand/1, why/2, examine/2, whole_handshake/2, format/1]).

-export_type([reason/0, examination/0, method/0]).

-type endpoint() :: {inet:ip_address(), inet:port_number()}.

-type reason() ::
    no_address
    | {no_port, EpmdModule :: module()}
    | {unreachable, inet:posix(), endpoint()}
    | cookie
    | {other_name, binary(), connected | not_connected}
    | {no_node, endpoint()}
    | tls_here
    | tls_there
    | caravan_tls_probe:fault()
    | not_allowed
    | not_allowed_here
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

%% How far the handshake goes: to the challenge, which leaves no trace, as nobody or as the node that asks, or through to the proof of the
%% cookie, under a name of its own.
-type method() :: challenge | {challenge, AskedBy :: binary()} | {prove, Cookie :: atom(), AskedBy :: binary()}.

%% `reachable' is a node of that name that may have another cookie; `proven' one that has the same.
-type examination() :: #{
    node := binary(),
    result := reachable | proven | reason(),
    address => inet:ip_address(),
    port => inet:port_number(),
    %% What the node there calls itself, and the flags of its distribution.
    name_there => binary(),
    flags => non_neg_integer()
}.

%% Of an atom's 255 characters, what a name of the doctor leaves.
-define(MAX_OWN_BYTES, 240).
-define(CONNECT_TIMEOUT_MS, 1000).
-define(ANSWER_TIMEOUT_MS, 2000).
%% For how long a node is asked again that hangs up, and the longest pause before that.
-define(TRIES_MS, 1000).
-define(PAUSE_MS, 200).

%% This name is an atom in every VM and no node's, so that asking under it makes no atom there, and takes the place of no connection that
%% is up or being set up.
-define(NOBODY, <<"nonode@nohost">>).

%% What is known before an attempt: OTP would log an error for each. To be called by a process that may wait for an address.
-spec beforehand(node()) -> ok | needs_short_names | needs_long_names | this_node | not_allowed_here.
beforehand(Node) ->
    case {names(atom_to_binary(Node)), is_allowed(atom_to_binary(Node))} of
        {_Names, false} -> not_allowed_here;
        {{Name, Host}, true} -> beforehand(Name, Host);
        {none, true} -> ok
    end.

%% What net_kernel:allow/1 was given; nothing means everybody.
is_allowed(Node) ->
    case net_kernel:allowed() of
        {ok, [_ | _] = Allowed} -> lists:member(Node, [atom_to_binary(Other) || Other <- Allowed, is_atom(Other)]);
        _Everybody -> true
    end.

beforehand(Name, Host) ->
    case names_fit(net_kernel:longnames(), is_long(Host)) of
        ok -> unless_own_port(caravan_listen:actual_port(), Name, Host);
        Reason -> Reason
    end.

names_fit(true, false) -> needs_short_names;
names_fit(false, true) -> needs_long_names;
names_fit(_LongNames, _IsLong) -> ok.

%% A node that connects to itself under another name takes as long as net_setuptime to find that out. The address that is found here is
%% the one that OTP is given a moment later.
unless_own_port(none, _Name, _Host) ->
    ok;
unless_own_port(OwnPort, Name, Host) ->
    case caravan_port:of_name(Name) of
        {OwnPort, _Rule} -> unless_own_endpoint(endpoint(Name, Host, net_kernel:epmd_module()));
        _AnotherPort -> ok
    end.

unless_own_endpoint({ok, Ip, Port}) -> unless_own(caravan_listen:is_own(Ip, Port));
unless_own_endpoint(_Unknown) -> ok.

unless_own(true) -> this_node;
unless_own(false) -> ok.

%% The name and the host of a node name.
names(Node) ->
    case binary:split(Node, <<"@">>) of
        [Name, Host] -> {unicode:characters_to_list(Name), unicode:characters_to_list(Host)};
        [_NoHost] -> none
    end.

is_long(Host) ->
    lists:member($., Host) orelse lists:member($:, Host).

%% Why an attempt has failed that took so long: net_kernel ends one that nobody answers. To be called by a process that may wait.
-spec why(node(), Milliseconds :: non_neg_integer()) -> reason().
why(Node, Milliseconds) ->
    #{result := Result} = examine(atom_to_binary(Node), challenge),
    refused(Result, Milliseconds >= setup_time()).

%% A node that answers now had the whole time and did not.
refused(reachable, true) -> timeout;
refused(reachable, false) -> cookie;
refused(Reason, _HasTakenItsTime) -> Reason.

%% As net_kernel reads it.
setup_time() ->
    case application:get_env(kernel, net_setuptime) of
        {ok, Seconds} when is_number(Seconds), Seconds > 0, Seconds =< 120 -> round(Seconds * 1000);
        _ -> 7000
    end.

%% What there is of the node where this one looks for it. To be called by a process that may wait, for an address and some seconds. Makes
%% no atom of the name.
-spec examine(Node :: binary(), method()) -> examination().
examine(Node, Method) ->
    case {names(Node), is_allowed(Node)} of
        {_Names, false} -> #{node => Node, result => not_allowed_here};
        {{Name, Host}, true} -> examine(Node, Name, Host, Method);
        {none, true} -> #{node => Node, result => no_address}
    end.

examine(Node, Name, Host, Method) ->
    case {names_fit(net_kernel:longnames(), is_long(Host)), endpoint(Name, Host, epmd_module(net_kernel:epmd_module()))} of
        {ok, {ok, Ip, Port}} -> reach(caravan_listen:is_own(Ip, Port), #{node => Node, address => Ip, port => Port}, Host, Method);
        {ok, NoEndpoint} -> #{node => Node, result => NoEndpoint};
        {Reason, _} -> #{node => Node, result => Reason}
    end.

%% A VM that is not distributed, as that of a command, asks as a node with Caravan does.
epmd_module(Epmd) ->
    case is_alive() of
        true -> Epmd;
        false -> caravan_epmd
    end.

%% As OTP does it: of several protocols the first counts whose family the host has an address of, and an -epmd_module need not know
%% addresses.
endpoint(Name, Host, Epmd) ->
    endpoint(Name, Host, Epmd, caravan_listen:families()).

endpoint(_Name, _Host, _Epmd, []) ->
    no_address;
endpoint(Name, Host, Epmd, [Family | Families]) ->
    case (address_resolver(Epmd)):address_please(Name, Host, Family) of
        {ok, Ip, Port, _Version} -> {ok, Ip, Port};
        {ok, Ip} -> with_port(Epmd:port_please(Name, Ip), Ip, Epmd);
        _NoAddress -> endpoint(Name, Host, Epmd, Families)
    end.

address_resolver(Epmd) ->
    case erlang:function_exported(Epmd, address_please, 3) of
        true -> Epmd;
        false -> erl_epmd
    end.

with_port({port, Port, _Version}, Ip, _Epmd) -> {ok, Ip, Port};
with_port(_NoPort, _Ip, Epmd) -> {no_port, Epmd}.

reach(true, Seen, _Host, _Method) ->
    Seen#{result => this_node};
reach(false, #{address := Ip, port := Port} = Seen, Host, Method) ->
    case connect(Ip, Port) of
        {ok, Socket} ->
            IsTls = caravan_tls_probe:is_used(),
            unless_allowed(shake_hands(IsTls, Socket, Seen, Host, Method), IsTls, Seen, Host, Method, is_alive());
        %% The next attempt takes another address, where there is one.
        {error, Posix} ->
            ok = caravan_address_history:failed(Host, Ip),
            Seen#{result => {unreachable, Posix, {Ip, Port}}}
    end.

%% A node that allows some nodes alone may allow this one, and refuses nobody's name.
unless_allowed(#{result := not_allowed} = Refused, IsTls, #{address := Ip, port := Port} = Seen, Host, challenge, true) ->
    case connect(Ip, Port) of
        {ok, Socket} -> as_this_node(shake_hands(IsTls, Socket, Seen, Host, {challenge, atom_to_binary(node())}), Refused);
        {error, _} -> Refused
    end;
unless_allowed(Result, _IsTls, _Seen, _Host, _Method, _IsAlive) ->
    Result.

as_this_node(#{result := reachable} = Reachable, _Refused) -> Reachable;
as_this_node(#{result := {other_name, _, _}} = Other, _Refused) -> Other;
as_this_node(_Refused, Refused) -> Refused.

connect(Ip, Port) ->
    case gen_tcp:connect(Ip, Port, [caravan_glue:family(Ip), binary, {active, false}], ?CONNECT_TIMEOUT_MS) of
        {ok, _} = Connected -> Connected;
        {error, timeout} -> {error, etimedout};
        {error, _} = Error -> Error
    end.

%% A node takes one connection of a name at a time and hangs up on others, as on those of two nodes that ask it under the same name.
shake_hands(IsTls, Socket, Seen, Host, Method) ->
    LastTry = erlang:monotonic_time(millisecond) + ?TRIES_MS,
    again(shake_hands_once(IsTls, Socket, Seen, Host, Method), IsTls, Seen, Host, Method, LastTry).

%% What listens there may take its time to hang up.
again(#{result := {hung_up, Refusal}} = Result, IsTls, #{address := Ip, port := Port} = Seen, Host, Method, LastTry) ->
    timer:sleep(rand:uniform(?PAUSE_MS)),
    case caravan_task:remaining(LastTry) > 0 andalso connect(Ip, Port) of
        false -> Result#{result => refusal(Refusal, Seen)};
        {ok, Socket} -> again(shake_hands_once(IsTls, Socket, Seen, Host, Method), IsTls, Seen, Host, Method, LastTry);
        {error, Posix} -> Seen#{result => {unreachable, Posix, {Ip, Port}}}
    end;
again(Result, _IsTls, _Seen, _Host, _Method, _LastTry) ->
    Result.

shake_hands_once(false, Socket, Seen, _Host, Method) ->
    Result = introduced({tcp, Socket}, Seen, Method),
    ok = gen_tcp:close(Socket),
    Result;
shake_hands_once(true, Probe, #{address := Ip, port := Port} = Seen, Host, Method) ->
    ok = gen_tcp:close(Probe),
    case caravan_tls_probe:connect(Host, Ip, Port, ?ANSWER_TIMEOUT_MS) of
        {ok, Socket} ->
            Result = introduced({tls, Socket}, Seen, Method),
            _ = ssl:close(Socket),
            Result;
        {tls, _, _} = Fault ->
            Seen#{result => Fault};
        unknown ->
            Seen#{result => handshake};
        NoTls ->
            without_tls(NoTls, Seen)
    end.

%% A node without TLS takes the first message of TLS for the beginning of a long one of its own.
without_tls(NoTls, #{address := Ip, port := Port} = Seen) ->
    case connect(Ip, Port) of
        {ok, Socket} ->
            #{result := Result} = introduced({tcp, Socket}, Seen, challenge),
            ok = gen_tcp:close(Socket),
            Seen#{result => in_plain(Result, NoTls, Seen)};
        {error, _} ->
            Seen#{result => silent(NoTls, Seen)}
    end.

in_plain({hung_up, _}, NoTls, Seen) -> silent(NoTls, Seen);
in_plain(Silent, NoTls, Seen) when Silent =:= tls_there; Silent =:= timeout; element(1, Silent) =:= no_node -> silent(NoTls, Seen);
in_plain(_IsNode, _NoTls, _Seen) -> tls_here.

silent(timeout, _Seen) -> timeout;
silent(closed, #{address := Ip, port := Port}) -> {no_node, {Ip, Port}}.

introduced(Connection, Seen, Method) ->
    Deadline = erlang:monotonic_time(millisecond) + ?ANSWER_TIMEOUT_MS,
    case caravan_handshake:ask(Connection, asked_by(Method), Deadline) of
        {ok, #{name := Name, flags := Flags} = Introduction} ->
            Known = Seen#{name_there => Name, flags => Flags},
            Known#{result => named(Name, Known, {Connection, Introduction, Deadline}, Method)};
        Refusal when Refusal =:= closed; Refusal =:= busy ->
            Seen#{result => {hung_up, Refusal}};
        Refusal ->
            Seen#{result => refusal(Refusal, Seen)}
    end.

%% The method that finishes the handshake: under a name that is the same each time that this node asks, so that the other node makes
%% one atom of it, and a hidden one, which `global' and most users of net_kernel:monitor_nodes/1 do not see. `Own' is the name of the node
%% that asks. Of two connections of one name that are being set up, net_kernel ends the first one where that name is not less than its own
%% (`accept_pending'), and refuses the second one where it is: so a name that is less than those of nodes has the proof of the first asker
%% never cut off, which would look like another cookie, and the second one told to come again.
-spec whole_handshake(Own :: binary(), DefaultCookie :: atom()) -> method().
whole_handshake(_Own, nocookie) -> challenge;
whole_handshake(Own, Cookie) when byte_size(Own) > ?MAX_OWN_BYTES -> whole_handshake(<<"node@localhost">>, Cookie);
whole_handshake(Own, Cookie) -> {prove, Cookie, <<"0-caravan-doctor-", Own/binary>>}.

asked_by(challenge) -> ?NOBODY;
asked_by({challenge, AskedBy}) -> AskedBy;
asked_by({prove, _Cookie, AskedBy}) -> AskedBy.

named(Name, #{node := Name}, _Begun, Challenge) when Challenge =:= challenge; element(1, Challenge) =:= challenge ->
    reachable;
named(Name, #{node := Name} = Seen, {Connection, Introduction, Deadline}, {prove, Cookie, _AskedBy}) ->
    proven(caravan_handshake:prove(Connection, Introduction, Cookie, Deadline), Seen);
named(Other, _Seen, _Begun, _Method) ->
    other_name(Other, [atom_to_binary(Node) || Node <- nodes(connected)], atom_to_binary(node())).

other_name(Own, _Connected, Own) ->
    this_node;
other_name(Other, Connected, _Own) ->
    case lists:member(Other, Connected) of
        true -> {other_name, Other, connected};
        false -> {other_name, Other, not_connected}
    end.

proven(ok, _Seen) -> proven;
proven(closed, _Seen) -> cookie;
proven(Refusal, Seen) -> refusal(Refusal, Seen).

refusal(timeout, _Seen) -> timeout;
refusal(not_allowed, _Seen) -> not_allowed;
%% Others have asked under the same name each time.
refusal(busy, _Seen) -> timeout;
refusal(speaks_tls, _Seen) -> tls_there;
refusal({tls_alert, Alert}, _Seen) -> caravan_tls_probe:fault(Alert);
refusal(NoNode, #{address := Ip, port := Port}) when NoNode =:= no_node; NoNode =:= closed -> {no_node, {Ip, Port}}.

%% A clause that goes on after "cannot connect to app@host: ". Of another term, which a filter of the log may have put in
%% place of a reason, it is that term.
-spec format(reason() | caravan_why:kept_out() | connected | reachable | proven | term()) -> iodata().
format(no_address) -> "its host has no address";
format({no_port, erl_epmd}) -> "this node asks epmd for ports (it has no -epmd_module), and epmd knows none of that name";
format({no_port, Epmd}) -> io_lib:format("the -epmd_module of this node, ~ts, knows no port of that name", [Epmd]);
format({unreachable, Posix, Where}) when Posix =:= etimedout; Posix =:= ehostunreach; Posix =:= enetunreach ->
    io_lib:format("nothing answers at ~ts (~0tp): the host is down, or a firewall drops the packets", [where(Where), Posix]);
format({unreachable, Posix, Where}) ->
    io_lib:format("nothing accepts connections at ~ts (~0tp)", [where(Where), Posix]);
format(cookie) -> "the node there has that name and refuses the handshake: the cookie differs";
format({other_name, Name, Connected}) ->
    ["the node there is called ", text(Name), connected(Connected), ", and OTP connects names that are equal to the letter"];
format({no_node, Where}) ->
    io_lib:format("what listens at ~ts is no Erlang node", [where(Where)]);
format(tls_here) -> "TLS is on here and off there (-proto_dist)";
format(tls_there) -> "TLS is on there and off here (-proto_dist)";
format({tls, unknown_ca, here}) -> "its certificate is of a CA that this node does not know";
format({tls, unknown_ca, there}) -> "the certificate of this node is of a CA that it does not know";
format({tls, Alert, here}) -> io_lib:format("this node refuses its TLS handshake (~0tp)", [Alert]);
format({tls, Alert, there}) -> io_lib:format("it refuses the TLS handshake of this node (~0tp)", [Alert]);
format(not_allowed) -> "it allows other nodes only (net_kernel:allow/1)";
format(not_allowed_here) -> "net_kernel:allow/1 on this node leaves it out";
format(handshake) -> "it is reachable, and the handshake over TLS fails";
format(this_node) -> "its address and port are those of this node, which has another name";
format(needs_long_names) -> "its name is a long one, and this node was started with a short one (-sname)";
format(needs_short_names) -> "its name is a short one, and this node was started with a long one (-name)";
format(not_distributed) -> "this node is not distributed";
format(not_listed) -> "it was connected, and list_nodes does not have it";
format(lost_soon) -> "it was lost soon after it was connected";
format(timeout) -> "it does not answer";
format({result, Result}) -> io_lib:format("the configured connect function gave ~0tp", [Result]);
format({raised, What}) -> ["the configured connect function raised ", caravan_exception:format(What)];
format({left, there, Milliseconds}) -> io_lib:format("it has left the cluster, and is left alone for ~b s more", [Milliseconds div 1000]);
format({left, here, Milliseconds}) -> io_lib:format("this node has left the cluster, for ~b s more", [Milliseconds div 1000]);
format({excluded, Topology}) -> io_lib:format("the topology ~ts excludes it", [Topology]);
format(connected) -> "it is connected";
format(reachable) -> "it answers under that name; whether its cookie is the same shows only in a finished handshake";
format(proven) -> "it answers under that name, and has the same cookie";
format(Other) -> io_lib:format("~0tp", [Other]).

connected(connected) -> " (which is connected already)";
connected(_NotConnected) -> "".

where({Ip, Port}) when tuple_size(Ip) =:= 4 -> io_lib:format("~ts:~b", [inet:ntoa(Ip), Port]);
where({Ip, Port}) when tuple_size(Ip) =:= 8 -> io_lib:format("[~ts]:~b", [inet:ntoa(Ip), Port]);
where(Other) -> io_lib:format("~0tp", [Other]).

%% A filter of the log may have put something else there.
text(Name) when is_binary(Name) -> io_lib:format("~ts", [Name]);
text(Name) -> io_lib:format("~0tp", [Name]).
