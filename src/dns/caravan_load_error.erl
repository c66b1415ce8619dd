%% @private
%% Why the library does not load, in words, by what the loader of the system says.
-module(caravan_load_error).

-export([format/1]).

%% Returns one line that names the file, the reason and what to do.
-spec format(caravan_nif:load_error()) -> string().
format({File, {Kind, Text}}) ->
    Explanation = explain(Kind, lists:flatten(Text), exists(File)),
    lists:flatten(io_lib:format("caravan: cannot load ~ts: ~ts", [File, Explanation])).

%% The file server may not run yet: see caravan_nif.
exists(File) ->
    element(1, prim_file:read_file_info(File)) =:= ok.

explain(bad_file, Text, _Exists) ->
    Text ++ "; " ++ compile_again();
explain(load_failed, _Text, false) ->
    "there is no such file; " ++ compile_again() ++ ", or set CARAVAN_NIF_DIR to its directory";
explain(load_failed, Text, true) ->
    Text ++ "; " ++ advice(Text, loader_advice());
%% 1: kOtherAbi in c_src/nif/nif.cpp.
explain(load, "Library load-call unsuccessful (1)" ++ _ = Text, _Exists) ->
    of_another_version(Text);
explain(bad_lib, Text, _Exists) ->
    of_another_version(Text);
explain(_Kind, Text, _Exists) ->
    Text.

advice(_Text, []) ->
    compile_again();
advice(Text, [{Pattern, Advice} | Rest]) ->
    case re:run(Text, Pattern, [{capture, none}]) of
        match -> Advice;
        nomatch -> advice(Text, Rest)
    end.

%% What to do, by the words of the loaders of glibc, of musl and of macOS. The first pattern that matches counts: the versions of
%% libstdc++ begin as those of glibc do.
loader_advice() ->
    Cares = "(Debian 13: libcares2, Debian 12: libc-ares2, Alpine and Fedora: c-ares, macOS: brew install c-ares)",
    Static = "or build caravan with CARAVAN_CARES=static in the environment, which makes c-ares a part of the library",
    Runtime = "(Debian: libstdc++6, Alpine: libstdc++ and libgcc, Fedora: libstdc++)",
    [
        {"libcares", ["install c-ares ", Cares, ", ", Static]},
        {"symbol.*[ '_]ares_|ares_[a-z0-9_]+: symbol not found",
            ["the c-ares of this machine is older than the one that the library was built with: update c-ares ", Cares, ", ", Static]},
        {"symbol.*[ '_]enif_|enif_[a-z0-9_]+: symbol not found",
            ["the library was built for a later Erlang/OTP: ", compile_again(), " with the OTP that runs"]},
        {"libstdc\\+\\+|libgcc_s|GLIBCXX_|CXXABI_",
            ["install or update the C++ runtime ", Runtime, ", ", Static, ", and the C++ runtime too"]},
        {"GLIBC_", ["the C library of this machine is older than that of the machine that built caravan: build it on a system as old as this one"]},
        {"libc\\.musl|libc\\.so|libm\\.so|ld-linux|ld-musl",
            ["the library was built for another C library (glibc or musl): build it on the system that runs it"]}
    ].

of_another_version(Text) ->
    Text ++ " It was built from another version of caravan; " ++ compile_again().

compile_again() ->
    "compile the dependency again (mix deps.compile caravan --force, rebar3 compile)".
