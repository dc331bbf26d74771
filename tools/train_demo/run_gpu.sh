#!/bin/bash
# Trains and exports the demo model on one GPU machine: synthesis in the background, training, export, a quick check.
#
#   setsid tools/train_demo/run_gpu.sh OUT_DIR SECONDS [BUNDLE_DIR] > /dev/null 2>&1 &
#
# SECONDS of training; the whole takes about 45 s more. BUNDLE_DIR (default .demo_bundle in the repository root) holds
# voices.tar.xz and text/. OUT_DIR gets run.log (progress), train_log.txt, ckpt/ema.pt (renewed every minute),
# model/ (the exported folder), validation.{json,tsv} and at the end the file DONE (or FAILED). SIGTERM to this script stops
# training early; what is there is still exported.
set -u
out=${1:?usage: run_gpu.sh OUT_DIR SECONDS [BUNDLE_DIR]}
seconds=${2:?usage: run_gpu.sh OUT_DIR SECONDS [BUNDLE_DIR]}
here=$(cd "$(dirname "$0")" && pwd)
bundle=${3:-$here/../../.demo_bundle}
python=${PYTHON:-python3}
cores=$(nproc)
samplers=4
workers=$((cores > 7 ? cores - 5 : 1)) # the rest: training, its samplers
mkdir -p "$out"
exec >> "$out/run.log" 2>&1
export PYTORCH_NVML_BASED_CUDA_CHECK=1 PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false
say() { echo "[$(date +%T)] $*"; }

synthesis='' training=''
on_term() {
  say "SIGTERM: ending training"
  [ -n "$training" ] && kill -TERM "$training"
}
trap on_term TERM INT
fail() {
  say "FAILED: $*"
  [ -n "$synthesis" ] && kill -- -"$synthesis" 2> /dev/null
  echo "$*" > "$out/FAILED"
  exit 1
}

scratch=$out/scratch
mkdir -p "$scratch/pool"
say "unpacking voices, $cores cores, $workers synthesis processes"
"$python" -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], filter="data")' \
  "$bundle/voices.tar.xz" "$scratch" || fail "cannot unpack $bundle/voices.tar.xz"
setsid "$python" "$here/synthesize.py" --text "$bundle/text" --voices "$scratch/voices" --out "$scratch/pool" \
  --processes "$workers" --seconds "$seconds" --validation &
synthesis=$!
"$python" "$here/train.py" --text "$bundle/text" --pool "$scratch/pool" --out "$out" --seconds "$seconds" \
  --samplers "$samplers" ${TRAIN_OPTIONS:-} &
training=$!
wait "$training"
status=$?
while kill -0 "$training" 2> /dev/null; do # a signal ends `wait` early
  wait "$training"
  status=$?
done
say "training ended with status $status"
kill -- -"$synthesis" 2> /dev/null
[ -f "$out/ckpt/ema.pt" ] || fail "no checkpoint"
"$python" "$here/export.py" --checkpoint "$out/ckpt/ema.pt" --text "$bundle/text" --out "$out/model" || fail "export"
cp "$out/train_log.txt" "$out/train_summary.json" "$out/model/" 2> /dev/null
touch "$out/EXPORTED"
say "exported; checking with transformers"
timeout 120 "$python" "$here/evaluate.py" --model "$out/model" --held "$scratch/pool/validation" --out "$out/validation" ||
  say "the check did not finish; the export stands"
say "done"
touch "$out/DONE"
