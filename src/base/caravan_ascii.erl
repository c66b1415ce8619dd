%% @private
%% Texts of the configuration, whose letters, blanks and separators are ASCII. Other characters stay as they are. The
%% functions of `string' load `unicode_util', the largest part of what a VM's boot would take longer.
-module(caravan_ascii).

-export([uppercase/1, trim/1, lexemes/2]).

-spec uppercase(string()) -> string().
uppercase(Text) ->
    [upper(Character) || Character <- Text].

upper(Letter) when Letter >= $a, Letter =< $z -> Letter - $a + $A;
upper(Character) -> Character.

%% Without the white space at both ends.
-spec trim(string()) -> string().
trim(Text) ->
    lists:reverse(without_leading(lists:reverse(without_leading(Text)))).

without_leading(Text) ->
    lists:dropwhile(fun is_white_space/1, Text).

is_white_space(Character) ->
    Character =:= $\s orelse Character >= $\t andalso Character =< $\r.

%% What stands between the separators, without what is empty.
-spec lexemes(string(), Separators :: [char()]) -> [string()].
lexemes(Text, Separators) ->
    IsSeparator = fun(Character) -> lists:member(Character, Separators) end,
    case lists:splitwith(fun(Character) -> not IsSeparator(Character) end, lists:dropwhile(IsSeparator, Text)) of
        {[], []} -> [];
        {Lexeme, Others} -> [Lexeme | lexemes(Others, Separators)]
    end.
