-module(caravan_attempt_tests).

-include_lib("eunit/include/eunit.hrl").

-define(GUARD_MS, 10000).

%% Attempts call functions of the tests, so that they do not depend on the machine. Each test runs in a process of its own,
%% since attempts that a test does not wait for send it messages.
-export([result/2, hang/2, raise/1, die/1, chatter/2]).

attempt_test_() ->
    [
        {spawn, fun a_node_that_is_connected_is_a_result_with_its_duration/0},
        {spawn, fun what_the_connect_function_does_is_the_reason/0},
        {spawn, fun a_node_that_does_not_answer_is_given_up_and_delays_nobody/0},
        {spawn, fun an_attempt_that_is_ended_from_outside_has_failed/0},
        {spawn, fun a_node_that_is_not_distributed_connects_to_nobody/0},
        {spawn, fun strangers_messages_are_ignored/0}
    ].

result(Result, _Node) -> Result.

raise(_Node) -> error(on_purpose).

die(_Node) -> exit(self(), kill).

%% Tells the test that it has begun, and never returns.
hang(Pid, Node) ->
    Pid ! {hangs, Node},
    receive never -> true end.

%% Leaves messages behind that look like those of an attempt.
chatter(Messages, _Node) ->
    lists:foreach(fun(Message) -> self() ! Message end, Messages),
    true.

start(Connect) -> start('a@x', Connect, ?GUARD_MS).

start(Node, Connect, Timeout) ->
    caravan_attempt:start(Node, #{connect => Connect, connect_timeout => Timeout}).

connect_gives(Result) -> {?MODULE, result, [Result]}.

%% As in the topology, the message says which attempt has ended.
ended(Attempt) ->
    Reference = caravan_attempt:reference(Attempt),
    receive
        Message ->
            case caravan_task:reference_of(Message) of
                Reference -> caravan_attempt:result(Message, Attempt);
                _Other -> ended(Attempt)
            end
    after ?GUARD_MS -> error(no_end)
    end.

a_node_that_is_connected_is_a_result_with_its_duration() ->
    {Node, Result, Duration} = ended(start(connect_gives(true))),
    ?assertEqual({'a@x', connected}, {Node, Result}),
    ?assert(Duration > 0).

what_the_connect_function_does_is_the_reason() ->
    [
        ?assertMatch({'a@x', {failed, Expected}, _}, ended(start(Connect)))
     || {Connect, Expected} <- [
            {connect_gives(false), {result, false}},
            {connect_gives(ignored), not_distributed},
            {connect_gives(whatever), {result, whatever}},
            {{?MODULE, raise, []}, {raised, {error, on_purpose}}},
            {{erlang, exit, []}, {raised, {exit, 'a@x'}}},
            {{erlang, throw, []}, {raised, {throw, 'a@x'}}},
            {{no_such_module, connect, []}, {raised, {error, {undef, {no_such_module, connect, 1}}}}}
        ]
    ].

%% Both attempts have begun before the first one times out.
a_node_that_does_not_answer_is_given_up_and_delays_nobody() ->
    Attempts = [start(Node, {?MODULE, hang, [self()]}, 1) || Node <- ['a@x', 'b@x']],
    [receive {hangs, Node} -> ok end || Node <- ['a@x', 'b@x']],
    ?assertMatch([{'a@x', {failed, timeout}, _}, {'b@x', {failed, timeout}, _}], lists:map(fun ended/1, Attempts)).

an_attempt_that_is_ended_from_outside_has_failed() ->
    ?assertMatch({'a@x', {failed, {raised, {exit, killed}}}, _}, ended(start({?MODULE, die, []}))).

a_node_that_is_not_distributed_connects_to_nobody() ->
    ?assertNot(is_alive()),
    ?assertMatch({'a@x', {failed, not_distributed}, _}, ended(start({net_kernel, connect_node, []}))).

strangers_messages_are_ignored() ->
    Attempt = start({?MODULE, hang, [self()]}),
    Strangers = [hello, {'DOWN', make_ref(), process, self(), normal}, {timeout, make_ref(), other}],
    [
        ?assertNotEqual(caravan_attempt:reference(Attempt), caravan_task:reference_of(Message))
     || Message <- Strangers
    ],
    ?assertMatch({'a@x', connected, _}, ended(start({?MODULE, chatter, [Strangers]}))).
