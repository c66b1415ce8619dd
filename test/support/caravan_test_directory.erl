%% @doc Temporary directories, and the files of this repository.
-module(caravan_test_directory).

-export([with/1, write/2, in_repository/1]).

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

%% @doc Returns the path of a file of this repository.
-spec in_repository(file:filename()) -> file:filename().
in_repository(File) ->
    Build = filename:dirname(filename:dirname(code:where_is_file("caravan_epmd.beam"))),
    find_upwards(filename:absname(Build), File).

find_upwards("/", File) ->
    error({not_in_this_repository, File});
find_upwards(Directory, File) ->
    case filelib:is_file(filename:join(Directory, "scripts/steps")) of
        true -> filename:join(Directory, File);
        false -> find_upwards(filename:dirname(Directory), File)
    end.
