# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# CARAVAN_PREBUILT: a compiled library is taken when its checksum is one of the package, and in all other cases the build goes on
# from source and says why. Most libraries here are a few octets, since nobody loads them.

library=caravan/priv/caravan_nif.so
target=$(uname -m)-linux-gnu

build() {
  cmake "-DBUILD_DIR=$work/build" -P caravan/cmake/build.cmake
}

library_name() {
  local version
  version=$(sed -nE 's/.*[{]vsn, "(.*)"[}].*/\1/p' "$root/src/caravan.app.src")
  printf 'caravan_nif-%s-%s.so' "$version" "${1:-$target}"
}

# publish DIRECTORY FILE: puts it there as the library of this version and machine, and its checksum into the package.
publish() {
  mkdir -p "$1"
  cp "$2" "$1/$(library_name)"
  (cd "$1" && sha256sum "$(library_name)") >>caravan/cmake/prebuilt.sha256
}

publish_octets() {
  echo 'octets of a library' >octets
  publish "$work/prebuilt" octets
}

# expect_refused PREBUILT PATTERN: the reason, in one line; then the build goes on, and fails for want of a compiler.
expect_refused() {
  local said
  said=$(CARAVAN_PREBUILT=$1 CXX=/nonexistent expect_failure build)
  expect_equal "$(grep -c 'no prebuilt library is taken' <<<"$said")" 1
  expect_in "$said" "^Caravan: no prebuilt library is taken from .*: $2"
  expect_in "$said" '^Caravan: building its C\+\+ library$'
  expect_in "$said" '^ +a C\+\+ compiler'
  expect_equal "$(find caravan/priv build/prebuilt -name '*.so' 2>/dev/null)" ""
}

# A PATH with what the build tools and shells call, and nothing that compiles C++.
path_without_compiler() {
  local file
  mkdir "$work/bin"
  for file in /bin/* /usr/bin/* /usr/local/bin/*; do
    ln -sf "$file" "$work/bin/"
  done
  (cd "$work/bin" && rm -f ./*g++* ./*gcc* ./*clang* c++* cc c89* c99* make gmake ninja ninja-build pkg-config pkgconf)
  printf '%s' "$work/bin"
}

test_prebuilt_library_needs_no_compiler_and_loads() {
  copy_tree compiled
  (CARAVAN_CARES=static cmake "-DBUILD_DIR=$work/compiled/build" -P compiled/cmake/build.cmake)
  copy_package caravan
  publish "$work/prebuilt" compiled/priv/caravan_nif.so
  cp -R caravan other
  export CARAVAN_PREBUILT=$work/prebuilt PKG_CONFIG_LIBDIR=/nonexistent
  PATH=$(path_without_compiler)
  export PATH
  make_mix_project mix_taker '{:caravan, path: "../caravan"}'
  make_rebar3_project rebar3_taker caravan
  mkdir rebar3_taker/_checkouts
  mv other rebar3_taker/_checkouts/caravan
  expect_in "$(cd mix_taker && expect_success mix compile)" "^Caravan: took $(library_name) from $work/prebuilt$"
  ! grep 'Caravan: ' <<<"$(cd mix_taker && mix compile 2>&1)" || fail 'a build with nothing to do says something'
  (expect_mix_project_works mix_taker)
  (expect_rebar3_project_works rebar3_taker)
}

test_prebuilt_library_is_installed_once_and_stays_until_the_variable_goes() {
  copy_tree caravan
  publish_octets
  export CARAVAN_PREBUILT=$work/prebuilt
  expect_equal "$(build 2>&1)" "Caravan: took $(library_name) from $work/prebuilt"
  cmp octets $library
  # What was taken does not need its source any more.
  rm -r prebuilt
  echo another >$library
  expect_equal "$(build 2>&1)" ""
  cmp octets $library
  unset CARAVAN_PREBUILT
  expect_in "$(build 2>&1)" '^Caravan: built its C\+\+ library'
  expect_equal "$(exported_symbols $library)" 'T nif_init'
}

test_prebuilt_library_that_cannot_be_taken_is_built_from_source_and_tried_again() {
  copy_tree caravan
  publish_octets
  mv "prebuilt/$(library_name)" .
  export CARAVAN_PREBUILT=$work/prebuilt
  local said
  said=$(build 2>&1)
  expect_equal "$(sed 1q <<<"$said")" "Caravan: no prebuilt library is taken from $work/prebuilt: there is no $(library_name)"
  expect_in "$said" '^Caravan: built its C\+\+ library'
  expect_equal "$(exported_symbols $library)" 'T nif_init'
  expect_equal "$(build 2>&1)" ""
  mv "$(library_name)" prebuilt
  touch -d '2001-01-01 00:00:00' prebuilt
  expect_equal "$(build 2>&1)" "Caravan: took $(library_name) from $work/prebuilt"
  cmp octets $library
}

test_prebuilt_library_with_another_checksum_is_refused() {
  copy_tree caravan
  publish_octets
  echo more >>"prebuilt/$(library_name)"
  # A checksum beside it proves as much as the file itself.
  (cd prebuilt && sha256sum "$(library_name)" >"$(library_name).sha256" && cp "$(library_name).sha256" prebuilt.sha256)
  expect_refused "$work/prebuilt" 'the checksum of .* differs: it is [0-9a-f]{64}, and this package has [0-9a-f]{64}$'
}

test_prebuilt_library_whose_checksum_nobody_knows_is_refused() {
  copy_tree caravan
  publish_octets
  # One of an earlier version, of another machine, a name that is longer, half a line, and one that is there twice.
  local sum name lines
  sum=$(sha256sum octets | cut -d ' ' -f 1)
  name=$(library_name)
  for lines in "$sum  caravan_nif-0.9.0-$target.so" "$sum  $(library_name other-linux-gnu)" "$sum  $name.so" "${sum:1}  $name" "$sum" \
    "$sum  $name"$'\n'"$sum  $name"; do
    printf '%s\n' "$lines" >caravan/cmake/prebuilt.sha256
    expect_refused "$work/prebuilt" "this package has no checksum for $name$"
  done
}

test_prebuilt_library_of_an_earlier_version_is_refused() {
  copy_tree caravan
  publish_octets
  mv "prebuilt/$(library_name)" "prebuilt/caravan_nif-0.9.0-$target.so"
  expect_refused "$work/prebuilt" "there is no $(library_name)$"
  echo 'octets of an earlier library' >"prebuilt/$(library_name)"
  expect_refused "$work/prebuilt" 'the checksum of .* differs'
}

test_prebuilt_library_that_is_no_regular_file_or_too_large_is_refused() {
  copy_tree caravan
  publish_octets
  local file
  file=prebuilt/$(library_name)
  : >"$file"
  expect_refused "$work/prebuilt" ".* is empty, or no regular file$"
  ln -sf /dev/zero "$file"
  expect_refused "$work/prebuilt" ".* is empty, or no regular file$"
  ln -sf /nonexistent "$file"
  expect_refused "$work/prebuilt" "there is no "
  rm "$file"
  mkfifo "$file"
  expect_refused "$work/prebuilt" ".* is empty, or no regular file$"
  rm "$file"
  mkdir "$file"
  expect_refused "$work/prebuilt" ".* is empty, or no regular file$"
  rmdir "$file"
  truncate -s 1T "$file"
  expect_refused "$work/prebuilt" "it is too large, or takes too long"
  # Behind file:// nobody looks at the kind of file first.
  ln -sf /dev/zero "$file"
  expect_refused "file://$work/prebuilt" "it is too large, or takes too long"
}

# A link is followed; what is installed is a file of its own, which others cannot write.
test_prebuilt_library_behind_a_link_is_copied() {
  copy_tree caravan
  publish_octets
  mv "prebuilt/$(library_name)" elsewhere
  chmod 666 elsewhere
  ln -s "$work/elsewhere" "prebuilt/$(library_name)"
  CARAVAN_PREBUILT=$work/prebuilt build
  cmp octets $library
  [ ! -L $library ] || fail 'the library is a link'
  expect_equal "$(stat -c %a $library)" 644
}

test_prebuilt_library_by_file_url() {
  copy_tree caravan
  publish_octets
  expect_equal "$(CARAVAN_PREBUILT=file://$work/prebuilt/ build 2>&1)" "Caravan: took $(library_name) from file://$work/prebuilt/"
  cmp octets $library
}

test_prebuilt_library_from_a_place_that_is_no_place_is_refused() {
  copy_tree caravan
  publish_octets
  local scheme
  for scheme in http ftp HTTP git+https; do
    expect_refused "$scheme://127.0.0.1:1/$work/prebuilt" 'of URLs, those of https:// and file:// are taken$'
  done
  expect_refused prebuilt 'it is neither an absolute directory nor a URL$'
  expect_refused "$work/nowhere" "there is no $(library_name)$"
  expect_refused https://127.0.0.1:1 '.* cannot be downloaded: '
}

test_prebuilt_password_is_not_printed() {
  copy_tree caravan
  publish_octets
  local said
  said=$(CARAVAN_PREBUILT=https://me:s3@cret@127.0.0.1:1/a@b CXX=/nonexistent expect_failure build)
  expect_in "$said" 'taken from https://127\.0\.0\.1:1/a@b: '
  ! grep 'cret' <<<"$said" || fail 'the password is printed'
}

# serve_https MODE: openssl answers for $work/prebuilt with a certificate for 127.0.0.1 that nobody else has signed.
serve_https() {
  [ -e key.pem ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -days 2 -subj /CN=127.0.0.1 \
    -addext subjectAltName=IP:127.0.0.1 2>/dev/null
  port=$(unused_port)
  exec {server_output}< <(cd prebuilt && exec openssl s_server -key ../key.pem -cert ../certificate.pem -accept "127.0.0.1:$port" "$1" 2>&1)
  server=$!
  trap 'kill -KILL $server 2>/dev/null || true' EXIT
  local line
  while read -r -t 60 -u "$server_output" line; do
    [ "$line" != ACCEPT ] || return 0
  done
  fail 'openssl does not serve'
}

# with_certificate COMMAND...: where the certificate is one of the machine's.
with_certificate() {
  # shellcheck disable=SC2016 # the inner shell's variables
  unshare --mount --map-root-user sh -c 'mount --bind certificate.pem /etc/ssl/certs/ca-certificates.crt && exec "$@"' sh "$@"
}

test_prebuilt_library_over_https() {
  copy_tree caravan
  publish_octets
  serve_https -WWW
  expect_refused "https://127.0.0.1:$port" '.* cannot be downloaded: .*(SSL|certificate)'
  with_certificate true 2>/dev/null || skip 'https with a certificate of this test: no mounts can be had here'
  export CARAVAN_PREBUILT=https://127.0.0.1:$port
  expect_equal "$(with_certificate cmake "-DBUILD_DIR=$work/build" -P caravan/cmake/build.cmake 2>&1)" \
    "Caravan: took $(library_name) from https://127.0.0.1:$port"
  cmp octets $library
}

# The server promises more octets than it sends, and those are the file.
test_prebuilt_library_that_arrives_in_part_is_refused() {
  copy_tree caravan
  publish_octets
  { printf 'HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n' && cat octets; } >"prebuilt/$(library_name)"
  serve_https -HTTP
  with_certificate true 2>/dev/null || skip 'https with a certificate of this test: no mounts can be had here'
  export CARAVAN_PREBUILT=https://127.0.0.1:$port CXX=/nonexistent
  expect_in "$(expect_failure with_certificate cmake "-DBUILD_DIR=$work/build" -P caravan/cmake/build.cmake)" \
    '^Caravan: no prebuilt library is taken from .* cannot be downloaded: '
  [ ! -e $library ] || fail 'a part of a library is installed'
}

# make_emulator E_MACHINE INTERPRETER: an OTP below $work/otp whose emulator has this header.
make_emulator() {
  mkdir -p otp/erts-1.0/bin
  printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0%b%s\0' "$1" "$2" >otp/erts-1.0/bin/beam.smp
}

test_prebuilt_library_is_for_the_machine_and_the_c_library_of_the_vm() {
  copy_tree caravan
  publish_octets
  export ERLANG_ROOT_DIR=$work/otp
  local machine interpreter expected
  while read -r machine interpreter expected; do
    : >caravan/cmake/prebuilt.sha256
    make_emulator "$machine" "$interpreter"
    expect_refused "$work/prebuilt" "this package has no checksum for $(library_name "$expected")$"
  done <<'END'
\76\0 /lib64/ld-linux-x86-64.so.2 x86_64-linux-gnu
\76\0 /nix/store/x-glibc-2.38/lib/ld-linux-x86-64.so.2 x86_64-linux-gnu
\76\0 /lib/ld-musl-x86_64.so.1 x86_64-linux-musl
\267\0 /lib/ld-linux-aarch64.so.1 aarch64-linux-gnu
\267\0 /lib/ld-musl-aarch64.so.1 aarch64-linux-musl
END
  make_emulator '\363\0' /lib/ld-linux-riscv64-lp64d.so.1
  expect_refused "$work/prebuilt" 'prebuilt libraries are for Linux on x86_64 and aarch64 only$'
  make_emulator '\76\0' ''
  expect_refused "$work/prebuilt" 'prebuilt libraries are for Linux on x86_64 and aarch64 only$'
  export ERLANG_ROOT_DIR=$work/nowhere
  expect_refused "$work/prebuilt" 'prebuilt libraries are for Linux on x86_64 and aarch64 only$'
}

test_prebuilt_library_is_refused_where_the_build_is_for_another_machine_or_shared() {
  copy_tree caravan
  publish_octets
  CROSSCOMPILE=/opt/bin/aarch64-linux-gnu expect_refused "$work/prebuilt" 'CROSSCOMPILE is set'
  MIX_TARGET=board expect_refused "$work/prebuilt" 'MIX_TARGET is board'
  CARAVAN_CARES=shared expect_refused "$work/prebuilt" 'CARAVAN_CARES is shared, and a prebuilt library has c-ares in it$'
  printf '#!/bin/sh\necho other-linux-gnu\n' >other
  chmod +x other
  local said
  said=$(CARAVAN_PREBUILT=$work/prebuilt CXX=$work/other expect_failure build)
  expect_in "$said" 'no prebuilt library is taken from .*: CXX compiles for other-linux-gnu'
}

test_prebuilt_library_for_a_later_glibc_is_refused() {
  getconf GNU_LIBC_VERSION || skip 'there is no glibc'
  copy_tree caravan
  printf 'octets\0GLIBC_2.4\0GLIBC_9.9\0' >octets
  publish "$work/prebuilt" octets
  expect_refused "$work/prebuilt" 'it needs glibc 9\.9, and this machine has 2\.[0-9]+$'
}
