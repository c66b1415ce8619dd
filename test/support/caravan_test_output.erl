%% @doc What a function prints.
-module(caravan_test_output).

-export([of_function/1]).

%% @doc Calls a function, and returns its result and what it has printed to its group leader.
-spec of_function(fun(() -> Result)) -> {Result, binary()}.
of_function(Fun) ->
    Leader = group_leader(),
    Collector = spawn_link(fun() -> collect(Leader, []) end),
    true = group_leader(Collector, self()),
    try Fun() of
        Result -> {Result, printed(Collector)}
    after
        true = group_leader(Leader, self())
    end.

printed(Collector) ->
    Reference = make_ref(),
    Collector ! {printed, self(), Reference},
    receive {Reference, Text} -> Text end.

collect(Leader, Printed) ->
    receive
        {io_request, From, ReplyAs, {put_chars, unicode, Text}} ->
            From ! {io_reply, ReplyAs, ok},
            collect(Leader, [Printed, Text]);
        {io_request, From, ReplyAs, {put_chars, unicode, Module, Function, Arguments}} ->
            From ! {io_reply, ReplyAs, ok},
            collect(Leader, [Printed, apply(Module, Function, Arguments)]);
        {io_request, _, _, _} = Other ->
            Leader ! Other,
            collect(Leader, Printed);
        {printed, Pid, Reference} ->
            Pid ! {Reference, unicode:characters_to_binary(Printed)}
    end.
