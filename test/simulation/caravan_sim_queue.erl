%% What is to happen, by time; what was put in first comes first among equals. Much happens in the same millisecond: what is first
%% lies at hand, and of the rest there is a list for each time, and a pairing heap of these times.
-module(caravan_sim_queue).

-export([new/0, in/3, out/1]).

-export_type([queue/0]).

-type heap() :: nil | {Time :: integer(), [heap()]}.

-record(queue, {
    %% What is first; nothing is earlier. An atom is greater than any number.
    time = infinity :: integer() | infinity,
    items = [] :: [term()],
    %% What came for that time since, the last one first.
    added = [] :: [term()],
    %% What is later, the last one first, and when.
    later = #{} :: #{integer() => [term(), ...]},
    times = nil :: heap()
}).

-opaque queue() :: #queue{}.

-spec new() -> queue().
new() ->
    #queue{}.

-spec in(Time :: integer(), term(), queue()) -> queue().
in(Time, Item, #queue{time = Time, added = Added} = Queue) ->
    Queue#queue{added = [Item | Added]};
in(Time, Item, #queue{time = First} = Queue) when Time < First ->
    (set_aside(Queue))#queue{time = Time, items = [], added = [Item]};
in(Time, Item, #queue{later = Later, times = Times} = Queue) ->
    case Later of
        #{Time := Items} -> Queue#queue{later = Later#{Time := [Item | Items]}};
        #{} -> Queue#queue{later = Later#{Time => [Item]}, times = meld({Time, []}, Times)}
    end.

set_aside(#queue{items = [], added = []} = Queue) ->
    Queue;
set_aside(#queue{time = Time, items = Items, added = Added, later = Later, times = Times} = Queue) ->
    Queue#queue{later = Later#{Time => Added ++ lists:reverse(Items)}, times = meld({Time, []}, Times)}.

-spec out(queue()) -> {Time :: integer(), term(), queue()} | empty.
out(#queue{time = Time, items = [Item | Items]} = Queue) ->
    {Time, Item, Queue#queue{items = Items}};
out(#queue{items = [], added = [_ | _] = Added} = Queue) ->
    out(Queue#queue{items = lists:reverse(Added), added = []});
out(#queue{times = nil}) ->
    empty;
out(#queue{times = {Time, Heaps}, later = Later} = Queue) ->
    {Items, Left} = maps:take(Time, Later),
    out(Queue#queue{time = Time, items = lists:reverse(Items), later = Left, times = pair(Heaps)}).

meld(Heap, nil) -> Heap;
meld({A, Heaps}, {B, _} = Other) when A < B -> {A, [Other | Heaps]};
meld(Heap, {B, Heaps}) -> {B, [Heap | Heaps]}.

pair([]) -> nil;
pair([Heap]) -> Heap;
pair([A, B | Heaps]) -> meld(meld(A, B), pair(Heaps)).
