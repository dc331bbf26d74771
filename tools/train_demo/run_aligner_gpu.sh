#!/bin/bash
# Trains and exports the demo aligner on one GPU machine: timed synthesis in the background, training, export, a quick check.
#
#   setsid tools/train_demo/run_aligner_gpu.sh OUT_DIR SECONDS [BUNDLE_DIR] > /dev/null 2>&1 &
#
# SECONDS of training; the whole takes about 30 s more. BUNDLE_DIR (default .demo_bundle in the repository root) holds
# voices.tar.xz and text/. OUT_DIR gets run.log (progress), train_log.txt, train_summary.json, ckpt/ema.pt (renewed every
# minute), model/ (the exported folder) and at the end the file DONE (or FAILED). SIGTERM to this script stops training
# early; what is there is still exported.
set -u
out=${1:?usage: run_aligner_gpu.sh OUT_DIR SECONDS [BUNDLE_DIR]}
seconds=${2:?usage: run_aligner_gpu.sh OUT_DIR SECONDS [BUNDLE_DIR]}
here=$(cd "$(dirname "$0")" && pwd)
bundle=${3:-$here/../../.demo_bundle}
recogniser=${RECOGNISER:-$here/../../models/demo-en}
python=${PYTHON:-python3}
cores=$(nproc)
samplers=${SAMPLERS:-4}
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
  --processes "$workers" --seconds "$seconds" --times --validation &
synthesis=$!
"$python" "$here/train_aligner.py" --recogniser "$recogniser" --text "$bundle/text" --pool "$scratch/pool" --out "$out" \
  --seconds "$seconds" --samplers "$samplers" ${TRAIN_OPTIONS:-} &
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
"$python" "$here/export.py" --aligner --checkpoint "$out/ckpt/ema.pt" --text "$bundle/text" --out "$out/model" || fail "export"
cp "$out/train_log.txt" "$out/train_summary.json" "$out/model/" 2> /dev/null
say "done"
touch "$out/DONE"
