%% @private
%% Examines this machine without the network: the library, the configuration, the name and the port of the node.
-module(caravan_doctor_local).

-export([library/1, old_cares/1, flags/1, node/1]).

%% The first version of c-ares without the faults that are known. Only a static c-ares is judged: a distribution fixes a
%% shared one without changing the version.
-define(FIXED_CARES, <<"1.34.6">>).

-spec library(caravan_doctor:context()) -> [caravan_check:check()].
library(_Context) ->
    File = caravan_nif:library_file(),
    case caravan_nif:load() of
        ok ->
            #{c_ares := Cares} = caravan_nif:versions(),
            [loaded(File, Cares) | old_cares(Cares)] ++ elsewhere(os:getenv("CARAVAN_NIF_DIR"), File) ++ configuration(is_alive());
        {error, Error} ->
            Text = caravan_load_error:format(Error),
            [caravan_check:fault(library, "", Text, caravan_cause:new(library, Text))]
    end.

loaded(File, #{version := Version, built_against := Built, linked := Linked}) ->
    caravan_check:ok(library, File, "c-ares ~ts (~ts, built against ~ts), OTP ~ts, NIF ~ts, ABI ~b", [
        Version, Linked, Built, erlang:system_info(otp_release), erlang:system_info(nif_version), caravan_nif:abi()
    ]).

%% Returns a note if c-ares, as caravan_nif:versions/0 describes it, has known faults.
-spec old_cares(map()) -> [caravan_check:check()].
old_cares(#{version := Version, linked := static}) ->
    [
        caravan_check:note(library, "c-ares", "~ts is linked into the library and has known faults, which ~ts fixes: build again with a newer one", [
            Version, ?FIXED_CARES
        ])
     || numbers(Version) < numbers(?FIXED_CARES)
    ];
old_cares(_Shared) ->
    [].

%% CARAVAN_NIF_DIR is used only if there is no library beside the compiled modules.
elsewhere(false, _File) ->
    [];
elsewhere(Directory, File) ->
    [
        caravan_check:note(library, "CARAVAN_NIF_DIR", "~ts is ignored: there is a library beside the compiled modules", [Directory])
     || filename:absname(Directory) =/= filename:dirname(File)
    ].

numbers(Version) ->
    [Number || Part <- binary:split(Version, <<".">>, [global]), {Number, _} <- [string:to_integer(Part)], is_integer(Number)].

%% A node has applied its configuration at its start. Applying it again might change what the node uses.
configuration(true) -> [];
configuration(false) -> prepared(caravan_boot:prepare()).

prepared(ok) -> [];
prepared({error, Error}) -> [misconfigured(caravan_boot:format_error(Error))].

misconfigured(Text) ->
    caravan_check:fault(flags, configuration, Text, caravan_cause:new(configuration, Text)).

-spec flags(caravan_doctor:context()) -> [caravan_check:check()].
flags(#{mode := Mode, given := Given}) ->
    epmd_module(Mode, flag(epmd_module), application:get_env(kernel, epmd_module)) ++
        values(Given) ++ lists:map(fun unknown_key/1, caravan_config:unknown_keys()) ++
        lists:map(fun overridden/1, caravan_config:overridden()).

epmd_module(_Mode, {ok, Flag}, {ok, Parameter}) ->
    Text = io_lib:format("-epmd_module ~ts and the kernel parameter epmd_module, ~0tp, are both set", [Flag, Parameter]),
    [caravan_check:fault(flags, epmd_module, Text, caravan_cause:new(epmd_twice, Text))];
epmd_module(inside, _Flag, _Parameter) ->
    [epmd_module_in_effect(net_kernel:epmd_module())];
epmd_module(outside, {ok, Flag}, undefined) ->
    [epmd_module_in_effect(list_to_atom(Flag))];
epmd_module(outside, none, {ok, Parameter}) ->
    [epmd_module_in_effect(Parameter)];
%% The VM was started without flags of the node: vm.args would contain -epmd_module.
epmd_module(outside, none, undefined) ->
    without_epmd_module(flag(name), flag(sname)).

without_epmd_module(none, none) ->
    [caravan_check:unknown(flags, epmd_module, "not known from outside of the node without its vm.args (--vm-args FILE)", [])];
without_epmd_module(_Name, _Sname) ->
    [epmd_module_in_effect(erl_epmd)].

epmd_module_in_effect(Module) when Module =:= caravan_epmd; Module =:= 'Elixir.Caravan.Epmd.Client' ->
    caravan_check:ok(flags, epmd_module, "~ts", [Module]);
epmd_module_in_effect(erl_epmd) ->
    Text = "this node has no -epmd_module: it asks epmd for the ports of other nodes, and they find it only through epmd",
    caravan_check:fault(flags, epmd_module, Text, caravan_cause:new(epmd_here, Text));
epmd_module_in_effect(Another) ->
    caravan_check:note(flags, epmd_module, "~ts is not a module of Caravan", [Another]).

flag(Name) ->
    case init:get_argument(Name) of
        {ok, [[Value | _] | _]} -> {ok, Value};
        _ -> none
    end.

%% Keys that have their defaults share a line.
values(Given) ->
    Keys = [Key || {Key, _, _, _} <- caravan_config:options(), not lists:member(Key, Given)],
    Values = [{Key, caravan_config:value(Key), caravan_config:source(Key)} || Key <- Keys],
    Defaults = [atom_to_list(Key) || {Key, _, default} <- Values],
    [value(Key, Value, Source) || {Key, Value, Source} <- Values, Source =/= default] ++
        [caravan_check:ok(flags, defaults, "~ts", [lists:join(", ", Defaults)]) || Defaults =/= []].

value(Key, {ok, Value}, Source) ->
    caravan_check:ok(flags, Key, "~0tp (~ts)", [shown(Key, Value), caravan_config:format_source(Source)]);
value(Key, {error, Error}, _Source) ->
    Text = caravan_option:format_error(Error),
    caravan_check:fault(flags, Key, Text, caravan_cause:new(configuration, Text)).

%% The options of topologies may contain secrets, such as arguments of functions.
shown(topologies, Topologies) -> [Name || {Name, _} <- Topologies];
shown(_Key, Value) -> Value.

unknown_key({Key, none}) -> caravan_check:note(flags, Key, "ignored: the application has no such key", []);
unknown_key({Key, Near}) -> caravan_check:note(flags, Key, "ignored: the application has no such key; did you mean ~ts?", [Near]).

overridden({Key, Loser, Winner}) ->
    caravan_check:note(flags, Key, "the value of the source \"~ts\" is ignored, since \"~ts\" has one, too", [
        caravan_config:format_source(Loser), caravan_config:format_source(Winner)
    ]).

-spec node(caravan_doctor:context()) -> [caravan_check:check()].
node(#{mode := Mode} = Context) ->
    node(Mode =:= inside andalso not is_alive(), Context).

node(true, _Context) ->
    Text = "this VM is not distributed, so its topologies connect to no node",
    [caravan_check:fault(node, "this node", Text, caravan_cause:new(not_distributed, Text))];
node(false, #{own := none}) ->
    [caravan_check:unknown(node, "this node", "its name is not known: give it with --node NAME", [])];
node(false, #{own := Own, mode := Mode}) ->
    #{port := Port, rule := Rule, explanation := Explanation} = caravan_port:explain(Own),
    [caravan_check:ok(node, Own, "its advertised port is ~b: ~ts", [Port, Explanation])] ++
        digits(caravan_port:ignores_digits(Own), Own) ++ digits_in_word(Rule, Port, Own) ++
        spelling(caravan_announce:expected_spelling(Own), Own) ++
        listening(caravan_listen:is_wanted(), Mode, Port, Rule, Own).

digits(true, Own) -> [caravan_check:note(node, Own, "the digits at the end of its name are not a port within port_range", [])];
digits(false, _Own) -> [].

%% In `app-7f3d61024' the digits belong to the id of a deployment.
digits_in_word(name, Port, Own) ->
    [Name | _] = binary:split(Own, <<"@">>),
    Digits = integer_to_binary(Port),
    Before = binary:part(Name, 0, max(0, byte_size(Name) - byte_size(Digits))),
    [
        caravan_check:note(
            node, Own, "the digits ~ts are the end of a longer word: if they are no port, set port_in_name to dash or none", [Digits]
        )
     || Before =/= <<>>, not lists:member(binary:last(Before), "-_")
    ];
digits_in_word(_Rule, _Port, _Own) ->
    [].

spelling(Own, Own) ->
    [];
spelling(Expected, Own) ->
    Text = io_lib:format("this node is called ~ts, but topologies that find it in DNS connect to ~ts", [Own, Expected]),
    [caravan_check:fault(node, Own, Text, caravan_cause:new(spelling, Text))].

listening(false, _Mode, _Port, _Rule, Own) ->
    [caravan_check:ok(node, Own, "it does not listen (-dist_listen false)", [])];
listening(true, inside, Port, _Rule, Own) ->
    case caravan_listen:actual_port() of
        none -> [caravan_check:note(node, Own, "it does not listen, or listens without Caravan", [])];
        Port -> [caravan_check:ok(node, Own, "it listens on ~b", [Port])];
        Other -> [caravan_check:note(node, Own, "it listens on ~b, but is advertised at ~b", [Other, Port])]
    end;
listening(true, outside, Port, Rule, Own) when Rule =/= port_srv, Rule =/= epmd ->
    listening_here(is_of_this_machine(Own), caravan_listen:port(Own), Port, Own);
listening(true, outside, _Port, _Rule, _Own) ->
    [].

listening_here(false, _Listen, _Port, _Own) ->
    [];
listening_here(true, {error, Error}, _Port, _Own) ->
    [misconfigured(caravan_option:format_error(Error))];
listening_here(true, {0, _Rule}, Port, Own) ->
    [caravan_check:note(node, Own, "it listens on any free port, but is advertised at ~b", [Port])];
listening_here(true, {Port, _Rule}, Port, Own) ->
    [held(Own, Port, caravan_port_holder:find(Port))];
listening_here(true, {Listen, _Rule}, Port, Own) ->
    [caravan_check:note(node, Own, "it is set to listen on ~b, but is advertised at ~b", [Listen, Port]), held(Own, Listen, caravan_port_holder:find(Listen))].

is_of_this_machine(Own) ->
    Host = unicode:characters_to_list(lists:last(binary:split(Own, <<"@">>))),
    case caravan_address:resolve(Host, caravan_listen:first_family(), 1000) of
        {ok, Ip} -> caravan_listen:is_local(Ip);
        {error, _} -> false
    end.

held(Own, Port, {ok, #{node := Name} = Holder}) ->
    case is_same_node(Own, Name) of
        true -> caravan_check:ok(node, Own, "it listens on ~b (~ts)", [Port, caravan_port_holder:format({ok, Holder})]);
        false -> taken(Own, Port, {ok, Holder})
    end;
%% A process that forwards connections, as Docker's proxy does, does not belong to the node.
held(Own, Port, {ok, #{command := _} = Holder}) ->
    case caravan_diagnosis:examine(Own, challenge) of
        #{result := reachable} -> caravan_check:ok(node, Own, "it answers on ~b (through ~ts)", [Port, caravan_port_holder:format({ok, Holder})]);
        _AnotherServer -> taken(Own, Port, {ok, Holder})
    end;
held(Own, Port, _Unknown) ->
    unless_answers(caravan_diagnosis:examine(Own, challenge), Own, Port).

%% The process that listens belongs to another user or to another process namespace, so it cannot be identified.
unless_answers(#{result := {unreachable, econnrefused, _}}, Own, Port) ->
    Text = io_lib:format("~ts does not run: nothing listens on port ~b of this machine", [Own, Port]),
    caravan_check:fault(node, Own, io_lib:format("it does not run: nothing listens on ~b on this machine", [Port]), caravan_cause:new(down, Text));
unless_answers(#{result := reachable}, Own, Port) ->
    caravan_check:ok(node, Own, "it answers on ~b", [Port]);
unless_answers(_Other, Own, Port) ->
    caravan_check:note(node, Own, "no process is seen to listen on ~b on this machine", [Port]).

taken(Own, Port, Holder) ->
    Text = io_lib:format("port ~b of ~ts is taken: ~ts listens there", [Port, Own, caravan_port_holder:format(Holder)]),
    caravan_check:fault(node, Own, Text, caravan_cause:new(port_taken, Text)).

%% The command line may have the name without its host.
is_same_node(Own, Name) ->
    Text = unicode:characters_to_binary(Name),
    Text =:= Own orelse [Text] =:= lists:droplast(binary:split(Own, <<"@">>)).
