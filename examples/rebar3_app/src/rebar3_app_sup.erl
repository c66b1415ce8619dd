%% @private
-module(rebar3_app_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    Members = #{id => rebar3_app_members, start => {rebar3_app_members, start_link, []}},
    {ok, {#{strategy => one_for_one}, [Members]}}.
