%% @doc The deciding core of a topology in tests: options, facts, events, and functions that read its actions. The topology
%% has one query, `q', unless a test says otherwise.
-module(caravan_test_core).

-include_lib("eunit/include/eunit.hrl").

-export([
    options/1, facts/0, facts/1, new/1, new/3, step/3, step/4, next/3, all/3, started/1, listing/2, connected/2,
    status/3, wanted/1, members/1, wake_at/1, answer/1, answer/2, answered/1, incomplete/1, failed/0, polled/1,
    no/1, connects/1, told/1, reports/1, look/3, looked/3, several/0, both/2, not_distributed/1, function/1,
    idle_function/1, disconnects/1, pruning/1, absent/1
]).

-define(OWN, <<"m@x">>).
-define(A, <<"a@x">>).
-define(B, <<"b@x">>).
-define(INTERVAL, 5000).

options(Overrides) ->
    maps:merge(
        #{
            queries => [q], nodes => [], exclude => [], poll_interval => ?INTERVAL, max_connecting => 16, max_nodes => 1000,
            atom_budget => 500, prune => false, prune_after => 1000, prune_max_fraction => 0.5, answers => all,
            sampled_expiry => 600000, listener => none, list_nodes => otp, expect => 0, stable_for => 0
        },
        Overrides
    ).

facts() -> facts(#{}).

facts(Overrides) ->
    maps:merge(#{own => ?OWN, can_connect => true, elsewhere => [], random => 7}, Overrides).

new(Overrides) -> new(Overrides, [], []).

new(Overrides, Restored, Connected) ->
    caravan_topology_core:new(options(Overrides), Restored, Connected, 0, facts()).

step(Event, Now, State) -> step(Event, Now, facts(), State).

step(Event, Now, Facts, State) -> caravan_topology_core:step(Event, Now, Facts, State).

%% The state after one step, or after several.
next(Event, Now, State) -> element(2, step(Event, Now, State)).

all(Events, Now, State) -> lists:foldl(fun(Event, Next) -> next(Event, Now, Next) end, State, Events).

started(Overrides) -> element(2, new(Overrides)).

%% A topology for which DNS has listed these nodes at time 0.
listing(Names, Overrides) -> next(answered(Names), 0, started(Overrides)).

%% Like the above, with all nodes connected since time 0.
connected(Names, Overrides) ->
    Events = [[{nodeup, Name}, {attempted, Name, connected, 0}] || Name <- Names],
    all(lists:append(Events), 0, listing(Names, Overrides)).

status(Key, Now, State) -> maps:get(Key, caravan_topology_core:status(Now, State)).

wanted(State) -> caravan_topology_core:wanted(State).

members(State) -> caravan_topology_core:members(State).

wake_at(State) -> caravan_topology_core:wake_at(State).

answer(Names) -> answer(Names, #{}).

answer(Names, Overrides) ->
    {ok, maps:merge(
        #{
            records => [[Name] || Name <- Names], unknown => [], invalid => 0, unresolved => 0, ttl => 0, complete => true
        },
        Overrides
    )}.

answered(Names) -> polled(answer(Names)).

incomplete(Names) -> polled(answer(Names, #{complete => false})).

failed() -> polled({error, timeout}).

polled(Outcome) -> {polled, [{q, Outcome}], 0}.

%% The failure of an attempt that has begun.
no(Name) -> {attempted, Name, {failed, no}, 0}.

connects(Actions) -> [Name || {connect, Name} <- Actions].

told(Actions) -> [Told || {tell, Told} <- Actions].

%% Includes reports for telemetry only.
reports(Actions) -> [Report || {Kind, Report} <- Actions, lists:member(Kind, [report, emit])].

%% A poll at this time with this outcome. Earlier polls are over.
look(Event, Now, State) ->
    {Actions, Looking} = step(poll, Now, State),
    ?assert(lists:member(poll, Actions)),
    step(Event, Now, Looking).

looked(Event, Now, State) -> element(2, look(Event, Now, State)).

several() -> #{queries => [one, two]}.

both(One, Two) -> {polled, [{one, One}, {two, Two}], 0}.

not_distributed(Own) -> facts(#{own => Own, can_connect => false}).

function(Overrides) -> Overrides#{list_nodes => function}.

%% All lists that were requested have arrived.
idle_function(Names) ->
    all([{listed, []}, {listed, []}], 0, listing(Names, function(#{}))).

disconnects(Actions) -> [Name || {disconnect, Name, _} <- Actions].

pruning(Overrides) -> maps:merge(#{prune => true, prune_after => 1000}, Overrides).

%% `a' has not been listed since 5000.
absent(Overrides) -> looked(answered([?B]), 5000, connected([?A, ?B], pruning(Overrides))).
