# The program that the line calls: the one that is typed, else that of the project around the working
# folder; behind npx the other way round.
function __evdb_run
    set -l typed (commandline -opc)[1]
    if test "$typed" != npx; and type -q -f -- "$typed"
        command $typed $argv </dev/null
        return
    end
    set -l folder $PWD
    while not test -x "$folder/node_modules/.bin/evdb"; and test "$folder" != /
        set folder (dirname -- $folder)
    end
    set -l found "$folder/node_modules/.bin/evdb"
    test -x "$found"; or set found (type -p evdb); or return 1
    $found $argv </dev/null
end

function __evdb_is_npx
    set -l words (commandline -opc)
    test (count $words) -gt 1; and test "$words[2]" = evdb
end
