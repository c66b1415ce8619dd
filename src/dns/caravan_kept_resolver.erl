%% @private
%% A resolver that all processes share, kept in a persistent term. It is opened at its first use, and opened again when the
%% configuration has changed or when the instance of the library that made it is gone.
-module(caravan_kept_resolver).

-export([with/4, get/3, drop/1]).

%% Longer than a thousand callers take one after another.
-define(RENEWAL_MS, 10000).

-type opened() :: {ok, reference()} | {error, term()}.

%% Calls `Call' with the resolver and returns its result. If the library does not know the resolver any more, because its
%% instance was replaced or unloaded, opens another one and calls `Call' once more.
-spec with(Key :: term(), Configuration :: term(), Open :: fun(() -> opened()), Call :: fun((reference()) -> Result)) ->
    Result | {error, term()}.
with(Key, Configuration, Open, Call) ->
    case get(Key, Configuration, Open) of
        {ok, Resolver} -> checked(Call(Resolver), Resolver, Key, Configuration, Open, Call);
        {error, _} = Error -> Error
    end.

checked({error, closed}, Resolver, Key, Configuration, Open, Call) ->
    call(renew(Key, Configuration, Resolver, Open), Call);
checked({error, {bad_option, resolver, Resolver, _}}, Resolver, Key, Configuration, Open, Call) ->
    call(renew(Key, Configuration, Resolver, Open), Call);
checked(Result, _Resolver, _Key, _Configuration, _Open, _Call) ->
    Result.

call({ok, Resolver}, Call) -> Call(Resolver);
call({error, _} = Error, _Call) -> Error.

%% Returns the resolver for the given configuration; opens one if the kept resolver has another configuration.
-spec get(Key :: term(), Configuration :: term(), Open :: fun(() -> opened())) -> opened().
get(Key, Configuration, Open) ->
    case persistent_term:get(Key, none) of
        {Configuration, Resolver} -> {ok, Resolver};
        _Other -> renew(Key, Configuration, none, Open)
    end.

%% Removes the kept resolver. Processes that have it can go on using it.
-spec drop(Key :: term()) -> ok.
drop(Key) ->
    _ = persistent_term:erase(Key),
    ok.

%% Changing a persistent term makes the VM scan every process, so only one of many callers may do it. That one opens the
%% resolver in a process of its own with a registered name; the others wait until that process has ended.
renew(Key, Configuration, Stale, Open) ->
    Deadline = erlang:monotonic_time(millisecond) + ?RENEWAL_MS,
    case caravan_task:call(fun() -> renew_alone(Key, Configuration, Stale, Open) end, Deadline) of
        {ok, Opened} -> Opened;
        _TimeoutOrCrash -> {error, system}
    end.

renew_alone(Key, Configuration, Stale, Open) ->
    try register(?MODULE, self()) of
        true -> open(persistent_term:get(Key, none), Key, Configuration, Stale, Open)
    catch
        error:badarg -> renew_after(monitor(process, ?MODULE), Key, Configuration, Stale, Open)
    end.

renew_after(Monitor, Key, Configuration, Stale, Open) ->
    receive
        {'DOWN', Monitor, process, _, _} -> renew_alone(Key, Configuration, Stale, Open)
    end.

%% Another process may have opened the resolver meanwhile.
open({Configuration, Resolver}, _Key, Configuration, Stale, _Open) when Resolver =/= Stale ->
    {ok, Resolver};
open(_Kept, Key, Configuration, _Stale, Open) ->
    case Open() of
        {ok, Resolver} ->
            ok = persistent_term:put(Key, {Configuration, Resolver}),
            {ok, Resolver};
        {error, _} = Error ->
            Error
    end.
