%% @doc What nodes need to speak TLS to each other: an authority, and a certificate that it has signed.
-module(caravan_test_certificates).

-export([create/2]).

%% @doc Makes keys and certificates for a host name in a directory. Returns the file for `-ssl_dist_optfile',
%% which makes both sides of a connection check each other's certificate.
-spec create(file:filename(), Host :: string()) -> file:filename().
create(Directory, Host) ->
    Extensions = filename:join(Directory, "extensions"),
    Extensions = caravan_test_directory:write(Extensions, ["subjectAltName=DNS:", Host, "\n"]),
    Key = " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes",
    openssl(Directory, "req -x509 -days 1 -subj /CN=authority -keyout authority.key"
            " -out authority.pem" ++ Key),
    openssl(Directory, "req -subj /CN=node -keyout node.key -out node.csr" ++ Key),
    openssl(Directory, "x509 -req -days 1 -in node.csr -CA authority.pem -CAkey authority.key -CAcreateserial"
            " -extfile extensions -out node.pem"),
    Options = [{certfile, filename:join(Directory, "node.pem")},
               {keyfile, filename:join(Directory, "node.key")},
               {cacertfile, filename:join(Directory, "authority.pem")},
               {verify, verify_peer}],
    Config = [{server, [{fail_if_no_peer_cert, true} | Options]}, {client, Options}],
    File = filename:join(Directory, "ssl_dist.config"),
    caravan_test_directory:write(File, io_lib:format("~p.~n", [Config])).

openssl(Directory, Arguments) ->
    Port = open_port({spawn_executable, os:find_executable("openssl")},
                     [{args, string:lexemes(Arguments, " ")}, {cd, Directory},
                      exit_status, stderr_to_stdout]),
    ok = await_success(Port, []).

await_success(Port, Output) ->
    receive
        {Port, {data, Data}} -> await_success(Port, [Output | Data]);
        {Port, {exit_status, 0}} -> ok;
        {Port, {exit_status, Status}} -> {error, {Status, lists:flatten(Output)}}
    end.
