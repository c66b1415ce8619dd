%% Where the doctor finds a cookie, and what it reports about it.
-module(caravan_doctor_cookie_tests).

-include_lib("eunit/include/eunit.hrl").

a_node_has_its_own_test() ->
    ?assertMatch({ok, #{source := this_node, certainty := certain}}, caravan_doctor_cookie:find(inside, none)).

a_variable_says_it_test_() ->
    [{Text, fun() ->
        true = os:putenv("RELEASE_COOKIE", Text),
        Found = caravan_doctor_cookie:find(outside, none),
        true = os:unsetenv("RELEASE_COOKIE"),
        ?assertEqual(IsTaken, {ok, #{cookie => list_to_atom(string:slice(Text, 0, 255)), source => release_cookie, certainty => certain}} =:= Found)
     end}
     || {Text, IsTaken} <- [{"a cookie", true}, {lists:duplicate(255, $a), true}, {lists:duplicate(256, $a), false}, {"", false}]].

a_file_has_it_without_its_line_end_test() ->
    caravan_test_directory:with(fun(Directory) ->
        File = caravan_test_directory:write(filename:join(Directory, "COOKIE"), "secret\n"),
        ?assertEqual({ok, #{cookie => secret, source => {file, File}, certainty => certain}}, caravan_doctor_cookie:find(outside, File))
    end).

what_is_said_of_it_test_() ->
    Known = fun(Source, Certainty) -> {ok, #{cookie => secret, source => Source, certainty => Certainty}} end,
    {setup, fun caravan_nif:load/0, [
        ?_assertEqual(Expected, [{State, Seen} || #{state := State, seen := Seen} <- element(1, caravan_doctor_cookie:look(
            maps:merge(#{handshake => true, mode => outside, own => none}, Context)))])
     || {Expected, Context} <- [
            {[{note, <<"it is not compared (--no-handshake)">>}], #{handshake => false}},
            {[{unknown, <<"cannot read it">>}], #{cookie => {error, "cannot read it"}}},
            {[{unknown, <<"no cookie is known: give --cookie-file FILE">>}], #{cookie => {ok, #{cookie => nocookie, source => none, certainty => guess}}}},
            {[], #{mode => inside, own => <<"a@127.0.0.1">>, cookie => Known(this_node, certain)}},
            {[{ok, <<"that of this node">>}], #{cookie => Known(this_node, certain)}},
            {[{ok, <<"that of -setcookie">>}], #{cookie => Known(setcookie, certain)}},
            {[{ok, <<"that of RELEASE_COOKIE">>}], #{own => <<"a-1@127.0.0.1">>, cookie => Known(release_cookie, certain)}},
            {[{note, <<"that of /a/file is not compared, as the node may have another one (--cookie-file FILE)">>}],
             #{cookie => Known({file, "/a/file"}, guess)}}
        ]
    ]}.
