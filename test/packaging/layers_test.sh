# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# scripts/layers finds an arrow that points the wrong way, and says where.

# insert FILE LINE TEXT: the text becomes that line of the file.
insert() {
  sed -i "$2i $3" "$1"
}

test_the_layers_hold() {
  copy_tree caravan
  expect_equal "$(expect_success caravan/scripts/layers)" ""
}

test_a_call_upwards_is_found() {
  copy_tree caravan
  local file=caravan/src/base/caravan_topology_registry.erl last
  printf 'up() -> caravan_nif:is_dns_name(caravan_glue:family({0, 0, 0, 0})).\n' >>$file
  sed -i 's/^-export(\[/&up\/0, /' $file
  last=$(wc -l <$file)
  expect_equal "$(expect_failure caravan/scripts/layers)" \
    "src/base/caravan_topology_registry.erl:$last: calls src/dns/caravan_glue.erl, which does not lie below src/base"
}

# What the core decides is simulated: it is the same whenever and wherever it is called.
test_a_look_at_the_world_from_the_deciding_core_is_found() {
  copy_tree caravan
  local file=caravan/src/cluster/core/caravan_members.erl last
  printf 'world() -> {self(), rand:uniform(), maps:size(#{})}.\n' >>$file
  sed -i '0,/^-export(\[/s//&world\/0, /' $file
  last=$(wc -l <$file)
  expect_equal "$(expect_failure caravan/scripts/layers)" "\
src/cluster/core/caravan_members.erl:$last: calls erlang:self/0, but src/cluster/core may not use clocks, processes, tables and nodes
src/cluster/core/caravan_members.erl:$last: calls rand:uniform/0, but src/cluster/core may not use clocks, processes, tables and nodes"
}

# It closes cycles, and is what is wrong there.
test_a_call_upwards_that_closes_a_cycle_is_found_alone() {
  copy_tree caravan
  local file=caravan/src/base/caravan_task.erl
  printf "up() -> fun caravan_port:fixed/0.\n" >>$file
  sed -i '0,/^-export(\[/s//&up\/0, /' $file
  expect_equal "$(expect_failure caravan/scripts/layers)" \
    "src/base/caravan_task.erl:$(wc -l <$file): calls src/epmd/caravan_port.erl, which does not lie below src/base"
}

test_a_call_from_the_border_or_to_elixir_is_found() {
  copy_tree caravan
  local file=caravan/src/dns/caravan_nif.erl other=caravan/src/cluster/caravan_node_list.erl
  printf "up() -> caravan_event:execute([], #{}, #{}).\n" >>$file
  sed -i '0,/^-export(\[/s//&up\/0, /' $file
  printf "up() -> 'Elixir.Caravan':version().\n" >>$other
  sed -i '0,/^-export(\[/s//&up\/0, /' $other
  expect_equal "$(expect_failure caravan/scripts/layers)" "\
src/cluster/caravan_node_list.erl:$(wc -l <$other): calls Elixir.Caravan, which does not lie below src/cluster
src/dns/caravan_nif.erl:$(wc -l <$file): calls src/base/caravan_event.erl, which does not lie below it"
}

test_a_cycle_of_modules_is_found() {
  copy_tree caravan
  local file=caravan/src/epmd/caravan_port.erl output
  printf 'round() -> caravan_listen:first_family().\n' >>$file
  sed -i '0,/^-export(\[/s//&round\/0, /' $file
  output=$(expect_failure caravan/scripts/layers)
  expect_in "$output" "^src/epmd/caravan_port.erl:$(wc -l <$file): calls src/epmd/caravan_listen.erl, which reaches caravan_port again"
  expect_in "$output" '^src/epmd/caravan_listen.erl:[0-9]+: calls src/epmd/caravan_port.erl, which reaches'
}

test_an_include_that_points_upwards_is_found() {
  copy_tree caravan
  insert caravan/c_src/core/wire/srv.hpp 2 '#include "core/resolver/stats.hpp"'
  insert caravan/c_src/core/name/node_name.cpp 1 '#include "../system/hosts_file.hpp"'
  insert caravan/c_src/core/system/file_watch.cpp 1 '# include <erl_nif.h>'
  insert caravan/c_src/nif/term.cpp 1 '#include <ares.h>'
  expect_equal "$(expect_failure caravan/scripts/layers)" "\
c_src/core/name/node_name.cpp:1: includes c_src/core/system/hosts_file.hpp, which does not lie below c_src/core/name
c_src/core/system/file_watch.cpp:1: includes erl_nif.h, which only c_src/nif may include
c_src/core/wire/srv.hpp:2: includes c_src/core/resolver/stats.hpp, which does not lie below c_src/core/wire
c_src/nif/term.cpp:1: includes ares.h, which only c_src/core may include"
}

test_a_folder_that_has_no_layer_is_found() {
  copy_tree caravan
  mkdir caravan/src/misc caravan/c_src/misc
  touch caravan/c_src/misc/a.hpp
  printf -- '-module(caravan_misc).\n' >caravan/src/misc/caravan_misc.erl
  expect_equal "$(expect_failure caravan/scripts/layers)" "\
c_src/misc/a.hpp:1: c_src/misc is a folder that scripts/layers does not know
src/misc/caravan_misc.erl:1: src/misc is a folder that scripts/layers does not know"
}
