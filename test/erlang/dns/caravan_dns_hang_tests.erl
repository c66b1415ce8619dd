%% Threads of the library that hang while they read a file, as on a dead mount.
-module(caravan_dns_hang_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3]).
-import(caravan_test_node, [call/4, run/2, stop/1]).

-define(TEST(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

-define(HOSTS, "/hangs/hosts").

a_lookup_ends_although_the_thread_hangs_test_() ->
    ?TEST(with_hanging("caravan_dns", "/etc/resolv.conf", fun(Node, _Release) ->
        %% No message arrives late, and the next lookup of the same thread ends as well.
        ?assertEqual({[{error, timeout}, {error, timeout}], []}, run(Node, fun two_lookups/0)),
        ?assertMatch({exited, 0, _}, stop(Node))
    end)).

code_is_replaced_although_the_thread_hangs_test_() ->
    ?TEST(with_hanging("caravan_dns", "/etc/resolv.conf", fun(Node, Release) ->
        ?assertEqual({error, timeout}, run(Node, fun lookup/0)),
        Release(),
        ?assertEqual({error, connrefused}, run(Node, fun lookup_with_code_replaced/0)),
        ?assertMatch({exited, 0, _}, stop(Node))
    end)).

lookups_go_on_although_the_hosts_file_hangs_test_() ->
    ?TEST(with_hanging("caravan_hosts", ?HOSTS, fun(Node, _Release) ->
        ?assertEqual({[{error, connrefused}, {error, connrefused}], []}, run(Node, fun lookups_with_hosts/0)),
        ?assertMatch({exited, 0, _}, stop(Node))
    end)).

%% No matter how many messages are in the mailbox, a lookup scans none of them.
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
    Results = [lookup(), lookup()],
    {Results, element(2, process_info(self(), messages))}.

lookup() ->
    ok = caravan_nif:load(),
    caravan_dns:lookup("n.test", a, #{nameservers => ["127.0.0.1:1"], timeout => 10}).

lookup_with_code_replaced() ->
    true = code:delete(caravan_nif),
    _ = code:purge(caravan_nif),
    ok = caravan_nif:load(),
    caravan_dns:lookup("n.test", a, #{nameservers => ["127.0.0.1:1"]}).

%% One lookup of a resolver whose file hangs, and one of another resolver.
lookups_with_hosts() ->
    ok = caravan_nif:load(),
    {ok, Resolver} = caravan_dns:open(#{hosts_file => ?HOSTS, nameservers => ["127.0.0.1:1"]}),
    {ok, Other} = caravan_dns:open(#{nameservers => ["127.0.0.1:1"]}),
    Results = [caravan_dns:lookup("n.test", addresses, #{resolver => R}) || R <- [Resolver, Other]],
    {Results, element(2, process_info(self(), messages))}.

%% The thread hangs when it reads Path until Release is called; a thread that reads Path after that does not.
with_hanging(Thread, Path, Test) ->
    caravan_test_directory:with(fun(Directory) ->
        Hangs = filename:join(Directory, "hangs"),
        ok = file:write_file(Hangs, []),
        Environment = [
            {"LD_PRELOAD", preloaded(Directory)}, {"HANGING_THREAD", Thread}, {"HANGING_PATH", Path}, {"HANGS", Hangs}
        ],
        CodePath = [filename:dirname(code:which(Module)) || Module <- [?MODULE, caravan_dns]],
        caravan_test_network:with(#{node => #{env => Environment, code_path => CodePath}}, fun(Network) ->
            {none, Node} = boot(Network, none, []),
            Test(Node, fun() -> ok = file:delete(Hangs) end)
        end)
    end).

preloaded(Directory) ->
    Source = filename:join(Directory, "hangs.c"),
    Library = filename:join(Directory, "hangs.so"),
    ok = file:write_file(Source, [
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <pthread.h>\n#include <stdlib.h>\n#include <string.h>\n"
        "#include <sys/stat.h>\n#include <unistd.h>\n"
        "int stat(const char *path, struct stat *status) {\n"
        "  int (*next)(const char *, struct stat *) = dlsym(RTLD_NEXT, \"stat\");\n"
        "  char thread[16];\n"
        "  pthread_getname_np(pthread_self(), thread, sizeof thread);\n"
        "  if (strcmp(thread, getenv(\"HANGING_THREAD\")) == 0 && strcmp(path, getenv(\"HANGING_PATH\")) == 0 &&\n"
        "      access(getenv(\"HANGS\"), F_OK) == 0)\n"
        "    for (;;) pause();\n"
        "  return next(path, status);\n"
        "}\n"
    ]),
    "" = os:cmd(lists:flatten(io_lib:format("cc -shared -fPIC -o ~ts ~ts -ldl", [Library, Source]))),
    Library.
