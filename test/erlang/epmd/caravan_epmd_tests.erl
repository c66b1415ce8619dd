%% The callbacks of caravan_epmd: what they return, and that no argument makes them fail.
-module(caravan_epmd_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_hostile, [is_address/1, is_listen_port/1, is_port_answer/1]).

-define(LOCALHOST, {127, 0, 0, 1}).
-define(LOCALHOST6, {0, 0, 0, 0, 0, 0, 0, 1}).

callbacks_test_() ->
    {setup, fun load/0, fun unload/1,
     [fun start_link/0, fun listen_ports/0,
      fun helpers_listen_at_the_hash_of_their_name/0, fun helpers_take_no_port_of_their_node/0, fun creations_are_left_to_net_kernel/0, fun addresses_in_names/0,
      fun ports_of_names/0, fun a_node_without_a_name_knows_of_none/0, {timeout, 60, fun every_name_has_a_port/0},
      {timeout, 120, fun no_argument_makes_a_callback_fail/0}]}.

%% Without DNS, which no test here needs, and without the warnings about digits that are not a port.
load() ->
    ?assertEqual(nonode@nohost, node()),
    ignore = caravan_epmd:start_link(),
    Lookup = inet_db:res_option(lookup),
    ok = inet_db:set_lookup([file]),
    #{level := Level} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, error),
    {Lookup, Level}.

unload({Lookup, Level}) ->
    ok = inet_db:set_lookup(Lookup),
    ok = logger:set_primary_config(level, Level).

%% Shapes

start_link() ->
    Links = process_info(self(), links),
    ?assertEqual(ignore, caravan_epmd:start_link()),
    ?assertEqual(Links, process_info(self(), links)).

listen_ports() ->
    [?assertEqual({Name, {ok, Port}}, {Name, caravan_epmd:listen_port_please(Name, "host.test")})
     || {Text, Port} <- [{"app-4834", 4834}, {"app", 4370}, {"app-0", 4370}, {"worker2", 4370},
                         {"app-1024", 1024}, {"app-1023", 4370}, {"app-65535", 65535}, {"app-65536", 4370},
                         {"app-99999999999999999999", 4370}, {"app-04834", 4834}, {"4834", 4834}],
        Name <- [Text, list_to_atom(Text)]].

helpers_listen_at_the_hash_of_their_name() ->
    [?assertEqual({Name, {ok, Port}}, {Name, caravan_epmd:listen_port_please(Name, "host.test")})
     || {Name, Port} <- [{'rem-1f3a-app-4370', 64300}, {'rpc-00c4-app-4834', 61946},
                         {'rpc-31999-app-4834', 64498}, {'maint1f3a-app-4834', 64047},
                         {'remsh0a-app-4834', 62379}, {'longname1f-app-4834', 62203}, {'peer-12-34567', 61843}, {'rpc-gateway-4834', 4834}, {'peer-review-4834', 4834},
                         {'remsh-app-4834', 4834}, {'maint-app-4834', 4834}]].

%% No matter which node and which default port.
helpers_take_no_port_of_their_node() ->
    [begin
         Name = lists:flatten(io_lib:format("rpc-~4.16.0b-app-~b", [Port * 7 rem 65536, Port])),
         ?assertNotEqual({Name, Port}, {Name, caravan_epmd:dist_port(Name)}),
         ?assertMatch({_, Helper} when Helper >= 61000, {Name, caravan_epmd:dist_port(Name)})
     end
     || Port <- lists:seq(61000, 65535)],
    Names = [lists:flatten(io_lib:format("rpc-~4.16.0b-app", [Number])) || Number <- lists:seq(0, 4535)],
    Ports = [caravan_epmd:dist_port(Name) || Name <- Names],
    [Taken | _] = Ports,
    ok = application:set_env(caravan, default_port, Taken),
    ok = caravan_boot:prepare(),
    Others = [caravan_epmd:dist_port(Name) || Name <- Names],
    ok = application:unset_env(caravan, default_port),
    ok = caravan_boot:prepare(),
    ?assertNot(lists:member(Taken, Others)),
    ?assertEqual([Port || Port <- Ports, Port =/= Taken],
                 [Other || {Port, Other} <- lists:zip(Ports, Others), Port =/= Taken]).

creations_are_left_to_net_kernel() ->
    ?assertEqual({ok, -1}, caravan_epmd:register_node('app-4834', 4834)),
    [?assertEqual({ok, -1}, caravan_epmd:register_node('app-4834', 4834, Family))
     || Family <- [inet, inet6, inet_tcp, inet6_tcp]].

addresses_in_names() ->
    Mapped = inet:ipv4_mapped_ipv6_address(?LOCALHOST),
    [?assertEqual({Host, Family, Expected}, {Host, Family, caravan_epmd:address_please(Name, Host, Family)})
     || {Host, Family, Expected} <-
            [{"127.0.0.1", inet, {ok, ?LOCALHOST, 4834, 6}}, {'127.0.0.1', inet, {ok, ?LOCALHOST, 4834, 6}},
             {?LOCALHOST, inet, {ok, ?LOCALHOST, 4834, 6}}, {"127.0.0.1", inet6, {ok, Mapped, 4834, 6}},
             {"::1", inet6, {ok, ?LOCALHOST6, 4834, 6}}, {?LOCALHOST6, inet6, {ok, ?LOCALHOST6, 4834, 6}},
             {"::1", inet, {error, address}}],
        Name <- ["app-4834", 'app-4834', <<"app-4834">>]],
    ?assertEqual({ok, ?LOCALHOST, 65369, 6}, caravan_epmd:address_please("rem-1f3a-app-4834", "127.0.0.1", inet)).

ports_of_names() ->
    [begin
         ?assertEqual({Name, Port}, {Name, caravan_epmd:port_please(Name, ?LOCALHOST)}),
         ?assertEqual({Name, Port}, {Name, caravan_epmd:port_please(Name, "host.test", 5000)})
     end
     || {Name, Port} <- [{"app-4834", {port, 4834, 6}}, {'app-4834', {port, 4834, 6}},
                         {"app", {port, 4370, 6}}, {"rem-1f3a-app-4834", {port, 65369, 6}},
                         {"peer-12-34567", {port, 61843, 6}}]].

a_node_without_a_name_knows_of_none() ->
    ?assertEqual({ok, []}, caravan_epmd:names()),
    ?assertEqual({ok, []}, caravan_epmd:names("localhost")).

%% Hostile arguments

every_name_has_a_port() ->
    [?assertMatch(Port when Port >= 1024 andalso Port =< 65535, caravan_epmd:dist_port(Name))
     || Name <- caravan_test_hostile:texts(), is_name(Name)].

is_name(Name) ->
    is_atom(Name) orelse is_binary(Name) orelse io_lib:char_list(Name).

no_argument_makes_a_callback_fail() ->
    ?assertEqual([], caravan_test_hostile:failures(checks())).

%% Each argument in turn, and both where a call has two of one kind. A node that is about to listen checks whether it can, so
%% its port is one that no other test has.
checks() ->
    Port = caravan_test_network:free_port(),
    Name = list_to_atom(lists:concat(["app-", Port])),
    [fun(Term) -> is_listen_port(caravan_epmd:listen_port_please(Term, "host.test")) end,
     fun(Term) -> {ok, Port} =:= caravan_epmd:listen_port_please(Name, Term) end,
     fun(Term) -> {ok, -1} =:= caravan_epmd:register_node(Term, Term) end,
     fun(Term) -> {ok, -1} =:= caravan_epmd:register_node(Term, Term, Term) end,
     fun(Term) -> is_address(caravan_epmd:address_please(Term, "127.0.0.1", inet)) end,
     fun(Term) -> is_address(caravan_epmd:address_please("app-4834", Term, inet)) end,
     fun(Term) -> is_address(caravan_epmd:address_please("app-4834", Term, inet6)) end,
     fun(Term) -> is_address(caravan_epmd:address_please("app-4834", "host.test", Term)) end,
     fun(Term) -> is_address(caravan_epmd:address_please(Term, Term, Term)) end,
     fun(Term) -> is_port_answer(caravan_epmd:port_please(Term, ?LOCALHOST)) end,
     fun(Term) -> {port, 4834, 6} =:= caravan_epmd:port_please("app-4834", Term, Term) end,
     fun(Term) -> lists:member(caravan_epmd:names(Term), [{ok, []}, {error, address}]) end].
