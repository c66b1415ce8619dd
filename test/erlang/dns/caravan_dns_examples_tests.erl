%% The examples in the documentation of caravan_dns run, with a test server in place of the one they name.
-module(caravan_dns_examples_tests).

-include_lib("eunit/include/eunit.hrl").

-define(NAMESERVER, "127.0.0.1:8600").
-define(NAME, "app.service.consul").

examples_test_() ->
    caravan_dns_fixture:tests([fun every_example_runs/1]).

every_example_runs(Server) ->
    ok = caravan_dns_server:put(Server, ?NAME, srv, [{srv, 30, 1, 1, 4370, "n1.example"}]),
    ok = caravan_dns_server:put(Server, "n1.example", a, [{a, 10, {10, 0, 0, 1}}]),
    ok = caravan_dns_server:put(Server, "localhost", a, [{a, 30, {127, 0, 0, 1}}]),
    Nameservers = [caravan_dns_server:nameserver(Server)],
    ok = application:set_env(caravan, nameservers, Nameservers),
    try
        Examples = [string:replace(Example, ?NAMESERVER, hd(Nameservers)) || Example <- examples()],
        ?assert(length(Examples) >= 8),
        lists:foreach(fun run/1, Examples)
    after
        application:unset_env(caravan, nameservers)
    end.

run(Example) ->
    Text = lists:flatten(Example),
    try
        erl_eval:exprs(expressions(Text), bindings(Text))
    catch
        Class:Reason:Stack -> erlang:raise(Class, {Text, Reason}, Stack)
    end.

%% The block without a call shows the result of a lookup.
expressions(Example) ->
    Text =
        case string:find(Example, "caravan_dns:") of
            nomatch -> "Answer = " ++ Example ++ ".";
            _ -> Example
        end,
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    Expressions.

%% Bindings that an example uses without defining them.
bindings(Example) ->
    {ok, Resolver} = caravan_dns:open(#{}),
    Bindings = #{'Answer' => caravan_dns:lookup(?NAME, srv), 'Resolver' => Resolver},
    case string:find(Example, "caravan_dns:open(") of
        nomatch -> Bindings;
        _ -> maps:remove('Resolver', Bindings)
    end.

%% Returns the text between ``` and ''' in the comments.
examples() ->
    {ok, Source} = file:read_file(proplists:get_value(source, caravan_dns:module_info(compile))),
    {match, Blocks} = re:run(Source, "^%% ```\n((?:%%.*\n)*?)%% '''$", [global, multiline, {capture, [1], list}]),
    [re:replace(Block, "^%%", "", [global, multiline, {return, list}]) || [Block] <- Blocks].
