-module(caravan_sim_lines_tests).

-include_lib("eunit/include/eunit.hrl").

%% A fault that goes on is not what a log is full of. The node in the crash loop has a new log each time.
lines_test_() ->
    [
        {Title, {timeout, 60, fun() ->
            {_, Median, _} = caravan_sim_lines:lines(World),
            ?assert(Median =< Bound)
        end}}
     || {{Title, World}, Bound} <- lists:zip(caravan_sim_lines:worlds(20), [16, 25, 25])
    ].
