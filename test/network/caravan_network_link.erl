%% @doc The link between this VM and the network namespace of a nameserver, and what is bad about it. test/network/bad makes it.
-module(caravan_network_link).

-export([open/1, place/1, within/2, has_netem/1, lose/2, lost/1, delay/2, lull/1]).

-export_type([link/0, loss/0, weather/0]).

-type link() :: #{pid := string(), netem := boolean()}.
%% What is lost on the way in, at both ends: all datagrams and segments, or a share in percent; questions for a connection; what is said
%% over one.
-type loss() :: all | {percent, 1..99} | tcp_syn | tcp_data.
%% `delay': milliseconds each way, the least and the most. `duplicate': percent.
-type weather() :: #{delay := {non_neg_integer(), non_neg_integer()}, duplicate := 0..100}.

-define(NEAR, "near").
-define(FAR, "far").

%% @doc The link to the namespace of a process.
-spec open(Pid :: string()) -> link().
open(Pid) ->
    Link = #{pid => Pid, netem => false},
    %% Kernels without netem say so.
    HasNetem = set_netem(Link, #{delay => {0, 0}, duplicate => 0}) =:= ok,
    Link#{netem := HasNetem andalso clear_netem(Link) =:= ok}.

%% @doc The namespace at the other end, as sockets take it.
-spec place(link()) -> [{netns, file:filename()}].
place(#{pid := Pid}) ->
    [{netns, filename:join(["/proc", Pid, "ns/net"])}].

%% @doc A command, as words, that runs at the other end.
-spec within(link(), [string()]) -> [string()].
within(#{pid := Pid}, Words) ->
    ["nsenter", "-t", Pid, "--net" | Words].

%% @doc Whether the kernel can delay packets.
-spec has_netem(link()) -> boolean().
has_netem(#{netem := HasNetem}) ->
    HasNetem.

%% @doc From now on all of this is lost, and nothing else. It is lost on the way in: who sends what is dropped on the way out is told
%% so.
-spec lose(link(), [loss()]) -> ok.
lose(Link, Losses) ->
    lists:foreach(fun({Run, Interface}) -> "" = Run(Link, ["nft", rules(Interface, Losses)]) end, ends()).

%% @doc How much was lost since lose/2.
-spec lost(link()) -> non_neg_integer().
lost(Link) ->
    Rules = [Run(Link, ["nft", "list", "ruleset"]) || {Run, _} <- ends()],
    case re:run(Rules, "packets ([0-9]+)", [global, {capture, all_but_first, list}]) of
        {match, Counts} -> lists:sum([list_to_integer(Count) || [Count] <- Counts]);
        nomatch -> 0
    end.

%% @doc Has the kernel delay what leaves either end, where it can, and returns what is left to be done by others.
-spec delay(link(), weather()) -> weather().
delay(#{netem := true} = Link, Weather) ->
    ok = set_netem(Link, Weather),
    #{delay => {0, 0}, duplicate => 0};
delay(#{netem := false}, Weather) ->
    Weather.

%% @doc Ends that.
-spec lull(link()) -> ok.
lull(#{netem := true} = Link) -> ok = clear_netem(Link);
lull(#{netem := false}) -> ok.

%% Packets whose delays differ overtake each other.
set_netem(Link, #{delay := {Least, Most}, duplicate := Duplicate}) ->
    Middle = integer_to_list((Least + Most) div 2) ++ "ms",
    Spread = integer_to_list((Most - Least) div 2) ++ "ms",
    Words = ["netem", "delay", Middle, Spread, "duplicate", integer_to_list(Duplicate) ++ "%"],
    first_error([Run(Link, ["tc", "qdisc", "replace", "dev", Interface, "root" | Words]) || {Run, Interface} <- ends()]).

clear_netem(Link) ->
    first_error([Run(Link, ["tc", "qdisc", "delete", "dev", Interface, "root"]) || {Run, Interface} <- ends()]).

rules(Interface, Losses) ->
    [
        "flush ruleset\ntable ip bad {\nchain input {\ntype filter hook input priority 0\n",
        [["iifname ", Interface, " ", condition(Loss), " counter drop\n"] || Loss <- Losses],
        "}\n}\n"
    ].

condition(all) -> "meta l4proto { tcp, udp }";
condition({percent, Share}) -> io_lib:format("meta l4proto { tcp, udp } numgen random mod 100 < ~b", [Share]);
condition(tcp_syn) -> "tcp flags & (syn | ack) == syn";
condition(tcp_data) -> "tcp flags & psh == psh".

first_error(Outputs) ->
    case [Output || Output <- Outputs, Output =/= ""] of
        [] -> ok;
        [Error | _] -> {error, string:trim(Error)}
    end.

ends() ->
    [{fun(_Link, Words) -> run(Words) end, ?NEAR}, {fun(Link, Words) -> run(within(Link, Words)) end, ?FAR}].

run(Words) ->
    os:cmd(lists:flatten(lists:join(" ", ["'" ++ Word ++ "'" || Word <- Words]))).
