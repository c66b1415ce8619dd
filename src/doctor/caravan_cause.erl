%% @private
%% The causes that the doctor knows, each with advice on what to do.
-module(caravan_cause).

-export([new/2, of_reason/2, main/1]).

-export_type([cause/0]).

-type cause() :: #{name := atom(), text := binary(), advice := binary()}.

%% Returns the cause of this name, whose text is `What'.
-spec new(Name :: atom(), What :: unicode:chardata()) -> cause().
new(Name, What) ->
    #{name => Name, text => binary(What), advice => binary(advice(Name))}.

binary(Text) ->
    unicode:characters_to_binary(Text).

advice(not_distributed) -> "start the node with a name (-name, -sname), or call net_kernel:start/1";
advice(library) -> "build Caravan again for this OTP and this machine, and install c-ares where the library needs it";
advice(configuration) -> "correct that value";
advice(epmd_here) -> ["add ", caravan_tool:flags(caravan_tool:tool())];
advice(epmd_twice) -> "set epmd_module in one place only: OTP stops the boot if both the flag and the kernel parameter are set";
advice(epmd_there) -> "start that node with -start_epmd false and -epmd_module caravan_epmd, too";
advice(port_taken) -> "stop that process, or give the node another port at the end of its name";
advice(spelling) -> "start the node under its name as DNS spells it: in lower case, without a dot at the end";
advice(dns_down) -> "check that the nameserver runs and that this machine can reach it, over UDP and over TCP";
advice(dns_udp_only) -> "open TCP to the nameserver's port: answers over UDP are not known to be complete";
advice(dns_error) -> "look up the name with caravan dig, and ask the operator of the nameserver";
advice(no_records) -> "check that the instances are registered and healthy, and that the query has the right name";
advice(names) -> "check that node_name and node_basename give node names for these records";
advice(node_name) -> "set node_name of the topology to that, or start the nodes under the names that it gives now";
advice(not_listed) -> "check under which address and port this node is registered: they must be those of its name";
advice(basename) -> "give nodes of one service the same name before the port: rename the node, or set node_basename of the topology to all basenames";
advice(other_name) -> "check under which address and port that node is registered";
advice(this_node) -> "check under which address and port that node is registered: they are those of this node";
advice(cookie) -> "give all nodes the same cookie (-setcookie, ~/.erlang.cookie, RELEASE_COOKIE)";
advice(tls_one_side) -> "start all nodes with the same -proto_dist";
advice(certificate) -> "give each node a certificate of a CA that the other one trusts (cacertfile)";
advice(tls) -> "compare the options of -ssl_dist_optfile on both nodes";
advice(nothing_listens) -> "check that the node runs, and that it is registered with the port of its name";
advice(packets_dropped) -> "open the distribution's ports between the nodes: a firewall, a security group or a NetworkPolicy drops the packets";
advice(address_family) -> "start the nodes with -proto_dist inet6_tcp, or register addresses of the family that they speak";
advice(no_address) -> "check that the host of the node's name has an address, or use {ip} in node_name";
advice(no_node) -> "check which server listens there, and which port the node is registered with";
advice(not_allowed) -> "let that node allow this one (net_kernel:allow/1)";
advice(silent) -> "check whether that node's VM hangs or is stopped";
advice(not_allowed_here) -> "let this node allow that one (net_kernel:allow/1)";
advice(left) -> "wait, or call caravan_cluster:reconnect/1 on this node";
advice(others_left) -> "wait, or call caravan_cluster:reconnect/1 on the nodes that have left";
advice(down) -> "start the node, and read what its boot prints";
advice(not_started) -> "start the application caravan: make it an application of the release that depends on it";
advice(not_running) -> "read the log of the node's start, and correct the options of those topologies";
advice(not_connected) -> "wait for the next attempt, or call caravan_cluster:reconnect/1, and read what the log says of these nodes";
advice(helper_ports) -> "give all nodes the same helper_ports";
advice(name_kind) -> "start all nodes with -name, or all with -sname".

%% Returns the cause for a reason of caravan_diagnosis why a node cannot be connected.
-spec of_reason(caravan_diagnosis:reason(), Node :: binary()) -> cause().
of_reason(Reason, Node) ->
    new(name(Reason, Node), [Node, ": ", caravan_diagnosis:format(Reason)]).

name(cookie, _Node) -> cookie;
name({other_name, Other, _}, Node) -> name_of_other(caravan_discovery:is_own_name(Other, Node), part_of_host(Other) =:= part_of_host(Node));
name(TlsOnOneSide, _Node) when TlsOnOneSide =:= tls_here; TlsOnOneSide =:= tls_there -> tls_one_side;
name({tls, Alert, _}, _Node) when Alert =:= unknown_ca; Alert =:= bad_certificate; Alert =:= certificate_expired -> certificate;
name({tls, _, _}, _Node) -> tls;
name(handshake, _Node) -> tls;
name({unreachable, Posix, _}, _Node) when Posix =:= etimedout; Posix =:= ehostunreach; Posix =:= enetunreach -> packets_dropped;
name({unreachable, _, _}, _Node) -> nothing_listens;
name({no_node, _}, _Node) -> no_node;
name({no_port, _}, _Node) -> epmd_here;
name(NameKind, _Node) when NameKind =:= needs_long_names; NameKind =:= needs_short_names -> name_kind;
name(this_node, _Node) -> this_node;
name(NotAllowed, _Node) when NotAllowed =:= not_allowed; NotAllowed =:= not_allowed_here -> NotAllowed;
name(no_address, _Node) -> no_address;
name(_NoAnswer, _Node) -> silent.

name_of_other(true, _IsSameHost) -> spelling;
name_of_other(false, true) -> basename;
name_of_other(false, false) -> other_name.

part_of_host(Name) ->
    string:lowercase(lists:last(binary:split(Name, <<"@">>))).

%% Returns the cause to fix first, or `none' if there is no fault. In this order: a fault of the library or the flags, if it
%% is the first; a cause that keeps this node from connecting to any other (it has left, its application or topologies do not
%% run, or it is not distributed); the first fault. Of faults of several nodes, the most frequent cause counts. If DNS does
%% not list this node, a cause found at other nodes explains more, unless it is only a symptom of a wrong registration. That
%% this node does not run counts only if there is no other fault.
-spec main([caravan_check:check()]) -> cause() | none.
main(Checks) ->
    {Down, Others} = lists:partition(fun({_Step, #{name := Name}}) -> Name =:= down end, [{Step, Cause} || #{step := Step, cause := Cause} <- Checks]),
    main_of(Others ++ Down).

main_of([]) ->
    none;
main_of([{Step, Cause} | _]) when Step =:= library; Step =:= flags ->
    Cause;
main_of(All) ->
    case [Cause || {_Step, #{name := Name} = Cause} <- All, lists:member(Name, [left, not_started, not_running, not_distributed])] of
        [Cause | _] -> Cause;
        [] -> first(All)
    end.

first([{peer, _} | _] = Faults) -> most_frequent(of_peers(Faults));
first([{self, #{name := not_listed} = Cause} | Others]) ->
    first_of([Peer || #{name := Name} = Peer <- of_peers(Others), Name =/= nothing_listens, Name =/= this_node], Cause);
first([{_Step, Cause} | _]) -> Cause.

of_peers(Faults) -> [Cause || {peer, Cause} <- Faults].

first_of([], Otherwise) -> Otherwise;
first_of(Causes, _Otherwise) -> most_frequent(Causes).

most_frequent(Causes) ->
    Count = fun(#{name := Name}) -> length([Other || #{name := Other} <- Causes, Other =:= Name]) end,
    Most = lists:max(lists:map(Count, Causes)),
    of_several(Most, hd([Cause || Cause <- Causes, Count(Cause) =:= Most])).

of_several(1, Cause) -> Cause;
of_several(Count, #{text := Text} = Cause) -> Cause#{text := binary([Text, " (and ", caravan_check:count(Count - 1, "more node"), ")"])}.
