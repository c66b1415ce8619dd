%% @private
%% What a node calls itself: it says that in its challenge, before anything is proven (erts, distribution protocol,
%% "Distribution Handshake").
-module(caravan_challenge).

-export([name/2]).

%% This name is an atom in every VM and no node's, so that asking under it makes no atom there, and takes the place of no
%% connection that is up or being set up. Closed after its challenge, a node logs nothing.
-define(ASKED_BY, <<"nonode@nohost">>).

%% The flags that a node must have from OTP 25 and 26 on, each and as a digest. Without DFLAG_PUBLISHED, a hidden node's.
-define(FLAGS,
    (16#4 bor 16#10 bor 16#80 bor 16#100 bor 16#200 bor 16#400 bor 16#800 bor 16#10000 bor 16#20000 bor 16#40000 bor
        16#1000000 bor 16#2000000 bor 16#400000000 bor 16#1000000000)
).
-define(MAX_NAME_BYTES, 1020).

%% Asks over a socket that is connected to the port of a node: binary, passive, with packets of two octets of length.
%% `timeout' is silence; `refused' is any other answer than a challenge.
-spec name(gen_tcp:socket(), Timeout :: pos_integer()) -> {ok, binary()} | timeout | refused.
name(Socket, Timeout) ->
    Size = byte_size(?ASKED_BY),
    case gen_tcp:send(Socket, <<$N, ?FLAGS:64, 0:32, Size:16, ?ASKED_BY/binary>>) of
        ok -> status(gen_tcp:recv(Socket, 0, Timeout), Socket, Timeout);
        {error, _} -> refused
    end.

status({ok, <<"sok", _/binary>>}, Socket, Timeout) -> challenge(gen_tcp:recv(Socket, 0, Timeout));
status({error, timeout}, _Socket, _Timeout) -> timeout;
status(_Refused, _Socket, _Timeout) -> refused.

challenge({ok, <<$N, _Flags:64, _Challenge:32, _Creation:32, Size:16, Name:Size/binary, _/binary>>})
  when Size =< ?MAX_NAME_BYTES ->
    fit_for_the_log(Name, unicode:characters_to_list(Name));
challenge({error, timeout}) ->
    timeout;
challenge(_Other) ->
    refused.

%% It comes from the network.
fit_for_the_log(Name, [_ | _] = Characters) ->
    case io_lib:printable_unicode_list(Characters) andalso lists:min(Characters) > $\s of
        true -> {ok, Name};
        false -> refused
    end;
fit_for_the_log(_Name, _NoText) ->
    refused.
