%% @doc Network namespaces of nodes, and what is bad about the link of each. test/network/chaos makes them. Nodes are numbers from 1 on.
-module(caravan_network_places).

-export([open/3, address/2, nameserver_address/1, prefix/2, has_weather/1, disturb/2, heal/1]).

-export_type([places/0, family/0]).

-type family() :: inet | inet6.
%% What makes packets late: netem, or frame_relay, which passes them from device to device.
-type weather() :: none | netem | {relay, port()}.
-type places() :: #{
    family := family(),
    pids := #{pos_integer() => string()},
    weather := weather(),
    links := #{pos_integer() => caravan_network_faults:link()}
}.

-define(NAMESERVER, 100).

%% @doc The namespaces of these processes, which are well. `Relay' is the file of frame_relay, or `"none"' where their links need none. The
%% relay ends with the calling process.
-spec open(family(), Relay :: file:filename(), Pids :: [string()]) -> places().
open(Family, Relay, Pids) ->
    Numbered = maps:from_list(lists:zip(lists:seq(1, length(Pids)), Pids)),
    Links = maps:map(fun(Place, _) -> caravan_network_faults:link(Place, []) end, Numbered),
    Places = #{family => Family, pids => Numbered, links => Links, weather => none},
    Places#{weather := weather(Relay, Pids, Places)}.

weather("none", _Pids, Places) ->
    case run(1, ["tc", "qdisc", "replace", "dev", "net", "root", "netem", "delay", "0ms"], Places) of
        "" -> ok = silently(1, ["tc", "qdisc", "delete", "dev", "net", "root"], Places), netem;
        _ -> none
    end;
weather(Relay, Pids, _Places) ->
    {relay, open_port({spawn_executable, Relay}, [{args, Pids}, binary])}.

%% @doc Where a node is, and where it is disturbed.
-spec address(pos_integer(), family()) -> inet:ip_address().
address(Place, inet) -> {10, 9, 0, Place};
address(Place, inet6) -> {16#fd00, 9, 0, 0, 0, 0, 0, Place}.

%% @doc Where the nameserver is.
-spec nameserver_address(family()) -> inet:ip_address().
nameserver_address(Family) ->
    address(?NAMESERVER, Family).

%% @doc The words before a command that runs there.
-spec prefix(pos_integer(), places()) -> [string()].
prefix(Place, #{pids := Pids}) ->
    ["nsenter", "-t", maps:get(Place, Pids), "--net"].

%% @doc Whether packets can be made late.
-spec has_weather(places()) -> boolean().
has_weather(#{weather := Weather}) -> Weather =/= none.

%% @doc All is well again.
-spec heal(places()) -> places().
heal(Places) ->
    disturb([], Places).

%% @doc From now on there are these faults, and no others.
-spec disturb([caravan_network_faults:fault()], places()) -> places().
disturb(Faults, #{links := Links} = Places) ->
    Next = maps:map(fun(Place, _) -> caravan_network_faults:link(Place, Faults) end, Links),
    maps:foreach(fun(Place, Link) -> ok = change(Place, maps:get(Place, Links), Link, Places) end, Next),
    Places#{links := Next}.

change(_Place, Link, Link, _Places) ->
    ok;
change(Place, #{rules := Rules, up := IsUp, mtu := Mtu, delay := Delay}, Next, Places) ->
    ok = if_other(Rules, maps:get(rules, Next), fun(To) -> silently(Place, ["nft", rules(To, Places)], Places) end),
    ok = if_other(IsUp, maps:get(up, Next), fun(To) -> set_up(Place, To, Places) end),
    ok = if_other(Mtu, maps:get(mtu, Next), fun(To) -> set_link(Place, ["mtu", integer_to_list(To)], Places) end),
    if_other(Delay, maps:get(delay, Next), fun(To) -> delay(Place, To, Places) end).

if_other(Same, Same, _Change) -> ok;
if_other(_, Next, Change) -> Change(Next).

set_link(Place, Words, Places) ->
    silently(Place, ["ip", "link", "set", "net" | Words], Places).

set_up(Place, false, Places) ->
    set_link(Place, ["down"], Places);
set_up(Place, true, #{family := Family} = Places) ->
    ok = set_link(Place, ["up"], Places),
    restore_address(Place, Family, Places).

%% An interface that is down loses the addresses that it has of IPv6.
restore_address(_Place, inet, _Places) ->
    ok;
restore_address(Place, inet6, Places) ->
    Address = inet:ntoa(address(Place, inet6)) ++ "/64",
    silently(Place, ["ip", "address", "replace", Address, "dev", "net", "nodad"], Places).

%% By half of that more or less, and one of twenty packets twice.
delay(Place, Ms, #{weather := {relay, Port}}) ->
    Duplicates = min(Ms, 5),
    true = port_command(Port, io_lib:format("~b ~b ~b ~b~n", [Place, Ms div 2, Ms + Ms div 2, Duplicates])),
    ok;
delay(Place, 0, Places) ->
    silently(Place, ["tc", "qdisc", "delete", "dev", "net", "root"], Places);
delay(Place, Ms, Places) ->
    Words = [integer_to_list(Ms) ++ "ms", integer_to_list(Ms div 2) ++ "ms", "duplicate", "5%"],
    silently(Place, ["tc", "qdisc", "replace", "dev", "net", "root", "netem", "delay" | Words], Places).

%% Packets are lost on the way in: who sends what is dropped on the way out is told so. Of firewalls that refuse, each lets the word of the
%% other one pass.
rules(Rules, #{family := Family}) ->
    [
        "flush ruleset\ntable inet chaos {\nchain input {\ntype filter hook input priority 0\niifname != net accept\n",
        [[rule(Rule, Family), "\n"] || Rule <- Rules],
        "}\n}\n"
    ].

rule({drop, all}, _Family) -> "meta l4proto { tcp, udp } drop";
rule({drop, nameserver}, Family) -> rule({drop, ?NAMESERVER}, Family);
rule({drop, Place}, Family) -> [from(Place, Family), " meta l4proto { tcp, udp } drop"];
rule({refuse, Place}, Family) -> [from(Place, Family), " tcp flags & rst != rst reject with tcp reset"];
rule({lose, Percent}, _Family) -> ["meta l4proto { tcp, udp } numgen random mod 100 < ", integer_to_list(Percent), " drop"].

from(Place, inet) -> ["ip saddr ", inet:ntoa(address(Place, inet))];
from(Place, inet6) -> ["ip6 saddr ", inet:ntoa(address(Place, inet6))].

silently(Place, Words, Places) ->
    case run(Place, Words, Places) of
        "" -> ok;
        Output -> error({Place, Words, Output})
    end.

run(Place, Words, Places) ->
    os:cmd(lists:flatten(lists:join(" ", [["'", Word, "'"] || Word <- prefix(Place, Places) ++ Words]))).
