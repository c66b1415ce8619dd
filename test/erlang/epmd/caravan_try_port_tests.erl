%% Whether OTP will be able to listen on a port.
-module(caravan_try_port_tests).

-include_lib("eunit/include/eunit.hrl").

a_port_that_is_taken_is_said_test() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {0, 0, 0, 0}}]),
    {ok, Port} = inet:port(Socket),
    ?assertEqual({error, eaddrinuse}, caravan_listen:try_port(Port, true)),
    %% There is no second protocol.
    ?assertEqual(ok, caravan_listen:try_port(Port, false)),
    ok = gen_tcp:close(Socket),
    ?assertEqual(ok, caravan_listen:try_port(Port, true)),
    ?assertEqual(ok, caravan_listen:try_port(0, true)).

%% OTP reports options that it cannot use itself.
options_that_otp_cannot_take_are_no_reason_test() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {0, 0, 0, 0}}]),
    {ok, Port} = inet:port(Socket),
    ok = application:set_env(kernel, inet_dist_listen_options, [{no_such_option, 1}]),
    ?assertEqual(ok, caravan_listen:try_port(Port, true)),
    ok = application:unset_env(kernel, inet_dist_listen_options),
    ok = gen_tcp:close(Socket).

a_node_that_is_none_has_no_port_of_its_own_test() ->
    ok = caravan_listen:note_actual_port(4370),
    ?assertNot(caravan_listen:is_own({127, 0, 0, 1}, 4370)),
    ok = caravan_listen:forget_actual_port().
