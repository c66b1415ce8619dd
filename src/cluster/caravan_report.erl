%% @private
%% What a topology says of itself, in the log and to telemetry. Only what changes is logged: a steady state is silent.
-module(caravan_report).

-export([started/1, looked_up/4, found/3, wanted/3, names/3, own_alias/2]).
-export([connect/2, up/3, connected/3, down/5, disconnect/4]).

-type options() :: #{name := atom(), query := binary(), atom() => term()}.
-type outcome() :: none | fresh | {empty, nxdomain | nodata} | {failed, term()}.

-spec started(options()) -> ok.
started(#{name := Name, connect := {net_kernel, connect_node, []}}) ->
    case is_alive() of
        true -> ok;
        false -> logger:warning("caravan ~ts: this node is not distributed and connects to nobody; see -name", [Name])
    end;
started(_Options) ->
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
    logger:notice("caravan ~ts: ~ts has records again", [Name, Query]);
log_outcome({empty, Reason}, _Before, #{name := Name, query := Query}) ->
    logger:notice("caravan ~ts: ~ts has no records (~ts); nobody is disconnected", [Name, Query, Reason]);
log_outcome({failed, Reason}, _Before, #{name := Name, query := Query}) ->
    logger:warning("caravan ~ts: cannot look up ~ts: ~0tp; the last good answer stands", [Name, Query, Reason]).

%% For `config :caravan, debug: true', with every poll.
-spec found(boolean(), [node()], options()) -> ok.
found(true, Nodes, #{name := Name}) -> logger:debug("caravan ~ts: found ~0tp", [Name, Nodes]);
found(false, _Nodes, _Options) -> ok.

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
    logger:info("caravan ~ts: DNS lists ~b nodes; new: ~0tp, gone: ~0tp", [Name, length(Wanted), Added, Removed]).

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
    logger:warning("caravan ~ts: ~b names of the answer are left out: ~ts", [Name, Count, refusal(Reason, Options)]);
names_refused(_Reason, _Count, _Before, _Options) ->
    ok.

refusal(invalid, _Options) ->
    "they are no names of nodes";
refusal(max_nodes, #{max_nodes := MaxNodes}) ->
    io_lib:format("they are more than max_nodes, ~b", [MaxNodes]);
refusal(atom_budget, #{atom_budget := Budget}) ->
    io_lib:format("atom_budget, ~b, is used up by names that were no nodes' so far", [Budget]).

-spec own_alias([node()], options()) -> ok.
own_alias([], _Options) ->
    ok;
own_alias(Aliases, #{name := Name}) ->
    logger:warning("caravan ~ts: DNS lists this node as ~0tp; its name is spelled ~ts, and nobody can connect to it "
        "under the other spelling", [Name, Aliases, node()]).

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
    logger:warning("caravan ~ts: cannot connect to ~ts: ~ts", [Name, Node, caravan_diagnosis:format(Reason)]);
log_failure(known, _Node, _Reason, _Name) ->
    ok.

-spec up(node(), Connected :: non_neg_integer(), options()) -> ok.
up(Node, Connected, #{name := Name}) ->
    caravan_telemetry:execute([caravan, cluster, node_up], #{connected => Connected}, #{
        topology => Name, node => Node
    }).

%% Members that came lately and are there still, of so many.
-spec connected([node()], non_neg_integer(), options()) -> ok.
connected([], _Count, _Options) ->
    ok;
connected(Nodes, Count, #{name := Name}) ->
    logger:notice("caravan ~ts: connected to ~0tp (~b in all)", [Name, lists:sort(Nodes), Count]).

%% Level `warning' for a node that DNS still lists.
-spec down(node(), term(), IsWanted :: boolean(), Connected :: non_neg_integer(), options()) -> ok.
down(Node, Reason, IsWanted, Connected, #{name := Name}) ->
    caravan_telemetry:execute([caravan, cluster, node_down], #{connected => Connected}, #{
        topology => Name, node => Node, reason => Reason
    }),
    logger:log(down_level(IsWanted), "caravan ~ts: lost ~ts: ~0tp (~b)", [Name, Node, Reason, Connected]).

down_level(true) -> warning;
down_level(false) -> notice.

%% The milliseconds are those for which DNS has not listed the node.
-spec disconnect(node(), term(), non_neg_integer(), options()) -> ok.
disconnect(Node, Result, AbsentMs, #{name := Name}) ->
    caravan_telemetry:execute([caravan, cluster, disconnect], #{absent_ms => AbsentMs}, #{
        topology => Name, node => Node, result => Result
    }),
    logger:notice("caravan ~ts: disconnected ~ts, which DNS has not listed for ~b s", [Name, Node, AbsentMs div 1000]).
