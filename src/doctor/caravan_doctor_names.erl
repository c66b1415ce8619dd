%% @private
%% Examines the node names that topologies make from the answers, and whether this node is among them.
-module(caravan_doctor_names).

-export([names/1]).

%% How many of the records that give no name are shown for each query.
-define(MAX_REFUSED, 5).
-define(USUAL_TEMPLATES, [<<"{basename}-{port}@{ip}">>, <<"{basename}-{port}@{target}">>, <<"{basename}@{ip}">>, <<"{basename}@{target}">>]).
-define(TEMPLATE_MS, 1000).

%% Returns the checks, and the node names that the topologies make.
-spec names(caravan_doctor:context()) -> {[caravan_check:check()], [binary()]}.
names(#{own := Own, topologies := Topologies, answers := Answers} = Context) ->
    Named = [
        {Text, caravan_node_names:of_outcome(Outcome, Query, own(Own, Options))}
     || {Name, {Text, _} = Query, Outcome} <- Answers, {Topology, Options} <- Topologies, Topology =:= Name, can_be_named(Own, Query)
    ],
    Fixed = [atom_to_binary(Node) || {_, #{nodes := Nodes}} <- Topologies, Node <- Nodes],
    Names = lists:usort(Fixed ++ lists:append([lists:append(Records) || {_, {ok, #{records := Records}}} <- Named])),
    Refused = lists:append([
        refused(Text, caravan_node_names:refused(Outcome, Query, own(Own, Options)))
     || {Name, {Text, _} = Query, Outcome} <- Answers, {Topology, Options} <- Topologies, Topology =:= Name, can_be_named(Own, Query)
    ]),
    Unnamed = [unnamed(Text) || {_, {Text, own} = Query, {ok, _}} <- Answers, not can_be_named(Own, Query)],
    Self = self(Own, Names, [Text || {Text, {ok, _}} <- Named], Context),
    {Unnamed ++ [found(Names) || Names =/= []] ++ Refused ++ Self, Names}.

%% A query without a basename of its own uses that of this node, which may be unknown.
can_be_named(none, {_Text, own}) -> false;
can_be_named(_Own, _Query) -> true.

own(none, Options) -> Options;
own(Own, Options) -> Options#{own => binary_to_atom(Own)}.

unnamed(Text) ->
    caravan_check:unknown(names, Text, "names are made with the basename of a node: give --node NAME or --basename NAME", []).

found(Names) ->
    caravan_check:ok(names, "nodes", "~b: ~ts", [length(Names), shortened(Names)]).

shortened(Names) when length(Names) =< 10 -> lists:join(", ", Names);
shortened(Names) -> [lists:join(", ", lists:sublist(Names, 10)), io_lib:format(" and ~b more", [length(Names) - 10])].

refused(_Text, []) ->
    [];
refused(Text, Refusals) ->
    What = io_lib:format("no node name for ~ts of ~ts", [caravan_check:count(length(Refusals), "record"), Text]),
    Shown = [caravan_check:note(names, Text, "~ts", [refusal(Refusal)]) || Refusal <- lists:sublist(Refusals, ?MAX_REFUSED)],
    [caravan_check:fault(names, Text, What, caravan_cause:new(names, [What, "; one of them: ", refusal(hd(Refusals))])) | Shown].

refusal({Endpoint, {unbound, Placeholders}}) ->
    [endpoint(Endpoint), ": no value for ", lists:join(", ", [io_lib:format("{~ts}", [Placeholder]) || Placeholder <- Placeholders])];
refusal({Endpoint, {badname, Text}}) ->
    [endpoint(Endpoint), ": ", Text, " is not a node name"].

endpoint(Endpoint) ->
    lists:join($\s, [part(Part) || Part <- lists:sort(maps:to_list(Endpoint))]).

part({ip, Ip}) -> inet:ntoa(Ip);
part({port, Port}) -> ["port ", integer_to_list(Port)];
part({target, <<>>}) -> "target .";
part({target, Target}) -> ["target ", Target].

self(_Own, _Names, [], _Context) -> [];
self(none, _Names, _Queries, _Context) -> [];
self(Own, Names, _Queries, Context) -> listed(lists:member(Own, Names), [Name || Name <- Names, caravan_discovery:is_own_name(Name, Own)], Own, Names, Context).

listed(true, _Same, Own, _Names, _Context) ->
    [caravan_check:ok(self, Own, "it is listed", [])];
listed(false, [Alias | _], Own, _Names, _Context) ->
    What = io_lib:format("DNS lists this node, ~ts, as ~ts, which is another node to OTP", [Own, Alias]),
    [caravan_check:fault(self, Own, What, caravan_cause:new(spelling, What))];
listed(false, [], Own, Names, #{topologies := Topologies}) ->
    unless_silent(caravan_listen:is_wanted(), Topologies, Own, Names).

%% A node that does not listen need not be listed.
unless_silent(false, _Topologies, Own, _Names) ->
    [caravan_check:ok(self, Own, "it is not listed, and does not listen (-dist_listen false)", [])];
unless_silent(true, Topologies, Own, Names) ->
    unlisted(template_of_own(Own, Topologies), Own, Names).

unlisted(none, Own, Names) ->
    unlisted_here([Name || Name <- Names, host(Name) =:= host(Own), caravan_nif:dist_port(Name) =:= caravan_nif:dist_port(Own)], Own, Names);
unlisted(Template, Own, _Names) ->
    Text = ["with node_name ", $", Template, $", " the records would give the name of this node, ", Own, "; with the current options they give other names"],
    [caravan_check:fault(self, Own, Text, caravan_cause:new(node_name, Text))].

%% DNS lists the address and port of this node under another basename.
unlisted_here([Name | _], Own, _Names) ->
    Text = ["the node at the address and port of ", Name, " is this one, which is called ", Own],
    [caravan_check:fault(self, Own, Text, caravan_cause:new(basename, Text))];
unlisted_here([], Own, Names) ->
    Instead = instead([Name || Name <- Names, host(Name) =:= host(Own)]),
    [caravan_check:fault(self, Own, ["DNS does not list it", Instead], caravan_cause:new(not_listed, ["DNS does not list this node, ", Own, Instead]))].

%% Returns the usual template, if there is one, that makes the name of this node from the records.
template_of_own(Own, Topologies) ->
    Tasks = [
        {Text, caravan_task:start(fun() -> makes(Own, Text, Options) end, ?TEMPLATE_MS)}
     || {_Name, #{record := srv, dns_client := default} = Options} <- Topologies, Text <- ?USUAL_TEMPLATES
    ],
    first([Text || {Text, Task} <- Tasks, caravan_task:await(Task) =:= {ok, true}]).

first([Text | _]) -> Text;
first([]) -> none.

makes(Own, Text, #{queries := Queries} = Options) ->
    {ok, Template} = caravan_template:parse(Text, caravan_node_names:placeholders()),
    WithTemplate = (own(Own, Options))#{node_name := Template},
    lists:any(fun({Query, _} = Named) ->
        case caravan_node_names:of_outcome(caravan_doctor_dns:poll(WithTemplate, Query, ?TEMPLATE_MS - 300), Named, WithTemplate) of
            {ok, #{records := Records}} -> lists:member([Own], Records);
            {error, _} -> false
        end
    end, Queries).

instead([]) -> "";
instead(AtItsHost) -> ["; at its host it lists ", shortened(AtItsHost)].

host(Name) ->
    string:lowercase(lists:last(binary:split(Name, <<"@">>))).
