%% @doc What a node takes of its machine. Runs in the node.
-module(caravan_network_footprint).

-export([load/0, measure/0]).

-export_type([footprint/0]).

%% `descriptors': how many of each kind, such as "socket".
-type footprint() :: #{
    descriptors := #{string() => pos_integer()}, threads := pos_integer(), atoms := pos_integer(), rss_kb := pos_integer()
}.

%% @doc Loads all that Caravan may need, as a release does at its boot: what is loaded later has atoms and takes memory. Where a nameserver
%% is silent the system is asked, by a program of OTP's that stays.
-spec load() -> ok.
load() ->
    _ = application:load(caravan),
    {ok, _} = inet:gethostbyname("localhost"),
    lists:foreach(fun load/1, [kernel, stdlib, caravan]).

load(Application) ->
    {ok, Modules} = application:get_key(Application, modules),
    lists:foreach(fun code:ensure_loaded/1, Modules).

%% @doc After a garbage collection of all processes.
-spec measure() -> footprint().
measure() ->
    lists:foreach(fun erlang:garbage_collect/1, processes()),
    {ok, Status} = file:read_file("/proc/self/status"),
    #{
        descriptors => descriptors(), threads => field("Threads", Status),
        atoms => erlang:system_info(atom_count), rss_kb => field("VmRSS", Status)
    }.

field(Name, Status) ->
    {match, [Number]} = re:run(Status, "^" ++ Name ++ ":\\s+([0-9]+)", [multiline, {capture, all_but_first, binary}]),
    binary_to_integer(Number).

descriptors() ->
    Directory = "/proc/self/fd",
    {ok, Names} = file:list_dir(Directory),
    Kinds = [kind(Target) || Name <- Names, {ok, Target} <- [file:read_link(filename:join(Directory, Name))]],
    lists:foldl(fun(Kind, Counts) -> maps:update_with(Kind, fun(Count) -> Count + 1 end, 1, Counts) end, #{}, Kinds).

%% As in "socket:[4711]".
kind(Target) ->
    hd(string:split(Target, ":")).
