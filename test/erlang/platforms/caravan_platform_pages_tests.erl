%% The fenced blocks of the pages on platforms are excerpts of the files in examples, so that a page cannot differ from what is tested:
%% docs/kubernetes.md, docs/nomad.md, docs/ecs.md, docs/fly.md, docs/docker.md.
%%
%% A block may begin with a comment that names a file (`# rel/vm.args.eex'). Blocks of the languages `sh' and `text' show commands and
%% output.
-module(caravan_platform_pages_tests).

-include_lib("eunit/include/eunit.hrl").

-define(PAGES, ["kubernetes", "nomad", "ecs", "fly", "docker"]).

pages_test_() ->
    [{Page, [{block_title(Block), fun() -> is_excerpt(Block, files(Page)) end} || Block <- blocks(Page)]} || Page <- ?PAGES].

%% The files of the platform's example, and the two files of vm.args that most platforms share.
files(Page) ->
    Directories = ["examples/" ++ Page, "examples/kubernetes/rel"],
    [
        lines(File)
     || Directory <- Directories,
        File <- filelib:wildcard(caravan_test_directory:in_repository(Directory) ++ "/**"),
        filelib:is_regular(File)
    ].

lines(File) ->
    {ok, Text} = file:read_file(File),
    string:split(string:trim(Text, trailing, "\n"), <<"\n">>, all).

blocks(Page) ->
    {ok, Text} = file:read_file(caravan_test_directory:in_repository("docs/" ++ Page ++ ".md")),
    {match, Blocks} = re:run(Text, "^```(\\w+)\n(.*?)^```$", [global, multiline, dotall, {capture, all_but_first, binary}]),
    [string:split(string:trim(Block, trailing, "\n"), <<"\n">>, all) || [Language, Block] <- Blocks, Language =/= <<"sh">>, not output(Language, Block)].

output(<<"text">>, <<"#", _/binary>>) -> false;
output(<<"text">>, _) -> true;
output(_Language, _Block) -> false.

block_title([First | _]) -> unicode:characters_to_list(First).

is_excerpt(Block, Files) ->
    Excerpt = without_indentation(without_name(Block)),
    ?assert(lists:any(fun(Lines) -> has(Excerpt, Lines) end, Files)).

without_name([First | Rest] = Block) ->
    case re:run(First, "^(#|%%) [\\w./-]+$", [{capture, none}]) of
        match -> Rest;
        nomatch -> Block
    end.

%% The lines may be indented in the file.
has(Excerpt, [_ | Rest] = Lines) ->
    without_indentation(lists:sublist(Lines, length(Excerpt))) =:= Excerpt orelse has(Excerpt, Rest);
has(_Excerpt, []) ->
    false.

without_indentation(Lines) ->
    Depth = lists:min([999 | [depth(Line) || Line <- Lines, Line =/= <<>>]]),
    [binary:part(Line, min(Depth, byte_size(Line)), max(0, byte_size(Line) - Depth)) || Line <- Lines].

depth(Line) -> byte_size(Line) - byte_size(string:trim(Line, leading, " ")).
