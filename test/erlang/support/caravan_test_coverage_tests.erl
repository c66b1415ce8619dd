%% What the step `coverage' counts, and when it fails.
-module(caravan_test_coverage_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_coverage, [ranges/1, read_gcov/1, report/3]).

ranges_test() ->
    ?assertEqual(["", "3", "1-2", "1, 3-5, 9"], [ranges(Numbers) || Numbers <- [[], [3], [1, 2], [1, 3, 4, 5, 9]]]).

%% A line of a template also occurs once for each instance.
gcov_test() ->
    Text =
        <<"        -:    0:Source:c_src/core/a.hpp\n"
          "        -:    1:// text: with colons\n"
          "       2*:    2:first();\n"
          "    #####:    3:second();\n"
          "    =====:    4:third();\n"
          "        1:    5:fourth();\n"
          "------------------\n"
          "f<int>:\n"
          "    #####:    5:fourth();\n"
          "------------------\n">>,
    ?assertEqual({"c_src/core/a.hpp", #{2 => true, 3 => false, 4 => false, 5 => true}}, read_gcov(Text)).

less_than_the_least_is_bad_and_named_test() ->
    {Text, Good} = report("src", #{"a" => lines(94, 6), "b" => lines(100, 0)}, []),
    ?assertNot(is_named("b", Text)),
    ?assert(is_named("94.0 %  a, not: 95-100", Text)),
    ?assert(Good),
    ?assertMatch({_, false}, report("src", #{"a" => lines(94, 6)}, [])),
    ?assertMatch({_, true}, report("src", #{"a" => lines(95, 5)}, [])),
    ?assertMatch({_, false}, report("src", #{}, [])).

excluded_lines_do_not_count_test() ->
    Excluded = [{{"a", "text", "reason"}, [{"a", Line} || Line <- lists:seq(95, 100)]}],
    ?assertMatch({_, true}, report("src", #{"a" => lines(94, 6)}, Excluded)),
    ?assertMatch({_, false}, report("src", #{"b" => lines(94, 6)}, Excluded)).

an_exclusion_of_no_line_and_too_many_are_bad_test() ->
    ?assertMatch({_, false}, report("src", #{"a" => lines(10, 0)}, [{{"a", "text", "reason"}, []}])),
    Of = fun(Count) -> [{{"a", "text", "reason"}, [{"a", Line} || Line <- lists:seq(101, 100 + Count)]}] end,
    ?assertMatch({_, true}, report("src", #{"a" => lines(100, 40)}, Of(40))),
    ?assertMatch({_, false}, report("src", #{"a" => lines(100, 41)}, Of(41))).

lines(Ran, NotRan) ->
    maps:from_list([{Line, Line =< Ran} || Line <- lists:seq(1, Ran + NotRan)]).

is_named(Expected, Text) ->
    string:find(Text, Expected) =/= nomatch.

%% Each line at which an expression of a body begins, in any construct.
lines_that_have_run_test() ->
    Source = [
        "-module(noted).", "-export([f/1]).",
        "f(X) ->", " case X of", "  1 -> one;", "  2 -> try", "    throw(x)", "   catch", "    x -> two", "   after", "    ok", "   end;",
        "  3 -> [", "    Y * 2", "   || Y <- [1]];", "  4 -> receive", "    x -> y", "   after 0 -> four", "   end;",
        "  5 -> (fun() ->", "    five", "   end)()", " end."
    ],
    ?assertEqual([one, two, [2], four, five], ran(Source, [1, 2, 3, 4, 5])),
    ?assertEqual([4, 5, 6, 7, 9, 11, 13, 14, 16, 17, 18, 20, 21], proplists:get_value(caravan_lines, noted:module_info(attributes))),
    ?assertEqual([4, 5, 6, 7, 9, 11, 13, 14, 16, 18, 20, 21], noted()),
    ?assertEqual([two], ran(Source, [2])),
    ?assertEqual([4, 6, 7, 9, 11], noted()),
    true = persistent_term:erase({caravan_test_lines, noted}).

noted() ->
    Counters = persistent_term:get({caravan_test_lines, noted}),
    [Line || Line <- lists:seq(1, maps:get(size, counters:info(Counters))), counters:get(Counters, Line) > 0].

ran(Source, Arguments) ->
    _ = persistent_term:erase({caravan_test_lines, noted}),
    {ok, Tokens, _} = erl_scan:string(lists:flatten(lists:join("\n", Source))),
    {ok, noted, Binary} = compile:forms(caravan_test_lines:parse_transform(forms(Tokens, []), []), [nowarn_unused_record]),
    {module, noted} = code:load_binary(noted, "noted", Binary),
    Results = [noted:f(Argument) || Argument <- Arguments],
    _ = code:purge(noted),
    Results.

forms([], []) ->
    [{eof, 23}];
forms([{dot, _} = Dot | Tokens], Form) ->
    {ok, Parsed} = erl_parse:parse_form(lists:reverse([Dot | Form])),
    [Parsed | forms(Tokens, [])];
forms([Token | Tokens], Form) ->
    forms(Tokens, [Token | Form]).
