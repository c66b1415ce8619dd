# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# Caravan as a dependency of another project, in the ways that the two build tools know.

test_mix_path_dependency() {
  copy_tree caravan
  make_mix_project taker '{:caravan, path: "../caravan"}'
  expect_mix_project_works taker
}

test_mix_git_dependency() {
  copy_tree caravan
  commit_tree caravan
  make_mix_project taker "{:caravan, git: \"$work/caravan\", branch: \"main\"}"
  expect_mix_project_works taker
}

# An Erlang dependency in a Mix project can be built by rebar3; Mix does so when it is told to.
test_mix_dependency_built_by_rebar3() {
  copy_tree caravan
  make_mix_project taker '{:caravan, path: "../caravan", manager: :rebar3}'
  MIX_REBAR3=$(command -v rebar3) expect_mix_project_works taker
}

test_rebar3_git_dependency() {
  copy_tree caravan
  commit_tree caravan
  make_rebar3_project taker "{caravan, {git, \"file://$work/caravan\", {branch, \"main\"}}}"
  expect_rebar3_project_works taker
}

test_rebar3_checkout() {
  copy_tree caravan
  make_rebar3_project taker caravan
  mkdir taker/_checkouts
  ln -s ../../caravan taker/_checkouts/caravan
  expect_rebar3_project_works taker
}

test_package_in_a_mix_project() {
  copy_package caravan
  make_mix_project taker '{:caravan, path: "../caravan"}'
  expect_mix_project_works taker
}

test_package_in_a_rebar3_project() {
  copy_package caravan
  make_rebar3_project taker caravan
  mkdir taker/_checkouts
  mv caravan taker/_checkouts/caravan
  expect_rebar3_project_works taker
}

# Mix looks for Erlang files in the dependent's own erlc_paths, and in ours when it builds us.
test_package_in_a_mix_project_with_erlang_files_of_its_own() {
  copy_package caravan
  make_mix_project taker '{:caravan, path: "../caravan"}'
  sed -i 's/version: "0.1.0",/& erlc_paths: ["erl"],/' taker/mix.exs
  mkdir -p taker/erl/deep
  cat >taker/erl/deep/taker_port.erl <<'END'
-module(taker_port).
-export([of_name/1]).
-spec of_name(atom()) -> inet:port_number().
of_name(Name) -> caravan_epmd:dist_port(Name).
END
  sed -i 's/:caravan_nif.dist_port(/:taker_port.of_name(/' taker/lib/taker.ex
  expect_mix_project_works taker
}

# Mix and rebar3 each write an .app file; they differ in what Elixir adds.
test_both_app_files_say_the_same() {
  copy_tree caravan
  cd caravan
  mix compile
  rebar3 compile
  erl -noshell -eval '
    Read = fun(File) ->
        {ok, [{application, caravan, Properties}]} = file:consult(File),
        Keys = [description, vsn, registered, mod, env, applications],
        [{Key, proplists:get_value(Key, Properties)} || Key <- Keys]
    end,
    Mix = Read("_build/dev/lib/caravan/ebin/caravan.app"),
    Rebar3 = Read("_build/rebar3/default/lib/caravan/ebin/caravan.app"),
    Applications = proplists:get_value(applications, Rebar3) ++ [elixir],
    Mix = lists:keyreplace(applications, 1, Rebar3, {applications, Applications}),
    Modules = lists:sort([list_to_atom(filename:basename(File, ".erl")) || File <- filelib:wildcard("src/**/*.erl")]),
    [begin
         {ok, [{application, caravan, Properties}]} = file:consult(File),
         [] = Modules -- proplists:get_value(modules, Properties)
     end || File <- ["_build/dev/lib/caravan/ebin/caravan.app", "_build/rebar3/default/lib/caravan/ebin/caravan.app"]],
    halt().'
}
