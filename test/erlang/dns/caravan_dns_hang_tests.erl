%% A resolver's thread that hangs in a file, as on a dead mount.
-module(caravan_dns_hang_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3]).
-import(caravan_test_node, [call/4, run/2, stop/1]).

-define(TEST(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

%% The path of a file that nobody gets to see.
-define(HANGS, "/hangs/hosts").

a_lookup_ends_although_the_thread_hangs_test_() ->
    ?TEST(with_hanging_file(fun(Node) ->
        %% Nothing comes late, and the next one that shares the thread ends as well.
        ?assertEqual({[{error, timeout}, {error, timeout}], []}, run(Node, fun two_lookups/0)),
        ?assertMatch({exited, 0, _}, stop(Node))
    end)).

%% However many messages wait, a lookup looks at none of them.
the_compiler_sees_that_no_earlier_message_can_match_test_() ->
    {timeout, 120, fun no_earlier_message_can_match/0}.

no_earlier_message_can_match() ->
    Source = proplists:get_value(source, caravan_dns:module_info(compile)),
    {ok, caravan_dns, _Code, Warnings} = compile:file(Source, [binary, return, recv_opt_info]),
    Receives = [
        lists:flatten(Module:format_error(Warning))
     || {_File, OfFile} <- Warnings, {_Position, Module, Warning} <- OfFile
    ],
    ?assertNotEqual([], [Text || Text <- Receives, string:find(Text, "OPTIMIZED: all clauses match") =/= nomatch]).

two_lookups() ->
    ok = caravan_nif:load(),
    {ok, Resolver} = caravan_dns:open(#{hosts_file => ?HANGS, nameservers => ["127.0.0.1:1"]}),
    {ok, Other} = caravan_dns:open(#{nameservers => ["127.0.0.1:1"]}),
    Results = [caravan_dns:lookup("n.test", addresses, #{resolver => R, timeout => 10}) || R <- [Resolver, Other]],
    {Results, element(2, process_info(self(), messages))}.

with_hanging_file(Test) ->
    caravan_test_directory:with(fun(Directory) ->
        Library = preloaded(Directory),
        CodePath = [filename:dirname(code:which(Module)) || Module <- [?MODULE, caravan_dns]],
        caravan_test_network:with(#{node => #{env => [{"LD_PRELOAD", Library}], code_path => CodePath}}, fun(Network) ->
            {none, Node} = boot(Network, none, []),
            Test(Node)
        end)
    end).

%% A stat(2) that never returns for that file.
preloaded(Directory) ->
    Source = filename:join(Directory, "hangs.c"),
    Library = filename:join(Directory, "hangs.so"),
    ok = file:write_file(Source, [
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <string.h>\n#include <sys/stat.h>\n#include <unistd.h>\n"
        "int stat(const char *path, struct stat *status) {\n"
        "  int (*next)(const char *, struct stat *) = dlsym(RTLD_NEXT, \"stat\");\n"
        "  while (strcmp(path, \"" ?HANGS "\") == 0) pause();\n"
        "  return next(path, status);\n"
        "}\n"
    ]),
    "" = os:cmd(lists:flatten(io_lib:format("cc -shared -fPIC -o ~ts ~ts -ldl", [Library, Source]))),
    Library.
