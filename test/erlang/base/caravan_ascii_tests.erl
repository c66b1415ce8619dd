-module(caravan_ascii_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_ascii, [uppercase/1, trim/1, lexemes/2]).

%% For ASCII texts each function agrees with that of `string'.
-define(TEXTS, [
    "", " ", "a", " a", "a ", " \t\r\n\v\fa b\f\v\n\r\t ", ",", ", ,", ",a", "a,", "a, b,,c", "1024-65535", " 1024 - 65535 ", "env:Name",
    "port_range", "[::1]:8600, 10.0.0.1", "AbZz@[`{"
]).

of_ascii_each_says_what_string_says_test() ->
    [?assertEqual({Text, string:uppercase(Text)}, {Text, uppercase(Text)}) || Text <- [lists:seq(0, 127) | ?TEXTS]],
    [?assertEqual({Text, string:trim(Text)}, {Text, trim(Text)}) || Text <- ?TEXTS ++ [[Code, $a, Code] || Code <- lists:seq(0, 127)]],
    [
        ?assertEqual({Text, string:lexemes(Text, Separators)}, {Text, lexemes(Text, Separators)})
     || Text <- ?TEXTS, Separators <- [", ", "-, "]
    ].

other_characters_stay_as_they_are_test() ->
    [
        begin
            ?assertEqual(Text, uppercase(Text)),
            ?assertEqual(Text, trim(" " ++ Text ++ "\n")),
            ?assertEqual([Text, Text], lexemes(Text ++ ", " ++ Text, ", "))
        end
     || Text <- ["ü", "ß", "名", [16#10FFFF], [$E, 16#301], [255], [16#DCFF]]
    ].
