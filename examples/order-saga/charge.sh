# Takes money from the customer's account.
. ./ledger.sh
customer=$(field customer)
lock
book accounts.csv "$customer" cents "$(field cents)" || fail NOT_ENOUGH_MONEY "$customer has not so much"
echo "{\"receipt\":\"$key\"}"
