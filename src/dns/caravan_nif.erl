%% @private
%% The functions of priv/caravan_nif.so, one to one, and how the library is found and loaded. No logic: that is in C++
%% below, or in the modules above.
-module(caravan_nif).

-export([load/0, library_file/0, abi/0, format_error/1, versions/0]).
-export([use_port_rule/1]).
-export([dist_port/1, port_choice/1, set_port_rule/1, node_name/1]).
-export([is_basename/1, is_dns_name/1, is_nameserver/1, is_helper_pattern/1]).
-export([open/1, close/1, stats/1, lookup/8, cancel/1]).

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
    case erlang:load_nif(filename:rootname(File, ".so"), load_info(persistent_term:get(?MODULE, none))) of
        ok -> ok;
        {error, {reload, _}} -> ok;
        {error, Reason} -> {error, {File, Reason}}
    end.

%% Sets the rule by which names become ports. It is kept for the next instance of this module, which loads the library
%% anew.
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

%% One line that says what to do.
-spec format_error(load_error()) -> string().
format_error({File, {Kind, Text}}) ->
    Explanation = explain(Kind, lists:flatten(Text), exists(File)),
    lists:flatten(io_lib:format("caravan: cannot load ~ts: ~ts", [File, Explanation])).

explain(load_failed, _Text, false) ->
    "there is no such file; " ++ compile_anew() ++ ", or set CARAVAN_NIF_DIR to its directory";
explain(load_failed, Text, true) ->
    case string:find(Text, "libcares") of
        nomatch -> Text;
        _ ->
            Text ++ "; install c-ares (Debian: libc-ares2, Alpine and Fedora: c-ares, macOS: brew install c-ares), or build"
            " caravan with CARAVAN_CARES=static in the environment, which makes c-ares a part of the library"
    end;
%% 1: kOtherAbi in c_src/nif/nif.cpp.
explain(load, "Library load-call unsuccessful (1)" ++ _ = Text, _Exists) ->
    of_another_version(Text);
explain(bad_lib, Text, _Exists) ->
    of_another_version(Text);
explain(_Kind, Text, _Exists) ->
    Text.

of_another_version(Text) ->
    Text ++ " It was built from another version of caravan; " ++ compile_anew().

compile_anew() ->
    "compile the dependency anew (mix deps.compile caravan --force, rebar3 compile)".

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
