# Writes a reminder below a request.
. ./field.sh
echo 'reminder: nobody has decided yet' >> "$(field file)"
echo '{}'
