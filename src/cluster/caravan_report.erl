%% @private
%% What a topology says of itself, in the log and to telemetry. Only what changes is logged: a steady state is silent.
-module(caravan_report).

-export([ignored/1, not_distributed/1, distributed/1, looked_up/4, found/3, found_once/2, wanted/3, names/3, own_alias/2]).
-export([connect/2, up/3, connected/3, down/5, flaps/2, disconnect/4, function_failed/3]).
-export([format/1]).

-type options() :: #{name := atom(), query := binary() | none, atom() => term()}.
-type outcome() :: none | fresh | {empty, nxdomain | nodata} | {failed, term()}.

%% Its query says that nothing is to be started.
-spec ignored(atom()) -> ok.
ignored(Name) ->
    log(debug, ignored, Name, #{}).

%% The topology waits until the node is.
-spec not_distributed(options()) -> ok.
not_distributed(#{name := Name}) ->
    log(warning, not_distributed, Name, #{}).

%% Where the port is in the names of nodes, nobody has to ask epmd for it; a node without `-epmd_module' does.
-spec distributed(options()) -> ok.
distributed(#{name := Name, connect := {net_kernel, connect_node, []}} = Options) ->
    case net_kernel:epmd_module() =:= erl_epmd andalso caravan_node_names:have_port(Options) of
        true -> log(warning, asks_epmd, Name, #{tool => caravan_tool:tool()});
        false -> ok
    end;
distributed(_Options) ->
    ok.

%% The end of a poll, and that of the one before.
-spec looked_up(outcome(), outcome(), Measurements :: #{atom() => integer()}, options()) -> ok.
looked_up(Outcome, Before, Measurements, #{name := Name, query := Query, record := Record} = Options) ->
    caravan_telemetry:execute(
        [caravan, lookup, stop],
        Measurements,
        maps:merge(outcome(Outcome), #{topology => Name, query => Query, record => Record})
    ),
    log_outcome(Outcome, Before, Options).

outcome(fresh) -> #{outcome => fresh};
outcome({Outcome, Reason}) -> #{outcome => Outcome, reason => Reason}.

log_outcome(Same, Same, _Options) ->
    ok;
log_outcome(fresh, none, _Options) ->
    ok;
log_outcome(fresh, _Before, #{name := Name, query := Query}) ->
    log(notice, records_again, Name, #{query => Query});
log_outcome({empty, Reason}, _Before, #{name := Name, query := Query}) ->
    log(notice, no_records, Name, #{query => Query, reason => Reason});
log_outcome({failed, {client, What}}, _Before, #{name := Name, query := Query, dns_client := Client}) ->
    log(warning, client_failed, Name, #{query => Query, dns_client => Client, reason => What});
log_outcome({failed, Reason}, _Before, #{name := Name, query := Query}) ->
    log(warning, lookup_failed, Name, #{query => Query, reason => Reason}).

%% For `config :caravan, debug: true', with every poll.
-spec found(boolean(), [node()], options()) -> ok.
found(true, Nodes, #{name := Name}) -> log(debug, found, Name, #{nodes => Nodes});
found(false, _Nodes, _Options) -> ok.

%% By the strategy's find_nodes, without a topology's process.
-spec found_once([node()], Topology :: atom()) -> ok.
found_once(Nodes, Name) ->
    log(debug, found_once, Name, #{nodes => Nodes}).

-spec wanted([node()], Before :: [node()], options()) -> ok.
wanted(Same, Same, _Options) ->
    ok;
wanted(Wanted, Before, #{name := Name}) ->
    Added = Wanted -- Before,
    Removed = Before -- Wanted,
    caravan_telemetry:execute(
        [caravan, cluster, change],
        #{wanted => length(Wanted), added => length(Added), removed => length(Removed)},
        #{topology => Name, added => Added, removed => Removed}
    ),
    log(info, change, Name, #{wanted => length(Wanted), added => Added, removed => Removed}).

%% How many names of the last answer were refused, by reason, and of the one before.
-spec names(#{atom() => non_neg_integer()}, #{atom() => non_neg_integer()}, options()) -> ok.
names(Refused, Before, Options) ->
    maps:foreach(
        fun(Reason, Count) -> names_refused(Reason, Count, maps:get(Reason, Before), Options) end,
        Refused
    ).

names_refused(Reason, Count, 0, #{name := Name} = Options) when Count > 0 ->
    caravan_telemetry:execute([caravan, cluster, names_refused], #{count => Count}, #{
        topology => Name, reason => Reason
    }),
    log(warning, names_refused, Name, refusal(Reason, Options, #{reason => Reason, count => Count}));
names_refused(_Reason, _Count, _Before, _Options) ->
    ok.

refusal(invalid, _Options, Facts) -> Facts;
refusal(max_nodes, #{max_nodes := MaxNodes}, Facts) -> Facts#{limit => MaxNodes};
refusal(atom_budget, #{atom_budget := Budget}, Facts) -> Facts#{limit => Budget}.

-spec own_alias([node()], options()) -> ok.
own_alias([], _Options) ->
    ok;
own_alias(Aliases, #{name := Name}) ->
    log(warning, own_alias, Name, #{aliases => Aliases, node => node()}).

-spec connect(caravan_connector:event(), options()) -> ok.
connect({connected, Node, Duration}, #{name := Name}) ->
    caravan_telemetry:execute([caravan, cluster, connect], #{duration => Duration}, #{
        topology => Name, node => Node, result => ok
    });
connect({failed, Node, Reason, Novelty, Duration}, #{name := Name}) ->
    caravan_telemetry:execute([caravan, cluster, connect], #{duration => Duration}, #{
        topology => Name, node => Node, result => error, reason => Reason
    }),
    log_failure(Novelty, Node, Reason, Name).

log_failure(new, Node, Reason, Name) ->
    log(warning, connect_failed, Name, #{node => Node, reason => Reason});
log_failure(known, _Node, _Reason, _Name) ->
    ok.

-spec up(node(), Connected :: non_neg_integer(), options()) -> ok.
up(Node, Connected, #{name := Name}) ->
    caravan_telemetry:execute([caravan, cluster, node_up], #{connected => Connected}, #{
        topology => Name, node => Node
    }).

%% One that is lost soon may be one that was restarted; when that goes on there is more to it.
-spec flaps([caravan_connector:flap()], options()) -> ok.
flaps(Flaps, #{name := Name}) ->
    lists:foreach(
        fun({Node, Count, LeftAlone}) -> log(warning, flapping, Name, #{node => Node, count => Count, left_alone => LeftAlone}) end,
        [Flap || {_, Count, _} = Flap <- Flaps, Count > 1]
    ).

%% Members that came lately and are there still, of so many.
-spec connected([node()], non_neg_integer(), options()) -> ok.
connected([], _Count, _Options) ->
    ok;
connected(Nodes, Count, #{name := Name}) ->
    log(notice, connected, Name, #{nodes => lists:sort(Nodes), connected => Count}).

%% Level `warning' for a node that DNS still lists.
-spec down(node(), term(), IsWanted :: boolean(), Connected :: non_neg_integer(), options()) -> ok.
down(Node, Reason, IsWanted, Connected, #{name := Name}) ->
    caravan_telemetry:execute([caravan, cluster, node_down], #{connected => Connected}, #{
        topology => Name, node => Node, reason => Reason
    }),
    log(down_level(IsWanted), node_down, Name, #{node => Node, reason => Reason, connected => Connected}).

down_level(true) -> warning;
down_level(false) -> notice.

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
    {"DNS lists ~b others; new: ~0tp, gone: ~0tp", [Count, Added, Removed]};
words(#{event := names_refused, reason := invalid, count := Count}) ->
    {"~b names of the answer are left out: they are no names of nodes", [Count]};
words(#{event := names_refused, reason := max_nodes, count := Count, limit := MaxNodes}) ->
    {"~b names of the answer are left out: they are more than max_nodes, ~b", [Count, MaxNodes]};
words(#{event := names_refused, reason := atom_budget, count := Count, limit := Budget}) ->
    {"~b names of the answer are left out: atom_budget, ~b, is used up by names that were no nodes' so far",
        [Count, Budget]};
words(#{event := own_alias, aliases := Aliases, node := Node}) ->
    {"DNS lists this node as ~0tp; its name is spelled ~ts, and nobody can connect to it under the other spelling",
        [Aliases, Node]};
words(#{event := connect_failed, node := Node, reason := Reason}) ->
    {"cannot connect to ~ts: ~ts", [Node, caravan_diagnosis:format(Reason)]};
words(#{event := flapping, node := Node, count := Count, left_alone := LeftAlone}) ->
    {"connections to ~ts do not last (~b in a row): it and another node that this one is connected to may not reach each "
     "other; it is left alone for ~b s", [Node, Count, LeftAlone div 1000]};
words(#{event := connected, nodes := Nodes, connected := Count}) ->
    {"connected to ~0tp (~b in all)", [Nodes, Count]};
words(#{event := node_down, node := Node, reason := Reason, connected := Connected}) ->
    {"lost ~ts: ~0tp (~b)", [Node, Reason, Connected]};
words(#{event := disconnect, node := Node, absent_ms := AbsentMs}) ->
    {"disconnected ~ts, which DNS has not listed for ~b s", [Node, AbsentMs div 1000]};
words(Report) ->
    {"~0tp", [Report]}.

failure(timeout) -> "took too long";
failure({result, Result}) -> io_lib:format("gave ~0tp", [Result]);
failure({bad_answer, Answer}) -> io_lib:format("it gave ~0tp, which is no list of {Port, Host}", [Answer]);
failure({exit, Reason}) -> io_lib:format("was ended: ~0tp", [Reason]);
failure({raised, What}) -> ["raised ", caravan_exception:format(What)];
failure(What) -> caravan_exception:format(What).
