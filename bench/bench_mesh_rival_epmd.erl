%% Names and ports as caravan_epmd has them; addresses from the system, as Caravan 1.0 had them.
-module(bench_mesh_rival_epmd).

-export([start_link/0, listen_port_please/2, register_node/2, register_node/3]).
-export([address_please/3, port_please/2, port_please/3, names/0, names/1]).

address_please(_Name, Host, _Family) -> inet:getaddr(Host, inet).

start_link() -> caravan_epmd:start_link().

listen_port_please(Name, Host) -> caravan_epmd:listen_port_please(Name, Host).

register_node(Name, Port) -> caravan_epmd:register_node(Name, Port).

register_node(Name, Port, Family) -> caravan_epmd:register_node(Name, Port, Family).

port_please(Name, Host) -> caravan_epmd:port_please(Name, Host).

port_please(Name, Host, Timeout) -> caravan_epmd:port_please(Name, Host, Timeout).

names() -> caravan_epmd:names().

names(Host) -> caravan_epmd:names(Host).
