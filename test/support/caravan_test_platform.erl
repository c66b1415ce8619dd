%% @doc Compares what an example for a platform configures: the name of a node, the names that its topology makes of the platform's
%% records, and the port of both.
-module(caravan_test_platform).

-export([topology/1, health_port/1, of_mix/2, of_supervisor/2, of_sys_config/2, node_names/3, substitute/2, shell_variable/3, same_topology/2]).

-type environment() :: [{string(), string()}].
-type options() :: #{atom() => term()}.

-export_type([environment/0]).

%% @doc Returns the topology that the variables `CARAVAN_CLUSTER_*' make.
-spec topology(environment()) -> options().
topology(Environment) ->
    caravan_test_config:with_variables(ours(Environment), fun() ->
        {ok, [{default, Options}]} = caravan_config:value(topologies),
        maps:from_list(Options)
    end).

%% @doc Returns the address and port of the health listener that `CARAVAN_HEALTH' sets.
-spec health_port(environment()) -> #{ip := inet:ip_address(), port := inet:port_number()}.
health_port(Environment) ->
    caravan_test_config:with_variables(ours(Environment), fun() ->
        {ok, Health} = caravan_config:value(health),
        Health
    end).

ours(Environment) ->
    [Variable || {"CARAVAN_" ++ _, _} = Variable <- Environment].

%% @doc Returns the keys of Caravan in a configuration of Mix.
-spec of_mix(file:filename(), environment()) -> [{atom(), term()}].
of_mix(File, Environment) ->
    elixir("Config.Reader.read!(hd(System.argv()))[:caravan]", File, Environment).

%% @doc Returns the options in the only `{Caravan.Cluster, Options}' of a file of Elixir, which is not compiled.
-spec of_supervisor(file:filename(), environment()) -> [{atom(), term()}].
of_supervisor(File, Environment) ->
    Find =
        "hd(System.argv()) |> File.read!() |> Code.string_to_quoted!() |> Macro.prewalker()"
        " |> Enum.find_value(fn {{:__aliases__, _, [:Caravan, :Cluster]}, options} -> options; _ -> nil end)"
        " |> Code.eval_quoted() |> elem(0)",
    elixir(Find, File, Environment).

elixir(Expression, File, Environment) ->
    Arguments = ["-e", "IO.write(:io_lib.format(~c\"~p.\", [" ++ Expression ++ "]))", "--", caravan_test_directory:in_repository(File)],
    Port = open_port({spawn_executable, os:find_executable("elixir")}, [{args, Arguments}, {env, Environment}, exit_status, binary]),
    term(collect(Port, <<>>)).

collect(Port, Output) ->
    receive
        {Port, {data, Data}} -> collect(Port, <<Output/binary, Data/binary>>);
        {Port, {exit_status, 0}} -> unicode:characters_to_list(Output)
    end.

%% @doc Returns the keys of Caravan in a sys.config, in which relx has replaced the variables.
-spec of_sys_config(file:filename(), environment()) -> [{atom(), term()}].
of_sys_config(File, Environment) ->
    {ok, Text} = file:read_file(caravan_test_directory:in_repository(File)),
    {caravan, Keys} = lists:keyfind(caravan, 1, term(substitute(unicode:characters_to_list(Text), Environment))),
    Keys.

term(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.

%% @doc Replaces `${NAME}'. Raises if a variable is not set.
-spec substitute(string(), environment()) -> string().
substitute(Text, Environment) ->
    Replaced = lists:foldl(
        fun({Name, Value}, Before) -> lists:flatten(string:replace(Before, "${" ++ Name ++ "}", Value, all)) end, Text, Environment
    ),
    string:find(Replaced, "${") =:= nomatch orelse error({not_set, Replaced}),
    Replaced.

%% @doc Returns the value that a variable has after a script for `sh' was read. `Directory' comes first in `PATH'.
-spec shell_variable(file:filename(), Name :: string(), environment()) -> string().
shell_variable(Script, Name, Environment) ->
    Command = "set -eu; . '" ++ caravan_test_directory:in_repository(Script) ++ "'; printf %s \"$" ++ Name ++ "\"",
    Port = open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", Command]}, {env, Environment}, exit_status, binary]),
    collect(Port, <<>>).

%% @doc Returns the node names that the topology of the node `Own' makes of these endpoints.
-spec node_names(Own :: string(), options() | [{atom(), term()}], [caravan_node_names:endpoint()]) -> [string()].
node_names(Own, Options, Endpoints) ->
    #{queries := [Query]} = Checked = checked(Options),
    Finding = #{endpoints => Endpoints, ttl => 30, unresolved => 0, complete => true},
    {ok, #{records := Records}} = caravan_node_names:of_outcome({ok, Finding}, Query, Checked#{own => list_to_atom(Own)}),
    [binary_to_list(Name) || Names <- Records, Name <- Names].

%% @doc Returns whether two topologies have the same options.
-spec same_topology(options() | [{atom(), term()}], options() | [{atom(), term()}]) -> boolean().
same_topology(One, Other) ->
    Ignored = [dns_client],
    maps:without(Ignored, checked(One)) =:= maps:without(Ignored, checked(Other)).

checked(Options) when is_list(Options) ->
    checked(maps:from_list(Options));
checked(Options) ->
    {ok, Checked} = caravan_cluster:check_options(Options#{name => shop}),
    Checked.
