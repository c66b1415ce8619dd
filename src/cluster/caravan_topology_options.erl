%% @private
%% The options of a topology: each once, with its default and what is allowed.
-module(caravan_topology_options).

-export([check/1, with_name/2]).

-define(MAX_FIXED_NODES, 1000).

%% The options with their defaults, and `family', the address family of the distribution.
-spec check(caravan_cluster:options()) -> {ok, map()} | {error, caravan_option:error()}.
check(Options) ->
    case caravan_option:validate(Options, options()) of
        {ok, Checked} -> with_source_of_nodes(with_defaults(Checked));
        {error, _} = Error -> Error
    end.

-spec with_name(atom(), caravan_cluster:options() | term()) -> caravan_cluster:options() | term().
with_name(Name, Options) when is_map(Options) -> Options#{name => Name};
with_name(Name, Options) when is_list(Options), length(Options) >= 0 -> lists:keystore(name, 1, Options, {name, Name});
with_name(_Name, Options) -> Options.

%% A fixed list of nodes stands alone or beside a query.
with_source_of_nodes(#{query := missing, nodes := [_ | _], node_name := Text} = Options) ->
    {ok, Options#{query := none, node_basename := [], node_name := [Text]}};
with_source_of_nodes(#{query := missing}) ->
    {error, _} = caravan_option:validate(#{}, [{query, required, query()}]);
with_source_of_nodes(#{query := ignore} = Options) ->
    {ok, Options};
with_source_of_nodes(Options) ->
    with_query(Options).

%% `ignore', and what Elixir has for a variable that is not set, is no query: nothing is to be started.
query() ->
    {Parse, Allowed} = caravan_option:text(),
    {fun
        (Ignored) when Ignored =:= ignore; Ignored =:= nil -> {ok, ignore};
        (Text) -> Parse(Text)
    end, {"~ts, or ignore", [Allowed]}}.

%% What a client of the user's makes of the query is its own affair.
with_query(#{dns_client := default, query := Query} = Options) ->
    case caravan_option:check(query, Query, caravan_option:dns_name()) of
        {ok, _} -> with_node_name(Options);
        {error, _} = Error -> Error
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
        {record, {default, srv}, caravan_option:one_of([srv, a, aaaa])},
        {dns_client, {default, default}, {fun module/1, "default, or a module with get_nodes/1"}},
        {poll_interval, {default, 5000}, caravan_option:integer(100, 3600000)},
        {connect_timeout, {default, 10000}, caravan_option:integer(1, 120000)},
        {max_connecting, {default, 16}, caravan_option:integer(1, 1000)},
        {max_nodes, {default, 1000}, caravan_option:integer(1, 10000)},
        {atom_budget, {default, default}, caravan_option:or_default(caravan_option:integer(1, 100000))},
        {prune, {default, false}, caravan_option:boolean()},
        {prune_after, {default, 300000}, caravan_option:integer(1000, 86400000)},
        {prune_max_fraction, {default, 0.34}, {fun fraction/1, "a number above 0, up to 1"}},
        {connect, {default, {net_kernel, connect_node, []}}, mfargs()},
        {disconnect, {default, {erlang, disconnect_node, []}}, mfargs()},
        {list_nodes, {default, {erlang, nodes, [connected]}}, mfargs()}
        | [Option || {Key, _, _} = Option <- caravan_dns:lookup_options(), Key =/= srv_order]
    ].

%% The process is registered under a longer one: caravan_topology:registered_name/1.
name(Name) when is_atom(Name) ->
    case string:length(atom_to_binary(Name)) =< 239 of
        true -> {ok, Name};
        false -> error
    end;
name(_) ->
    error.

%% The one that is named in the documentation asks as the default does, and tells less of the answer.
module('Elixir.Caravan.DnsClient.Cares') -> {ok, default};
module(Module) when is_atom(Module) -> {ok, Module};
module(_) -> error.

basenames() ->
    {fun basenames/1, "letters, digits, - and _, as a string, binary or atom, or a list of such"}.

%% A string is a list, too.
basenames([First | _] = List) when not is_integer(First) ->
    Basenames = [basename(Basename) || Basename <- List],
    case lists:member(error, Basenames) of
        true -> error;
        false -> {ok, lists:usort([Basename || {ok, Basename} <- Basenames])}
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
    {fun nodes/1, {"a list of up to ~b names of nodes, each as name@host", [?MAX_FIXED_NODES]}}.

%% As they are written: names must match to the letter.
nodes(Names) when is_list(Names), length(Names) =< ?MAX_FIXED_NODES ->
    Texts = [node_text(Name) || Name <- Names],
    case lists:member(error, Texts) of
        true -> error;
        false -> {ok, lists:usort([binary_to_atom(Text) || Text <- Texts])}
    end;
nodes(_) ->
    error.

node_text(Name) when is_atom(Name) -> node_text(atom_to_binary(Name));
node_text(Name) -> checked_node(caravan_option:check(nodes, Name, caravan_option:text())).

checked_node({ok, Text}) -> is_node_name(caravan_nif:node_name(Text), Text);
checked_node({error, _}) -> error.

is_node_name({ok, _}, Text) -> Text;
is_node_name({error, badname}, _Text) -> error.

fraction(Number) when is_number(Number), Number > 0, Number =< 1 -> {ok, Number};
fraction(_) -> error.

mfargs() ->
    {fun mfargs/1, "{Module, Function, Arguments}"}.

mfargs({Module, Function, Arguments} = MFArgs) when is_atom(Module), is_atom(Function), is_list(Arguments) ->
    {ok, MFArgs};
mfargs(_) ->
    error.

%% Half of what an answer may give: hostile names use that up before they are as many as one answer can hold.
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
family(srv) -> caravan_listen:first_family().

with_node_name(#{node_name := Text, record := Record} = Options) ->
    case template(Text, Record, Options) of
        {ok, Template} -> {ok, Options#{node_name := Template}};
        error -> {error, {bad_option, node_name, Text, allowed(Record)}}
    end.

%% One that is no template, or gives no node name for any record, is found out here.
template(Text, Record, Options) ->
    case caravan_template:parse(Text, [basename, port, target, ip]) of
        {ok, Template} -> with_one_at(binary:matches(caravan_template:literals(Template), <<"@">>), Template, Record, Options);
        error -> error
    end.

with_one_at([_], Template, Record, Options) -> usable(Template, Record, Options);
with_one_at(_NoneOrMore, _Template, _Record, _Options) -> error.

usable(Template, Record, #{node_basename := own} = Options) ->
    usable(Template, Record, Options#{node_basename := [<<"app">>]});
usable(Template, Record, #{node_basename := [Basename | _]}) ->
    Example = maps:with(
        placeholders(Record),
        #{basename => Basename, port => <<"4370">>, target => <<"host">>, ip => <<"10.0.0.1">>}
    ),
    case [Piece || Piece <- Template, is_atom(Piece), not is_map_key(Piece, Example)] of
        [] -> named(Template, caravan_nif:node_name(caravan_template:render(Template, Example)));
        _ -> error
    end.

named(Template, {ok, _}) -> {ok, Template};
named(_Template, {error, badname}) -> error.

placeholders(srv) -> [basename, port, target, ip];
placeholders(_Address) -> [basename, ip].

allowed(srv) -> "a node name with {basename}, {port}, {target} or {ip} in it";
allowed(_Address) -> "a node name with {basename} or {ip} in it; records of addresses have no port or target".
