%% @private
%% Makes node names from the records of an answer. Records come from the network, so names are checked in C++ and stay
%% binaries until the budget of atoms admits them.
-module(caravan_node_names).

-export([placeholders/0, of_outcome/3, refused/3, name/3, have_port/1, listener_of/1, listener/1]).

-export_type([endpoint/0, options/0, refusal/0]).

%% What an answer says of one node: its port, target and address, as far as the record has them.
-type endpoint() :: #{port => inet:port_number(), target => binary(), ip => inet:ip_address()}.

-type options() :: #{
    node_name := caravan_template:template(),
    nodes := [node()],
    queries := [caravan_topology_options:query()],
    atom() => term()
}.

%% Why a record gives no name: it has no value for these placeholders, or the resulting text is not valid as a node name.
-type refusal() :: {unbound, [caravan_template:placeholder(), ...]} | {badname, binary()}.

%% Returns the outcome of a poll as the deciding core takes it. A record gives one name for each basename.
-spec of_outcome(caravan_poll:outcome(), caravan_topology_options:query(), options()) -> caravan_discovery:outcome().
of_outcome({ok, #{endpoints := Endpoints} = Finding}, {_Query, Basenames}, #{node_name := Template} = Options) ->
    #{ttl := Ttl, complete := Complete} = Finding,
    Own = basenames(Basenames, maps:get(own, Options, node())),
    Rendered = [[name(Endpoint, Basename, Template) || Basename <- Own] || Endpoint <- Endpoints],
    Records = [Names || Results <- Rendered, Names <- [[Name || {ok, Name} <- Results]], Names =/= []],
    {ok, #{
        records => Records,
        unknown => lists:foldl(fun add_unknown/2, [], lists:append(Records)),
        invalid => length([Error || Results <- Rendered, {error, _} = Error <- Results]),
        unresolved => maps:get(unresolved, Finding, 0),
        ttl => Ttl,
        complete => Complete
    }};
of_outcome({error, _} = Error, _Query, _Options) ->
    Error.

%% Returns the records of an answer that give no name, each with the reason.
-spec refused(caravan_poll:outcome(), caravan_topology_options:query(), options()) -> [{endpoint(), refusal()}].
refused({ok, #{endpoints := Endpoints}}, {_Query, Basenames}, #{node_name := Template} = Options) ->
    Own = basenames(Basenames, maps:get(own, Options, node())),
    [
        {Endpoint, refusal(rendered(Endpoint, Basename, Template))}
     || Endpoint <- Endpoints, Basename <- Own, name(Endpoint, Basename, Template) =:= {error, badname}
    ];
refused({error, _}, _Query, _Options) ->
    [].

refusal({ok, Text}) -> {badname, Text};
refusal({unbound, _} = Unbound) -> Unbound.

%% Called with a shallow stack: with a deep one, each exception would cost a thousand times as much.
add_unknown(Name, Unknown) ->
    try binary_to_existing_atom(Name) of
        _ -> Unknown
    catch
        error:badarg -> [Name | Unknown]
    end.

%% Nodes of one service mostly share a basename, so the default is that of this node.
basenames(own, Own) -> own_basename(Own);
basenames(Basenames, _Own) -> Basenames.

own_basename(Node) ->
    [Name, _Host] = string:split(atom_to_list(Node), "@"),
    [list_to_binary(without_port(caravan_port:of_name(Name), Name))].

without_port({_Port, name}, Name) -> string:trim(string:trim(Name, trailing, "0123456789"), trailing, "-_");
without_port(_NoPort, Name) -> Name.

%% The placeholders of a template: the basename; of an SRV record its port, its target, the first label of the target, and
%% the domain after that; an address.
-spec placeholders() -> [caravan_template:placeholder(), ...].
placeholders() ->
    [basename, port, target, label, domain, ip].

%% Returns the name of one node. A record gives no name if the template uses a value that it lacks; port 0 counts as no port.
%% The root as a target of an SRV record says that the service does not exist (RFC 2782).
-spec name(endpoint(), Basename :: binary(), caravan_template:template()) -> {ok, binary()} | {error, badname}.
name(Endpoint, Basename, Template) ->
    case rendered(Endpoint, Basename, Template) of
        {ok, Text} -> caravan_nif:node_name(Text);
        {unbound, _} -> {error, badname}
    end.

rendered(Endpoint, Basename, Template) ->
    Bindings = maps:from_list([{basename, Basename} | lists:append([bindings(Part) || Part <- maps:to_list(Endpoint)])]),
    case [Piece || Piece <- Template, is_atom(Piece), not is_map_key(Piece, Bindings)] of
        [] -> {ok, caravan_template:render(Template, Bindings)};
        Unbound -> {unbound, Unbound}
    end.

bindings({port, 0}) -> [];
bindings({port, Port}) -> [{port, integer_to_binary(Port)}];
bindings({ip, Ip}) -> [{ip, list_to_binary(inet:ntoa(Ip))}];
bindings({target, Target}) -> [{target, Target} | labels(binary:split(Target, <<".">>))].

%% caravan_nif:node_name/1 converts the whole host to lower case; a label may also stand before the `@'.
labels([Label, Domain]) -> [{label, << <<(lowercase(Octet))>> || <<Octet>> <= Label >>}, {domain, Domain}];
labels([_NoDomain]) -> [].

%% ASCII only, as DNS compares names (RFC 4343). A client of the user's may return octets that are not text.
lowercase(Octet) when Octet >= $A, Octet =< $Z -> Octet + 32;
lowercase(Octet) -> Octet.

%% Returns whether the node names contain the ports of their nodes.
-spec have_port(options()) -> boolean().
have_port(#{node_name := Template, nodes := Fixed}) ->
    caravan_template:uses(port, Template) orelse lists:any(fun has_port/1, Fixed).

has_port(Node) ->
    case caravan_port:of_name(Node) of
        {_Port, name} -> true;
        _ -> false
    end.

%% Returns a function from a name to its listener, or `none' if names need not be compared by listener. Names with the same
%% host and port belong to one listener, so at most one of them is right; with several basenames each record gives several
%% such names.
-spec listener_of(options()) -> caravan_listeners:listener_of().
listener_of(#{queries := Queries, node_name := Template}) ->
    HasSeveral = lists:any(fun({_Query, Basenames}) -> is_list(Basenames) andalso length(Basenames) > 1 end, Queries),
    case HasSeveral andalso caravan_template:uses(port, Template) of
        %% An external fun survives when this module is loaded again and the old code is purged.
        true -> fun ?MODULE:listener/1;
        false -> none
    end.

%% Returns the host and the port of a name.
-spec listener(binary()) -> {binary(), inet:port_number()}.
listener(Name) ->
    {lists:last(binary:split(Name, <<"@">>)), caravan_nif:dist_port(Name)}.
