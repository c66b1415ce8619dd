%% @private
%% Templates of node names, such as `{basename}-{port}@{target}', and what they become for a record.
-module(caravan_template).

-export([parse/1, uses/2, render/2]).

-export_type([template/0, bindings/0]).

-type placeholder() :: basename | port | target | ip.
-type template() :: [binary() | placeholder(), ...].
-type bindings() :: #{placeholder() => binary()}.

%% Braces stand around placeholders only, and exactly one `@' stands between the halves of a node name.
-spec parse(binary()) -> {ok, template()} | error.
parse(Text) ->
    case pieces(binary:split(Text, <<"{">>)) of
        error -> error;
        Template -> with_one_at(Template)
    end.

pieces([Literal]) ->
    literal(Literal, []);
pieces([Literal, Rest]) ->
    case binary:split(Rest, <<"}">>) of
        [Name, After] -> placeholder(placeholder(Name), Literal, pieces(binary:split(After, <<"{">>)));
        [_Unclosed] -> error
    end.

placeholder(error, _Literal, _After) -> error;
placeholder(_Placeholder, _Literal, error) -> error;
placeholder(Placeholder, Literal, After) -> literal(Literal, [Placeholder | After]).

placeholder(<<"basename">>) -> basename;
placeholder(<<"port">>) -> port;
placeholder(<<"target">>) -> target;
placeholder(<<"ip">>) -> ip;
placeholder(_) -> error.

literal(<<>>, After) ->
    After;
literal(Literal, After) ->
    case binary:match(Literal, <<"}">>) of
        nomatch -> [Literal | After];
        _ -> error
    end.

with_one_at(Template) ->
    Literals = << <<Piece/binary>> || Piece <- Template, is_binary(Piece) >>,
    case binary:matches(Literals, <<"@">>) of
        [_] -> {ok, Template};
        _ -> error
    end.

-spec uses(placeholder(), template()) -> boolean().
uses(Placeholder, Template) ->
    lists:member(Placeholder, Template).

%% Every placeholder of the template is bound.
-spec render(template(), bindings()) -> binary().
render(Template, Bindings) ->
    << <<(piece(Piece, Bindings))/binary>> || Piece <- Template >>.

piece(Literal, _Bindings) when is_binary(Literal) -> Literal;
piece(Placeholder, Bindings) -> maps:get(Placeholder, Bindings).
