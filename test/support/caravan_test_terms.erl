%% @doc Random terms, and options with random values, from the state of `rand' in the calling process: the same ones for the
%% same seed. No atom is made.
-module(caravan_test_terms).

-export([term/0, options/1, one_of/1]).

%% @doc Any term, most of them small.
-spec term() -> term().
term() -> term(3).

term(0) ->
    leaf(rand:uniform(12));
term(Depth) ->
    case rand:uniform(8) of
        1 -> [term(Depth - 1) || _ <- lists:seq(1, rand:uniform(4))];
        2 -> list_to_tuple([term(Depth - 1) || _ <- lists:seq(1, rand:uniform(4))]);
        3 -> maps:from_list([{term(Depth - 1), term(Depth - 1)} || _ <- lists:seq(1, rand:uniform(3))]);
        4 -> [term(Depth - 1) | term(0)];
        _ -> term(0)
    end.

leaf(1) -> one_of([0, 1, -1, 4370, 65535, 65536, 1 bsl 31, 1 bsl 64, -(1 bsl 63)]);
leaf(2) -> rand:uniform(100000);
leaf(3) -> one_of([0.0, 0.34, 1.0, 1.0e300, -0.5]);
leaf(4) -> one_of([default, system, true, false, none, nil, undefined, ignore, all, srv, a, udp, '', 'app@host', ok, error]);
leaf(5) -> text();
leaf(6) -> list_to_binary(text());
leaf(7) -> one_of([<<1:3>>, <<255, 0, 255>>, binary:copy(<<"a">>, 70000), <<"app.test">>, <<"{basename}@{target}">>]);
leaf(8) -> one_of([[], {}, #{}, <<>>, "", [[]], [a | b], [-1], [1114112], [$a, [$b | <<"c">>]]]);
leaf(9) -> self();
leaf(10) -> make_ref();
leaf(11) -> one_of([fun erlang:self/0, fun(X) -> X end]);
leaf(12) -> one_of([{127, 0, 0, 1}, {0, 0, 0, 0, 0, 0, 0, 1}, {erlang, nodes, []}, {fraction, 0.5}, {m, f, a}]).

text() -> [one_of("aZ09-_.@{}:%[] \\\303\0") || _ <- lists:seq(1, rand:uniform(12))].

%% @doc Some of these options, most of them with one of their values, as a map or a list; or another term. A list may have one
%% twice.
-spec options([{Key :: atom(), Values :: [term(), ...]}]) -> term().
options(Known) ->
    Some = [{Key, value(Values)} || {Key, Values} <- Known, rand:uniform(3) =:= 1],
    case rand:uniform(20) of
        1 -> term();
        2 -> [{term(), term()} | Some];
        3 -> maps:from_list([{term(), term()} | Some]);
        4 -> Some ++ Some;
        5 -> [term() | Some];
        N when N < 12 -> Some;
        _ -> maps:from_list(Some)
    end.

value(Values) ->
    case rand:uniform(6) of
        1 -> term();
        _ -> one_of(Values)
    end.

-spec one_of([Element, ...]) -> Element.
one_of(List) -> lists:nth(rand:uniform(length(List)), List).
