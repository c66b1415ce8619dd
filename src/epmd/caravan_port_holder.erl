%% @private
%% Finds the process of this machine that listens on a TCP port, as far as Linux shows it: /proc/net/tcp has the inode of the
%% socket, and /proc/PID/fd shows which process has it open if that belongs to the same user. Reads every descriptor of every
%% visible process, so call it only when a node cannot listen.
%%
%% Reads by prim_file because it is called while the distribution starts, and OTP 25 has no file server at that time.
-module(caravan_port_holder).

-export([find/1, nodes/0, format/1]).

-export_type([holder/0]).

%% `node': the name in the command line of an Erlang node. `command': the program of any other process.
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

%% Returns the inode and the port of each listening socket.
listeners(Table) ->
    [
        {Inode, list_to_integer(lists:last(string:split(Local, ":")), 16)}
     || Line <- lines(prim_file:read_file(Table)),
        [_, Local, _, ?LISTEN, _, _, _, _, _, Inode | _] <- [string:lexemes(Line, " ")]
    ].

%% Returns the Erlang nodes of this machine and user, by the names in their command lines, with the ports on which they
%% listen.
-spec nodes() -> [#{name := string(), os_pid := string(), ports := [inet:port_number()]}].
nodes() ->
    Listening = maps:from_list([{"socket:[" ++ Inode ++ "]", Port} || Table <- ?TABLES, {Inode, Port} <- listeners(Table)]),
    lists:sort([
        #{name => Name, os_pid => Pid, ports => lists:usort([maps:get(Socket, Listening) || Socket <- open(Pid), is_map_key(Socket, Listening)])}
     || Pid <- os_pids(), [_ | Arguments] <- [arguments(Pid)], is_vm(Pid), not is_command(Arguments), Name <- [name(Arguments)], Name =/= none
    ]).

%% Whether it is the VM of `scripts/caravan', which has the arguments of the node that it examines.
is_command(Arguments) ->
    lists:member("caravan_command:main()", Arguments).

%% Excludes the shell scripts around a VM, which have the same arguments.
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

%% The name of an Erlang node is in its arguments. iex and mix take it after two dashes and pass it on with one.
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

%% Describes the holder of the port as the subject of a sentence.
-spec format({ok, holder()} | unknown) -> string().
format({ok, #{os_pid := Pid, node := Name}}) -> "the node " ++ Name ++ ", OS process " ++ Pid;
format({ok, #{os_pid := Pid, command := Command}}) -> Command ++ ", OS process " ++ Pid;
format({ok, #{os_pid := Pid}}) -> "OS process " ++ Pid;
format(unknown) -> "another program".
