%% @private
%% The part of HTTP/1.1 (RFC 9112) that probes use: parses a request and formats a response. No part of a request becomes an
%% atom.
-module(caravan_health_http).

-export([request/1, response/2, max_size/0]).

-export_type([status/0, answer/0]).

-type status() :: 200 | 400 | 404 | 405 | 408 | 431 | 503.
-type answer() :: {status(), ContentType :: binary(), Body :: iodata()}.

%% The maximal octets of a request with its headers.
-define(MAX_SIZE, 8192).
%% No registered method is longer.
-define(MAX_METHOD, 20).

-spec max_size() -> pos_integer().
max_size() -> ?MAX_SIZE.

%% Parses what has arrived of a request so far. Returns `more' if it is incomplete but valid up to here.
-spec request(binary()) -> {ok, get | head, Path :: binary()} | more | {error, 400 | 405 | 431}.
request(Octets) when byte_size(Octets) > ?MAX_SIZE ->
    {error, 431};
request(Octets) ->
    begun(method_size(Octets, 0), Octets).

%% Other protocols are recognized by their first octets, since their clients may wait for a reply after those.
begun(Size, Octets) when Size =:= byte_size(Octets), Size =< ?MAX_METHOD -> more;
begun(Size, Octets) when Size > 0, Size =< ?MAX_METHOD, binary_part(Octets, Size, 1) =:= <<" ">> -> headed(head_of(Octets));
begun(_Size, _Octets) -> {error, 400}.

method_size(<<Character, Others/binary>>, Size) when Character >= $A, Character =< $Z; Character =:= $- -> method_size(Others, Size + 1);
method_size(_Octets, Size) -> Size.

%% Returns the request line once all headers have arrived. A line may end without a carriage return (section 2.2).
head_of(Octets) ->
    case binary:match(Octets, [<<"\r\n\r\n">>, <<"\n\n">>]) of
        nomatch ->
            more;
        _ ->
            [Line | _] = binary:split(Octets, <<"\n">>),
            without_return(Line)
    end.

%% Octets are compared because the line need not be text.
without_return(Line) ->
    Size = byte_size(Line) - 1,
    case Line of
        <<Before:Size/binary, "\r">> -> Before;
        _ -> Line
    end.

headed(more) -> more;
headed(Line) -> request_line(binary:split(Line, <<" ">>, [global])).

request_line([Method, Target, <<"HTTP/1.", Minor>>]) when Minor =:= $0; Minor =:= $1 -> with_method(Method, path(Target));
request_line(_Other) -> {error, 400}.

with_method(_Method, invalid) -> {error, 400};
with_method(<<"GET">>, Path) -> {ok, get, Path};
with_method(<<"HEAD">>, Path) -> {ok, head, Path};
with_method(_Other, _Path) -> {error, 405}.

%% Returns the path without the query. A proxy may send an absolute URL (section 3.2.2).
path(<<"/", _/binary>> = Target) -> hd(binary:split(Target, <<"?">>));
path(<<"http://", Url/binary>>) -> path_of_url(binary:split(Url, <<"/">>));
path(<<"*">>) -> <<"*">>;
path(_Other) -> invalid.

path_of_url([_Authority, Path]) -> path(<<"/", Path/binary>>);
path_of_url([_Authority]) -> <<"/">>.

%% Formats a response. The response to HEAD has the content length but no body. No cache may keep a response, as health
%% changes.
-spec response(get | head, answer()) -> iodata().
response(Method, {Status, ContentType, Body}) ->
    [
        "HTTP/1.1 ", status(Status), "\r\nContent-Type: ", ContentType, "\r\nContent-Length: ", integer_to_binary(iolist_size(Body)),
        "\r\nCache-Control: no-store\r\nConnection: close\r\n", [["Allow: GET, HEAD\r\n"] || Status =:= 405], "\r\n",
        [Body || Method =:= get]
    ].

status(200) -> "200 OK";
status(400) -> "400 Bad Request";
status(404) -> "404 Not Found";
status(405) -> "405 Method Not Allowed";
status(408) -> "408 Request Timeout";
status(431) -> "431 Request Header Fields Too Large";
status(503) -> "503 Service Unavailable".
