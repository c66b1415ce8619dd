%% @private
%% Formats the report of the doctor as text for people and as JSON.
-module(caravan_doctor_text).

-export([format/2]).

%% Increased when a key of the JSON changes its meaning.
-define(JSON_VERSION, 1).
-define(MAX_ALIKE, 20).

-spec format(caravan_doctor:report(), plain | colour | json) -> unicode:chardata().
format(#{checks := Checks} = Report, json) ->
    #{node := Node, status := Status, cause := Cause} = Report,
    [
        caravan_json:encode(#{
            version => ?JSON_VERSION, node => or_null(Node), status => Status, cause => or_null(Cause), checks => Checks
        }),
        $\n
    ];
format(#{node := Node, checks := Checks} = Report, Form) ->
    [
        io_lib:format("caravan doctor: ~ts~n~n", [named(Node)]),
        [line(Check, Form) || Check <- shortened(Checks)],
        $\n,
        last_line(Report, Form),
        $\n
    ].

%% In a large cluster the nodes that are well, and those that were not examined, share one line.
shortened(Checks) ->
    without(not_looked_at, "not looked at", without(ok, "they answer, or are connected", Checks)).

without(State, Text, Checks) ->
    {Alike, Others} = lists:partition(fun(Check) -> is_peer(State, Check) end, Checks),
    case length(Alike) > ?MAX_ALIKE of
        true -> Others ++ [(hd(Alike))#{subject := unicode:characters_to_binary(io_lib:format("~b nodes", [length(Alike)])), seen := list_to_binary(Text)}];
        false -> Checks
    end.

is_peer(State, #{step := peer, state := State}) -> true;
is_peer(_State, _Check) -> false.

or_null(none) -> null;
or_null(Value) -> Value.

named(none) -> "a node whose name is not known";
named(Node) -> Node.

line(#{step := Step, state := State, subject := Subject, seen := Seen}, Form) ->
    io_lib:format("  ~ts ~-12ts ~ts~n", [paint(State, io_lib:format("~-5ts", [word(State)]), Form), Step, joined(Subject, Seen)]).

joined(<<>>, Seen) -> one_line(Seen);
joined(Subject, Seen) -> [one_line(Subject), ": ", one_line(Seen)].

%% Names and errors from the network may contain control characters.
one_line(Text) ->
    << <<(printable(Character))/utf8>> || <<Character/utf8>> <= Text >>.

printable(Character) when Character < $\s; Character >= 16#7F, Character < 16#A0 -> $?;
printable(Character) -> Character.

word(ok) -> "ok";
word(note) -> "note";
word(fault) -> "FAULT";
word(unknown) -> "?";
word(not_looked_at) -> "-".

paint(State, Text, colour) -> ["\e[", code(State), "m", Text, "\e[0m"];
paint(_State, Text, plain) -> Text.

code(ok) -> "32";
code(note) -> "33";
code(fault) -> "1;31";
code(_NotKnown) -> "2".

last_line(#{cause := #{text := Text, advice := Advice}}, Form) ->
    [paint(fault, "cause:", Form), " ", one_line(Text), "\n   do: ", one_line(Advice)];
last_line(#{status := unknown, checks := Checks}, _Form) ->
    not_known(length([Check || #{step := peer, state := unknown} = Check <- Checks]), not_looked_at(Checks), has_answer(Checks));
last_line(#{status := ok, checks := Checks}, Form) ->
    [paint(ok, "no fault found", Form), uncompared(Checks), left(not_looked_at(Checks))].

not_looked_at(Checks) ->
    length([Check || #{state := not_looked_at} = Check <- Checks]).

has_answer(Checks) ->
    [Check || #{step := answer, state := State} = Check <- Checks, State =:= ok orelse State =:= note] =/= [].

not_known(0, NotLookedAt, HasAnswer) -> nothing(NotLookedAt, HasAnswer);
not_known(Count, _NotLookedAt, _HasAnswer) -> ["no fault found, but ", caravan_check:count(Count, "node"), " could not be judged"].

nothing(0, false) -> "nothing to look at: name a query (--query NAME, the option query), or give the sys.config of the node";
nothing(0, true) -> "no node to look at: give --node NAME, or the vm.args of the node";
nothing(_Some, _HasAnswer) -> "nothing was examined for lack of time; --timeout MS gives more".

%% The cookie is the most frequent cause, so the report says if it was not compared.
uncompared(Checks) ->
    [", but the cookie was not compared" || [note] =:= [State || #{step := cookie, state := State} <- Checks]].

left(0) -> "";
left(Count) -> io_lib:format("; ~b not looked at for lack of time (--timeout MS)", [Count]).
