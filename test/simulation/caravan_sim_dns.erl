%% A name in DNS: its records as operators register them, what resolvers between there and a node remember, and what goes
%% wrong. Each asker is a host with a view of its own. A functional state.
-module(caravan_sim_dns).

-export([new/1, register/3, unregister/2, records/1, fault/3, mend/2, mend_all/1, ask/4]).

-export_type([dns/0, settings/0, fault/0, asker/0]).

-type name() :: binary().
-type asker() :: term().
%% Of one listener: a name, or one for each basename.
-type names() :: [name(), ...].

-type settings() :: #{
    ttl := Seconds :: non_neg_integer(),
    %% Whether each host asks a resolver that remembers answers for their TTL.
    caches := boolean(),
    server := server()
}.

%% What the server does when all is well: it gives all records and its answers are known to be complete; it gives all and
%% nobody knows (UDP without an end that is known); it gives some at random, and says that these are all or does not.
-type server() :: all | unsure | {sample, Size :: pos_integer(), Complete :: boolean()}.

-type fault() ::
    nxdomain
    | servfail
    | timeout
    | {slow, Milliseconds :: pos_integer()}
    %% Only so many records fit, and the answer does not say so itself; it came over UDP.
    | {cut, Size :: non_neg_integer()}
    | {sample, Size :: pos_integer(), Complete :: boolean()}
    %% The resolver gives what it had when the fault began, for as long as that lasts.
    | stale
    %% So many targets have no address; so many names are none.
    | {unresolved, Count :: pos_integer()}
    | {invalid, Count :: pos_integer()}.

-record(dns, {
    settings :: settings(),
    zone = #{} :: #{Key :: term() => names()},
    %% Of the zone, sorted.
    records = [] :: [names()],
    faults = #{} :: #{asker() | all => fault() | {frozen, [names()]}},
    caches = #{} :: #{asker() => {[names()], Until :: integer()}}
}).

-opaque dns() :: #dns{}.

%% How long a lookup takes that meets no fault, and one whose nameserver does not answer.
-define(DELAY, 20).
-define(TIMEOUT, 5000).

-spec new(settings()) -> dns().
new(Settings) ->
    #dns{settings = Settings}.

-spec register(Key :: term(), names(), dns()) -> dns().
register(Key, Record, #dns{zone = Zone} = Dns) ->
    changed(Zone#{Key => Record}, Dns).

-spec unregister(Key :: term(), dns()) -> dns().
unregister(Key, #dns{zone = Zone} = Dns) ->
    changed(maps:remove(Key, Zone), Dns).

changed(Zone, #dns{zone = Zone} = Dns) -> Dns;
changed(Zone, Dns) -> Dns#dns{zone = Zone, records = lists:usort(maps:values(Zone))}.

%% All there are.
-spec records(dns()) -> [names()].
records(#dns{records = Records}) ->
    Records.

-spec fault(asker() | all, fault(), dns()) -> dns().
fault(Asker, stale, #dns{faults = Faults, records = Records} = Dns) ->
    Dns#dns{faults = Faults#{Asker => {frozen, Records}}};
fault(Asker, Fault, #dns{faults = Faults} = Dns) ->
    Dns#dns{faults = Faults#{Asker => Fault}}.

-spec mend(asker() | all, dns()) -> dns().
mend(Asker, #dns{faults = Faults} = Dns) ->
    Dns#dns{faults = maps:remove(Asker, Faults)}.

-spec mend_all(dns()) -> dns().
mend_all(Dns) ->
    Dns#dns{faults = #{}}.

%% What an asker gets, and after how many milliseconds.
-spec ask(asker(), Now :: integer(), rand:state(), dns()) ->
    {Outcome :: {ok, map()} | {error, term()}, Delay :: non_neg_integer(), rand:state(), dns()}.
ask(Asker, Now, Random, #dns{faults = Faults} = Dns) ->
    {Delay, Next} = rand:uniform_s(?DELAY, Random),
    case fault_of(Asker, Faults) of
        none -> answered(Asker, Now, Delay, Next, Dns);
        timeout -> {{error, timeout}, ?TIMEOUT, Next, Dns};
        servfail -> {{error, servfail}, Delay, Next, Dns};
        nxdomain -> {{error, nxdomain}, Delay, Next, Dns};
        {slow, Slow} -> answered(Asker, Now, Slow, Next, Dns);
        {frozen, Records} -> {empty_or(Records, 0, true), Delay, Next, Dns};
        {cut, Size} -> {answer(lists:sublist(Dns#dns.records, Size), ttl(Dns), false), Delay, Next, Dns};
        {sample, Size, Complete} -> sample(Size, Complete, Delay, Next, Dns);
        {unresolved, Count} -> {unresolved(Count, Dns), Delay, Next, Dns};
        {invalid, Count} -> {invalid(Count, Dns), Delay, Next, Dns}
    end.

fault_of(_Asker, Faults) when map_size(Faults) =:= 0 -> none;
fault_of(_Asker, #{all := Fault}) -> Fault;
fault_of(Asker, Faults) -> maps:get(Asker, Faults, none).

answered(Asker, Now, Delay, Random, #dns{settings = #{caches := true}} = Dns) ->
    {Records, Until, Next} = cached(Asker, Now, Dns),
    {empty_or(Records, (Until - Now + 999) div 1000, complete(Dns)), Delay, Random, Next};
answered(_Asker, _Now, Delay, Random, #dns{settings = #{server := {sample, Size, Complete}}} = Dns) ->
    sample(Size, Complete, Delay, Random, Dns);
answered(_Asker, _Now, Delay, Random, #dns{records = Records} = Dns) ->
    {empty_or(Records, ttl(Dns), complete(Dns)), Delay, Random, Dns}.

ttl(#dns{settings = #{ttl := Ttl}}) -> Ttl.

complete(#dns{settings = #{server := all}}) -> true;
complete(#dns{settings = #{server := unsure}}) -> false;
complete(#dns{settings = #{server := {sample, _, Complete}}}) -> Complete.

%% A resolver between the asker and the server gives what it has until the TTL is over.
cached(Asker, Now, #dns{caches = Caches, records = Records} = Dns) ->
    case Caches of
        #{Asker := {Old, Until}} when Until > Now -> {Old, Until, Dns};
        #{} -> cache(Asker, Records, Now + 1000 * ttl(Dns), Dns)
    end.

cache(_Asker, [], Until, Dns) -> {[], Until, Dns};
cache(Asker, Records, Until, #dns{caches = Caches} = Dns) -> {Records, Until, Dns#dns{caches = Caches#{Asker => {Records, Until}}}}.

sample(Size, Complete, Delay, Random, #dns{records = Records} = Dns) ->
    {Shuffled, Next} = lists:mapfoldl(
        fun(Record, State) ->
            {Order, Drawn} = rand:uniform_s(State),
            {{Order, Record}, Drawn}
        end,
        Random,
        Records
    ),
    Some = lists:sort([Record || {_, Record} <- lists:sublist(lists:sort(Shuffled), Size)]),
    {empty_or(Some, ttl(Dns), Complete), Delay, Next, Dns}.

unresolved(Count, #dns{records = Records} = Dns) ->
    {ok, Answer} = answer(lists:nthtail(min(Count, length(Records)), Records), ttl(Dns), complete(Dns)),
    {ok, Answer#{unresolved := Count}}.

invalid(Count, #dns{records = Records} = Dns) ->
    {ok, Answer} = answer(Records, ttl(Dns), complete(Dns)),
    {ok, Answer#{invalid := Count}}.

empty_or([], _Ttl, _Complete) -> {error, nxdomain};
empty_or(Records, Ttl, Complete) -> answer(Records, Ttl, Complete).

answer(Records, Ttl, Complete) ->
    {ok, #{records => Records, invalid => 0, unresolved => 0, ttl => Ttl, complete => Complete}}.
