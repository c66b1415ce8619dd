%% @private
%% The checks of all options. A value is checked once, where it enters; the code behind it relies on its type.
-module(caravan_option).

-export([validate/2, check/3, format_error/1, nearest/2]).
-export([helper_ports/0, helper_names/0]).
-export([integer/2, port_number/0, port_range/0, listen_port/0, port_srv/0, one_of/1, boolean/0, text/0, dns_name/0, basename/0]).
-export([nameservers/0, edns_size/0, hosts_file/0, cache/0, resolver/0, health/0, or_default/1]).

-export_type([option/0, type/0, allowed/0, error/0]).

%% The limit on texts, which no name, address or path exceeds. Binaries that do not begin at an octet of their memory are
%% copied for C++, and without a limit that copy would occupy a scheduler for any length of time.
-define(MAX_TEXT, 4096).

%% `Parse' returns the value in the one form that the code uses, or `error'. `allowed()' is formatted only for an error.
-type type() :: {Parse :: fun((term()) -> {ok, term()} | error), allowed()}.
-type allowed() :: string() | {Format :: string(), Arguments :: [term()]} | {or_default, allowed()}.
-type option() :: {Key :: atom(), Default :: required | {default, term()}, type()}.
-type error() :: {bad_option, Key :: term(), Value :: term(), Allowed :: string()}.

%% Checks options, given as a map or a list of pairs: each key must be known and each value allowed. Missing options get
%% their defaults.
-spec validate(term(), [option()]) -> {ok, #{atom() => term()}} | {error, error()}.
validate(Given, Options) when is_map(Given) ->
    case maps:keys(maps:without([Key || {Key, _, _} <- Options], Given)) of
        [] -> validate(Options, Given, #{});
        [Unknown | _] -> {error, {bad_option, Unknown, maps:get(Unknown, Given), known_keys(Options)}}
    end;
validate(Given, Options) when is_list(Given) ->
    try maps:from_list(Given) of
        Map when map_size(Map) =:= length(Given) -> validate(Map, Options);
        Map -> twice(Given, maps:keys(Map))
    catch
        error:badarg -> {error, {bad_option, options, Given, "a map or a list of {Key, Value}"}}
    end;
validate(Given, _Options) ->
    {error, {bad_option, options, Given, "a map or a list of {Key, Value}"}}.

twice(Given, Keys) ->
    [{Key, Value} | _] = lists:foldl(fun(Key, Left) -> lists:keydelete(Key, 1, Left) end, Given, Keys),
    {error, {bad_option, Key, Value, "each option once"}}.

validate([], _Given, Checked) ->
    {ok, Checked};
validate([{Key, Default, Type} | Options], Given, Checked) ->
    case value(Key, Given, Default, Type) of
        {ok, Value} -> validate(Options, Given, Checked#{Key => Value});
        {error, _} = Error -> Error
    end.

value(Key, Given, Default, Type) ->
    case {Given, Default} of
        {#{Key := Value}, _} -> check(Key, Value, Type);
        {_, {default, Value}} -> {ok, Value};
        {_, required} -> {error, {bad_option, Key, missing, words(element(2, Type))}}
    end.

known_keys(Options) ->
    "only the options " ++ lists:flatten(lists:join(", ", [atom_to_list(Key) || {Key, _, _} <- Options])).

-spec check(Key :: term(), term(), type()) -> {ok, term()} | {error, error()}.
check(Key, Value, {Parse, Allowed}) ->
    case Parse(Value) of
        {ok, _} = Ok -> Ok;
        error -> {error, {bad_option, Key, Value, words(Allowed)}}
    end.

words({or_default, Allowed}) -> "default, or " ++ words(Allowed);
words({Format, Arguments}) -> lists:flatten(io_lib:format(Format, Arguments));
words(Text) -> Text.

%% Formats an error as one line: the key, the source of the value if it is known, the value, and what is allowed.
-spec format_error(error()) -> string().
format_error({bad_option, Key, Value, Allowed}) ->
    lists:flatten(io_lib:format("caravan: ~ts is ~ts; allowed: ~ts", [subject(Key), value_text(Value), Allowed])).

%% A text of Elixir is a binary, and is shown as a string.
value_text(Value) when is_binary(Value) ->
    case unicode:characters_to_list(Value) of
        Text when is_list(Text) -> io_lib:format("~0tp", [Text]);
        _ -> io_lib:format("~0tp", [Value])
    end;
value_text(Value) ->
    io_lib:format("~0tp", [Value]).

subject({erl_epmd_port, flag}) -> "the flag -erl_epmd_port";
subject({Key, {variable, [_ | _] = Variable}}) when is_atom(Key) ->
    io_lib:format("~ts in the environment (option ~tp)", [Variable, Key]);
subject({Key, flag}) -> io_lib:format("option ~0tp of the flag -caravan", [Key]);
subject({Key, environment}) -> io_lib:format("option ~0tp of the application's environment", [Key]);
subject(Key) -> io_lib:format("option ~0tp", [Key]).

%% Returns the known word that an unknown one probably stands for: the nearest by Levenshtein distance, if that is at most
%% two fifths of the length of the unknown word. Otherwise `none'.
-spec nearest(atom(), [atom()]) -> atom() | none.
nearest(Word, Known) ->
    Text = atom_to_list(Word),
    case lists:sort([{distance(Text, atom_to_list(Candidate)), Candidate} || Candidate <- Known]) of
        [{Distance, Nearest} | _] when Distance * 5 =< length(Text) * 2 -> Nearest;
        _ -> none
    end.

%% The Levenshtein distance, computed row by row.
distance(Text, Other) ->
    lists:last(lists:foldl(fun(Letter, Row) -> next_row(Letter, Other, Row) end, lists:seq(0, length(Other)), Text)).

next_row(Letter, Other, [First | _] = Row) ->
    next_row(Letter, Other, Row, [First + 1]).

next_row(_Letter, [], [_], Next) ->
    lists:reverse(Next);
next_row(Letter, [Other | Others], [Diagonal, Above | Row], [Left | _] = Next) ->
    Substituted = Diagonal + substitution(Letter, Other),
    next_row(Letter, Others, [Above | Row], [lists:min([Above + 1, Left + 1, Substituted]) | Next]).

substitution(Letter, Letter) -> 0;
substitution(_Letter, _Other) -> 1.

-spec integer(integer(), integer()) -> type().
integer(Min, Max) ->
    {parse(fun(Value) -> is_integer(Value) andalso Value >= Min andalso Value =< Max end),
        {"an integer from ~b to ~b", [Min, Max]}}.

-spec port_number() -> type().
port_number() ->
    integer(1, 65535).

%% Accepts `{First, Last}', and `[First, Last]', which needs no quotes in vm.args.
-spec port_range() -> type().
port_range() ->
    {fun port_range/1, "{First, Last} with 1 =< First =< Last =< 65535"}.

port_range([First, Last]) ->
    port_range({First, Last});
port_range({First, Last} = Range) when is_integer(First), is_integer(Last), 1 =< First, First =< Last, Last =< 65535 ->
    {ok, Range};
port_range(_) ->
    error.

%% Like port_range/0, but of at least 3 ports: the helper port is neither `default_port' nor the number at the end of the
%% name, so two ports of the range may be excluded.
-spec helper_ports() -> type().
helper_ports() ->
    {fun helper_ports/1, "{First, Last} within 1 to 65535, of at least 3 ports"}.

helper_ports(Value) ->
    case port_range(Value) of
        {ok, {First, Last}} when Last - First >= 2 -> {ok, {First, Last}};
        _ -> error
    end.

%% Patterns of names, such as "foo-{number}-{number}". The parsed value is a list of binaries.
-spec helper_names() -> type().
helper_names() ->
    {fun helper_names/1,
        "a list of up to 16 patterns of up to 64 characters: letters, digits, - and _, at least one of them, "
        "* for any of these, and {number}, apart from other digits"}.

helper_names(List) when is_list(List), length(List) =< 16 ->
    Patterns = [text(Pattern) || Pattern <- List],
    case lists:all(fun caravan_nif:is_helper_pattern/1, Patterns) of
        true -> {ok, Patterns};
        false -> error
    end;
helper_names(_) ->
    error.

%% A port, or a word for one: `name', the port of the node name; `any', a free port; `{env, Variable}', the port in an
%% environment variable, such as Nomad's NOMAD_PORT_dist; `default', as if the option were not given.
-spec listen_port() -> type().
listen_port() ->
    {fun listen_port/1, "an integer from 1 to 65535, default, name, any, or {env, Variable}"}.

listen_port(default) -> {ok, default};
listen_port(name) -> {ok, name};
listen_port(any) -> {ok, any};
listen_port({env, [_ | _] = Variable}) -> env(Variable, io_lib:latin1_char_list(Variable));
listen_port({env, Variable}) when is_binary(Variable) -> listen_port({env, binary_to_list(Variable)});
listen_port(Port) when is_integer(Port), Port >= 1, Port =< 65535 -> {ok, Port};
listen_port(_) -> error.

env(Variable, true) -> {ok, {env, Variable}};
env(_Variable, false) -> error.

%% `none', or the DNS name of the SRV records of a node: `{name}.likes.service.consul', or with `{host}' where each host of a
%% node name is a service of its own. The parsed value is `none' or a template of caravan_template.
-spec port_srv() -> type().
port_srv() ->
    {fun port_srv/1, "none, or a DNS name with {name} or {host} in it"}.

port_srv(none) -> {ok, none};
port_srv(Value) -> port_srv_template(text(Value)).

port_srv_template(Text) when is_binary(Text) ->
    case caravan_template:parse(Text, [name, host]) of
        {ok, Template} -> named_template(lists:any(fun is_atom/1, Template), Template);
        error -> error
    end;
port_srv_template(invalid) ->
    error.

named_template(true, Template) ->
    Example = caravan_template:render(Template, #{name => <<"app">>, host => <<"host">>}),
    case caravan_nif:is_dns_name(Example) of
        true -> {ok, Template};
        false -> error
    end;
named_template(false, _Template) ->
    error.

-spec one_of([atom()]) -> type().
one_of(Values) ->
    {parse(fun(Value) -> lists:member(Value, Values) end),
        {"one of ~0p", [Values]}}.

%% `system', or a list of nameservers such as "127.0.0.1", "127.0.0.1:8600", "::1" and "[::1]:8600".
-spec nameservers() -> type().
nameservers() ->
    {fun nameservers/1, "system, or 1 to 16 of \"Address\", \"IPv4:Port\" or \"[IPv6]:Port\""}.

nameservers(system) ->
    {ok, system};
nameservers([_ | _] = List) when length(List) =< 16 ->
    Nameservers = [text(Nameserver) || Nameserver <- List],
    case lists:all(fun caravan_nif:is_nameserver/1, Nameservers) of
        true -> {ok, Nameservers};
        false -> error
    end;
nameservers(_) ->
    error.

%% 0, which disables EDNS, or the maximal size of a reply over UDP in octets (RFC 6891, section 6.2.5).
-spec edns_size() -> type().
edns_size() ->
    {parse(fun(Value) -> Value =:= 0 orelse is_integer(Value) andalso Value >= 512 andalso Value =< 4096 end),
        "0 or an integer from 512 to 4096"}.

%% The parsed value is a binary, which is empty for `none'.
-spec hosts_file() -> type().
hosts_file() ->
    {fun hosts_file/1, {"none or the path of a file, as a string or binary of up to ~b octets", [?MAX_TEXT]}}.

hosts_file(none) -> {ok, <<>>};
hosts_file(Path) -> non_empty_text(file_name(Path)).

%% A path as a string is Unicode, as everywhere in OTP; the operating system takes octets.
file_name(Path) when is_list(Path) ->
    try
        unicode:characters_to_binary(Path, unicode, file:native_name_encoding())
    catch
        error:badarg -> invalid
    end;
file_name(Path) ->
    Path.

%% The parsed value is `false' or `{MaxEntries, MaxTtl, MaxNegativeTtl}'.
-spec cache() -> type().
cache() ->
    {fun cache/1,
        "true, false, or a map of max_entries (1 to 1000000), max_ttl and max_negative_ttl (seconds, 0 to 2147483647)"}.

cache(false) -> {ok, false};
cache(true) -> cache(#{});
cache(Limits) -> cache_limits(validate(Limits, cache_options())).

cache_limits({ok, #{max_entries := Entries, max_ttl := MaxTtl, max_negative_ttl := MaxNegativeTtl}}) ->
    {ok, {Entries, MaxTtl, MaxNegativeTtl}};
cache_limits({error, _}) ->
    error.

cache_options() ->
    [
        {max_entries, {default, 1000}, integer(1, 1000000)},
        {max_ttl, {default, 3600}, integer(0, 16#7FFFFFFF)},
        {max_negative_ttl, {default, 60}, integer(0, 16#7FFFFFFF)}
    ].

%% Accepts any reference. caravan_nif finds out whether it belongs to a resolver when it is used.
-spec resolver() -> type().
resolver() ->
    {parse(fun is_reference/1), "what caravan_dns:open/1 gave"}.

%% `none', or the address and port where the node answers health probes. The parsed value is `none' or a map.
-spec health() -> type().
health() ->
    {fun health/1, "none, or a map or a list of port (1 to 65535) and ip (an address, 127.0.0.1 unless it is given)"}.

health(none) ->
    {ok, none};
health(Given) ->
    case validate(Given, [{port, required, port_number()}, {ip, {default, {127, 0, 0, 1}}, {fun ip/1, "an address"}}]) of
        {ok, _} = Ok -> Ok;
        {error, _} -> error
    end.

ip(Ip) when is_tuple(Ip) -> parsed_ip(inet:ntoa(Ip));
ip(Text) -> parsed_ip(text(Text)).

parsed_ip(Text) when is_binary(Text) -> parsed_ip(binary_to_list(Text));
parsed_ip(Text) when is_list(Text) ->
    case inet:parse_strict_address(Text) of
        {ok, _} = Ok -> Ok;
        {error, einval} -> error
    end;
parsed_ip(_Invalid) ->
    error.

%% Accepts `default', too, and returns it unchanged; its meaning is up to the code that uses the option.
-spec or_default(type()) -> type().
or_default({Parse, Allowed}) ->
    {fun
        (default) -> {ok, default};
        (Value) -> Parse(Value)
    end, {or_default, Allowed}}.

-spec boolean() -> type().
boolean() ->
    one_of([true, false]).

-spec text() -> type().
text() ->
    {fun non_empty_text/1, {"a non-empty string or binary of up to ~b octets", [?MAX_TEXT]}}.

-spec dns_name() -> type().
dns_name() ->
    {fun dns_name/1, "a DNS name, as a string or binary"}.

dns_name(Value) ->
    accepted_text(Value, fun caravan_nif:is_dns_name/1).

%% The part of a node name before the `@'.
-spec basename() -> type().
basename() ->
    {fun basename/1, "letters, digits, - and _, as a string, binary or atom"}.

%% What Elixir and Erlang return for an environment variable that is not set.
basename(Unset) when Unset =:= nil; Unset =:= undefined ->
    error;
basename(Atom) when is_atom(Atom) ->
    basename(atom_to_binary(Atom));
basename(Value) ->
    accepted_text(Value, fun caravan_nif:is_basename/1).

parse(Allowed) ->
    fun(Value) ->
        case Allowed(Value) of
            true -> {ok, Value};
            false -> error
        end
    end.

non_empty_text(Value) ->
    accepted_text(Value, fun(Text) -> is_binary(Text) andalso Text =/= <<>> end).

accepted_text(Value, IsAllowed) ->
    Text = text(Value),
    case IsAllowed(Text) of
        true -> {ok, Text};
        false -> error
    end.

text(Value) when is_binary(Value), byte_size(Value) =< ?MAX_TEXT ->
    Value;
%% A list of texts is an iolist, which list_to_binary/1 would join: two names would become one.
text(Value) when is_list(Value) ->
    try
        true = lists:all(fun is_integer/1, Value),
        Text = list_to_binary(Value),
        true = byte_size(Text) =< ?MAX_TEXT,
        Text
    catch
        error:_ -> invalid
    end;
text(_) ->
    invalid.
