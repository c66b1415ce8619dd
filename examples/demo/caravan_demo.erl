%% The story that `scripts/demo' tells: nodes start, find each other, lose one, gain one, stop.
%%
%% Runs in a VM of its own that is no node. The nodes are operating system processes, watched through their standard
%% output; what is printed is what they said, with the time at which it arrived here. Nothing waits for a time to pass:
%% each step waits for what it is about, and fails when that has not come in time.
-module(caravan_demo).

-export([main/0]).

-define(FIRST, [1, 2, 3]).
-define(KILLED, 3).
-define(ADDED, 4).

%% Runs the demo and ends the VM: with 0 when everything happened, 1 when something did not, 130 when SIGTERM came.
%%
%% Arguments, after `-extra': `embedded' or `consul'; seconds to wait for each step; an empty directory for files; the
%% file that is the program `consul'.
-spec main() -> no_return().
main() ->
    {_, Monitor} = spawn_monitor(fun run/0),
    receive
        {'DOWN', Monitor, process, _, {status, Status}} -> halt(Status);
        {'DOWN', Monitor, process, _, _Crash} -> halt(1)
    end.

-spec run() -> no_return().
run() ->
    [Mode, Seconds, Directory, Consul] = init:get_plain_arguments(),
    ok = caravan_demo_signal:forward_sigterm(self()),
    ok = io:setopts([{encoding, unicode}]),
    Settings = #{timeout => list_to_integer(Seconds) * 1000, directory => Directory, consul => Consul},
    exit({status, run(registry(Mode), Settings)}).

registry("embedded") -> caravan_demo_dns;
registry("consul") -> caravan_demo_consul.

run(Registry, Settings) ->
    caravan_demo_output:title(Registry:title()),
    case caravan_demo_cluster:new(Registry, Settings) of
        {ok, Cluster} -> exit_status(stop(tell(chapters(), Cluster)));
        {failed, Missing} -> exit_status({failed, Missing, []})
    end.

chapters() ->
    [
        {"Three nodes start", fun start/1},
        {"Their SRV records are published, and they find each other", fun find_each_other/1},
        {"One is killed (SIGKILL), and the others notice", fun lose_one/1},
        {"One is added, and joins", fun gain_one/1},
        {"Every node is asked whom it is connected to", fun ask_everyone/1}
    ].

start(Cluster) ->
    caravan_demo_cluster:start(?FIRST, Cluster).

find_each_other(Cluster) ->
    in_turn(
        [
            fun(C) -> caravan_demo_cluster:publish(?FIRST, C) end,
            fun caravan_demo_cluster:await_mesh/1,
            fun caravan_demo_cluster:check_no_epmd/1
        ],
        Cluster
    ).

%% The record goes last: the nodes notice a death by its connections, not by DNS.
lose_one(Cluster) ->
    in_turn(
        [
            fun(C) -> caravan_demo_cluster:kill(?KILLED, C) end,
            fun caravan_demo_cluster:await_mesh/1,
            fun(C) -> caravan_demo_cluster:withdraw(?KILLED, C) end
        ],
        Cluster
    ).

gain_one(Cluster) ->
    in_turn(
        [
            fun(C) -> caravan_demo_cluster:start([?ADDED], C) end,
            fun(C) -> caravan_demo_cluster:publish([?ADDED], C) end,
            fun caravan_demo_cluster:await_mesh/1
        ],
        Cluster
    ).

ask_everyone(Cluster) ->
    in_turn([fun caravan_demo_cluster:check_mesh/1, fun caravan_demo_cluster:check_no_epmd/1], Cluster).

tell([], Cluster) ->
    {ok, Cluster};
tell([{Heading, Chapter} | Chapters], Cluster) ->
    caravan_demo_output:heading(Heading),
    case Chapter(Cluster) of
        {ok, Next} -> tell(Chapters, Next);
        {failed, _, _} = Failed -> Failed
    end.

in_turn([], Cluster) ->
    {ok, Cluster};
in_turn([Step | Steps], Cluster) ->
    case Step(Cluster) of
        {ok, Next} -> in_turn(Steps, Next);
        {failed, _, _} = Failed -> Failed
    end.

%% Whatever happened, nothing of ours is left running. What a node wrote matters when the demo failed.
stop({ok, Cluster}) ->
    caravan_demo_output:heading("Everything stops"),
    Summary = caravan_demo_cluster:summary(Cluster),
    case caravan_demo_cluster:stop(Cluster) of
        {ok, _} -> {ok, Summary};
        {failed, Missing, Stopped} -> {failed, Missing, caravan_demo_cluster:logs(Stopped)}
    end;
stop({failed, Missing, Cluster}) ->
    caravan_demo_output:heading("Everything stops"),
    case caravan_demo_cluster:stop(Cluster) of
        {ok, Stopped} -> {failed, Missing, caravan_demo_cluster:logs(Stopped)};
        {failed, More, Stopped} -> {failed, Missing ++ More, caravan_demo_cluster:logs(Stopped)}
    end.

exit_status({ok, Summary}) ->
    caravan_demo_output:result(["OK: ", Summary]),
    0;
exit_status({failed, [interrupted | Missing], _Logs}) ->
    caravan_demo_output:result(lists:join("; ", ["INTERRUPTED" | Missing])),
    130;
exit_status({failed, Missing, Logs}) ->
    caravan_demo_output:logs(Logs),
    caravan_demo_output:result(["FAILED: ", lists:join("; ", Missing)]),
    1.
