%% Sets of small numbers as the bits of one integer: for a few hundred nodes, a union costs what a few words cost.
-module(caravan_sim_bits).

-export([bit/1, has/2, add/2, remove/2, minus/2, numbers/1, is_few/1, count/2]).

-export_type([bits/0]).

-type bits() :: non_neg_integer().

%% As many as make a small integer, which is shifted and masked without an allocation.
-define(CHUNK, 48).
-define(MASK, ((1 bsl ?CHUNK) - 1)).

-spec bit(non_neg_integer()) -> bits().
bit(Number) -> 1 bsl Number.

-spec has(non_neg_integer(), bits()) -> boolean().
has(Number, Bits) -> (Bits bsr Number) band 1 =:= 1.

-spec add(non_neg_integer(), bits()) -> bits().
add(Number, Bits) -> Bits bor (1 bsl Number).

-spec remove(non_neg_integer(), bits()) -> bits().
remove(Number, Bits) -> minus(Bits, 1 bsl Number).

-spec minus(bits(), bits()) -> bits().
minus(Bits, Others) -> Bits band bnot Others.

%% At most 16.
-spec is_few(bits()) -> boolean().
is_few(Bits) -> count(17, Bits) =< 16.

%% How many there are, or as many as are asked for if there are more.
-spec count(Most :: non_neg_integer(), bits()) -> non_neg_integer().
count(Most, Bits) -> count(Most, 0, Bits).

count(Most, Most, _Bits) -> Most;
count(_Most, Counted, 0) -> Counted;
count(Most, Counted, Bits) ->
    Chunk = Bits band ?MASK,
    case Chunk of
        0 -> count(Most, Counted, Bits bsr ?CHUNK);
        _ -> count(Most, Counted, Chunk, Bits bsr ?CHUNK)
    end.

%% Kernighan's way: each step takes the lowest bit away.
count(Most, Most, _Chunk, _Rest) -> Most;
count(Most, Counted, 0, Rest) -> count(Most, Counted, Rest);
count(Most, Counted, Chunk, Rest) -> count(Most, Counted + 1, Chunk band (Chunk - 1), Rest).

%% In their order.
-spec numbers(bits()) -> [non_neg_integer()].
numbers(Bits) -> numbers(0, Bits).

numbers(_First, 0) -> [];
numbers(First, Bits) -> chunk(First, Bits band ?MASK, First + ?CHUNK, Bits bsr ?CHUNK).

chunk(_Number, 0, Next, Rest) -> numbers(Next, Rest);
chunk(Number, Chunk, Next, Rest) when Chunk band 1 =:= 1 -> [Number | chunk(Number + 1, Chunk bsr 1, Next, Rest)];
chunk(Number, Chunk, Next, Rest) when Chunk band 16#FF =:= 0 -> chunk(Number + 8, Chunk bsr 8, Next, Rest);
chunk(Number, Chunk, Next, Rest) -> chunk(Number + 1, Chunk bsr 1, Next, Rest).
