%% @doc The commands `doctor', `dig' and `names' of `scripts/caravan', of Mix (`mix caravan.doctor') and of a release's `eval':
%%
%% ```
%% bin/app eval ':caravan_command.main(["doctor"])'
%% '''
-module(caravan_command).

-export([main/0, main/1, run/1]).

-define(OK, 0).
-define(FAULT, 1).
-define(CANNOT_LOOK, 2).

-define(USAGE,
    "usage: caravan doctor [--node NAME] [--query NAME [--basename NAME] [--node-name TEMPLATE] [--record srv|a|aaaa|addresses]]\n"
    "                      [--nameserver IP:PORT]... [--cookie-file FILE] [--no-handshake] [--timeout MS] [--json]\n"
    "       caravan dig NAME [srv|a|aaaa|addresses] [--tcp | --udp] [--nameserver IP:PORT]... [--timeout MS] [--json]\n"
    "       caravan names [HOST [--ports FIRST-LAST] [--timeout MS]] [--json]\n"
    "scripts/caravan also takes --vm-args FILE and --sys-config FILE, the files that the node is started with.\n"
    "It exits with 0, with 1 when it has found a fault, and with 2 when it could not look. docs/doctor.md says more.\n"
).

%% @private
%% Of `scripts/caravan', whose VM is nothing else. It tells the status of the command from that of a VM that has not come to it.
-spec main() -> no_return().
main() ->
    ok = io:setopts([{encoding, unicode}]),
    erlang:halt(100 + run([characters(file:native_name_encoding(), Argument) || Argument <- init:get_plain_arguments()])).

%% Arguments are octets unless the locale is one of UTF-8.
characters(utf8, Argument) ->
    Argument;
characters(latin1, Argument) ->
    case unicode:characters_to_list(list_to_binary(Argument)) of
        Characters when is_list(Characters) -> Characters;
        _NoUtf8 -> Argument
    end.

%% @doc Runs a command. A VM that is no node, as that of a release's `eval', ends with its exit status; a node goes on, and the status is
%% returned: 0; 1, a fault was found; 2, it could not look.
-spec main([string() | binary()]) -> 0..2.
main(Arguments) ->
    ended(run([unicode:characters_to_list(Argument) || Argument <- Arguments]), caravan_doctor:is_node()).

ended(Status, true) -> Status;
ended(Status, false) -> erlang:halt(Status).

%% @private
%% The exit status of a command; it has printed the rest.
-spec run([string()]) -> 0..2.
run(Arguments) ->
    case lists:member("--help", Arguments) orelse Arguments =:= ["help"] of
        true -> ok = io:put_chars(?USAGE), ?OK;
        false -> command(Arguments)
    end.

command(["doctor" | Arguments]) ->
    with_options(Arguments, doctor_options(), fun
        ([], Options) -> of_doctor(caravan_doctor:run(Options));
        ([_ | _], _Options) -> usage()
    end);
command(["dig", Name | Arguments]) ->
    with_options(Arguments, dig_options(), fun(Words, Options) -> dig(Words, Name, Options) end);
command(["names" | Arguments]) ->
    with_options(Arguments, names_options(), fun names/2);
command(_Other) ->
    usage().

usage() ->
    failed(?USAGE).

failed(Text) ->
    ok = io:put_chars(standard_error, Text),
    ?CANNOT_LOOK.

%% Either a value of its own, or how the next argument is read.
doctor_options() ->
    [
        {"--node", node, text}, {"--query", query, text}, {"--basename", node_basename, text}, {"--node-name", node_name, text},
        {"--record", record, word}, {"--nameserver", nameservers, list}, {"--cookie-file", cookie_file, text}, {"--no-handshake", handshake, false},
        {"--timeout", timeout, integer}, {"--json", json, true}, {"--colour", colour, true}
    ].

dig_options() ->
    [
        {"--tcp", transport, tcp}, {"--udp", transport, udp}, {"--nameserver", nameservers, list}, {"--timeout", timeout, integer},
        {"--json", json, true}, {"--colour", colour, true}
    ].

names_options() ->
    [{"--ports", ports, characters}, {"--timeout", timeout, integer}, {"--json", json, true}, {"--colour", colour, true}].

with_options(Arguments, Known, Command) ->
    case parse(Arguments, Known, [], #{}) of
        {ok, Words, Options} -> Command(Words, Options);
        {error, Argument} -> failed(["caravan: ", Argument, " is not known here, or its value is missing or not allowed\n", ?USAGE])
    end.

parse([], _Known, Words, Options) ->
    {ok, lists:reverse(Words), Options};
parse(["--" ++ _ = Argument | Others], Known, Words, Options) ->
    case {lists:keyfind(Argument, 1, Known), Others} of
        {{_, Key, Value}, _} when is_boolean(Value); Value =:= tcp; Value =:= udp -> parse(Others, Known, Words, Options#{Key => Value});
        {{_, Key, Form}, [Text | Left]} -> parsed(read(Form, Text), Key, Form, Argument, Left, Known, Words, Options);
        _ -> {error, Argument}
    end;
parse([Word | Others], Known, Words, Options) ->
    parse(Others, Known, [Word | Words], Options).

parsed(error, _Key, _Form, Argument, _Left, _Known, _Words, _Options) -> {error, Argument};
parsed({ok, Value}, Key, list, _Argument, Left, Known, Words, Options) -> parse(Left, Known, Words, Options#{Key => maps:get(Key, Options, []) ++ [Value]});
parsed({ok, Value}, Key, _Form, _Argument, Left, Known, Words, Options) -> parse(Left, Known, Words, Options#{Key => Value}).

read(integer, Text) ->
    case string:to_integer(Text) of
        {Integer, ""} -> {ok, Integer};
        _ -> error
    end;
read(word, Text) ->
    record(Text);
read(characters, Text) ->
    {ok, Text};
read(_Text, Text) ->
    {ok, unicode:characters_to_binary(Text)}.

record(Text) ->
    case [Type || Type <- [srv, a, aaaa, addresses], atom_to_list(Type) =:= string:lowercase(Text)] of
        [Type] -> {ok, Type};
        [] -> error
    end.

of_doctor(ok) -> ?OK;
of_doctor(fault) -> ?FAULT;
of_doctor(unknown) -> ?CANNOT_LOOK;
of_doctor({error, Error}) -> failed([caravan_option:format_error(Error), $\n]).

dig([], Name, Options) ->
    dig(["srv"], Name, Options);
dig([Word], Name, Options) ->
    case record(Word) of
        {ok, Type} -> prepared(fun() -> caravan_dig:run(Name, Type, Options) end);
        error -> usage()
    end;
dig(_Words, _Name, _Options) ->
    usage().

status(ok) -> ?OK;
status(none) -> ?FAULT;
status({error, Line}) -> failed([Line, $\n]).

names([], Options) -> prepared(fun() -> caravan_names:of_this_machine(Options) end);
names([Host], Options) -> prepared(fun() -> caravan_names:of_host(Host, Options) end);
names(_Words, _Options) -> usage().

prepared(Command) ->
    case caravan_boot:prepare() of
        ok -> status(Command());
        {error, Error} -> failed([caravan_boot:format_error(Error), $\n])
    end.
