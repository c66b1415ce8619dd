%% @private
%% What a topology logs, and the events that it emits for telemetry. A change is logged once, a fault that persists is logged
%% again at growing intervals, and a steady good state is not logged.
-module(caravan_report).

-export([ignored/1, emit/2, log/2, found_once/2, disconnect/5, disconnect_failed/3, function_failed/3]).
-export([format/1]).

-type options() :: #{name := atom(), query := binary() | none, log := logger:level() | all | none, atom() => term()}.

-type failure() :: {raised, term()} | {exit, term()} | {result, term()} | timeout.

%% The maximal number of node names in a line, and of names with a reason each. The report has all of them.
-define(MAX_NAMES, 10).
-define(MAX_REASONS, 3).

%% Logs that the topology is not started because its query is `ignore'.
-spec ignored(atom()) -> ok.
ignored(Name) ->
    log(debug, ignored, #{name => Name, log => all}, #{}).

%% Emits a report of the deciding core as an event. Its node names have passed the budget of atoms.
-spec emit(caravan_topology_core:report(), options()) -> ok.
emit({looked_up, {Query, _Basenames}, Outcome, _Before, _WasAnswered, Measurements}, #{record := Record} = Options) ->
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
    ok = caravan_libcluster:connected(node_of(Node), Duration, Options),
    event([caravan, cluster, connect], #{duration => Duration}, #{node => node_of(Node), result => ok}, Options);
emit({attempt, {failed, Node, Reason, _Novelty}, Duration}, Options) ->
    ok = caravan_libcluster:failed(node_of(Node), Reason, Options),
    Metadata = #{node => node_of(Node), result => error, reason => Reason},
    event([caravan, cluster, connect], #{duration => Duration}, Metadata, Options);
emit({up, Node, Members}, Options) ->
    event([caravan, cluster, node_up], #{connected => Members}, #{node => node_of(Node)}, Options);
emit({down, Node, Reason, Members}, Options) ->
    event([caravan, cluster, node_down], #{connected => Members}, #{node => node_of(Node), reason => Reason}, Options);
emit(_OfTheLog, _Options) ->
    ok.

event(Name, Measurements, Metadata, #{name := Topology}) ->
    caravan_event:execute(Name, Measurements, Metadata#{topology => Topology}).

%% Logs a report of the deciding core. A change is a notice; a fault that an operator should look into is a warning.
-spec log(caravan_topology_core:report(), options()) -> ok.
log(not_distributed, Options) ->
    log(warning, not_distributed, Options, #{});
log(distributed, Options) ->
    asks_epmd(Options);
log({looked_up, {Query, _Basenames}, Outcome, Before, WasAnswered, _Measurements}, Options) ->
    looked_up(Outcome, Before, #{query => Query, answered => WasAnswered}, Options);
log({found, Names}, Options) ->
    found(caravan_config:value(debug), Names, Options);
log({names_refused, Refused}, Options) ->
    maps:foreach(
        fun(Reason, Count) ->
            log(warning, names_refused, Options, refusal(Reason, Options, #{reason => Reason, count => Count}))
        end,
        Refused
    );
log({own_alias, Aliases}, Options) ->
    log(warning, own_alias, Options, #{aliases => nodes_of(Aliases), node => node()});
log({samples, Count}, Options) ->
    log(warning, samples, Options, #{records => Count});
log({change, Count, Added, Removed}, Options) ->
    log(info, change, Options, #{wanted => Count, added => nodes_of(Added), removed => nodes_of(Removed)});
log({connect_failed, Reason, [Node]}, Options) ->
    log(failure_level(Reason), connect_failed, Options, #{node => node_of(Node), reason => Reason});
log({connect_failed, Reason, Nodes}, Options) ->
    log(failure_level(Reason), connects_failed, Options, #{nodes => nodes_of(Nodes), reason => Reason});
log({connected, Nodes, Members}, Options) ->
    log(notice, connected, Options, #{nodes => nodes_of(Nodes), connected => Members});
log({lost, [{Node, Reason, _IsWanted, none} = Loss], Failures, Members}, Options) ->
    Facts = #{node => node_of(Node), reason => Reason, connected => Members},
    log(lost_level([Loss], Failures), node_down, Options, with_failure(Failures, Facts));
log({lost, [{Node, Reason, _IsWanted, {Node, Count, LeftAlone}}], Failures, Members}, Options) ->
    Facts = #{node => node_of(Node), reason => Reason, count => Count, left_alone => LeftAlone, connected => Members},
    log(warning, flapping, Options, with_failure(Failures, Facts));
log({lost, Losses, Failures, Members}, Options) ->
    log(lost_level(Losses, Failures), nodes_down, Options, #{
        nodes => maps:from_list([{node_of(Node), Reason} || {Node, Reason, _, _} <- Losses]),
        flapping => lists:usort([node_of(Node) || {Node, _, _, {_, _, _}} <- Losses]),
        failed => by_node(Failures),
        connected => Members
    });
log({left, Nodes, Members}, Options) ->
    log(notice, left, Options, #{nodes => nodes_of(Nodes), connected => Members});
log({leaving, Milliseconds}, Options) ->
    log(notice, leaving, Options, #{away_ms => Milliseconds});
log({left_out, Counts}, Options) ->
    log(left_out_level(maps:without([connected, left], Counts)), left_out, Options, #{counts => Counts});
log({alone, Wanted, HeldMs, Failing}, Options) ->
    log(warning, alone, Options, #{wanted => Wanted, held_ms => HeldMs, failing => by_node(Failing)});
log({failing, Nodes}, Options) ->
    Failing = maps:from_list([{node_of(Name), #{reason => Reason, held_ms => HeldMs}} || {Name, Reason, HeldMs} <- Nodes]),
    log(warning, failing, Options, #{nodes => Failing});
log({Kind, Queries, HeldMs}, Options) when Kind =:= never_answered; Kind =:= unanswered ->
    log(warning, Kind, Options, with_nameservers(Options, #{
        queries => maps:from_list([{Query, without_outcome(Last)} || {{Query, _Basenames}, Last} <- Queries]), held_ms => HeldMs
    }));
log({not_self_listed, Own, OfSameHost}, Options) ->
    log(warning, not_self_listed, Options, #{node => node_of(Own), same_host => nodes_of(OfSameHost)});
log(_OfTelemetry, _Options) ->
    ok.

%% A node that starts or stops causes these failures for a moment. If they persist, that is logged by `failing'.
failure_level({unreachable, _Posix, _Endpoint}) -> notice;
failure_level(timeout) -> notice;
failure_level(no_address) -> notice;
failure_level({result, false}) -> notice;
failure_level(_OfConfiguration) -> warning.

%% Every node that stops closes its connections, so a loss is a notice. If the node stays away, that is logged by `failing'
%% later.
lost_level(Losses, Failures) ->
    case lists:any(fun is_trouble/1, Losses) orelse lists:any(fun({_, Reason}) -> failure_level(Reason) =:= warning end, Failures) of
        true -> warning;
        false -> notice
    end.

is_trouble({_Name, net_tick_timeout, true, _Flap}) -> true;
is_trouble({_Name, _Reason, _IsWanted, Flap}) -> Flap =/= none.

with_failure([], Facts) -> Facts;
with_failure([{_Node, Reason} | _], Facts) -> Facts#{failure => Reason}.

by_node(Failures) ->
    maps:from_list([{node_of(Name), Reason} || {Name, Reason} <- Failures]).

without_outcome({_Outcome, Reason}) -> Reason;
without_outcome(Other) -> Other.

%% Warns if node names contain ports but this node asks epmd for them, because it runs without `-epmd_module'.
asks_epmd(#{connect := {net_kernel, connect_node, []}} = Options) ->
    case net_kernel:epmd_module() =:= erl_epmd andalso caravan_node_names:have_port(Options) of
        true -> log(warning, asks_epmd, Options, #{tool => caravan_tool:tool()});
        false -> ok
    end;
asks_epmd(_Options) ->
    ok.

outcome(fresh) -> #{outcome => fresh};
outcome({Outcome, Reason}) -> #{outcome => Outcome, reason => Reason}.

looked_up(Same, Same, _Facts, _Options) ->
    ok;
looked_up(fresh, none, _Facts, _Options) ->
    ok;
looked_up(fresh, _Before, #{query := Query, answered := WasAnswered}, Options) ->
    log(notice, records_event(WasAnswered), Options, #{query => Query});
looked_up({empty, Reason}, _Before, Facts, Options) ->
    log(notice, no_records, Options, Facts#{reason => Reason});
looked_up({failed, {client, What}}, _Before, Facts, #{dns_client := Client} = Options) ->
    log(warning, client_failed, Options, Facts#{dns_client => Client, reason => What});
looked_up({failed, Reason}, _Before, Facts, Options) ->
    log(warning, lookup_failed, Options, with_nameservers(Options, Facts#{reason => Reason})).

records_event(true) -> records_again;
records_event(false) -> records.

%% Adds which records were asked for, of which nameservers and over which transports, as far as that is known.
with_nameservers(#{record := Record} = Options, Facts) ->
    {Nameservers, _Source} = caravan_poll:nameservers(Options),
    Facts#{record => Record, nameservers => Nameservers, transports => caravan_poll:transports(Options)}.

%% Logs the outcome of each poll if the application's key `debug' is true.
found({ok, true}, Names, Options) -> log(debug, found, Options, #{nodes => nodes_of(Names)});
found(_NoDebug, _Names, _Options) -> ok.

refusal(max_nodes, #{max_nodes := MaxNodes}, Facts) -> Facts#{limit => MaxNodes};
refusal(atom_budget, #{atom_budget := Budget}, Facts) -> Facts#{limit => Budget};
refusal(_NoLimit, _Options, Facts) -> Facts.

%% A deployment may restart many nodes, which leave and come back.
left_out_level(Faults) when map_size(Faults) =:= 0 -> notice;
left_out_level(_Faults) -> warning.

node_of(Name) -> binary_to_atom(Name).

nodes_of(Names) -> lists:map(fun node_of/1, Names).

%% Logs what find_nodes/1 of the strategy for libcluster has found, without the process of a topology.
-spec found_once([node()], Topology :: atom()) -> ok.
found_once(Nodes, Name) ->
    log(debug, found_once, #{name => Name, log => all}, #{nodes => Nodes}).

%% Reports a node that was disconnected. `AbsentMs' is for how long DNS has not listed it; the duration is in native time
%% units.
-spec disconnect(node(), term(), non_neg_integer(), Duration :: integer(), options()) -> ok.
disconnect(Node, Result, AbsentMs, Duration, Options) ->
    ok = caravan_libcluster:disconnected(Node, Duration, Options),
    event([caravan, cluster, disconnect], #{absent_ms => AbsentMs}, #{node => Node, result => Result}, Options),
    log(notice, disconnect, Options, #{node => Node, result => Result, absent_ms => AbsentMs}).

%% Emits only events of libcluster: function_failed/3 logs once that the function fails.
-spec disconnect_failed(node(), failure(), options()) -> ok.
disconnect_failed(Node, Failure, Options) ->
    caravan_libcluster:not_disconnected(Node, Failure, Options).

%% Logs how a function that the options name has failed.
-spec function_failed(list_nodes | disconnect, failure(), options()) -> ok.
function_failed(Option, Failure, Options) ->
    {Module, Function, Arguments} = maps:get(Option, Options),
    log(warning, function_failed, Options, #{
        option => Option, function => {Module, Function, length(Arguments) + more_arguments(Option)}, failure => Failure
    }).

more_arguments(list_nodes) -> 0;
more_arguments(disconnect) -> 1.

log(Level, Event, #{name := Name, log := Least}, Facts) ->
    case logger:compare_levels(Level, Least) of
        lt -> ok;
        _ -> caravan_log:report(Level, Facts#{event => Event, topology => Name}, fun ?MODULE:format/1)
    end.

%% Formats an event for the log. Called by logger.
-spec format(map()) -> {io:format(), [term()]}.
format(#{topology := Name} = Report) ->
    {Format, Arguments} = words(Report),
    {"caravan ~ts: " ++ Format, [Name | Arguments]};
format(Report) ->
    {"caravan: ~0tp", [Report]}.

words(#{event := ignored}) ->
    {"not started, since its query is ignore", []};
words(#{event := not_distributed}) ->
    {"this node is not distributed, and connects to no node until it is (-name, net_kernel:start/2)", []};
words(#{event := asks_epmd, tool := Tool}) ->
    {"the node names contain ports, but this node asks epmd for them; add ~ts", [caravan_tool:flags(Tool)]};
words(#{event := records_again, query := Query}) ->
    {"~ts has records again", [Query]};
words(#{event := records, query := Query}) ->
    {"~ts has records", [Query]};
words(#{event := no_records, query := Query, reason := Reason, answered := WasAnswered}) ->
    {"~ts has no records (~ts); ~ts", [Query, Reason, without_answer(WasAnswered, "no node is disconnected")]};
words(#{event := lookup_failed, query := Query, reason := Reason, answered := WasAnswered} = Report) ->
    {"cannot look up ~ts of ~ts~ts: ~0tp; ~ts", [records(Report), Query, asked(Report), Reason, without_answer(WasAnswered, "keeping the last answer")]};
words(#{event := never_answered, queries := Queries, held_ms := HeldMs} = Report) ->
    {"no answer with records so far, for ~ts: ~ts~ts", [time(HeldMs), unanswered(Queries), asked(Report)]};
words(#{event := unanswered, queries := Queries, held_ms := HeldMs} = Report) ->
    {"no answer with records for ~ts: ~ts~ts; keeping the last answer", [time(HeldMs), unanswered(Queries), asked(Report)]};
words(#{event := client_failed, query := Query, dns_client := Client, reason := Reason, answered := WasAnswered}) ->
    {"cannot ask the dns_client ~ts for ~ts: ~ts; ~ts", [
        Client, Query, failure(Reason), without_answer(WasAnswered, "keeping the last answer")
    ]};
words(#{event := function_failed, option := Option, function := {Module, Function, Arity}, failure := Failure}) ->
    {"the configured ~ts, ~tp:~tp/~b, ~ts", [Option, Module, Function, Arity, failure(Failure)]};
words(#{event := found, nodes := Nodes}) ->
    {"found ~ts", [names(Nodes)]};
words(#{event := found_once, nodes := Nodes}) ->
    {"found nodes ~ts", [names(Nodes)]};
words(#{event := change, wanted := Count, added := Added, removed := Removed}) ->
    {"wanted nodes: ~b; added: ~ts; removed: ~ts", [Count, names(Added), names(Removed)]};
words(#{event := names_refused, reason := invalid, count := Count}) ->
    {"refused ~b names of the answer, which are not valid node names", [Count]};
words(#{event := names_refused, reason := max_nodes, count := Count, limit := MaxNodes}) ->
    {"refused ~b names of the answer, which exceed max_nodes, ~b", [Count, MaxNodes]};
words(#{event := names_refused, reason := atom_budget, count := Count, limit := Budget}) ->
    {"refused ~b names of the answer: atom_budget, ~b, is used up by names that have belonged to no node so far",
        [Count, Budget]};
words(#{event := names_refused, reason := unresolved, count := Count}) ->
    {"~b targets of the answer have no address, so their nodes are left out", [Count]};
words(#{event := samples, records := Count}) ->
    {"each answer lists ~b nodes, and nodes that were removed come back: the nameserver returns samples of the nodes; set "
     "{answers, sampled}", [Count]};
words(#{event := left_out, counts := Counts}) ->
    {"events that were not logged: ~ts; status/1 shows the current state", [counted(Counts)]};
words(#{event := own_alias, aliases := Aliases, node := Node}) ->
    {"DNS lists this node as ~ts, but its name is ~ts; other nodes cannot connect to it under the spelling of DNS",
        [names(Aliases), Node]};
words(#{event := connect_failed, node := Node, reason := Reason}) ->
    {"cannot connect to ~ts: ~ts", [Node, caravan_diagnosis:format(Reason)]};
words(#{event := connects_failed, nodes := Nodes, reason := Reason}) ->
    {"cannot connect to ~b nodes: ~ts: ~ts", [length(Nodes), names(Nodes, ?MAX_REASONS), caravan_diagnosis:format(Reason)]};
words(#{event := failing, nodes := Nodes}) ->
    {"cannot connect to ~ts", [with_reasons(latest_first(Nodes), fun failing/1)]};
words(#{event := alone, wanted := Wanted, held_ms := HeldMs, failing := Failing}) ->
    {"connected to none of the ~b wanted nodes for ~ts~ts", [Wanted, time(HeldMs), and_reasons(Failing)]};
words(#{event := not_self_listed, node := Node, same_host := []}) ->
    {"DNS does not list this node, ~ts, so other nodes do not find it", [Node]};
words(#{event := not_self_listed, node := Node, same_host := Others}) ->
    {"DNS does not list this node, ~ts, so other nodes do not find it; at its host it lists ~ts", [Node, names(Others)]};
words(#{event := flapping, node := Node, reason := Reason, count := Count, left_alone := LeftAlone, connected := Connected}) ->
    {"lost ~ts: ~0tp; ~b connected; connections to it do not last (~b in a row), perhaps because it cannot reach another node that "
     "this one is connected to; it is left alone for ~b s", [Node, Reason, Connected, Count, LeftAlone div 1000]};
words(#{event := nodes_down, nodes := Nodes, connected := Connected} = Report) ->
    {"lost ~b nodes: ~ts; ~b connected~ts~ts", [
        map_size(Nodes), with_reasons(maps:to_list(Nodes), fun(Reason) -> io_lib:format("~0tp", [Reason]) end), Connected,
        not_again(maps:get(failed, Report, #{})), flapping(maps:get(flapping, Report, []))
    ]};
words(#{event := connected, nodes := Nodes, connected := Count}) ->
    {"connected to ~ts (~b in all)", [names(Nodes), Count]};
words(#{event := left, nodes := [Node], connected := Connected}) ->
    {"~ts has left; ~b connected", [Node, Connected]};
words(#{event := left, nodes := Nodes, connected := Connected}) ->
    {"~ts have left; ~b connected", [names(Nodes), Connected]};
words(#{event := leaving, away_ms := Milliseconds}) ->
    {"this node leaves, and connects to no node for ~b s", [Milliseconds div 1000]};
words(#{event := node_down, node := Node, reason := Reason, failure := Failure, connected := Connected}) ->
    {"lost ~ts: ~0tp; ~b connected; cannot connect to it again: ~ts", [Node, Reason, Connected, caravan_diagnosis:format(Failure)]};
words(#{event := node_down, node := Node, reason := Reason, connected := Connected}) ->
    {"lost ~ts: ~0tp; ~b connected", [Node, Reason, Connected]};
words(#{event := disconnect, node := Node, absent_ms := AbsentMs}) ->
    {"disconnected from ~ts, which DNS has not listed for ~b s", [Node, AbsentMs div 1000]};
words(Report) ->
    {"~0tp", [Report]}.

without_answer(true, Otherwise) -> Otherwise;
without_answer(false, _Otherwise) -> "no answer with records so far".

unanswered(Queries) ->
    with_reasons(maps:to_list(Queries), fun(Reason) -> io_lib:format("~0tp", [Reason]) end).

records(#{record := addresses}) -> "addresses";
records(#{record := Record}) -> [string:uppercase(atom_to_list(Record)), " records"];
records(_Unknown) -> "records".

asked(#{nameservers := [_ | _] = Nameservers} = Report) -> [" at ", lists:join(", ", Nameservers), over(Report)];
asked(#{nameservers := system} = Report) -> [" at the nameservers of resolv.conf", over(Report)];
asked(_Unknown) -> "".

over(#{transports := [_ | _] = Transports}) -> [" over ", lists:join(" and ", [string:uppercase(atom_to_list(Transport)) || Transport <- Transports])];
over(_Unknown) -> "".

names(Names) -> names(Names, ?MAX_NAMES).

names([], _Max) -> "none";
names(Names, Max) -> some([atom_to_binary(Name) || Name <- lists:sublist(Names, Max)], length(Names)).

%% `Count' is the number of all texts; `Texts' are those that are shown.
some(Texts, Count) when length(Texts) =:= Count -> lists:join(", ", Texts);
some(Texts, Count) -> [lists:join(", ", Texts), io_lib:format(" and ~b more", [Count - length(Texts)])].

with_reasons(Pairs, Format) ->
    Shown = lists:sublist(Pairs, ?MAX_REASONS),
    some([io_lib:format("~ts (~ts)", [Subject, Format(Reason)]) || {Subject, Reason} <- Shown], length(Pairs)).

failing(#{reason := Reason, held_ms := HeldMs}) -> io_lib:format("~ts; for ~ts", [caravan_diagnosis:format(Reason), time(HeldMs)]).

latest_first(Nodes) ->
    [{Node, Fact} || {_, Node, Fact} <- lists:sort([{HeldMs, Node, Fact} || {Node, #{held_ms := HeldMs} = Fact} <- maps:to_list(Nodes)])].

and_reasons(Failing) when map_size(Failing) =:= 0 -> "";
and_reasons(Failing) -> [": cannot connect to ", with_reasons(maps:to_list(Failing), fun caravan_diagnosis:format/1)].

not_again(Failed) when map_size(Failed) =:= 0 -> "";
not_again(Failed) -> ["; cannot connect again to ", with_reasons(maps:to_list(Failed), fun caravan_diagnosis:format/1)].

flapping([]) -> "";
flapping(Nodes) -> ["; connections to ", names(Nodes), " do not last, so these nodes are left alone for a while"].

time(Ms) when Ms < 120000 -> io_lib:format("~b s", [Ms div 1000]);
time(Ms) when Ms < 7200000 -> io_lib:format("~b minutes", [Ms div 60000]);
time(Ms) -> io_lib:format("~b hours", [Ms div 3600000]).

counted(Counts) ->
    lists:join(", ", [io_lib:format("~b ~ts", [Count, happened(Kind)]) || {Kind, Count} <- lists:sort(maps:to_list(Counts))]).

happened(connect_failed) -> "failures to connect";
happened(failing) -> "reminders of failing nodes";
happened(connected) -> "connections";
happened(left) -> "departures";
happened(lost) -> "losses of nodes";
happened(looked_up) -> "changed outcomes of lookups";
happened(names_refused) -> "answers with refused names";
happened(Other) -> atom_to_binary(Other).

failure(timeout) -> "took too long";
failure({result, Result}) -> io_lib:format("returned ~0tp", [Result]);
failure({bad_answer, Answer}) -> io_lib:format("returned ~0tp, which is not a list of {Port, Host}", [Answer]);
failure({exit, Reason}) -> io_lib:format("was terminated: ~0tp", [Reason]);
failure({raised, What}) -> ["raised ", caravan_exception:format(What)];
failure(What) -> caravan_exception:format(What).
