%% @private
%% Connects to a node over TLS as the distribution of this node does: net_kernel says no more of a failed handshake than of another
%% cookie.
-module(caravan_tls_probe).

-export([is_used/0, connect/4, fault/1]).

-export_type([fault/0]).

%% Which side has found the fault, and what it is in the words of TLS.
-type fault() :: {tls, Alert :: atom(), here | there}.

%% The answer takes as long as the handshake did, about; nobody else waits for this.
-define(VERDICT_MS, 500).

%% Of `-ssl_dist_opt', what is a text, an atom or a number there. Of others nobody outside of OTP knows how it reads them.
-define(OPTIONS, #{
    "certfile" => text, "cacertfile" => text, "keyfile" => text, "password" => text, "verify" => atom,
    "secure_renegotiate" => atom, "reuse_sessions" => atom, "crl_check" => atom, "depth" => integer
}).

%% Whether the distribution of this node goes over TLS.
-spec is_used() -> boolean().
is_used() ->
    case init:get_argument(proto_dist) of
        {ok, [["inet_tls" ++ _ | _] | _]} -> true;
        {ok, [["inet6_tls" ++ _ | _] | _]} -> true;
        _ -> false
    end.

%% Connects as inet_tls_dist does it, and logs nothing. `unknown': the options of this node, or what came of them, say nothing.
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
        %% A VM that is not distributed has not started what serves these.
        | [{erl_dist, true} || is_alive()]
    ].

outcome({ok, Socket}) -> verdict(ssl:connection_information(Socket, [protocol]), Socket);
outcome({error, timeout}) -> timeout;
outcome({error, {tls_alert, Alert}}) -> fault(Alert);
outcome({error, closed}) -> closed;
outcome({error, _}) -> unknown.

%% With TLS 1.3 a client is through before the other side has looked at its certificate (RFC 8446, section 4.4.2). A side that is content
%% says nothing then, and waits for a name. An alert that comes while this side writes is lost.
verdict({ok, [{protocol, 'tlsv1.3'}]}, Socket) ->
    case ssl:recv(Socket, 0, ?VERDICT_MS) of
        {error, timeout} -> {ok, Socket};
        {error, _} = Refused -> _ = ssl:close(Socket), outcome(Refused);
        {ok, _NoNode} -> _ = ssl:close(Socket), unknown
    end;
verdict(_Earlier, Socket) ->
    {ok, Socket}.

%% OTP says in the text of an alert alone which side has sent it.
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

%% OTP keeps what the file of `-ssl_dist_optfile' said, once the distribution has started. A command beside the node has none.
from_file(undefined) -> consulted(init:get_argument(ssl_dist_optfile));
from_file(Table) -> lists:append([Options || {client, Options} <- ets:lookup(Table, client)]).

consulted({ok, [[File | _] | _]}) ->
    {ok, [Roles]} = file:consult(File),
    proplists:get_value(client, Roles, []);
consulted(_NoFile) ->
    [].

%% inet_tls_dist speaks TLS 1.2 unless it is told otherwise.
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
