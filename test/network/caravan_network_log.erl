%% @doc What nodes have logged, counted.
-module(caravan_network_log).

-export([entries/1, shapes/1, print/2]).

-export_type([entry/0]).

-type entry() :: {Level :: string(), Line :: string()}.

%% @doc The entries of what a node has printed, as OTP's handler has them.
-spec entries(binary()) -> [entry()].
entries(Output) ->
    pairs(re:split(Output, "^=([A-Z]+) REPORT==.*\n", [multiline, {return, list}])).

pairs([_Before | Entries]) -> levels(Entries);
pairs([]) -> [].

levels([Level, Line | Entries]) -> [{Level, string:trim(Line)} | levels(Entries)];
levels([]) -> [].

%% @doc Entries that are equal but for numbers and nodes once, with how often they are there, the most frequent first.
-spec shapes([{node(), entry()}]) -> [{entry(), pos_integer()}].
shapes(Entries) ->
    Counted = lists:foldl(
        fun({_, {Level, Line}}, Counts) -> maps:update_with({Level, without_names(Line)}, fun(Count) -> Count + 1 end, 1, Counts) end,
        #{},
        Entries
    ),
    lists:reverse(lists:keysort(2, maps:to_list(Counted))).

without_names(Line) ->
    Named = re:replace(hd(string:split(Line, "\n")), "'?[a-z]+-[0-9]+@[a-z0-9.]+'?", "NODE", [global, {return, list}]),
    re:replace(re:replace(Named, "NODE(, ?NODE)+", "NODES", [{return, list}]), "[0-9]+", "N", [global, {return, list}]).

%% @doc Prints how many there are, and which.
-spec print(string(), [{term(), pos_integer()}]) -> ok.
print(What, Counted) ->
    io:format("~b ~ts~n", [lists:sum([Count || {_, Count} <- Counted]), What]),
    [io:format("  ~6b  ~0tp~n", [Count, Line]) || {Line, Count} <- Counted],
    ok.
