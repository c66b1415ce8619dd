%% @doc An `-epmd_module' that exports only the functions that OTP requires: it knows ports but no addresses.
-module(caravan_test_plain_epmd).

-export([start_link/0, listen_port_please/2, register_node/3, port_please/2, names/1]).

start_link() ->
    caravan_epmd:start_link().

listen_port_please(Name, Host) ->
    caravan_epmd:listen_port_please(Name, Host).

register_node(Name, Port, Family) ->
    caravan_epmd:register_node(Name, Port, Family).

port_please(Name, Ip) ->
    caravan_epmd:port_please(Name, Ip).

names(Host) ->
    caravan_epmd:names(Host).
