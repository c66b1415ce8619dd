# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# Documents as scripts. Of the fenced blocks in a section, those of language sh are commands, and those whose first line is a
# comment that begins with a path are files. Other blocks are an error.
# A paragraph of commands runs as a whole; all of them run in one shell. Where lines that begin with "#=>" end it, it runs until
# it prints these, since nodes take a moment to start and to be found.

# How many times a paragraph may run until it prints what the document says. One that gets there has failed.
tries=150

# The node whose shell a document gets.
shell_node=''

# headings FILE: those of the second level.
headings() {
  awk '/^```/ { fenced = !fenced } !fenced && /^## /' "$1"
}

# section FILE HEADING: what stands below the heading, as far as the next one of its level or above.
section() {
  awk -v heading="$2" '
    /^```/ { fenced = !fenced }
    !fenced && /^#+ / { level = length($1); if (inside && level <= own) exit }
    inside { print }
    !fenced && $0 == heading { inside = 1; own = level }
  ' "$1"
}

# run_section FILE HEADING: does what the blocks of a section say, in the current directory.
run_section() {
  local line language='' text='' lines=()
  mapfile -t lines < <(section "$1" "$2")
  [[ ${#lines[@]} -gt 0 ]] || fail "$1 has no section '$2'"
  printf '\n%s\n' "$2"
  for line in "${lines[@]}"; do
    if [[ $line != '```'* ]]; then
      [[ -z $language ]] || text+=$line$'\n'
    elif [[ -z $language ]]; then
      language=${line#'```'} text=''
      [[ -n $language ]] || language=none
    else
      run_block "$language" "$text"
      language=''
    fi
  done
}

run_block() {
  local path='^(#|%%) ([[:alnum:]_./]+)'
  if [[ $1 = sh ]]; then
    run_commands "$2"
  elif [[ ${2%%$'\n'*} =~ $path ]]; then
    printf 'writes %s\n' "${BASH_REMATCH[2]}"
    mkdir -p "$(dirname "${BASH_REMATCH[2]}")"
    printf '%s' "${2//"$placeholder"/"file://$work/caravan"}" >"${BASH_REMATCH[2]}"
  else
    fail "neither commands nor a file: $2"
  fi
}

# Where the documents say that Caravan is.
placeholder=https://git.example.com/caravan.git

run_commands() {
  local line paragraph='' expected='' lines=()
  mapfile -t lines <<<"$1"
  for line in "${lines[@]}"; do
    case $line in
      '#=> '*) expected+=${line#'#=> '}$'\n' ;;
      '')
        run_paragraph "$paragraph" "${expected%$'\n'}"
        paragraph='' expected=''
        ;;
      *) paragraph+=$line$'\n' ;;
    esac
  done
}

run_paragraph() {
  [[ -n $1 ]] || return 0
  printf '%s' "$1" | sed 's/^/  $ /'
  if [[ $1 =~ (iex\ .*|\ remote)$'\n'$ ]]; then
    # shellcheck disable=SC2016 # Elixir's
    expect_shell "$1" 'IO.puts("shell of #{node()}")'
  elif [[ $1 =~ (\ -remsh\ .*|\ remote_console)$'\n'$ ]]; then
    expect_shell "$1" 'io:format("shell of ~s~n", [node()]).'
  elif [[ -z $2 ]]; then
    eval "$1"
  else
    await_output "$1" "$2"
  fi
}

# Nothing tells when a command would print something else; so it runs again and again.
await_output() {
  local attempt printed=''
  for ((attempt = 0; attempt < tries; attempt++)); do
    printed=$(eval "$1" 2>"$work/errors") || true
    [[ $printed != "$2" ]] || return 0
    read -r -t 0.2 <>"$work/never" || true
  done
  fail "'$printed' is not '$2': $(cat "$work/errors")"
}

# expect_shell COMMANDS EXPRESSION: they give a shell of the node, whose name the expression prints. The terminal shows the
# expression as well, and from OTP 26 on what comes of it may follow a prompt on its line.
expect_shell() {
  local keyboard screen line shown='' typed=1
  # What the document has set and defined, for the shell that script(1) starts.
  { declare -p | grep -vE '^declare -[[:alpha:]]*r' && declare -f; } >"$work/session"
  printf 'source %q 2>/dev/null\n%s' "$work/session" "$1" >"$work/shell"
  mkfifo "$work/keyboard" "$work/screen"
  # Shells of releases want a terminal, and with a dumb one OTP 25 gives a shell of another node.
  TERM=vt100 script -qefc "$BASH $work/shell" /dev/null <"$work/keyboard" >"$work/screen" 2>&1 &
  exec {keyboard}>"$work/keyboard" {screen}<"$work/screen"
  printf '%s\n' "$2" >&"$keyboard"
  # What is typed before the shell of the other node has taken the terminal over may be lost, so it is typed again.
  while ((typed < 20)); do
    if ! IFS= read -r -t 5 -u "$screen" line; then
      printf '%s\n' "$2" >&"$keyboard"
      typed=$((typed + 1))
      continue
    fi
    if [[ $line = *"shell of $shell_node"* ]]; then
      kill %%
      wait %% || true
      exec {keyboard}>&- {screen}<&-
      rm "$work/keyboard" "$work/screen"
      return 0
    fi
    shown+=$line$'\n'
  done
  fail "the shell is none of $shell_node: $shown"
}
