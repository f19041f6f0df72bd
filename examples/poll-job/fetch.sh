# Reads the job's result.
. ./field.sh
cat "$(field job)/result.json" || fail JOB_UNKNOWN "the job has no result"
