%% @doc Many lookups on a bad network: each ends once, each answer is right, and the resolver has counted them all.
-module(caravan_network_lookups).

-export([run/1, start/1, await_answers/3, finish/1]).

-export_type([plan/0, summary/0]).

%% `lookups': how many, or `infinity' until finish/1. `open': how many at a time. `ask': the name and the type of a lookup by its
%% number, and whether an answer is right.
-type plan() :: #{
    resolver := caravan_dns:resolver_options(),
    lookups := pos_integer() | infinity,
    open := pos_integer(),
    ask := fun((Number :: pos_integer()) -> {caravan_dns:name(), caravan_dns:type(), fun((caravan_dns:answer()) -> boolean())})
}.
%% `cancelled': lookups that the caller gave up.
-type summary() :: #{
    asked := non_neg_integer(),
    answered := non_neg_integer(),
    complete := non_neg_integer(),
    cancelled := non_neg_integer(),
    failed := #{caravan_dns:reason() => pos_integer()},
    queries := non_neg_integer()
}.

-record(state, {
    plan :: plan(),
    resolver :: caravan_dns:resolver(),
    asked = 0 :: non_neg_integer(),
    open = #{} :: #{reference() => {Number :: pos_integer(), Check :: fun((caravan_dns:answer()) -> boolean())}},
    answered = 0 :: non_neg_integer(),
    complete = 0 :: non_neg_integer(),
    cancelled = 0 :: non_neg_integer(),
    failed = #{} :: #{caravan_dns:reason() => pos_integer()},
    %% Who waits until there are so many answers of a kind.
    waiting = none :: none | {pid(), reference(), any | complete | incomplete, Until :: non_neg_integer()}
}).

%% Every so many lookups one is given up, after so many milliseconds.
-define(CANCEL_EACH, 47).
-define(CANCEL_MS, 100).

%% Beyond the timeout of every lookup here: a wait that ends so is a failure.
-define(HANG_GUARD, 90000).
-define(SETTLE_TRIES, 200).

%% @doc Makes all of the lookups.
-spec run(plan()) -> summary().
run(Plan) ->
    finish(start(Plan)).

%% @doc Begins with them.
-spec start(plan()) -> pid().
start(Plan) ->
    Caller = self(),
    spawn_link(fun() -> Caller ! {?MODULE, self(), load(Plan)} end).

%% @doc Waits until that many more answers of a kind have come, and says how many there are by then.
-spec await_answers(pid(), any | complete | incomplete, pos_integer()) -> #{answered | complete => non_neg_integer()}.
await_answers(Load, Kind, More) ->
    Ref = make_ref(),
    Load ! {await, self(), Ref, Kind, More},
    receive {Ref, Counts} -> Counts after ?HANG_GUARD -> error(no_answers) end.

%% @doc Waits until all lookups have ended; where there is no number of them, no more are begun.
-spec finish(pid()) -> summary().
finish(Load) ->
    Load ! finish,
    receive {?MODULE, Load, Summary} -> Summary end.

load(#{resolver := Options} = Plan) ->
    {ok, Resolver} = caravan_dns:open(Options),
    Summary = loop(#state{plan = Plan, resolver = Resolver}),
    ok = caravan_dns:close(Resolver),
    receive {caravan_dns, _, _} = Again -> error({ended_twice, Again}) after 0 -> Summary end.

%% The atom `infinity' is greater than any number.
loop(#state{plan = #{lookups := Lookups, open := Most}, asked = Asked, open = Open} = State) when Asked < Lookups, map_size(Open) < Most ->
    loop(ask(State));
loop(#state{plan = #{lookups := Asked}, asked = Asked, open = Open} = State) when map_size(Open) =:= 0 ->
    summary(State);
loop(State) ->
    receive
        {caravan_dns, Ref, Result} -> loop(told(ended(Ref, Result, State)));
        {give_up, Ref} -> loop(give_up(Ref, State));
        {await, Asker, Ref, Kind, More} -> loop(State#state{waiting = {Asker, Ref, Kind, number(Kind, State) + More}});
        finish -> loop(no_more(State))
    after ?HANG_GUARD -> error({no_end, State#state.open})
    end.

ask(#state{plan = #{ask := Ask}, resolver = Resolver, asked = Asked, open = Open} = State) ->
    Number = Asked + 1,
    {Name, Type, Check} = Ask(Number),
    Ref = caravan_dns:lookup_async(Name, Type, #{resolver => Resolver}),
    _ = [erlang:send_after(?CANCEL_MS, self(), {give_up, Ref}) || Number rem ?CANCEL_EACH =:= 0],
    State#state{asked = Number, open = Open#{Ref => {Number, Check}}}.

ended(Ref, Result, #state{open = Open} = State) ->
    case maps:take(Ref, Open) of
        {{Number, Check}, Others} -> ended(Result, Number, Check, State#state{open = Others});
        error -> error({ended_twice, Result})
    end.

ended({ok, #{complete := IsComplete} = Answer}, Number, Check, #state{answered = Answered, complete = Complete} = State) ->
    Check(Answer) orelse error({wrong_answer, (maps:get(ask, State#state.plan))(Number), Answer}),
    State#state{answered = Answered + 1, complete = Complete + case IsComplete of true -> 1; false -> 0 end};
ended({error, Reason}, _Number, _Check, #state{failed = Failed} = State) ->
    State#state{failed = maps:update_with(Reason, fun(Count) -> Count + 1 end, 1, Failed)}.

%% It may have ended before.
give_up(Ref, #state{open = Open, cancelled = Cancelled} = State) ->
    case maps:take(Ref, Open) of
        {_, Others} -> ok = caravan_dns:cancel(Ref), State#state{open = Others, cancelled = Cancelled + 1};
        error -> State
    end.

told(#state{waiting = {Asker, Ref, Kind, Until}, answered = Answered, complete = Complete} = State) ->
    case number(Kind, State) >= Until of
        true -> Asker ! {Ref, #{answered => Answered, complete => Complete}}, State#state{waiting = none};
        false -> State
    end;
told(State) ->
    State.

number(any, #state{answered = Answered}) -> Answered;
number(complete, #state{complete = Complete}) -> Complete;
number(incomplete, #state{answered = Answered, complete = Complete}) -> Answered - Complete.

no_more(#state{plan = #{lookups := infinity} = Plan, asked = Asked} = State) -> State#state{plan = Plan#{lookups := Asked}};
no_more(State) -> State.

%% One that was given up may have ended at that moment: the resolver counts it with those, and we do not.
summary(#state{asked = Asked, answered = Answered, complete = Complete, cancelled = Cancelled, failed = Failed} = State) ->
    #{outcomes := Outcomes, abandoned := 0, queries := Queries} = Stats = settled_stats(State, ?SETTLE_TRIES),
    Seen = Failed#{ok => Answered},
    IsCounted = maps:get(cancelled, Outcomes, 0) =< Cancelled andalso
        lists:all(fun({Outcome, Count}) -> Count =< maps:get(Outcome, Outcomes, 0) end, maps:to_list(Seen)),
    IsCounted orelse error({miscounted, Stats, Seen, Cancelled}),
    #{asked => Asked, answered => Answered, complete => Complete, cancelled => Cancelled, failed => Failed, queries => Queries}.

%% The resolver's thread hands an answer out first and counts it afterwards.
settled_stats(#state{resolver = Resolver, asked = Asked} = State, Tries) ->
    {ok, #{in_flight := InFlight, queued := Queued, outcomes := Outcomes} = Stats} = caravan_dns:stats(Resolver),
    case {InFlight, Queued, lists:sum(maps:values(Outcomes))} of
        {0, 0, Asked} -> Stats;
        _ when Tries > 0 -> timer:sleep(50), settled_stats(State, Tries - 1);
        Numbers -> error({unsettled, Numbers, Asked, Stats})
    end.
