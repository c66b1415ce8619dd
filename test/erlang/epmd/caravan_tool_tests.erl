-module(caravan_tool_tests).

-include_lib("eunit/include/eunit.hrl").

each_tool_is_known_test() ->
    ?assertEqual(erl, caravan_tool:tool()),
    true = os:putenv("RELEASE_ROOT", "/opt/app"),
    ?assertEqual(mix_release, caravan_tool:tool()),
    ok = with_module(rebar_prv_shell, fun() -> ?assertEqual(rebar3_shell, caravan_tool:tool()) end),
    ok = with_module('Elixir.Mix', fun() -> ?assertEqual(mix, caravan_tool:tool()) end),
    true = os:unsetenv("RELEASE_ROOT").

with_module(Name, Test) ->
    {ok, Name, Binary} = compile:forms([{attribute, 1, module, Name}]),
    {module, Name} = code:load_binary(Name, "", Binary),
    Test(),
    true = code:delete(Name),
    ok.
