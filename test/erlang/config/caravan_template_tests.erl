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
