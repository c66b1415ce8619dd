%% @private
%% From what DNS says to node names. Records come from the network and atoms are for ever, so names are checked before
%% they become atoms, at most `max_nodes' of an answer, and a topology has a budget of new atoms for its whole life. A
%% name that turns out to be a node's gives its atom back to the budget: a cluster may replace its nodes for years.
-module(caravan_node_names).

-export([new/1, change/2, from_endpoints/3, is_a_node/2, have_port/1, same_listener/1, stats/1]).

-export_type([state/0, endpoint/0, options/0]).

%% What an answer says of one node: some of port, target and address.
-type endpoint() :: #{port => inet:port_number(), target => binary(), ip => inet:ip_address()}.

-type options() :: #{
    %% Empty without a query; `own': that of this node.
    node_basename := [binary()] | own,
    node_name := caravan_template:template(),
    nodes := [node()],
    max_nodes := pos_integer(),
    atom_budget := pos_integer(),
    atom() => term()
}.

-type refusals() :: #{invalid := non_neg_integer(), max_nodes := non_neg_integer(), atom_budget := non_neg_integer()}.

-record(state, {
    options :: options(),
    %% Atoms made here of names that nobody has had so far.
    unproven = #{} :: #{node() => []},
    last_refused = #{invalid => 0, max_nodes => 0, atom_budget => 0} :: refusals(),
    refused = 0 :: non_neg_integer()
}).

-opaque state() :: #state{}.

-spec new(options()) -> state().
new(Options) ->
    #state{options = Options}.

%% What has been spent stays spent.
-spec change(options(), state()) -> state().
change(Options, State) ->
    State#state{options = Options}.

%% The nodes of an answer, sorted and without duplicates. What makes no node name is left out and counted. `max_nodes' is
%% of endpoints, each of which may have several names; those of nodes that are connected are taken first, so that a cut
%% takes nobody away.
-spec from_endpoints([endpoint()], Connected :: [node()], state()) -> {[node()], state()}.
from_endpoints(Endpoints, Connected, #state{options = #{max_nodes := MaxNodes} = Options} = State) ->
    Basenames = basenames(Options),
    Rendered = [[name(Endpoint, Basename, Options) || Basename <- Basenames] || Endpoint <- Endpoints],
    Named = lists:usort([Names || Results <- Rendered, (Names = [Name || {ok, Name} <- Results]) =/= []]),
    Taken = lists:append(lists:sublist(connected_first(Named, MaxNodes, Connected), MaxNodes)),
    {Nodes, OverBudget, Unproven} = to_atoms(lists:usort(Taken), State),
    Refused = #{
        invalid => length([Error || Results <- Rendered, {error, _} = Error <- Results]),
        max_nodes => max(0, length(Named) - MaxNodes),
        atom_budget => OverBudget
    },
    {lists:sort(Nodes), State#state{
        unproven = Unproven,
        last_refused = Refused,
        refused = State#state.refused + lists:sum(maps:values(Refused))
    }}.

connected_first(Named, MaxNodes, _Connected) when length(Named) =< MaxNodes ->
    Named;
connected_first(Named, _MaxNodes, Connected) ->
    Names = maps:from_keys([atom_to_binary(Node) || Node <- Connected], connected),
    {First, Others} = lists:partition(fun(Own) -> lists:any(fun(Name) -> is_map_key(Name, Names) end, Own) end, Named),
    First ++ Others.

%% Nodes of one service are mostly called alike: what stands before the `@' of this one's name, without the port.
basenames(#{node_basename := own}) -> own_basename(node());
basenames(#{node_basename := Basenames}) -> Basenames.

%% There is none while the node is not distributed.
own_basename(nonode@nohost) ->
    [];
own_basename(Node) ->
    [Name, _Host] = string:split(atom_to_list(Node), "@"),
    [list_to_binary(without_port(caravan_port:of_name(Name), Name))].

without_port({_Port, name}, Name) -> string:trim(string:trim(Name, trailing, "0123456789"), trailing, "-_");
without_port(_NoPort, Name) -> Name.

%% RFC 2782: port and target are those of a service; the root as a target says that there is none. A port of 0 is no port,
%% which matters where the names have it.
name(#{port := 0} = Endpoint, Basename, #{node_name := Template} = Options) ->
    case caravan_template:uses(port, Template) of
        true -> {error, badname};
        false -> render(Endpoint, Basename, Options)
    end;
name(Endpoint, Basename, Options) ->
    render(Endpoint, Basename, Options).

render(Endpoint, Basename, #{node_name := Template}) ->
    caravan_nif:node_name(caravan_template:render(Template, maps:map(fun text/2, Endpoint#{basename => Basename}))).

text(basename, Basename) -> Basename;
text(target, Target) -> Target;
text(port, Port) -> integer_to_binary(Port);
text(ip, Ip) -> list_to_binary(inet:ntoa(Ip)).

to_atoms(Names, #state{options = #{atom_budget := Budget}, unproven = Unproven}) ->
    lists:foldl(fun(Name, Atoms) -> to_atom(Name, Budget, Atoms) end, {[], 0, Unproven}, Names).

to_atom(Name, Budget, {Nodes, Refused, Unproven}) ->
    try binary_to_existing_atom(Name) of
        Node -> {[Node | Nodes], Refused, Unproven}
    catch
        error:badarg when map_size(Unproven) < Budget ->
            Node = binary_to_atom(Name),
            {[Node | Nodes], Refused, Unproven#{Node => []}};
        error:badarg ->
            {Nodes, Refused + 1, Unproven}
    end.

%% The node has been connected.
-spec is_a_node(node(), state()) -> state().
is_a_node(Node, #state{unproven = Unproven} = State) ->
    State#state{unproven = maps:remove(Node, Unproven)}.

%% Whether the names say where their nodes listen.
-spec have_port(options()) -> boolean().
have_port(#{node_name := Template, nodes := Fixed}) ->
    caravan_template:uses(port, Template) orelse lists:any(fun has_port/1, Fixed).

has_port(Node) ->
    case caravan_port:of_name(Node) of
        {_Port, name} -> true;
        _ -> false
    end.

%% Whether names of one host and port are names for the same listener, of which one at most is right: with several
%% basenames, each record gives as many names.
-spec same_listener(options()) -> boolean().
same_listener(#{node_basename := [_, _ | _], node_name := Template}) -> caravan_template:uses(port, Template);
same_listener(_Options) -> false.

-spec stats(state()) ->
    #{atoms_left := non_neg_integer(), names_refused := non_neg_integer(), last_refused := refusals()}.
stats(#state{options = #{atom_budget := Budget}, unproven = Unproven} = State) ->
    #{
        atoms_left => max(0, Budget - map_size(Unproven)),
        names_refused => State#state.refused,
        last_refused => State#state.last_refused
    }.
