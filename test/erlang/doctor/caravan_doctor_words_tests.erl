%% The forms of the doctor's report, and the causes of the reasons why a node cannot be connected.
-module(caravan_doctor_words_tests).

-include_lib("eunit/include/eunit.hrl").

-define(ENDPOINT, {{127, 0, 0, 1}, 4370}).

a_reason_has_its_cause_test_() ->
    [{lists:flatten(io_lib:format("~p", [Reason])), fun() ->
        #{name := Name, text := Text, advice := Advice} = caravan_cause:of_reason(Reason, <<"app@a.test">>),
        ?assertEqual(Expected, Name),
        ?assertMatch(<<"app@a.test: ", _, _/binary>>, Text),
        ?assertNotEqual(<<>>, Advice)
     end}
     || {Reason, Expected} <- [
            {cookie, cookie}, {tls_here, tls_one_side}, {tls_there, tls_one_side},
            {{tls, unknown_ca, here}, certificate}, {{tls, handshake_failure, there}, tls}, {handshake, tls},
            {{unreachable, etimedout, ?ENDPOINT}, packets_dropped}, {{unreachable, ehostunreach, ?ENDPOINT}, packets_dropped},
            {{unreachable, econnrefused, ?ENDPOINT}, nothing_listens}, {{no_node, ?ENDPOINT}, no_node}, {{no_port, erl_epmd}, epmd_here},
            {needs_long_names, name_kind}, {needs_short_names, name_kind}, {this_node, this_node}, {not_allowed, not_allowed},
            {not_allowed_here, not_allowed_here}, {no_address, no_address}, {timeout, silent},
            {{other_name, <<"app@A.test">>, not_connected}, spelling}, {{other_name, <<"other@a.test">>, not_connected}, basename},
            {{other_name, <<"app@b.test">>, not_connected}, other_name}
        ]].

each_cause_has_its_advice_test_() ->
    [?_assertMatch(#{name := Name, text := <<"what is wrong">>, advice := <<_, _/binary>>}, caravan_cause:new(Name, "what is wrong"))
     || Name <- [library, configuration, epmd_here, epmd_twice, epmd_there, port_taken, spelling, dns_down, dns_udp_only, dns_error, no_records,
                 names, node_name, not_listed, address_family, left, not_started, not_running, not_connected, helper_ports]].

states_have_words_and_colours_test() ->
    Checks = [caravan_check:ok(node, "a", "listens", []), caravan_check:note(flags, "b", "is odd", []),
              caravan_check:fault(cookie, "c", "differs", caravan_cause:new(cookie, "differs")),
              caravan_check:unknown(peer, "d", "cannot be judged", []), caravan_check:not_looked_at(peer, "e")],
    ?assertEqual(
        ["caravan doctor: app@a.test", "", "  ok    node         a: listens", "  note  flags        b: is odd", "  FAULT cookie       c: differs",
         "  ?     peer         d: cannot be judged", "  -     peer         e: not looked at", "", "cause: differs",
         "   do: give all nodes the same cookie (-setcookie, ~/.erlang.cookie, RELEASE_COOKIE)", ""],
        lines(report(<<"app@a.test">>, fault, caravan_cause:new(cookie, "differs"), Checks), plain)
    ),
    Coloured = lines(report(none, fault, caravan_cause:new(cookie, "differs"), Checks), colour),
    ?assertEqual("caravan doctor: a node whose name is not known", hd(Coloured)),
    ?assertEqual(["32", "33", "1;31", "2", "2"], [code(Line) || Line <- lists:sublist(Coloured, 3, 5)]).

code(Line) ->
    {match, [Code]} = re:run(Line, "\e\\[([0-9;]+)m", [{capture, [1], list}]),
    Code.

the_last_line_of_a_report_without_a_fault_test_() ->
    NotLookedAt = caravan_check:not_looked_at(peer, "e"),
    Unknown = caravan_check:unknown(peer, "d", "cannot be judged", []),
    [?_assertEqual(Expected, lists:nth(length(lines(Report)) - 1, lines(Report)))
     || {Expected, Report} <- [
            {"no fault found", report(none, ok, none, [])},
            {"no fault found, but 1 node could not be judged", report(none, unknown, none, [Unknown])},
            {"no fault found, but 2 nodes could not be judged",
             report(none, unknown, none, [Unknown, Unknown, NotLookedAt])},
            {"nothing to look at: name a query (--query NAME, the option query), or give the sys.config of the node", report(none, unknown, none, [])},
            {"nothing was examined for lack of time; --timeout MS gives more", report(none, unknown, none, [NotLookedAt])}
        ]].

many_nodes_that_are_alike_are_one_line_test() ->
    Lines = lines(report(none, ok, none, [caravan_check:ok(peer, integer_to_list(Number), "answers", []) || Number <- lists:seq(1, 500)])),
    ?assertEqual(["  ok    peer         500 nodes: they answer, or are connected"], [Line || Line <- Lines, string:find(Line, "peer") =/= nomatch]).

control_characters_are_not_printed_test() ->
    ?assertEqual("  ok    node         ?[2J: ?", lists:nth(3, lines(report(none, ok, none, [caravan_check:ok(node, "\e[2J", "\n", [])])))).

json_has_null_for_none_test() ->
    Text = iolist_to_binary(caravan_doctor_text:format(report(none, ok, none, []), json)),
    ?assertMatch({_, _}, binary:match(Text, <<"\"cause\":null">>)),
    ?assertMatch({_, _}, binary:match(Text, <<"\"node\":null">>)).

report(Node, Status, Cause, Checks) -> #{node => Node, status => Status, cause => Cause, checks => Checks}.

lines(Report) -> lines(Report, plain).

lines(Report, Form) ->
    string:split(unicode:characters_to_list(caravan_doctor_text:format(Report, Form)), "\n", all).
