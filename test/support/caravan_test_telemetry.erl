%% @doc A module `telemetry' that passes events on to the test, like that of the telemetry application.
%%
%% ```
%% caravan_test_telemetry:with(fun() ->
%%     ok = caravan_telemetry:measure(),
%%     {Measurements, Metadata} = caravan_test_telemetry:await([caravan, cluster, status], #{topology => app})
%% end).
%% '''
-module(caravan_test_telemetry).

-export([with/1, with/2, await/2, received/0]).

-define(GUARD_MS, 30000).

%% @doc Calls a function while the caller receives events.
-spec with(fun(() -> Result)) -> Result.
with(Test) ->
    with("persistent_term:get(" ++ ?MODULE_STRING ++ ") ! {telemetry, Event, Measurements, Metadata}, ok", Test).

%% @doc Like with/1, with the body of execute(Event, Measurements, Metadata). What it sends to the pid in the persistent term
%% with the name of this module reaches the caller.
-spec with(Body :: string(), fun(() -> Result)) -> Result.
with(Body, Test) ->
    ok = persistent_term:put(?MODULE, self()),
    Source = "-module(telemetry). -export([execute/3]). execute(Event, Measurements, Metadata) -> " ++ Body ++ ".",
    {ok, Tokens, _} = erl_scan:string(Source),
    Forms = [form(Form) || Form <- forms(Tokens, [])],
    {ok, telemetry, Beam} = compile:forms(Forms, []),
    {module, telemetry} = code:load_binary(telemetry, "telemetry.beam", Beam),
    try
        Test()
    after
        true = code:delete(telemetry),
        _ = code:purge(telemetry),
        persistent_term:erase(?MODULE)
    end.

forms([], []) -> [];
forms([{dot, _} = Dot | Tokens], Form) -> [lists:reverse([Dot | Form]) | forms(Tokens, [])];
forms([Token | Tokens], Form) -> forms(Tokens, [Token | Form]).

form(Tokens) ->
    {ok, Form} = erl_parse:parse_form(Tokens),
    Form.

%% @doc Waits for the next event of that name with the given metadata; discards others.
-spec await([atom()], Expected :: map()) -> {Measurements :: map(), Metadata :: map()}.
await(Event, Expected) ->
    receive
        {telemetry, Event, Measurements, Metadata} ->
            case maps:with(maps:keys(Expected), Metadata) of
                Expected -> {Measurements, Metadata};
                _ -> await(Event, Expected)
            end
    after ?GUARD_MS -> error({no_event, Event, Expected})
    end.

%% @doc Returns all events that have arrived so far.
-spec received() -> [{[atom()], Measurements :: map(), Metadata :: map()}].
received() ->
    receive
        {telemetry, Event, Measurements, Metadata} -> [{Event, Measurements, Metadata} | received()]
    after 0 -> []
    end.
