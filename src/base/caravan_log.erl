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
    logger:log(Level, Report, #{report_cb => fun(Logged) -> line(Words, Logged) end}).

%% Elixir's Logger removes its handler when a callback raises, and then nothing more is logged.
line(Words, Report) ->
    try
        Words(Report)
    catch
        _:_ -> {"caravan: ~0tp", [Report]}
    end.
