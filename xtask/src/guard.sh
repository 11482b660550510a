# Runs a program that must not outlive its parent, see guard.rs.
#   $1       seconds between asking the program to end and ending it
#   $2 …     the program and its arguments
#   stdin    the parent's pipe: it ends when the parent does, by whatever means; a line "kill" asks for SIGKILL at once
#   stdout   tells the program's process id
#   stderr   the log of the program
grace=$1
shift
exec 3<&0 </dev/null

"$@" 3<&- >&2 &
program=$!
echo "$program"
exec >&2

(
    while read -r word <&3; do
        [ "$word" = kill ] && kill -KILL "$program"
    done
    kill -TERM "$program"
    while [ "$grace" -gt 0 ] && kill -0 "$program"; do
        sleep 1
        grace=$((grace - 1))
    done
    kill -KILL "$program"
) 2>/dev/null &
watcher=$!
exec 3<&-

# What the shell says of a killed child is no part of the program's log.
exec 2>/dev/null
wait "$program"
status=$?
kill -KILL "$watcher"
wait "$watcher"
exit "$status"
