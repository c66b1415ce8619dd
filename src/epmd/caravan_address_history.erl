%% @private
%% Which addresses of a host were of no use lately, so that the next attempt takes another one. Of hosts whose addresses
%% are all well, nothing is remembered.
-module(caravan_address_history).

-export([create/0, failed/2, given/3, still/2, choose/2]).

%% Longer than the back-off of a topology, so that a host with two dead addresses and a live one comes to the third.
-define(FAILED_MS, 300000).
%% Who asks why an attempt has failed means the address of that attempt.
-define(GIVEN_MS, 10000).
-define(MAX_HOSTS, 1000).
-define(MAX_ADDRESSES, 16).

%% `failures': the last one first. `given': what was given out last of each family.
-record(host, {
    key :: binary(),
    failures = [] :: [{inet:ip_address(), FailedAt :: integer()}],
    given = #{} :: #{inet | inet6 => {inet:ip_address(), GivenAt :: integer()}}
}).

%% The table belongs to the calling process and goes with it.
-spec create() -> ok.
create() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, {keypos, #host.key}, {read_concurrency, true}]),
    ok.

%% Nothing accepts connections at this address of the host.
-spec failed(string(), inet:ip_address()) -> ok.
failed(Host, Ip) ->
    Now = now_ms(),
    #host{failures = Failures, given = Given} = Known = known(Host, Now),
    store(Known#host{
        failures = lists:sublist([{Ip, Now} | lists:keydelete(Ip, 1, Failures)], ?MAX_ADDRESSES),
        given = maps:filter(fun(_Family, {Other, _At}) -> Other =/= Ip end, Given)
    }).

%% This address of the host is about to be tried.
-spec given(string(), inet | inet6, inet:ip_address()) -> ok.
given(Host, Family, Ip) ->
    Now = now_ms(),
    case known(Host, Now) of
        #host{failures = []} -> ok;
        #host{given = Given} = Known -> store(Known#host{given = Given#{Family => {Ip, Now}}})
    end.

%% The address that was given last, a moment ago, and has not failed since.
-spec still(string(), inet | inet6) -> {ok, inet:ip_address()} | none.
still(Host, Family) ->
    Now = now_ms(),
    case known(Host, Now) of
        #host{given = #{Family := {Ip, At}}} when Now - At < ?GIVEN_MS -> {ok, Ip};
        _ -> none
    end.

%% The first of the addresses that has not failed lately; if all have, the one whose failure is the longest ago.
-spec choose(string(), [inet:ip_address()]) -> {good | failed, inet:ip_address()} | none.
choose(_Host, []) ->
    none;
choose(Host, Ips) ->
    #host{failures = Failures} = known(Host, now_ms()),
    case [Ip || Ip <- Ips, not lists:keymember(Ip, 1, Failures)] of
        [Ip | _] -> {good, Ip};
        [] -> {failed, lists:last([Ip || {Ip, _At} <- Failures, lists:member(Ip, Ips)])}
    end.

%% Before the application has started there is no table.
known(Host, Now) ->
    Key = key(Host),
    try ets:lookup(?MODULE, Key) of
        [#host{failures = Failures} = Known] ->
            Known#host{failures = [Failure || {_Ip, At} = Failure <- Failures, Now - At < ?FAILED_MS]};
        [] ->
            #host{key = Key}
    catch
        error:badarg -> #host{key = Key}
    end.

%% Two attempts that end together may lose one of their failures; it is noted when it comes again.
store(Known) ->
    case ets:info(?MODULE, size) of
        undefined -> ok;
        Size when Size >= ?MAX_HOSTS -> true = ets:delete_all_objects(?MODULE), insert(Known);
        _ -> insert(Known)
    end.

insert(Known) ->
    true = ets:insert(?MODULE, Known),
    ok.

key(Host) ->
    string:lowercase(unicode:characters_to_binary(Host)).

now_ms() ->
    erlang:monotonic_time(millisecond).
