%% How the library is found and loaded while a node boots, and what is printed if it cannot be.
-module(caravan_nif_loading_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_directory, [write/2]).
-import(caravan_test_installation, [copy/2, library/0]).
-import(caravan_test_network, [boot/2, boot/3, free_port/0, node_name/3, start/3]).
-import(caravan_test_node, [await_boot/1, await_boot/2, call/4, listening_ports/1, stop/1]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

%% Location

beside_the_modules_of_a_directory_of_any_name_test_() ->
    [?NODES(in_installation(Name, library(), fun(Ebin) -> node_works(#{code_path => [Ebin]}) end))
     || Name <- ["caravan", "caravan-9.9", "checkout", "with a space", "узел"]].

from_a_relative_code_path_test_() ->
    [?NODES(in_installation(Name, library(), fun(Ebin) ->
        Directory = filename:dirname(filename:dirname(Ebin)),
        node_works(#{code_path => [filename:join(Name, "ebin")], cd => Directory})
     end))
     || Name <- ["caravan", "checkout"]].

from_erl_libs_test_() ->
    ?NODES(in_installation("caravan-9.9", library(), fun(Ebin) ->
        Directory = filename:dirname(filename:dirname(Ebin)),
        node_works(#{code_path => [], env => [{"ERL_LIBS", Directory}]})
    end)).

from_where_the_environment_says_test_() ->
    [?NODES(in_installation(Name, none, fun(Ebin) ->
        node_works(#{code_path => [Ebin], env => [{"CARAVAN_NIF_DIR", code:priv_dir(caravan)}]})
     end))
     || Name <- ["caravan", "checkout"]].

%% Modes of the code server

interactive_and_restarted_test_() ->
    ?NODES(works_before_and_after_restart(#{}, [])).

embedded_and_restarted_test_() ->
    ?NODES(with_release(library(), fun(Boot) ->
        works_before_and_after_restart(#{code_path => []}, ["-boot", Boot, "-mode", "embedded"])
    end)).

%% Releases boot their helper nodes like this.
release_boot_in_interactive_mode_test_() ->
    ?NODES(with_release(library(), fun(Boot) ->
        works_before_and_after_restart(#{code_path => []}, ["-boot", Boot, "-mode", "interactive"])
    end)).

%% Messages

a_library_that_does_not_load_stops_the_boot_with_one_line_test_() ->
    [{Title ++ ", " ++ Mode, ?NODES(OneLine(Library, Reason))}
     || {Title, Library, Reason} <- broken_libraries(),
        {Mode, OneLine} <- [{"interactive", fun one_line_interactive/2},
                            {"embedded", fun one_line_embedded/2}]].

broken_libraries() ->
    [{"missing", fun() -> none end, {load_failed, ""}},
     {"empty", fun() -> <<>> end, {bad_file, "the file is empty"}},
     {"no library at all", fun() -> <<"nonsense">> end, {bad_file, "it is no shared library"}},
     {"zeros", fun() -> <<0:80000>> end, {bad_file, "it is no shared library"}},
     {"truncated in its header", fun() -> binary:part(library(), 0, 20) end, {bad_file, "the file is truncated: it has 20 bytes"}},
     {"truncated in its code", fun half_a_library/0, {bad_file, "the file is truncated: it has "}},
     {"for another machine", fun library_of_another_machine/0, {bad_file, "it is a library for "}},
     {"with a symbol that c-ares lacks", fun() -> with_symbol(<<"ares_destroy">>, <<"ares_deztroy">>) end,
      {load_failed, "undefined symbol: ares_deztroy"}},
     {"with a symbol that the VM lacks", fun() -> with_symbol(<<"enif_make_uint">>, <<"enif_make_uinz">>) end,
      {load_failed, "undefined symbol: enif_make_uinz"}},
     {"without c-ares", fun library_without_cares/0, {load_failed, "libcares.so"}},
     {"of another module", fun crypto_library/0, {bad_lib, "crypto"}}].

half_a_library() ->
    Library = library(),
    binary:part(Library, 0, byte_size(Library) div 2).

%% AArch64, or x86-64 where the tests run on that.
library_of_another_machine() ->
    <<Ident:18/binary, Machine:16/little, Rest/binary>> = library(),
    Other =
        case Machine of
            183 -> 62;
            _ -> 183
        end,
    <<Ident/binary, Other:16/little, Rest/binary>>.

with_symbol(Symbol, Another) ->
    Library = library(),
    Changed = binary:replace(Library, <<0, Symbol/binary, 0>>, <<0, Another/binary, 0>>),
    ?assertNotEqual(Library, Changed),
    Changed.

a_relative_directory_is_absolute_in_the_line_test_() ->
    ?NODES(in_installation("checkout", none, fun(Ebin) ->
        Directory = filename:dirname(Ebin),
        File = write(filename:join([Directory, "elsewhere", "caravan_nif.so"]), "nonsense"),
        Options = #{code_path => ["ebin"], cd => Directory, env => [{"CARAVAN_NIF_DIR", "elsewhere"}]},
        expect_line(Options, [], File, {bad_file, "it is no shared library"})
    end)).

%% The file contains the names of the libraries that the loader must find.
library_without_cares() ->
    Library = library(),
    Changed = binary:replace(Library, <<"libcares.so.2">>, <<"libcares.so.Z">>),
    ?assertNotEqual(Library, Changed),
    Changed.

crypto_library() ->
    {ok, Library} = file:read_file(filename:join([code:priv_dir(crypto), "lib", "crypto.so"])),
    Library.

a_library_of_another_version_stops_the_boot_with_one_line_test_() ->
    ?NODES(in_installation("caravan-x", library(), fun(Ebin) ->
        ok = compile_with_another_abi(Ebin),
        %% 1: kOtherAbi in c_src/nif/nif.cpp.
        Reason = {load, "Library load-call unsuccessful (1)"},
        expect_line(#{code_path => [Ebin]}, [], library_file(Ebin), Reason)
    end)).

a_directory_is_no_library_test() ->
    caravan_test_directory:with(fun(Directory) ->
        Priv = filename:dirname(write(filename:join([Directory, "caravan_nif.so", "file"]), "")),
        ?assertMatch({match, _}, re:run(line_of_another_vm(Directory), ["\\A\\Qcaravan: cannot load ", Priv, ": it is no regular file but a directory; "]))
    end).

%% The modules lie alone, so that the library of the environment counts.
line_of_another_vm(Directory) ->
    [{ok, _} = file:copy(code:where_is_file(Beam), filename:join(Directory, Beam)) || Beam <- ["caravan_nif.beam", "caravan_load_error.beam"]],
    Command = ["cd ", Directory, " && CARAVAN_NIF_DIR=", Directory, " erl -noshell -pa . -eval '{error, Error} = caravan_nif:load(),"
        " io:put_chars(caravan_load_error:format(Error)), halt().'"],
    os:cmd(lists:flatten(Command)).

%% The words of the loaders, of glibc, of musl and of macOS, and how the advice begins.
each_text_of_a_loader_has_its_advice_test_() ->
    Texts = [
        {"libcares.so.2: cannot open shared object file: No such file or directory", "install c-ares (Debian 13: libcares2, Debian 12: libc-ares2, "},
        {"Error loading shared library libcares.so.2: No such file or directory (needed by F)", "install c-ares (Debian 13: libcares2, Debian 12: libc-ares2, "},
        {"Library not loaded: /opt/homebrew/opt/c-ares/lib/libcares.2.dylib", "install c-ares (Debian 13: libcares2, Debian 12: libc-ares2, "},
        {"F: undefined symbol: ares_query_dnsrec", "the c-ares of this machine is older"},
        {"Error relocating F: ares_query_dnsrec: symbol not found", "the c-ares of this machine is older"},
        {"symbol not found in flat namespace '_ares_query_dnsrec'", "the c-ares of this machine is older"},
        {"F: undefined symbol: enif_set_option", "the library was built for a later Erlang/OTP"},
        {"Error relocating F: enif_set_option: symbol not found", "the library was built for a later Erlang/OTP"},
        {"symbol not found in flat namespace '_enif_set_option'", "the library was built for a later Erlang/OTP"},
        {"libstdc++.so.6: cannot open shared object file: No such file or directory", "install or update the C++ runtime (Debian: libstdc++6, "},
        {"version `GLIBCXX_3.4.32' not found (required by F)", "install or update the C++ runtime (Debian: libstdc++6, "},
        {"Error loading shared library libgcc_s.so.1: No such file or directory", "install or update the C++ runtime (Debian: libstdc++6, "},
        {"/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by F)", "the C library of this machine is older"},
        {"libc.musl-x86_64.so.1: cannot open shared object file: No such file or directory", "the library was built for another C library"},
        {"Error loading shared library ld-linux-x86-64.so.2: No such file or directory", "the library was built for another C library"},
        {"F: undefined symbol: another_one", "compile the dependency again"},
        {"Exec format error", "compile the dependency again"}
    ],
    File = filename:join(code:priv_dir(caravan), "caravan_nif.so"),
    [{Text, ?_assertEqual(lists:concat(["caravan: cannot load ", File, ": ", Text, "; ", Advice]), beginning(File, Text, Advice))}
     || {Text, Advice} <- Texts].

beginning(File, Text, Advice) ->
    Line = caravan_load_error:format({File, {load_failed, Text}}),
    ?assertEqual(nomatch, string:find(Line, "\n")),
    lists:sublist(Line, length(lists:concat(["caravan: cannot load ", File, ": ", Text, "; ", Advice]))).

a_library_without_cares_says_both_ways_out_test() ->
    Line = caravan_load_error:format({library_file(filename:join(code:lib_dir(caravan), "ebin")), {load_failed, "no libcares.so.2"}}),
    ?assertMatch({match, _}, re:run(Line, "; install c-ares \\(Debian 13: libcares2, Debian 12: libc-ares2, Alpine and Fedora: c-ares, macOS: brew install c-ares\\)")),
    ?assertMatch({match, _}, re:run(Line, ", or build caravan with CARAVAN_CARES=static")).

%% Symbols

versions_are_of_the_library_that_runs_and_of_its_headers_test() ->
    ok = caravan_nif:load(),
    #{c_ares := #{version := Version, built_against := Headers, linked := Linked}} = caravan_nif:versions(),
    ?assertMatch({match, _}, re:run(Version, "^1\\.[0-9]+\\.[0-9]+$")),
    ?assertEqual(string:trim(os:cmd("pkg-config --modversion libcares")), binary_to_list(Headers)),
    IsNeeded = binary:match(library(), <<"libcares.so">>) =/= nomatch,
    ?assertEqual(IsNeeded, Linked =:= shared).

%% At run time

a_library_that_does_not_load_at_run_time_is_an_error_test_() ->
    ?NODES(in_installation("caravan-x", <<"nonsense">>, fun(Ebin) ->
        network(#{code_path => [Ebin]}, fun(Network) ->
            {none, Node} = boot(Network, none, []),
            Name = node_name(Network, "a", free_port()),
            Start = fun() -> call(Node, net_kernel, start, [Name, #{name_domain => longnames}]) end,
            {error, Reason} = Start(),
            File = library_file(Ebin),
            assert_line(caravan_test_log:find_line(Reason), File, {bad_file, "it is no shared library"}),
            ?assertEqual(nonode@nohost, call(Node, erlang, node, [])),
            %% Repaired without a restart of the VM.
            ok = file:delete(File),
            _ = write(File, library()),
            ?assertMatch({ok, _}, Start()),
            ?assertEqual(Name, call(Node, erlang, node, []))
        end)
    end)).

%% Each time the new instance gets the port rule, and the old instance ends with its thread.
code_is_replaced_in_a_running_node_test_() ->
    ?NODES(network(#{}, fun(Network) ->
        Port = free_port(),
        {_, Node} = boot(Network, 'app@127.0.0.1', ["-caravan", "default_port", integer_to_list(Port)]),
        Lookup = fun() -> call(Node, caravan_dns, lookup, ["n.test", a, #{nameservers => ["127.0.0.1:1"]}]) end,
        [begin
             ?assertEqual({error, connrefused}, Lookup()),
             {module, caravan_nif} = call(Node, code, load_file, [caravan_nif]),
             without_on_load(fun() -> ?assertEqual({error, closed}, Lookup()) end),
             ?assertEqual(ok, call(Node, caravan_nif, load, [])),
             ?assertEqual(Port, call(Node, caravan_epmd, dist_port, [app])),
             ?assertEqual({error, connrefused}, Lookup()),
             _ = call(Node, code, purge, [caravan_nif])
         end
         || _ <- lists:seq(1, 5)],
        ?assertMatch({exited, 0, _}, stop(Node))
    end)).

%% When the library has been unloaded, its resolvers do not exist any more.
the_default_resolver_comes_back_test_() ->
    ?NODES(network(#{}, fun(Network) ->
        {_, Node} = boot(Network, node_name(Network, "app", free_port()), ["-caravan", "nameservers", "[\"127.0.0.1:1\"]"]),
        Lookup = fun() -> call(Node, caravan_dns, lookup, ["n.test", a]) end,
        Code = fun(Function) -> fun() -> call(Node, code, Function, [caravan_nif]) end end,
        [Purge, Delete, Reload] = [Code(Function) || Function <- [purge, delete, load_file]],
        Load = fun() -> call(Node, caravan_nif, load, []) end,
        Orders = [
            [Purge, Reload, Purge, Reload, Load],
            [Purge, Delete, Purge, Load],
            [Purge, Reload, Load, Purge],
            [Reload, Purge, Load, Reload, Purge, Load],
            [Purge, Delete, Load, Purge]
        ],
        [begin
             ?assertEqual({error, connrefused}, Lookup()),
             Ref = call(Node, caravan_dns, lookup_async, ["n.test", a]),
             _ = [Step() || Step <- Order],
             ?assertEqual(ok, call(Node, caravan_dns, cancel, [Ref])),
             ?assertEqual({error, connrefused}, Lookup())
         end
         || Order <- Orders],
        _ = Purge(),
        assert_threads(1, list_to_integer(call(Node, os, getpid, [])))
    end)).

%% If the machine shows the names of threads. The thread of a replaced instance ends with the last handle of that instance.
assert_threads(Count, OsPid) ->
    case filelib:wildcard(lists:concat(["/proc/", OsPid, "/task/*/comm"])) of
        [] -> ok;
        Files -> ?assertEqual(Count, length([File || File <- Files, file:read_file(File) =:= {ok, <<"caravan_dns\n">>}]))
    end.

the_port_rule_survives_that_test_() ->
    ?NODES(network(#{}, fun(Network) ->
        Flags = ["-caravan", "helper_names", "[\"tool-{number}\"]", "helper_ports", "[61000,61002]", "port_in_name", "dash"],
        {_, Node} = boot(Network, node_name(Network, "app", free_port()), Flags),
        Choices = fun() -> [call(Node, caravan_nif, port_choice, [Name]) || Name <- ["tool-4834", "app4834", 'rem-1f3a-app']] end,
        Before = [{_, {helper, <<"tool-{number}">>}}, {4370, no_digits}, {_, {helper, <<"mix_remote">>}}] = Choices(),
        [begin
             {module, caravan_nif} = call(Node, code, load_file, [caravan_nif]),
             ?assertEqual(ok, call(Node, caravan_nif, load, [])),
             ?assertEqual(Before, Choices()),
             _ = call(Node, code, purge, [caravan_nif])
         end
         || _ <- [first, second]]
    end)).

%% As after an upgrade in a running VM.
a_port_rule_of_another_version_is_none_test_() ->
    ?NODES(network(#{}, fun(Network) ->
        {_, Node} = boot(Network, node_name(Network, "app", free_port()), ["-caravan", "default_port", "4371"]),
        ?assertEqual(4371, call(Node, caravan_nif, dist_port, [app])),
        ok = call(Node, persistent_term, put, [caravan_nif, {999, a_rule}]),
        {module, caravan_nif} = call(Node, code, load_file, [caravan_nif]),
        ?assertEqual(ok, call(Node, caravan_nif, load, [])),
        ?assertEqual(4370, call(Node, caravan_nif, dist_port, [app])),
        ?assertEqual(ok, call(Node, caravan_boot, prepare, [])),
        ?assertEqual(4371, call(Node, caravan_nif, dist_port, [app]))
    end)).

-if(?OTP_RELEASE >= 26).
without_on_load(_Test) -> ok.
-else.
without_on_load(Test) -> Test().
-endif.

the_application_does_not_start_without_its_library_test_() ->
    ?NODES(in_installation("caravan-x", none, fun(Ebin) ->
        network(#{code_path => [Ebin]}, fun(Network) ->
            {none, Node} = boot(Network, none, []),
            {error, {Line, {caravan_app, start, _}}} = call(Node, application, start, [caravan]),
            assert_line(Line, library_file(Ebin), {load_failed, ""}),
            ?assertEqual(nonode@nohost, call(Node, erlang, node, []))
        end)
    end)).

the_application_starts_without_distribution_test_() ->
    ?NODES(network(#{}, fun(Network) ->
        {none, Node} = boot(Network, none, []),
        ?assertEqual(ok, call(Node, application, start, [caravan])),
        ?assertEqual(4834, call(Node, caravan_epmd, dist_port, ['app-4834@host']))
    end)).

network(NodeOptions, Test) ->
    caravan_test_network:with(#{node => NodeOptions}, Test).

in_installation(Name, Library, Test) ->
    caravan_test_directory:with(fun(Directory) -> Test(copy(filename:join(Directory, Name), Library)) end).

node_works(NodeOptions) ->
    network(NodeOptions, fun(Network) ->
        Port = free_port(),
        {_, Node} = boot(Network, node_name(Network, "a", Port), []),
        ?assertEqual([Port], listening_ports(Node))
    end).

works_before_and_after_restart(NodeOptions, Flags) ->
    network(NodeOptions, fun(Network) ->
        Port = free_port(),
        {A, Node} = boot(Network, node_name(Network, "a", Port), Flags),
        {_, Peer} = boot(Network#{node := #{}}, "b"),
        [begin
             ?assertEqual(ok, await_boot(Node, Boot)),
             ?assertEqual([Port], listening_ports(Node)),
             ?assertEqual(true, call(Peer, net_kernel, connect_node, [A])),
             ?assertEqual(ok, call(Node, init, restart, []))
         end
         || Boot <- [1, 2]],
        ?assertEqual(ok, await_boot(Node, 3)),
        ?assertMatch({exited, 0, _}, stop(Node))
    end).

one_line_interactive(Library, Reason) ->
    in_installation("caravan-x", Library(), fun(Ebin) ->
        expect_line(#{code_path => [Ebin]}, [], library_file(Ebin), Reason)
    end).

one_line_embedded(Library, Reason) ->
    with_release(Library(), fun(Boot) ->
        Ebin = filename:join([filename:dirname(Boot), "caravan-x", "ebin"]),
        expect_line(#{code_path => []}, ["-boot", Boot, "-mode", "embedded"], library_file(Ebin), Reason)
    end).

library_file(Ebin) ->
    filename:join([filename:dirname(Ebin), "priv", "caravan_nif.so"]).

expect_line(NodeOptions, Flags, File, Reason) ->
    caravan_test_directory:with(fun(Directory) ->
        Dump = filename:join(Directory, "erl_crash.dump"),
        Env = [{"ERL_CRASH_DUMP", Dump} | maps:get(env, NodeOptions, [])],
        network(NodeOptions#{env => Env}, fun(Network) ->
            Node = start(Network, node_name(Network, "a", free_port()), Flags),
            {exited, Status, Output} = await_boot(Node),
            ?assertEqual(1, Status),
            {match, [{Start, 1}]} = re:run(Output, "\n\\z"),
            assert_line(binary:part(Output, 0, Start), File, Reason),
            ?assertNot(filelib:is_file(Dump))
        end)
    end).

%% Returns the line for an error of that kind, which includes a message of OTP or of the loader.
assert_line(Line, File, {Kind, Said}) ->
    [Before, After] = string:split(caravan_load_error:format({File, {Kind, Said}}), File),
    Pattern = ["\\A\\Q", Before, "\\E/[^\n]*/caravan_nif\\.so", around(Said, After), "\\z"],
    ?assertMatch({_, {match, _}}, {Line, re:run(Line, Pattern)}).

around("", Line) ->
    ["\\Q", Line, "\\E"];
around(Said, Line) ->
    [Before, After] = string:split(Line, Said),
    ["\\Q", Before, "\\E[^\n]*\\Q", Said, "\\E[^\n]*\\Q", After, "\\E"].

%% Makes a boot file of a release with Caravan; returns its name without `.boot'.
with_release(Library, Test) ->
    in_installation("caravan-x", Library, fun(Ebin) ->
        Directory = filename:dirname(filename:dirname(Ebin)),
        Applications = [{Name, version(Name)} || Name <- [kernel, stdlib, sasl, caravan]],
        Release = {release, {"test", "1"}, {erts, erlang:system_info(version)}, Applications},
        Boot = filename:join(Directory, "test"),
        _ = write(Boot ++ ".rel", io_lib:format("~p.~n", [Release])),
        Options = [local, silent, {path, [Ebin]}, {outdir, Directory}],
        {ok, systools_make, []} = systools:make_script(Boot, Options),
        Test(Boot)
    end).

version(Application) ->
    _ = application:load(Application),
    {ok, Version} = application:get_key(Application, vsn),
    Version.

%% The module of a later version, with the current library.
compile_with_another_abi(Ebin) ->
    {ok, Source} = file:read_file(proplists:get_value(source, caravan_nif:module_info(compile))),
    Changed = re:replace(Source, "-define\\(ABI, [0-9]+\\)", "-define(ABI, 999)", [{return, binary}]),
    ?assertNotEqual(Source, Changed),
    File = write(filename:join(Ebin, "caravan_nif.erl"), Changed),
    {ok, caravan_nif} = compile:file(File, [{outdir, Ebin}]),
    ok.
