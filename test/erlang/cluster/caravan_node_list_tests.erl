%% What happens to calls of a list_nodes function when the options change.
-module(caravan_node_list_tests).

-include_lib("eunit/include/eunit.hrl").

-export([nodes/2]).

%% Used as a list_nodes function.
nodes(Test, Nodes) ->
    Test ! {called, self()},
    receive go -> Nodes end.

another_function_ends_the_call_test() ->
    State = caravan_node_list:ask(caravan_node_list:new(options([]))),
    Pid = called(),
    Monitor = monitor(process, Pid),
    Changed = caravan_node_list:change(options(['a@b']), State),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    Asked = caravan_node_list:ask(Changed),
    called() ! go,
    ?assertMatch({listed, ['a@b'], _}, answer(Asked)).

another_timeout_does_not_test() ->
    State = caravan_node_list:ask(caravan_node_list:new(options(['a@b']))),
    Changed = caravan_node_list:change((options(['a@b']))#{connect_timeout := 29999}, State),
    ?assertEqual(ignore, caravan_node_list:handle_info(another_message, #{}, Changed)),
    called() ! go,
    ?assertMatch({listed, ['a@b'], _}, answer(Changed)).

%% Requests during a call are answered by one more call after it.
who_asks_meanwhile_gets_another_call_test() ->
    State = caravan_node_list:ask(caravan_node_list:ask(caravan_node_list:new(options(['a@b'])))),
    called() ! go,
    {listed, ['a@b'], Again} = answer(State),
    called() ! go,
    ?assertMatch({listed, ['a@b'], _}, answer(Again)).

options(Nodes) ->
    #{list_nodes => {?MODULE, nodes, [self(), Nodes]}, connect_timeout => 30000}.

called() -> receive {called, Pid} -> Pid end.

answer(State) ->
    receive
        Message -> caravan_node_list:handle_info(Message, #{}, State)
    end.
