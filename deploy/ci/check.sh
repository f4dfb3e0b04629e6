#!/bin/bash
# Measures this machine and holds the run against a baseline: what the GitHub Action and the GitLab job both do.
#
#   ASSAY_BASELINE     the baseline's file, in version control
#   ASSAY_RUN_ARGS     of `assay run`, for example: --suite standard --only 'matmul/*'
#   ASSAY_CHECK_ARGS   of `assay check`, for example: --margin 3% --fail-on regressed
#   ASSAY_OUT          folder for the record and the reports; assay-out by default
#   ASSAY_UPDATE       `true` takes the run into the baseline, or begins it
#
# The exit code is that of `assay check`: 0 ok or improved, 1 regressed, 2 usage, 3 inconclusive or incomparable.
set -euo pipefail

: "${ASSAY_BASELINE:?name the file of the baseline}"
out=${ASSAY_OUT:-assay-out}
mkdir -p "$out"
# Arguments with quotes are taken apart as a shell does it.
eval "run=(${ASSAY_RUN_ARGS:-})" "check=(${ASSAY_CHECK_ARGS:-})"

code=0
assay run "${run[@]}" --no-progress --force -o "$out/run.jsonl" > "$out/run.txt" || code=$?
# 1: something failed or was wrong, which the check judges.
if [ "$code" -gt 1 ]; then
    exit "$code"
fi
if [ "${ASSAY_UPDATE:-}" = true ]; then
    check+=(--update-baseline)
fi
exec assay check --baseline "$ASSAY_BASELINE" "$out/run.jsonl" --rerun "${check[@]}" \
    --junit "$out/check.xml" --markdown "${GITHUB_STEP_SUMMARY:-$out/check.md}" \
    --bencher "$out/bencher.json" --bigger-is-better "$out/benchmark.json"
