%% @doc Says why a node has no cluster: looks at the library, the configuration, the node, its nameservers, the answers, the names made of
%% them and each of the other nodes, by the functions that the node itself decides with, and names one cause.
%%
%% In a shell of the node, or through a release's `rpc':
%%
%% ```
%% caravan_doctor:run().
%% '''
%%
%% From outside there are `scripts/caravan doctor', `mix caravan.doctor' and a release's `eval' (docs/doctor.md).
%%
%% It prints and returns; it changes nothing, never prints a cookie, and is over in five seconds whatever hangs. The handshake with a node
%% that is not connected is finished under the name of a hidden node, `0-caravan-doctor-' and the name of this one, and closed at once:
%% where the cookie differs, that node logs a line. `handshake => false' leaves that out.
-module(caravan_doctor).

-export([run/0, run/1, report/1, is_node/0]).

-export_type([options/0, report/0, context/0]).

-type options() :: #{
    %% The node that is looked at; by default this VM's own name, or what -name, -sname or RELEASE_NODE say. In a VM that is a node, no
    %% other one.
    node => node() | string() | binary(),
    %% What is looked up; by default what the running topologies, or those of the configuration, do.
    query => string() | binary(),
    node_basename => string() | binary(),
    node_name => string() | binary(),
    record => srv | a | aaaa | addresses,
    nameservers => system | [string() | binary(), ...],
    %% Whether handshakes are finished, which tells whether the cookie is the same; default true.
    handshake => boolean(),
    %% A file with the cookie of the node, for a VM that is not the node; by default what -setcookie, RELEASE_COOKIE or
    %% ~/.erlang.cookie say.
    cookie_file => file:filename_all(),
    %% Milliseconds for the whole, 1000 to 60,000; default 5000.
    timeout => pos_integer(),
    %% Whether it prints JSON (docs/doctor.md has the schema), and whether it colours its lines; defaults false.
    json => boolean(),
    colour => boolean()
} | [{atom(), term()}].

%% `ok': no fault. `unknown': there was nothing to look at, such as a query.
-type report() :: #{
    status := ok | fault | unknown,
    node := binary() | none,
    cause := caravan_cause:cause() | none,
    checks := [caravan_check:check()]
}.

%% What the steps are given; each adds to it what later ones go by.
-type context() :: #{
    mode := inside | outside,
    own := binary() | none,
    topologies := [{atom(), map()}] | {error, caravan_option:error()},
    handshake := boolean(),
    cookie := {ok, caravan_doctor_cookie:cookie()} | {error, unicode:chardata()},
    method := caravan_diagnosis:method(),
    %% Whether the node itself runs with another cookie than that one.
    own_refuses := boolean(),
    %% Keys of the configuration in whose place the options stand.
    given := [caravan_config:key()],
    deadline := integer(),
    answers := [{atom(), term(), caravan_poll:outcome()}],
    names := [binary()]
}.

-define(TIMEOUT_MS, 5000).
%% For a topology to answer.
-define(ANSWER_MS, 500).
%% To find out who holds the port, of machines with thousands of processes.
-define(NODE_MS, 1500).
%% To print.
-define(RESERVE_MS, 200).

%% @equiv run(#{})
-spec run() -> ok | fault | unknown | {error, caravan_option:error()}.
run() ->
    run(#{}).

%% @doc Looks, prints what it saw, and returns `ok' when there is no fault, `fault' when it has named a cause, and `unknown' when there was
%% nothing to look at, or no time. Errors: what is not allowed of the options. From outside of the node, for example:
%%
%% ```
%% fault = caravan_doctor:run(#{node => "app-4370@10.0.0.1", query => "app.service.consul", node_name => "{basename}-{port}@{ip}"}).
%% '''
-spec run(options()) -> ok | fault | unknown | {error, caravan_option:error()}.
run(Options) ->
    case report(Options) of
        {ok, #{status := Status} = Report} ->
            %% Whoever has asked may be gone.
            _ = io:put_chars(caravan_doctor_text:format(Report, form(Options))),
            Status;
        {error, _} = Error ->
            Error
    end.

form(Options) when is_list(Options) -> form(maps:from_list(Options));
form(#{json := true}) -> json;
form(#{colour := true}) -> colour;
form(#{}) -> plain.

%% @doc As {@link run/1}, and returns what it saw instead of printing it: the status, the cause with its advice, and what each step has
%% seen (docs/doctor.md has the steps and the causes). `json' and `colour' mean nothing here.
%%
%% ```
%% {ok, #{status := fault, cause := #{name := cookie, text := Text, advice := Advice}}} = caravan_doctor:report(#{}).
%% '''
-spec report(options()) -> {ok, report()} | {error, caravan_option:error()}.
report(Options) ->
    case caravan_option:validate(Options, options()) of
        {ok, Checked} -> {ok, look(Checked)};
        {error, _} = Error -> Error
    end.

options() ->
    Passed = {fun(Value) -> {ok, Value} end, ""},
    [
        {node, {default, none}, own_node(is_alive())},
        {query, {default, none}, caravan_option:text()},
        {node_basename, {default, default}, Passed},
        {node_name, {default, default}, Passed},
        {record, {default, default}, caravan_option:or_default(caravan_option:one_of([srv, a, aaaa, addresses]))},
        {nameservers, {default, default}, Passed},
        {handshake, {default, true}, caravan_option:boolean()},
        {cookie_file, {default, none}, caravan_option:text()},
        {timeout, {default, ?TIMEOUT_MS}, caravan_option:integer(1000, 60000)},
        {json, {default, false}, caravan_option:boolean()},
        {colour, {default, false}, caravan_option:boolean()}
    ].

%% A node looks at itself: what it knows is of no other node.
own_node(true) ->
    Own = atom_to_binary(node()),
    Allowed = io_lib:format("~ts, as this VM is that node (caravan_cluster:why/1 has others)", [Own]),
    {fun(Name) -> only(Own, own_name(Name)) end, lists:flatten(Allowed)};
own_node(false) ->
    {fun own_name/1, "the name of a node, as name@host"}.

only(Own, {ok, Own}) -> {ok, Own};
only(_Own, _Another) -> error.

own_name(Name) when is_atom(Name) ->
    own_name(atom_to_binary(Name));
own_name(Name) ->
    {Parse, _Allowed} = caravan_option:text(),
    case Parse(Name) of
        {ok, Text} -> name_and_host(binary:split(Text, <<"@">>, [global]), Text);
        error -> error
    end.

name_and_host([<<_, _/binary>>, <<_, _/binary>>], Text) when byte_size(Text) < 256 -> {ok, Text};
name_and_host(_Parts, _Text) -> error.

%% The steps in the order in which one rests on the other. One that hangs is given up; the others have what is left.
look(#{timeout := Timeout} = Options) ->
    Deadline = erlang:monotonic_time(millisecond) + Timeout - ?RESERVE_MS,
    Library = step(library, fun caravan_doctor_local:library/1, #{}, Deadline),
    Checks = rest(is_loaded(), Options, Deadline, Library),
    Cause = caravan_cause:main(Checks),
    #{node => own(Options), cause => Cause, status => status(Cause, Checks), checks => Checks}.

is_loaded() ->
    caravan_nif:module_info(nifs) =/= [].

%% The status is ok only if at least one other node was examined, or if DNS lists this node alone.
status(none, Checks) ->
    case states(answer, unknown, Checks) =:= [] andalso peers([State || #{step := peer, state := State} <- Checks], Checks) of
        true -> ok;
        false -> unknown
    end;
status(_Cause, _Checks) ->
    fault.

peers([], Checks) -> states(self, ok, Checks) =/= [];
peers(States, _Checks) -> not lists:member(unknown, States) andalso lists:any(fun(State) -> State =/= not_looked_at end, States).

states(Step, State, Checks) ->
    [Seen || #{step := OfStep, state := Seen} <- Checks, OfStep =:= Step, Seen =:= State].

%% Without the library nobody knows what a name stands for.
rest(false, _Options, _Deadline, Library) ->
    Library ++ [caravan_check:not_looked_at(Step, "") || Step <- [flags, node, cookie, nameserver, answer, names, peer]];
rest(true, Options, Deadline, Library) ->
    ok = start_tls(caravan_tls_probe:is_used() andalso not is_alive()),
    Context = context(Options, Deadline),
    {Cookie, Found} = step_with(cookie, fun caravan_doctor_cookie:look/1, #{}, Context, Deadline),
    lists:append([
        Library,
        step(flags, fun caravan_doctor_local:flags/1, Context, Deadline),
        step(node, fun caravan_doctor_local:node/1, Context, min(Deadline, erlang:monotonic_time(millisecond) + ?NODE_MS)),
        Cookie,
        of_topologies(maps:merge(Context, Found), Deadline)
    ]).

of_topologies(#{topologies := {error, Error}}, _Deadline) ->
    Text = caravan_option:format_error(Error),
    [caravan_check:fault(flags, topologies, Text, caravan_cause:new(configuration, Text))];
of_topologies(#{topologies := []} = Context, Deadline) ->
    [caravan_check:unknown(answer, "query", "there is no topology that answers, and no query is given", [])] ++
        step(topology, fun caravan_doctor_topology:topologies/1, Context, Deadline);
of_topologies(Context, Deadline) ->
    Nameservers = step(nameserver, fun caravan_doctor_dns:nameservers/1, Context, Deadline),
    {Answered, Answers} = step_with(answer, fun caravan_doctor_dns:answers/1, [], Context, Deadline),
    {Named, Names} = step_with(names, fun caravan_doctor_names:names/1, [], Context#{answers := Answers}, Deadline),
    Known = Context#{answers := Answers, names := Names},
    lists:append([
        Nameservers, Answered, Named,
        step(peer, fun caravan_doctor_peers:peers/1, Known, Deadline),
        step(helper_ports, fun caravan_doctor_peers:helper_ports/1, Known, Deadline),
        step(topology, fun caravan_doctor_topology:topologies/1, Known, Deadline)
    ]).

step(Step, Look, Context, Deadline) ->
    {Checks, none} = step_with(Step, fun(Given) -> {Look(Given), none} end, none, Context, Deadline),
    Checks.

step_with(Step, Look, Otherwise, Context, Deadline) ->
    case caravan_task:call(fun() -> Look(Context) end, Deadline) of
        {ok, Seen} -> Seen;
        timeout -> {[caravan_check:not_looked_at(Step, "")], Otherwise};
        Failure -> {[caravan_check:unknown(Step, "", "the doctor failed: ~0tp", [Failure])], Otherwise}
    end.

%% A command beside a node that speaks TLS has nothing that does.
start_tls(true) -> {ok, _} = application:ensure_all_started(ssl), ok;
start_tls(false) -> ok.

context(#{handshake := Handshake, cookie_file := CookieFile} = Options, Deadline) ->
    Mode = mode(is_node()),
    #{
        mode => Mode,
        own => own(Options),
        topologies => topologies(Options),
        handshake => Handshake,
        cookie => caravan_doctor_cookie:find(Mode, CookieFile),
        method => challenge,
        own_refuses => false,
        given => given(Options),
        deadline => Deadline,
        answers => [],
        names => []
    }.

given(#{query := none}) -> [];
given(#{nameservers := default}) -> [topologies];
given(#{}) -> [topologies, nameservers].

%% @private
%% Whether this VM is the node, and not one beside it: it is distributed, or runs topologies that wait for that.
-spec is_node() -> boolean().
is_node() ->
    is_alive() orelse caravan_topology_registry:names() =/= [].

mode(true) -> inside;
mode(false) -> outside.

own(#{node := none}) -> own_of_vm(is_alive());
own(#{node := Node}) -> Node.

own_of_vm(true) -> atom_to_binary(node());
own_of_vm(false) -> first_name([flag(name), flag(sname), os:getenv("RELEASE_NODE")]).

flag(Name) ->
    case init:get_argument(Name) of
        {ok, [[Value | _] | _]} -> Value;
        _ -> false
    end.

%% A name without a host is completed by OTP when the distribution starts, which nobody does here.
first_name([Name | Others]) when is_list(Name) ->
    case own_name(Name) of
        {ok, Text} -> Text;
        error -> first_name(Others)
    end;
first_name([false | Others]) ->
    first_name(Others);
first_name([]) ->
    none.

topologies(#{query := none}) -> running_or_configured(caravan_topology_registry:names());
topologies(#{query := Query} = Options) -> checked([{doctor, asked(Query, Options)}]).

%% A topology of the configuration with this query has options that are no others here, unless they are given.
asked(Query, Options) ->
    Given = maps:filter(fun(_Key, Value) -> Value =/= default end, maps:with([node_basename, node_name, record, nameservers], Options)),
    maps:to_list(maps:merge(of_same_query(Query, caravan_config:value(topologies)), Given#{query => Query})).

of_same_query(Query, {ok, Topologies}) ->
    Keys = [node_basename, node_name, record, nameservers, transport],
    case [maps:with(Keys, maps:from_list(as_list(Configured))) || {_Name, Configured} <- Topologies, is_of_query(Query, Configured)] of
        [Same | _] -> Same;
        [] -> #{}
    end;
of_same_query(_Query, {error, _}) ->
    #{}.

is_of_query(Query, Configured) ->
    case caravan_cluster:check_options(caravan_topology_options:with_name(doctor, Configured)) of
        {ok, #{queries := Queries}} -> lists:keymember(Query, 1, Queries);
        _ -> false
    end.

as_list(Options) when is_map(Options) -> maps:to_list(Options);
as_list(Options) -> Options.

running_or_configured([]) -> configured(caravan_config:value(topologies));
%% The step `topology' tells of one that does not answer.
running_or_configured(Names) -> [{Name, Options} || {Name, {ok, Options}} <- caravan_topology:ask(Names, options, ?ANSWER_MS)].

configured({ok, Topologies}) -> checked(Topologies);
configured({error, _} = Error) -> Error.

%% A topology with the query ignore does not count, as it does not start.
checked(Topologies) ->
    Checked = [{Name, caravan_cluster:check_options(caravan_topology_options:with_name(Name, Options))} || {Name, Options} <- Topologies],
    case [Error || {_, {error, Error}} <- Checked] of
        [] -> [{Name, Options} || {Name, {ok, #{query := Query} = Options}} <- Checked, Query =/= ignore];
        [Error | _] -> {error, Error}
    end.
