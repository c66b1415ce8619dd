# Reads what AddressSanitizer has written in VMs, and prints what is wrong with us: an error, whoever made it, and leaks with one of our
# frames. Exits with 1 if there is any, or no report at all: each VM has leaks of its own, so that then none had the sanitizer. A report of
# leaks has an empty line after each of them.
/ERROR: AddressSanitizer|runtime error:|AddressSanitizer: CHECK failed/ { is_error = 1 }
/ERROR: LeakSanitizer/ { reports++; is_error = 0 }
is_error { print; bad = 1; next }
/^(Direct|Indirect) leak/ { block = ""; is_block = 1 }
is_block { block = block $0 "\n" }
is_block && /^$/ {
  is_block = 0
  leaks++
  if (block ~ /caravan_nif|c_src\//) {
    printf "%s", block
    bad = 1
  }
}
END {
  if (!reports) {
    print "no VM has run under AddressSanitizer"
    exit 1
  }
  printf "%d processes with leaks, %d leaks%s\n", reports, leaks, bad ? ", and those or errors above are ours" : ", none of them ours"
  exit bad
}
