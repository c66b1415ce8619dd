-module(caravan_log_tests).

-include_lib("eunit/include/eunit.hrl").

%% Callback of a logger handler:
-export([log/2]).

-spec log(logger:log_event(), logger:handler_config()) -> term().
log(Event, #{config := Test}) ->
    Test ! {logged, Event}.

an_event_is_logged_as_data_and_has_a_line_test() ->
    Report = #{event => listening, port => 4370},
    #{level := error, msg := {report, Logged}, meta := #{report_cb := Line}} =
        logged(Report, fun(#{port := Port}) -> {"caravan: ~b", [Port]} end),
    ?assertEqual(Report, Logged),
    ?assertEqual("caravan: 4370", text(Line(Report))).

%% Filters need one key for all that concerns a topology, whichever process logs it.
an_event_of_a_topology_has_it_in_its_metadata_test() ->
    Words = fun(_) -> {"caravan", []} end,
    ?assertMatch(#{meta := #{caravan_topology := app}}, logged(#{event => connected, topology => app}, Words)),
    #{meta := Metadata} = logged(#{event => listening}, Words),
    ?assertNot(is_map_key(caravan_topology, Metadata)).

%% Elixir's Logger would break the terms of a format into several lines.
no_term_is_left_in_the_format_test() ->
    Report = #{event => found, nodes => lists:seq(1, 500)},
    #{meta := #{report_cb := Line}} = logged(Report, fun(#{nodes := Nodes}) -> {"caravan ~0tp", [Nodes]} end),
    {"~ts", [Text]} = Line(Report),
    ?assertEqual(nomatch, string:find(Text, "\n")).

%% A filter of the user's may have changed the report.
an_event_that_its_words_do_not_fit_has_a_line_all_the_same_test() ->
    #{meta := #{report_cb := Line}} = logged(#{event => listening}, fun(_) -> error(on_purpose) end),
    ?assertEqual("caravan: #{event => \"[redacted]\"}", text(Line(#{event => "[redacted]"}))).

text({Format, Arguments}) -> lists:flatten(io_lib:format(Format, Arguments)).

logged(Report, Words) ->
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => self()}),
    try
        ok = caravan_log:report(error, Report, Words),
        receive {logged, Event} -> Event end
    after
        ok = logger:remove_handler(?MODULE)
    end.
