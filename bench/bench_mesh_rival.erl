%% A strategy like that of Caravan 1.0: it looks when it starts and after each interval, with inet_res, and connects to
%% one node after the other.
-module(bench_mesh_rival).
-behaviour(gen_server).

-export([start/3]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-spec start(Query :: string(), Basename :: string(), Interval :: pos_integer()) -> {ok, pid()}.
start(Query, Basename, Interval) ->
    gen_server:start(?MODULE, {Query, Basename, Interval}, []).

init(Topology) ->
    self() ! poll,
    {ok, Topology}.

handle_call(_Request, _From, Topology) ->
    {reply, ok, Topology}.

handle_cast(_Request, Topology) ->
    {noreply, Topology}.

handle_info(poll, {Query, Basename, Interval} = Topology) ->
    Records = inet_res:lookup(Query, in, srv),
    Names = [list_to_atom(lists:concat([Basename, "-", Port, "@", Host])) || {_, _, Port, Host} <- Records],
    lists:foreach(fun net_kernel:connect_node/1, Names -- [node() | nodes(connected)]),
    _ = erlang:send_after(Interval, self(), poll),
    {noreply, Topology}.
