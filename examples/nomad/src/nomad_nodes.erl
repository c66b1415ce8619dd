%% Returns the nodes in the file that Nomad's `template' block writes: a line "ADDRESS PORT" for each.
-module(nomad_nodes).

-export([get_nodes/1]).

get_nodes(_Query) ->
    {ok, Text} = file:read_file(filename:join(os:getenv("NOMAD_TASK_DIR"), "nodes")),
    Lines = [string:lexemes(Line, " ") || Line <- string:split(Text, "\n", all)],
    [{binary_to_integer(Port), Address} || [Address, Port] <- Lines].
