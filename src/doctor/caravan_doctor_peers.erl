%% @private
%% Examines the other nodes, a limited number at a time. Nodes whose turn does not come before the deadline are not examined.
-module(caravan_doctor_peers).

-export([peers/1, helper_ports/1]).

-define(AT_A_TIME, 16).
%% Time that is left for the steps after this one.
-define(RESERVE_MS, 300).
-define(HINT_MS, 500).
-define(CALL_MS, 500).
-define(MAX_ASKED, 16).

-spec peers(caravan_doctor:context()) -> [caravan_check:check()].
peers(#{mode := Mode, names := Names, own := Own, own_refuses := OwnRefuses, deadline := Deadline, method := Method}) ->
    Connected = [atom_to_binary(Node) || Node <- nodes(connected)],
    Others = [Name || Name <- Names, Own =:= none orelse not caravan_discovery:is_own_name(Name, Own)],
    {Up, NotUp} = lists:partition(fun(Name) -> lists:member(Name, Connected) end, Others),
    Statuses = statuses(Mode),
    {Missing, Out} = lists:partition(fun({_Name, KeptOut}) -> KeptOut =:= none end, [{Name, caravan_why:kept_out(Name, Statuses)} || Name <- NotUp]),
    [caravan_check:ok(peer, Name, "connected", []) || Name <- Up]
        ++ [caravan_check:note(peer, Name, "~ts", [caravan_diagnosis:format(KeptOut)]) || {Name, KeptOut} <- Out]
        ++ of_odd_one(OwnRefuses, Own, of_mode(Mode, of_listeners(look([Name || {Name, none} <- Missing], Method, Deadline - ?RESERVE_MS), Names))).

%% From outside, the doctor connects under a name that belongs to no node. Inside a node it also connects under that node's
%% name.
of_mode(inside, Checks) -> Checks;
of_mode(outside, Checks) -> lists:map(fun may_be_allowed/1, Checks).

may_be_allowed(#{cause := #{name := not_allowed}, subject := Name, facts := Facts}) ->
    (caravan_check:unknown(peer, Name, "it accepts only nodes that it allows (net_kernel:allow/1); run the doctor inside this node to see whether it is one of them", []))#{facts => Facts};
may_be_allowed(Check) ->
    Check.

%% The node refuses the cookie of its files. If other nodes accept that cookie, the node runs with a wrong one. If all refuse
%% it, the files belong to another user or node.
of_odd_one(false, _Own, Checks) ->
    Checks;
of_odd_one(true, Own, Checks) ->
    case [Proven || #{state := ok, facts := #{cookie := _}} = Proven <- Checks] of
        [] -> [refuses_too(Check) || Check <- Checks];
        [_ | _] = Proven -> Checks ++ [odd_one(Own, length(Proven))]
    end.

refuses_too(#{cause := #{name := cookie}, subject := Name, facts := Facts}) ->
    (caravan_check:unknown(peer, Name, "it answers under that name, but refuses the cookie, too", []))#{facts => Facts};
refuses_too(Check) ->
    Check.

odd_one(Own, Count) ->
    Text = io_lib:format("~ts runs with another cookie than that of its files, which is accepted by ~ts", [Own, caravan_check:count(Count, "other node")]),
    caravan_check:fault(peer, Own, Text, caravan_cause:new(cookie, Text)).

statuses(outside) -> [];
statuses(inside) -> caravan_why:statuses().

%% With several basenames one record gives several names, of which at most one is the name of a node.
of_listeners(Checks, Names) ->
    [of_listener(Check, Names) || Check <- Checks].

of_listener(#{state := fault, subject := Name, facts := #{name_there := There}} = Check, Names) when There =/= Name ->
    case lists:member(There, Names) of
        true -> (maps:remove(cause, Check))#{state := note};
        false -> Check
    end;
%% The record of this node, under a basename that is not its own.
of_listener(#{state := fault, cause := #{name := this_node}} = Check, Names) ->
    case lists:member(atom_to_binary(node()), Names) of
        true -> (maps:remove(cause, Check))#{state := note};
        false -> Check
    end;
of_listener(Check, _Names) ->
    Check.

look(Names, Method, Deadline) ->
    Seen = caravan_parallel:map(fun(Name) -> examine(Name, Method) end, Names, ?AT_A_TIME, Deadline),
    [seen(Name, Result) || {Name, Result} <- Seen].

examine(Name, Method) ->
    #{result := Result} = Examination = caravan_diagnosis:examine(Name, of_default_cookie(Method, Name)),
    {Examination, hint(Result, Name)}.

%% A node may have a cookie of its own (erlang:set_cookie/2), for which a handshake with the default cookie proves nothing.
of_default_cookie({prove, Cookie, _AskedBy} = Method, Name) ->
    case is_alive() andalso cookie_for(Name) of
        Other when is_atom(Other), Other =/= false, Other =/= Cookie -> challenge;
        _Default -> Method
    end;
of_default_cookie(Method, _Name) ->
    Method.

cookie_for(Name) ->
    try
        erlang:get_cookie(binary_to_existing_atom(Name))
    catch
        error:badarg -> false
    end.

seen(Name, {ok, {#{result := Result} = Examination, _Hint}}) when Result =:= proven; Result =:= reachable ->
    Check = caravan_check:ok(peer, Name, "~ts~ts", [place(Examination), caravan_diagnosis:format(Result)]),
    Check#{facts => cookie(Result, facts(Examination))};
seen(Name, {ok, {#{result := Reason} = Examination, {Cause, Hint}}}) ->
    Text = [caravan_diagnosis:format(Reason), "; ", Hint],
    (caravan_check:fault(peer, Name, Text, caravan_cause:new(Cause, [Name, ": ", Text])))#{facts => facts(Examination)};
seen(Name, {ok, {#{result := Reason} = Examination, none}}) ->
    Check = caravan_check:fault(peer, Name, caravan_diagnosis:format(Reason), caravan_cause:of_reason(Reason, Name)),
    Check#{facts => facts(Examination)};
seen(Name, not_called) ->
    caravan_check:not_looked_at(peer, Name);
seen(Name, timeout) ->
    caravan_check:unknown(peer, Name, "it had not answered when the time was over", []);
seen(Name, Failure) ->
    caravan_check:unknown(peer, Name, "~0tp", [Failure]).

place(#{address := Ip, port := Port}) -> io_lib:format("~ts, port ~b: ", [inet:ntoa(Ip), Port]).

cookie(proven, Facts) -> Facts#{cookie => <<"same">>};
cookie(reachable, Facts) -> Facts.

facts(Examination) ->
    maps:map(fun fact/2, maps:with([address, port, name_there, flags], Examination)).

fact(address, Ip) -> list_to_binary(inet:ntoa(Ip));
fact(_Key, Value) -> Value.

%% Returns a cause and a text if a closer look at the host explains the reason, otherwise `none'.
hint({unreachable, econnrefused, {Ip, _Port}}, Name) ->
    [Basename | _] = binary:split(Name, <<"@">>),
    Known = caravan_task:call(fun() -> erl_epmd:names(Ip) end, deadline(?HINT_MS)),
    in_epmd(Known, unicode:characters_to_list(Basename));
hint(no_address, Name) ->
    Host = unicode:characters_to_list(lists:last(binary:split(Name, <<"@">>))),
    Other = other_family(caravan_listen:families()),
    of_other_family(Other =/= none andalso caravan_address:resolve(Host, Other, ?HINT_MS), Other);
hint(_Reason, _Name) ->
    none.

deadline(Milliseconds) ->
    erlang:monotonic_time(millisecond) + Milliseconds.

%% epmd may have the name as it is, or without the port at its end.
in_epmd({ok, {ok, Names}}, Name) ->
    Basename = string:trim(string:trim(Name, trailing, "0123456789"), trailing, "-_"),
    case [{Known, Port} || {Known, Port} <- Names, Known =:= Name orelse Known =:= Basename] of
        [{Known, Port} | _] ->
            {epmd_there, io_lib:format("epmd on that host knows ~ts at port ~b: that node runs without Caravan's -epmd_module", [Known, Port])};
        [] ->
            none
    end;
in_epmd(_NoEpmd, _Basename) ->
    none.

other_family([inet]) -> inet6;
other_family([inet6]) -> inet;
other_family(_Both) -> none.

of_other_family({ok, Ip}, Family) ->
    {address_family, io_lib:format("it has an address of the other family, ~ts, but the distribution of this node speaks only ~ts", [
        inet:ntoa(Ip), spoken(Family)
    ])};
of_other_family(_None, _Family) ->
    none.

spoken(inet6) -> "IPv4";
spoken(inet) -> "IPv6".

%% Compares helper_ports with the connected nodes. The port of a helper is a hash within that range, so all nodes must have
%% the same range.
-spec helper_ports(caravan_doctor:context()) -> [caravan_check:check()].
helper_ports(#{mode := outside}) ->
    [];
helper_ports(#{mode := inside}) ->
    Asked = lists:sublist(nodes(), ?MAX_ASKED),
    {ok, Own} = caravan_config:value(helper_ports),
    Answers = lists:zip(Asked, erpc:multicall(Asked, caravan_config, value, [helper_ports], ?CALL_MS)),
    compared([{Node, Range} || {Node, {ok, {ok, Range}}} <- Answers], Own).

compared([], _Own) ->
    [];
compared(Ranges, Own) ->
    case [Other || {_, Range} = Other <- Ranges, Range =/= Own] of
        [] ->
            [caravan_check:ok(helper_ports, helper_ports, "equal on ~ts", [caravan_check:count(length(Ranges), "connected node")])];
        [{Node, {First, Last}} | _] ->
            {OwnFirst, OwnLast} = Own,
            Text = io_lib:format("helper_ports is ~b-~b here but ~b-~b on ~ts: helpers of one node do not reach the other", [
                OwnFirst, OwnLast, First, Last, Node
            ]),
            [caravan_check:fault(helper_ports, Node, Text, caravan_cause:new(helper_ports, Text))]
    end.
