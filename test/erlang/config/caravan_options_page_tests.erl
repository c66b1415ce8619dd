%% The tables of docs/options.md beside the code: each option is in its table, with the default and the bounds that the code has.
-module(caravan_options_page_tests).

-include_lib("eunit/include/eunit.hrl").

page_test_() ->
    {setup, fun caravan_nif:load/0, [
        {"each key has a row", fun each_key_has_a_row/0},
        {"a key's variable and default", [{Key, fun() -> a_key_has_its_variable_and_default(Row) end} || [Key | _] = Row <- keys()]},
        {"a key's bounds", [{Key, fun() -> a_key_has_its_bounds(Row) end} || [Key | _] = Row <- keys()]},
        {"variables of a topology", fun variables_of_a_topology/0},
        {"each option of a topology has a row", fun each_option_of_a_topology_has_a_row/0},
        {"each option of a resolver has a row", fun each_option_of_a_resolver_has_a_row/0},
        {"defaults", [{Option, fun() -> the_default_changes_nothing(Kind, Row) end} || {Kind, [Option | _] = Row} <- options()]},
        {"bounds", [{Option, fun() -> bounds_hold(Kind, Row) end} || {Kind, [Option | _] = Row} <- options()]}
    ]}.

each_key_has_a_row() ->
    ?assertEqual([atom_to_list(Key) || {Key, _, _, _} <- caravan_config:options()], [Key || [Key | _] <- keys()]).

a_key_has_its_variable_and_default([Text, Variable, Default | _]) ->
    Key = list_to_existing_atom(Text),
    {Key, Expected, _, _} = lists:keyfind(Key, 1, caravan_config:options()),
    ?assertEqual({Variable, Expected}, {caravan_variable:name(Key), term(Default)}).

%% Each number in the text of the error is in the row.
a_key_has_its_bounds([Text, _Variable, _Default | Cells]) ->
    Key = list_to_existing_atom(Text),
    {Key, _, Type, _} = lists:keyfind(Key, 1, caravan_config:options()),
    {error, {bad_option, _, _, Words}} = caravan_option:check(Key, self(), Type),
    ?assertEqual([], numbers(Words) -- numbers(lists:join(" ", Cells))).

numbers(Words) ->
    case re:run(unicode:characters_to_binary(Words), "\\b[0-9]+\\b", [global, {capture, first, list}]) of
        {match, Numbers} -> lists:usort(lists:append(Numbers));
        nomatch -> []
    end.

variables_of_a_topology() ->
    ?assertEqual(
        [[Variable, atom_to_list(Option)] || {Option, Variable, _} <- caravan_variable:topology_variables()],
        [lists:sublist(Row, 2) || Row <- rows("## A topology from the environment")]
    ).

%% `started_by' is for the strategy of libcluster alone.
each_option_of_a_topology_has_a_row() ->
    ?assertEqual(lists:sort(known(caravan_cluster:check_options(#{name => app, query => "app.test", no_option => 1})) -- ["started_by"]),
                 lists:sort([Option || {topology, [Option | _]} <- options()])).

each_option_of_a_resolver_has_a_row() ->
    ?assertEqual([atom_to_list(Option) || {Option, _, _} <- caravan_dns:resolver_options()], [Option || {resolver, [Option | _]} <- options()]).

known({error, {bad_option, no_option, 1, Allowed}}) ->
    [_, Known] = string:split(Allowed, "only the options "),
    string:lexemes(Known, ", ").

the_default_changes_nothing(_Kind, [_Option, "required" ++ _ | _]) -> ok;
%% Words, which the table has where the default depends on something.
the_default_changes_nothing(topology, ["atom_budget", "half of " ++ _ | _]) ->
    {ok, #{atom_budget := 50}} = check(topology, #{max_nodes => 100});
the_default_changes_nothing(topology, ["node_name", Defaults | _]) ->
    [Default, ForAddresses] = [term(Text) || Text <- code(Defaults)],
    same_with(topology, node_name, Default, #{}),
    same_with(topology, node_name, ForAddresses, #{record => a});
the_default_changes_nothing(Kind, [Option, Default | _]) ->
    same_with(Kind, list_to_existing_atom(Option), term(Default), #{}).

same_with(Kind, Option, Default, Others) ->
    {ok, Without} = check(Kind, Others),
    ?assertEqual({ok, Without}, check(Kind, Others#{Option => Default})).

bounds_hold(Kind, [Text, _Default, Allowed | _]) ->
    Option = list_to_existing_atom(Text),
    case re:run(Allowed, "([0-9,]+) to ([0-9,]+)(?!.*DNS)", [{capture, all_but_first, list}]) of
        {match, [First, Last]} ->
            [?assertMatch({Option, Value, {ok, _}}, {Option, Value, check(Kind, #{Option => Value})}) || Value <- [number(First), number(Last)]],
            [?assertMatch({Option, Value, {error, {bad_option, Option, Value, _}}}, {Option, Value, check(Kind, #{Option => Value})})
             || Value <- [number(First) - 1, number(Last) + 1], Value =/= 0 orelse Option =/= edns_size];
        nomatch ->
            Texts = [Code || Code <- code(Allowed), re:run(Code, "^[a-z_]+$", [{capture, none}]) =:= match],
            [?assertMatch({Option, Word, {ok, _}}, {Option, Word, check(Kind, #{Option => list_to_existing_atom(Word)})})
             || Word <- Texts, is_a_value_of_its_own(Word)]
    end.

%% `nameservers' of another table, and the names of what is in a value.
is_a_value_of_its_own(Word) -> not lists:member(Word, ["nameservers", "logger", "max_entries", "max_ttl", "max_negative_ttl"]).

%% What the options become.
check(topology, Options) ->
    caravan_cluster:check_options(maps:merge(#{name => app, query => "app.test"}, Options));
check(resolver, Options) ->
    caravan_option:validate(Options, caravan_dns:resolver_options());
check(cache, Options) ->
    case check(resolver, #{cache => Options}) of
        {ok, #{cache := Limits}} ->
            {ok, Limits};
        {error, {bad_option, cache, Value, Allowed}} ->
            [{Option, Bad}] = maps:to_list(Value),
            {error, {bad_option, Option, Bad, Allowed}}
    end.

keys() -> rows("## Keys of the application").

options() ->
    {Resolver, Cache} = lists:splitwith(fun([Option | _]) -> Option =/= "max_entries" end, rows("## Options of a resolver")),
    [{topology, Row} || Row <- rows("## Options of a topology")] ++ [{resolver, Row} || Row <- Resolver] ++ [{cache, Row} || Row <- Cache].

%% The cells of the section's tables, but for their heads; the first cell and that of a variable without the marks of code.
rows(Heading) ->
    {ok, Page} = file:read_file(caravan_test_directory:in_repository("docs/options.md")),
    [_, Section] = string:split(unicode:characters_to_list(Page), Heading ++ "\n"),
    [Own | _] = string:split(Section, "\n## "),
    [cells(Line) || "| `" ++ _ = Line <- string:lexemes(Own, "\n")].

cells(Line) ->
    [Option, Second | Cells] = [string:trim(Cell) || Cell <- lists:droplast(tl(string:split(Line, "|", all)))],
    [string:trim(Option, both, "`"), string:trim(Second, both, "`") | Cells].

code(Cell) ->
    {match, Codes} = re:run("`" ++ string:trim(Cell, both, "`") ++ "`", "`([^`]+)`", [global, {capture, all_but_first, list}]),
    lists:append(Codes).

term(Cell) ->
    {ok, Tokens, _} = erl_scan:string(string:trim(Cell, both, "`") ++ "."),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.

number(Text) -> list_to_integer(lists:flatten(string:replace(Text, ",", "", all))).
