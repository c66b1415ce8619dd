%% What the doctor reports about the topologies of a node that has none, or not those of its configuration.
-module(caravan_doctor_topology_tests).

-include_lib("eunit/include/eunit.hrl").

topologies_test_() ->
    {setup, fun() -> {ok, _} = application:ensure_all_started(caravan) end, fun(_) -> application:stop(caravan) end, [
        {"none", ?_assertMatch([#{state := note, seen := <<"no topology runs on this node ", _/binary>>}], seen())},
        {"not allowed as a whole", fun() -> caravan_test_config:with_environment([{topologies, nonsense}], fun() -> ?assertMatch([#{state := note}], seen()) end) end},
        {"to be ignored", fun() -> caravan_test_config:with_environment([{topologies, [{main, #{query => ignore}}]}], fun() -> ?assertMatch([#{state := note}], seen()) end) end},
        {"configured and not running", fun() ->
            caravan_test_config:with_environment([{topologies, [{main, #{query => "a.test", node_basename => "app"}}, {'a b', #{}}]}], fun() ->
                [#{state := fault, seen := Seen, cause := #{name := not_running}}] = seen(),
                ?assertEqual(<<"these topologies do not run: 'a b', main; the log says why">>, Seen)
            end)
         end},
        {"started by a call, and crashing", fun() ->
            {ok, _} = caravan_cluster:start(#{name => crashing, query => "a.test", node_basename => "app", nameservers => ["127.0.0.1:1"]}),
            ?assertEqual(<<"these topologies do not run: crashing; the log says why">>, said_of_crashing()),
            ok = caravan_cluster:stop(crashing)
         end}
    ]}.

%% It is restarted after a back-off that grows each time.
said_of_crashing() ->
    _ = [exit(Pid, kill) || Pid <- [whereis(caravan_topology:registered_name(crashing))], is_pid(Pid)],
    case [Seen || #{cause := #{name := not_running}, seen := Seen} <- seen()] of
        [Seen] -> Seen;
        [] -> said_of_crashing()
    end.

from_outside_there_is_nothing_to_say_test() ->
    ?assertEqual([], caravan_doctor_topology:topologies(#{mode => outside})).

seen() -> caravan_doctor_topology:topologies(#{mode => inside}).
