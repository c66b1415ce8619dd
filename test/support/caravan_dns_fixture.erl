%% @doc EUnit tests of the running application, each with a DNS server of its own.
-module(caravan_dns_fixture).

-export([tests/1]).

%% @doc A fixture for EUnit. The tests are functions of the calling module that take the server.
-spec tests([fun((caravan_dns_server:server()) -> term())]) -> term().
tests(Tests) ->
    {setup, fun start_application/0, fun stop_application/1,
        {foreach, fun start_server/0, fun caravan_dns_server:stop/1, [named(Test) || Test <- Tests]}}.

named(Test) ->
    {name, Name} = erlang:fun_info(Test, name),
    fun(Server) -> {atom_to_list(Name), fun() -> Test(Server) end} end.

start_application() ->
    {ok, _} = application:ensure_all_started(caravan).

stop_application(_) ->
    ok = application:stop(caravan).

start_server() ->
    {ok, Server} = caravan_dns_server:start_link(#{}),
    Server.
