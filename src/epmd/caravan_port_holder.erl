%% @private
%% Which process of the machine listens on a TCP port, as far as Linux lets one see it: /proc/net/tcp has the inode of the
%% socket, and the process that has it open, if it is one of the same user. To be called when a node cannot listen: it
%% looks at each descriptor of each process that may be seen.
%%
%% It is called while distribution starts, so it reads by prim_file: OTP 25 has no file server then.
-module(caravan_port_holder).

-export([find/1, nodes/0, format/1]).

-export_type([holder/0]).

%% `node' is the name in the command line of an Erlang node, `command' the program of any other process.
-type holder() :: #{os_pid := string(), node => string(), command => string()}.

-define(TABLES, ["/proc/net/tcp", "/proc/net/tcp6"]).
-define(LISTEN, "0A").

-spec find(inet:port_number()) -> {ok, holder()} | unknown.
find(Port) ->
    Inodes = lists:append([inodes(Table, Port) || Table <- ?TABLES]),
    case [Pid || Inodes =/= [], Pid <- os_pids(), has_open(Pid, ["socket:[" ++ Inode ++ "]" || Inode <- Inodes])] of
        [Pid | _] -> {ok, maps:merge(#{os_pid => Pid}, command(arguments(Pid)))};
        [] -> unknown
    end.

inodes(Table, Port) ->
    [Inode || {Inode, Listening} <- listeners(Table), Listening =:= Port].

%% The inode of each socket that listens, and its port.
listeners(Table) ->
    [
        {Inode, list_to_integer(lists:last(string:split(Local, ":")), 16)}
     || Line <- lines(prim_file:read_file(Table)),
        [_, Local, _, ?LISTEN, _, _, _, _, _, Inode | _] <- [string:lexemes(Line, " ")]
    ].

%% The Erlang nodes of this machine, of the same user, by the names in their command lines, with the ports that they listen on.
-spec nodes() -> [#{name := string(), os_pid := string(), ports := [inet:port_number()]}].
nodes() ->
    Listening = maps:from_list([{"socket:[" ++ Inode ++ "]", Port} || Table <- ?TABLES, {Inode, Port} <- listeners(Table)]),
    lists:sort([
        #{name => Name, os_pid => Pid, ports => lists:usort([maps:get(Socket, Listening) || Socket <- open(Pid), is_map_key(Socket, Listening)])}
     || Pid <- os_pids(), [_ | Arguments] <- [arguments(Pid)], is_vm(Pid), not is_command(Arguments), Name <- [name(Arguments)], Name =/= none
    ]).

%% The VM of `scripts/caravan' has the arguments of the node that it looks at.
is_command(Arguments) ->
    lists:member("caravan_command:main()", Arguments).

%% Scripts around a VM have its arguments, too.
is_vm(Pid) ->
    case prim_file:read_file("/proc/" ++ Pid ++ "/comm") of
        {ok, <<"beam", _/binary>>} -> true;
        _ -> false
    end.

open(Pid) ->
    Directory = "/proc/" ++ Pid ++ "/fd/",
    case prim_file:list_dir(Directory) of
        {ok, Descriptors} -> [Target || Descriptor <- Descriptors, {ok, Target} <- [prim_file:read_link(Directory ++ Descriptor)]];
        {error, _} -> []
    end.

lines({ok, Content}) -> string:split(binary_to_list(Content), "\n", all);
lines({error, _}) -> [].

os_pids() ->
    case prim_file:list_dir("/proc") of
        {ok, Names} -> [Name || [Digit | _] = Name <- Names, Digit >= $0, Digit =< $9];
        {error, _} -> []
    end.

has_open(Pid, Sockets) ->
    lists:any(fun(Target) -> lists:member(Target, Sockets) end, open(Pid)).

arguments(Pid) ->
    case prim_file:read_file("/proc/" ++ Pid ++ "/cmdline") of
        {ok, Content} -> string:split(binary_to_list(Content), [0], all);
        {error, _} -> []
    end.

%% Of an Erlang VM the arguments have the name; iex and mix write it with two dashes, and pass it on with one.
command([Program | _] = Arguments) when Program =/= "" ->
    case name(Arguments) of
        none -> #{command => filename:basename(Program)};
        Name -> #{node => Name}
    end;
command(_) ->
    #{}.

name([Flag, Name | _]) when Flag =:= "-name"; Flag =:= "-sname" -> Name;
name([_ | Arguments]) -> name(Arguments);
name([]) -> none.

%% Who holds the port, for a sentence.
-spec format({ok, holder()} | unknown) -> string().
format({ok, #{os_pid := Pid, node := Name}}) -> "the node " ++ Name ++ ", OS process " ++ Pid;
format({ok, #{os_pid := Pid, command := Command}}) -> Command ++ ", OS process " ++ Pid;
format({ok, #{os_pid := Pid}}) -> "OS process " ++ Pid;
format(unknown) -> "another program".
