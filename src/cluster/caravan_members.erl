%% @private
%% The members of a topology: nodes that DNS has listed and that are connected. A functional state, owned by a topology.
-module(caravan_members).

-export([new/0, list/2, refresh/3, connected/1]).

-export_type([state/0]).

-record(state, {
    %% Nodes that DNS has listed, and when each was last listed or connected, in monotonic milliseconds.
    known = #{} :: #{node() => integer()},
    members = [] :: [node()]
}).

-opaque state() :: #state{}.

-spec new() -> state().
new() ->
    #state{}.

%% DNS lists these nodes.
-spec list([node()], state()) -> state().
list(Nodes, #state{known = Known} = State) ->
    State#state{known = maps:merge(Known, maps:from_keys(Nodes, now_ms()))}.

%% These nodes are connected: who came, and who went. A node that is neither listed nor connected is remembered for the
%% given time: when it comes back by itself, it is a member still.
-spec refresh([node()], Memory :: pos_integer(), state()) -> {Came :: [node()], Went :: [node()], state()}.
refresh(Connected, Memory, #state{known = Known, members = Before}) ->
    Members = lists:sort([Node || Node <- Connected, is_map_key(Node, Known)]),
    Now = now_ms(),
    Recent = maps:filter(fun(_Node, Seen) -> Now - Seen =< Memory end, Known),
    State = #state{known = maps:merge(Recent, maps:from_keys(Members, Now)), members = Members},
    {Members -- Before, Before -- Members, State}.

-spec connected(state()) -> [node()].
connected(#state{members = Members}) ->
    Members.

now_ms() ->
    erlang:monotonic_time(millisecond).
