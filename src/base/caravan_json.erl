%% @private
%% Encodes terms as JSON (RFC 8259). OTP has an encoder of its own only since version 27.
-module(caravan_json).

-export([encode/1]).

-export_type([value/0]).

%% `null' is JSON's null; other atoms than `true' and `false' become strings. Binaries are strings. Octets that are not valid
%% UTF-8 are replaced by U+FFFD, since a name from the network may contain any octets.
-type value() :: null | boolean() | atom() | number() | binary() | [value()] | #{atom() | binary() => value()}.

%% Keys of an object are sorted by name, so that equal values have equal texts.
-spec encode(value()) -> iodata().
encode(Atom) when Atom =:= null; is_boolean(Atom) -> atom_to_binary(Atom);
encode(Atom) when is_atom(Atom) -> string(atom_to_binary(Atom));
encode(Integer) when is_integer(Integer) -> integer_to_binary(Integer);
encode(Float) when is_float(Float) -> io_lib:format("~p", [Float]);
encode(Text) when is_binary(Text) -> string(Text);
encode(Elements) when is_list(Elements) -> [$[, lists:join($,, [encode(Element) || Element <- Elements]), $]];
encode(#{} = Object) -> [${, lists:join($,, [member(Key, Value) || {Key, Value} <- sorted(Object)]), $}].

sorted(Object) ->
    lists:keysort(1, [{key(Key), Value} || {Key, Value} <- maps:to_list(Object)]).

key(Key) when is_atom(Key) -> atom_to_binary(Key);
key(Key) when is_binary(Key) -> Key.

member(Key, Value) ->
    [string(Key), $:, encode(Value)].

string(Text) ->
    [$", characters(Text), $"].

characters(<<Character/utf8, Others/binary>>) -> [character(Character) | characters(Others)];
characters(<<_NoText, Others/binary>>) -> ["\\ufffd" | characters(Others)];
characters(<<>>) -> [].

character($") -> "\\\"";
character($\\) -> "\\\\";
character(Control) when Control < $\s; Control =:= 16#7F -> io_lib:format("\\u~4.16.0b", [Control]);
character(Character) -> <<Character/utf8>>.
