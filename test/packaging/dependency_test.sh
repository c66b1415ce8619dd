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

# expect_builds NUMBER OUTPUT: how many times the C++ library was built.
expect_builds() {
  expect_equal "$(grep -c '^Caravan: built' <<<"$2")" "$1"
}

# As in CI or an editor, two of them at once.
test_mix_environments_share_what_was_compiled() {
  copy_tree caravan
  make_mix_project taker '{:caravan, path: "../caravan"}'
  cd taker
  local environment second
  exec {second}< <(export MIX_ENV=test && mix compile 2>&1)
  expect_builds 1 "$(MIX_ENV=dev expect_success mix compile && cat <&"$second")"
  expect_builds 0 "$(MIX_ENV=prod expect_success mix compile)"
  for environment in dev test prod; do
    cmp ../caravan/priv/caravan_nif.so "_build/$environment/lib/caravan/priv/caravan_nif.so"
    expect_in "$(MIX_ENV=$environment expect_success mix run -e 'Taker.run()')" 'port 4834$'
  done
  expect_equal "$(ls _build)" "$(printf 'cmake-caravan-host\ndev\nprod\ntest')"
}

test_mix_build_directories_are_where_the_user_says() {
  copy_tree caravan
  make_mix_project taker '{:caravan, path: "../caravan"}'
  mkdir -p umbrella/apps
  mv taker umbrella/apps
  cd umbrella/apps/taker
  sed -i 's|{:caravan, path: "../caravan"}|{:caravan, path: "../../../caravan"}|' mix.exs
  MIX_BUILD_ROOT=$work/root expect_success mix compile
  expect_equal "$(ls "$work/root")" "$(printf 'cmake-caravan-host\ndev')"
  MIX_BUILD_PATH=$work/path expect_success mix compile
  expect_equal "$(ls "$work/path")" "$(printf 'cmake-caravan-host\nlib')"
  MIX_TARGET=board MIX_BUILD_ROOT=$work/root expect_success mix compile
  expect_equal "$(ls "$work/root")" "$(printf 'board_dev\ncmake-caravan-board\ncmake-caravan-host\ndev')"
  [ ! -e _build ]

  cat >../../mix.exs <<'END'
defmodule Umbrella.MixProject do
  use Mix.Project
  def project, do: [apps_path: "apps", deps: []]
end
END
  sed -i 's|version: "0.1.0",|& build_path: "../../_build", deps_path: "../../deps", lockfile: "../../mix.lock",|' mix.exs
  cd ../..
  expect_builds 1 "$(expect_success mix compile)"
  expect_builds 0 "$(cd apps/taker && expect_success mix compile)"
  expect_equal "$(ls _build)" "$(printf 'cmake-caravan-host\ndev')"
  [ ! -e apps/taker/_build ]
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

# Mix and rebar3 each write an .app file. Mix's adds elixir, and logger as an application that may be missing.
test_both_app_files_say_the_same() {
  copy_tree caravan
  cd caravan
  mix compile
  rebar3 compile
  erl -noshell -eval '
    Read = fun(File) ->
        {ok, [{application, caravan, Properties}]} = file:consult(File),
        Keys = [description, vsn, registered, mod, env, applications, optional_applications],
        lists:sort([{Key, proplists:get_value(Key, Properties, [])} || Key <- Keys])
    end,
    Mix = Read("_build/dev/lib/caravan/ebin/caravan.app"),
    Rebar3 = Read("_build/rebar3/default/lib/caravan/ebin/caravan.app"),
    Applications = proplists:get_value(applications, Rebar3) ++ [elixir, logger],
    OfMix = [{applications, Applications}, {optional_applications, [logger]}],
    Mix = lists:ukeymerge(1, OfMix, Rebar3),
    Modules = lists:sort([list_to_atom(filename:basename(File, ".erl")) || File <- filelib:wildcard("src/**/*.erl")]),
    [begin
         {ok, [{application, caravan, Properties}]} = file:consult(File),
         [] = Modules -- proplists:get_value(modules, Properties)
     end || File <- ["_build/dev/lib/caravan/ebin/caravan.app", "_build/rebar3/default/lib/caravan/ebin/caravan.app"]],
    halt().'
}
