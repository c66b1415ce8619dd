%% @private
%% What a node says of its name and port when its distribution starts.
-module(caravan_announce).

-export([name/2, port/1]).

%% A helper node (release `remote', `rpc', `stop') carries the name, and with it the digits, of the node it talks to.
%% The VM picks a port for it, as nobody looks for it.
-spec name(atom() | string(), {inet:port_number(), caravan_listen:rule()}) -> ok.
name(Name, {_Port, helper}) ->
    tell_of_helper(Name, init:get_argument(hidden));
name(Name, {Port, _Rule}) ->
    warn_of_ignored_digits(Name, caravan_nif:port_origin(Name), caravan_port:explain(Name), Port).

%% Those of releases are hidden. Another one may be an ordinary node with an unlucky name.
tell_of_helper(Name, error) ->
    logger:notice(
        "caravan: ~ts is the name of a helper node: it listens on a port that the system picks, "
        "and nobody can look it up",
        [Name]
    );
tell_of_helper(_Name, {ok, _}) ->
    ok.

%% Where SRV records or epmd say the port, names need none.
warn_of_ignored_digits(Name, digits_ignored, #{rule := Rule}, Port) when Rule =/= port_srv, Rule =/= epmd ->
    logger:warning(
        "caravan: the digits at the end of the node name ~ts are no port in port_range; the node listens on ~b",
        [Name, Port]
    );
warn_of_ignored_digits(_Name, _Origin, _Explained, _Port) ->
    ok.

%% One line at each start of the distribution, so that nobody has to guess.
-spec port(atom()) -> ok.
port(Name) ->
    tell_of_ports(Name, caravan_listen:port(Name), caravan_listen:actual_port(), caravan_port:explain(Name)).

tell_of_ports(_Name, {_, helper}, _Actual, _Explained) ->
    ok;
%% `-dist_listen false'.
tell_of_ports(_Name, _Listen, none, _Explained) ->
    ok;
%% As with a key that is set in runtime.exs, after distribution has started.
tell_of_ports(Name, {Port, listen_port}, Actual, _Explained) when Port =/= Actual ->
    logger:error(
        "caravan: ~ts listens on ~b, and by listen_port as it is now it would on ~b; "
        "set that where distribution sees it: vm.args, sys.config or config.exs",
        [Name, Actual, Port]
    );
tell_of_ports(Name, {_Port, Rule}, Actual, #{rule := Asked}) when Asked =:= port_srv; Asked =:= epmd ->
    logger:notice(
        "caravan: ~ts listens on ~b (~ts), and others look for its port by ~ts", [Name, Actual, Rule, Asked]
    );
tell_of_ports(Name, {_Port, Rule}, Actual, #{port := Advertised, rule := NameRule}) ->
    logger:notice(
        "caravan: ~ts listens on ~b (~ts), and others look for it at ~b (~ts)",
        [Name, Actual, Rule, Advertised, NameRule]
    ).
