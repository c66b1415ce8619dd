%% @private
%% Finds out why a node could not be connected, of which net_kernel says no more than `false'. It takes the steps of
%% net_kernel once more and returns what each of them finds.
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

%% How far the handshake goes. `challenge' stops at the challenge, which leaves no trace on the other node, under a name that
%% belongs to no node or under that of the node that asks. `prove' completes it with a proof of the cookie, under a name of
%% its own.
-type method() :: challenge | {challenge, AskedBy :: binary()} | {prove, Cookie :: atom(), AskedBy :: binary()}.

%% `reachable': a node of that name, whose cookie may differ. `proven': a node of that name with the same cookie.
-type examination() :: #{
    node := binary(),
    result := reachable | proven | reason(),
    address => inet:ip_address(),
    port => inet:port_number(),
    %% The name that the node there has given, and the flags of its distribution.
    name_there => binary(),
    flags => non_neg_integer()
}.

%% The 255 characters of an atom without the prefix that whole_handshake/2 adds.
-define(MAX_OWN_BYTES, 240).
-define(CONNECT_TIMEOUT_MS, 1000).
-define(ANSWER_TIMEOUT_MS, 2000).
%% For how long a connection is tried again if the node closes it, and the longest pause before the next try.
-define(TRIES_MS, 1000).
-define(PAUSE_MS, 200).

%% This name is an atom in every VM and belongs to no node. So no atom is made on the other node, and no connection that is
%% up or being set up is replaced.
-define(NOBODY, <<"nonode@nohost">>).

%% Checks what can be known without an attempt, for which OTP would log an error. May wait for an address.
-spec beforehand(node()) -> ok | needs_short_names | needs_long_names | this_node | not_allowed_here.
beforehand(Node) ->
    case {names(atom_to_binary(Node)), is_allowed(atom_to_binary(Node))} of
        {_Names, false} -> not_allowed_here;
        {{Name, Host}, true} -> beforehand(Name, Host);
        {none, true} -> ok
    end.

%% What net_kernel:allow/1 was given; an empty list allows every node.
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

%% OTP needs net_setuptime to find out that a node connects to itself under another name. The address found here is the one
%% that OTP gets a moment later.
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

%% Splits a node name into name and host.
names(Node) ->
    case binary:split(Node, <<"@">>) of
        [Name, Host] -> {unicode:characters_to_list(Name), unicode:characters_to_list(Host)};
        [_NoHost] -> none
    end.

is_long(Host) ->
    lists:member($., Host) orelse lists:member($:, Host).

%% Returns why an attempt of this duration has failed. net_kernel ends an attempt that gets no reply after net_setuptime. May
%% wait for seconds.
-spec why(node(), Milliseconds :: non_neg_integer()) -> reason().
why(Node, Milliseconds) ->
    #{result := Result} = examine(atom_to_binary(Node), challenge),
    refused(Result, Milliseconds >= setup_time()).

%% A node that answers now but did not answer within net_setuptime has timed out.
refused(reachable, true) -> timeout;
refused(reachable, false) -> cookie;
refused(Reason, _HasTakenItsTime) -> Reason.

%% Reads net_setuptime as net_kernel does.
setup_time() ->
    case application:get_env(kernel, net_setuptime) of
        {ok, Seconds} when is_number(Seconds), Seconds > 0, Seconds =< 120 -> round(Seconds * 1000);
        _ -> 7000
    end.

%% Examines what listens at the address and port of a node. May wait for an address and for some seconds. Makes no atom of
%% the name.
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

%% A VM that is not distributed, as that of a command, looks for nodes as a node with Caravan does.
epmd_module(Epmd) ->
    case is_alive() of
        true -> Epmd;
        false -> caravan_epmd
    end.

%% As in OTP, the first protocol counts for whose family the host has an address, and the module of -epmd_module need not
%% export address_please/3.
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
        %% The next attempt takes another address if the host has one.
        {error, Posix} ->
            ok = caravan_address_history:failed(Host, Ip),
            Seen#{result => {unreachable, Posix, {Ip, Port}}}
    end.

%% A node that allows only certain nodes refuses the name of no node, but may allow this one, so it is asked under this
%% node's name as well.
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

%% A node accepts one connection of a name at a time. It closes others, as when two nodes ask it under the same name.
shake_hands(IsTls, Socket, Seen, Host, Method) ->
    LastTry = erlang:monotonic_time(millisecond) + ?TRIES_MS,
    again(shake_hands_once(IsTls, Socket, Seen, Host, Method), IsTls, Seen, Host, Method, LastTry).

%% A pause lets the other connection end.
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

%% A node without TLS reads the first message of TLS as the beginning of a long message of its own protocol.
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

%% Returns the method that completes the handshake. Its name is the same each time that this node asks, so the other node
%% makes only one atom, and hidden, so that `global' and most users of net_kernel:monitor_nodes/1 do not see it. `Own' is the
%% name of the node that asks.
%%
%% Of two pending connections of one name, net_kernel ends the first one unless that name is less than its own
%% (`accept_pending'), and otherwise refuses the second one. The prefix makes the name less than those of nodes: then no
%% proof is cut off, which would look like another cookie, and the second connection is told that it is `busy'.
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
%% Other nodes have asked under the same name at each try.
refusal(busy, _Seen) -> timeout;
refusal(speaks_tls, _Seen) -> tls_there;
refusal({tls_alert, Alert}, _Seen) -> caravan_tls_probe:fault(Alert);
refusal(NoNode, #{address := Ip, port := Port}) when NoNode =:= no_node; NoNode =:= closed -> {no_node, {Ip, Port}}.

%% Formats a reason as a clause that continues "cannot connect to app@host: ". A filter of the log may have put any other
%% term in its place, which is formatted as it is.
-spec format(reason() | caravan_why:kept_out() | connected | reachable | proven | term()) -> iodata().
format(no_address) -> "its host has no address";
format({no_port, erl_epmd}) -> "this node asks epmd for ports (it has no -epmd_module), and epmd has no node of that name";
format({no_port, Epmd}) -> io_lib:format("the -epmd_module of this node, ~ts, has no port for that name", [Epmd]);
format({unreachable, Posix, Where}) when Posix =:= etimedout; Posix =:= ehostunreach; Posix =:= enetunreach ->
    io_lib:format("nothing answers at ~ts (~0tp): the host is down, or a firewall drops the packets", [where(Where), Posix]);
format({unreachable, Posix, Where}) ->
    io_lib:format("nothing accepts connections at ~ts (~0tp)", [where(Where), Posix]);
format(cookie) -> "the node there has that name and refuses the handshake: the cookie differs";
format({other_name, Name, Connected}) ->
    ["the node there is called ", text(Name), connected(Connected), ", and OTP connects only to the exact name"];
format({no_node, Where}) ->
    io_lib:format("what listens at ~ts is not an Erlang node", [where(Where)]);
format(tls_here) -> "TLS is on here and off there (-proto_dist)";
format(tls_there) -> "TLS is on there and off here (-proto_dist)";
format({tls, unknown_ca, here}) -> "its certificate is from a CA that this node does not trust";
format({tls, unknown_ca, there}) -> "the certificate of this node is from a CA that it does not trust";
format({tls, Alert, here}) -> io_lib:format("this node refuses its TLS handshake (~0tp)", [Alert]);
format({tls, Alert, there}) -> io_lib:format("it refuses the TLS handshake of this node (~0tp)", [Alert]);
format(not_allowed) -> "it accepts only the nodes that it allows (net_kernel:allow/1)";
format(not_allowed_here) -> "this node does not allow it (net_kernel:allow/1)";
format(handshake) -> "it is reachable, but the handshake over TLS fails";
format(this_node) -> "its address and port are those of this node, which has another name";
format(needs_long_names) -> "its name is a long one, but this node was started with a short one (-sname)";
format(needs_short_names) -> "its name is a short one, but this node was started with a long one (-name)";
format(not_distributed) -> "this node is not distributed";
format(not_listed) -> "it was connected, but list_nodes does not return it";
format(lost_soon) -> "it was lost soon after it was connected";
format(timeout) -> "it does not answer";
format({result, Result}) -> io_lib:format("the configured connect function returned ~0tp", [Result]);
format({raised, What}) -> ["the configured connect function raised ", caravan_exception:format(What)];
format({left, there, Milliseconds}) -> io_lib:format("it has left the cluster, and is left alone for ~b s more", [Milliseconds div 1000]);
format({left, here, Milliseconds}) -> io_lib:format("this node has left the cluster and connects to no node for ~b s more", [Milliseconds div 1000]);
format({excluded, Topology}) -> io_lib:format("the topology ~ts excludes it", [Topology]);
format(connected) -> "it is connected";
format(reachable) -> "it answers under that name; only a completed handshake shows whether its cookie is the same";
format(proven) -> "it answers under that name, and has the same cookie";
format(Other) -> io_lib:format("~0tp", [Other]).

connected(connected) -> " (which is connected already)";
connected(_NotConnected) -> "".

where({Ip, Port}) when tuple_size(Ip) =:= 4 -> io_lib:format("~ts:~b", [inet:ntoa(Ip), Port]);
where({Ip, Port}) when tuple_size(Ip) =:= 8 -> io_lib:format("[~ts]:~b", [inet:ntoa(Ip), Port]);
where(Other) -> io_lib:format("~0tp", [Other]).

%% A filter of the log may have replaced the name by any term.
text(Name) when is_binary(Name) -> io_lib:format("~ts", [Name]);
text(Name) -> io_lib:format("~0tp", [Name]).
