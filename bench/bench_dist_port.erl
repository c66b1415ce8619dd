%% What dist_port/1 costs, as ratios within one run: to an empty NIF call, and to the rule of Caravan 1.0, which is two
%% regular expressions.
-module(bench_dist_port).

-export([main/1, noop/1]).

-define(ROUNDS, 15).
-define(CALLS, 200000).
-define(REGEX_CALLS, 2000).

%% The arguments are the library with the empty NIF, without its suffix, and whether to print a "table" or "rows".
-spec main([string()]) -> no_return().
main([Library, Form]) ->
    ok = erlang:load_nif(Library, 0),
    ok = caravan_nif:load(),
    Rules = rules(),
    lists:foreach(fun({Name, Expected}) -> Expected = caravan_nif:dist_port(Name), Expected = regex_port(Name, Rules) end, [
        {'app-4834@host', 4834}, {'app@host', 4370}
    ]),
    Name = 'app-name-4834@n12.node.dc1.consul',
    %% Interleaved, and the least of many rounds: what another program on the machine takes is not ours.
    Rounds = [round(Name, Rules) || _ <- lists:seq(1, ?ROUNDS)],
    ok = show(Form, [lists:min(Times) || Times <- transpose(Rounds)]),
    halt().

show("table", [Noop, Atom, Binary, Charlist, Regex]) ->
    io:format("~-34s ~10s ~10s ~10s~n", ["", "ns/call", "x empty", "x faster"]),
    lists:foreach(fun({Label, Time}) -> row(Label, Time, Noop, Regex) end, [
        {"empty NIF", Noop},
        {"caravan_nif:dist_port(atom)", Atom},
        {"caravan_nif:dist_port(binary)", Binary},
        {"caravan_nif:dist_port(charlist)", Charlist},
        {"Caravan 1.0's rule (atom)", Regex}
    ]);
show("rows", [Noop, Atom, _Binary, _Charlist, Regex]) ->
    bench_report:print([report("an empty NIF", Atom, Noop), report("Caravan 1.0's rule", Atom, Regex)]).

report(Rival, Time, RivalTime) ->
    #{
        subject => "port of a name (atom)", unit => "ns", value => Time,
        rival => Rival, rival_value => RivalTime, ratio => Time / RivalTime, aim => none
    }.

row(Label, Time, Noop, Regex) ->
    io:format("~-34s ~10.1f ~10.2f ~10.1f~n", [Label, Time, Time / Noop, Regex / Time]).

round(Name, Rules) ->
    Binary = atom_to_binary(Name),
    Charlist = atom_to_list(Name),
    [
        time(fun(N) -> noop_loop(N, Name) end, ?CALLS),
        time(fun(N) -> port_loop(N, Name) end, ?CALLS),
        time(fun(N) -> port_loop(N, Binary) end, ?CALLS),
        time(fun(N) -> port_loop(N, Charlist) end, ?CALLS),
        time(fun(N) -> regex_loop(N, Name, Rules) end, ?REGEX_CALLS)
    ].

time(Loop, Calls) ->
    Start = erlang:monotonic_time(nanosecond),
    ok = Loop(Calls),
    (erlang:monotonic_time(nanosecond) - Start) / Calls.

noop_loop(0, _) -> ok;
noop_loop(N, Name) -> _ = ?MODULE:noop(Name), noop_loop(N - 1, Name).

port_loop(0, _) -> ok;
port_loop(N, Name) -> _ = caravan_nif:dist_port(Name), port_loop(N - 1, Name).

regex_loop(0, _, _) -> ok;
regex_loop(N, Name, Rules) -> _ = regex_port(Name, Rules), regex_loop(N - 1, Name, Rules).

rules() ->
    {ok, AtSign} = re:compile("@.*$"),
    {ok, Digits} = re:compile("[0-9]+$"),
    {AtSign, Digits}.

regex_port(Name, {AtSign, Digits}) ->
    Head = iolist_to_binary(re:replace(atom_to_binary(Name), AtSign, "")),
    case re:run(Head, Digits, [{capture, first, binary}]) of
        {match, [Port]} -> binary_to_integer(Port);
        nomatch -> 4370
    end.

transpose([[] | _]) -> [];
transpose(Rows) -> [[hd(Row) || Row <- Rows] | transpose([tl(Row) || Row <- Rows])].

%% Replaced by the empty NIF.
-spec noop(Term) -> Term.
noop(_Term) -> erlang:nif_error(not_loaded).
