# Looks how far the job is.
. ./field.sh
. ./begin.sh
state_of "$(field job)"
case $state in
DONE) echo '{"done":true,"percent":100}' ;;
*) echo "{\"done\":false,\"percent\":$said}" ;;
esac
