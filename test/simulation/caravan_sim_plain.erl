%% The rival: a loop as most libraries have it. Every five seconds it looks up, and tries all nodes of the answer that are not
%% connected, each of them at once and as often as it comes round. It has the interface of caravan_topology_core as far as the
%% simulation needs it.
-module(caravan_sim_plain).

-export([new/5, step/4, wake_at/1, wanted/1, is_line/1]).

-record(plain, {
    look_at :: integer() | none,
    wanted = [] :: [binary()],
    connected :: #{binary() => []},
    attempts = #{} :: #{binary() => []}
}).

-define(INTERVAL, 5000).

new(_Options, _Restored, Connected, Now, _Facts) ->
    {[poll], #plain{look_at = Now + ?INTERVAL, connected = maps:from_keys(Connected, [])}}.

step(wake, Now, _Facts, #plain{look_at = At} = State) when At =< Now ->
    {[poll], State#plain{look_at = Now + ?INTERVAL}};
step({polled, Outcomes, _Duration}, _Now, #{own := Own}, State) ->
    look_ended(lists:append([records(Outcome) || {_Query, Outcome} <- Outcomes]), Own, State);
step({nodeup, Name}, _Now, _Facts, #plain{connected = Connected} = State) ->
    {[], State#plain{connected = Connected#{Name => []}}};
step({nodedown, Name, Reason}, _Now, _Facts, #plain{connected = Connected} = State) ->
    Left = maps:remove(Name, Connected),
    {[{report, {lost, [{Name, Reason, true, none}], [], map_size(Left)}}], State#plain{connected = Left}};
step({attempted, Name, connected, _Duration}, _Now, _Facts, #plain{attempts = Attempts} = State) ->
    {[{report, {connected, [Name], 0}}], State#plain{attempts = maps:remove(Name, Attempts)}};
step({attempted, Name, {failed, Reason}, _Duration}, _Now, _Facts, #plain{attempts = Attempts} = State) ->
    {[{report, {attempt, {failed, Name, Reason, new}, 0}}], State#plain{attempts = maps:remove(Name, Attempts)}};
step(_Event, _Now, _Facts, State) ->
    {[], State}.

records({ok, #{records := Records}}) -> lists:append(Records);
records({error, _Reason}) -> [].

look_ended([], _Own, State) ->
    {[], State};
look_ended(Names, Own, #plain{connected = Connected, attempts = Attempts} = State) ->
    Wanted = lists:delete(Own, lists:usort(Names)),
    Missing = [Name || Name <- Wanted, not is_map_key(Name, Connected), not is_map_key(Name, Attempts)],
    {[{publish, Wanted} | [{connect, Name} || Name <- Missing]], State#plain{
        wanted = Wanted, attempts = maps:merge(Attempts, maps:from_keys(Missing, []))
    }}.

wake_at(#plain{look_at = At}) -> At.

wanted(#plain{wanted = Wanted}) -> Wanted.

%% libcluster logs each node that it connects to, each that it cannot connect to, and OTP tells it of each that is gone.
is_line(_Report) -> true.
