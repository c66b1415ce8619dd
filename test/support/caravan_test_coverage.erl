%% @doc Line coverage, for the step `coverage' of `scripts/check': of `src' by EUnit, of `c_src/core' by the C++ tests.
%%
%% ```
%% erl -noshell -pa EBIN -run caravan_test_coverage build OUT            compiles the modules of src, so that they note their lines
%% erl -noshell -pa EBIN -run caravan_test_coverage erlang EBIN LINES    what the files of LINES say that has run of those of EBIN
%% erl -noshell -pa EBIN -run caravan_test_coverage core GCOV            what gcov has written into the directory
%% '''
%%
%% A report has a line for each file with less coverage than ?LEAST, with the numbers of the lines that have not run, and the
%% total. If the total is less than that, or if an exclusion matches no line, the status is 1.
-module(caravan_test_coverage).

-export([build/1, erlang/1, core/1]).
-export([read_gcov/1, report/3, ranges/1]).

-export_type([ran/0]).

-define(LEAST, 95.0).
-define(EXCLUDED, "test/excluded_lines.config").
-define(MOST_EXCLUDED, 40).
%% Its functions are stubs, and the rest of it runs before any test.
-define(NOT_COUNTED, ["caravan_nif"]).

%% For each line that can run, whether it has run.
-type ran() :: #{file:filename() => #{pos_integer() => boolean()}}.

-spec build([string()]) -> no_return().
build([Out]) ->
    Options = [debug_info, {outdir, Out}, {parse_transform, caravan_test_lines}, report],
    Results = [compile:file(File, Options) || File <- sources()],
    halt(case [Result || Result <- Results, element(1, Result) =/= ok] of [] -> 0; _ -> 1 end).

sources() ->
    [File || File <- filelib:wildcard("src/**/*.erl"), not lists:member(filename:basename(File, ".erl"), ?NOT_COUNTED)].

-spec erlang([string()]) -> no_return().
erlang([Ebin, Directory]) ->
    Files = filelib:wildcard(filename:join(Directory, "*.lines")),
    Ran = lists:foldl(fun add_lines/2, #{}, Files),
    Of = fun(File) ->
        Module = filename:basename(File, ".erl"),
        {ok, {_, [{attributes, Attributes}]}} = beam_lib:chunks(filename:join(Ebin, Module), [attributes]),
        Lines = maps:get(list_to_atom(Module), Ran, #{}),
        maps:from_list([{Line, maps:is_key(Line, Lines)} || Line <- proplists:get_value(caravan_lines, Attributes)])
    end,
    finish("src, by EUnit", maps:from_list([{File, Of(File)} || File <- sources()])).

add_lines(File, Ran) ->
    {ok, Binary} = file:read_file(File),
    lists:foldl(
        fun({Module, Lines}, Sum) ->
            Sum#{Module => maps:merge(maps:get(Module, Sum, #{}), maps:from_list([{Line, true} || Line <- Lines]))}
        end,
        Ran,
        binary_to_term(Binary)
    ).

-spec core([string()]) -> no_return().
core([Directory]) ->
    {ok, Here} = file:get_cwd(),
    %% gcov has a "#" for each "/" of the source.
    Files = filelib:wildcard(filename:join(Directory, "*#c_src#core#*.gcov")),
    Read = [read_gcov(element(2, file:read_file(File))) || File <- Files],
    Named = [{string:prefix(Source, Here ++ "/"), Lines} || {Source, Lines} <- Read],
    finish("c_src/core, by the C++ tests", maps:from_list([{File, Lines} || {File, Lines} <- Named, File =/= nomatch])).

%% @doc Reads a file of gcov: returns the source and its lines. A line of a template occurs once for all instances together,
%% and once for each.
-spec read_gcov(binary()) -> {file:filename(), #{pos_integer() => boolean()}}.
read_gcov(Text) ->
    Lines = [string:split(Line, ":") || Line <- string:split(Text, "\n", all)],
    lists:foldl(fun read_gcov_line/2, {"", #{}}, Lines).

read_gcov_line([Count, Rest], {Source, Lines}) ->
    [Number | Text] = string:split(Rest, ":"),
    case {string:trim(Count), string:to_integer(string:trim(Number)), Text} of
        {<<"-">>, {0, _}, [<<"Source:", Name/binary>>]} -> {binary_to_list(Name), Lines};
        {<<"-">>, _, _} -> {Source, Lines};
        {<<"#####", _/binary>>, {Line, _}, _} -> {Source, maps:merge(#{Line => false}, Lines)};
        {<<"=====", _/binary>>, {Line, _}, _} -> {Source, maps:merge(#{Line => false}, Lines)};
        {_, {Line, _}, _} when is_integer(Line) -> {Source, Lines#{Line => true}};
        {_, {error, _}, _} -> {Source, Lines}
    end;
read_gcov_line(_Other, Sum) ->
    Sum.

finish(Title, Ran) ->
    {ok, Exclusions} = file:consult(?EXCLUDED),
    Sources = maps:from_list([{File, source_lines(File)} || File <- maps:keys(Ran)]),
    Excluded = [{Exclusion, excluded_lines(Exclusion, Sources)} || {File, _, _} = Exclusion <- Exclusions, is_map_key(File, Ran)],
    {Text, Good} = report(Title, Ran, Excluded),
    io:put_chars(Text),
    halt(case Good of true -> 0; false -> 1 end).

source_lines(File) ->
    {ok, Text} = file:read_file(File),
    Lines = [string:trim(Line) || Line <- string:split(Text, "\n", all)],
    lists:zip(lists:seq(1, length(Lines)), Lines).

excluded_lines({File, Text, _Reason}, Sources) ->
    Bytes = unicode:characters_to_binary(Text),
    [{File, Number} || {Number, Line} <- maps:get(File, Sources), Line =:= Bytes].

%% @doc Formats the report. Also returns whether the coverage suffices.
-spec report(string(), ran(), [{Exclusion, [{file:filename(), pos_integer()}]}]) -> {iodata(), boolean()}
              when Exclusion :: {file:filename(), Text :: string(), Reason :: string()}.
report(Title, Ran, Excluded) ->
    Numbers = lists:append([Lines || {_, Lines} <- Excluded]),
    Counted = maps:map(
        fun(File, Lines) -> maps:without([Line || {Of, Line} <- Numbers, Of =:= File], Lines) end, Ran
    ),
    Total = percent(lists:append([maps:values(Lines) || Lines <- maps:values(Counted)])),
    Faults = [["no line of ", File, " is excluded by: ", Text, "\n"] || {{File, Text, _}, []} <- Excluded] ++
        [io_lib:format("~b lines are excluded, at most ~b may be~n", [length(Numbers), ?MOST_EXCLUDED])
         || length(Numbers) > ?MOST_EXCLUDED],
    Text = [
        [line(File, Lines) || {File, Lines} <- lists:sort(maps:to_list(Counted)), percent(maps:values(Lines)) < ?LEAST],
        Faults,
        io_lib:format("~ts: ~.1f % of ~b lines (at least ~.1f %), without ~b that are excluded~n",
                      [Title, Total, lists:sum([map_size(Lines) || Lines <- maps:values(Counted)]), ?LEAST, length(Numbers)])
    ],
    {Text, Faults =:= [] andalso map_size(Ran) > 0 andalso Total >= ?LEAST}.

line(File, Lines) ->
    Missing = [Line || {Line, false} <- lists:sort(maps:to_list(Lines))],
    io_lib:format("~5.1f %  ~ts, not: ~ts~n", [percent(maps:values(Lines)), File, ranges(Missing)]).

percent([]) -> 100.0;
percent(Ran) -> 100 * length([true || true <- Ran]) / length(Ran).

%% @doc Numbers in ascending order as text, such as "3, 7-9".
-spec ranges([integer()]) -> string().
ranges(Numbers) ->
    lists:flatten(lists:join(", ", [range(Range) || Range <- lists:foldr(fun add_number/2, [], Numbers)])).

add_number(Number, [{First, Last} | Ranges]) when Number + 1 =:= First -> [{Number, Last} | Ranges];
add_number(Number, Ranges) -> [{Number, Number} | Ranges].

range({Number, Number}) -> integer_to_list(Number);
range({First, Last}) -> lists:concat([First, "-", Last]).
