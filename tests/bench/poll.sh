#!/usr/bin/env bash
# What people write today: poll.sh URL STATE. Reads the list page by page with curl and jq, prints each job whose status or
# counts differ from the last run's, and keeps STATE for the next one.
set -euo pipefail
url=$1 state=$2 cursor=
new=$state.new
: >"$new"
while :; do
  page=$(curl -sS --fail -H 'Authorization: Klaviyo-API-Key pk_bench' -H 'revision: 2026-07-15' \
    -H 'Accept: application/vnd.api+json' "$url${cursor:+?page%5Bcursor%5D=$cursor}" |
    jq -r '(.links.next // ""), (.data[] | [.id, .attributes.status, .attributes.total_count, .attributes.completed_count, .attributes.failed_count] | @tsv)')
  next=${page%%$'\n'*}
  printf '%s\n' "${page#*$'\n'}" >>"$new"
  [ -n "$next" ] || break
  cursor=${next##*=}
done
sort -o "$new" "$new"
if [ -e "$state" ]; then comm -13 "$state" "$new"; fi
mv "$new" "$state"
