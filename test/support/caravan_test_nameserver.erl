%% @doc Nameservers that only a test answers for, for this VM and for nodes.
-module(caravan_test_nameserver).

-export([with/2, with_network/2]).

-define(LOCALHOST, {127, 0, 0, 1}).

%% @doc Calls a function with two servers: that of the key `nameservers', and that which inet:getaddr/2 asks. The epmd
%% module has been started. Options:
%%
%% <ul>
%% <li>`server': options of `caravan_dns_server:start_link/1' for both; `#{}'.</li>
%% <li>`config': more keys of the application, with values; `[]'.</li>
%% </ul>
-spec with(map(), fun((pid(), pid()) -> Result)) -> Result.
with(Options, Test) ->
    nonode@nohost = node(),
    ignore = caravan_epmd:start_link(),
    [Server, System] = [start(Options) || _ <- [configured, system]],
    Saved = [{Option, inet_db:res_option(Option)} || Option <- [lookup, nameservers, resolv_conf]],
    %% Without that file, which would override what is set here.
    set_resolver([{resolv_conf, ""}, {lookup, [dns]},
                  {nameservers, [{?LOCALHOST, caravan_dns_server:port(System)}]}]),
    Config = [{nameservers, [caravan_dns_server:nameserver(Server)]} | maps:get(config, Options, [])],
    [ok = application:set_env(caravan, Key, Value) || {Key, Value} <- Config],
    try
        Test(Server, System)
    after
        [ok = application:unset_env(caravan, Key) || {Key, _} <- Config],
        set_resolver(Saved),
        [ok = caravan_dns_server:stop(Each) || Each <- [Server, System]]
    end.

set_resolver(Options) ->
    [ok = inet_db:res_option(Option, Value) || {Option, Value} <- Options].

%% @doc Calls a function with a server and a network, as `caravan_test_network:with/2' takes it, whose nodes have that
%% server for their nameserver and for that of inet:getaddr/2. The modules of tests are on their code path.
-spec with_network(map(), fun((pid(), caravan_test_network:network()) -> Result)) -> Result.
with_network(Options, Test) ->
    Server = start(Options),
    Nameservers = io_lib:format("[\"~s\"]", [caravan_dns_server:nameserver(Server)]),
    Inetrc = io_lib:format("{resolv_conf, \"\"}. {lookup, [dns]}. {nameserver, ~p, ~b}.~n",
                           [?LOCALHOST, caravan_dns_server:port(Server)]),
    Result = caravan_test_directory:with(fun(Directory) ->
        File = caravan_test_directory:write(filename:join(Directory, "inetrc"), Inetrc),
        Flags = ["-caravan", "nameservers", lists:flatten(Nameservers) | maps:get(flags, Options, [])],
        Path = [filename:dirname(code:where_is_file(Beam))
                || Beam <- ["caravan_epmd.beam", "caravan_epmd_address_tests.beam", ?MODULE_STRING ".beam"]],
        Node = #{env => [{"ERL_INETRC", File}], code_path => Path},
        caravan_test_network:with(maps:remove(server, Options#{flags => Flags, node => Node}),
                                  fun(Network) -> Test(Server, Network) end)
    end),
    ok = caravan_dns_server:stop(Server),
    Result.

start(Options) ->
    {ok, Server} = caravan_dns_server:start_link(maps:get(server, Options, #{})),
    Server.
