#!/bin/sh
# The gate in CI: build one engine, and fail unless it segments as well as the float model and as the last release.
#   sh examples/02_gate.sh MODEL DATA RUN [--task task.toml]        RUN: the run that was released
set -eu
model=$1 data=$2 run=$3
shift 3 # what is left describes the model: --task, --weights
edge build "$model" --data "$data" --target cpu --precision int8 --out gate/int8 --quiet "$@"
edge check gate/int8 --data "$data" --reference "$model" --gate 99.9 --baseline "$run" --junit gate/junit.xml "$@"
