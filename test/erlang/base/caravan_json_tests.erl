-module(caravan_json_tests).

-include_lib("eunit/include/eunit.hrl").

terms_become_json_test_() ->
    [
        ?_assertEqual(Text, iolist_to_binary(caravan_json:encode(Value)))
     || {Value, Text} <- [
            {null, <<"null">>},
            {true, <<"true">>},
            {nxdomain, <<"\"nxdomain\"">>},
            {-12, <<"-12">>},
            {0.25, <<"0.25">>},
            {[], <<"[]">>},
            {#{}, <<"{}">>},
            {[1, <<"two">>, [three]], <<"[1,\"two\",[\"three\"]]">>},
            {#{b => 1, <<"a">> => #{c => null}}, <<"{\"a\":{\"c\":null},\"b\":1}">>}
        ]
    ].

text_from_the_network_cannot_leave_its_string_test_() ->
    [
        ?_assertEqual(<<"\"a\\\"b\\\\c\"">>, encode(<<"a\"b\\c">>)),
        ?_assertEqual(<<"\"\\u000a\\u0000\\u001b\\u007f\"">>, encode(<<"\n", 0, 27, 127>>)),
        ?_assertEqual(<<"\"x\\ufffdy\"">>, encode(<<"x", 255, "y">>)),
        ?_assertEqual(<<"\"\\ufffd\"">>, encode(<<16#C3>>)),
        ?_assertEqual(<<"\"ü\""/utf8>>, encode(<<"ü"/utf8>>))
    ].

encode(Value) ->
    iolist_to_binary(caravan_json:encode(Value)).
