%% Gauges, and the events in docs/telemetry.md and docs/dashboard.json.
-module(caravan_telemetry_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_topology, [put_nodes/2]).

-define(A, 'app-4371@n.test').
-define(STATUS, [caravan, cluster, status]).

gauges_test_() ->
    caravan_dns_fixture:tests([
        fun a_topology_has_gauges/1,
        fun the_default_resolver_has_gauges/1,
        fun a_busy_topology_is_left_out/1,
        fun a_handler_may_measure/1
    ]).

with_topology(Server, Test) ->
    Peers = caravan_test_peers:new(),
    ok = caravan_test_peers:refuse({'app-4372@n.test', false}, Peers),
    put_nodes(Server, [4371, 4372]),
    caravan_test_topology:with(maps:merge(caravan_test_topology:options(Server), caravan_test_peers:options(Peers)), Test).

a_topology_has_gauges(Server) ->
    with_topology(Server, fun() ->
        _ = caravan_test_topology:await(test_topology, connected, [?A]),
        caravan_test_telemetry:with(fun() ->
            ok = caravan_telemetry:measure(),
            {Measurements, Metadata} = caravan_test_telemetry:await(?STATUS, #{topology => test_topology}),
            ?assertEqual(#{topology => test_topology}, Metadata),
            ?assertMatch(
                #{wanted := 2, connected := 1, flapping := 0, absent := 0, answered := 1, complete := 1, self_listed := 0}, Measurements
            ),
            ?assert(lists:all(fun is_number/1, maps:values(Measurements)))
        end)
    end).

the_default_resolver_has_gauges(_Server) ->
    caravan_test_telemetry:with(fun() ->
        {error, _} = caravan_dns:lookup("not a name", srv),
        {ok, #{outcomes := Outcomes}} = caravan_dns:stats(),
        ok = caravan_telemetry:measure(),
        Events = caravan_test_telemetry:received(),
        [{Status, #{resolver := default}}] = [{Status, Of} || {[caravan, resolver, status], Status, Of} <- Events],
        ?assertMatch(#{queries := _, retries := _, in_flight := 0, queued := 0}, Status),
        ?assert(lists:all(fun is_number/1, maps:values(Status))),
        ?assertEqual(
            Outcomes, maps:from_list([{Outcome, Count} || {[_, resolver, outcome], #{count := Count}, #{outcome := Outcome}} <- Events])
        ),
        Buckets = [{Bound, Count} || {[_, resolver, latency], #{bucket := Count}, #{le := Bound}} <- Events],
        {Bounds, Counts} = lists:unzip(Buckets),
        ?assertEqual(Counts, lists:sort(Counts)),
        ?assertEqual(<<"+Inf">>, lists:last(Bounds)),
        Seconds = [binary_to_float(Bound) || Bound <- lists:droplast(Bounds)],
        ?assertEqual(Seconds, lists:usort(Seconds))
    end).

%% It is asked together with the others, and its answer is not left in the mailbox.
a_busy_topology_is_left_out(Server) ->
    with_topology(Server, fun() ->
        {ok, Other} = caravan_cluster:start_link(#{name => other_topology, nodes => ['app@n.test'], connect => {erlang, is_atom, []}}),
        caravan_test_telemetry:with(fun() ->
            ok = sys:suspend(Other),
            ok = caravan_telemetry:measure(),
            ok = sys:resume(Other),
            %% It has answered the earlier question.
            _ = sys:get_state(Other),
            ?assertEqual([test_topology], [Topology || {?STATUS, _, #{topology := Topology}} <- caravan_test_telemetry:received()]),
            {messages, Messages} = process_info(self(), messages),
            ?assertEqual([], [Message || Message <- Messages, element(1, Message) =/= caravan_test_peers])
        end),
        ok = gen_server:stop(Other)
    end).

a_handler_may_measure(Server) ->
    Body =
        "case Event of [caravan, cluster, node_up] -> ok = caravan_telemetry:measure(); _ -> ok end, "
        "persistent_term:get(caravan_test_telemetry) ! {telemetry, Event, Measurements, Metadata}, ok",
    caravan_test_telemetry:with(Body, fun() ->
        with_topology(Server, fun() -> {_, _} = caravan_test_telemetry:await([caravan, cluster, node_up], #{node => ?A}) end)
    end).

without_anybody_who_hears_nothing_is_asked_test() ->
    false = caravan_event:is_heard(),
    ?assertEqual(ok, caravan_telemetry:measure()).

who_hears_may_fail_test() ->
    caravan_test_telemetry:with("error({Event, Measurements, Metadata})", fun() -> ?assertEqual(ok, caravan_telemetry:measure()) end).

%% The documents

%% Each event with all its measurements and metadata.
events_are_documented_test_() ->
    caravan_dns_fixture:tests([fun events_are_documented/1]).

events_are_documented(Server) ->
    caravan_test_telemetry:with(fun() ->
        with_topology(Server, fun() ->
            _ = caravan_test_topology:await(test_topology, connected, [?A]),
            ok = caravan_telemetry:measure()
        end),
        Options = #{name => app, query => <<"app.test">>, record => srv, log => none, started_by => caller},
        [ok = caravan_report:emit(Report, Options) || Report <- [
            {looked_up, {<<"app.test">>, own}, {failed, timeout}, none, false, #{duration => 1, endpoints => 0}},
            {attempt, {failed, <<"app@n.test">>, timeout, new}, 1},
            {down, <<"app@n.test">>, connection_closed, 0},
            {names_refused, #{invalid => 1}}
        ]],
        ok = caravan_report:disconnect('app@n.test', true, 1000, 1, Options),
        Emitted = lists:foldl(fun emitted/2, #{}, caravan_test_telemetry:received()),
        Documented = maps:from_list(documented()),
        ?assertEqual(lists:sort(maps:keys(Documented)), lists:sort(maps:keys(Emitted))),
        maps:foreach(fun(Event, Keys) -> ?assertEqual({Event, maps:get(Event, Documented)}, {Event, Keys}) end, Emitted)
    end).

%% The measurements and metadata of the event so far.
emitted({Event, Measurements, Metadata}, Emitted) ->
    {Before, MetadataBefore} = maps:get(Event, Emitted, {[], []}),
    Emitted#{Event => {lists:umerge(Before, keys(Measurements)), lists:umerge(MetadataBefore, keys(Metadata))}}.

keys(Map) -> lists:sort([atom_to_list(Key) || Key <- maps:keys(Map)]).

%% Rows of tables that begin with an event. Text in parentheses or after a colon explains a key.
documented() ->
    Rows = [string:split(Row, "|", all) || "| `[caravan" ++ _ = Row <- lines("telemetry.md")],
    [
        {event(Event), {codes(Measurements), codes(Metadata)}}
     || ["", Event, Measurements, Metadata, ""] <- Rows
    ].

event(Text) -> [list_to_existing_atom(Part) || Part <- string:lexemes(Text, " `[],")].

codes(Text) ->
    Plain = re:replace(Text, "\\([^)]*\\)|: `[^|]*$|: how[^|]*$|: seconds[^|]*$|`le`, since", "", [global, {return, list}]),
    {match, Codes} = re:run(Plain, "`([a-z_]+)`", [global, {capture, all_but_first, list}]),
    lists:usort(lists:append(Codes)).

%% Both recipes give the same metrics.
the_recipes_agree_test() ->
    ?assertEqual(elixir_metrics(), lists:sort(erlang_metrics())),
    ?assertMatch([_ | _], elixir_metrics()).

%% Each of them belongs to an event that Caravan emits, with a measurement or a label that it has.
the_recipes_name_what_there_is_test_() ->
    Documented = maps:from_list(documented()),
    [
        {atom_to_list(name(Event, Measurement)), fun() ->
            {Known, Metadata} = maps:get(Event, Documented),
            ?assert(Type =:= counter orelse lists:member(atom_to_list(Measurement), Known)),
            ?assertEqual([], [atom_to_list(Label) || Label <- Labels] -- Metadata)
        end}
     || {Type, Event, Labels, Measurements} <- (recipe()):metrics(), Measurement <- Measurements
    ].

%% With modules in place of those of the library, which is not installed here.
the_recipe_for_prometheus_erl_counts_what_happens_test() ->
    Module = recipe(),
    Fakes = [
        load(Fake, lists:concat(["-module(", Fake, "). -export([", Function, "/3]).\n", Function, "(N, L, V) -> self() ! {", Fake, ", N, L, V}."]))
     || {Fake, Function} <- [{prometheus_gauge, set}, {prometheus_counter, inc}, {prometheus_histogram, observe}]
    ],
    [
        begin
            Metrics = [{Measurement, name(Event, Measurement)} || Measurement <- Measurements],
            Metadata = maps:from_keys(Labels, a_label),
            _ = Module:handle(Event, maps:from_keys(Measurements, 1), Metadata, {Type, Labels, Metrics}),
            Fake = list_to_atom("prometheus_" ++ atom_to_list(Type)),
            [
                receive {Fake, Name, Values, Value} -> ?assertEqual({[a_label || _ <- Labels], true}, {Values, Value > 0})
                after 0 -> error({not_counted, Name})
                end
             || {_, Name} <- Metrics
            ]
        end
     || {Type, Event, Labels, Measurements} <- Module:metrics()
    ],
    [begin _ = code:purge(Loaded), true = code:delete(Loaded), code:purge(Loaded) end || Loaded <- [Module | Fakes]].

%% Each metric of the dashboard and of the alerts is in a recipe, and each metric of the recipes is in the dashboard.
the_dashboard_names_metrics_of_the_recipes_test() ->
    {ok, Dashboard} = file:read_file(path("dashboard.json")),
    Named = metrics_in(Dashboard),
    ?assertMatch([_ | _], Named),
    ?assertEqual([], Named -- series()),
    ?assertEqual([], metrics_in(unicode:characters_to_binary(lines("telemetry.md", "## What to alert on"))) -- series()),
    Unused = [Metric || Metric <- elixir_metrics(), not lists:any(fun(Name) -> string:prefix(Name, Metric) =/= nomatch end, Named)],
    ?assertEqual(["caravan_cluster_status_answered", "caravan_cluster_status_connecting"], Unused).

metrics_in(Text) ->
    {match, Names} = re:run(Text, "caravan_(?:cluster|lookup|resolver)_[a-z_]+", [global, {capture, first, list}]),
    lists:usort(lists:append(Names)).

%% In Prometheus a histogram is three series.
series() ->
    Histograms = [lists:flatten(io_lib:format("~ts", [Name])) || "distribution" ++ Rest <- recipe_lines(), Name <- [metric(Rest)]],
    lists:append([case lists:member(Metric, Histograms) of
        true -> [Metric ++ "_bucket", Metric ++ "_count", Metric ++ "_sum"];
        false -> [Metric]
    end || Metric <- elixir_metrics()]).

elixir_metrics() ->
    Types = ["last_value(", "counter(", "sum(", "distribution("],
    lists:usort([metric(Line) || Line <- recipe_lines(), Type <- Types, string:prefix(Line, Type) =/= nomatch]).

recipe_lines() ->
    [string:trim(Line) || Line <- block("elixir", lines("telemetry.md"))].

metric(Line) ->
    {match, [Name]} = re:run(Line, "\"([a-z_.]+)\"", [{capture, all_but_first, list}]),
    lists:flatten(string:replace(Name, ".", "_", all)).

erlang_metrics() ->
    [atom_to_list(name(Event, Measurement)) || {_, Event, _, Measurements} <- (recipe()):metrics(), Measurement <- Measurements].

name(Event, Measurement) ->
    list_to_atom(lists:flatten(lists:join("_", [atom_to_list(Part) || Part <- Event ++ [Measurement]]))).

%% The module of the recipe for prometheus.erl, as in the document.
recipe() ->
    [Code] = [Block || Block <- [block("erlang", lines("telemetry.md"))], Block =/= []],
    Source = lists:flatten(lists:join("\n", Code)),
    load(my_app_metrics, lists:flatten(string:replace(Source, "-export([start/0, handle/4]).", "-export([start/0, handle/4, metrics/0])."))).

load(Module, Source) ->
    {ok, Tokens, _} = erl_scan:string(Source),
    Forms = [form(Form) || Form <- forms(expand(Module, Tokens), [])],
    {ok, Module, Beam} = compile:forms(Forms, []),
    _ = code:purge(Module),
    {module, Module} = code:load_binary(Module, atom_to_list(Module), Beam),
    Module.

%% The one macro of the recipe.
expand(Module, [{'?', Line}, {var, _, 'MODULE'} | Tokens]) -> [{atom, Line, Module} | expand(Module, Tokens)];
expand(Module, [Token | Tokens]) -> [Token | expand(Module, Tokens)];
expand(_Module, []) -> [].

forms([], []) -> [];
forms([{dot, _} = Dot | Tokens], Form) -> [lists:reverse([Dot | Form]) | forms(Tokens, [])];
forms([Token | Tokens], Form) -> forms(Tokens, [Token | Form]).

form(Tokens) ->
    {ok, Form} = erl_parse:parse_form(Tokens),
    Form.

%% The lines of the first block of code in this language.
block(Language, Lines) ->
    [_ | Block] = lists:dropwhile(fun(Line) -> Line =/= "```" ++ Language end, Lines),
    lists:takewhile(fun(Line) -> Line =/= "```" end, Block).

lines(File, From) ->
    lists:join("\n", lists:dropwhile(fun(Line) -> Line =/= From end, lines(File))).

lines(File) ->
    {ok, Text} = file:read_file(path(File)),
    string:split(unicode:characters_to_list(Text), "\n", all).

path(File) ->
    caravan_test_directory:in_repository(filename:join("docs", File)).
