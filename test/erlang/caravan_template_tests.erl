-module(caravan_template_tests).

-include_lib("eunit/include/eunit.hrl").

a_template_is_rendered_with_what_its_placeholders_stand_for_test() ->
    Bindings = #{basename => <<"app">>, port => <<"4370">>, target => <<"n1.test">>, ip => <<"10.0.0.1">>},
    [
        begin
            {ok, Template} = caravan_template:parse(Text),
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
        ?assertEqual({Text, error}, {Text, caravan_template:parse(Text)})
     || Text <- [
            <<>>, <<"app">>, <<"{basename}">>, <<"{basename}@@{ip}">>, <<"a@b@{ip}">>, <<"{basename@{ip}">>,
            <<"basename}@{ip}">>, <<"{host}@{ip}">>, <<"{}@{ip}">>, <<"{{basename}}@{ip}">>, <<"{basename}@{ip">>,
            <<"{Basename}@{ip}">>
        ]
    ].

the_placeholders_of_a_template_are_known_test() ->
    {ok, Template} = caravan_template:parse(<<"{basename}@{ip}">>),
    ?assert(caravan_template:uses(ip, Template)),
    ?assertNot(caravan_template:uses(port, Template)).
