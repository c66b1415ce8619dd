%% @private
%% Describes in words what a user's function raised.
-module(caravan_exception).

-export([format/1]).

%% Returns text that continues "raised ". An exception of Elixir is described by its own message.
-spec format({error | exit | throw, term()} | term()) -> iodata().
format({error, {undef, {Module, Function, Arity}}}) ->
    io_lib:format("undef: there is no function ~tp:~tp/~tp", [Module, Function, Arity]);
format({error, #{'__exception__' := true, '__struct__' := Module} = Exception}) ->
    io_lib:format("~ts: ~ts", [name(atom_to_list(Module)), message(Module, Exception)]);
format({Class, Reason}) when Class =:= error; Class =:= exit; Class =:= throw ->
    io_lib:format("~ts ~0tp", [Class, Reason]);
format(Other) ->
    io_lib:format("~0tp", [Other]).

name("Elixir." ++ Name) -> Name;
name(Name) -> Name.

message(Module, Exception) ->
    try
        Message = Module:message(Exception),
        true = is_binary(Message),
        %% A log entry is one line.
        binary:replace(Message, <<"\n">>, <<" ">>, [global])
    catch
        _:_ -> io_lib:format("~0tp", [Exception])
    end.
