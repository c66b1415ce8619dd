%% A core with a fault of its own: that of caravan_topology_core, whose actions or words are changed as the option `doctor' says.
%% Each of them is what an invariant is there to find.
-module(caravan_sim_doctored).

-export([new/5, step/4, wake_at/1, wanted/1, status/2, health/2, is_line/1]).

-record(doctored, {
    doctor :: atom(),
    core :: term(),
    now :: integer()
}).

new(#{doctor := Doctor} = Options, Restored, Connected, Now, Facts) ->
    {Actions, Core} = caravan_topology_core:new(Options, Restored, Connected, Now, Facts),
    {Actions, #doctored{doctor = Doctor, core = Core, now = Now}}.

step(Event, Now, Facts, #doctored{doctor = Doctor, core = Core} = State) ->
    {Actions, Next} = caravan_topology_core:step(Event, Now, Facts, Core),
    {doctored(Doctor, Event, Now, Facts, Actions), State#doctored{core = Next, now = Now}}.

%% Half a minute passes before anything is wrong.
doctored(_Doctor, _Event, Now, _Facts, Actions) when Now < 30000 -> Actions;
doctored(tries_itself, {polled, _, _}, _Now, #{own := Own}, Actions) -> [{connect, Own} | Actions];
doctored(tries_again_at_once, {attempted, Name, {failed, _}, _}, _Now, _Facts, Actions) -> [{connect, Name} | Actions];
doctored(tries_nobody, _Event, _Now, _Facts, Actions) -> [Action || Action <- Actions, not is_connect(Action)];
doctored(disconnects_who_is_listed, {polled, _, _}, _Now, _Facts, [{publish, [Name | _]} | _] = Actions) ->
    [{disconnect, Name, 0} | Actions];
doctored(disconnects_who_is_listed, {polled, _, _}, _Now, _Facts, Actions) ->
    Actions ++ [{disconnect, Name, 0} || {publish, [Name | _]} <- Actions];
doctored(wants_too_many, {polled, _, _}, _Now, _Facts, Actions) ->
    [{publish, [integer_to_binary(Number) || Number <- lists:seq(10000, 12000)]} | Actions];
doctored(forgets, {polled, _, _}, _Now, _Facts, Actions) -> [{publish, []} | Actions];
doctored(looks_all_the_time, wake, _Now, _Facts, Actions) -> [poll | Actions];
doctored(tells_twice, _Event, _Now, _Facts, Actions) -> lists:append([[Action || _ <- twice(Action)] || Action <- Actions]);
doctored(gives_another_reason, _Event, _Now, _Facts, Actions) -> [other_reason(Action) || Action <- Actions];
doctored(reports_all_the_time, {polled, _, _}, _Now, _Facts, Actions) -> [{report, not_distributed} | Actions];
doctored(reports_now_and_then, {polled, _, _}, Now, _Facts, Actions) when Now rem 25000 < 5000 -> [{report, not_distributed} | Actions];
doctored(tries_who_leaves, {leaving, Name, _}, _Now, _Facts, Actions) -> [{connect, Name} | Actions];
doctored(warns_of_who_has_left, {nodedown, Name, Reason}, _Now, _Facts, Actions) -> [{report, {lost, [{Name, Reason, true, none}], [], 1}} | Actions];
doctored(reports_as_new, {attempted, Name, {failed, Reason}, _}, _Now, _Facts, Actions) ->
    [{report, {attempt, {failed, Name, Reason, new}, 0}} | Actions];
doctored(_Doctor, _Event, _Now, _Facts, Actions) -> Actions.

is_connect({connect, _}) -> true;
is_connect(_Other) -> false.

twice({tell, _}) -> [1, 2];
twice(_Action) -> [1].

other_reason({emit, {down, Name, _Reason, Count}}) -> {emit, {down, Name, another, Count}};
other_reason(Action) -> Action.

wake_at(#doctored{doctor = looks_all_the_time, now = Now}) -> Now + 100;
wake_at(#doctored{core = Core}) -> caravan_topology_core:wake_at(Core).

health(Now, #doctored{doctor = is_ready_with_dns_alone, core = Core}) ->
    case caravan_topology_core:status(Now, Core) of
        #{last_lookup := {failed, Reason}} -> {not_ready, [{lookup_failed, Reason}]};
        _ -> caravan_topology_core:health(Now, Core)
    end;
health(Now, #doctored{core = Core}) ->
    caravan_topology_core:health(Now, Core).

wanted(#doctored{core = Core}) -> caravan_topology_core:wanted(Core).

status(Now, #doctored{doctor = lies, core = Core}) ->
    (caravan_topology_core:status(Now, Core))#{connected => []};
status(Now, #doctored{doctor = tries_nobody, core = Core}) ->
    (caravan_topology_core:status(Now, Core))#{connecting => []};
status(Now, #doctored{core = Core}) ->
    caravan_topology_core:status(Now, Core).

is_line(Report) -> caravan_topology_core:is_line(Report).
