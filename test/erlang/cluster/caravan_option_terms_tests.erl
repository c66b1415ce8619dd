%% Random terms as options and arguments: each call returns what the functions document; no process crashes, no message is
%% left and no atom is made. A failure prints the seed, which reproduces the terms.
-module(caravan_option_terms_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_terms, [one_of/1, options/1, term/0]).

-define(SEEDS, 400).
%% No nameserver listens there.
-define(NAMESERVER, "127.0.0.1:1").
-define(REASONS, [nxdomain, nodata, servfail, refused, formerr, notimp, timeout, connrefused, badname, badresp, closed, overload, system]).

terms_test_() ->
    {setup, fun() ->
        ok = caravan_nif:load(),
        %% Replaces the system's nameservers.
        ok = application:set_env(caravan, nameservers, [?NAMESERVER])
     end,
     {timeout, 170, [
         {"open/1", {timeout, 50, fun() -> documented(fun open/0) end}},
         {"lookup/3", {timeout, 50, fun() -> documented(fun lookup/0) end}},
         {"check_options/1", {timeout, 50, fun() -> documented(fun check_options/0) end}}
     ]}}.

%% Also internal keys, with values that they never have.
error_is_one_line_whatever_the_key_is_test() ->
    Deep = maps:from_list([{N, lists:duplicate(40, N)} || N <- lists:seq(1, 9)]),
    [?assertEqual({Key, ok}, {Key, bad_option({bad_option, Key, value, "allowed"})})
     || Key <- [Deep, {Deep, flag}, {Deep, environment}, {a, {variable, 1}}, {a, {variable, Deep}}, {Deep, {variable, "A"}}]].

%% What the first half of the terms has loaded and created is there for the second half.
documented(Call) ->
    [?assertEqual({{seed, Seed}, ok}, {{seed, Seed}, outcome(Seed, Call)}) || Seed <- lists:seq(1, ?SEEDS div 2)],
    Atoms = erlang:system_info(atom_count),
    [?assertEqual({{seed, Seed}, ok}, {{seed, Seed}, outcome(Seed, Call)}) || Seed <- lists:seq(?SEEDS div 2 + 1, ?SEEDS)],
    ?assertEqual(Atoms, erlang:system_info(atom_count)).

%% In a process of its own, so that a call leaves nothing for the next one.
outcome(Seed, Call) ->
    {Pid, Monitor} = spawn_monitor(fun() ->
        _ = rand:seed(exsss, Seed),
        Outcome = Call(),
        {messages, []} = process_info(self(), messages),
        exit({outcome, Outcome})
    end),
    receive
        {'DOWN', Monitor, process, Pid, {outcome, Outcome}} -> Outcome;
        {'DOWN', Monitor, process, Pid, Crash} -> Crash
    end.

open() ->
    Options = options([
        {nameservers, [default, system, [?NAMESERVER], [<<"[::1]:53">>, ?NAMESERVER]]}, {timeout, [1, 5000, 3600000]},
        {tries, [1, 10]}, {rotate, [true, false]}, {transport, [auto, udp, tcp]}, {edns_size, [0, 512, 4096]},
        {mixed_case, [true, false]}, {search, [default, true]}, {hosts_file, [none, "/etc/hosts", <<"/none">>]},
        {max_inflight, [1, 4096]}, {max_queue, [0, 1000000]}, {srv_order, [true, false]},
        {cache, [true, false, #{max_ttl => 5}, [{max_entries, 1}]]}
    ]),
    case caravan_dns:open(Options) of
        {ok, Resolver} -> caravan_dns:close(Resolver);
        {error, Error} -> bad_option(Error)
    end.

lookup() ->
    Name = one_of(["app.test", <<"app.test">>, term()]),
    Type = one_of([srv, a, aaaa, addresses, term()]),
    Options = options([
        {resolver, [default]}, {nameservers, [default, [?NAMESERVER]]}, {timeout, [1, 30]}, {transport, [default, auto, udp, tcp]},
        {srv_order, [default, true]}
    ]),
    case caravan_dns:lookup(Name, Type, within_a_moment(Options)) of
        {ok, #{records := [_ | _], complete := _, ttl := _}} -> ok;
        {error, Reason} when is_atom(Reason) -> one_of_reasons(lists:member(Reason, ?REASONS), Reason);
        {error, Error} -> bad_option(Error)
    end.

%% The default would take too long for a test.
within_a_moment(#{timeout := _} = Options) -> Options;
within_a_moment(#{} = Options) -> Options#{timeout => 30};
within_a_moment(Options) when length(Options) >= 0 -> [{timeout, 30} | [Option || Option <- Options, not is_timeout(Option)]];
within_a_moment(Options) -> Options.

is_timeout({timeout, _}) -> true;
is_timeout(_) -> false.

one_of_reasons(true, _) -> ok;
one_of_reasons(false, Reason) -> {undocumented, Reason}.

check_options() ->
    Functions = [{erlang, nodes, []}, {net_kernel, connect_node, []}, fun erlang:nodes/0],
    Options = options([
        {name, [app, 'a b', '']}, {query, ["app.test", <<"app.test">>, ["a.test", {"app", <<"b.test">>}], ignore, nil]},
        {node_basename, [default, "app", app, ["a", <<"b">>]]}, {nodes, [[], ['a@h'], ["a@h", <<"b-1@h.test">>]]},
        {exclude, [[], ["a@h"]]}, {node_name, [default, "{basename}-{port}@{target}", <<"{basename}@{ip}">>, "{nothing}"]},
        {record, [srv, a, aaaa, addresses]}, {dns_client, [default, lists]}, {poll_interval, [100, 5000]},
        {connect_timeout, [1, 10000]}, {max_connecting, [1, 16]}, {max_nodes, [1, 1000]}, {atom_budget, [default, 5]},
        {answers, [all, sampled]}, {sampled_expiry, [1000]}, {prune, [true, false]}, {prune_after, [1000]},
        {prune_max_fraction, [0.34, 1]}, {expect, [0, 3, {fraction, 0.5}]}, {stable_for, [0, 1000]}, {connect, Functions},
        {disconnect, Functions}, {list_nodes, Functions}, {log, [all, none, info]}, {resolver, [default]},
        {nameservers, [default, [?NAMESERVER]]}, {timeout, [1, 5000]}, {transport, [default, udp]}
    ]),
    case caravan_cluster:check_options(with_name(Options)) of
        {ok, #{name := Name}} when is_atom(Name) -> ok;
        {error, Error} -> bad_option(Error)
    end.

%% Without it, all of them would be refused for that reason.
with_name(#{} = Options) -> maps:merge(#{name => app, query => "app.test"}, Options);
with_name(Options) -> Options.

%% Whatever the value is, the error says in one line what is allowed.
bad_option({bad_option, _Key, _Value, Allowed} = Error) ->
    Line = caravan_option:format_error(Error),
    case io_lib:printable_unicode_list(Allowed) andalso is_list(Line) andalso not lists:member($\n, lists:flatten(Line)) of
        true -> ok;
        false -> {no_line, Line}
    end;
bad_option(Reason) ->
    {undocumented, Reason}.
