# Hands the parcel to the carrier, who does not go everywhere.
. ./ledger.sh
city=$(field city)
grep -qxF "$city" work/cities.txt || fail CITY_NOT_SERVED "the carrier does not go to $city"
lock
is_booked parcels.csv || echo "$key,$(field order),$city" >> work/parcels.csv
echo "{\"parcel\":\"$key\"}"
