# Completion of evdb in bash, 3.2 and later.

# The program that the line calls: the one that is typed, else that of the project around the working
# folder; behind npx the other way round.
__evdb_find() {
  local typed=$1 folder=$PWD
  [[ $typed == '~/'* ]] && typed=$HOME/${typed#'~/'}
  if [[ $typed != npx ]] && type -P -- "$typed" >/dev/null 2>&1; then
    printf '%s' "$typed"
    return 0
  fi
  while :; do
    if [[ -x $folder/node_modules/.bin/evdb ]]; then
      printf '%s' "$folder/node_modules/.bin/evdb"
      return 0
    fi
    [[ -n $folder ]] || break
    folder=${folder%/*}
  done
  type -P evdb
}

__evdb_complete() {
  local words=() word rest line=${COMP_LINE:0:COMP_POINT} i
  # readline ends words at = and : too, evdb does not.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    rest=${line#"${line%%[![:space:]]*}"}
    word=${COMP_WORDS[i]}
    ((i == COMP_CWORD)) && word=$rest
    if ((${#words[@]} > 0)) && [[ -n $line && $rest == "$line" ]]; then
      words[${#words[@]} - 1]+=$word
    else
      words+=("$word")
    fi
    line=${rest#"$word"}
  done
  local current=${words[${#words[@]} - 1]} before=
  # What stands before the = is no part of what readline puts in.
  [[ $current == -*=* && $COMP_WORDBREAKS != *=* ]] && before=${current%%=*}=

  COMPREPLY=()
  local program output value about directive=4
  program=$(__evdb_find "${words[0]}") || return 0
  output=$("$program" complete -- "${words[@]:1}" 2>/dev/null </dev/null) || return 0
  while IFS=$'\t' read -r value about; do
    case $value in
    :*) directive=${value#:} ;;
    ?*) COMPREPLY+=("$before$value") ;;
    esac
  done <<<"$output"

  # bash 3.2 knows no compopt: it then puts a space, sorts, and offers files where nothing is found.
  type compopt >/dev/null 2>&1 || return 0
  ((directive & 2)) && compopt -o nospace
  ((directive & 4)) && compopt +o default +o bashdefault
  ((directive & 16)) && compopt +o default +o bashdefault -o dirnames
  ((directive & 32)) && compopt -o nosort 2>/dev/null
  return 0
}

__evdb_complete_npx() {
  COMPREPLY=()
  [[ ${COMP_WORDS[1]} == evdb && COMP_CWORD -gt 1 ]] && __evdb_complete
  return 0
}

complete -o bashdefault -o default -F __evdb_complete evdb
complete -p npx >/dev/null 2>&1 || complete -o bashdefault -o default -F __evdb_complete_npx npx
