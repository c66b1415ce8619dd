%% @private
%% Logs an event as data, together with the function that formats it. Handlers and tests get the facts, and people read the
%% line.
-module(caravan_log).

-export([report/3]).

-export_type([report/0, words/0]).

%% `event' names what happened; the other keys are its facts.
-type report() :: #{event := atom(), atom() => term()}.

%% The function that logger calls to format the line, which begins with "caravan" and contains no newline. A filter of the
%% user's may have changed the report, so the function may meet other terms than those that were logged.
-type words() :: fun((map()) -> {io:format(), [term()]}).

-spec report(logger:level(), report(), words()) -> ok.
report(Level, Report, Words) ->
    logger:log(Level, Report, metadata(Report, #{report_cb => fun(Logged) -> line(Words, Logged) end})).

%% A report about a topology gets the metadata key `caravan_topology', so that one filter selects everything that concerns
%% it.
metadata(#{topology := Topology}, Metadata) -> Metadata#{caravan_topology => Topology};
metadata(_OfNode, Metadata) -> Metadata.

%% Never raises: Elixir's Logger removes its handler when a callback raises, and nothing is logged after that. The text is
%% formatted here because Elixir's Logger breaks the terms of a format into several lines by rules of its own.
line(Words, Report) ->
    try
        {"~ts", [text(Words(Report))]}
    catch
        _:_ -> {"~ts", [text({"caravan: ~0tp", [Report]})]}
    end.

text({Format, Arguments}) -> io_lib:format(Format, Arguments).
