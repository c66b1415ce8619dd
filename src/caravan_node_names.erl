%% @private
%% From the records of an answer to node names. Records come from the network and atoms are for ever, so names are
%% checked before they become atoms, at most `max_nodes' of an answer, and a topology makes a limited number of new
%% atoms in its life.
-module(caravan_node_names).

-export([new/2, from_answer/2, stats/1]).

-export_type([state/0]).

-record(state, {
    basename :: binary(),
    max_nodes :: pos_integer(),
    atoms_left :: non_neg_integer(),
    refused = 0 :: non_neg_integer()
}).

-opaque state() :: #state{}.

%% A cluster that replaces all its nodes ten times under new names fits.
-define(ATOMS_PER_NODE, 10).

-spec new(binary(), pos_integer()) -> state().
new(Basename, MaxNodes) ->
    #state{basename = Basename, max_nodes = MaxNodes, atoms_left = MaxNodes * ?ATOMS_PER_NODE}.

%% The nodes of an answer, sorted and without duplicates. Records that make no node name are left out.
-spec from_answer(caravan_dns:answer(), state()) -> {[node()], state()}.
from_answer(#{records := Records}, State) ->
    Names = lists:usort(lists:flatmap(fun(Record) -> name(Record, State) end, Records)),
    to_atoms(lists:sublist(Names, State#state.max_nodes), [], State).

name(#{port := Port, target := Target}, #state{basename = Basename}) ->
    case caravan_nif:node_name(Basename, Port, Target) of
        {ok, Name} -> [Name];
        {error, badname} -> []
    end.

to_atoms([], Nodes, State) ->
    {lists:sort(Nodes), State};
to_atoms([Name | Names], Nodes, State) ->
    try binary_to_existing_atom(Name) of
        Node -> to_atoms(Names, [Node | Nodes], State)
    catch
        error:badarg -> new_atom(Name, Names, Nodes, State)
    end.

new_atom(Name, Names, Nodes, #state{atoms_left = Left} = State) when Left > 0 ->
    to_atoms(Names, [binary_to_atom(Name) | Nodes], State#state{atoms_left = Left - 1});
new_atom(_Name, Names, Nodes, #state{refused = Refused} = State) ->
    to_atoms(Names, Nodes, State#state{refused = Refused + 1}).

-spec stats(state()) -> #{atoms_left := non_neg_integer(), names_refused := non_neg_integer()}.
stats(#state{atoms_left = Left, refused = Refused}) ->
    #{atoms_left => Left, names_refused => Refused}.
