%% @doc Notes which lines of a module have run: a parse transform, and functions that write the result to files.
%%
%% OTP's `cover' notes what runs in the VM in which it was started, once that VM has booted. Much of Caravan runs in nodes
%% that tests start as OS processes, and while these boot. So each module notes its lines itself, in counters that it creates
%% when its first line runs, without calling another module. As in `cover', a line is one at which an expression of a body
%% begins. If the variable `CARAVAN_TEST_LINES' names a directory, the test runner writes what has run in its VM to a file
%% there; a node does so periodically, when Caravan has stopped, and before `erlang:halt/1'. What runs in the last moments of
%% a node that is killed is lost. `caravan_test_coverage' reads the files.
-module(caravan_test_lines).

-export([parse_transform/2, write/0, keep_writing/0]).

%% How late, at most, a file shows what a node has run, in milliseconds.
-define(INTERVAL_MS, 50).

%% @private
parse_transform(Forms, _Options) ->
    [Module] = [Module || {attribute, _, module, Module} <- Forms],
    Noted = [note(Form) || Form <- Forms],
    Lines = lists:usort(lines(Noted)),
    {Before, [Last]} = lists:split(length(Noted) - 1, Noted),
    {Head, Functions} = lists:splitwith(fun(Form) -> element(1, Form) =/= function end, Before),
    Head ++ [{attribute, erl_anno:new(1), caravan_lines, Lines} | Functions] ++ [noting_function(Module, Lines), Last].

note({function, Anno, Name, Arity, Clauses}) -> {function, Anno, Name, Arity, walk(Clauses)};
note(Form) -> Form.

walk({clause, Anno, Patterns, Guards, Body}) ->
    {clause, Anno, Patterns, Guards, body(Body)};
walk({block, Anno, Body}) ->
    {block, Anno, body(Body)};
walk({'try', Anno, Body, Clauses, Handlers, After}) ->
    {'try', Anno, body(Body), walk(Clauses), walk(Handlers), body(After)};
walk({'receive', Anno, Clauses, Timeout, After}) ->
    {'receive', Anno, walk(Clauses), walk(Timeout), body(After)};
walk({lc, Anno, Element, Qualifiers}) ->
    {lc, Anno, {block, Anno, body([Element])}, walk(Qualifiers)};
walk({call, Anno, {remote, _, {atom, _, erlang}, {atom, _, halt}} = Halt, [Status | Options]}) ->
    {call, Anno, Halt, [and_write(Anno, walk(Status)) | walk(Options)]};
walk(Tuple) when is_tuple(Tuple) ->
    list_to_tuple(walk(tuple_to_list(Tuple)));
walk([Head | Tail]) ->
    [walk(Head) | walk(Tail)];
walk(Other) ->
    Other.

%% This module is not found while an embedded system boots.
and_write(Anno, Expression) ->
    Value = {var, Anno, list_to_atom(lists:concat(["Status", erl_anno:line(Anno)]))},
    Write = {call, Anno, {remote, Anno, {atom, Anno, ?MODULE}, {atom, Anno, write}}, []},
    {block, Anno, [{match, Anno, Value, Expression}, {'catch', Anno, Write}, Value]}.

body(Expressions) ->
    lists:append([[noted(element(2, Expression)), walk(Expression)] || Expression <- Expressions]).

noted(Anno) ->
    {call, Anno, {atom, Anno, '-line-'}, [{integer, Anno, erl_anno:line(Anno)}]}.

lines({call, _, {atom, _, '-line-'}, [{integer, _, Line}]}) -> [Line];
lines(Tuple) when is_tuple(Tuple) -> lines(tuple_to_list(Tuple));
lines([Head | Tail]) -> lines(Head) ++ lines(Tail);
lines(_Other) -> [].

%% The greatest line number is the size of the counters.
noting_function(Module, Lines) ->
    Text = io_lib:format(
        "'-line-'(Line) ->"
        " case persistent_term:get({~p, ~p}, none) of"
        " none -> Counters = counters:new(~b, []), persistent_term:put({~p, ~p}, Counters), counters:put(Counters, Line, 1);"
        " Counters -> counters:put(Counters, Line, 1)"
        " end.",
        [?MODULE, Module, lists:max([1 | Lines]), ?MODULE, Module]
    ),
    {ok, Tokens, _} = erl_scan:string(lists:flatten(Text)),
    {ok, Form} = erl_parse:parse_form(Tokens),
    Form.

%% @doc Writes what has run in this VM so far, if `CARAVAN_TEST_LINES' is set.
-spec write() -> ok.
write() ->
    write(os:getenv("CARAVAN_TEST_LINES")).

write(false) ->
    ok;
write(Directory) ->
    Ran = [{Module, ran(Counters)} || {{?MODULE, Module}, Counters} <- persistent_term:get()],
    File = filename:join(Directory, file_name()),
    %% Another process may write at the same time.
    New = File ++ pid_to_list(self()),
    ok = prim_file:write_file(New, term_to_binary(Ran)),
    prim_file:rename(New, File ++ ".lines").

ran(Counters) ->
    #{size := Size} = counters:info(Counters),
    [Line || Line <- lists:seq(1, Size), counters:get(Counters, Line) =/= 0].

%% The name is kept in a persistent term, which init:restart/0 erases together with the counters: a new file begins.
file_name() ->
    case persistent_term:get(?MODULE, none) of
        none ->
            Name = lists:concat([os:getpid(), "-", os:system_time()]),
            ok = persistent_term:put(?MODULE, Name),
            Name;
        Name ->
            Name
    end.

%% @doc Writes it periodically, in a process that ends with the VM, if `CARAVAN_TEST_LINES' is set.
-spec keep_writing() -> ok.
keep_writing() ->
    case os:getenv("CARAVAN_TEST_LINES") of
        false ->
            ok;
        Directory ->
            _ = spawn(fun() -> keep_writing(Directory, undefined) end),
            ok
    end.

%% The supervisor is monitored, so that the lines are written when Caravan has stopped.
keep_writing(Directory, Monitored) ->
    ok = write(Directory),
    Supervisor = whereis(caravan_sup),
    _ = [monitor(process, Supervisor) || Supervisor =/= undefined, Supervisor =/= Monitored],
    receive
        {'DOWN', _, process, _, _} -> keep_writing(Directory, undefined)
    after ?INTERVAL_MS -> keep_writing(Directory, Supervisor)
    end.
