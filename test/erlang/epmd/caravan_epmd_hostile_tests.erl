%% No callback of caravan_epmd raises or leaves a message behind, no matter what its arguments are and what fails below it.
-module(caravan_epmd_hostile_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_dns_server, [pause/1]).
-import(caravan_test_network, [boot/3, free_port/0, node_name/3]).
-import(caravan_test_node, [call/4, run/2]).

-define(TEST(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 300, fun() -> Test end}}).

%% Nameservers

nameservers_that_hang_test_() ->
    [?TEST(with(Config, fun(Servers) -> [ok = pause(Server) || Server <- Servers] end)) || Config <- configurations()].

nameservers_that_fail_test_() ->
    [?TEST(with(Config, fun(Servers) -> [fails(Server, Answer) || Server <- Servers] end))
     || Config <- configurations(), Answer <- [servfail, {raw, fun caravan_dns_fixture:malformed/1}]].

nameservers_that_are_gone_test_() ->
    [?TEST(with(Config, fun(Servers) -> [ok = caravan_dns_server:close_sockets(Server) || Server <- Servers] end))
     || Config <- configurations()].

%% Values that were set after the start and are not checked.
configuration_that_is_wrong_test_() ->
    [?TEST(with(Config, fun(_Servers) -> ok end))
     || Config <- [[{Key, {nonsense}}]
                   || Key <- [port_srv, fallback, resolver, listen_port, default_port, port_range]]].

configurations() ->
    [[{port_srv, "{name}.likes.test"}],
     [{fallback, epmd}],
     [{port_srv, "{name}.{host}.likes.test"}, {fallback, epmd}, {resolver, #{cache => true}}]].

fails(Server, Answer) ->
    [ok = caravan_dns_server:put(Server, Name, Type, Answer)
     || {Name, Type} <- [{"host.test", a}, {"host.test", aaaa}, {"app1.likes.test", srv},
                         {"app1.host.test.likes.test", srv}]].

%% With `fallback', the process of erl_epmd that register_node/3 calls does not exist here.
with(Config, Break) ->
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, none),
    try
        caravan_test_nameserver:with(#{config => Config}, fun(Server, System) ->
            _ = Break([Server, System]),
            ?assertEqual([], caravan_test_hostile:failures()),
            ?assertEqual({messages, []}, process_info(self(), messages))
        end)
    after
        ok = logger:set_primary_config(level, Level)
    end.

%% The library

%% Since OTP 26 the module loads it again by itself.
a_library_that_has_been_unloaded_test_() ->
    [?TEST(caravan_test_nameserver:with_network(#{flags => Flags}, fun(_Server, Network) ->
        {_, Node} = boot(Network, node_name(Network, "a", free_port()), ["-kernel", "logger_level", "none" | Flags]),
        true = call(Node, code, delete, [caravan_nif]),
        _ = call(Node, code, purge, [caravan_nif]),
        {module, caravan_nif} = call(Node, code, load_file, [caravan_nif]),
        ?assertEqual([], run(Node, fun caravan_test_hostile:failures/0)),
        ?assert(is_integer(call(Node, net_kernel, get_net_ticktime, [])))
     end))
     || Flags <- [[], ["-caravan", "port_srv", "\"{name}.likes.test\"", "fallback", "epmd"]]].
