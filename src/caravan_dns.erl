%% @doc DNS lookups that block nobody: a C++ thread asks the nameservers through c-ares, and the answer comes as a
%% message.
%%
%% == Answers ==
%%
%% ```
%% {ok, #{records := [#{priority := 1, weight := 1, port := 4370, target := <<"n1.example">>, ttl := 30}],
%%        addresses := #{<<"n1.example">> => [{10,0,0,1}]},
%%        ttl := 30,
%%        complete := true}}
%% '''
%%
%% `records' are those of the type asked for: of an SRV lookup as above (RFC 2782), of an A or AAAA lookup
%% `#{address := inet:ip_address(), ttl := Seconds}'. `addresses' are what the nameserver sent along for the targets
%% (glue); targets without any are missing. `ttl' is the least one on the way to the records, aliases included, in
%% seconds. `complete' says whether all records are known to be here, which only TCP can promise: Consul cuts its UDP
%% answers to their size and does not say so.
%%
%% == Errors ==
%%
%% `nxdomain' and `nodata' are a nameserver's word that there is no such name or no such record. All other errors mean
%% that nobody could be asked: `servfail', `refused', `formerr', `notimp' (what the nameservers answered), `timeout',
%% `connrefused', `badresp' (the reply is malformed), `badname' (no DNS name), `closed' (the library was unloaded),
%% `overload' (100,000 lookups are open), `system' (no memory, descriptors or threads).
-module(caravan_dns).

-export([lookup/2, lookup/3, lookup_async/2, lookup_async/3, cancel/1]).
-export([lookup_options/0]).

-export_type([name/0, type/0, options/0, answer/0, srv_record/0, address_record/0, reason/0]).

-type name() :: string() | binary().
-type type() :: srv | a | aaaa.
-type options() :: #{
    %% Where to ask: `"127.0.0.1:8600"' or `"[::1]:53"'; `system': those of resolv.conf with its search list;
    %% `default', the default: `nameservers' of the application's configuration, which is `system' by default.
    nameservers => default | system | [string() | binary(), ...],
    %% Milliseconds for the whole lookup, 1 to 3,600,000; default 5000.
    timeout => pos_integer(),
    %% `udp': UDP with EDNS, TCP when the answer is truncated. `tcp': TCP only. `auto', the default: for SRV records TCP
    %% first, and UDP when TCP cannot be had; for addresses as `udp'.
    transport => udp | tcp | auto
} | [{atom(), term()}].
-type srv_record() :: #{
    priority := 0..65535, weight := 0..65535, port := 0..65535, target := binary(), ttl := non_neg_integer()
}.
-type address_record() :: #{address := inet:ip_address(), ttl := non_neg_integer()}.
-type answer() :: #{
    records := [srv_record()] | [address_record()],
    addresses := #{binary() => [inet:ip_address()]},
    ttl := non_neg_integer(),
    complete := boolean()
}.
-type reason() ::
    nxdomain | nodata | servfail | refused | formerr | notimp | timeout | connrefused | badname | badresp | closed
    | overload | system.

%% @equiv lookup(Name, Type, #{})
-spec lookup(name(), type()) -> {ok, answer()} | {error, reason() | caravan_option:error()}.
lookup(Name, Type) ->
    lookup(Name, Type, #{}).

%% @doc Looks up the records of a name and waits for them, for `timeout' at the longest. Leaves no message behind.
%%
%% ```
%% {ok, #{records := Records}} = caravan_dns:lookup("app.service.consul", srv, #{nameservers => ["127.0.0.1:8600"]}).
%% '''
-spec lookup(name(), type(), options()) -> {ok, answer()} | {error, reason() | caravan_option:error()}.
lookup(Name, Type, Options) ->
    case start(Name, Type, Options) of
        {ok, Ref} ->
            %% No time-out here: the resolver's thread ends every lookup by its own.
            receive
                {caravan_dns, Ref, Result} -> Result
            end;
        {error, _} = Error ->
            Error
    end.

%% @equiv lookup_async(Name, Type, #{})
-spec lookup_async(name(), type()) -> reference().
lookup_async(Name, Type) ->
    lookup_async(Name, Type, #{}).

%% @doc Looks up the records of a name; the caller gets `{caravan_dns, Ref, {ok, Answer} | {error, Reason}}' once,
%% within `timeout'. Every error comes that way, those of the arguments too.
%%
%% ```
%% Ref = caravan_dns:lookup_async("localhost", a),
%% receive {caravan_dns, Ref, Result} -> Result end.
%% '''
-spec lookup_async(name(), type(), options()) -> reference().
lookup_async(Name, Type, Options) ->
    case start(Name, Type, Options) of
        {ok, Ref} ->
            Ref;
        {error, _} = Error ->
            Ref = make_ref(),
            self() ! {caravan_dns, Ref, Error},
            Ref
    end.

%% @doc Gives a lookup up. To be called by the process that started it: after that no message of it comes, and one that
%% has come is taken out of the mailbox.
-spec cancel(reference()) -> ok.
cancel(Ref) ->
    try caravan_nif:cancel(Ref) of
        cancelled -> ok;
        delivered -> flush(Ref, 0);
        %% The message is being sent at this very moment.
        delivering -> flush(Ref, 1), cancel(Ref)
    catch
        %% A reference of ours that was answered at once, or none at all.
        error:badarg -> flush(Ref, 0)
    end.

flush(Ref, Timeout) ->
    receive
        {caravan_dns, Ref, _} -> ok
    after Timeout -> ok
    end.

%% On OTP 25 a reload of caravan_nif leaves stubs until its load/0 is called. Topologies have to survive that.
start(Name, Type, Options) ->
    try
        ask(validate(Name, Type, Options), Type)
    catch
        error:not_loaded -> {error, closed}
    end.

ask({ok, Name, #{nameservers := Nameservers, timeout := Timeout, transport := Transport}}, Type) ->
    caravan_nif:lookup(Name, Type, Nameservers, transport(Transport, Type), Timeout);
ask({error, _} = Error, _Type) ->
    Error.

validate(Name, Type, Options) ->
    validated(
        caravan_option:check(name, Name, caravan_option:text()),
        caravan_option:check(type, Type, caravan_option:one_of([srv, a, aaaa])),
        with_nameservers(caravan_option:validate(Options, lookup_options()))
    ).

validated({ok, Text}, {ok, _Type}, {ok, Options}) -> {ok, Text, Options};
validated({error, _} = Error, _, _) -> Error;
validated(_, {error, _} = Error, _) -> Error;
validated(_, _, {error, _} = Error) -> Error.

with_nameservers({ok, #{nameservers := default} = Options}) ->
    case caravan_config:value(nameservers) of
        {ok, Nameservers} -> {ok, Options#{nameservers => Nameservers}};
        {error, _} = Error -> Error
    end;
with_nameservers(Checked) ->
    Checked.

%% @private
-spec lookup_options() -> [caravan_option:option()].
lookup_options() ->
    [
        {nameservers, {default, default}, caravan_option:nameservers_or_default()},
        {timeout, {default, 5000}, caravan_option:integer(1, 3600000)},
        {transport, {default, auto}, caravan_option:one_of([auto, udp, tcp])}
    ].

transport(auto, srv) -> tcp_first;
transport(auto, _Address) -> udp;
transport(Transport, _Type) -> Transport.
