-module(caravan_exception_tests).

-include_lib("eunit/include/eunit.hrl").

-export([message/1]).

%% A function that the module of an exception exports.
message(#{text := Text}) -> Text.

words_test_() ->
    [?_assertEqual(Expected, unicode:characters_to_list(caravan_exception:format(What)))
     || {Expected, What} <- [
            {"undef: there is no function m:f/1", {error, {undef, {m, f, 1}}}},
            {"error badarg", {error, badarg}},
            {"exit {shutdown,a}", {exit, {shutdown, a}}},
            {"throw \"text\"", {throw, "text"}},
            {"anything", anything},
            {"caravan_exception_tests: two lines", {error, exception(<<"two\nlines">>)}},
            {"caravan_exception_tests: " ++ lists:flatten(io_lib:format("~0tp", [exception(none)])), {error, exception(none)}}
        ]].

an_exception_of_elixir_has_its_name_test() ->
    Exception = #{'__exception__' => true, '__struct__' => 'Elixir.There.Is.None'},
    ?assertMatch("There.Is.None: #{" ++ _, unicode:characters_to_list(caravan_exception:format({error, Exception}))).

exception(Text) ->
    #{'__exception__' => true, '__struct__' => ?MODULE, text => Text}.
