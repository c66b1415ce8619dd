%% The faults that real clusters have shown, put back into the core one at a time: each has to be found. A mutant is a piece
%% of a module's source, which is there exactly once, and what stands in its place.
-module(caravan_sim_mutants).

-export([run/0, all/0, code/1]).

-export_type([mutant/0]).

-type mutant() :: {Name :: atom(), Module :: module(), Text :: string(), Replacement :: string()}.

-define(SEEDS, 150).

-spec all() -> [mutant()].
all() ->
    [
        %% A control loop without damping.
        {short_connections_count_as_steady, caravan_schedule, "steady_after() -> ?STEADY.", "steady_after() -> 0."},
        {each_short_connection_is_the_first_one, caravan_flaps, "when Now - Until < ?FLAP_MEMORY_MS -> Count;",
            "when Now - Until < ?FLAP_MEMORY_MS -> Count * 0;"},
        {a_newcomer_that_goes_again_is_forgotten, caravan_flaps, "Lost = maps:filter(fun(_Name, {LostAt, _HadLasted, _Before}) -> LostAt >= Since end, Blamed),",
            "Lost = maps:filter(fun(_Name, {LostAt, _HadLasted, _Before}) -> LostAt < Since - Since end, Blamed),"},
        {nobody_is_told_to_close_a_connection, caravan_flaps, "cause(disconnect, Failures, Since, Now, _State) ->",
            "cause(nothing, Failures, Since, Now, _State) ->"},
        {newcomers_are_never_to_blame, caravan_flaps, "fun(_Name, Up) -> Up > Since andalso is_recent(Up, Now) end",
            "fun(_Name, Up) -> Up > Since andalso Up > Now end"},
        {who_takes_a_place_does_not_take_the_count, caravan_flaps, "flap(Name, max(Before, OtherCount), Now,",
            "flap(Name, max(Before, OtherCount * 0), Now,"},
        {half_a_minute_is_steady, caravan_schedule, "steady_after() -> ?STEADY.", "steady_after() -> ?STEADY div 2."},
        {looks_at_once_after_each_loss, caravan_schedule, "Interval div 2 + one_to(max(1, Interval div 2), Random).",
            "one_to(min(200, Interval), Random)."},
        {every_change_makes_the_next_look_quick, caravan_topology_core, "schedule({changed, Ttl}, Now, Facts, #state{is_quick = true} = State) ->",
            "schedule({changed, Ttl}, Now, Facts, #state{is_quick = never} = State) ->"},
        %% A cut answer taken for complete.
        {an_answer_beyond_max_nodes_is_complete, caravan_discovery, "#{max_nodes := 0, atom_budget := 0, unresolved := 0}",
            "#{atom_budget := 0, unresolved := 0}"},
        {basenames_share_max_nodes, caravan_discovery, "within(MaxNodes, lists:usort(Records), Facts)",
            "within(MaxNodes div maps:get(names_per_record, Options, 1), lists:usort(Records), Facts)"},
        %% An outage of DNS takes every node out of service.
        {a_crash_forgets_that_the_topology_was_ready, caravan_topology_core, "caravan_health_core:new(maps:get(was_ready, Facts, false), Now)",
            "caravan_health_core:new(maps:get(is_ready, Facts, false), Now)"},
        %% Unfair order.
        {those_never_tried_come_last, caravan_connector, "never_tried -> {0, Name < Own, Name};", "never_tried -> {2, Name < Own, Name};"},
        {the_order_is_by_name, caravan_connector, "At -> {1, At, Name}", "At -> {1, At + erlang:phash2(Name, 600000), Name}"},
        %% Several basenames.
        {other_names_of_a_connected_node_cost_an_atom, caravan_discovery, "maps:without(proven(Records, Facts),", "maps:without(hd([[], proven(Records, Facts)]),"},
        {the_budget_of_atoms_is_not_given_back, caravan_atom_budget, "-define(REFILL_MS, 600000).", "-define(REFILL_MS, 600000000)."},
        {tries_its_own_listener, caravan_listeners, "orelse Listener =:= ListenerOf(Own).", "orelse Listener =:= Own."},
        {tries_other_names_of_connected_nodes, caravan_listeners, "is_map_key(Listener, Taken) orelse", "is_map_key(Own, Taken) orelse"},
        %% State lost in a crash.
        {a_crash_forgets_what_is_wanted, caravan_sources, "carried = carried(Queries, maps:from_keys(Restored, [])),",
            "carried = carried([], maps:from_keys(Restored, [])),"},
        {a_cut_answer_ends_what_a_crash_has_left, caravan_sources, "replaces(incomplete, IsOver) -> IsOver;",
            "replaces(incomplete, IsOver) -> IsOver orelse true;"},
        %% A promise without ground.
        {an_answer_with_unresolved_targets_is_complete, caravan_discovery, "#{max_nodes := 0, atom_budget := 0, unresolved := 0}",
            "#{max_nodes := 0, atom_budget := 0}"},
        {samples_are_complete, caravan_discovery, "is_complete(_Answer, _Refused, #{answers := sampled}) -> false;",
            "is_complete(_Answer, _Refused, #{answers := none}) -> false;"},
        {samples_never_expire, caravan_discovery, "Living = maps:filter(fun(_Name, Until) -> Until > Now end,",
            "Living = maps:filter(fun(_Name, Until) -> Until > Now - Now end,"},
        {samples_have_no_bound, caravan_discovery, "bounded(Added, Listed, Connected, max_wanted(Options)).",
            "bounded(Added, Listed, Connected, 1000000 * max_wanted(Options))."},
        %% State dropped too early.
        {failures_are_forgotten_with_each_answer, caravan_connector, "memory(_Unwanted, _Max) -> ?MEMORY_MS.",
            "memory(_Unwanted, _Max) -> -?MEMORY_MS."},
        %% Prune.
        {the_clock_of_prune_runs_in_an_outage, caravan_prune, "in_doubt = true, fresh_at = FreshAt}) -> Now - FreshAt;",
            "in_doubt = true, fresh_at = FreshAt}) -> 0 * (Now - FreshAt);"},
        {a_disconnect_that_raises_counts, caravan_topology_core,
            "State#state{prune = caravan_prune:not_removed(Name, is_map_key(Name, Unlisted), Prune)};",
            "_ = caravan_prune:not_removed(Name, is_map_key(Name, Unlisted), Prune), State;"},
        %% Leaving.
        {who_has_left_is_tried_at_once, caravan_topology_core, "andalso not is_left_alone(Name, State).",
            "andalso (true orelse is_left_alone(Name, State))."},
        {who_leaves_connects_again, caravan_leavers, "when is_integer(Until), Until > Now -> Until - Now;",
            "when is_integer(Until), Until > 2 * Now -> Until - Now;"},
        {a_word_that_is_late_counts_for_nothing, caravan_topology_core, "news = caravan_news:left(Name, News)", "news = News"},
        {who_has_come_back_counts_as_gone, caravan_leavers, "#{Name := {_Until, gone}} -> forget(Name, State);",
            "#{Name := {_Until, gone}} -> State;"},
        %% Reasons with pids in them.
        {each_pid_is_a_new_reason, caravan_connector, "Kind = caravan_reason_kind:of_reason(Reason),", "Kind = Reason,"},
        %% The log.
        {there_is_always_a_line, caravan_line_budget, "-define(BURST, 20).", "-define(BURST, 2000)."},
        {who_is_alone_says_so_at_once, caravan_reminders, "-define(MINUTE_MS, 60000).", "-define(MINUTE_MS, 1000)."},
        {who_has_come_meanwhile_has_failed, caravan_news, "not caravan_members:is_member(Name, Members), not lists:member(Name, Left)",
            "is_binary(Name), not lists:member(Name, Left)"},
        %% Attribution.
        {all_losses_have_one_reason, caravan_topology_core, "went(Change, {Name, Reason, IsMissed, repeated(Flaps)}, Now,",
            "went(Change, {Name, element(1, {connection_closed, Reason}), IsMissed, repeated(Flaps)}, Now,"},
        {nodes_are_named_twice, caravan_news, "[Name || Name <- lists:usort(Newcomers), caravan_members:is_member(Name, Members)]",
            "[Name || Name <- lists:sort(Newcomers), caravan_members:is_member(Name, Members)]"}
    ].

%% All are killed, or the run has failed. What kills is a world that runs clean with the core as it is.
-spec run() -> ok | failed.
run() ->
    Known = [caravan_sim_known:scenario(Name) || Name <- caravan_sim_known:names()],
    Random = [caravan_sim_world:random(Seed, any) || Seed <- lists:seq(1, ?SEEDS)],
    {Clean, Dirty} = lists:partition(fun is_clean/1, Known ++ Random),
    [io:format("~ts fails without a mutant~n", [caravan_sim_main:title(World)]) || World <- Dirty],
    Alive = [Name || Mutant <- all(), {Name, lives} <- [fate(Mutant, Clean)]],
    io:format("~b mutants, ~b live~n", [length(all()), length(Alive)]),
    case {Alive, Dirty} of
        {[], []} -> ok;
        _ -> failed
    end.

is_clean(World) ->
    element(1, caravan_sim_judge:verdict(World)) =:= ok.

fate({Name, _, _, _} = Mutant, Worlds) ->
    {Fate, Text} = mutated(Mutant, fun() -> killed(Worlds) end),
    io:format("~-48ts ~ts~n", [Name, Text]),
    {Name, Fate}.

killed([]) ->
    {lives, "LIVES"};
killed([World | Worlds]) ->
    case caravan_sim_judge:verdict(World) of
        {ok, _} -> killed(Worlds);
        {violated, Invariant, _At, _Details} -> {killed, io_lib:format("~-22ts ~ts", [Invariant, caravan_sim_main:title(World)])}
    end.

%% The module is as it was afterwards.
mutated({_Name, Module, _Text, _Replacement} = Mutant, Run) ->
    {Module, Original, _} = code:get_object_code(Module),
    case code(Mutant) of
        {ok, Code} ->
            ok = load(Module, Code),
            try
                Run()
            after
                ok = load(Module, Original)
            end;
        {error, Why} ->
            {lives, ["LIVES: ", Why]}
    end.

load(Module, Code) ->
    {module, Module} = code:load_binary(Module, atom_to_list(Module), Code),
    _ = code:purge(Module),
    ok.

%% The mutant's module.
-spec code(mutant()) -> {ok, binary()} | {error, Why :: iolist()}.
code({Name, Module, Text, Replacement}) ->
    {ok, Source} = file:read_file(proplists:get_value(source, Module:module_info(compile))),
    case string:split(Source, Text, all) of
        [Before, After] -> compiled(Name, Module, [Before, Replacement, After]);
        Parts -> {error, io_lib:format("its text is there ~b times", [length(Parts) - 1])}
    end.

compiled(Name, Module, Source) ->
    File = filename:join(["_build", "simulation", atom_to_list(Name), atom_to_list(Module) ++ ".erl"]),
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, Source),
    case compile:file(filename:rootname(File), [binary]) of
        {ok, Module, Code} -> {ok, Code};
        error -> {error, "it does not compile"}
    end.
