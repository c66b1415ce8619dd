%% @private
%% Logs an event as data, with the function that makes its line: handlers and tests have the facts, and people the line.
-module(caravan_log).

-export([report/3]).

-export_type([report/0, words/0]).

%% `event' says what has happened; the other keys are the facts of it.
-type report() :: #{event := atom(), atom() => term()}.

%% What logger calls for the line: one that begins with "caravan" and has no newline. Filters of
%% the user's may have changed the report by then, so that it finds other terms than those that were logged.
-type words() :: fun((map()) -> {io:format(), [term()]}).

-spec report(logger:level(), report(), words()) -> ok.
report(Level, Report, Words) ->
    logger:log(Level, Report, metadata(Report, #{report_cb => fun(Logged) -> line(Words, Logged) end})).

%% Whoever logs of a topology: filters need one key for all of it.
metadata(#{topology := Topology}, Metadata) -> Metadata#{caravan_topology => Topology};
metadata(_OfNode, Metadata) -> Metadata.

%% Elixir's Logger removes its handler when a callback raises, and then nothing more is logged. It lays out the terms of a format by
%% its own rules, in many lines; a text stays what it is.
line(Words, Report) ->
    try
        {"~ts", [text(Words(Report))]}
    catch
        _:_ -> {"~ts", [text({"caravan: ~0tp", [Report]})]}
    end.

text({Format, Arguments}) -> io_lib:format(Format, Arguments).
