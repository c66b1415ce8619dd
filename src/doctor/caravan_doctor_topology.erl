%% @private
%% What the doctor sees of the topologies that run: the words of caravan_cluster:status/1.
-module(caravan_doctor_topology).

-export([topologies/1]).

-define(ANSWER_MS, 500).

-spec topologies(caravan_doctor:context()) -> [caravan_check:check()].
topologies(#{mode := outside}) ->
    [];
topologies(#{mode := inside}) ->
    case caravan_topology_registry:names() of
        [] -> [caravan_check:note(topology, "topologies", "none runs on this node", [])];
        Names -> lists:append([of_topology(Answer) || Answer <- caravan_topology:ask(Names, status, ?ANSWER_MS)])
    end.

of_topology({_Name, {ok, Status}}) -> leaving(Status) ++ of_status(Status);
of_topology({Name, _Busy}) -> [caravan_check:unknown(topology, Name, "it does not answer", [])].

leaving(#{leaving := none}) ->
    [];
leaving(#{name := Name, leaving := Left}) ->
    Text = io_lib:format("this node has left its cluster, for ~b s more", [Left div 1000]),
    [caravan_check:fault(topology, Name, Text, caravan_cause:new(left, Text))].

of_status(#{name := Name, wanted := Wanted, connected := Connected, failing := Failing, last_lookup := Last} = Status) ->
    Seen = caravan_check:ok(topology, Name, "~b of ~b wanted nodes are connected; last lookup: ~0tp, ~ts", [
        length(Connected), length(Wanted), Last, age(Status)
    ]),
    [Seen | [failing(Name, Node, Failure) || {Node, Failure} <- lists:sort(maps:to_list(Failing))]].

age(#{answer_age := none}) -> "no answer with records yet";
age(#{answer_age := Age}) -> io_lib:format("answer of ~b s ago", [Age div 1000]).

failing(Name, Node, #{count := Count, reason := Reason, retry_in := RetryIn}) ->
    caravan_check:note(topology, Name, "~ts: ~b failures, the last one: ~ts; tried again in ~b s", [
        Node, Count, caravan_diagnosis:format(Reason), RetryIn div 1000
    ]).
