%% @private
%% From what DNS says to node names. Records come from the network: names are checked in C++, and stay binaries until the
%% core's budget of atoms has let them pass.
-module(caravan_node_names).

-export([placeholders/0, of_outcome/3, refused/3, name/3, have_port/1, listener_of/1, listener/1]).

-export_type([endpoint/0, options/0, refusal/0]).

%% What an answer says of one node: some of port, target and address.
-type endpoint() :: #{port => inet:port_number(), target => binary(), ip => inet:ip_address()}.

-type options() :: #{
    node_name := caravan_template:template(),
    nodes := [node()],
    queries := [caravan_topology_options:query()],
    atom() => term()
}.

%% Why there is no name: the record has nothing for some placeholders, or the text is unfit for a node.
-type refusal() :: {unbound, [caravan_template:placeholder(), ...]} | {badname, binary()}.

%% What the deciding core makes of it. A record may give a name for each basename.
-spec of_outcome(caravan_poll:outcome(), caravan_topology_options:query(), options()) -> caravan_discovery:outcome().
of_outcome({ok, #{endpoints := Endpoints} = Finding}, {_Query, Basenames}, #{node_name := Template} = Options) ->
    #{ttl := Ttl, complete := Complete} = Finding,
    Own = basenames(Basenames, maps:get(own, Options, node())),
    Rendered = [[name(Endpoint, Basename, Template) || Basename <- Own] || Endpoint <- Endpoints],
    Records = [Names || Results <- Rendered, (Names = [Name || {ok, Name} <- Results]) =/= []],
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

%% The records of an answer that give no name, one by one.
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

%% Called without a deep stack, which makes an exception cost a thousand times as much.
add_unknown(Name, Unknown) ->
    try binary_to_existing_atom(Name) of
        _ -> Unknown
    catch
        error:badarg -> [Name | Unknown]
    end.

%% Nodes of one service are mostly called alike: what stands before the `@' of this one's name, without the port.
basenames(own, Own) -> own_basename(Own);
basenames(Basenames, _Own) -> Basenames.

own_basename(Node) ->
    [Name, _Host] = string:split(atom_to_list(Node), "@"),
    [list_to_binary(without_port(caravan_port:of_name(Name), Name))].

without_port({_Port, name}, Name) -> string:trim(string:trim(Name, trailing, "0123456789"), trailing, "-_");
without_port(_NoPort, Name) -> Name.

%% What a template may have: the basename; of an SRV record its port, its target, and the first label of the target and what
%% follows it; an address.
-spec placeholders() -> [caravan_template:placeholder(), ...].
placeholders() ->
    [basename, port, target, label, domain, ip].

%% The name of one node. RFC 2782: port and target are those of a service; the root as a target says that there is none. A
%% port of 0 is no port, which matters where the names have it.
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

%% The part behind the `@' loses its upper case with the check of the whole name.
labels([Label, Domain]) -> [{label, << <<(lowercase(Octet))>> || <<Octet>> <= Label >>}, {domain, Domain}];
labels([_NoDomain]) -> [].

%% As DNS has it (RFC 4343); a client of the user's may give octets that are no text.
lowercase(Octet) when Octet >= $A, Octet =< $Z -> Octet + 32;
lowercase(Octet) -> Octet.

%% Whether the names say where their nodes listen.
-spec have_port(options()) -> boolean().
have_port(#{node_name := Template, nodes := Fixed}) ->
    caravan_template:uses(port, Template) orelse lists:any(fun has_port/1, Fixed).

has_port(Node) ->
    case caravan_port:of_name(Node) of
        {_Port, name} -> true;
        _ -> false
    end.

%% Names of one host and port are names for the same listener, of which one at most is right: with several basenames, each
%% record gives as many names.
-spec listener_of(options()) -> caravan_listeners:listener_of().
listener_of(#{queries := Queries, node_name := Template}) ->
    HasSeveral = lists:any(fun({_Query, Basenames}) -> is_list(Basenames) andalso length(Basenames) > 1 end, Queries),
    case HasSeveral andalso caravan_template:uses(port, Template) of
        %% Not a local one, which a new version of this module would take away.
        true -> fun ?MODULE:listener/1;
        false -> none
    end.

%% The host and the port of a name.
-spec listener(binary()) -> {binary(), inet:port_number()}.
listener(Name) ->
    {lists:last(binary:split(Name, <<"@">>)), caravan_nif:dist_port(Name)}.
