%% @private
%% Maps a function over a list, a limited number of calls at a time, with one deadline for all of them.
-module(caravan_parallel).

-export([map/4]).

%% Calls the function for each item, each call in a process of its own, and returns the results in the order of the items.
%% The deadline is in monotonic milliseconds. The result of a call that has not ended by then is `timeout', and that of an
%% item whose call was never started is `not_called'. Every other message that the calling process receives meanwhile is
%% discarded, so call this only in a process that expects none.
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
