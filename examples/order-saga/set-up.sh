# Writes the ledgers of a small shop into work/, as they are in the morning.
cd "$(dirname "$0")" || exit 1
rm -rf work
mkdir work || exit 1
# place,what,amount: what is on the shelf, and in whose account is how much (in cents).
printf '%s\n' shelf,lamp,5 shelf,chair,2 > work/stock.csv
printf '%s\n' ada,cents,20000 ben,cents,3000 > work/accounts.csv
: > work/parcels.csv
# Where the carrier goes.
printf '%s\n' Bergen Oslo Tromso > work/cities.txt
echo "work/ is set up"
