%% Arguments for the functions of caravan_nif that nobody should give them, and some that are allowed and as large as can be.
-module(bench_nif_inputs).

-export([functions/0, inputs/1, make/0]).

-export_type([input/0]).

-type input() :: {Label :: string(), Arguments :: [term()]}.

-define(KIB, 1024).
-define(MIB, (1024 * 1024)).

-spec functions() -> [atom()].
functions() ->
    [noop | lists:usort([Function || {Function, _} <- caravan_nif:module_info(nifs)])].

%% Made once: what is in a persistent term is not copied, and no garbage collection of the caller looks at it.
-spec make() -> ok.
make() ->
    All = all(),
    persistent_term:put(?MODULE, maps:from_list([{Function, list_to_tuple(make(Function, All))} || Function <- functions()])).

-spec inputs(atom()) -> tuple().
inputs(Function) -> maps:get(Function, persistent_term:get(?MODULE)).

make(versions, _All) ->
    [{"", []}];
make(lookup, All) ->
    Allowed = [resolver(#{}), <<"n.test">>, a, default, default, 1, default, make_ref()],
    with_each(Allowed, All) ++ [{"allowed", Allowed}, {"own", replace(8, Allowed, own)}] ++
        [{"nameservers " ++ Label, replace(4, Allowed, List)} || {Label, List} <- nameserver_lists()];
make(open, All) ->
    Maps = [{lists:concat([Key, " ", Label]), maps:put(Key, Term, client_options())}
            || Key <- maps:keys(client_options()), {Label, Term} <- All ++ nameserver_lists() ++ tuples(3)],
    one(All ++ Maps ++ [{"allowed", client_options()} | without_each(client_options())]);
make(set_port_rule, All) ->
    Maps = [{lists:concat([Key, " ", Label]), maps:put(Key, Term, port_rule())}
            || Key <- maps:keys(port_rule()), {Label, Term} <- All ++ pattern_lists() ++ tuples(2)],
    one(All ++ Maps ++ [{"allowed", port_rule()} | without_each(port_rule())]);
make(_Function, All) ->
    one(All).

one(Labelled) -> [{Label, [Term]} || {Label, Term} <- Labelled].

with_each(Arguments, Terms) ->
    [{lists:concat(["argument ", Index, " ", Label]), replace(Index, Arguments, Term)}
     || Index <- lists:seq(1, length(Arguments)), {Label, Term} <- Terms].

replace(Index, List, Term) -> tuple_to_list(setelement(Index, list_to_tuple(List), Term)).

without_each(Map) -> [{lists:concat(["without ", Key]), maps:remove(Key, Map)} || Key <- maps:keys(Map)].

all() -> numbers() ++ atoms() ++ lists() ++ binaries() ++ names() ++ others() ++ references().

numbers() ->
    [{"0", 0}, {"-1", -1}, {"2^32", 1 bsl 32}, {"2^63", 1 bsl 63}, {"a number of 128 KiB", 1 bsl (?MIB)}, {"1.5", 1.5}].

atoms() ->
    [{"the empty atom", ''}, {"an atom", system}, {"an atom of 255 octets", atom(255, $a)}, {"an atom of digits", atom(255, $7)},
     {"an atom of Latin 1", atom(255, 16#E9)}, {"an atom of 1020 octets", atom(255, 16#1F600)}].

atom(Length, Character) ->
    list_to_atom(lists:duplicate(Length, Character)).

lists() ->
    [{"[]", []}, {"a list of a million", lists:duplicate(1000000, $a)}, {"a list of a million atoms", lists:duplicate(1000000, a)},
     {"an improper list", [$a | b]}, {"an improper list of 64 Ki", lists:duplicate(64 * ?KIB, $a) ++ b},
     {"an improper list of binaries", [<<"127.0.0.1">> | <<"127.0.0.1">>]}, {"a text of 255", lists:duplicate(255, $7)},
     {"a nested list", lists:foldl(fun(_, List) -> [List] end, [], lists:seq(1, 100000))},
     {"a list of great numbers", lists:duplicate(1020, 1 bsl 100)}, {"a list of large binaries", lists:duplicate(1000, repeated(64 * ?KIB, $a))}].

binaries() ->
    [{"<<>>", <<>>}, {"a bit", <<1:1>>}, {"64 KiB", repeated(64 * ?KIB, $a)}, {"64 KiB of dots", repeated(64 * ?KIB, $.)},
     {"64 KiB of digits", repeated(64 * ?KIB, $7)}, {"64 KiB of *", repeated(64 * ?KIB, $*)}, {"64 KiB of 0", repeated(64 * ?KIB, 0)},
     {"64 KiB of @", repeated(64 * ?KIB, $@)}, {"64 MiB", repeated(64 * ?MIB, $a)},
     {"64 KiB, not aligned", unaligned(64 * ?KIB)}].

repeated(Size, Octet) -> binary:copy(<<Octet>>, Size).

%% The VM copies it before C++ can see how large it is. caravan_option lets none through that is larger than 4 KiB.
unaligned(Size) ->
    <<_:1, Rest:Size/binary, _/bitstring>> = <<0:1, (repeated(Size, $a))/binary, 0:7>>,
    Rest.

names() ->
    Label = repeated(63, $a),
    Host = iolist_to_binary(lists:join($., lists:duplicate(4, binary:part(Label, 0, 62)))),
    [{"a basename of 255", repeated(255, $a)}, {"a basename of 255 digits", repeated(255, $7)},
     {"a name of a node", <<"app-4370@", (binary:part(Host, 0, 240))/binary>>}, {"a host", Host},
     {"a name of dots", repeated(255, $.)}, {"a name of 127 labels", binary:part(binary:copy(<<"a.">>, 127), 0, 253)},
     {"a name of 1020", repeated(1020, $a)}, {"IPv6 and a port", <<"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535">>},
     {"colons", repeated(255, $:)}, {"brackets", repeated(255, $[)}, {"a pattern of *", repeated(64, $*)},
     {"a pattern of numbers", <<"{number}-{number}-{number}-{number}-{number}-a*b*c*">>},
     {"a pattern of 64", <<(binary:copy(<<"a*">>, 31))/binary, "bc">>}, {"a rem- name", <<"rem-", (repeated(251, $f))/binary>>},
     {"a name of a suite", binary:part(binary:copy(<<"_SUITE">>, 43), 0, 255)}].

others() ->
    [{"{}", {}}, {"a tuple of a million", erlang:make_tuple(1000000, a)}, {"a process", self()}, {"a fun", fun() -> ok end},
     {"a port", hd(erlang:ports())}, {"#{}", #{}}, {"a map of 100,000", maps:from_list([{Key, Key} || Key <- lists:seq(1, 100000)])},
     {"a map of 33", maps:from_list([{Key, Key} || Key <- lists:seq(1, 33)])}].

%% A lookup that is under way, one that has ended, and resources of others.
references() ->
    Own = resolver(#{}),
    Closed = resolver(#{}),
    ok = caravan_nif:close(Closed),
    {ok, Ref} = caravan_nif:lookup(Own, <<"n.test">>, a, default, default, 3600000, default, own),
    {ok, Ended} = caravan_nif:lookup(Own, <<"n.test">>, a, default, default, 3600000, default, own),
    _ = caravan_nif:cancel(Ended),
    {ok, {file_descriptor, prim_file, #{handle := File, r_buffer := Buffer}}} = prim_file:open("/dev/null", [read]),
    [{"a resolver", Own}, {"a closed resolver", Closed}, {"a lookup", Ref}, {"a lookup that has ended", Ended}, {"a reference", make_ref()},
     {"atomics", atomics:new(1, [])}, {"counters", counters:new(1, [])}, {"a table", ets:new(table, [])},
     {"a file", File}, {"a buffer", Buffer}].

%% Asked are those that nobody listens for, by a resolver that is full soon.
resolver(Options) ->
    Handle = caravan_nif:open(maps:merge(client_options(), Options)),
    true = is_reference(Handle),
    Handle.

client_options() ->
    #{nameservers => [<<"127.0.0.1:1">>], transport => auto, timeout => 1000, tries => 1, rotate => true, edns_size => 1232, mixed_case => true,
      search => false, hosts_file => <<>>, max_inflight => 16, max_queue => 1000, srv_order => true, cache => {100, 10, 10}}.

port_rule() ->
    #{default_port => 4370, port_range => {1024, 65535}, port_in_name => digits, helper_ports => {61000, 65535}, helper_names => []}.

nameserver_lists() ->
    Address = <<"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535">>,
    [{lists:concat([Count, " nameservers"]), lists:duplicate(Count, Address)} || Count <- [1, 4, 8, 16, 32, 1000, 100000]].

pattern_lists() ->
    Pattern = <<(binary:copy(<<"a*">>, 31))/binary, "bc">>,
    [{lists:concat([Count, " patterns"]), lists:duplicate(Count, Pattern)} || Count <- [1, 16, 17, 100000]].

tuples(Size) ->
    [{lists:concat(["a tuple of ", Arity]), erlang:make_tuple(Arity, 1)} || Arity <- [Size - 1, Size, Size + 1]] ++
        [{"a tuple of great numbers", erlang:make_tuple(Size, 1 bsl (?MIB))}].
