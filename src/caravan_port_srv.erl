%% @private
%% Port and address of a node from SRV records: names can then be plain, ports dynamic, and several nodes share a host.
-module(caravan_port_srv).

-export([parse/1, look_up/5]).

%% A template such as `{name}.likes.service.consul'.
-spec parse(binary()) -> {ok, binary()} | error.
parse(Template) ->
    case {binary:match(Template, <<"{name}">>), caravan_nif:is_dns_name(query(Template, <<"app">>, <<"host">>))} of
        {nomatch, _} -> error;
        {_, true} -> {ok, Template};
        {_, false} -> error
    end.

query(Template, Name, Host) ->
    Named = binary:replace(Template, <<"{name}">>, Name, [global]),
    binary:replace(Named, <<"{host}">>, Host, [global]).

%% `none' is a nameserver's word. Nothing is remembered here: who asks again for a node that he is not connected to has
%% learned that the last answer led nowhere.
-spec look_up(binary(), string(), string(), inet | inet6, Deadline :: integer()) ->
    {ok, inet:port_number()} | {ok, inet:ip_address(), inet:port_number()} | none | {error, address}.
look_up(Template, Name, Host, Family, Deadline) ->
    Timeout = max(1, caravan_bounded:remaining(Deadline)),
    Query = query(Template, list_to_binary(Name), list_to_binary(Host)),
    case caravan_dns:lookup_afresh(Query, srv, Timeout) of
        {ok, #{records := [Record | _], addresses := Addresses}} -> endpoint(Record, Addresses, Family, Deadline);
        {error, Reason} when Reason =:= nxdomain; Reason =:= nodata; Reason =:= badname -> none;
        {error, _} -> {error, address}
    end.

endpoint(#{port := 0}, _Addresses, _Family, _Deadline) ->
    none;
endpoint(#{port := Port, target := Target}, Addresses, Family, Deadline) ->
    case [Ip || Ip <- maps:get(Target, Addresses, []), caravan_glue:family(Ip) =:= Family] of
        [Ip | _] -> {ok, Ip, Port};
        [] -> target_address(binary_to_list(Target), Port, Family, Deadline)
    end.

target_address(Target, Port, Family, Deadline) ->
    case caravan_address:resolve(Target, Family, max(1, caravan_bounded:remaining(Deadline))) of
        {ok, Ip} -> {ok, Ip, Port};
        {error, _} -> {error, address}
    end.
