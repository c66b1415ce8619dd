%% @private
%% The tool that has started this VM, and where it takes the flags of the distribution from.
-module(caravan_tool).

-export([tool/0, flags/1]).

-export_type([tool/0]).

-type tool() :: mix_release | mix | rebar3_shell | erl.

%% The scripts of Mix' releases export RELEASE_ROOT, and Elixir is in the release; the other two are programs that run in
%% the VM of the node. relx leaves no trace that says more than the command line.
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

%% What to add and where, after "add ".
-spec flags(tool() | term()) -> string().
flags(mix_release) ->
    "the lines \"-start_epmd false\" and \"-epmd_module Elixir.Caravan.Epmd.Client\" to rel/vm.args.eex";
%% With --name or --sname the distribution starts before Mix has put Caravan on the path.
flags(mix) ->
    "--erl \"-epmd_module caravan_epmd\" to the command iex, and start the distribution when Mix has compiled, by "
    "-S mix run -e 'Node.start(:\"NAME-PORT@HOST\")' in the place of --name or --sname";
flags(rebar3_shell) ->
    "ERL_FLAGS=\"-start_epmd false -epmd_module caravan_epmd\" before rebar3 shell";
flags(_) ->
    "the lines \"-start_epmd false\" and \"-epmd_module caravan_epmd\" to vm.args".
