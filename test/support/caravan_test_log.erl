%% @doc What nodes log. Tests name an event as data and get its line from the module that formats it, so that only that
%% module knows the wording.
-module(caravan_test_log).

-export([with_file/2, with_reports/2, next_report/0, next_report/1, assert_no_report/1]).
-export([line/2, assert_line/3, pattern/2, option_line/1, find_line/1]).
-export([log/2]).

%% A wait that reaches this limit fails the test.
-define(HANG_GUARD, 30000).

%% @doc Calls a function with a network whose nodes log to a file, and with a function that returns the entries so far that
%% mention Caravan, in order: levels and lines. On a terminal, entries from the boot of the kernel would appear twice: once
%% from before there is a handler, and once from the handler.
-spec with_file(caravan_test_network:network(), fun((caravan_test_network:network(), Entries) -> Result)) -> Result
      when Entries :: fun(() -> [{logger:level(), string()}]).
with_file(#{flags := Flags} = Network, Test) ->
    caravan_test_directory:with(fun(Directory) ->
        File = filename:join(Directory, "log"),
        Handler = io_lib:format("[{handler,default,logger_std_h,#{config => #{file => ~p}}}]", [File]),
        Logging = Network#{flags := Flags ++ ["-kernel", "logger", lists:flatten(Handler)]},
        Test(Logging, fun() -> entries(file:read_file(File)) end)
    end).

%% For an empty text re:split/3 returns one empty part on OTP 25, and none on OTP 29.
entries({ok, <<>>}) -> [];
entries({ok, Text}) ->
    [_ | Entries] = re:split(Text, "^=([A-Z]+) REPORT==.*\n", [multiline, {return, list}]),
    [Entry || {_, Line} = Entry <- pairs(Entries), string:find(Line, "caravan") =/= nomatch].

pairs([Level, Line | Entries]) -> [{list_to_existing_atom(string:lowercase(Level)), string:trim(Line)} | pairs(Entries)];
pairs([]) -> [].

%% @doc Calls a function while the caller receives the reports that this VM logs at or above a level.
-spec with_reports(logger:level(), fun(() -> Result)) -> Result.
with_reports(Level, Test) ->
    ok = logger:add_handler(?MODULE, ?MODULE, #{level => Level, config => self()}),
    try
        Test()
    after
        ok = logger:remove_handler(?MODULE)
    end.

%% @private
%% Called by logger.
log(#{msg := {report, #{event := _} = Report}}, #{config := Test}) ->
    Test ! {?MODULE, Report},
    ok;
log(_Event, _Config) ->
    ok.

%% @doc Waits for the next report.
-spec next_report() -> map().
next_report() ->
    receive
        {?MODULE, Report} -> Report
    after ?HANG_GUARD -> error(nothing_logged)
    end.

%% @doc Waits for the next report of an event.
-spec next_report(Event :: atom()) -> map().
next_report(Event) ->
    receive
        {?MODULE, #{event := Event} = Report} -> Report
    after ?HANG_GUARD -> error({not_logged, Event})
    end.

%% @doc Asserts that no further report of an event has arrived.
-spec assert_no_report(Event :: atom()) -> ok.
assert_no_report(Event) ->
    receive
        {?MODULE, #{event := Event} = Report} -> error({logged_again, Report})
    after 0 -> ok
    end.

%% @doc Returns the line for a report, from the module that logs it.
-spec line(module(), map()) -> string().
line(Module, Report) ->
    {Format, Arguments} = Module:format(Report),
    lists:flatten(io_lib:format(Format, Arguments)).

%% @doc Asserts that a report has one line, which begins with "caravan" and contains the given facts. A report that its
%% module cannot format would be a map in the line.
-spec assert_line(module(), map(), Facts :: [atom() | integer() | string()]) -> ok.
assert_line(Module, Report, Facts) ->
    Line = line(Module, Report),
    "caravan" ++ _ = Line,
    {[], Line} = {[Forbidden || Forbidden <- ["\n", "#{event"], string:find(Line, Forbidden) =/= nomatch], Line},
    {[], Line} = {[Fact || Fact <- Facts, string:find(Line, lists:concat([Fact])) =:= nomatch], Line},
    ok.

%% @doc Returns a regular expression for the line, or for its beginning if the reason of the report is `unknown'.
-spec pattern(module(), map()) -> iodata().
pattern(Module, Report) ->
    [Beginning | _] = string:split(line(Module, Report), "unknown"),
    ["(?m)^\\Q", Beginning, "\\E"].

%% @doc Returns what a node writes to standard error when a value stops its boot. Takes the result of a check of that value.
-spec option_line({error, caravan_option:error()}) -> binary().
option_line({error, Error}) ->
    iolist_to_binary([caravan_option:format_error(Error), $\n]).

%% @doc Returns the line in the error of net_kernel:start/2. OTP wraps the error of the epmd module in those of its
%% supervisors.
-spec find_line(term()) -> string() | none.
find_line({caravan, Line}) -> Line;
find_line(Reason) when is_tuple(Reason) -> find_line(tuple_to_list(Reason));
find_line([Reason | Reasons]) ->
    case find_line(Reason) of
        none -> find_line(Reasons);
        Line -> Line
    end;
find_line(_) -> none.
