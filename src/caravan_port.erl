%% @private
%% The port that the name of a node stands for, and by which rule.
-module(caravan_port).

-export([of_name/1, find/4, explain/1]).

-export_type([rule/0]).

%% `name': the digits at its end. `helper': it is short-lived, and nobody may look for it. The others hold for names
%% that say no port: what `-erl_epmd_port' or ERL_DIST_PORT say of all nodes, or `default_port'.
-type rule() :: name | helper | default_port | caravan_listen:fixed().

-type name() :: atom() | string() | binary().

-spec of_name(name()) -> {inet:port_number(), rule()} | {noport, helper}.
of_name(Name) ->
    case caravan_nif:is_helper_name(Name) of
        true -> {noport, helper};
        false -> {caravan_nif:dist_port(Name), rule(caravan_nif:port_origin(Name))}
    end.

rule(name) ->
    name;
rule(_NoPort) ->
    case caravan_listen:fixed_port() of
        {_Port, Rule} -> Rule;
        none -> default_port
    end.

%% The port of a node that is to be connected; with its address, where that came along. May wait until the deadline, in
%% monotonic milliseconds, but never in a process that must not. Asked in turn for a name that says no port:
%% `port_srv', the epmd of the host when `fallback' is epmd.
-spec find(string(), string(), inet | inet6, Deadline :: integer()) ->
    {ok, inet:port_number()} | {ok, inet:ip_address(), inet:port_number()} | {error, noport | address}.
find(Name, Host, Family, Deadline) ->
    case of_name(Name) of
        {noport, helper} -> {error, noport};
        {Port, name} -> {ok, Port};
        {Port, _Default} -> from_srv(caravan_config:value(port_srv), Port, Name, Host, Family, Deadline)
    end.

from_srv({ok, Template}, Port, Name, Host, Family, Deadline) when is_binary(Template) ->
    case caravan_port_srv:look_up(Template, Name, Host, Family, Deadline) of
        none -> from_epmd(caravan_config:value(fallback), Port, Name, Host, Family, Deadline);
        Found -> Found
    end;
from_srv(_NoTemplate, Port, Name, Host, Family, Deadline) ->
    from_epmd(caravan_config:value(fallback), Port, Name, Host, Family, Deadline).

%% A node that epmd does not know may be one of ours, without an epmd on its host.
from_epmd({ok, epmd}, Port, Name, Host, Family, Deadline) ->
    case caravan_address:resolve(Host, Family, max(1, caravan_bounded:remaining(Deadline))) of
        {ok, Ip} -> {ok, Ip, epmd_port(Name, Ip, Port, Deadline)};
        {error, _} -> {error, address}
    end;
from_epmd(_None, Port, _Name, _Host, _Family, _Deadline) ->
    {ok, Port}.

%% The time-out of erl_epmd:port_please/3 is for the connection to epmd, and not for its answer.
epmd_port(Name, Ip, Port, Deadline) ->
    case caravan_bounded:call(fun() -> erl_epmd:port_please(Name, Ip) end, Deadline) of
        {ok, {port, Known, _Version}} -> Known;
        _ -> Port
    end.

%% Which rule gives which port, without asking anybody.
-spec explain(name()) -> #{port := inet:port_number() | noport, rule := atom(), explanation := string()}.
explain(Name) ->
    {Port, Rule} = of_name(Name),
    explained(Port, Rule, caravan_nif:port_origin(Name), settings(Rule)).

settings(Rule) when Rule =:= name; Rule =:= helper ->
    none;
settings(_Default) ->
    case {caravan_config:value(port_srv), caravan_config:value(fallback)} of
        {{ok, Template}, _} when is_binary(Template) -> {port_srv, Template};
        {_, {ok, epmd}} -> epmd;
        _ -> none
    end.

explained(Port, helper, _Origin, none) ->
    answer(Port, helper, where(helper, Port));
explained(Port, Rule, Origin, {port_srv, Template}) ->
    Records = ["SRV records of ", Template, " say it; where there are none, "],
    answer(Port, port_srv, [why(Origin), Records, where(Rule, Port)]);
explained(Port, Rule, Origin, epmd) ->
    answer(Port, epmd, [why(Origin), "the epmd of its host is asked; where that knows nothing, ", where(Rule, Port)]);
explained(Port, Rule, Origin, none) ->
    answer(Port, Rule, [why(Origin), where(Rule, Port)]).

answer(Port, Rule, Explanation) ->
    #{port => Port, rule => Rule, explanation => lists:flatten(io_lib:format("~ts", [Explanation]))}.

why(name) ->
    "";
why(no_digits) ->
    "the name ends in no digits: ";
why(digits_ignored) ->
    {ok, {First, Last}} = caravan_config:value(port_range),
    io_lib:format("the digits at the end of the name are no port in port_range, ~b to ~b: ", [First, Last]).

where(name, Port) -> io_lib:format("the digits at the end of the name, ~b", [Port]);
where(helper, _) -> "it is the name of a helper node, which nobody looks up";
where(erl_epmd_port, Port) -> io_lib:format("-erl_epmd_port, ~b", [Port]);
where(erl_dist_port, Port) -> io_lib:format("ERL_DIST_PORT, ~b", [Port]);
where(default_port, Port) -> io_lib:format("default_port, ~b", [Port]).
