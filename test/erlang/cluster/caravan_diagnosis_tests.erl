%% Why real nodes do not connect.
-module(caravan_diagnosis_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/2, boot/3, free_port/0, node_name/3]).
-import(caravan_test_node, [call/4]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

why(Node, Other) ->
    ?assertEqual(false, call(Node, net_kernel, connect_node, [Other])),
    call(Node, caravan_diagnosis, why, [Other]).

%% The nodes know the hosts of a file and ask no DNS server.
with_network(Options, Test) ->
    caravan_test_directory:with(fun(Directory) ->
        Variable = caravan_test_network:hosts(Directory, "n.test", {127, 0, 0, 1}),
        caravan_test_network:with(Options#{node => #{env => [Variable]}}, Test)
    end).

the_reason_is_found_by_taking_the_steps_once_more_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {Name, Node} = boot(Network, "app"),
        Port = call(Node, caravan_epmd, dist_port, [Name]),
        ?assertEqual({unreachable, econnrefused}, why(Node, node_name(Network, "app", free_port()))),
        ?assertEqual(no_address, why(Node, 'app-4370@nowhere.test')),
        ?assertEqual(no_address, call(Node, caravan_diagnosis, why, [nameonly])),
        {Helper, _} = caravan_test_network:helper_name(Network, "rem-1f3a-"),
        ?assertEqual({unreachable, econnrefused}, why(Node, Helper)),
        %% OTP takes 7 s to find out that it talks to itself.
        ?assertEqual(this_node, call(Node, caravan_diagnosis, why, [node_name(Network, "other", Port)])),
        ?assertEqual(needs_short_names, why(Node, 'app-4370@short'))
    end)).

another_cookie_is_a_refused_handshake_test_() ->
    ?NODES(with_network(#{host => "n.test"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        {Other, _} = boot(Network#{cookie := "another"}, "app"),
        ?assertEqual(handshake, why(Node, Other))
    end)).

a_short_name_does_not_reach_a_long_one_test_() ->
    ?NODES(with_network(#{host => "short", name_flag => "-sname"}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        ?assertEqual(needs_long_names, why(Node, 'app-4370@n.test'))
    end)).

every_reason_has_words_test_() ->
    [
        ?_assert(is_list(unicode:characters_to_list(caravan_diagnosis:format(Reason))))
     || Reason <- [
            no_address, {no_port, erl_epmd}, {no_port, some_module}, {unreachable, econnrefused}, handshake, this_node, needs_long_names,
            needs_short_names, not_distributed, timeout, {result, {a, "b"}}, {raised, {error, x}}
        ]
    ].
