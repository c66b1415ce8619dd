%% Compares the search list and the hosts file with what getaddrinfo(3) of the machine's libc makes of the same files, in a
%% VM with a network, an /etc/hosts and an /etc/resolv.conf of its own, and a nameserver on port 53. Files and names are
%% random; a failure prints the seed. The files leave out what the two treat differently: names with a trailing dot, which
%% libc does not look up in a hosts file, and IPv6 addresses, some of which it converts to IPv4.
-module(caravan_system_resolver_tests).

-include_lib("eunit/include/eunit.hrl").

-export([same_as_libc/0]).

-define(SEEDS, 8).
-define(HOSTS, "/etc/hosts").
-define(RESOLV_CONF, "/etc/resolv.conf").
-define(NSSWITCH, "/etc/nsswitch.conf").

same_as_libc_test_() ->
    {timeout, 180, fun() ->
        %% Docker's /etc/resolv.conf is a mount already, and that of other systems a link. getent(1) asks for no IPv4
        %% addresses if only loopback has one.
        Mounts = ["for file in " ?HOSTS " " ?RESOLV_CONF " " ?NSSWITCH "; do copy=$(mktemp) && touch $file && "
                  "mount --bind $copy $(readlink -f $file) && rm $copy || exit; done && ip link set lo up && "
                  "ip address add 10.77.0.1/32 dev lo && command -v getent >/dev/null"],
        caravan_test_namespace:call(lists:flatten(Mounts), ?MODULE, same_as_libc)
    end}.

same_as_libc() ->
    ok = caravan_nif:load(),
    ok = file:write_file(?NSSWITCH, "hosts: files dns\n"),
    {ok, Server} = caravan_dns_server:start_link(#{port => 53}),
    lists:foreach(fun(Seed) -> same_as_libc(Server, Seed) end, lists:seq(1, ?SEEDS)).

same_as_libc(Server, Seed) ->
    _ = rand:seed(exsss, Seed),
    Mark = "p" ++ integer_to_list(Seed),
    Hosts = unicode:characters_to_list([hosts(), "10.9.9.9 hosts.", Mark, "\n"]),
    ResolvConf = unicode:characters_to_list(["nameserver 127.0.0.1\n", resolv_conf(Mark)]),
    ok = file:write_file(?RESOLV_CONF, ResolvConf),
    ok = file:write_file(?HOSTS, Hosts),
    ok = caravan_dns_server:clear(Server),
    Zone = [Name || Name <- zone(), rand:uniform(3) =:= 1],
    [ok = caravan_dns_server:put(Server, Name, a, [{a, 30, {10, 1, 0, length(Name)}}]) || Name <- Zone],
    {ok, Resolver} = caravan_dns:open(#{nameservers => system}),
    ok = await_files(Server, Resolver, Mark),
    [begin
         Libc = {libc(Name), questions(Server)},
         Ours = {ours(Resolver, Name), questions(Server)},
         Libc =:= Ours orelse error({{seed, Seed}, Name, {files, Hosts, ResolvConf, Zone}, {libc, Libc}, {caravan, Ours}})
     end || Name <- names()],
    ok = caravan_dns:close(Resolver).

%% What is known of a file may be a second old. Both files of a seed contain something that no other has.
await_files(Server, Resolver, Mark) ->
    Known = {ours(Resolver, "hosts." ++ Mark), ours(Resolver, "unknown"), lists:member("unknown." ++ Mark, questions(Server))},
    case Known of
        {["10.9.9.9"], [], true} -> ok;
        _ -> timer:sleep(20), await_files(Server, Resolver, Mark)
    end.

hosts() ->
    [[one_of(["10.0.0.1", "10.0.0.2", "10.0.0.3", "# 10.0.0.4", "no-address", "10.0.0.5 # "]), one_of([" ", "\t", "  "]),
      lists:join(" ", [one_of(names()) || _ <- lists:seq(1, rand:uniform(3))]), one_of(["", " # n1", "#n1", " "]), "\n"]
     || _ <- lists:seq(2, rand:uniform(6))].

resolv_conf(Mark) ->
    [[[line(), "\n"] || _ <- lists:seq(2, rand:uniform(5))], one_of([["domain ", Mark], ["search", domains(), " ", Mark]]), "\n"].

line() ->
    one_of([["search", domains()], ["options ndots:", one_of(["0", "1", "2", "3", "20"])], "options timeout:1 rotate",
            ["domain", one_of([" a.test", " b.test"])], "# search d.test", "; options ndots:7"]).

domains() -> [one_of([" a.test", " b.test", " test", "  ", "\tc"]) || _ <- lists:seq(1, rand:uniform(4))].

names() -> ["n1", "N1", "n2", "n1.a", "n1.test", "n1.a.test", "x.y.z"].

zone() -> [Name ++ Domain || Name <- ["n1", "n1.a", "n1.test", "x.y.z"], Domain <- ["", ".a.test", ".b.test", ".test", ".c"]].

%% IPv4 addresses, in any order.
libc(Name) ->
    Lines = string:lexemes(os:cmd("getent ahostsv4 " ++ Name ++ " 2>/dev/null"), "\n"),
    lists:usort([hd(string:lexemes(Line, " ")) || Line <- Lines]).

ours(Resolver, Name) ->
    Found = caravan_dns:lookup(Name, addresses, #{resolver => Resolver}),
    case Found of
        {ok, #{records := Records}} -> lists:usort([inet:ntoa(Ip) || #{address := Ip} <- Records, tuple_size(Ip) =:= 4]);
        {error, Reason} when Reason =:= nxdomain; Reason =:= nodata -> []
    end.

%% The names in the order in which they were asked for.
questions(Server) ->
    Queries = caravan_dns_server:queries(Server),
    ok = caravan_dns_server:reset_queries(Server),
    [string:lowercase(Name) || #{name := Name, type := a} <- Queries].

one_of(List) -> lists:nth(rand:uniform(length(List)), List).
