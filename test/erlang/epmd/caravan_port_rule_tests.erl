%% Compares the port rule of C++ with the same rule in Erlang: built-in names of helpers and patterns as regular expressions,
%% numbers as integers. Names and rules are random; a failure prints the seed.
-module(caravan_port_rule_tests).

-include_lib("eunit/include/eunit.hrl").

-define(NAMES, 200).
-define(PATTERNS, [<<"foo-{number}-*">>, <<"*ctl">>, <<"{number}-job">>, <<"a*b{number}*c">>, <<"job_*_{number}">>]).

rule_test_() ->
    {setup, fun() -> ok = caravan_nif:load() end,
     {timeout, 120, [{lists:concat(["seed ", Seed]), fun() -> same_ports(Seed) end} || Seed <- lists:seq(1, 20)]}}.

same_ports(Seed) ->
    _ = rand:seed(exsss, Seed),
    Rule = rule(),
    ok = caravan_nif:set_port_rule(Rule),
    [?assertEqual({{seed, Seed}, Rule, Name, expected(Name, Rule)}, {{seed, Seed}, Rule, Name, caravan_nif:port_choice(Name)})
     || Name <- names()].

%% Both ways from a name to a port occur often.
names_reach_every_rule_test() ->
    _ = rand:seed(exsss, 1),
    Rule = #{default_port => 4370, port_range => {1024, 65535}, port_in_name => dash, helper_ports => {61000, 65535},
             helper_names => ?PATTERNS},
    Origins = [Origin || _ <- lists:seq(1, 20), Name <- names(), {_, Origin} <- [expected(Name, Rule)]],
    Missing = [name, no_digits, digits_ignored | [{helper, Pattern} || Pattern <- ?PATTERNS ++ built_in_names()]] -- Origins,
    ?assertEqual([], Missing).

rule() ->
    {First, Last} = range(1),
    #{
        default_port => one_of([4370, 61000, 61001, rand:uniform(65535)]),
        port_range => {First, Last},
        port_in_name => one_of([digits, dash, none]),
        helper_ports => one_of([{61000, 65535}, {61000, 61002}, range(3)]),
        helper_names => [Pattern || Pattern <- ?PATTERNS, rand:uniform(2) =:= 1]
    }.

range(Ports) ->
    First = rand:uniform(65536 - Ports),
    {First, First + Ports - 1 + rand:uniform(65536 - First - Ports + 1) - 1}.

names() -> [name() || _ <- lists:seq(1, ?NAMES)].

name() ->
    Pieces = [piece() || _ <- lists:seq(2, rand:uniform(6))],
    iolist_to_binary([one_of(["", "", prefix()]), Pieces, one_of(["", "", suffix()]), one_of(["", "@h", "@h-4370.test", "@"])]).

prefix() ->
    one_of(["rem-" ++ random(), "rpc-" ++ random(), "maint" ++ hex(), "remsh" ++ hex(), "longname" ++ hex(),
            lists:sublist(hex() ++ "0aF", 3) ++ one_of(["-ctl", "-debug", "-etop", "-ping", "-top"]), "rabbitmqcli-" ++ digits(),
            "peer-" ++ digits() ++ "-" ++ digits(), "foo-" ++ digits() ++ "-", "a"]).

suffix() ->
    one_of(["_maint_" ++ digits(), "_prelaunch_" ++ digits(), "_SUITE-" ++ digits() ++ "-" ++ digits(),
            "_SUITE-x-" ++ digits() ++ "-" ++ digits(), "-" ++ digits() ++ "-" ++ digits(), "ctl", digits() ++ "-job",
            "b" ++ digits() ++ "c", "job_x_" ++ digits(), "-" ++ digits()]).

random() -> one_of([hex(), digits(), "1f3a"]).
hex() -> [one_of("0123456789abcdefABCDEF") || _ <- lists:seq(1, rand:uniform(5))].
digits() -> one_of(["0", "4370", "0004834", "65535", "65536", "61001", "99999999999999999999", integer_to_list(rand:uniform(70000))]).
piece() -> one_of(["-", "-", "_", "app", "a", "N", digits(), hex(), "-n", "\303\266", ".", ""]).

one_of(List) -> lists:nth(rand:uniform(length(List)), List).

expected(Text, Rule) ->
    [Name | _] = binary:split(Text, <<"@">>),
    case is_basename(Name) andalso helper(Name, Rule) of
        {helper, _} = Origin -> {helper_port(Name, Rule), Origin};
        _NoHelper -> by_digits(counting_digits(Name, Rule), Rule)
    end.

is_basename(Name) -> byte_size(Name) =< 255 andalso matches(Name, "[A-Za-z0-9_-]+").

helper(Name, #{helper_names := Patterns}) ->
    All = built_ins() ++ [{Pattern, regex(Pattern)} || Pattern <- Patterns],
    case [Pattern || {Pattern, Regex} <- All, matches(Name, Regex)] of
        [Pattern | _] -> {helper, Pattern};
        [] -> none
    end.

built_in_names() -> [Name || {Name, _} <- built_ins()].

%% The helper's own part is followed by a node name, in which not all characters are digits.
built_ins() ->
    Node = "-[0-9]*[^0-9].*",
    Random = "(?:[0-9a-f]{4}|[0-9]{1,5})",
    [
        {<<"mix_remote">>, "rem-" ++ Random ++ Node},
        {<<"mix_rpc">>, "rpc-" ++ Random ++ Node},
        {<<"relx_maint">>, "maint[0-9a-fA-F]+" ++ Node},
        {<<"relx_remsh">>, "remsh[0-9a-fA-F]+" ++ Node},
        {<<"relx_longname">>, "longname[0-9a-fA-F]+" ++ Node},
        {<<"nodetool">>, ".*_maint_[0-9]+"},
        {<<"ejabberdctl">>, "[0-9a-fA-F]{3}-(?:(?:ctl|debug|etop|ping|top)" ++ Node ++ "|ping)"},
        {<<"rabbitmq_cli">>, "rabbitmqcli-[0-9]+" ++ Node},
        {<<"rabbitmq_prelaunch">>, ".*_prelaunch_[0-9]+"},
        {<<"peer">>, "peer-[0-9]+-[0-9]+"},
        {<<"common_test">>, ".*_SUITE(?:-.*)?-[0-9]+-[0-9]+"}
    ].

regex(<<>>) -> "";
regex(<<"{number}", Rest/binary>>) -> "(?<![0-9])[0-9]+(?![0-9])" ++ regex(Rest);
regex(<<"*", Rest/binary>>) -> ".*" ++ regex(Rest);
regex(<<C, Rest/binary>>) -> [C | regex(Rest)].

matches(Text, Regex) -> re:run(Text, "\\A(?:" ++ Regex ++ ")\\z", [{capture, none}]) =:= match.

counting_digits(Name, #{port_in_name := How}) ->
    {match, [Before, Digits]} = re:run(Name, "\\A(.*?)([0-9]*)\\z", [{capture, all_but_first, binary}, dotall]),
    case How of
        digits -> Digits;
        dash when Before =/= <<>> -> after_dash(binary:last(Before), Digits);
        _ -> <<>>
    end.

after_dash($-, Digits) -> Digits;
after_dash(_, _) -> <<>>.

by_digits(<<>>, #{default_port := Default}) ->
    {Default, no_digits};
by_digits(Digits, #{default_port := Default, port_range := {First, Last}}) ->
    case binary_to_integer(Digits) of
        Port when Port >= First, Port =< Last -> {Port, name};
        _ -> {Default, digits_ignored}
    end.

helper_port(Name, #{default_port := Default, helper_ports := {First, Last}}) ->
    Hash = lists:foldl(fun(Octet, Hash) -> ((Hash bxor Octet) * 16777619) band 16#FFFFFFFF end, 2166136261, binary_to_list(Name)),
    {match, [Digits]} = re:run(Name, "[0-9]*\\z", [{capture, first, list}]),
    Taken = [Default | [list_to_integer(Digits) || Digits =/= ""]],
    Ports = Last - First + 1,
    hd([Port || N <- lists:seq(Hash, Hash + 2), Port <- [First + N rem Ports], not lists:member(Port, Taken)]).
