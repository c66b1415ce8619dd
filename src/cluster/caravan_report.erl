%% @private
%% What a topology says of itself, in the log and to telemetry. Only what changes is logged: a steady state is silent.
-module(caravan_report).

-export([ignored/1, emit/2, log/2, found_once/2, disconnect/4, function_failed/3]).
-export([format/1]).

-type options() :: #{name := atom(), query := binary() | none, atom() => term()}.
%% Its query says that nothing is to be started.
-spec ignored(atom()) -> ok.
ignored(Name) ->
    log(debug, ignored, Name, #{}).

%% What the deciding core has to say to telemetry. Its names of nodes have passed the budget of atoms.
-spec emit(caravan_topology_core:report(), options()) -> ok.
emit({looked_up, {Query, _Basenames}, Outcome, _Before, Measurements}, #{record := Record} = Options) ->
    event([caravan, lookup, stop], Measurements, (outcome(Outcome))#{query => Query, record => Record}, Options);
emit({names_refused, Refused}, Options) ->
    maps:foreach(
        fun(Reason, Count) -> event([caravan, cluster, names_refused], #{count => Count}, #{reason => Reason}, Options) end,
        Refused
    );
emit({change, Count, AddedNames, RemovedNames}, Options) ->
    {Added, Removed} = {nodes_of(AddedNames), nodes_of(RemovedNames)},
    Measurements = #{wanted => Count, added => length(Added), removed => length(Removed)},
    event([caravan, cluster, change], Measurements, #{added => Added, removed => Removed}, Options);
emit({attempt, {connected, Node}, Duration}, Options) ->
    event([caravan, cluster, connect], #{duration => Duration}, #{node => node_of(Node), result => ok}, Options);
emit({attempt, {failed, Node, Reason, _Novelty}, Duration}, Options) ->
    Metadata = #{node => node_of(Node), result => error, reason => Reason},
    event([caravan, cluster, connect], #{duration => Duration}, Metadata, Options);
emit({up, Node, Members}, Options) ->
    event([caravan, cluster, node_up], #{connected => Members}, #{node => node_of(Node)}, Options);
emit({down, Node, Reason, Members}, Options) ->
    event([caravan, cluster, node_down], #{connected => Members}, #{node => node_of(Node), reason => Reason}, Options);
emit(_OfTheLog, _Options) ->
    ok.

event(Name, Measurements, Metadata, #{name := Topology}) ->
    caravan_telemetry:execute(Name, Measurements, Metadata#{topology => Topology}).

%% What the deciding core has to say in the log.
-spec log(caravan_topology_core:report(), options()) -> ok.
log(not_distributed, #{name := Name}) ->
    log(warning, not_distributed, Name, #{});
log(distributed, Options) ->
    asks_epmd(Options);
log({looked_up, {Query, _Basenames}, Outcome, Before, _Measurements}, Options) ->
    looked_up(Outcome, Before, Query, Options);
log({found, Names}, #{name := Name}) ->
    found(caravan_config:value(debug), Names, Name);
log({names_refused, Refused}, #{name := Name} = Options) ->
    maps:foreach(
        fun(Reason, Count) ->
            log(warning, names_refused, Name, refusal(Reason, Options, #{reason => Reason, count => Count}))
        end,
        Refused
    );
log({own_alias, Aliases}, #{name := Name}) ->
    log(warning, own_alias, Name, #{aliases => nodes_of(Aliases), node => node()});
log({samples, Count}, #{name := Name}) ->
    log(warning, samples, Name, #{records => Count});
log({change, Count, Added, Removed}, #{name := Name}) ->
    log(info, change, Name, #{wanted => Count, added => nodes_of(Added), removed => nodes_of(Removed)});
log({attempt, {failed, Node, Reason, new}, _Duration}, #{name := Name}) ->
    log(warning, connect_failed, Name, #{node => node_of(Node), reason => Reason});
log({connected, Nodes, Members}, #{name := Name}) ->
    log(notice, connected, Name, #{nodes => nodes_of(Nodes), connected => Members});
log({lost, [{Node, Reason, IsWanted, none}], Members}, #{name := Name}) ->
    log(down_level(IsWanted), node_down, Name, #{node => node_of(Node), reason => Reason, connected => Members});
log({lost, [{Node, Reason, _IsWanted, {Node, Count, LeftAlone}}], Members}, #{name := Name}) ->
    Facts = #{node => node_of(Node), reason => Reason, count => Count, left_alone => LeftAlone, connected => Members},
    log(warning, flapping, Name, Facts);
log({lost, Losses, Members}, #{name := Name}) ->
    log(down_level(lists:keymember(true, 3, Losses)), nodes_down, Name, #{
        nodes => maps:from_list([{node_of(Node), Reason} || {Node, Reason, _, _} <- Losses]),
        flapping => [node_of(Node) || {Node, _, _, {_, _, _}} <- Losses],
        connected => Members
    });
log({left, Nodes, Members}, #{name := Name}) ->
    log(notice, left, Name, #{nodes => nodes_of(Nodes), connected => Members});
log({leaving, Milliseconds}, #{name := Name}) ->
    log(notice, leaving, Name, #{away_ms => Milliseconds});
log({left_out, Counts}, #{name := Name}) ->
    log(left_out_level(maps:without([connected, left], Counts)), left_out, Name, #{counts => Counts});
log(_OfTelemetry, _Options) ->
    ok.

%% Where the port is in the names of nodes, nobody has to ask epmd for it; a node without `-epmd_module' does.
asks_epmd(#{name := Name, connect := {net_kernel, connect_node, []}} = Options) ->
    case net_kernel:epmd_module() =:= erl_epmd andalso caravan_node_names:have_port(Options) of
        true -> log(warning, asks_epmd, Name, #{tool => caravan_tool:tool()});
        false -> ok
    end;
asks_epmd(_Options) ->
    ok.

outcome(fresh) -> #{outcome => fresh};
outcome({Outcome, Reason}) -> #{outcome => Outcome, reason => Reason}.

looked_up(Same, Same, _Query, _Options) ->
    ok;
looked_up(fresh, none, _Query, _Options) ->
    ok;
looked_up(fresh, _Before, Query, #{name := Name}) ->
    log(notice, records_again, Name, #{query => Query});
looked_up({empty, Reason}, _Before, Query, #{name := Name}) ->
    log(notice, no_records, Name, #{query => Query, reason => Reason});
looked_up({failed, {client, What}}, _Before, Query, #{name := Name, dns_client := Client}) ->
    log(warning, client_failed, Name, #{query => Query, dns_client => Client, reason => What});
looked_up({failed, Reason}, _Before, Query, #{name := Name}) ->
    log(warning, lookup_failed, Name, #{query => Query, reason => Reason}).

%% For `config :caravan, debug: true', with every poll.
found({ok, true}, Names, Topology) -> log(debug, found, Topology, #{nodes => nodes_of(Names)});
found(_NoDebug, _Names, _Topology) -> ok.

refusal(max_nodes, #{max_nodes := MaxNodes}, Facts) -> Facts#{limit => MaxNodes};
refusal(atom_budget, #{atom_budget := Budget}, Facts) -> Facts#{limit => Budget};
refusal(_NoLimit, _Options, Facts) -> Facts.

%% In a deploy there may be many that leave and come back.
left_out_level(Faults) when map_size(Faults) =:= 0 -> notice;
left_out_level(_Faults) -> warning.

down_level(true) -> warning;
down_level(false) -> notice.

node_of(Name) -> binary_to_atom(Name).

nodes_of(Names) -> lists:map(fun node_of/1, Names).

%% By the strategy's find_nodes, without a topology's process.
-spec found_once([node()], Topology :: atom()) -> ok.
found_once(Nodes, Name) ->
    log(debug, found_once, Name, #{nodes => Nodes}).

%% The milliseconds are those for which DNS has not listed the node.
-spec disconnect(node(), term(), non_neg_integer(), options()) -> ok.
disconnect(Node, Result, AbsentMs, #{name := Name}) ->
    caravan_telemetry:execute([caravan, cluster, disconnect], #{absent_ms => AbsentMs}, #{
        topology => Name, node => Node, result => Result
    }),
    log(notice, disconnect, Name, #{node => Node, result => Result, absent_ms => AbsentMs}).

%% A function that the options name, and how it failed.
-spec function_failed(list_nodes | disconnect, Failure, options()) -> ok when
    Failure :: {raised, term()} | {exit, term()} | {result, term()} | timeout.
function_failed(Option, Failure, #{name := Name} = Options) ->
    {Module, Function, Arguments} = maps:get(Option, Options),
    log(warning, function_failed, Name, #{
        option => Option, function => {Module, Function, length(Arguments) + more_arguments(Option)}, failure => Failure
    }).

more_arguments(list_nodes) -> 0;
more_arguments(disconnect) -> 1.

log(Level, Event, Name, Facts) ->
    caravan_log:report(Level, Facts#{event => Event, topology => Name}, fun ?MODULE:format/1).

%% The line for an event in the log; called by logger.
-spec format(map()) -> {io:format(), [term()]}.
format(#{topology := Name} = Report) ->
    {Format, Arguments} = words(Report),
    {"caravan ~ts: " ++ Format, [Name | Arguments]};
format(Report) ->
    {"caravan: ~0tp", [Report]}.

words(#{event := ignored}) ->
    {"is not started: its query says ignore", []};
words(#{event := not_distributed}) ->
    {"this node is not distributed: it connects to nobody until it is (-name, net_kernel:start/2)", []};
words(#{event := asks_epmd, tool := Tool}) ->
    {"the names of its nodes have their ports, and this node asks epmd for them; add ~ts", [caravan_tool:flags(Tool)]};
words(#{event := records_again, query := Query}) ->
    {"~ts has records again", [Query]};
words(#{event := no_records, query := Query, reason := Reason}) ->
    {"~ts has no records (~ts); nobody is disconnected", [Query, Reason]};
words(#{event := lookup_failed, query := Query, reason := Reason}) ->
    {"cannot look up ~ts: ~0tp; what is known stands", [Query, Reason]};
words(#{event := client_failed, query := Query, dns_client := Client, reason := Reason}) ->
    {"cannot ask the dns_client ~ts for ~ts: ~ts; what is known stands", [Client, Query, failure(Reason)]};
words(#{event := function_failed, option := Option, function := {Module, Function, Arity}, failure := Failure}) ->
    {"the configured ~ts, ~tp:~tp/~b, ~ts", [Option, Module, Function, Arity, failure(Failure)]};
words(#{event := found, nodes := Nodes}) ->
    {"found ~0tp", [Nodes]};
words(#{event := found_once, nodes := Nodes}) ->
    {"found nodes ~0tp", [Nodes]};
words(#{event := change, wanted := Count, added := Added, removed := Removed}) ->
    {"other nodes that are wanted: ~b; new: ~0tp, no more: ~0tp", [Count, Added, Removed]};
words(#{event := names_refused, reason := invalid, count := Count}) ->
    {"~b names of the answer are left out: they are no names of nodes", [Count]};
words(#{event := names_refused, reason := max_nodes, count := Count, limit := MaxNodes}) ->
    {"~b names of the answer are left out: they are more than max_nodes, ~b", [Count, MaxNodes]};
words(#{event := names_refused, reason := atom_budget, count := Count, limit := Budget}) ->
    {"~b names of the answer are left out: atom_budget, ~b, is used up by names that were no nodes' so far",
        [Count, Budget]};
words(#{event := names_refused, reason := unresolved, count := Count}) ->
    {"~b targets of the answer have no address: their nodes are left out", [Count]};
words(#{event := samples, records := Count}) ->
    {"each answer lists ~b nodes, and nodes that were gone come back: this nameserver shows a part of them at a time; set "
     "{answers, sampled}", [Count]};
words(#{event := left_out, counts := Counts}) ->
    {"more has happened than has a line of its own: ~ts; status/1 says what is so now", [counted(Counts)]};
words(#{event := own_alias, aliases := Aliases, node := Node}) ->
    {"DNS lists this node as ~0tp; its name is spelled ~ts, and nobody can connect to it under the other spelling",
        [Aliases, Node]};
words(#{event := connect_failed, node := Node, reason := Reason}) ->
    {"cannot connect to ~ts: ~ts", [Node, caravan_diagnosis:format(Reason)]};
words(#{event := flapping, node := Node, reason := Reason, count := Count, left_alone := LeftAlone, connected := Connected}) ->
    {"lost ~ts: ~0tp (~b); connections to it do not last (~b in a row): it and another node that this one is connected to may "
     "not reach each other; it is left alone for ~b s", [Node, Reason, Connected, Count, LeftAlone div 1000]};
words(#{event := nodes_down, nodes := Nodes, flapping := [], connected := Connected}) ->
    {"lost ~0tp (~b)", [Nodes, Connected]};
words(#{event := nodes_down, nodes := Nodes, flapping := Flapping, connected := Connected}) ->
    {"lost ~0tp (~b); connections to ~0tp do not last, and these nodes are left alone for a while", [Nodes, Connected, Flapping]};
words(#{event := connected, nodes := Nodes, connected := Count}) ->
    {"connected to ~0tp (~b in all)", [Nodes, Count]};
words(#{event := left, nodes := [Node], connected := Connected}) ->
    {"~ts has left (~b)", [Node, Connected]};
words(#{event := left, nodes := Nodes, connected := Connected}) ->
    {"~0tp have left (~b)", [Nodes, Connected]};
words(#{event := leaving, away_ms := Milliseconds}) ->
    {"this node leaves, and connects to nobody for ~b s", [Milliseconds div 1000]};
words(#{event := node_down, node := Node, reason := Reason, connected := Connected}) ->
    {"lost ~ts: ~0tp (~b)", [Node, Reason, Connected]};
words(#{event := disconnect, node := Node, absent_ms := AbsentMs}) ->
    {"disconnected ~ts, which DNS has not listed for ~b s", [Node, AbsentMs div 1000]};
words(Report) ->
    {"~0tp", [Report]}.

counted(Counts) ->
    lists:join(", ", [io_lib:format("~b ~ts", [Count, happened(Kind)]) || {Kind, Count} <- lists:sort(maps:to_list(Counts))]).

happened(attempt) -> "attempts that failed otherwise than before";
happened(connected) -> "times that nodes were connected";
happened(left) -> "times that nodes have left";
happened(lost) -> "times that nodes were lost";
happened(looked_up) -> "lookups that ended otherwise than the one before";
happened(names_refused) -> "answers with names that were left out";
happened(Other) -> atom_to_binary(Other).

failure(timeout) -> "took too long";
failure({result, Result}) -> io_lib:format("gave ~0tp", [Result]);
failure({bad_answer, Answer}) -> io_lib:format("it gave ~0tp, which is no list of {Port, Host}", [Answer]);
failure({exit, Reason}) -> io_lib:format("was ended: ~0tp", [Reason]);
failure({raised, What}) -> ["raised ", caravan_exception:format(What)];
failure(What) -> caravan_exception:format(What).
