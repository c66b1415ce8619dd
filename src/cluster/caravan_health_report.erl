%% @private
%% Formats the health of a topology as a line and as JSON, and gives the verdict on a topology that does not answer. Terms
%% that a user's function returned or raised appear in neither the line nor the JSON: they may contain secrets, and probes
%% print what they receive.
-module(caravan_health_report).

-export([verdict/1, format/1, health_json/1, status_json/1]).

%% The maximal number of nodes that a line names.
-define(NAMED, 5).

%% Returns the verdict on a topology, from its answer to caravan_topology:ask/3. A topology that does not answer is degraded
%% if it was ready before, otherwise not ready.
-spec verdict({atom(), {ok, caravan_cluster:health()} | not_running | unresponsive}) -> caravan_cluster:health().
verdict({_Name, {ok, Health}}) -> Health;
verdict({Name, Fault}) -> silent(caravan_topology_registry:was_ready(Name), Fault).

silent(true, Fault) -> {degraded, [Fault]};
silent(false, Fault) -> {not_ready, [Fault]}.

-spec format(caravan_cluster:health()) -> unicode:unicode_binary().
format(ok) -> <<"ok">>;
format({degraded, Reasons}) -> line(["degraded: ", sentence(Reasons)]);
format({not_ready, Reasons}) -> line(["not ready: ", sentence(Reasons)]).

sentence(Reasons) ->
    lists:join("; ", [words(Reason) || Reason <- Reasons]).

line(Text) ->
    << <<(printable(Character))/utf8>> || <<Character/utf8>> <= unicode:characters_to_binary(Text) >>.

printable(Control) when Control < $\s; Control =:= 16#7F -> $?;
printable(Character) -> Character.

words(not_distributed) ->
    "this node is not distributed";
words({leaving, #{left := Left}}) ->
    io_lib:format("this node has left its cluster and connects to no node for ~b s more", [Left div 1000]);
words({too_few_nodes, #{expected := Expected, connected := Connected}}) ->
    io_lib:format("~ts connected and ~b ~ts expected", [other_nodes(Connected), Expected, are(Expected)]);
words(no_answer) ->
    "no lookup has brought an answer yet";
words({unstable, #{stable_for := StableFor, left := Left}}) ->
    io_lib:format("waiting for ~b ms without a change, of which ~b are left", [StableFor, Left]);
words(not_running) ->
    "no such topology runs";
words(unresponsive) ->
    "the topology does not answer";
words({lookup_failed, Reason}) ->
    io_lib:format("the last lookup has failed (~ts)", [kind(Reason)]);
words({no_records, Reason}) ->
    io_lib:format("DNS says that there are no records (~ts)", [kind(Reason)]);
words({old_answer, #{age := Age}}) ->
    io_lib:format("the last answer is ~b s old", [Age div 1000]);
words(not_listed) ->
    "DNS does not list this node";
words(incomplete_answer) ->
    "the last answer may lack records";
words({names_refused, Refused}) ->
    Counts = [io_lib:format("~b ~ts", [Count, kind(Reason)]) || {Reason, Count} <- lists:sort(maps:to_list(Refused))],
    ["names of the last answer are refused: ", lists:join(", ", Counts)];
words({isolated, #{wanted := Wanted}}) ->
    io_lib:format("none of ~b wanted ~ts is connected", [Wanted, node_s(Wanted)]);
words({partly_connected, #{wanted := Wanted, connected := Connected}}) ->
    io_lib:format("~b of ~b wanted ~ts ~ts connected", [Connected, Wanted, node_s(Wanted), are(Connected)]);
words({nodes_failing, ByNode}) ->
    ["cannot connect to ", named([io_lib:format("~ts (~ts)", [Node, kind(Reason)]) || {Node, #{reason := Reason}} <- sorted(ByNode)])];
words({flapping, ByNode}) ->
    ["connections do not last: ", named([io_lib:format("~ts (~b)", [Node, Count]) || {Node, #{count := Count}} <- sorted(ByNode)])];
words(Other) ->
    kind(Other).

sorted(ByNode) -> lists:sort(maps:to_list(ByNode)).

named(Nodes) when length(Nodes) =< ?NAMED -> lists:join(", ", Nodes);
named(Nodes) -> [lists:join(", ", lists:sublist(Nodes, ?NAMED)), io_lib:format(" and ~b more", [length(Nodes) - ?NAMED])].

other_nodes(1) -> "1 other node is";
other_nodes(Count) -> io_lib:format("~b other nodes are", [Count]).

are(1) -> "is";
are(_Count) -> "are".

node_s(1) -> "node";
node_s(_Count) -> "nodes".

%% Returns only the part of a reason that Caravan itself has set.
kind({unreachable, Posix, _Endpoint}) when is_atom(Posix) -> ["unreachable, ", atom_to_binary(Posix)];
kind({tls, Alert, _Side}) when is_atom(Alert) -> ["tls, ", atom_to_binary(Alert)];
kind({no_port, Module}) when is_atom(Module) -> ["no_port, ", atom_to_binary(Module)];
kind(Reason) when is_atom(Reason) -> atom_to_binary(Reason);
kind(Reason) when is_tuple(Reason), tuple_size(Reason) > 0, is_atom(element(1, Reason)) -> atom_to_binary(element(1, Reason));
kind(_Foreign) -> "other".

kind_text(Reason) -> iolist_to_binary(kind(Reason)).

%% Returns the verdict as `health', and each of the `reasons' with its name, its text and its facts.
-spec health_json(caravan_cluster:health()) -> #{atom() => caravan_json:value()}.
health_json(ok) -> #{health => ok, reasons => []};
health_json({Verdict, Reasons}) -> #{health => Verdict, reasons => [reason_json(Reason) || Reason <- Reasons]}.

reason_json({Reason, #{} = Facts}) -> #{reason => Reason, text => line(words({Reason, Facts})), facts => json(Facts)};
reason_json({Reason, Why}) -> #{reason => Reason, text => line(words({Reason, Why})), facts => #{reason => kind_text(Why)}};
reason_json(Reason) -> #{reason => Reason, text => line(words(Reason)), facts => #{}}.

-spec status_json(caravan_cluster:status()) -> #{atom() => caravan_json:value()}.
status_json(Status) ->
    maps:map(fun status_value/2, Status).

status_value(query, Queries) when is_list(Queries) -> [query(Query) || Query <- Queries];
status_value(nameservers, {Nameservers, By}) -> #{addresses => json(Nameservers), source => source(By)};
status_value(source, By) -> source(By);
status_value(last_lookup, {Outcome, Reason}) -> #{outcome => Outcome, reason => kind_text(Reason)};
status_value(last_lookup, Outcome) -> #{outcome => Outcome};
status_value(next_poll, now) -> 0;
status_value(_Key, Value) -> json(Value).

query({Basename, Text}) -> #{basename => Basename, query => Text};
query(Text) -> #{query => Text}.

source({variable, Variable}) -> unicode:characters_to_binary(Variable);
source(By) -> kind_text(By).

json(none) -> null;
json(undefined) -> null;
json(Value) when is_atom(Value); is_number(Value); is_binary(Value) -> Value;
json(Values) when is_list(Values) -> [json(Value) || Value <- Values];
json(#{} = Facts) -> maps:map(fun(_Key, Value) -> json(Value) end, Facts);
json(Term) -> kind_text(Term).
