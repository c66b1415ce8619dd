%% Where the instances of the service are published, and which DNS server knows them.
-module(caravan_demo_registry).

-export_type([instance/0, settings/0, state/0]).

%% `id' is what stands before the `@' of the node name, `host' what stands after it.
-type instance() :: #{number := pos_integer(), id := string(), host := string(), port := inet:port_number()}.
-type settings() :: #{
    timeout := pos_integer(), directory := file:filename(), consul := file:filename(), ports => [inet:port_number()]
}.
-type state() :: term().

-callback title() -> unicode:chardata().

%% Starts it, and says why it cannot be had.
-callback start(settings()) -> {ok, state()} | {error, unicode:chardata() | interrupted}.

%% What the reader of the demo is told about it.
-callback facts(state()) -> [{Label :: string(), Text :: unicode:chardata()}].

%% How it is called in the table.
-callback name() -> string().

%% What a node needs to know: whom to ask, and for what.
-callback nameserver(state()) -> string().
-callback query() -> string().

%% The SRV target of an instance.
-callback host(Number :: pos_integer()) -> string().

%% Publish and withdraw; the text says what was done.
-callback add(instance(), state()) -> {Text :: unicode:chardata(), state()}.
-callback remove(instance(), state()) -> {Text :: unicode:chardata(), state()}.

%% Ends it, and says whether it ended.
-callback stop(state()) -> {ok, Text :: unicode:chardata()} | {error, Text :: unicode:chardata()}.

%% What it wrote, if it writes anything.
-callback log(state()) -> [unicode:chardata()].
