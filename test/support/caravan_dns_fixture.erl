%% @doc EUnit tests of the running application, each with a DNS server of its own.
-module(caravan_dns_fixture).

-export([tests/1, open/2, await/1, await_value/2, malformed/1]).

%% A wait that reaches this limit fails the test.
-define(GUARD_MS, 30000).
-define(POLL_MS, 10).

%% @doc A fixture for EUnit. The tests are functions of the calling module that take the server.
-spec tests([fun((pid()) -> term())]) -> term().
tests(Tests) ->
    {setup, fun start_application/0, fun stop_application/1,
        {foreach, fun start_server/0, fun caravan_dns_server:stop/1, [named(Test) || Test <- Tests]}}.

named(Test) ->
    {name, Name} = erlang:fun_info(Test, name),
    fun(Server) -> {atom_to_list(Name), {timeout, 60, fun() -> Test(Server) end}} end.

start_application() ->
    {ok, _} = application:ensure_all_started(caravan).

stop_application(_) ->
    ok = application:stop(caravan).

start_server() ->
    {ok, Server} = caravan_dns_server:start_link(#{}),
    Server.

%% @doc A resolver that asks a test server, unless the options name others.
-spec open(pid(), map()) -> caravan_dns:resolver().
open(Server, Options) ->
    Default = #{nameservers => [caravan_dns_server:nameserver(Server)]},
    {ok, Resolver} = caravan_dns:open(maps:merge(Default, Options)),
    Resolver.

%% @doc Waits for the result of a lookup.
-spec await(reference()) -> {ok, caravan_dns:answer()} | {error, term()}.
await(Ref) ->
    receive
        {caravan_dns, Ref, Result} -> Result
    after ?GUARD_MS -> error(no_answer)
    end.

%% @doc Waits until a function returns a value. For values without an event: a lookup is counted only after its answer was
%% sent.
-spec await_value(Value, fun(() -> Value)) -> ok.
await_value(Value, Fun) ->
    await_value(Value, Fun, ?GUARD_MS div ?POLL_MS).

await_value(Value, Fun, Polls) ->
    case Fun() of
        Value -> ok;
        Other when Polls =:= 0 -> error({still, Other, instead_of, Value});
        _ -> receive after ?POLL_MS -> await_value(Value, Fun, Polls - 1) end
    end.

%% @doc A reply that claims more than there is, for caravan_dns_server: `{raw, fun caravan_dns_fixture:malformed/1}'.
-spec malformed(binary()) -> binary().
malformed(<<Id:2/binary, _Flags:2/binary, _Counts:8/binary, Question/binary>>) ->
    %% The header and the question as they came, then a record whose data is missing.
    <<Id/binary, 16#8180:16, 1:16, 9:16, 0:32, (question(Question))/binary, 16#c00c:16, 33:16, 1:16, 1:32, 999:16>>.

question(<<0, Type:2/binary, Class:2/binary, _/binary>>) -> <<0, Type/binary, Class/binary>>;
question(<<Size, Label:Size/binary, Rest/binary>>) -> <<Size, Label/binary, (question(Rest))/binary>>.
