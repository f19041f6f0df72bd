# Finds the orders of a region, in a file of their own; fails where one has no amount.
. ./field.sh
region=$(field region)
mkdir -p work
awk -F, -v region="$region" 'NR > 1 && $1 == region' orders.csv > "work/$region.csv"
[ -s "work/$region.csv" ] || fail NO_ORDERS "there are no orders in the $region"
bad=$(awk -F, '$3 !~ /^[0-9]+$/ { print $2; exit }' "work/$region.csv")
[ -z "$bad" ] || fail BROKEN_ORDER "order $bad of the $region has no amount"
echo "{\"file\":\"work/$region.csv\"}"
