%% @doc Copies of Caravan as in a user's code path, with or without the library.
-module(caravan_test_installation).

-export([copy/2, library/0]).

%% @doc Copies the compiled modules to `Directory/ebin' and makes `Directory/priv' hold the given library.
%% Returns the directory of the modules.
-spec copy(file:filename(), Library :: binary() | none) -> Ebin :: file:filename().
copy(Directory, Library) ->
    Ebin = filename:join(Directory, "ebin"),
    From = filename:dirname(code:where_is_file("caravan_nif.beam")),
    Files = filelib:wildcard(filename:join(From, "*.{beam,app}")),
    lists:foreach(fun(File) -> copy_file(File, filename:join(Ebin, filename:basename(File))) end, Files),
    ok = put_library(filename:join([Directory, "priv", "caravan_nif.so"]), Library),
    Ebin.

copy_file(From, To) ->
    {ok, Content} = file:read_file(From),
    caravan_test_directory:write(To, Content).

put_library(_File, none) ->
    ok;
put_library(File, Library) ->
    File = caravan_test_directory:write(File, Library),
    ok.

%% @doc Returns the library of this tree.
-spec library() -> binary().
library() ->
    {ok, Library} = file:read_file(filename:join(code:priv_dir(caravan), "caravan_nif.so")),
    Library.
