%% @private
%% Which cookie the doctor proves in handshakes. In a node it is that of the node. From outside it is the one that the node would be
%% started with, as far as that can be seen, and the node itself is asked whether it has it.
-module(caravan_doctor_cookie).

-export([find/2, look/1]).

-export_type([cookie/0, source/0]).

%% `guess' is a file that OTP reads when nothing says a cookie: the user that the node runs as may have another one. `refuted' is a
%% cookie that the node on this machine has refused, so that it is not given to others.
-type cookie() :: #{cookie := atom(), source := source(), certainty := certain | guess}.
-type source() :: this_node | setcookie | release_cookie | {file, file:filename()} | none.

-define(ANSWER_MS, 1200).

%% The cookie, from what is given in this order: the option `cookie_file', this node, the flag -setcookie, RELEASE_COOKIE, the file
%% COOKIE of a release of Mix (scripts/caravan gives it as -cookie_file), the file that OTP's `auth' reads.
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

%% The second one is read from OTP 24 on.
files_of_otp() ->
    [filename:join(Home, ".erlang.cookie") || {ok, [[Home | _] | _]} <- [init:get_argument(home)]]
        ++ [filename:join(filename:basedir(user_config, "erlang"), ".erlang.cookie")].

%% `-setcookie Node Cookie' is that of one node.
of_flag({ok, Flags}) -> hd([as_cookie(Cookie) || [Cookie] <- Flags] ++ [nocookie]);
of_flag(error) -> nocookie.

of_variable(Text) when Text =:= false; Text =:= "" -> nocookie;
of_variable(Text) -> as_cookie(Text).

of_file(File) ->
    case file:read_file(File) of
        {ok, Octets} -> of_octets(Octets);
        {error, _} -> nocookie
    end.

%% As OTP's `auth' reads it, octet by octet.
of_octets(Octets) ->
    as_cookie([Octet || Octet <- binary_to_list(Octets), Octet > $\s, Octet =/= 16#7F]).

%% A text that is too long for an atom is no cookie, and an error would print it.
as_cookie(Text) when Text =/= "", length(Text) =< 255 -> list_to_atom(Text);
as_cookie(_Text) -> nocookie.

%% What there is to say of the cookie, and the method to go on with. From outside the node is asked first, where it runs: whether it
%% accepts the cookie is known of nothing else.
-spec look(caravan_doctor:context()) -> {[caravan_check:check()], caravan_diagnosis:method()}.
look(#{handshake := false}) ->
    {[caravan_check:note(cookie, "", "handshakes are not finished (--no-handshake): whether the cookie is the same stays unknown", [])], challenge};
look(#{cookie := {error, Text}}) ->
    {[caravan_check:unknown(cookie, "", "~ts", [Text])], challenge};
look(#{cookie := {ok, #{cookie := nocookie}}}) ->
    {[caravan_check:unknown(cookie, "", "none is known: give --cookie-file FILE", [])], challenge};
look(#{mode := inside, own := Own, cookie := {ok, #{cookie := Cookie}}}) ->
    {[], caravan_diagnosis:whole_handshake(Own, Cookie)};
look(#{mode := outside, own := none, cookie := {ok, #{cookie := Cookie} = Found}}) ->
    {[taken(Found)], caravan_diagnosis:whole_handshake(<<"node@localhost">>, Cookie)};
look(#{mode := outside, own := Own, cookie := {ok, #{cookie := Cookie} = Found}}) ->
    Method = caravan_diagnosis:whole_handshake(Own, Cookie),
    of_own(own_result(Own, Method), Own, Found, Method).

own_result(Own, Method) ->
    Deadline = erlang:monotonic_time(millisecond) + ?ANSWER_MS,
    case caravan_task:call(fun() -> caravan_diagnosis:examine(Own, Method) end, Deadline) of
        {ok, #{result := Result}} -> Result;
        _TimeoutOrRaised -> unknown
    end.

of_own(proven, Own, #{source := Source}, Method) ->
    {[caravan_check:ok(cookie, "", "that of ~ts, and ~ts has it", [format(Source), Own])], Method};
%% A wrong cookie proves nothing of others, and each of them would log a line.
of_own(cookie, Own, #{source := Source}, _Method) ->
    {[caravan_check:unknown(cookie, "", "~ts is running with another cookie than that of ~ts: give its own with --cookie-file FILE", [
        Own, format(Source)
    ])], challenge};
of_own(_NotKnown, _Own, Found, Method) ->
    {[taken(Found)], Method}.

taken(#{source := Source, certainty := certain}) ->
    caravan_check:ok(cookie, "", "that of ~ts", [format(Source)]);
taken(#{source := Source, certainty := guess}) ->
    caravan_check:note(cookie, "", "that of ~ts, as nothing says another one; --cookie-file FILE gives that of the node", [format(Source)]).

format(this_node) -> "this node";
format(setcookie) -> "-setcookie";
format(release_cookie) -> "RELEASE_COOKIE";
format({file, File}) -> File.
