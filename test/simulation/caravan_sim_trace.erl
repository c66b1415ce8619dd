%% A run as text, short enough to read: who did what when. What happens again and again is said once, and of a long run the
%% end is shown.
-module(caravan_sim_trace).

-export([format/2]).

-define(LINES, 60).

%% Lines of the hosts that concern the reader, or of all.
-spec format([{integer(), binary() | world, term()}], all | [binary()]) -> iolist().
format(Trace, Concerned) ->
    Lines = collapse(news([
        {At, Who, Text}
     || {At, Who, What} <- Trace, concerns(Who, Concerned), Text <- [text(What)], Text =/= none
    ], #{})),
    [cut(length(Lines) - ?LINES, Lines)].

concerns(world, _Concerned) -> true;
concerns(_Who, all) -> true;
concerns(Who, Concerned) -> lists:member(Who, Concerned).

%% The faults stay, whatever else is left out.
cut(TooMany, Lines) when TooMany =< 0 ->
    [line(Line) || Line <- Lines];
cut(TooMany, Lines) ->
    {Before, After} = lists:split(TooMany, Lines),
    World = [Line || {_, world, _, _} = Line <- Before],
    [
        [line(Line) || Line <- lists:sublist(World, ?LINES div 2)],
        io_lib:format("  ... (~b lines)~n", [TooMany - min(length(World), ?LINES div 2)]),
        [line(Line) || Line <- After]
    ].

line({At, Who, Text, Count}) ->
    io_lib:format("~10.3f s  ~-14ts ~ts~ts~n", [At / 1000, who(Who), Text, times(Count)]).

who(world) -> "*";
who(Name) -> Name.

times(1) -> "";
times(Count) -> io_lib:format("  (and ~b more)", [Count - 1]).

%% An answer that says what the one before said is no news.
news([], _Before) ->
    [];
news([{_At, Who, {answer, Text}} | Lines], Before) when map_get(Who, Before) =:= Text ->
    news(Lines, Before);
news([{At, Who, {answer, Text}} | Lines], Before) ->
    [{At, Who, ["answer: ", Text]} | news(Lines, Before#{Who => Text})];
news([Line | Lines], Before) ->
    [Line | news(Lines, Before)].

%% Equal things that one VM does in a row.
collapse([]) -> [];
collapse([{At, Who, Text} | Lines]) -> collapse(Lines, At, Who, Text, 1).

collapse([{_At, Who, Text} | Lines], At, Who, Text, Count) -> collapse(Lines, At, Who, Text, Count + 1);
collapse(Lines, At, Who, Text, Count) -> [{At, Who, Text, Count} | collapse(Lines)].

text({booted, _Options}) -> "boots";
text({crashed, _Connected}) -> "its topology crashes";
text(stopped) -> "stops";
text(resumed) -> none;
text({event, wake}) -> none;
text({event, {polled, Outcomes, _}}) -> {answer, lists:join(", ", [outcome(Outcome) || {_, Outcome} <- Outcomes])};
text({event, {attempted, Name, connected, _}}) -> io_lib:format("attempt at ~ts: connected", [Name]);
text({event, {attempted, Name, {failed, Reason}, _}}) -> io_lib:format("attempt at ~ts: ~0p", [Name, Reason]);
text({event, {nodeup, Name}}) -> io_lib:format("up: ~ts", [Name]);
text({event, {nodedown, Name, Reason}}) -> io_lib:format("down: ~ts, ~0p", [Name, Reason]);
text({event, {change, _}}) -> "other options";
text({event, Event}) -> io_lib:format("~0tp", [Event]);
text({action, poll}) -> none;
text({action, {connect, Name}}) -> io_lib:format("tries ~ts", [Name]);
text({action, {disconnect, Name, AbsentMs}}) -> io_lib:format("disconnects ~ts, absent for ~b s", [Name, AbsentMs div 1000]);
text({action, {report, {lost, Losses, _, _}}}) ->
    Flaps = [io_lib:format("~ts (~b, ~b s)", [Name, Count, LeftAlone div 1000]) || {_, _, _, {Name, Count, LeftAlone}} <- Losses],
    flaps(Flaps);
text({action, _}) -> none;
text(Op) when is_tuple(Op); is_atom(Op) -> io_lib:format("~w", [Op]).

flaps([]) -> none;
flaps(Flaps) -> ["connections do not last: ", lists:join(", ", Flaps)].

outcome({ok, #{records := Records, complete := Complete, ttl := Ttl}}) ->
    io_lib:format("~b records~ts, TTL ~b", [length(Records), incomplete(Complete), Ttl]);
outcome({error, Reason}) ->
    io_lib:format("~0p", [Reason]).

incomplete(true) -> "";
incomplete(false) -> ", incomplete".
