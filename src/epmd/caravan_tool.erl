%% @private
%% Finds out which tool has started this VM, and tells where its users set the flags of the distribution.
-module(caravan_tool).

-export([tool/0, flags/1]).

-export_type([tool/0]).

-type tool() :: mix_release | mix | rebar3_shell | erl.

%% The start scripts of Mix releases export RELEASE_ROOT. Mix and rebar3 run in the VM of the node itself. A release of relx
%% cannot be distinguished from a plain `erl'.
-spec tool() -> tool().
tool() ->
    case {os:getenv("RELEASE_ROOT"), is_loaded('Elixir.Mix'), is_loaded(rebar_prv_shell)} of
        {_, true, _} -> mix;
        {_, _, true} -> rebar3_shell;
        {Root, _, _} when Root =/= false -> mix_release;
        _ -> erl
    end.

is_loaded(Module) ->
    code:is_loaded(Module) =/= false.

%% Returns what to add, and where, as a continuation of "add ".
-spec flags(tool() | term()) -> string().
flags(mix_release) ->
    "the lines \"-start_epmd false\" and \"-epmd_module Elixir.Caravan.Epmd.Client\" to rel/vm.args.eex";
%% With --name or --sname the distribution would start before Mix has added Caravan to the code path.
flags(mix) ->
    "--erl \"-epmd_module caravan_epmd\" to the iex command, and replace --name or --sname by "
    "-S mix run -e 'Node.start(:\"NAME-PORT@HOST\")', which starts the distribution after Mix has compiled";
flags(rebar3_shell) ->
    "ERL_FLAGS=\"-start_epmd false -epmd_module caravan_epmd\" before rebar3 shell";
flags(_) ->
    "the lines \"-start_epmd false\" and \"-epmd_module caravan_epmd\" to vm.args".
