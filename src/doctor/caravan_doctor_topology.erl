%% @private
%% Examines the running topologies by their status.
-module(caravan_doctor_topology).

-export([topologies/1]).

-define(ANSWER_MS, 500).

-spec topologies(caravan_doctor:context()) -> [caravan_check:check()].
topologies(#{mode := outside}) ->
    [];
topologies(#{mode := inside}) ->
    Running = caravan_topology_registry:names(),
    Expected = caravan_topologies:names(),
    none([none || Expected =:= []])
        ++ missing(Expected -- Running, is_started())
        ++ lists:append([of_topology(Answer) || Answer <- caravan_topology:ask(Running, status, ?ANSWER_MS)]).

none([]) -> [];
none([none]) -> [caravan_check:note(topology, "topologies", "no topology runs on this node or is configured", [])].

is_started() ->
    lists:keymember(caravan, 1, application:which_applications(?ANSWER_MS)).

missing([], _IsStarted) ->
    [];
missing(Names, false) ->
    Text = ["the application caravan is not started, so its topologies do not run: ", listed(Names)],
    [caravan_check:fault(topology, "caravan", Text, caravan_cause:new(not_started, Text))];
missing(Names, true) ->
    Text = ["these topologies do not run: ", listed(Names), "; the log says why"],
    [caravan_check:fault(topology, "caravan", Text, caravan_cause:new(not_running, Text))].

listed(Names) ->
    lists:join(", ", [io_lib:format("~tw", [Name]) || Name <- Names]).

of_topology({_Name, {ok, Status}}) -> leaving(Status) ++ of_status(Status) ++ alone(Status);
of_topology({Name, _Busy}) -> [caravan_check:unknown(topology, Name, "it does not answer", [])].

leaving(#{leaving := none}) ->
    [];
leaving(#{name := Name, leaving := Left}) ->
    Text = io_lib:format("this node has left its cluster and connects to no node for ~b s more", [Left div 1000]),
    [caravan_check:fault(topology, Name, Text, caravan_cause:new(left, Text))].

of_status(#{name := Name, wanted := Wanted, connected := Connected, failing := Failing} = Status) ->
    Text = io_lib:format("~b of ~ts connected; ~ts, ~ts", [length(Connected), caravan_check:count(length(Wanted), "wanted node"), lookup(Status), age(Status)]),
    [seen(Name, Text, is_well(Status)) | [failing(Name, Node, Failure) || {Node, Failure} <- lists:sort(maps:to_list(Failing))]].

is_well(#{wanted := Wanted, connected := Connected, last_lookup := Last}) ->
    Last =:= fresh andalso length(Connected) >= length(Wanted).

seen(Name, Text, true) -> caravan_check:ok(topology, Name, "~ts", [Text]);
seen(Name, Text, false) -> caravan_check:note(topology, Name, "~ts", [Text]).

lookup(#{last_lookup := none}) -> "no lookup has ended yet";
lookup(#{last_lookup := fresh}) -> "the last lookup has returned records";
lookup(#{last_lookup := {empty, Reason}}) -> io_lib:format("the last lookup has returned no records (~ts)", [Reason]);
lookup(#{last_lookup := {failed, Reason}}) -> io_lib:format("the last lookup has failed: ~0tp", [Reason]).

age(#{answer_age := none}) -> "no answer with records yet";
age(#{answer_age := Age}) -> io_lib:format("the last answer with records is ~b s old", [Age div 1000]).

failing(Name, Node, #{count := Count, reason := Reason, retry_in := RetryIn}) ->
    caravan_check:note(topology, Name, "~ts: ~ts, the last one: ~ts; next attempt in ~b s", [
        Node, caravan_check:count(Count, "failure"), caravan_diagnosis:format(Reason), RetryIn div 1000
    ]).

%% If a topology wants nodes and none is connected, that is a fault.
alone(#{name := Name, wanted := [_ | _] = Wanted, connected := [], leaving := none} = Status) ->
    #{left := Left, excluded := Excluded, failing := Failing} = Status,
    NotExcluded = [Node || Node <- Wanted, not is_map_key(Node, Excluded)],
    why_alone(Name, NotExcluded, [Node || Node <- NotExcluded, not is_map_key(Node, Left)], Left, Failing);
alone(_Status) ->
    [].

why_alone(Name, [], [], _Left, _Failing) ->
    [caravan_check:note(topology, Name, "it excludes all the wanted nodes", [])];
why_alone(Name, NotExcluded, [], Left, _Failing) ->
    Seconds = lists:max([maps:get(Node, Left) || Node <- NotExcluded]) div 1000,
    Nodes = lists:join(", ", [atom_to_binary(Node) || Node <- NotExcluded]),
    alone_for(others_left, Name, io_lib:format("the other nodes have left the cluster and are left alone for ~b s more: ~ts", [Seconds, Nodes]));
why_alone(Name, _NotExcluded, Missing, _Left, Failing) ->
    Text = io_lib:format("none of the wanted nodes (~b) is connected", [length(Missing)]),
    alone_for(not_connected, Name, [Text | a_failure(lists:sort(maps:to_list(Failing)))]).

alone_for(Cause, Name, Text) ->
    [caravan_check:fault(topology, Name, Text, caravan_cause:new(Cause, Text))].

a_failure([]) -> "";
a_failure([{Node, #{reason := Reason}} | _]) -> ["; ", atom_to_binary(Node), ": ", caravan_diagnosis:format(Reason)].
