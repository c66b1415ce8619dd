-module(caravan_template_tests).

-include_lib("eunit/include/eunit.hrl").

-define(KNOWN, [basename, port, target, ip]).

a_template_is_rendered_with_what_its_placeholders_stand_for_test() ->
    Bindings = #{basename => <<"app">>, port => <<"4370">>, target => <<"n1.test">>, ip => <<"10.0.0.1">>},
    [
        begin
            {ok, Template} = caravan_template:parse(Text, ?KNOWN),
            ?assertEqual(Name, caravan_template:render(Template, Bindings))
        end
     || {Text, Name} <- [
            {<<"{basename}-{port}@{target}">>, <<"app-4370@n1.test">>},
            {<<"{port}{basename}@{ip}">>, <<"4370app@10.0.0.1">>},
            {<<"x@{target}">>, <<"x@n1.test">>},
            {<<"a@b">>, <<"a@b">>},
            {<<"{basename}@x{ip}y">>, <<"app@x10.0.0.1y">>}
        ]
    ].

what_is_no_template_is_an_error_test() ->
    [
        ?assertEqual({Text, error}, {Text, caravan_template:parse(Text, ?KNOWN)})
     || Text <- [
            <<"{basename@{ip}">>, <<"basename}@{ip}">>, <<"{host}@{ip}">>, <<"{}@{ip}">>, <<"{{basename}}@{ip}">>, <<"{basename}@{ip">>,
            <<"{Basename}@{ip}">>
        ]
    ].

the_placeholders_of_a_template_are_known_test() ->
    {ok, Template} = caravan_template:parse(<<"{basename}@{ip}">>, ?KNOWN),
    ?assert(caravan_template:uses(ip, Template)),
    ?assertNot(caravan_template:uses(port, Template)).

the_text_of_a_template_is_what_was_parsed_test() ->
    [
        begin
            {ok, Template} = caravan_template:parse(Text, ?KNOWN),
            ?assertEqual({Text, Literals}, {caravan_template:text(Template), caravan_template:literals(Template)})
        end
     || {Text, Literals} <- [{<<>>, <<>>}, {<<"{basename}-{port}@{target}">>, <<"-@">>}, {<<"a@b">>, <<"a@b">>}]
    ].

%% Compares random texts with another implementation of the rule: a regular expression decides what is a template, and
%% replacing the placeholders one by one gives its text. No text becomes an atom: what the first half of the texts has loaded
%% is there for the second half. A failure prints the seed.
random_texts_test_() ->
    {timeout, 60, fun() ->
        Early = [random_text(Seed) || Seed <- lists:seq(1, 10000)],
        Atoms = erlang:system_info(atom_count),
        Late = [random_text(Seed) || Seed <- lists:seq(10001, 20000)],
        ?assertEqual(Atoms, erlang:system_info(atom_count)),
        Kinds = Early ++ Late,
        [?assert(length([Kind || Kind <- Kinds, Kind =:= Expected]) > 1000) || Expected <- [template, error]]
    end}.

random_text(Seed) ->
    _ = rand:seed(exsss, Seed),
    Text = iolist_to_binary([random_piece() || _ <- lists:seq(1, rand:uniform(8))]),
    case re:run(Text, "\\A([^{}]|\\{(basename|port|target|ip)\\})*\\z", [dotall, {capture, none}]) of
        match ->
            {ok, Template} = caravan_template:parse(Text, ?KNOWN),
            Bindings = maps:from_list([{Placeholder, random_octets()} || Placeholder <- ?KNOWN]),
            ?assertEqual({Seed, Text}, {Seed, caravan_template:text(Template)}),
            ?assertEqual({Seed, replaced(Text, Bindings)}, {Seed, caravan_template:render(Template, Bindings)}),
            template;
        nomatch ->
            ?assertEqual({Seed, Text, error}, {Seed, Text, caravan_template:parse(Text, ?KNOWN)}),
            error
    end.

random_piece() ->
    caravan_test_terms:one_of([
        "{basename}", "{port}", "{target}", "{ip}", "{basename}", "-", "@", <<0>>, <<255>>, "\n", random_octets(),
        caravan_test_terms:one_of(["{", "}", "{}", "{host}", "{{ip}}", "{ip }", "{IP}"])
    ]).

%% Without braces, so that replaced text contains no placeholders.
random_octets() ->
    << <<Octet>> || <<Octet>> <= rand:bytes(rand:uniform(6)), Octet =/= ${, Octet =/= $} >>.

replaced(Text, Bindings) ->
    maps:fold(
        fun(Placeholder, Value, Left) ->
            iolist_to_binary(lists:join(Value, binary:split(Left, <<"{", (atom_to_binary(Placeholder))/binary, "}">>, [global])))
        end,
        Text,
        Bindings
    ).
