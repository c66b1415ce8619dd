%% @private
%% String functions for texts of the configuration, whose letters, blanks and separators are ASCII. They leave all other
%% characters unchanged. The functions of `string' would do, but they load `unicode_util', which would account for the
%% largest part of the time that Caravan adds to the boot of a VM.
-module(caravan_ascii).

-export([uppercase/1, trim/1, lexemes/2]).

-spec uppercase(string()) -> string().
uppercase(Text) ->
    [upper(Character) || Character <- Text].

upper(Letter) when Letter >= $a, Letter =< $z -> Letter - $a + $A;
upper(Character) -> Character.

%% Returns the text without leading and trailing white space.
-spec trim(string()) -> string().
trim(Text) ->
    lists:reverse(without_leading(lists:reverse(without_leading(Text)))).

without_leading(Text) ->
    lists:dropwhile(fun is_white_space/1, Text).

is_white_space(Character) ->
    Character =:= $\s orelse Character >= $\t andalso Character =< $\r.

%% Splits the text at the separators and drops empty parts.
-spec lexemes(string(), Separators :: [char()]) -> [string()].
lexemes(Text, Separators) ->
    IsSeparator = fun(Character) -> lists:member(Character, Separators) end,
    case lists:splitwith(fun(Character) -> not IsSeparator(Character) end, lists:dropwhile(IsSeparator, Text)) of
        {[], []} -> [];
        {Lexeme, Others} -> [Lexeme | lexemes(Others, Separators)]
    end.
