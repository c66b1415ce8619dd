%% @private
%% Configuration from environment variables. Their texts are plain, without the quotes of Erlang terms, as shell scripts and
%% container definitions have them.
-module(caravan_variable).

-export([read/1, name/1, allowed/2, topology_variables/0]).

-export_type([text/0]).

%% How the text of a variable is read. `range' is `1024-65535'. `port_or_word' is a port, `name', `any' or `env:VARIABLE'.
%% `list_or_word' is `system', or elements separated by commas or blanks. `queries' is `ignore', one name, or several names
%% separated likewise. `{pairs, Example}' is `timeout=500,cache=true' or `none'. `one_topology' is not read from one
%% variable: topology_variables/0 lists those that define the topology.
-type text() :: integer | range | word | port_or_word | text_or_none | list | list_or_word | queries | {pairs, Example :: string()}
    | one_topology.

-type given() :: {{variable, string()}, Value :: term() | {unreadable, string()}}.

%% The variable of each option of the topology `default'.
-spec topology_variables() -> [{atom(), string(), text()}].
topology_variables() ->
    [
        {query, "CARAVAN_CLUSTER_QUERY", queries},
        {node_basename, "CARAVAN_CLUSTER_BASENAME", list},
        {node_name, "CARAVAN_CLUSTER_NODE_NAME", text_or_none},
        {nodes, "CARAVAN_CLUSTER_NODES", list},
        {record, "CARAVAN_CLUSTER_RECORD", word}
    ].

%% Returns the name of the variable of a key.
-spec name(atom()) -> string().
name(topologies) -> "CARAVAN_CLUSTER_QUERY";
name(Key) -> "CARAVAN_" ++ caravan_ascii:uppercase(atom_to_list(Key)).

%% Describes what is allowed for a key in the notation of its variable.
-spec allowed(text(), Words) -> Words when Words :: caravan_option:allowed().
allowed(range, Words) -> Words ++ ", written as 1024-65535";
allowed(port_or_word, _Words) -> "a port from 1 to 65535, default, name, any, or env:VARIABLE";
allowed({pairs, Example}, _Words) -> "options without blanks, such as " ++ Example;
allowed(list_or_word, _Words) -> "system, or 1 to 16 nameservers, such as 10.0.0.1,127.0.0.1:8600";
allowed(_Text, Words) -> Words.

%% Returns the values that variables give, and the variables that have such a name by accident: Kubernetes sets
%% CARAVAN_DEFAULT_PORT=tcp://10.0.0.1:80 in every pod beside a Service that is called caravan-default. An empty variable
%% counts as unset.
-spec read([{atom(), text()}]) -> {#{atom() => given()}, PassedOver :: [{string(), string()}]}.
read(Keys) ->
    Named = [{Key, name(Key), Text} || {Key, Text} <- Keys, Text =/= one_topology],
    {Own, OwnPassedOver} = texts(Named),
    {OfTopology, TopologyPassedOver} = texts(topology_variables()),
    Given = maps:from_list([{Key, {{variable, Variable}, read(Text, Value)}} || {Key, Variable, Text, Value} <- Own]),
    {maps:merge(Given, topologies(OfTopology)), OwnPassedOver ++ TopologyPassedOver}.

texts(Named) ->
    Set = [{Key, Name, Text, Value} || {Key, Name, Text} <- Named, Value <- [value(Name)], Value =/= ""],
    {ByAccident, Ours} = lists:partition(fun({_, _, _, Value}) -> lists:prefix("tcp://", Value) end, Set),
    {Ours, [{Name, Value} || {_, Name, _, Value} <- ByAccident]}.

value(Name) ->
    caravan_ascii:trim(os:getenv(Name, "")).

topologies([]) ->
    #{};
topologies(Texts) ->
    [{_, First, _, _} | _] = Texts,
    #{topologies => {{variable, First}, [{default, [{Key, option(read(Text, Value))} || {Key, _, Text, Value} <- Texts]}]}}.

%% An unreadable text is passed on, so that the check of the topology's options reports it.
option({unreadable, Text}) -> Text;
option(Value) -> Value.

read(Text, Value) ->
    case parse(Text, Value) of
        error -> {unreadable, Value};
        Parsed -> Parsed
    end.

parse(integer, Value) ->
    integer(Value);
parse(range, Value) ->
    range([integer(Part) || Part <- caravan_ascii:lexemes(Value, "-, ")]);
parse(word, Value) ->
    word(Value);
parse(port_or_word, "env:" ++ Variable) ->
    {env, Variable};
parse(port_or_word, Value) ->
    first_of([integer(Value), word(Value)]);
parse(text_or_none, "none") ->
    none;
parse(text_or_none, Value) ->
    Value;
parse(list, Value) ->
    elements(Value);
parse(list_or_word, "system") ->
    system;
parse(list_or_word, Value) ->
    elements(Value);
parse(queries, Word) when Word =:= "ignore"; Word =:= "none" ->
    word(Word);
parse(queries, Value) ->
    one_or_many(elements(Value));
parse({pairs, _Example}, "none") ->
    none;
parse({pairs, _Example}, Value) ->
    pairs([lists:splitwith(fun(Character) -> Character =/= $= end, Element) || Element <- elements(Value)]).

integer(Value) ->
    try
        list_to_integer(Value)
    catch
        error:badarg -> error
    end.

range([First, Last]) when is_integer(First), is_integer(Last) -> {First, Last};
range(_) -> error.

%% A word that is no existing atom is an error: no option accepts it, and it must not become an atom.
word(Value) ->
    try
        list_to_existing_atom(Value)
    catch
        error:_ -> error
    end.

elements(Value) ->
    caravan_ascii:lexemes(Value, ", ").

one_or_many([One]) -> One;
one_or_many(Many) -> Many.

%% Unknown keys become atoms, too, so that the check of the options reports them.
pairs(Pairs) ->
    case lists:all(fun is_pair/1, Pairs) of
        true -> [{list_to_atom(Key), plain_term(Value)} || {Key, "=" ++ Value} <- Pairs];
        false -> error
    end.

is_pair({Key, "=" ++ _}) -> length(Key) < 64;
is_pair({_, ""}) -> false.

%% Numbers and the words that options accept become terms. Everything else, such as a path, stays a text.
plain_term(Value) when Value =:= "true"; Value =:= "false"; Value =:= "none"; Value =:= "default" ->
    word(Value);
plain_term(Value) when Value =:= "auto"; Value =:= "udp"; Value =:= "tcp" ->
    word(Value);
plain_term(Value) ->
    case integer(Value) of
        error -> Value;
        Integer -> Integer
    end.

first_of([error | Others]) -> first_of(Others);
first_of([Value | _]) -> Value;
first_of([]) -> error.
