%% @private
%% A resolver that all processes share, kept in a persistent term: opened at its first use, and anew when the configuration
%% has changed or when it belongs to an instance of the library that is gone.
-module(caravan_kept_resolver).

-export([with/4, get/3, drop/1]).

%% Longer than a thousand callers take one after the other.
-define(RENEWAL_MS, 10000).

-type opened() :: {ok, reference()} | {error, term()}.

%% What `Call' returns for the resolver. Opens another one if the library no longer knows it: its instance was replaced, or
%% unloaded as a whole.
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

%% The resolver, as it is configured now.
-spec get(Key :: term(), Configuration :: term(), Open :: fun(() -> opened())) -> opened().
get(Key, Configuration, Open) ->
    case persistent_term:get(Key, none) of
        {Configuration, Resolver} -> {ok, Resolver};
        _Other -> renew(Key, Configuration, none, Open)
    end.

%% Callers keep what they have got.
-spec drop(Key :: term()) -> ok.
drop(Key) ->
    _ = persistent_term:erase(Key),
    ok.

%% A change of a persistent term makes the VM look through every process, so of a thousand callers one makes it. It opens
%% the resolver in a process of its own, whose registered name keeps the others waiting, and ends with it.
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

%% Another process may have done it meanwhile.
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
