%% @doc Reads manifests of platforms: YAML, JSON, TOML and HCL as Erlang terms. It needs Python, and for YAML its module yaml.
-module(caravan_test_manifest).

-export([available/0, read/1, at/2]).

-type document() :: #{binary() => term()}.

-export_type([document/0]).

%% @doc Returns `true', or the reason for which manifests cannot be read here.
-spec available() -> true | {false, string()}.
available() ->
    case os:cmd("python3 -c 'import tomllib, yaml; print(\"yes\")'") of
        "yes\n" -> true;
        Output -> {false, "no python3 of version 3.11 or later with yaml: " ++ lists:last(["" | string:lexemes(Output, "\n")])}
    end.

%% @doc Returns the documents of a manifest. Raises with the parser's output if it is not well-formed.
-spec read(file:filename()) -> [document()].
read(File) ->
    Command = io_lib:format("python3 '~ts' '~ts'", [caravan_test_directory:in_repository(Path) || Path <- ["test/support/manifest_terms.py", File]]),
    Output = os:cmd(lists:flatten(Command)),
    case erl_scan:string(Output) of
        {ok, Tokens, _} -> parse(erl_parse:parse_term(Tokens), File, Output);
        Error -> parse(Error, File, Output)
    end.

parse({ok, Documents}, _File, _Output) -> Documents;
parse(_Error, File, Output) -> error({File, Output}).

%% @doc Returns the value at a path: keys of objects as texts, and `{Key, Value}' for the only element of a list that has it.
-spec at([string() | {string(), term()}], term()) -> term().
at([], Value) ->
    Value;
at([{Key, Value} | Path], List) when is_list(List) ->
    [Element] = [Each || #{} = Each <- List, maps:get(list_to_binary(Key), Each, none) =:= Value],
    at(Path, Element);
at([Key | Path], #{} = Object) ->
    at(Path, maps:get(list_to_binary(Key), Object)).
