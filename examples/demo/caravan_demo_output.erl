%% What the demo prints: plain text in columns, each event with the seconds since the VM of the demo started.
-module(caravan_demo_output).

-export([title/1, facts/1, heading/1, event/2, event/3, logs/1, result/1]).

-define(LABEL_WIDTH, 12).
-define(TIME_WIDTH, 8).
-define(WHO_WIDTH, 9).
-define(LOG_LINES, 20).

-spec title(unicode:chardata()) -> ok.
title(Title) ->
    io:format("Caravan demo: ~ts~n~n", [Title]).

%% Lines of a label and a text.
-spec facts([{Label :: string(), Text :: unicode:chardata()}]) -> ok.
facts(Facts) ->
    lists:foreach(
        fun({Label, Text}) -> io:format("~ts~ts~n", [string:pad(Label, ?LABEL_WIDTH), Text]) end,
        Facts
    ).

-spec heading(unicode:chardata()) -> ok.
heading(Heading) ->
    io:format("~n~ts~n", [Heading]).

%% @equiv event(Who, Format, [])
-spec event(string(), io:format()) -> ok.
event(Who, Format) ->
    event(Who, Format, []).

%% One row of the table: the time, who it is about, what happened.
-spec event(Who :: string(), io:format(), [term()]) -> ok.
event(Who, Format, Arguments) ->
    Time = string:pad(io_lib:format("+~.3f", [seconds()]), ?TIME_WIDTH, leading),
    io:format("~ts s  ~ts  ~ts~n", [Time, string:pad(Who, ?WHO_WIDTH), io_lib:format(Format, Arguments)]).

seconds() ->
    Native = erlang:monotonic_time() - erlang:system_info(start_time),
    erlang:convert_time_unit(Native, native, millisecond) / 1000.

%% The end of what the programs wrote.
-spec logs([{Who :: string(), Lines :: [unicode:chardata()]}]) -> ok.
logs(Logs) ->
    lists:foreach(
        fun({Who, Lines}) ->
            io:format("~nOutput of ~ts, the last ~b lines at most:~n", [Who, ?LOG_LINES]),
            Last = lists:nthtail(max(0, length(Lines) - ?LOG_LINES), Lines),
            lists:foreach(fun(Line) -> io:format("  ~ts~n", [Line]) end, Last)
        end,
        Logs
    ).

-spec result(unicode:chardata()) -> ok.
result(Result) ->
    io:format("~n~ts (~.1f s)~n", [Result, seconds()]).
