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

%% The second one is read from OTP 24 on. Without a home there is neither.
files_of_otp() ->
    [
        filename:join(Directory, ".erlang.cookie")
     || {ok, [[Home | _] | _]} <- [init:get_argument(home)], Directory <- [Home, filename:basedir(user_config, "erlang")]
    ].

%% As OTP's `auth' reads it: a flag that is there twice counts for nothing, and `-setcookie Node Cookie' is that of one node.
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

%% As OTP's `auth' reads it, octet by octet.
of_octets(Octets) ->
    as_cookie([Octet || Octet <- binary_to_list(Octets), Octet > $\s, Octet =/= 16#7F]).

%% A text that is too long for an atom is no cookie, and an error would print it.
as_cookie(Text) when Text =/= "", length(Text) =< 255 -> list_to_atom(Text);
as_cookie(_Text) -> nocookie.

%% What there is to say of the cookie, and the method to go on with. From outside the node is asked first, where it runs: whether it
%% accepts the cookie is known of nothing else.
-spec look(caravan_doctor:context()) -> {[caravan_check:check()], #{method := caravan_diagnosis:method(), own_refuses => boolean()}}.
look(#{handshake := false}) ->
    {[caravan_check:note(cookie, "", "it is not compared (--no-handshake)", [])], #{method => challenge}};
look(#{cookie := {error, Text}}) ->
    {[caravan_check:unknown(cookie, "", "~ts", [Text])], #{method => challenge}};
look(#{cookie := {ok, #{cookie := nocookie}}}) ->
    {[caravan_check:unknown(cookie, "", "none is known: give --cookie-file FILE", [])], #{method => challenge}};
look(#{mode := inside, own := Own, cookie := {ok, #{cookie := Cookie}}}) ->
    {[], #{method => caravan_diagnosis:whole_handshake(Own, Cookie)}};
look(#{mode := outside, own := none, cookie := {ok, Found}}) ->
    {[taken(Found)], #{method => method(<<"node@localhost">>, Found)}};
look(#{mode := outside, own := Own, cookie := {ok, #{cookie := Cookie} = Found}}) ->
    of_own(own_result(Own, caravan_diagnosis:whole_handshake(Own, Cookie)), Own, Found).

%% What may be the cookie of somebody else is not shown to other nodes: that they refuse it would tell nothing, and they log an error.
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
    {[caravan_check:ok(cookie, "", "that of ~ts, and ~ts has it", [format(Source), Own])], #{method => caravan_diagnosis:whole_handshake(Own, Cookie)}};
%% Whose cookie is the odd one the others tell.
of_own(cookie, Own, #{source := Source} = Found) ->
    {[caravan_check:unknown(cookie, Own, "it runs with another cookie than that of ~ts", [format(Source)])], #{method => method(Own, Found), own_refuses => true}};
of_own(timeout, Own, Found) ->
    Text = [Own, " accepts connections, and does not answer"],
    {[taken(Found), caravan_check:fault(cookie, Own, "it accepts connections, and does not answer", caravan_cause:new(silent, Text))], #{method => method(Own, Found)}};
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
