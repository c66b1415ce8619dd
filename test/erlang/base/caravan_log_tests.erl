-module(caravan_log_tests).

-include_lib("eunit/include/eunit.hrl").

%% As a handler of logger:
-export([log/2]).

-spec log(logger:log_event(), logger:handler_config()) -> term().
log(Event, #{config := Test}) ->
    Test ! {logged, Event}.

an_event_is_logged_as_data_and_has_a_line_test() ->
    Report = #{event => listening, port => 4370},
    #{level := error, msg := {report, Logged}, meta := #{report_cb := Line}} =
        logged(Report, fun(#{port := Port}) -> {"caravan: ~b", [Port]} end),
    ?assertEqual(Report, Logged),
    ?assertEqual({"caravan: ~b", [4370]}, Line(Report)).

%% As when a filter of the user's has changed it.
an_event_that_its_words_do_not_fit_has_a_line_all_the_same_test() ->
    #{meta := #{report_cb := Line}} = logged(#{event => listening}, fun(_) -> error(on_purpose) end),
    ?assertEqual({"caravan: ~0tp", [#{event => "[redacted]"}]}, Line(#{event => "[redacted]"})).

logged(Report, Words) ->
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => self()}),
    try
        ok = caravan_log:report(error, Report, Words),
        receive {logged, Event} -> Event end
    after
        ok = logger:remove_handler(?MODULE)
    end.
