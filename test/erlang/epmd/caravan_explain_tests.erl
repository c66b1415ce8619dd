%% caravan_epmd:explain/1: which port, by which rule, and why.
-module(caravan_explain_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/3, free_port/0]).
-import(caravan_test_node, [call/4]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

rules_test_() ->
    {setup, fun() -> ?assertEqual(ignore, caravan_epmd:start_link()) end, fun(_) -> ok end,
     [fun digits_of_the_name/0, fun helpers_have_the_hash_of_their_name/0, fun digits_that_do_not_count/0, fun default_port/0, fun names_of_any_kind/0,
      fun records_come_before_the_default_port/0, fun epmd_comes_before_the_default_port/0,
      fun records_come_before_epmd/0, fun digits_come_before_what_could_be_asked/0,
      fun digits_are_ignored_where_nobody_says_the_port/0, fun other_terms_are_badarg/0]}.

digits_of_the_name() ->
    ?assertEqual(#{port => 4834, rule => name, explanation => "the digits at the end of the name, 4834"},
                 caravan_epmd:explain('app-4834@host')).

helpers_have_the_hash_of_their_name() ->
    [begin
         Words = io_lib:format("the hash of a helper's name (pattern ~ts), ~b", [Pattern, Port]),
         ?assertEqual({Name, #{port => Port, rule => helper, explanation => lists:flatten(Words)}},
                      {Name, caravan_epmd:explain(Name)}),
         ?assertEqual({Name, Port}, {Name, caravan_epmd:dist_port(Name)})
     end
     || {Name, Port, Pattern} <- [{"rem-1f3a-app-4370@host", 64300, "mix_remote"}, {"rpc-00c4-app@host", 64046, "mix_rpc"},
                                  {"maint1f3a-app-80", 62228, "relx_maint"}, {"peer-12-34567@host", 61843, "peer"}]].

digits_that_do_not_count() ->
    [try
         with_env([{port_in_name, Which}], fun() ->
             ok = caravan_boot:prepare(),
             ?assertEqual(#{port => 4370, rule => default_port,
                            explanation => Why ++ " (application environment): default_port, 4370"},
                          caravan_epmd:explain(Name))
         end)
     after
         ok = caravan_boot:prepare()
     end
     || {Which, Name, Why} <- [{dash, "app4834", "the name does not end in a dash and digits"},
                               {none, "app-4834", "digits in names do not count"}]].

default_port() ->
    ?assertEqual(#{port => 4370, rule => default_port,
                   explanation => "the name ends in no digits: default_port, 4370"},
                 caravan_epmd:explain('app@host')),
    ?assertEqual(#{port => 4370, rule => default_port,
                   explanation => "the digits at the end of the name are not a port within port_range, 1024 to 65535: "
                                  "default_port, 4370"},
                 caravan_epmd:explain('app-80@host')).

names_of_any_kind() ->
    [?assertEqual({Name, caravan_epmd:explain('app-4834')}, {Name, caravan_epmd:explain(Name)})
     || Name <- ["app-4834", <<"app-4834">>, 'app-4834@узел', "app-4834@узел", <<"app-4834@узел"/utf8>>]].

records_come_before_the_default_port() ->
    with_env([{port_srv, "{name}.app.test"}], fun() ->
        ?assertEqual(#{port => 4370, rule => port_srv,
                       explanation => "the name ends in no digits: SRV records of {name}.app.test (application environment), "
                                      "or, if there are none, default_port, 4370"},
                     caravan_epmd:explain(app))
    end).

epmd_comes_before_the_default_port() ->
    with_env([{fallback, epmd}], fun() ->
        ?assertEqual(#{port => 4370, rule => epmd,
                       explanation => "the name ends in no digits: the epmd of its host (application environment), "
                                      "or, if that does not know the name, default_port, 4370"},
                     caravan_epmd:explain(app))
    end).

records_come_before_epmd() ->
    with_env([{fallback, epmd}, {port_srv, "{name}.app.test"}], fun() ->
        ?assertMatch(#{rule := port_srv}, caravan_epmd:explain(app))
    end).

%% The node also logs this when it starts.
digits_are_ignored_where_nobody_says_the_port() ->
    Ignored = fun() -> [Name || Name <- ["app", "app-4834", "app-80", "rpc-1f3a-app-80"], caravan_port:ignores_digits(Name)] end,
    ?assertEqual(["app-80"], Ignored()),
    [with_env(Env, fun() -> ?assertEqual([], Ignored()) end) || Env <- [[{port_srv, "{name}.app.test"}], [{fallback, epmd}]]].

digits_come_before_what_could_be_asked() ->
    with_env([{fallback, epmd}, {port_srv, "{name}.app.test"}], fun() ->
        ?assertMatch(#{rule := name}, caravan_epmd:explain('app-4834')),
        ?assertMatch(#{rule := helper}, caravan_epmd:explain('rem-1f3a-app-4834'))
    end).

other_terms_are_badarg() ->
    [?assertError(badarg, caravan_epmd:explain(Term)) || Term <- [4370, 1.5, self(), {app, host}, #{}, [app], <<1:3>>]].

with_env(Env, Test) ->
    [ok = application:set_env(caravan, Key, Value) || {Key, Value} <- Env],
    try
        Test()
    after
        [ok = application:unset_env(caravan, Key) || {Key, _} <- Env]
    end.

what_is_said_of_all_nodes_comes_before_default_port_test_() ->
    [?NODES(begin
        Port = free_port(),
        Text = integer_to_list(Port),
        Env = [{"ERL_DIST_PORT", Text} || Rule =:= erl_dist_port],
        Flags = lists:append([["-erl_epmd_port", Text] || Rule =:= erl_epmd_port]),
        caravan_test_network:with(#{node => #{env => Env}}, fun(Network) ->
            {_, Node} = boot(Network, 'app@127.0.0.1', Flags),
            ?assertEqual(#{port => Port, rule => Rule,
                           explanation => "the name ends in no digits: " ++ Words ++ ", " ++ Text},
                         call(Node, caravan_epmd, explain, [app])),
            ?assertMatch(#{port := Port, rule := Rule}, call(Node, caravan_epmd, explain, ['app-80'])),
            ?assertMatch(#{port := 4834, rule := name}, call(Node, caravan_epmd, explain, ['app-4834']))
        end)
    end)
     || {Rule, Words} <- [{erl_epmd_port, "-erl_epmd_port"}, {erl_dist_port, "ERL_DIST_PORT"}]].
