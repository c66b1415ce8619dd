%% What the doctor says of set-ups that are broken in one way, and of healthy ones.
-module(caravan_doctor_tests).

-include_lib("eunit/include/eunit.hrl").

each_set_up_has_its_cause_test_() ->
    [
        {Description, {timeout, 120, fun() ->
            case caravan_test_setups:run(Description) of
                {skipped, Why} -> io:format(user, "SKIP: ~ts:~ts~n", [Description, Why]);
                {Seen, Text} -> ?assertEqual({Cause, Text}, {Seen, Text})
            end
        end}}
     || {Description, Cause} <- caravan_test_setups:names()
    ].
