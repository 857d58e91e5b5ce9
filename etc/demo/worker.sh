#!/bin/sh
# The demo's worker: some jobs, then a failure; keepd starts it again.
job=1
while [ "$job" -le 3 ]; do
	echo "job $job of run ${KEEPD_RUN:-?}: done"
	job=$((job + 1))
	sleep 1
done
echo "job $job: error: database timeout" >&2
exit 1
