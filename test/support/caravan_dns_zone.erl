%% @doc What the test DNS server knows, and what that makes it do with a query.
%%
%% A zone is a table from name and type to an answer. `plan/2' turns a query into a plan, which a
%% transport process carries out: everything that waits, writes or runs a caller's function is left to it.
-module(caravan_dns_zone).

-export([new/1, put/4, delete/3, clear/1, plan/2, plan_answer/4, is_answer/1]).

-export_type([answer/0, plan/0, chain/0, options/0, zone/0]).

-type answer() :: [caravan_dns_wire:resource_record()]
                | nxdomain | servfail | refused | formerr | notimp
                | drop | close
                | {delay, Milliseconds :: non_neg_integer(), answer()}
                | {sequence, [answer(), ...]}
                | {by_transport, #{udp | tcp => answer()}}
                | {raw, fun((Query :: binary()) -> binary())}
                | {split, answer()}
                | fun((udp | tcp, caravan_dns_server:query_info()) -> answer()).

-type chain() :: [caravan_dns_wire:owned_record()].
%% The CNAME records that led to where an answer is looked up.

-type plan() :: {reply, caravan_dns_wire:template()}
              | drop
              | close
              | {delay, Milliseconds :: non_neg_integer(), plan()}
              | {split, plan()}
              | {raw, fun((Query :: binary()) -> binary())}
              | {run, fun((udp | tcp, caravan_dns_server:query_info()) -> answer()), chain()}.

-type options() :: #{soa_minimum := non_neg_integer(), glue := boolean(), edns := boolean(),
                     oversize := caravan_dns_fit:oversize(), _ => _}.

-opaque zone() :: #{options := options(),
                    table := #{string() => #{caravan_dns_wire:dns_type() => answer()}},
                    version := non_neg_integer(),
                    plans := #{term() => plan()}}.
%% `plans' holds the plans made since the table changed last; `version' counts the changes.

%% A chain of CNAME records, or a loop of them, is followed this far.
-define(MAX_CHAIN, 8).

%% @doc An empty zone.
-spec new(options()) -> zone().
new(Options) ->
    #{options => Options, table => #{}, version => 0, plans => #{}}.

%% @doc Sets the answer for a name and type.
-spec put(string() | binary(), caravan_dns_wire:dns_type(), answer(), zone()) -> zone().
put(Name, Type, Answer, #{table := Table} = Zone) ->
    Key = caravan_dns_wire:name_key(Name),
    Types = maps:get(Key, Table, #{}),
    changed(Zone, Table#{Key => Types#{Type => Answer}}).

%% @doc Removes the answer for a name and type; a name without types is NXDOMAIN again.
-spec delete(string() | binary(), caravan_dns_wire:dns_type(), zone()) -> zone().
delete(Name, Type, #{table := Table} = Zone) ->
    Key = caravan_dns_wire:name_key(Name),
    case maps:remove(Type, maps:get(Key, Table, #{})) of
        Types when map_size(Types) =:= 0 -> changed(Zone, maps:remove(Key, Table));
        Types -> changed(Zone, Table#{Key => Types})
    end.

%% @doc Removes every answer.
-spec clear(zone()) -> zone().
clear(Zone) ->
    changed(Zone, #{}).

%% @doc What to do with a query. The zone returned differs when a `sequence' moved on.
-spec plan(caravan_dns_wire:query(), zone()) -> {plan(), zone()}.
plan(#{name := Name} = Query, #{plans := Plans, version := Version} = Zone) ->
    Key = {caravan_dns_wire:name_key(Name), maps:with([type, class, transport, edns_size], Query)},
    case Plans of
        #{Key := Plan} ->
            {Plan, Zone};
        #{} ->
            case make_plan(Query, Zone) of
                {Plan, #{version := Version}} -> {Plan, Zone#{plans := Plans#{Key => Plan}}};
                {Plan, Changed} -> {Plan, Changed}
            end
    end.

%% @doc What to do with a query whose answer a function of the table has computed.
%%
%% A `sequence' in it starts anew each time. Raises `{bad_answer, Answer}' when it is no `answer()'.
-spec plan_answer(answer(), chain(), caravan_dns_wire:query(), zone()) -> plan().
plan_answer(Answer, Chain, #{transport := Transport} = Query, Zone) ->
    is_answer(Answer) orelse error({bad_answer, Answer}),
    {Next, _} = next(Answer, Transport),
    {Plan, _} = follow(Next, Chain, Query, Zone),
    Plan.

make_plan(#{edns_size := Size} = Query, #{options := #{edns := false}} = Zone) when Size =/= none ->
    reply(formerr, [], Query, Zone);
make_plan(#{class := Class} = Query, Zone) when Class =/= in ->
    reply(refused, [], Query, Zone);
make_plan(Query, Zone) ->
    look_up([], Query, Zone).

look_up(Chain, #{type := Type, transport := Transport} = Query, Zone) ->
    Name = caravan_dns_wire:name_key(owner(Chain, Query)),
    {Answer, Changed} = take(Name, Type, Transport, Zone),
    follow(Answer, Chain, Query, Changed).

take(Name, Type, Transport, #{table := Table} = Zone) ->
    case Table of
        #{Name := #{Type := Answer} = Types} ->
            case next(Answer, Transport) of
                {Next, Answer} -> {Next, Zone};
                {Next, Left} -> {Next, changed(Zone, Table#{Name := Types#{Type := Left}})}
            end;
        #{Name := #{cname := _}} -> take(Name, cname, Transport, Zone);
        #{Name := #{}} -> {[], Zone};
        #{} -> {nxdomain, Zone}
    end.

%% The answer whose turn it is, and what stays in the table.
next({sequence, [Last]}, Transport) ->
    {Next, Left} = next(Last, Transport),
    {Next, {sequence, [Left]}};
next({sequence, [First | Rest]}, Transport) ->
    {Next, _} = next(First, Transport),
    {Next, {sequence, Rest}};
next({by_transport, Answers}, Transport) ->
    {Next, Left} = next(maps:get(Transport, Answers, nxdomain), Transport),
    {Next, {by_transport, Answers#{Transport => Left}}};
next({delay, Milliseconds, Answer}, Transport) ->
    {Next, Left} = next(Answer, Transport),
    {{delay, Milliseconds, Next}, {delay, Milliseconds, Left}};
next({split, Answer}, Transport) ->
    {Next, Left} = next(Answer, Transport),
    {{split, Next}, {split, Left}};
next(Answer, _) ->
    {Answer, Answer}.

follow({delay, Milliseconds, Answer}, Chain, Query, Zone) ->
    {Plan, Changed} = follow(Answer, Chain, Query, Zone),
    {{delay, Milliseconds, Plan}, Changed};
follow({split, Answer}, Chain, Query, Zone) ->
    {Plan, Changed} = follow(Answer, Chain, Query, Zone),
    {{split, Plan}, Changed};
follow(Fun, Chain, _, Zone) when is_function(Fun) ->
    {{run, Fun, Chain}, Zone};
follow({raw, _} = Raw, _, _, Zone) ->
    {Raw, Zone};
follow(Nothing, _, _, Zone) when Nothing =:= drop; Nothing =:= close ->
    {Nothing, Zone};
follow(Records, Chain, #{type := Type} = Query, Zone) when is_list(Records) ->
    Answer = Chain ++ owned(Records, owner(Chain, Query)),
    case Records =/= [] andalso lists:last(Records) of
        {cname, _, _} when Type =/= cname, length(Answer) < ?MAX_CHAIN -> look_up(Answer, Query, Zone);
        _ -> reply(noerror, Answer, Query, Zone)
    end;
follow(Rcode, Chain, Query, Zone) ->
    reply(Rcode, Chain, Query, Zone).

reply(Rcode, Answer, Query, #{options := #{edns := Edns, oversize := Oversize} = Options} = Zone) ->
    Content = #{rcode => Rcode, answer => Answer, authority => authority(Rcode, Answer, Query, Options)},
    Glue = fun(Kept) -> glue(Kept, Zone) end,
    {{reply, caravan_dns_fit:encode(Content, Glue, Oversize, known_edns(Edns, Query))}, Zone}.

known_edns(true, Query) -> Query;
known_edns(false, Query) -> Query#{edns_size := none}.

%% RFC 2308 section 3: the SOA record of a negative answer has the smaller of MINIMUM and its own TTL.
authority(Rcode, Answer, Query, #{soa_minimum := Minimum}) ->
    case is_negative(Rcode, Answer, Query) of
        true -> [{"", {soa, Minimum, Minimum}}];
        false -> []
    end.

is_negative(nxdomain, _, _) -> true;
is_negative(noerror, [], _) -> true;
is_negative(noerror, Answer, #{type := Type}) ->
    {_, Last} = lists:last(Answer),
    element(1, Last) =:= cname andalso Type =/= cname;
is_negative(_, _, _) -> false.

glue(_, #{options := #{glue := false}}) ->
    [];
glue(Answer, Zone) ->
    Targets = lists:uniq([caravan_dns_wire:name(Target) || {_, {srv, _, _, _, _, Target}} <- Answer]),
    [{Target, Record} || Target <- Targets, Type <- [a, aaaa], Record <- addresses(Target, Type, Zone)].

addresses(Target, Type, #{table := Table}) ->
    case maps:get(caravan_dns_wire:name_key(Target), Table, #{}) of
        #{Type := Records} when is_list(Records) -> [Record || {T, _, _} = Record <- Records, T =:= Type];
        #{} -> []
    end.

%% The name that records found at the end of a chain belong to.
owner([], #{name := Name}) -> caravan_dns_wire:name_key(Name);
owner(Chain, _) ->
    {_, {cname, _, Target}} = lists:last(Chain),
    caravan_dns_wire:name(Target).

owned([{cname, _, Target} = Record | Records], Owner) ->
    [{Owner, Record} | owned(Records, caravan_dns_wire:name(Target))];
owned([Record | Records], Owner) ->
    [{Owner, Record} | owned(Records, Owner)];
owned([], _) ->
    [].

changed(#{version := Version} = Zone, Table) ->
    Zone#{table := Table, version := Version + 1, plans := #{}}.

%% @doc Whether a term is an `answer()', down to its records.
-spec is_answer(term()) -> boolean().
is_answer(Records) when is_list(Records) -> lists:all(fun is_resource_record/1, Records);
is_answer({delay, Milliseconds, Answer}) ->
    is_integer(Milliseconds) andalso Milliseconds >= 0 andalso is_answer(Answer);
is_answer({sequence, [_ | _] = Answers}) -> lists:all(fun is_answer/1, Answers);
is_answer({by_transport, Answers}) when is_map(Answers) ->
    maps:without([udp, tcp], Answers) =:= #{} andalso lists:all(fun is_answer/1, maps:values(Answers));
is_answer({raw, Fun}) -> is_function(Fun, 1);
is_answer({split, Answer}) -> is_answer(Answer);
is_answer(Fun) when is_function(Fun) -> is_function(Fun, 2);
is_answer(Answer) ->
    lists:member(Answer, [nxdomain, servfail, refused, formerr, notimp, drop, close]).

is_resource_record({srv, TTL, Priority, Weight, Port, Target}) ->
    lists:all(fun(Number) -> is_integer(Number) andalso Number >= 0 andalso Number =< 65535 end,
              [Priority, Weight, Port])
        andalso is_ttl(TTL) andalso is_name(Target);
is_resource_record({cname, TTL, Target}) -> is_ttl(TTL) andalso is_name(Target);
is_resource_record({a, TTL, IP}) -> is_ttl(TTL) andalso inet:is_ipv4_address(IP);
is_resource_record({aaaa, TTL, IP}) -> is_ttl(TTL) andalso inet:is_ipv6_address(IP);
is_resource_record(_) -> false.

is_ttl(TTL) -> is_integer(TTL) andalso TTL >= 0 andalso TTL =< 16#7fffffff.

is_name(Name) when is_binary(Name) ->
    is_name(binary_to_list(Name));
is_name(Name) when Name =:= "."; Name =:= "" ->
    true;
is_name(Name) ->
    io_lib:latin1_char_list(Name)
        andalso length(Name) < 255
        andalso lists:all(fun(Label) -> length(Label) > 0 andalso length(Label) < 64 end,
                          string:split(caravan_dns_wire:name(Name), ".", all)).
