%% @private
%% The functions of priv/caravan_nif.so, one to one, and how the library is found, checked and loaded. What the functions
%% do is in C++ below, and what it is used for in the modules above.
-module(caravan_nif).

-export([load/0, library_file/0, abi/0, versions/0]).
-export([use_port_rule/1]).
-export([dist_port/1, port_choice/1, set_port_rule/1, node_name/1]).
-export([is_basename/1, is_dns_name/1, is_nameserver/1, is_helper_pattern/1]).
-export([open/1, close/1, stats/1, lookup/8, cancel/1]).

-include_lib("kernel/include/file.hrl").

-export_type([load_error/0, port_rule/0, port_origin/0]).

%% Raised together with kAbi in c_src/nif/nif.cpp.
-define(ABI, 8).

%% From OTP 26 on, -on_load runs before distribution starts (OTP PR 6817). Before that, a module with -on_load cannot be
%% called while an embedded system boots, so the library is loaded by whoever starts first: caravan_epmd or the
%% application.
-if(?OTP_RELEASE >= 26).
-on_load(on_load/0).
-endif.

-type port_rule() :: #{
    default_port := inet:port_number(),
    port_range := {First :: inet:port_number(), Last :: inet:port_number()},
    port_in_name := digits | dash | none,
    helper_ports := {First :: inet:port_number(), Last :: inet:port_number()},
    helper_names := [Pattern :: binary()]
}.
-type port_origin() :: name | no_digits | digits_ignored | {helper, Pattern :: binary()}.
-type load_error() :: {File :: file:filename(), Reason :: {atom(), string()}}.

%% Loads the library, once. To be called before any other process can call a stub: a load that meets such a call crashes
%% the VM (measured on OTP 25 and 27).
-spec load() -> ok | {error, load_error()}.
load() ->
    case ?MODULE:module_info(nifs) of
        [] -> load_library(library_file());
        [_ | _] -> ok
    end.

-if(?OTP_RELEASE >= 26).
%% Always ok: a failure here would end the boot of an embedded system without a word of ours. load/0 says what is wrong.
on_load() ->
    _ = load_library(library_file()),
    ok.
-endif.

load_library(File) ->
    case file_fault(File) of
        none -> load_nif(File);
        Fault -> {error, {File, {bad_file, Fault}}}
    end.

load_nif(File) ->
    case erlang:load_nif(filename:rootname(File, ".so"), load_info(persistent_term:get(?MODULE, none))) of
        ok -> ok;
        {error, {reload, _}} -> ok;
        {error, Reason} -> {error, {File, Reason}}
    end.

%% Sets the rule by which names become ports. It is kept for the next instance of this module, which loads the library
%% again.
-spec use_port_rule(port_rule()) -> ok.
use_port_rule(Rule) ->
    ok = persistent_term:put(?MODULE, {?ABI, Rule}),
    set_port_rule(Rule).

%% A rule of another version has another form.
load_info({?ABI, _Rule} = Kept) -> Kept;
load_info(_) -> {?ABI, default}.

%% What the library has to be built for.
-spec abi() -> pos_integer().
abi() ->
    ?ABI.

%% The first that exists; when none does, the first, so that the error names the usual place.
-spec library_file() -> file:filename().
library_file() ->
    Directories = [priv_dir(), beam_priv_dir(), os:getenv("CARAVAN_NIF_DIR")],
    Files = [absolute(filename:join(Directory, "caravan_nif.so")) || Directory <- Directories, Directory =/= false],
    hd([File || File <- Files, exists(File)] ++ Files).

priv_dir() ->
    case code:priv_dir(caravan) of
        {error, bad_name} -> false;
        Directory -> Directory
    end.

%% For a checkout whose directory is not called caravan.
beam_priv_dir() ->
    case code:which(?MODULE) of
        Beam when is_list(Beam) -> filename:join(filename:dirname(filename:dirname(Beam)), "priv");
        _ -> false
    end.

%% The functions of file, filelib and filename that need the file server are out of reach while distribution starts: it
%% is not running yet (OTP 25).
absolute(File) ->
    {ok, Directory} = prim_file:get_cwd(),
    filename:absname(File, Directory).

exists(File) ->
    element(1, prim_file:read_file_info(File)) =:= ok.

%% What is wrong with the file itself, in words. The loader maps an ELF file without a look at its length, so that the first access to
%% a page behind the end of a truncated one ends the VM (SIGBUS, measured with glibc 2.36); of another machine's file it says that there
%% is no such file. A missing file and other formats than ELF are the loader's to explain.
-spec file_fault(file:filename()) -> none | string().
file_fault(File) ->
    case prim_file:read_file_info(File) of
        {ok, #file_info{type = regular, size = 0}} -> "the file is empty";
        {ok, #file_info{type = regular, size = Size}} -> header_fault(read_header(File), Size);
        {ok, #file_info{type = Type}} -> io_lib:format("it is no regular file but a ~ts", [Type]);
        {error, _} -> none
    end.

read_header(File) ->
    case prim_file:open(File, [read, binary]) of
        {ok, Handle} ->
            Read = prim_file:read(Handle, 64),
            ok = prim_file:close(Handle),
            Read;
        Error ->
            Error
    end.

%% The fields are those of the header in the ELF specification, "Object Files", for 64 and for 32 bits. The table of sections is what
%% linkers write last.
header_fault({ok, <<16#7f, "ELF", 2, 1, _:12/binary, Machine:16/little, _:20/binary, Table:64/little, _:10/binary, Entry:16/little,
    Entries:16/little, _/binary>>}, Size) ->
    elf_fault(Machine, Table + Entry * Entries, Size);
header_fault({ok, <<16#7f, "ELF", 1, 1, _:12/binary, Machine:16/little, _:12/binary, Table:32/little, _:10/binary, Entry:16/little,
    Entries:16/little, _/binary>>}, Size) ->
    elf_fault(Machine, Table + Entry * Entries, Size);
header_fault({ok, <<16#7f, "ELF", _:60/binary>>}, _Size) ->
    none;
header_fault({ok, <<16#7f, "ELF", _/binary>>}, Size) ->
    io_lib:format("the file is truncated: it has ~b bytes", [Size]);
header_fault({ok, <<Magic:32, _/binary>>}, _Size) when Magic =:= 16#cffaedfe; Magic =:= 16#cafebabe ->
    none;
header_fault({ok, _}, _Size) ->
    "it is no shared library";
header_fault(_Unreadable, _Size) ->
    none.

elf_fault(_Machine, End, Size) when End > Size ->
    io_lib:format("the file is truncated: it has ~b of ~b bytes", [Size, End]);
elf_fault(Machine, _End, _Size) ->
    Architecture = erlang:system_info(system_architecture),
    case {machine_name(Machine), [Name || {_, Name, Prefixes} <- machines(), lists:any(has_prefix(Architecture), Prefixes)]} of
        {Name, [Own]} when Name =/= unknown, Name =/= Own ->
            io_lib:format("it is a library for ~ts, and this VM is for ~ts", [Name, Architecture]);
        _ ->
            none
    end.

machine_name(Machine) ->
    case lists:keyfind(Machine, 1, machines()) of
        {_, Name, _} -> Name;
        false -> unknown
    end.

has_prefix(Text) ->
    fun(Prefix) -> lists:prefix(Prefix, Text) end.

%% The number of e_machine, the name, and how OTP's name of such a machine begins.
machines() ->
    [
        {3, "x86", ["i386", "i486", "i586", "i686"]},
        {40, "arm", ["arm"]},
        {62, "x86_64", ["x86_64", "amd64"]},
        {183, "aarch64", ["aarch64", "arm64"]},
        {243, "riscv64", ["riscv64"]}
    ].

-spec dist_port(atom() | string() | binary()) -> inet:port_number().
dist_port(_NodeName) -> erlang:nif_error(not_loaded).

%% The port of dist_port/1, and why it is that one.
-spec port_choice(atom() | string() | binary()) -> {inet:port_number(), port_origin()}.
port_choice(_NodeName) -> erlang:nif_error(not_loaded).

-spec set_port_rule(port_rule()) -> ok.
set_port_rule(_Rule) -> erlang:nif_error(not_loaded).

%% The name as it is used, the host in lower case and without a trailing dot, if it is fit for a node.
-spec node_name(binary()) -> {ok, binary()} | {error, badname}.
node_name(_Text) -> erlang:nif_error(not_loaded).

-spec is_basename(term()) -> boolean().
is_basename(_Text) -> erlang:nif_error(not_loaded).

-spec is_dns_name(term()) -> boolean().
is_dns_name(_Text) -> erlang:nif_error(not_loaded).

-spec is_nameserver(term()) -> boolean().
is_nameserver(_Text) -> erlang:nif_error(not_loaded).

-spec is_helper_pattern(term()) -> boolean().
is_helper_pattern(_Text) -> erlang:nif_error(not_loaded).

-spec open(#{
    nameservers := system | [binary(), ...],
    transport := auto | udp | tcp,
    timeout := 1..3600000,
    tries := 1..10,
    rotate := boolean(),
    edns_size := 0..4096,
    mixed_case := boolean(),
    search := default | boolean(),
    hosts_file := binary(),
    max_inflight := 1..4096,
    max_queue := 0..1000000,
    srv_order := boolean(),
    cache := false | {MaxEntries :: pos_integer(), MaxTtl :: non_neg_integer(), MaxNegativeTtl :: non_neg_integer()}
}) -> reference() | {error, system}.
open(_Options) -> erlang:nif_error(not_loaded).

-spec close(reference()) -> ok.
close(_Resolver) -> erlang:nif_error(not_loaded).

-spec stats(reference()) -> map() | {error, closed}.
stats(_Resolver) -> erlang:nif_error(not_loaded).

%% Returns the reference for cancel/1. The message has it in it, too, unless the caller gives one of its own: then the timeout
%% that holds is returned as well, and the answer in the message is for caravan_packed_answer:unpack/1.
-spec lookup(
    Resolver :: reference(),
    Name :: binary(),
    Type :: srv | a | aaaa | addresses,
    Nameservers :: default | system | [binary(), ...],
    Transport :: default | auto | udp | tcp,
    TimeoutMs :: default | 1..3600000,
    SrvOrder :: default | boolean(),
    Reference :: own | reference()
) -> {ok, reference()} | {ok, reference(), TimeoutMs :: 1..3600000} | {error, badname | closed | overload | system}.
lookup(_Resolver, _Name, _Type, _Nameservers, _Transport, _TimeoutMs, _SrvOrder, _Reference) -> erlang:nif_error(not_loaded).

-spec cancel(reference()) -> cancelled | delivering | delivered.
cancel(_Ref) -> erlang:nif_error(not_loaded).

%% The c-ares that runs, the one whose headers the library was compiled with, and whether it is a part of the library.
-spec versions() -> #{c_ares := #{version := binary(), built_against := binary(), linked := shared | static}}.
versions() -> erlang:nif_error(not_loaded).
