%% @doc Temporary directories.
-module(caravan_test_directory).

-export([with/1, write/2]).

%% @doc Calls a function with a new directory, and removes it afterwards.
-spec with(fun((file:filename()) -> Result)) -> Result.
with(Fun) ->
    Directory = string:trim(os:cmd("mktemp -d")),
    true = filelib:is_dir(Directory),
    try
        Fun(Directory)
    after
        ok = file:del_dir_r(Directory)
    end.

%% @doc Writes a file, and the directories above it. Returns its name.
-spec write(file:filename(), iodata()) -> file:filename().
write(File, Content) ->
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, Content),
    File.
