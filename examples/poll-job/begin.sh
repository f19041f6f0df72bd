# Sourced: starts the job of a task, once however often the task is tried. Its folder is named by the key of the task.
#
# What a command leaves behind is ended with it, but for what has a process group of its own; `timeout` gives it one, and a bound.
begin() {
    job="work/$OARLOCK_IDEMPOTENCY_KEY"
    mkdir -p work
    mkdir "$job" 2>/dev/null && {
        timeout 60 sh job.sh "$1" "$job" < /dev/null > /dev/null 2>&1 &
    }
    # It is on its own once it has told its first state. One that never did, because what started it was ended, is begun anew by a
    # retry.
    looks=0
    until [ -f "$job/state" ]; do
        looks=$((looks + 1))
        [ "$looks" -lt 250 ] || { rmdir "$job"; fail JOB_NOT_STARTED "the job did not begin"; }
        sleep 0.02
    done
}

# The first word of the job's state; what it says beside is in $said.
state_of() {
    [ -f "$1/state" ] || fail JOB_UNKNOWN "there is no job $1"
    read -r state said < "$1/state"
    [ "$state" != FAILED ] || fail JOB_FAILED "$said"
}
