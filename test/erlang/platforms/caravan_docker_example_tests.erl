%% The files of examples/docker and examples/fly: the packages of the images, and names by address. They were not run in containers.
-module(caravan_docker_example_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_manifest, [at/2]).

files_test_() ->
    case caravan_test_manifest:available() of
        true ->
            {setup, fun caravan_nif:load/0, [
                {"the build stages have what scripts/setup and docs/building.md name", fun build_packages/0},
                {"the images have the libraries of the NIF", fun runtime_packages/0},
                {"the second stage has the release of the first", fun stages/0},
                {"a container's name is the one that its A record makes", fun names_in_compose/0},
                {"a machine's name is the one that its AAAA record makes", fun names_on_fly/0}
            ]};
        {false, Why} ->
            io:format(user, "SKIP: the files of examples/docker: ~ts~n", [Why]),
            []
    end.

build_packages() ->
    {match, [Debian]} = re:run(read("scripts/setup"), "^debian_build=\"([^\"]*)\"", [multiline, {capture, all_but_first, list}]),
    {match, [Alpine]} = re:run(read("scripts/setup"), "^ +Alpine: +apk add (.*)$", [multiline, {capture, all_but_first, list}]),
    ?assertEqual([], documented("apt-get install") -- packages(1, "Dockerfile.debian", "apt-get install -y --no-install-recommends")),
    ?assertEqual([], documented("apk add") -- packages(1, "Dockerfile.alpine", "apk add --no-cache")),
    %% The images build with Mix.
    ?assertEqual([], (words(Debian) -- ["rebar3"]) -- packages(1, "Dockerfile.debian", "apt-get install -y --no-install-recommends")),
    ?assertEqual([], (words(Alpine) -- ["rebar3"]) -- packages(1, "Dockerfile.alpine", "apk add --no-cache")).

%% The packages in the table of docs/building.md.
documented(Command) ->
    {match, [Packages]} = re:run(read("docs/building.md"), "^\\| [^|]* \\| `" ++ Command ++ " ([^`]*)` \\|$", [unicode, multiline, {capture, all_but_first, list}]),
    [_ | _] = words(Packages).

%% The names of the libraries are those of the NIF as it was built here; Debian's names of the packages are those of this machine.
runtime_packages() ->
    Library = filename:join(filename:dirname(filename:dirname(code:where_is_file("caravan_epmd.beam"))), "priv/caravan_nif.so"),
    Needed = [Name || Line <- string:lexemes(os:cmd("readelf -d '" ++ Library ++ "'"), "\n"), {match, [Name]} <- [needed(Line)]],
    Debian = packages(2, "Dockerfile.debian", "apt-get install -y --no-install-recommends"),
    Alpine = packages(2, "Dockerfile.alpine", "apk add --no-cache"),
    [
        begin
            ?assert(not is_map_key(Name, libraries()) orelse lists:member(element(1, map_get(Name, libraries())), Debian)),
            ?assert(not is_map_key(Name, libraries()) orelse lists:member(element(2, map_get(Name, libraries())), Alpine))
        end
     || Name <- Needed
    ],
    %% What every image of Debian has, as its dependencies.
    ?assertEqual([], [Name || Name <- Needed, not is_map_key(Name, libraries())] -- ["libc.so.6", "libm.so.6", "libgcc_s.so.1"]).

needed(Line) -> re:run(Line, "\\(NEEDED\\).*\\[(.*)\\]", [{capture, all_but_first, list}]).

%% The packages of Debian and of Alpine that have a library.
libraries() ->
    #{"libcares.so.2" => {"libcares2", "c-ares"}, "libstdc++.so.6" => {"libstdc++6", "libstdc++"}}.

stages() ->
    [
        begin
            Text = read("examples/docker/" ++ File),
            {match, [Path]} = re:run(Text, "mix release --path (\\S+)", [{capture, all_but_first, list}]),
            ?assertMatch({match, _}, re:run(Text, "COPY --from=build " ++ Path ++ " " ++ Path)),
            ?assertMatch({match, _}, re:run(Text, "ENTRYPOINT \\[\"" ++ Path ++ "/bin/shop\"")),
            %% Both stages have the same C library.
            {match, Images} = re:run(Text, "^FROM (\\S+)", [global, multiline, {capture, all_but_first, list}]),
            ?assertEqual(1, length(lists:usort(Images)))
        end
     || File <- ["Dockerfile.debian", "Dockerfile.alpine"]
    ].

%% packages(STAGE, FILE, COMMAND): the words after the command in that stage.
packages(Stage, File, Command) ->
    Stages = tl(re:split(read("examples/docker/" ++ File), "^FROM ", [multiline, {return, list}])),
    [_, After] = string:split(lists:nth(Stage, Stages), Command),
    [Words | _] = re:split(string:replace(lists:flatten(After), "\\\n", " ", all), "\n|&&", [{return, list}]),
    words(Words).

words(Text) -> string:lexemes(Text, " \n\t").

names_in_compose() ->
    [Compose] = caravan_test_manifest:read("examples/docker/compose.yaml"),
    Environment = [{binary_to_list(Name), binary_to_list(Value)} || {Name, Value} <- maps:to_list(at(["services", "shop", "environment"], Compose))],
    Name = caravan_test_directory:with(fun(Directory) ->
        Hostname = caravan_test_directory:write(filename:join(Directory, "hostname"), "#!/bin/sh\necho 172.18.0.3 172.19.0.9\n"),
        ok = file:change_mode(Hostname, 8#755),
        Path = [{"PATH", Directory ++ ":" ++ os:getenv("PATH")}],
        caravan_test_platform:shell_variable("examples/docker/rel/env.sh.eex", "RELEASE_NODE", Path)
    end),
    ?assertEqual([Name], caravan_test_platform:node_names(Name, caravan_test_platform:topology(Environment), [#{ip => {172, 18, 0, 3}}])).

names_on_fly() ->
    [Fly] = caravan_test_manifest:read("examples/fly/fly.toml"),
    Environment = [{binary_to_list(Name), binary_to_list(Value)} || {Name, Value} <- maps:to_list(at(["env"], Fly))],
    Address = "fdaa:0:18:a7b:7d:f066:b83b:2",
    {ok, Ip} = inet:parse_address(Address),
    Private = [{"FLY_PRIVATE_IP", Address}],
    Name = caravan_test_platform:shell_variable("examples/fly/rel/env.sh.eex", "RELEASE_NODE", Private),
    Options = caravan_test_platform:topology(Environment),
    ?assertEqual([Name], caravan_test_platform:node_names(Name, Options, [#{ip => Ip}])),
    ?assertEqual(binary_to_list(at(["app"], Fly)) ++ ".internal", unicode:characters_to_list(maps:get(query, Options))),
    ?assertMatch("-name " ++ _, caravan_test_platform:substitute(read("examples/fly/config/vm.args.src"), Private ++ [{"RELEASE_COOKIE", "c"}])),
    [
        ?assertMatch({match, _}, re:run(read("examples/fly/" ++ File), "^-proto_dist inet6_tcp$", [multiline]))
     || File <- ["rel/vm.args.eex", "rel/remote.vm.args.eex", "config/vm.args.src"]
    ],
    #{port := Port} = caravan_test_platform:health_port(Environment),
    ?assertEqual(Port, at(["checks", "cluster", "port"], Fly)),
    ?assertNotMatch({404, _, _}, caravan_health:response(at(["checks", "cluster", "path"], Fly))).

read(File) ->
    {ok, Text} = file:read_file(caravan_test_directory:in_repository(File)),
    unicode:characters_to_list(Text).
