%% @private
%% The port that a node name stands for, and the rule that gives it.
-module(caravan_port).

-export([of_name/1, find/4, ignores_digits/1, explain/1]).
-export([source/1, fixed/0, from_text/1, check/0, check_settings/1]).

-export_type([rule/0, fixed/0]).

%% `name': the digits at the end of the name. `helper': the hash of a helper's name. The others are for names that say no
%% port: `-erl_epmd_port' or ERL_DIST_PORT, which hold for all nodes, or `default_port'.
-type rule() :: name | helper | default_port | fixed().
-type fixed() :: erl_epmd_port | erl_dist_port.

-type name() :: atom() | string() | binary().

-spec of_name(name()) -> {inet:port_number(), rule()}.
of_name(Name) ->
    {Port, Origin} = caravan_nif:port_choice(Name),
    {Port, rule(Origin)}.

rule(name) ->
    name;
rule({helper, _Pattern}) ->
    helper;
rule(_NoPort) ->
    case fixed() of
        {_Port, Rule} -> Rule;
        none -> default_port
    end.

%% Finds the port of a node to connect to, and its address if that came along. For a name that says no port, asks the SRV
%% records of `port_srv', then, if `fallback' is `epmd', the epmd of the host. Waits until the deadline, in monotonic
%% milliseconds, so a process that must not wait does not call it.
-spec find(string(), string(), inet | inet6, Deadline :: integer()) ->
    {ok, inet:port_number()} | {ok, inet:ip_address(), inet:port_number()} | {error, address}.
find(Name, Host, Family, Deadline) ->
    case of_name(Name) of
        {Port, Rule} when Rule =:= name; Rule =:= helper -> {ok, Port};
        {Port, _Default} -> from_srv(caravan_config:value(port_srv), Port, Name, Host, Family, Deadline)
    end.

from_srv({ok, [_ | _] = Template}, Port, Name, Host, Family, Deadline) ->
    case look_up(Template, Name, Host, Family, Deadline) of
        none -> from_epmd(caravan_config:value(fallback), Port, Name, Host, Family, Deadline);
        Found -> Found
    end;
from_srv(_NoTemplate, Port, Name, Host, Family, Deadline) ->
    from_epmd(caravan_config:value(fallback), Port, Name, Host, Family, Deadline).

%% Asks for the SRV records of one node, so that names can be plain, ports dynamic, and several nodes can share a host.
%% Returns `none' if a nameserver says that there are no records, and an error if no nameserver answers. Does not use the
%% cache: a caller that asks again for a node is not connected to it, so the last answer was of no use.
look_up(Template, Name, Host, Family, Deadline) ->
    Query = caravan_template:render(Template, #{name => list_to_binary(Name), host => list_to_binary(Host)}),
    case caravan_dns:lookup_afresh(Query, srv, at_least_1(Deadline)) of
        {ok, #{records := [Record | _], addresses := Addresses}} ->
            endpoint(Record, Host, Addresses, Family, Deadline);
        {error, Reason} when Reason =:= nxdomain; Reason =:= nodata; Reason =:= badname -> none;
        {error, _} -> {error, address}
    end.

at_least_1(Deadline) ->
    max(1, caravan_task:remaining(Deadline)).

endpoint(#{port := 0}, _Host, _Addresses, _Family, _Deadline) ->
    none;
endpoint(#{port := Port, target := Target}, Host, Addresses, Family, Deadline) ->
    Ips = [Ip || Ip <- maps:get(Target, Addresses, []), caravan_glue:family(Ip) =:= Family],
    case caravan_address_history:choose(Host, Ips) of
        {_, Ip} -> {ok, Ip, Port};
        none -> target_address(binary_to_list(Target), Port, Family, Deadline)
    end.

target_address(Target, Port, Family, Deadline) ->
    case caravan_address:resolve_target(Target, Family, at_least_1(Deadline)) of
        {ok, Ip} -> {ok, Ip, Port};
        {error, _} -> {error, address}
    end.

%% A node that the epmd of its host does not know may run Caravan, without an epmd.
from_epmd({ok, epmd}, Port, Name, Host, Family, Deadline) ->
    case caravan_address:resolve(Host, Family, at_least_1(Deadline)) of
        {ok, Ip} -> {ok, Ip, epmd_port(Name, Ip, Port, Deadline)};
        {error, _} -> {error, address}
    end;
from_epmd(_None, Port, _Name, _Host, _Family, _Deadline) ->
    {ok, Port}.

%% The call runs in a task because the time-out of erl_epmd:port_please/3 covers the connection to epmd, but not the reply.
epmd_port(Name, Ip, Port, Deadline) ->
    case caravan_task:call(fun() -> erl_epmd:port_please(Name, Ip) end, Deadline) of
        {ok, {port, Known, _Version}} -> Known;
        _ -> Port
    end.

%% Returns whether the name ends in digits that are not its port, although nothing else says its port. If SRV records or epmd
%% say the port, names need no digits.
-spec ignores_digits(name()) -> boolean().
ignores_digits(Name) ->
    {_Port, Origin} = caravan_nif:port_choice(Name),
    Origin =:= digits_ignored andalso settings(rule(Origin)) =:= none.

%% Returns the port, its rule and an explanation, without asking DNS or epmd.
-spec explain(name()) -> #{port := inet:port_number(), rule := atom(), explanation := string()}.
explain(Name) ->
    {Port, Origin} = caravan_nif:port_choice(Name),
    Rule = rule(Origin),
    explained(Port, Rule, Origin, settings(Rule)).

settings(Rule) when Rule =:= name; Rule =:= helper ->
    none;
settings(_Default) ->
    case {caravan_config:value(port_srv), caravan_config:value(fallback)} of
        {{ok, [_ | _] = Template}, _} -> {port_srv, Template};
        {_, {ok, epmd}} -> epmd;
        _ -> none
    end.

explained(Port, helper, {helper, Pattern}, none) ->
    answer(Port, helper, io_lib:format("the hash of a helper's name (pattern ~ts), ~b", [Pattern, Port]));
explained(Port, Rule, Origin, {port_srv, Template}) ->
    Records = [
        "SRV records of ", caravan_template:text(Template), from(port_srv), ", or, if there are none, "
    ],
    answer(Port, port_srv, [why(Origin), Records, where(Rule, Port)]);
explained(Port, Rule, Origin, epmd) ->
    Epmd = ["the epmd of its host", from(epmd), ", or, if that does not know the name, "],
    answer(Port, epmd, [why(Origin), Epmd, where(Rule, Port)]);
explained(Port, Rule, Origin, none) ->
    answer(Port, Rule, [why(Origin), where(Rule, Port)]).

answer(Port, Rule, Explanation) ->
    #{port => Port, rule => Rule, explanation => lists:flatten(io_lib:format("~ts", [Explanation]))}.

why(name) ->
    "";
why(no_digits) ->
    no_digits(caravan_config:value(port_in_name));
why(digits_ignored) ->
    {ok, {First, Last}} = caravan_config:value(port_range),
    io_lib:format("the digits at the end of the name are not a port within port_range, ~b to ~b: ", [First, Last]).

no_digits({ok, dash}) -> ["the name does not end in a dash and digits", from(port_in_name), ": "];
no_digits({ok, none}) -> ["digits in names do not count", from(port_in_name), ": "];
no_digits(_Digits) -> "the name ends in no digits: ".

where(name, Port) -> io_lib:format("the digits at the end of the name, ~b", [Port]);
where(erl_epmd_port, Port) -> io_lib:format("-erl_epmd_port, ~b", [Port]);
where(erl_dist_port, Port) -> io_lib:format("ERL_DIST_PORT, ~b", [Port]);
where(default_port, Port) -> io_lib:format("default_port, ~b~ts", [Port, from(default_port)]).

%% Names the source of a rule's value in parentheses; empty for the default.
from(Rule) ->
    case source(Rule) of
        default -> "";
        Source -> io_lib:format(" (~ts)", [caravan_config:format_source(Source)])
    end.

%% Returns the source of the value that a rule uses; `default' also for rules without a key.
-spec source(rule() | listen_port | port_srv | epmd | port_in_name) -> caravan_config:source().
source(epmd) ->
    caravan_config:source(fallback);
source(Rule) when Rule =:= default_port; Rule =:= listen_port; Rule =:= port_srv; Rule =:= port_in_name ->
    caravan_config:source(Rule);
source(_Rule) ->
    default.

%% Returns the port at which OTP without an epmd expects every node, or `none'.
-spec fixed() -> {inet:port_number(), fixed()} | none.
fixed() ->
    case {flag(), os:getenv("ERL_DIST_PORT", "")} of
        {none, ""} -> none;
        {none, Text} -> fixed(from_text(Text), erl_dist_port);
        {Text, _} -> fixed(from_text(Text), erl_epmd_port)
    end.

flag() ->
    case init:get_argument(erl_epmd_port) of
        {ok, [[Text] | _]} -> Text;
        _ -> kernel_parameter(application:get_env(kernel, erl_epmd_node_listen_port))
    end.

%% The kernel parameter exists since OTP 27.2.
kernel_parameter({ok, Port}) when is_integer(Port) -> integer_to_list(Port);
kernel_parameter(_) -> none.

fixed({ok, Port}, Rule) -> {Port, Rule};
fixed(error, _Rule) -> none.

%% Parses a port from a flag or an environment variable. `false' is what os:getenv/1 returns for a variable that is not set.
-spec from_text(string() | false) -> {ok, inet:port_number()} | error.
from_text(Text) when is_list(Text) ->
    try list_to_integer(caravan_ascii:trim(Text)) of
        Port when Port >= 1, Port =< 65535 -> {ok, Port};
        _ -> error
    catch
        error:badarg -> error
    end;
from_text(false) ->
    error.

%% Checks all settings of this module. An error stops the boot, so that the other functions rely on valid values.
-spec check() -> ok | {error, caravan_option:error()}.
check() ->
    case check_settings(fixed_settings()) of
        ok -> first_error([caravan_config:value(Key) || Key <- keys()]);
        {error, _} = Error -> Error
    end.

keys() ->
    [default_port, port_range, port_in_name, helper_ports, helper_names, port_srv, fallback].

first_error(Values) ->
    case [Error || {error, _} = Error <- Values] of
        [] -> ok;
        [Error | _] -> Error
    end.

fixed_settings() ->
    [{{erl_epmd_port, flag}, Text} || Text <- [flag()], Text =/= none] ++
        [{{erl_dist_port, {variable, "ERL_DIST_PORT"}}, Text} || Text <- [os:getenv("ERL_DIST_PORT", "")], Text =/= ""].

%% Checks that each text is a port.
-spec check_settings([{Key :: {atom(), caravan_config:source()}, Text :: string() | false}]) -> ok | {error, caravan_option:error()}.
check_settings(Settings) ->
    case [Setting || {_, Text} = Setting <- Settings, from_text(Text) =:= error] of
        [] -> ok;
        [{Key, Text} | _] when Text =:= false; Text =:= "" ->
            {error, {bad_option, Key, unset, "an integer from 1 to 65535"}};
        [{Key, Text} | _] ->
            {error, {bad_option, Key, Text, "an integer from 1 to 65535"}}
    end.
