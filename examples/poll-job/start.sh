# Starts the job, and tells where it is; does not wait for it.
. ./field.sh
. ./begin.sh
begin "$(field text)"
echo "{\"job\":\"$job\"}"
