# The program that the line calls: the one that is typed, else that of the project around the working
# folder; behind npx the other way round.
__evdb_run() {
    local typed=${~words[1]} folder=$PWD
    if [[ -z $__evdb_npx ]] && whence -p -- "$typed" >/dev/null; then
        command "$typed" "$@" </dev/null
        return
    fi
    while [[ ! -x $folder/node_modules/.bin/evdb && $folder != / ]]; do
        folder=${folder:h}
    done
    local found=$folder/node_modules/.bin/evdb
    [[ -x $found ]] || found=$(whence -p evdb) || return 1
    "$found" "$@" </dev/null
}

_evdb_npx() {
    if [[ $words[2] == evdb ]] && (( CURRENT > 2 )); then
        local __evdb_npx=1
        shift words
        (( CURRENT-- ))
        _evdb "$@"
    else
        _default "$@"
    fi
}

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
(( $+_comps[npx] )) || compdef _evdb_npx npx
