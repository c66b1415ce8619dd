%% @private
%% A function of many things, of some at a time, within a time for the whole.
-module(caravan_parallel).

-export([map/4]).

%% What the function gives of each, in the order of the given ones. The result is `timeout' of those whose call was not over at the
%% deadline, in monotonic milliseconds, and `not_called' of those whose turn had not come. To be called by a process that expects no
%% other messages: those are lost.
-spec map(fun((Item) -> Result), [Item], AtATime :: pos_integer(), Deadline :: integer()) ->
    [{Item, caravan_task:result(Result) | not_called}].
map(Fun, Items, AtATime, Deadline) ->
    Numbered = lists:enumerate(Items),
    Results = call(Fun, Numbered, #{}, #{}, AtATime, Deadline),
    [{Item, maps:get(Number, Results, not_called)} || {Number, Item} <- Numbered].

call(Fun, Waiting, Tasks, Results, AtATime, Deadline) ->
    Left = caravan_task:remaining(Deadline),
    case Waiting of
        [{Number, Item} | Others] when map_size(Tasks) < AtATime, Left > 0 ->
            Task = caravan_task:start(fun() -> Fun(Item) end, Left),
            call(Fun, Others, Tasks#{caravan_task:reference(Task) => {Number, Task}}, Results, AtATime, Deadline);
        _ when map_size(Tasks) > 0 ->
            {Number, Result, Others} = next(Tasks),
            call(Fun, Waiting, Others, Results#{Number => Result}, AtATime, Deadline);
        _NoTimeLeft ->
            Results
    end.

next(Tasks) ->
    receive
        Message ->
            case maps:take(caravan_task:reference_of(Message), Tasks) of
                {{Number, Task}, Others} -> {Number, caravan_task:result(Message, Task), Others};
                error -> next(Tasks)
            end
    end.
