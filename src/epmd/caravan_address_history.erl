%% @private
%% Remembers which addresses of a host have failed lately, so that the next attempt takes another one. Hosts without failed
%% addresses are not remembered.
-module(caravan_address_history).

-export([create/0, failed/2, given/3, still/2, choose/2]).

%% Longer than the maximal back-off of a topology, so that of three addresses of a host, two of them dead, the third is
%% tried.
-define(FAILED_MS, 300000).
%% For how long still/2 returns the address of the last attempt: whoever asks why that attempt failed means that address.
-define(GIVEN_MS, 10000).
-define(MAX_HOSTS, 1000).
-define(MAX_ADDRESSES, 16).

%% `failures': the most recent one first. `given': for each family the address that was given out last.
-record(host, {
    key :: binary(),
    failures = [] :: [{inet:ip_address(), FailedAt :: integer()}],
    given = #{} :: #{inet | inet6 => {inet:ip_address(), GivenAt :: integer()}}
}).

%% Creates the table. The calling process owns it, and the table is deleted with that process.
-spec create() -> ok.
create() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, {keypos, #host.key}, {read_concurrency, true}]),
    ok.

%% Notes that no connection could be made to this address of the host.
-spec failed(string(), inet:ip_address()) -> ok.
failed(Host, Ip) ->
    Now = now_ms(),
    #host{failures = Failures, given = Given} = Known = known(Host, Now),
    store(Known#host{
        failures = lists:sublist([{Ip, Now} | lists:keydelete(Ip, 1, Failures)], ?MAX_ADDRESSES),
        given = maps:filter(fun(_Family, {Other, _At}) -> Other =/= Ip end, Given)
    }).

%% Notes that a caller is about to connect to this address of the host.
-spec given(string(), inet | inet6, inet:ip_address()) -> ok.
given(Host, Family, Ip) ->
    Now = now_ms(),
    case known(Host, Now) of
        #host{failures = []} -> ok;
        #host{given = Given} = Known -> store(Known#host{given = Given#{Family => {Ip, Now}}})
    end.

%% Returns the address that was given out for the last attempt, if that was within the last ?GIVEN_MS milliseconds and it has
%% not failed since.
-spec still(string(), inet | inet6) -> {ok, inet:ip_address()} | none.
still(Host, Family) ->
    Now = now_ms(),
    case known(Host, Now) of
        #host{given = #{Family := {Ip, At}}} when Now - At < ?GIVEN_MS -> {ok, Ip};
        _ -> none
    end.

%% Returns the first of the addresses that has not failed lately, or if all have, the one whose failure is the oldest.
-spec choose(string(), [inet:ip_address()]) -> {good | failed, inet:ip_address()} | none.
choose(_Host, []) ->
    none;
choose(Host, Ips) ->
    #host{failures = Failures} = known(Host, now_ms()),
    case [Ip || Ip <- Ips, not lists:keymember(Ip, 1, Failures)] of
        [Ip | _] -> {good, Ip};
        [] -> {failed, lists:last([Ip || {Ip, _At} <- Failures, lists:member(Ip, Ips)])}
    end.

%% There is no table before the application has started.
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

%% The read and the write are not atomic: of two attempts that end at the same time, one failure may be lost. The next
%% failure of that address notes it.
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
