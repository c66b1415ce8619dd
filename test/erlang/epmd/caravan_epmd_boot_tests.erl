%% How caravan_epmd starts: with flags, at run time, and not at all.
-module(caravan_epmd_boot_tests).

-include_lib("eunit/include/eunit.hrl").

-import(caravan_test_network, [boot/2, boot/3, free_port/0, node_name/3, start/3]).
-import(caravan_test_node, [await_boot/1, call/4, listening_ports/1, stop/1]).

-define(NODES(Test), {atom_to_list(?FUNCTION_NAME), {timeout, 120, fun() -> Test end}}).

%% Flags

default_port_test_() ->
    ?NODES(begin
        Port = free_port(),
        with(#{flags => ["-caravan", "default_port", integer_to_list(Port)]}, fun(Network) ->
            {A, NodeA} = boot(Network, 'app@127.0.0.1', []),
            ?assertEqual([Port], listening_ports(NodeA)),
            {_, NodeB} = boot(Network, "b"),
            ?assertEqual(true, call(NodeB, net_kernel, connect_node, [A]))
        end)
    end).

port_range_test_() ->
    [?NODES(begin
        Low = free_port(),
        Default = integer_to_list(free_port()),
        Range = lists:flatten(io_lib:format(Form, [Low + 1, 65535])),
        with(#{flags => ["-caravan", "default_port", Default, "port_range", Range]}, fun(Network) ->
            {A, NodeA} = boot(Network, node_name(Network, "a", Low), []),
            ?assertEqual([list_to_integer(Default)], listening_ports(NodeA)),
            {_, NodeB} = boot(Network, node_name(Network, "b", Low + 1), []),
            ?assertEqual([Low + 1], listening_ports(NodeB)),
            ?assertEqual(true, call(NodeB, net_kernel, connect_node, [A]))
        end)
     end)
     || Form <- ["{~b,~b}", "[~b,~b]"]].

a_bad_flag_stops_the_boot_with_one_line_test_() ->
    [?NODES(with(#{}, fun(Network) ->
        Node = start(Network, node_name(Network, "a", free_port()), ["-caravan", Key, Value]),
        Line = iolist_to_binary(["caravan: option ", Key, " is ", Value, "; allowed: ", Allowed, "\n"]),
        ?assertEqual({exited, 1, Line}, await_boot(Node))
     end))
     || {Key, Values, Allowed} <-
            [{"default_port", ["0", "65536", "1.5", "nonsense", "\"4370\""], "an integer from 1 to 65535"},
             {"port_range", ["1024", "{0,1}", "{2,1}", "{1,65536}", "{1,2,3}", "nonsense"],
              "{First, Last} with 1 =< First =< Last =< 65535"}],
        Value <- Values].

%% OTP reads the flag for us, logs that it is no term, and then knows no flag of ours.
a_flag_that_is_no_term_stops_the_boot_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        Node = start(Network, node_name(Network, "a", free_port()), ["-caravan", "default_port", "{"]),
        ?assertMatch({exited, 1, _}, await_boot(Node))
    end)).

%% Warnings

%% In a file, because what is logged while the kernel boots goes to the terminal twice: before there is a
%% handler and when there is one.
digits_that_are_no_port_are_warned_of_once_test_() ->
    [?NODES(caravan_test_directory:with(fun(Directory) ->
        File = filename:join(Directory, "log"),
        Handler = io_lib:format("[{handler,default,logger_std_h,#{config => #{file => ~p}}}]", [File]),
        with(#{flags => ["-kernel", "logger", lists:flatten(Handler)]}, fun(Network) ->
            Port = integer_to_list(free_port()),
            Flags = ["-caravan", "default_port", Port],
            {_, Node} = boot(Network, list_to_atom(Name ++ "@127.0.0.1"), Flags),
            ?assertMatch({exited, 0, _}, stop(Node)),
            {ok, Log} = file:read_file(File),
            Warning = "=WARNING .*\ncaravan: .* node name " ++ Name ++ " .* listens on " ++ Port ++ "\n",
            ?assertEqual({Name, Warnings}, {Name, occurrences(Warning, Log)}),
            ?assertEqual({Name, Warnings}, {Name, occurrences("caravan", Log)})
        end)
     end))
     || {Name, Warnings} <- [{"app-80", 1}, {"app-99999", 1}, {"app0", 1}, {"app", 0}, {"app-80-x", 0}]].

%% A helper of a release is hidden; another node of such a name may not know what it has let itself in for.
an_ordinary_node_with_the_name_of_a_helper_is_told_test_() ->
    [?NODES(with(#{}, fun(Network) ->
        {_, Node} = boot(Network, 'rpc-1f3a-app-4370@127.0.0.1', Flags),
        {exited, 0, Output} = stop(Node),
        ?assertEqual({Flags, Told}, {Flags, re:run(Output, "the name of a helper node", [{capture, none}])})
    end))
     || {Flags, Told} <- [{[], match}, {["-hidden"], nomatch}]].

%% As from a runtime.exs that is read after distribution has started.
a_port_that_changes_after_the_start_is_an_error_in_the_log_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        [Before, After] = [integer_to_list(free_port()) || _ <- [before, later]],
        {_, Node} = boot(Network, 'app@127.0.0.1', ["-caravan", "default_port", Before]),
        ok = call(Node, application, set_env, [caravan, default_port, list_to_integer(After)]),
        ok = call(Node, application, start, [caravan]),
        {exited, 0, Output} = stop(Node),
        ?assertMatch({match, _}, re:run(Output, ["listens on ", Before, ", .* look for it at ", After, ";"]))
    end)).

a_port_in_the_name_is_nothing_to_speak_of_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {_, Node} = boot(Network, "app"),
        ?assertEqual({exited, 0, <<>>}, stop(Node))
    end)).

%% Distribution that starts at run time

distribution_starts_and_stops_at_run_time_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {B, _} = boot(Network, "b"),
        {none, Node} = boot(Network, none, []),
        Creations =
            [begin
                 Port = free_port(),
                 ?assertMatch({ok, _}, start_distribution(Node, node_name(Network, "a", Port))),
                 ?assertEqual([Port], listening_ports(Node)),
                 ?assertEqual(true, call(Node, net_kernel, connect_node, [B])),
                 Creation = call(Node, erlang, system_info, [creation]),
                 ?assertEqual(ok, call(Node, net_kernel, stop, [])),
                 Creation
             end
             || _ <- [first, second]],
        ?assertEqual(2, length(lists:usort(Creations)))
    end)).

what_would_stop_a_boot_is_an_error_at_run_time_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {none, Node} = boot(Network, none, ["-caravan", "default_port", "0"]),
        Name = node_name(Network, "a", free_port()),
        ?assertMatch("caravan: option default_port is 0; allowed: " ++ _, error_line(Node, Name)),
        ok = call(Node, application, set_env, [caravan, default_port, 4370]),
        ?assertMatch({ok, _}, start_distribution(Node, Name))
    end)).

%% As escripts, `elixir' and `mix' do: their whole life is a part of the boot. They have to get the error too.
an_error_at_run_time_leaves_a_script_running_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        Start = "{error, _} = net_kernel:start('~s', #{name_domain => longnames}).",
        Name = node_name(Network, "a", free_port()),
        Flags = ["-caravan", "default_port", "0", "-eval", lists:flatten(io_lib:format(Start, [Name]))],
        Node = start(Network, none, Flags),
        ?assertEqual(ok, await_boot(Node))
    end)).

a_busy_port_at_run_time_is_an_error_test_() ->
    ?NODES(with(#{}, fun(Network) ->
        {B, NodeB} = boot(Network, "b"),
        {none, Node} = boot(Network, none, []),
        ?assertMatch({error, _}, start_distribution(Node, B)),
        ?assertEqual(nonode@nohost, call(Node, erlang, node, [])),
        ?assertEqual(B, call(NodeB, erlang, node, []))
    end)).

with(Options, Test) ->
    caravan_test_network:with(Options, Test).

start_distribution(Node, Name) ->
    call(Node, net_kernel, start, [Name, #{name_domain => longnames}]).

%% OTP wraps the error of the epmd module into what its supervisors say.
error_line(Node, Name) ->
    {error, Reason} = start_distribution(Node, Name),
    find_line(Reason).

find_line({caravan, Line}) -> Line;
find_line(Reason) when is_tuple(Reason) -> find_line(tuple_to_list(Reason));
find_line([Reason | Reasons]) ->
    case find_line(Reason) of
        none -> find_line(Reasons);
        Line -> Line
    end;
find_line(_) -> none.

occurrences(Pattern, Text) ->
    case re:run(Text, Pattern, [global, {capture, first}]) of
        {match, Matches} -> length(Matches);
        nomatch -> 0
    end.
