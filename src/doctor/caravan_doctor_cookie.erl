%% @private
%% Finds the cookie that the doctor uses in handshakes. Inside a node it is that of the node. From outside it is the one that
%% the node would be started with, as far as that can be found out, and a handshake with the node shows whether the node has
%% it.
-module(caravan_doctor_cookie).

-export([find/2, look/1]).

-export_type([cookie/0, source/0]).

%% `guess': the cookie is from a file that OTP reads if no cookie is set; the user of the node may have another one.
-type cookie() :: #{cookie := atom(), source := source(), certainty := certain | guess}.
-type source() :: this_node | setcookie | release_cookie | {file, file:filename()} | none.

-define(ANSWER_MS, 1200).

%% Returns the cookie of the first of these sources that has one: the option `cookie_file', this node, the flag -setcookie,
%% RELEASE_COOKIE, the file COOKIE of a Mix release (which scripts/caravan passes as -cookie_file), the files that OTP's
%% `auth' reads.
-spec find(inside | outside, Given :: none | file:filename_all()) -> {ok, cookie()} | {error, Text :: unicode:chardata()}.
find(_Mode, File) when File =/= none -> of_given_file(file:read_file(File), File);
find(inside, none) -> {ok, #{cookie => erlang:get_cookie(), source => this_node, certainty => certain}};
find(outside, none) -> {ok, first(lists:dropwhile(fun({_, Cookie}) -> Cookie =:= nocookie end, said()))}.

of_given_file({ok, Octets}, File) -> {ok, #{cookie => of_octets(Octets), source => {file, File}, certainty => certain}};
of_given_file({error, Reason}, File) -> {error, io_lib:format("cannot read the cookie file ~ts: ~0tp", [File, Reason])}.

said() ->
    [{setcookie, of_flag(init:get_argument(setcookie))}, {release_cookie, of_variable(os:getenv("RELEASE_COOKIE"))}]
        ++ [{{file, File}, of_file(File)} || {ok, [[File | _] | _]} <- [init:get_argument(cookie_file)]].

first([{Source, Cookie} | _]) -> #{cookie => Cookie, source => Source, certainty => certain};
first([]) -> guessed(lists:dropwhile(fun({_, Cookie}) -> Cookie =:= nocookie end, [{File, of_file(File)} || File <- files_of_otp()])).

guessed([{File, Cookie} | _]) -> #{cookie => Cookie, source => {file, File}, certainty => guess};
guessed([]) -> #{cookie => nocookie, source => none, certainty => guess}.

%% OTP reads the second file since version 24. Without a home directory there are no files.
files_of_otp() ->
    [
        filename:join(Directory, ".erlang.cookie")
     || {ok, [[Home | _] | _]} <- [init:get_argument(home)], Directory <- [Home, filename:basedir(user_config, "erlang")]
    ].

%% OTP's `auth' ignores a -setcookie flag that is given twice, and `-setcookie Node Cookie' sets the cookie for one other
%% node.
of_flag({ok, Flags}) -> of_own_flag([Cookie || [Cookie] <- Flags]);
of_flag(error) -> nocookie.

of_own_flag([Cookie]) -> as_cookie(Cookie);
of_own_flag(_NoneOrSeveral) -> nocookie.

of_variable(Text) when Text =:= false; Text =:= "" -> nocookie;
of_variable(Text) -> as_cookie(Text).

of_file(File) ->
    case file:read_file(File) of
        {ok, Octets} -> of_octets(Octets);
        {error, _} -> nocookie
    end.

%% OTP's `auth' drops white space and control characters of the file.
of_octets(Octets) ->
    as_cookie([Octet || Octet <- binary_to_list(Octets), Octet > $\s, Octet =/= 16#7F]).

%% A text that is too long for an atom is treated as no cookie, because an error would print it.
as_cookie(Text) when Text =/= "", length(Text) =< 255 -> list_to_atom(Text);
as_cookie(_Text) -> nocookie.

%% Returns the checks of the cookie, and how the doctor examines other nodes. From outside, the node itself is examined first
%% if it runs, since only its own answer shows whether the cookie is right.
-spec look(caravan_doctor:context()) -> {[caravan_check:check()], #{method := caravan_diagnosis:method(), own_refuses => boolean()}}.
look(#{handshake := false}) ->
    {[caravan_check:note(cookie, "", "it is not compared (--no-handshake)", [])], #{method => challenge}};
look(#{cookie := {error, Text}}) ->
    {[caravan_check:unknown(cookie, "", "~ts", [Text])], #{method => challenge}};
look(#{cookie := {ok, #{cookie := nocookie}}}) ->
    {[caravan_check:unknown(cookie, "", "no cookie is known: give --cookie-file FILE", [])], #{method => challenge}};
look(#{mode := inside, own := Own, cookie := {ok, #{cookie := Cookie}}}) ->
    {[], #{method => caravan_diagnosis:whole_handshake(Own, Cookie)}};
look(#{mode := outside, own := none, cookie := {ok, Found}}) ->
    {[taken(Found)], #{method => method(<<"node@localhost">>, Found)}};
look(#{mode := outside, own := Own, cookie := {ok, #{cookie := Cookie} = Found}}) ->
    of_own(own_result(Own, caravan_diagnosis:whole_handshake(Own, Cookie)), Own, Found).

%% A cookie that may belong to another user is not used with other nodes: their refusal would prove nothing, and they would
%% log an error.
method(_Own, #{certainty := guess}) -> challenge;
method(Own, #{cookie := Cookie}) -> caravan_diagnosis:whole_handshake(Own, Cookie).

own_result(Own, Method) ->
    Deadline = erlang:monotonic_time(millisecond) + ?ANSWER_MS,
    case caravan_task:call(fun() -> caravan_diagnosis:examine(Own, Method) end, Deadline) of
        {ok, #{result := Result}} -> Result;
        timeout -> timeout;
        _Raised -> unknown
    end.

of_own(proven, Own, #{source := Source, cookie := Cookie}) ->
    {[caravan_check:ok(cookie, "", "that of ~ts, which ~ts accepts", [format(Source), Own])], #{method => caravan_diagnosis:whole_handshake(Own, Cookie)}};
%% Whether the node or its files have the wrong cookie shows at the other nodes (caravan_doctor_peers).
of_own(cookie, Own, #{source := Source} = Found) ->
    {[caravan_check:unknown(cookie, Own, "it runs with another cookie than that of ~ts", [format(Source)])], #{method => method(Own, Found), own_refuses => true}};
of_own(timeout, Own, Found) ->
    Text = [Own, " accepts connections but does not answer"],
    {[taken(Found), caravan_check:fault(cookie, Own, "it accepts connections but does not answer", caravan_cause:new(silent, Text))], #{method => method(Own, Found)}};
of_own(_NotKnown, Own, Found) ->
    {[taken(Found)], #{method => method(Own, Found)}}.

taken(#{source := Source, certainty := certain}) ->
    caravan_check:ok(cookie, "", "that of ~ts", [format(Source)]);
taken(#{source := Source, certainty := guess}) ->
    caravan_check:note(cookie, "", "that of ~ts is not compared, as the node may have another one (--cookie-file FILE)", [format(Source)]).

format(this_node) -> "this node";
format(setcookie) -> "-setcookie";
format(release_cookie) -> "RELEASE_COOKIE";
format({file, File}) -> File.
