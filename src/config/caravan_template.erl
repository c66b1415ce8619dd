%% @private
%% Texts with placeholders in braces, such as `{basename}-{port}@{target}'.
-module(caravan_template).

-export([parse/2, literals/1, text/1, uses/2, render/2]).

-export_type([template/0, placeholder/0, bindings/0]).

-type placeholder() :: atom().
-type template() :: [binary() | placeholder(), ...].
-type bindings() :: #{placeholder() => binary()}.

%% Parses a text. Returns `error' if a brace does not belong to one of the given placeholders.
-spec parse(binary(), [placeholder()]) -> {ok, template()} | error.
parse(Text, Placeholders) ->
    case pieces(binary:split(Text, <<"{">>), Placeholders) of
        error -> error;
        Template -> {ok, Template}
    end.

pieces([Literal], _Placeholders) ->
    literal(Literal, []);
pieces([Literal, Rest], Placeholders) ->
    case binary:split(Rest, <<"}">>) of
        [Name, After] ->
            Known = [Placeholder || Placeholder <- Placeholders, atom_to_binary(Placeholder) =:= Name],
            placeholder(Known, Literal, pieces(binary:split(After, <<"{">>), Placeholders));
        [_Unclosed] ->
            error
    end.

placeholder([], _Literal, _After) -> error;
placeholder(_Known, _Literal, error) -> error;
placeholder([Placeholder], Literal, After) -> literal(Literal, [Placeholder | After]).

literal(<<>>, After) ->
    After;
literal(Literal, After) ->
    case binary:match(Literal, <<"}">>) of
        nomatch -> [Literal | After];
        _ -> error
    end.

%% Returns the text without its placeholders.
-spec literals(template()) -> binary().
literals(Template) ->
    << <<Piece/binary>> || Piece <- Template, is_binary(Piece) >>.

%% Returns the text that parse/2 was given.
-spec text(template()) -> binary().
text(Template) ->
    << <<(text_of(Piece))/binary>> || Piece <- Template >>.

text_of(Literal) when is_binary(Literal) -> Literal;
text_of(Placeholder) -> <<"{", (atom_to_binary(Placeholder))/binary, "}">>.

-spec uses(placeholder(), template()) -> boolean().
uses(Placeholder, Template) ->
    lists:member(Placeholder, Template).

%% Replaces the placeholders by their bindings. `Bindings' must have all placeholders of the template.
-spec render(template(), bindings()) -> binary().
render(Template, Bindings) ->
    << <<(piece(Piece, Bindings))/binary>> || Piece <- Template >>.

piece(Literal, _Bindings) when is_binary(Literal) -> Literal;
piece(Placeholder, Bindings) -> maps:get(Placeholder, Bindings).
