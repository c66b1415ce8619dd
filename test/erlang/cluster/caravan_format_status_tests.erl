%% What sys:get_status/1, observer and crash reports show of a process.
-module(caravan_format_status_tests).

-include_lib("eunit/include/eunit.hrl").

%% Used as a connect function.
-export([labelled/2]).

-define(NAMES, [lists:concat(["app-", Port, "@n.test"]) || Port <- lists:seq(4001, 4500)]).

%% With 500 nodes: numbers and no lists.
a_topology_is_a_map_of_numbers_test() ->
    ok = caravan_nif:load(),
    Options = #{name => status_test, nodes => ?NAMES, connect => {erlang, is_atom, []}, list_nodes => {erlang, nodes, []}, log => none},
    {ok, Pid} = caravan_cluster:start_link(Options),
    State = shown(Pid),
    ?assertMatch(#{name := status_test, query := none, wanted := 500, connected := 0, last_lookup := none, next_poll := none}, State),
    ?assert(length(io_lib:format("~p", [State])) < 2000),
    ok = gen_server:stop(Pid).

topologies_are_shown_with_what_they_are_doing_test() ->
    {ok, _} = application:ensure_all_started(caravan),
    {ok, Pid} = caravan_cluster:start(#{name => status_test, nodes => ?NAMES, connect => {erlang, is_atom, []}, log => none}),
    ?assertMatch(#{status_test := #{state := running, pid := Pid, origin := caller, crashes := 0}}, shown(caravan_topologies)),
    ?assert(length(io_lib:format("~p", [shown(caravan_topologies)])) < 2000),
    ok = caravan_cluster:stop(status_test),
    ok = application:stop(caravan).

%% Labels exist since OTP 27.
a_topology_and_its_attempts_have_labels_test() ->
    ok = caravan_nif:load(),
    Options = #{name => status_test, nodes => ['app@n.test'], connect => {?MODULE, labelled, [self()]}, list_nodes => {erlang, nodes, []}, log => none},
    {ok, Pid} = caravan_cluster:start_link(Options),
    Attempt = receive {attempt, Label} -> Label end,
    ?assertEqual(expected({caravan_topology, status_test}), label(Pid)),
    ?assertEqual(expected({caravan_attempt, 'app@n.test'}), Attempt),
    ok = gen_server:stop(Pid).

labelled(Test, _Node) ->
    Test ! {attempt, label(self())},
    true.

expected(Label) -> expected(erlang:function_exported(proc_lib, get_label, 1), Label).

expected(true, Label) -> Label;
expected(false, _Label) -> undefined.

label(Pid) -> label(proc_lib, erlang:function_exported(proc_lib, get_label, 1), Pid).

label(ProcLib, true, Pid) -> apply(ProcLib, get_label, [Pid]);
label(_ProcLib, false, _Pid) -> undefined.

shown(Process) ->
    {status, _, _, [_, _, _, _, Shown]} = sys:get_status(Process),
    [State] = [State || {data, [{"State", State}]} <- Shown],
    State.
