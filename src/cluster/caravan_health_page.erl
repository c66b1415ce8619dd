%% @private
%% The response of each path: whether the node lives, whether it is ready, and the status of its topologies.
-module(caravan_health_page).

-export([response/1, text/2]).

%% How long to wait for the topologies of this node, all together, in milliseconds.
-define(ASK_MS, 1000).

-define(TEXT, <<"text/plain; charset=utf-8">>).
-define(JSON, <<"application/json">>).

-spec response(Path :: binary()) -> caravan_health_http:answer().
response(<<"/live">>) -> text(200, "ok");
response(<<"/ready">>) -> ready(health_of_node());
response(<<"/status">>) -> {200, ?JSON, [caravan_json:encode(status()), $\n]};
response(_Other) -> text(404, "not found; the paths are /live, /ready and /status").

-spec text(caravan_health_http:status(), unicode:chardata()) -> caravan_health_http:answer().
text(Status, Text) ->
    {Status, ?TEXT, [unicode:characters_to_binary(Text), $\n]}.

ready({Verdict, Lines}) ->
    text(code(Verdict), lists:join($\n, [title(Verdict) | Lines])).

code(not_ready) -> 503;
code(_Ready) -> 200.

title(not_ready) -> "not ready";
title(Verdict) -> atom_to_list(Verdict).

%% The node is ready when all its topologies are.
health_of_node() ->
    of_node(caravan_topologies:names(), caravan_topologies:are_ignored()).

of_node([], true) ->
    {ok, ["no topology is started, since the query is ignore"]};
of_node([], false) ->
    {not_ready, ["no topology runs"]};
of_node(Names, _AreIgnored) ->
    Healths = [{Name, caravan_health_report:verdict(Answer)} || {Name, _} = Answer <- caravan_topology:ask(Names, health, ?ASK_MS)],
    {worst([Health || {_Name, Health} <- Healths]), [
        [atom_to_binary(Name), ": ", caravan_health_report:format(Health)]
     || {Name, Health} <- Healths
    ]}.

worst(Healths) ->
    Verdicts = [verdict(Health) || Health <- Healths],
    hd([Verdict || Verdict <- [not_ready, degraded, ok], lists:member(Verdict, Verdicts)]).

verdict({Verdict, _Reasons}) -> Verdict;
verdict(ok) -> ok.

status() ->
    Answers = caravan_topology:ask(caravan_topologies:names(), health_and_status, ?ASK_MS),
    Topologies = maps:from_list([{Name, topology(Answer)} || {Name, _} = Answer <- Answers]),
    #{node => node(), health => of_all(maps:values(Topologies)), topologies => Topologies}.

of_all([]) ->
    {Verdict, _Lines} = of_node([], caravan_topologies:are_ignored()),
    Verdict;
of_all(Topologies) ->
    worst([{Verdict, []} || #{health := Verdict} <- Topologies]).

topology({_Name, {ok, {Health, Status}}}) ->
    (caravan_health_report:health_json(Health))#{status => caravan_health_report:status_json(Status)};
topology(Silent) ->
    (caravan_health_report:health_json(caravan_health_report:verdict(Silent)))#{status => null}.
