%% @private
%% The options of a topology. options/0 lists each once, with its default and its type.
-module(caravan_topology_options).

-export([check/1, with_name/2, for_core/1]).

-export_type([query/0]).

%% A name to look up, and the basenames of the nodes that it lists. `own' is the basename of this node.
-type query() :: {Query :: binary(), [Basename :: binary()] | own}.

-define(MAX_FIXED_NODES, 1000).
-define(MAX_QUERIES, 16).

%% Checks the options. Returns them with their defaults, and with `family', the address family of the distribution.
-spec check(caravan_cluster:options()) -> {ok, map()} | {error, caravan_option:error()}.
check(Options) ->
    case caravan_option:validate(Options, options()) of
        {ok, Checked} -> with_queries(with_source_of_nodes(with_defaults(Checked)));
        {error, _} = Error -> Error
    end.

with_queries({ok, #{query := Query, node_basename := Default} = Options}) when Query =/= ignore, Query =/= none ->
    {ok, Options#{queries => lists:usort([{Text, basenames_of(Own, Default)} || {Own, Text} <- elements(Query)])}};
with_queries({ok, Options}) ->
    {ok, Options#{queries => []}};
with_queries({error, _} = Error) ->
    Error.

elements(Query) when is_binary(Query) -> elements([Query]);
elements(Queries) -> lists:map(fun element/1, Queries).

element({_Basename, _Text} = Element) -> Element;
element(Text) -> {default, Text}.

basenames_of(default, Default) -> Default;
basenames_of(Own, _Default) -> [Own].

%% Returns the options that the deciding core uses, with node names as binaries. The core takes two queries for the same if
%% their names and their basenames are equal.
-spec for_core(map()) -> caravan_topology_core:options().
for_core(#{nodes := Fixed, exclude := Excluded, queries := Queries} = Options) ->
    Deciding = [
        poll_interval, max_connecting, max_nodes, atom_budget, prune, prune_after, prune_max_fraction, answers, sampled_expiry,
        expect, stable_for
    ],
    (maps:with(Deciding, Options))#{
        queries => Queries,
        names_per_record => lists:max([1 | [length(Basenames) || {_Query, Basenames} <- Queries, is_list(Basenames)]]),
        nodes => lists:map(fun atom_to_binary/1, Fixed),
        exclude => lists:map(fun atom_to_binary/1, Excluded),
        listener => caravan_node_names:listener_of(Options),
        list_nodes => list_nodes(caravan_node_list:is_of_otp(Options))
    }.

list_nodes(true) -> otp;
list_nodes(false) -> function.

-spec with_name(atom(), caravan_cluster:options() | term()) -> caravan_cluster:options() | term().
with_name(Name, Options) when is_map(Options) -> Options#{name => Name};
with_name(Name, Options) when is_list(Options), length(Options) >= 0 -> lists:keystore(name, 1, Options, {name, Name});
with_name(_Name, Options) -> Options.

%% A list of nodes may replace a query or supplement it.
with_source_of_nodes(#{query := missing, nodes := [_ | _], node_name := Text} = Options) ->
    {ok, Options#{query := none, node_basename := [], node_name := [Text]}};
with_source_of_nodes(#{query := missing}) ->
    {Parse, {Allowed, Arguments}} = query(),
    {error, _} = caravan_option:validate(#{}, [{query, required, {Parse, {Allowed ++ "; or nodes instead of it", Arguments}}}]);
with_source_of_nodes(#{query := ignore} = Options) ->
    {ok, Options};
with_source_of_nodes(Options) ->
    with_query(Options).

query() ->
    {fun query/1, {"a non-empty string or binary, a list of up to ~b of these or of {Basename, Query}, or ignore", [?MAX_QUERIES]}}.

%% `nil' is what Elixir returns for an environment variable that is not set. With either value the topology is not started.
query(Ignored) when Ignored =:= ignore; Ignored =:= nil -> {ok, ignore};
query([First | _] = Queries) when not is_integer(First), length(Queries) =< ?MAX_QUERIES -> all([one_query(Query) || Query <- Queries]);
query(Text) -> one_text(Text).

one_query({Basename, Text}) ->
    case {basename(Basename), one_text(Text)} of
        {{ok, Own}, {ok, Query}} -> {ok, {Own, Query}};
        _ -> error
    end;
one_query(Text) ->
    one_text(Text).

one_text(Text) ->
    {Parse, _Allowed} = caravan_option:text(),
    Parse(Text).

all(Results) ->
    case lists:member(error, Results) of
        true -> error;
        false -> {ok, [Value || {ok, Value} <- Results]}
    end.

%% A user's client may give the query any meaning, so it is checked only for the default client.
with_query(#{dns_client := default, query := Query} = Options) ->
    Checks = [caravan_option:check(query, Text, caravan_option:dns_name()) || {_, Text} <- elements(Query)],
    case [Error || {error, _} = Error <- Checks] of
        [] -> with_node_name(Options);
        [Error | _] -> Error
    end;
with_query(Options) ->
    with_node_name(Options).

options() ->
    [
        {name, required, {fun name/1, "an atom of up to 239 characters"}},
        {query, {default, missing}, query()},
        {node_basename, {default, own}, basenames()},
        {nodes, {default, []}, node_names()},
        {exclude, {default, []}, node_names()},
        {node_name, {default, default}, caravan_option:or_default(caravan_option:text())},
        {record, {default, srv}, caravan_option:one_of([srv, a, aaaa, addresses])},
        {dns_client, {default, default}, {fun module/1, "default, or a module with get_nodes/1"}},
        {poll_interval, {default, 5000}, caravan_option:integer(100, 3600000)},
        {connect_timeout, {default, 10000}, caravan_option:integer(1, 120000)},
        {max_connecting, {default, 16}, caravan_option:integer(1, 1000)},
        {max_nodes, {default, 1000}, caravan_option:integer(1, 10000)},
        {atom_budget, {default, default}, caravan_option:or_default(caravan_option:integer(1, 100000))},
        {answers, {default, all}, caravan_option:one_of([all, sampled])},
        {sampled_expiry, {default, 600000}, caravan_option:integer(1000, 86400000)},
        {prune, {default, false}, caravan_option:boolean()},
        {prune_after, {default, 300000}, caravan_option:integer(1000, 86400000)},
        {prune_max_fraction, {default, 0.34}, {fun fraction/1, "a number above 0, up to 1"}},
        {expect, {default, 0}, {fun expect/1, "a number of nodes from 0 to 10000, or {fraction, Number} with a number above 0, up to 1"}},
        {stable_for, {default, 0}, caravan_option:integer(0, 3600000)},
        {connect, {default, {net_kernel, connect_node, []}}, mfargs()},
        {disconnect, {default, {erlang, disconnect_node, []}}, mfargs()},
        {list_nodes, {default, {erlang, nodes, [connected]}}, mfargs()},
        {log, {default, all}, caravan_option:one_of([all, debug, info, notice, warning, error, critical, alert, emergency, none])},
        %% The strategy for libcluster sets this option to the name that libcluster has for the topology.
        {started_by, {default, caller}, {fun started_by/1, "caller, or {libcluster, Topology}"}}
        | [Option || {Key, _, _} = Option <- caravan_dns:lookup_options(), Key =/= srv_order]
    ].

%% caravan_topology:registered_name/1 adds a prefix to the name.
name(Name) when is_atom(Name) ->
    case string:length(atom_to_binary(Name)) =< 239 of
        true -> {ok, Name};
        false -> error
    end;
name(_) ->
    error.

%% Caravan 1.0's client looks up names as the default does, but returns less of the answer, so the default replaces it.
module('Elixir.Caravan.DnsClient.Cares') -> {ok, default};
module(Module) when is_atom(Module) -> {ok, Module};
module(_) -> error.

basenames() ->
    {fun basenames/1, "letters, digits, - and _, as a string, binary or atom, or a list of such"}.

%% A string is a list, too. The atom `default' is the default, as in other options; the text "default" is a basename.
basenames(default) ->
    {ok, own};
basenames([First | _] = List) when not is_integer(First), length(List) > 0 ->
    case all([basename(Basename) || Basename <- List]) of
        {ok, Basenames} -> {ok, lists:usort(Basenames)};
        error -> error
    end;
basenames(Text) ->
    case basename(Text) of
        {ok, Basename} -> {ok, [Basename]};
        error -> error
    end.

basename(Text) ->
    {Parse, _Allowed} = caravan_option:basename(),
    Parse(Text).

node_names() ->
    {fun fixed_nodes/1, {"a list of up to ~b names of nodes, each as name@host", [?MAX_FIXED_NODES]}}.

%% Names are kept as they are written, since OTP compares node names letter by letter.
fixed_nodes(Names) when is_list(Names), length(Names) =< ?MAX_FIXED_NODES ->
    Texts = [node_text(Name) || Name <- Names],
    case lists:member(error, Texts) of
        true -> error;
        false -> {ok, lists:usort([binary_to_atom(Text) || Text <- Texts])}
    end;
fixed_nodes(_) ->
    error.

node_text(Name) when is_atom(Name) -> node_text(atom_to_binary(Name));
node_text(Name) -> checked_node(caravan_option:check(nodes, Name, caravan_option:text())).

checked_node({ok, Text}) -> is_node_name(caravan_nif:node_name(Text), Text);
checked_node({error, _}) -> error.

is_node_name({ok, _}, Text) -> Text;
is_node_name({error, badname}, _Text) -> error.

started_by(caller) -> {ok, caller};
started_by({libcluster, _Topology} = LibCluster) -> {ok, LibCluster};
started_by(_) -> error.

fraction(Number) when is_number(Number), Number > 0, Number =< 1 -> {ok, Number};
fraction(_) -> error.

expect(Count) when is_integer(Count), Count >= 0, Count =< 10000 -> {ok, Count};
expect({fraction, Number} = Expect) when is_number(Number), Number > 0, Number =< 1 -> {ok, Expect};
expect(_) -> error.

mfargs() ->
    {fun mfargs/1, "{Module, Function, Arguments}"}.

mfargs({Module, Function, Arguments} = MFArgs) when is_atom(Module), is_atom(Function), length(Arguments) >= 0 ->
    {ok, MFArgs};
mfargs(_) ->
    error.

%% Half of the nodes of one answer, so that hostile names exhaust the budget before they fill an answer.
with_defaults(#{atom_budget := default, max_nodes := MaxNodes} = Options) ->
    with_defaults(Options#{atom_budget := max(1, MaxNodes div 2)});
with_defaults(#{node_name := default, record := srv} = Options) ->
    with_defaults(Options#{node_name := <<"{basename}-{port}@{target}">>});
with_defaults(#{node_name := default} = Options) ->
    with_defaults(Options#{node_name := <<"{basename}@{ip}">>});
with_defaults(#{record := Record} = Options) ->
    Options#{family => family(Record)}.

family(a) -> inet;
family(aaaa) -> inet6;
family(_Both) -> caravan_listen:first_family().

with_node_name(#{node_name := Text, record := Record} = Options) ->
    case template(Text, Record) of
        {ok, Template} -> {ok, Options#{node_name := Template}};
        error -> {error, {bad_option, node_name, Text, allowed(Record)}}
    end.

%% A text that is not a template, or gives no node name for any record, is refused here.
template(Text, Record) ->
    case caravan_template:parse(Text, caravan_node_names:placeholders()) of
        {ok, Template} -> with_one_at(binary:matches(caravan_template:literals(Template), <<"@">>), Template, Record);
        error -> error
    end.

with_one_at([_], Template, Record) -> usable(Template, Record);
with_one_at(_NoneOrMore, _Template, _Record) -> error.

usable(Template, Record) ->
    Endpoint = maps:with(parts(Record), #{port => 4370, target => <<"host.test">>, ip => {10, 0, 0, 1}}),
    named(Template, caravan_node_names:name(Endpoint, <<"app">>, Template)).

named(Template, {ok, _}) -> {ok, Template};
named(_Template, {error, badname}) -> error.

parts(srv) -> [port, target, ip];
parts(_Address) -> [ip].

allowed(srv) -> "a node name with {basename}, {port}, {target}, {label}, {domain} or {ip} in it";
allowed(_Address) -> "a node name with {basename} or {ip} in it; records of addresses have no {port} and no {target}, {label} or {domain}".
