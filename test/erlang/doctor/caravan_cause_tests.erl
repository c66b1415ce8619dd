%% Which of several faults the doctor reports as the cause.
-module(caravan_cause_tests).

-include_lib("eunit/include/eunit.hrl").

the_cause_test_() ->
    [
        ?_assertMatch({Name, Text, #{name := Name, text := Text}}, {Name, Text, caravan_cause:main(checks(Faults))})
     || {Name, Text, Faults} <- [
            {configuration, <<"first">>, [{flags, "first", configuration}, {node, "second", port_taken}]},
            {cookie, <<"a">>, [{peer, "a", cookie}]},
            {cookie, <<"b (and 1 more node)">>, [{peer, "a", no_node}, {peer, "b", cookie}, {peer, "c", cookie}]},
            {no_node, <<"a (and 2 more nodes)">>, [{peer, Node, no_node} || Node <- ["a", "b", "c"]]},
            {nothing_listens, <<"a">>, [{node, "own", down}, {peer, "a", nothing_listens}]},
            {not_listed, <<"own">>, [{self, "own", not_listed}, {peer, "a", nothing_listens}]},
            {cookie, <<"a">>, [{self, "own", not_listed}, {peer, "a", cookie}]}
        ]
    ].

checks(Faults) ->
    [caravan_check:fault(Step, Subject, "seen", caravan_cause:new(Name, Subject)) || {Step, Subject, Name} <- Faults].

no_fault_has_no_cause_test() ->
    ?assertEqual(none, caravan_cause:main([caravan_check:ok(node, "own", "", [])])).
