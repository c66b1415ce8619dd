# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# CARAVAN_CARES=static: c-ares and the C++ runtime in the library, for images that have neither.

library=caravan/priv/caravan_nif.so

build() {
  cmake "-DBUILD_DIR=$work/build" -P caravan/cmake/build.cmake
}

# expect_nothing_but_the_c_library LIBRARY
expect_nothing_but_the_c_library() {
  local dynamic needed
  dynamic=$(readelf --dynamic --wide "$1")
  needed=$(sed -nE 's/.*\(NEEDED\).*\[(.*)\]$/\1/p' <<<"$dynamic")
  expect_in "$needed" '^libc[.]'
  ! grep -vE '^(libc|libm|ld-linux[a-z0-9-]*)[.]' <<<"$needed" || fail "the library needs more than the C library"
  ! grep TEXTREL <<<"$dynamic" || fail "the loader has to write into the code"
  ! readelf --version-info --wide "$1" | grep -E 'GLIBCXX|CXXABI|GCC_' || fail "the library needs symbols of the C++ runtime"
}

test_a_static_library_needs_only_the_c_library_and_exports_nothing_but_nif_init() {
  copy_tree caravan
  local said version
  said=$(CARAVAN_CARES=static build 2>&1)
  version=$(pkg-config --modversion libcares)
  expect_in "$said" "^Caravan: linked into it: c-ares $version \(/.*/libcares\.a\), libstdc\+\+ and libgcc$"
  expect_equal "$(exported_symbols $library)" "T nif_init"
  expect_nothing_but_the_c_library $library
  erlc -o . caravan/src/dns/caravan_nif.erl
  CARAVAN_NIF_DIR=caravan/priv erl -noshell -pa . -eval "
    ok = caravan_nif:load(),
    #{c_ares := #{version := V, built_against := V, linked := static}} = caravan_nif:versions(),
    <<\"$version\">> = V,
    halt()."

  # The variable counts in the fingerprint, and shared is the default.
  said=$(build 2>&1)
  ! grep linked <<<"$said" || fail "something was linked into the shared library"
  expect_in "$(readelf --dynamic $library)" 'NEEDED.*libcares'
  expect_equal "$(exported_symbols $library)" "T nif_init"
}

test_another_value_is_an_error() {
  copy_tree caravan
  expect_in "$(CARAVAN_CARES=dynamic expect_failure build)" 'CARAVAN_CARES is "dynamic", and can be "shared" or "static"'
}

# As in Alpine, where the archive is a package of its own.
test_without_an_archive_its_package_is_named() {
  copy_tree caravan
  mkdir -p cares/pkgconfig
  sed "s|^libdir=.*|libdir=$work/cares|" "$(pkg-config --variable=pcfiledir libcares)/libcares.pc" >cares/pkgconfig/libcares.pc
  ln -s "$(pkg-config --variable=libdir libcares)/libcares.so" cares/
  export PKG_CONFIG_LIBDIR=$work/cares/pkgconfig
  local said
  said=$(CARAVAN_CARES=static expect_failure build)
  expect_in "$said" "^ +libcares\.a in $work/cares, for CARAVAN_CARES=static "
  expect_in "$said" 'apt-get install libc-ares-dev$'
  expect_in "$said" 'apk add c-ares-static$'
  expect_in "$said" 'brew install c-ares$'
}

test_an_archive_that_has_changed_is_linked_anew() {
  copy_tree caravan
  mkdir -p cares/pkgconfig
  sed "s|^libdir=.*|libdir=$work/cares|" "$(pkg-config --variable=pcfiledir libcares)/libcares.pc" >cares/pkgconfig/libcares.pc
  cp "$(pkg-config --variable=libdir libcares)/libcares.a" cares/
  export PKG_CONFIG_LIBDIR=$work/cares/pkgconfig CARAVAN_CARES=static
  build
  expect_equal "$(build 2>&1)" ""
  touch -d '2001-01-01 00:00:00' cares/libcares.a
  expect_in "$(build 2>&1)" "linked into it: .*$work/cares/libcares\.a"
}

test_the_package_has_the_licence_of_cares() {
  copy_package caravan
  expect_in "$(cat caravan/NOTICE)" 'c-ares'
  expect_in "$(cat caravan/NOTICE)" 'Permission is hereby granted, free of charge'
}

# needed_libraries FILE...: the files that the loader maps for them.
needed_libraries() {
  ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// && $1 !~ /:$/ { print $1 }' | sort -u
}

# make_root DIRECTORY RELEASE: as little as the release runs in. That it has no c-ares is the point of it. OTP itself, where it
# is built with its JIT, needs libstdc++, and then that is there for the VM.
make_root() {
  local directory tool
  local -a binaries=()
  for directory in bin lib lib64; do
    if [ -L "/$directory" ]; then
      ln -s "usr/$directory" "$1/$directory"
    fi
  done
  cp -R "$2/." "$1/app/"
  # What the scripts of releases call.
  for tool in sh readlink dirname basename cut sed cat grep dd od awk mkdir date; do
    binaries+=("$(command -v $tool)")
  done
  while IFS= read -r tool; do
    binaries+=("$tool")
  done < <(find "$2"/erts-*/bin -type f -exec sh -c 'head -c 4 "$1" | grep -q ELF' sh {} \; -print)
  needed_libraries "${binaries[@]}" >libraries
  for tool in "${binaries[@]}"; do
    [[ $tool == "$2"/* ]] || cp -L --parents "$tool" "$1"
  done
  xargs cp -L --parents -t "$1" <libraries
  [ -z "$(find "$1" -name 'libcares*')" ] || fail "the root has a c-ares"
  if needed_libraries "$2"/erts-*/bin/beam.smp | grep 'libstdc++'; then
    echo 'the VM itself needs libstdc++, so the root has one'
  else
    [ -z "$(find "$1" -name 'libstdc++*')" ] || fail "the root has a libstdc++"
  fi
}

namespaces=(--mount --propagation private --pid --fork --kill-child)

# start_dns_server: $nameserver answers for app.test.
start_dns_server() {
  mkdir "$work/support"
  erlc -o "$work/support" "$root"/test/support/caravan_dns_*.erl
  exec {server_output}< <(exec erl -noshell -pa "$work/support" -eval '
    {ok, Server} = caravan_dns_server:start_link(#{}),
    ok = caravan_dns_server:put(Server, "app.test", srv, [{srv, 30, 0, 0, 4370, "a.test"}]),
    io:format("~s~n", [caravan_dns_server:nameserver(Server)]),
    receive after infinity -> ok end.')
  server=$!
  trap 'kill -KILL $node $server 2>/dev/null || true' EXIT
  read -r -t 60 -u "$server_output" nameserver
}

test_a_static_release_runs_where_there_is_no_cares_and_a_shared_one_says_what_to_do() {
  [ "$(id -u)" -eq 0 ] || namespaces+=(--map-root-user)
  mkdir -p root/{dev,proc,tmp,app,usr/bin,usr/lib,usr/lib64}
  # The command sees the devices of this machine and the network. What it leaves behind ends with it.
  # shellcheck disable=SC2016 # the inner shell's variables
  local -a in_root=(unshare "${namespaces[@]}" sh -c '
    mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" && shift && exec "$@"' sh "$work/root")
  "${in_root[@]}" true || skip 'a static release in a root of its own: no mounts can be had here'
  in_root+=(chroot "$work/root")
  copy_tree caravan
  export MIX_ENV=prod
  local release=$work/caravan/examples/mix_app/_build/prod/rel/mix_app
  (cd caravan/examples/mix_app && CARAVAN_CARES=static mix release)
  expect_nothing_but_the_c_library "$release"/lib/caravan-*/priv/caravan_nif.so
  make_root "$work/root" "$release"

  DIST_PORT=$(unused_port) ERL_EPMD_PORT=$(unused_port)
  export DIST_PORT ERL_EPMD_PORT LC_ALL=C.UTF-8 PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/tmp
  local name="mix_app-$DIST_PORT@127.0.0.1" said
  start_dns_server
  start_node "${in_root[@]}" /app/bin/mix_app start
  await_line "members: .*$name"
  said=$("${in_root[@]}" /app/bin/mix_app rpc "
    {:ok, answer} = :caravan_dns.lookup(\"app.test\", :srv, %{nameservers: [\"$nameserver\"]})
    [%{port: 4370, target: \"a.test\"}] = answer.records
    %{c_ares: %{linked: linked, version: version}} = :caravan_nif.versions()
    IO.puts(\"#{linked} #{version}\")")
  expect_in "$said" "^static $(pkg-config --modversion libcares)$"
  "${in_root[@]}" /app/bin/mix_app stop
  await_end 0

  (cd caravan/examples/mix_app && mix release --overwrite)
  rm -r root/app
  cp -R "$release" root/app
  start_node "${in_root[@]}" /app/bin/mix_app start
  await_end 1
  said=$(grep '^caravan: ' <<<"$output")
  expect_equal "$(wc -l <<<"$said")" 1
  expect_in "$said" '^caravan: cannot load /app/lib/.*/caravan_nif\.so: .*libcares\.so\.2: cannot open shared object file'
  expect_in "$said" 'install c-ares \(Debian 13: libcares2, Debian 12: libc-ares2'
  expect_in "$said" 'build caravan with CARAVAN_CARES=static'
}
