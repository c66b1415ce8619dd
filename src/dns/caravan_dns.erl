%% @doc DNS lookups that block nobody: a C++ thread asks the nameservers through c-ares, and the answer comes as a
%% message.
%%
%% == Answers ==
%%
%% ```
%% {ok, #{records => [#{priority => 1, weight => 1, port => 4370, target => <<"n1.example">>, ttl => 30}],
%%        addresses => #{<<"n1.example">> => [{10,0,0,1}]},
%%        address_ttls => #{<<"n1.example">> => 10},
%%        ttl => 30,
%%        complete => true}}
%% '''
%%
%% `records' are those of the type asked for: of an SRV lookup as above (RFC 2782), of an A or AAAA lookup
%% `#{address := inet:ip_address(), ttl := Seconds}'. `addresses' are what the nameserver sent along for the targets
%% (glue), in its order; targets without any are missing. `address_ttls', of an SRV lookup alone, has for each of these
%% targets the least TTL of its addresses. `ttl' is the least one on the way to the records, aliases included, in
%% seconds. `complete' says whether all records are known to be here. Only TCP can promise it, for fewer than 1024 SRV
%% records and less than 65,000 octets: Consul leaves out what is beyond that, and most of an answer over UDP, and does not
%% say so.
%%
%% == Errors ==
%%
%% With the first two, a nameserver says that there are no such records. All others mean that no nameserver could be asked,
%% and say nothing about the name.
%%
%% <table border="1">
%% <tr><td>`nxdomain'</td><td>there is no such name (RCODE 3)</td></tr>
%% <tr><td>`nodata'</td><td>the name has no such records (RFC 2308, section 2.2)</td></tr>
%% <tr><td>`servfail', `refused', `formerr', `notimp'</td><td>what the nameservers answered (RCODE 2, 5, 1, 4 and
%%     unknown ones)</td></tr>
%% <tr><td>`timeout'</td><td>no nameserver answered in time</td></tr>
%% <tr><td>`connrefused'</td><td>nothing listens at the nameservers' addresses</td></tr>
%% <tr><td>`badresp'</td><td>the reply is malformed</td></tr>
%% <tr><td>`badname'</td><td>no DNS name (RFC 1035, section 2.3.4)</td></tr>
%% <tr><td>`closed'</td><td>the resolver is closed, or the library is not loaded, since the application `caravan' was not started</td></tr>
%% <tr><td>`overload'</td><td>as many lookups are open as `max_inflight' and `max_queue' allow</td></tr>
%% <tr><td>`system'</td><td>no memory, descriptors or threads are left</td></tr>
%% <tr><td>`{bad_option, Key, Value, Allowed}'</td><td>an argument is not allowed; see {@link format_error/1}</td></tr>
%% </table>
%%
%% == Resolvers ==
%%
%% Lookups go through the default resolver, which the application's keys `nameservers' and `resolver' describe, or
%% through one made by {@link open/1}. Equal lookups that are under way in a resolver are asked once.
-module(caravan_dns).

-export([lookup/2, lookup/3, lookup_async/2, lookup_async/3, cancel/1]).
-export([open/1, close/1, stats/0, stats/1, format_error/1]).
-export([resolver_options/0, lookup_options/0, check_default/0, drop_default/0, lookup_afresh/3]).

-export_type([name/0, type/0, options/0, resolver/0, resolver_options/0, cache_options/0]).
-export_type([answer/0, srv_record/0, address_record/0, reason/0, error/0, stats/0]).

-define(DEFAULT, {?MODULE, default_resolver}).
-define(UNCACHED, {?MODULE, uncached_resolver}).
%% The resolver's thread ends every lookup in time. When it does not, it hangs, as in a file of a dead mount.
-define(THREAD_HANGS_MS, 2000).

-define(ONLY(Resolver), #{
    resolver => Resolver, nameservers => default, timeout => default, transport => default, srv_order => default
}).

-type name() :: string() | binary().
%% `addresses': A and AAAA records together, or those of one family, then not `complete', if 0.8 seconds later the
%% other one is not answered. IP addresses and names in the hosts file need no nameserver.
-type type() :: srv | a | aaaa | addresses.
-opaque resolver() :: reference().
%% What is `default' or missing is the resolver's.
-type options() :: #{
    %% What open/1 gave; `default', the default: the default resolver.
    resolver => default | resolver(),
    nameservers => default | system | [string() | binary(), ...],
    %% Milliseconds, 1 to 3,600,000.
    timeout => default | pos_integer(),
    transport => default | auto | udp | tcp,
    srv_order => default | boolean()
} | [{atom(), term()}].
-type resolver_options() :: #{
    %% Where to ask: 1 to 16 of `"127.0.0.1:8600"' or `"[::1]:53"'; `system': those of resolv.conf; `default', the
    %% default: `nameservers' of the application's configuration, which is `system' by default. A link-local address has its
    %% interface, `"fe80::1%eth0"' or `"[fe80::1%eth0]:53"'. Of resolv.conf, the first 16 are asked.
    nameservers => default | system | [string() | binary(), ...],
    %% Milliseconds for a whole lookup, 1 to 3,600,000; default 5000. An attempt has the part of it that `tries' makes, a second
    %% at the most, and over TCP four round trips where that is more: a nameserver that is down costs that much and not the
    %% whole; and nothing where it was silent before and another one answers.
    timeout => pos_integer(),
    %% How often each nameserver is asked over a transport, 1 to 10; default 3. Over TCP it is twice at the most where UDP comes
    %% after or before it. A lookup that has had nothing but silence then asks once more now and then: an eighth of its timeout,
    %% and as long as an attempt at least, after the one before was given up; with the defaults once, after 4 s.
    tries => pos_integer(),
    %% Begin with another nameserver at every lookup, instead of always with the first; default `false'. With the
    %% system's nameservers, `options rotate' in resolv.conf says so too.
    rotate => boolean(),
    %% `udp': UDP with EDNS, TCP when the reply is truncated. `tcp': TCP only. `auto', the default: for SRV records TCP
    %% first, and UDP when TCP cannot be had: where TCP is silent after a second, or four round trips, and at once where it
    %% was silent before; for addresses as `udp'. With the system's nameservers, `auto' is `tcp' where
    %% resolv.conf has `options use-vc'.
    transport => auto | udp | tcp,
    %% The largest reply that may come over UDP, in octets: 512 to 4096, default 4096; 0 for no EDNS (RFC 6891). A nameserver
    %% that refuses EDNS, or has never answered it, is asked without, for ten minutes at a time.
    edns_size => 0 | 512..4096,
    %% Whether the letters of questions over UDP are upper or lower case at random, default false: a reply must repeat them, which
    %% makes one that is forged harder to guess (draft-vixie-dnsext-dns0x20). A nameserver that does not is asked over TCP.
    mixed_case => boolean(),
    %% Whether the search list and `ndots' of resolv.conf apply to names without a dot at the end. `default', the
    %% default: when the system's nameservers are asked. `addresses' are all of one name, the first that has any.
    search => default | boolean(),
    %% Where `addresses' are looked for first; default "/etc/hosts".
    hosts_file => none | string() | binary(),
    %% Lookups in flight at a time, for each nameserver and transport, 1 to 4096; default 128. The others wait in order. To one
    %% nameserver all resolvers together have about 4,000 over UDP, and 32 over TCP, where they share a connection: 64 where a round
    %% trip takes 50 ms, 512 where it takes 400 ms or more. They take turns.
    max_inflight => pos_integer(),
    %% Lookups that may be open beyond `max_inflight', 0 to 1,000,000; default 100,000. More are refused with `overload'
    %% at once. All count, whichever nameserver they are for.
    max_queue => non_neg_integer(),
    %% Whether SRV records come in the order in which RFC 2782 wants them tried: by priority, then at random by weight.
    %% Default `false', as the nameserver sent them.
    srv_order => boolean(),
    %% Whether answers are remembered for their TTL; default `false'.
    cache => boolean() | cache_options()
} | [{atom(), term()}].
-type cache_options() :: #{
    %% 1 to 1,000,000; default 1000. The one not asked for longest goes first.
    max_entries => pos_integer(),
    %% Seconds that an answer is believed at the longest; default 3600.
    max_ttl => non_neg_integer(),
    %% Seconds that `nxdomain' and `nodata' are believed at the longest, if the nameserver allows it (RFC 2308); default
    %% 60.
    max_negative_ttl => non_neg_integer()
} | [{atom(), term()}].
-type srv_record() :: #{
    priority := 0..65535, weight := 0..65535, port := 0..65535, target := binary(), ttl := non_neg_integer()
}.
-type address_record() :: #{address := inet:ip_address(), ttl := non_neg_integer()}.
-type answer() :: #{
    records := [srv_record()] | [address_record()],
    addresses := #{binary() => [inet:ip_address()]},
    address_ttls => #{binary() => non_neg_integer()},
    ttl := non_neg_integer(),
    complete := boolean()
}.
-type reason() ::
    nxdomain | nodata | servfail | refused | formerr | notimp | timeout | connrefused | badname | badresp | closed
    | overload | system.
-type error() :: caravan_option:error().
-type stats() :: #{
    %% Lookups by how they ended: `ok', each reason, and `cancelled'.
    outcomes := #{ok | cancelled | reason() => non_neg_integer()},
    %% Lookups whose caller had died.
    abandoned := non_neg_integer(),
    %% Lookups that joined an equal one, and those answered from the cache.
    coalesced := non_neg_integer(),
    cache_hits := non_neg_integer(),
    %% Lookups in flight now, and those that wait: for a slot, or for a reply that comes late.
    in_flight := non_neg_integer(),
    queued := non_neg_integer(),
    %% Questions sent to nameservers; of them, those sent because earlier ones had brought nothing; replies truncated
    %% over UDP, whose questions were asked again over TCP; questions asked without EDNS, since with it they had brought nothing.
    queries := non_neg_integer(),
    retries := non_neg_integer(),
    tcp_fallbacks := non_neg_integer(),
    edns_fallbacks := non_neg_integer(),
    %% Sockets and connections given up because nothing came back over them.
    channel_rebuilds := non_neg_integer(),
    %% How many answered lookups took less than so many microseconds, and no less than the bound before.
    latency := [{Microseconds :: pos_integer() | infinity, non_neg_integer()}]
}.

%% @equiv lookup(Name, Type, #{})
-spec lookup(name(), type()) -> {ok, answer()} | {error, reason() | error()}.
lookup(Name, Type) ->
    lookup(Name, Type, #{}).

%% @doc Looks up the records of a name and waits for them, for `timeout' at the longest, and two seconds more should the resolver's thread
%% hang. Leaves no message behind.
%%
%% ```
%% {ok, #{records := Records}} = caravan_dns:lookup("app.service.consul", srv, #{nameservers => ["127.0.0.1:8600"]}).
%% '''
-spec lookup(name(), type(), options()) -> {ok, answer()} | {error, reason() | error()}.
lookup(Name, Type, Options) ->
    %% Made here, so that the compiler sees that no earlier message can match and none is looked at.
    Ref = make_ref(),
    case start(Name, Type, Options, Ref) of
        {ok, Handle, Timeout} ->
            receive
                {caravan_dns, Ref, Result} -> caravan_packed_answer:unpack(Result)
            after Timeout + ?THREAD_HANGS_MS ->
                ok = cancel(Handle, Ref),
                {error, timeout}
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
    case start(Name, Type, Options, own) of
        {ok, Ref} ->
            Ref;
        {error, _} = Error ->
            Ref = make_ref(),
            self() ! {caravan_dns, Ref, Error},
            Ref
    end.

%% @doc Gives a lookup up. To be called by the process that started it: after that no message of it comes, and one that
%% has come is taken out of the mailbox.
%%
%% ```
%% Ref = caravan_dns:lookup_async("localhost", a),
%% ok = caravan_dns:cancel(Ref).
%% '''
-spec cancel(reference()) -> ok.
cancel(Ref) ->
    cancel(Ref, Ref).

%% `Ref' is what the message has in it.
cancel(Handle, Ref) ->
    try caravan_nif:cancel(Handle) of
        cancelled -> ok;
        delivered -> flush(Ref, 0);
        %% The message is being sent at this very moment.
        delivering -> flush(Ref, 1), cancel(Handle, Ref)
    catch
        %% A reference of ours that was answered at once, or none at all.
        error:badarg -> flush(Ref, 0)
    end.

flush(Ref, Timeout) ->
    receive
        {caravan_dns, Ref, _} -> ok
    after Timeout -> ok
    end.

%% @doc Makes a resolver. One that nobody refers to any more goes by itself; what was asked through it is answered
%% still.
%%
%% ```
%% {ok, Resolver} = caravan_dns:open(#{nameservers => ["127.0.0.1:8600"], timeout => 500, cache => true}),
%% Result = caravan_dns:lookup("app.service.consul", srv, #{resolver => Resolver}).
%% '''
-spec open(resolver_options()) -> {ok, resolver()} | {error, closed | system | error()}.
open(Options) ->
    if_loaded(fun() ->
        case with_nameservers(caravan_option:validate(Options, resolver_options())) of
            {ok, Checked} -> opened(caravan_nif:open(Checked));
            {error, _} = Error -> Error
        end
    end).

opened({error, system} = Error) -> Error;
opened(Resolver) -> {ok, Resolver}.

%% @doc Closes a resolver: its open lookups end with `closed', and so do those that come after. Closing it again does
%% nothing.
%%
%% ```
%% ok = caravan_dns:close(Resolver).
%% '''
-spec close(resolver()) -> ok | {error, closed | error()}.
close(Resolver) ->
    if_loaded(fun() -> with_resolver(fun() -> caravan_nif:close(Resolver) end, Resolver) end).

%% @doc As {@link stats/1}, for the default resolver.
-spec stats() -> {ok, stats()} | {error, closed | error()}.
stats() ->
    with_default(fun stats/1).

%% @doc What a resolver has done since it was opened. The numbers are read while they are written: they may differ by
%% what is under way.
%%
%% ```
%% {ok, #{outcomes := #{ok := Answered, timeout := TimedOut}}} = caravan_dns:stats(Resolver).
%% '''
-spec stats(resolver()) -> {ok, stats()} | {error, closed | error()}.
stats(Resolver) ->
    if_loaded(fun() ->
        case with_resolver(fun() -> caravan_nif:stats(Resolver) end, Resolver) of
            #{} = Stats -> {ok, Stats};
            {error, _} = Error -> Error
        end
    end).

%% @doc The text of an error, in one line.
%%
%% ```
%% {error, Error} = caravan_dns:open(#{timeout => 0}),
%% "caravan: option timeout is 0; allowed: an integer from 1 to 3600000" = caravan_dns:format_error(Error).
%% '''
-spec format_error(reason() | error()) -> string().
format_error({bad_option, _, _, _} = Error) -> caravan_option:format_error(Error);
format_error(Reason) -> "caravan: the lookup failed: " ++ atom_to_list(Reason).

%% `Ref' is what the message is to have in it; with `own' that is the reference of the lookup.
start(Name, Type, Options, Ref) ->
    if_loaded(fun() ->
        ask(
            Ref,
            caravan_option:check(name, Name, caravan_option:text()),
            caravan_option:check(type, Type, caravan_option:one_of([srv, a, aaaa, addresses])),
            checked(Options)
        )
    end).

%% The usual ones at once: to go through the table takes longer than the checks of name and type together.
checked(#{} = Options) when map_size(Options) =:= 0 -> {ok, ?ONLY(default)};
checked(#{resolver := Resolver} = Options) when map_size(Options) =:= 1, is_reference(Resolver) ->
    {ok, ?ONLY(Resolver)};
checked(Options) -> caravan_option:validate(Options, lookup_options()).

%% On OTP 25 a reload of caravan_nif leaves stubs until its load/0 is called. Topologies have to survive that.
if_loaded(Call) ->
    try
        Call()
    catch
        error:not_loaded -> {error, closed}
    end.

ask(Ref, {ok, Name}, {ok, Type}, {ok, #{resolver := default} = Options}) ->
    with_default(fun(Resolver) -> ask_resolver(Ref, Resolver, Name, Type, Options) end);
ask(Ref, {ok, Name}, {ok, Type}, {ok, #{resolver := Resolver} = Options}) ->
    ask_resolver(Ref, Resolver, Name, Type, Options);
ask(_, {error, _} = Error, _, _) ->
    Error;
ask(_, _, {error, _} = Error, _) ->
    Error;
ask(_, _, _, {error, _} = Error) ->
    Error.

ask_resolver(Ref, Resolver, Name, Type, #{
    nameservers := Nameservers, transport := Transport, timeout := Timeout, srv_order := SrvOrder
}) ->
    with_resolver(
        fun() -> caravan_nif:lookup(Resolver, Name, Type, Nameservers, Transport, Timeout, SrvOrder, Ref) end, Resolver
    ).

%% All other arguments have been checked when this is called.
with_resolver(Call, Resolver) ->
    try
        Call()
    catch
        error:badarg -> {error, {bad_option, resolver, Resolver, "what caravan_dns:open/1 gave"}}
    end.

with_default(Call) ->
    caravan_kept_resolver:with(?DEFAULT, configured(), fun open_configured/0, Call).

configured() ->
    {caravan_config:given(nameservers), caravan_config:given(resolver)}.

open_configured() ->
    open_configured(caravan_config:value(resolver)).

open_uncached() ->
    open_uncached(caravan_config:value(resolver)).

open_configured({ok, Options}) -> with_source(open(Options));
open_configured({error, _} = Error) -> Error.

open_uncached({ok, Options}) when is_map(Options) -> open_configured({ok, Options#{cache => false}});
open_uncached({ok, Options}) -> open_configured({ok, lists:keystore(cache, 1, Options, {cache, false})});
open_uncached({error, _} = Error) -> Error.

%% An option within the key `resolver', unless the key that it is about is another one.
with_source({error, {bad_option, Key, Value, Allowed}}) when is_atom(Key) ->
    {error, {bad_option, {Key, caravan_config:source(resolver)}, Value, Allowed}};
with_source(Opened) ->
    Opened.

%% @private
%% As lookup/3 through the default resolver, had that no cache; SRV records come in the order of RFC 2782.
-spec lookup_afresh(name(), type(), Timeout :: pos_integer()) -> {ok, answer()} | {error, reason() | error()}.
lookup_afresh(Name, Type, Timeout) ->
    caravan_kept_resolver:with(?UNCACHED, configured(), fun open_uncached/0, fun(Resolver) ->
        lookup(Name, Type, #{resolver => Resolver, timeout => Timeout, srv_order => true})
    end).

%% @private
%% Whether the configuration makes a resolver.
-spec check_default() -> ok | {error, closed | error()}.
check_default() ->
    case caravan_kept_resolver:get(?DEFAULT, configured(), fun open_configured/0) of
        {ok, _} -> ok;
        {error, _} = Error -> Error
    end.

%% @private
%% A handle that stays would keep the library loaded.
-spec drop_default() -> ok.
drop_default() ->
    ok = caravan_kept_resolver:drop(?DEFAULT),
    ok = caravan_kept_resolver:drop(?UNCACHED).

with_nameservers({ok, #{nameservers := default} = Options}) ->
    case caravan_config:value(nameservers) of
        {ok, Nameservers} -> {ok, Options#{nameservers => Nameservers}};
        {error, _} = Error -> Error
    end;
with_nameservers(Checked) ->
    Checked.

%% @private
-spec resolver_options() -> [caravan_option:option()].
resolver_options() ->
    [
        {nameservers, {default, default}, caravan_option:or_default(caravan_option:nameservers())},
        {timeout, {default, 5000}, timeout()},
        {tries, {default, 3}, caravan_option:integer(1, 10)},
        {rotate, {default, false}, caravan_option:boolean()},
        {transport, {default, auto}, transport()},
        {edns_size, {default, 4096}, caravan_option:edns_size()},
        {mixed_case, {default, false}, caravan_option:boolean()},
        {search, {default, default}, caravan_option:or_default(caravan_option:boolean())},
        {hosts_file, {default, <<"/etc/hosts">>}, caravan_option:hosts_file()},
        {max_inflight, {default, 128}, caravan_option:integer(1, 4096)},
        {max_queue, {default, 100000}, caravan_option:integer(0, 1000000)},
        {srv_order, {default, false}, caravan_option:boolean()},
        {cache, {default, false}, caravan_option:cache()}
    ].

%% @private
-spec lookup_options() -> [caravan_option:option()].
lookup_options() ->
    [
        {Key, {default, default}, caravan_option:or_default(Type)}
     || {Key, Type} <- [
            {resolver, caravan_option:resolver()},
            {nameservers, caravan_option:nameservers()},
            {timeout, timeout()},
            {transport, transport()},
            {srv_order, caravan_option:boolean()}
        ]
    ].

timeout() -> caravan_option:integer(1, 3600000).

transport() -> caravan_option:one_of([auto, udp, tcp]).
