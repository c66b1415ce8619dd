%% @private
%% Connects to a node over TLS as the distribution of this node does, and returns which side refused the handshake.
%% net_kernel reports a failed TLS handshake like a wrong cookie.
-module(caravan_tls_probe).

-export([is_used/0, connect/4, fault/1]).

-export_type([fault/0]).

%% The alert, and the side that found the fault: this node (`here') or the other one (`there').
-type fault() :: {tls, Alert :: atom(), here | there}.

%% How long to wait for an alert after the handshake. An alert needs about one round trip; only the examination waits for it.
-define(VERDICT_MS, 500).

%% The options of `-ssl_dist_opt' that are texts, atoms or numbers. How OTP reads the others is not documented.
-define(OPTIONS, #{
    "certfile" => text, "cacertfile" => text, "keyfile" => text, "password" => text, "verify" => atom,
    "secure_renegotiate" => atom, "reuse_sessions" => atom, "crl_check" => atom, "depth" => integer
}).

%% Returns whether the distribution of this node uses TLS.
-spec is_used() -> boolean().
is_used() ->
    case init:get_argument(proto_dist) of
        {ok, [["inet_tls" ++ _ | _] | _]} -> true;
        {ok, [["inet6_tls" ++ _ | _] | _]} -> true;
        _ -> false
    end.

%% Connects as inet_tls_dist does, but logs nothing. `unknown': the options of this node cannot be read, or the error says
%% nothing about TLS.
-spec connect(string(), inet:ip_address(), inet:port_number(), Timeout :: pos_integer()) ->
    {ok, ssl:sslsocket()} | timeout | closed | fault() | unknown.
connect(Host, Ip, Port, Timeout) ->
    try client_options() of
        {ok, Options} -> outcome(ssl:connect(Ip, Port, options(Host, Ip) ++ Options, Timeout));
        error -> unknown
    catch
        _:_ -> unknown
    end.

options(Host, Ip) ->
    [
        caravan_glue:family(Ip), binary, {active, false}, {packet, 4}, {log_level, none}, {server_name_indication, Host}
        %% The processes that OTP needs for `erl_dist' run only if this VM is distributed.
        | [{erl_dist, true} || is_alive()]
    ].

outcome({ok, Socket}) -> verdict(ssl:connection_information(Socket, [protocol]), Socket);
outcome({error, timeout}) -> timeout;
outcome({error, {tls_alert, Alert}}) -> fault(Alert);
outcome({error, closed}) -> closed;
outcome({error, _}) -> unknown.

%% With TLS 1.3 the client completes the handshake before the server has checked its certificate (RFC 8446, section 4.4.2). A
%% server that accepts it then waits for a node name, so silence is success. Nothing is sent meanwhile, because an alert that
%% arrives during a write is lost.
verdict({ok, [{protocol, 'tlsv1.3'}]}, Socket) ->
    case ssl:recv(Socket, 0, ?VERDICT_MS) of
        {error, timeout} -> {ok, Socket};
        {error, _} = Refused -> _ = ssl:close(Socket), outcome(Refused);
        {ok, _NoNode} -> _ = ssl:close(Socket), unknown
    end;
verdict(_Earlier, Socket) ->
    {ok, Socket}.

%% Only the text of an alert says which side has sent it.
-spec fault({Alert :: atom(), Text :: term()}) -> fault().
fault({Alert, Text}) ->
    {tls, Alert, side(unicode:characters_to_binary(io_lib:format("~ts", [Text])))}.

side(Text) ->
    case binary:match(Text, <<"received SERVER ALERT">>) of
        nomatch -> here;
        _ -> there
    end.

client_options() ->
    case from_flags(init:get_argument(ssl_dist_opt)) of
        {ok, Flags} -> {ok, with_version(Flags ++ from_file(ets:whereis(ssl_dist_opts)))};
        error -> error
    end.

%% After the distribution has started, OTP keeps the content of `-ssl_dist_optfile' in a table. A command beside the node
%% reads the file.
from_file(undefined) -> consulted(init:get_argument(ssl_dist_optfile));
from_file(Table) -> lists:append([Options || {client, Options} <- ets:lookup(Table, client)]).

consulted({ok, [[File | _] | _]}) ->
    {ok, [Roles]} = file:consult(File),
    proplists:get_value(client, Roles, []);
consulted(_NoFile) ->
    [].

%% inet_tls_dist uses TLS 1.2 unless the options say otherwise.
with_version([]) ->
    [];
with_version(Options) ->
    case lists:keymember(versions, 1, Options) of
        true -> Options;
        false -> [{versions, ['tlsv1.2']} | Options]
    end.

from_flags({ok, Arguments}) -> pairs(lists:append(Arguments));
from_flags(error) -> {ok, []}.

pairs(["client_" ++ Key, Value | Others]) ->
    option(?OPTIONS, Key, Value, pairs(Others));
pairs([_ServerOption, _Value | Others]) ->
    pairs(Others);
pairs([]) ->
    {ok, []};
pairs(_) ->
    error.

option(#{} = Types, Key, Value, {ok, Options}) when is_map_key(Key, Types) ->
    {ok, [{list_to_existing_atom(Key), value(map_get(Key, Types), Value)} | Options]};
option(_Types, _Key, _Value, _Others) ->
    error.

value(text, Value) -> Value;
value(atom, Value) -> list_to_existing_atom(Value);
value(integer, Value) -> list_to_integer(Value).
