# The short way: `make demo` and `make test` do everything on a fresh Debian 12 or Ubuntu 24.04 machine, packages
# included (as root, or with sudo). Everything else is plain CMake: see CMakePresets.json and CONTRIBUTING.md.
#
#   SKIP_PACKAGES=1   do not install packages
#   JOBS=n            parallel compiler and test processes; default: one per core
SHELL := /bin/bash
empty :=
space := $(empty) $(empty)
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL: # the steps of a target in order, also with make -j; compilers and tests run in parallel by JOBS

JOBS ?= $(shell nproc)
launcher := $(if $(shell command -v ccache),-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
# Files of a module compiled together take half the time. For work on the code, `cmake --preset release` alone compiles
# them one by one.
unity := -DCMAKE_UNITY_BUILD=ON
# ThreadSanitizer of GCC 12 needs less address randomisation than recent kernels have.
fixed_addresses := $(shell setarch -R true 2> /dev/null && echo setarch -R)

# What runs under the sanitizers: address and undefined behaviour where bytes from outside are read, threads where
# there are any. Names are both build targets and ctest names.
ASAN_TESTS := qasr_base_test qasr_tensor_test qasr_audio_test qasr_text_test qasr_output_test qasr_weights_test \
              qasr_backend_test qasr_engine_test qasr_engine_api_test qasr_server_test qasr_fuzz_replay
# The same through the whole program, whose compilation takes minutes more: not part of `make test`.
ASAN_PROGRAM_TESTS := cli_bad_audio cli_bad_model cli_serve_hostile
# Comparisons of results that take long there, read no foreign bytes and need no second thread; the release build runs
# them, and what has threads runs under ThreadSanitizer.
ASAN_FILTER := -$(subst $(space),:,$(strip \
  SessionTest.EveryBackendAndFormat* SessionTest.SessionsOnManyThreads* SessionTest.ShowsTheTranscript* \
  SessionTest.LongRecordings* SchedulerTest.OneRequest* SchedulerTest.RandomArrivals* AlignerTest.Batches* \
  StreamTest.CommittedTextNeverChanges* StreamTest.WordsAreCommitted* StreamTest.ASlowConsumer* \
  StreamTest.ManyStreams* StreamTest.PausesEndSegments* StreamTest.CallbacksReplace* StreamTest.ContextCarries* \
  StreamExactTest.* AlignTask.LongRecordings* VoiceActivity.MissesLittle* VoiceActivity.RejectsWhat* \
  Synthetic.SumsOfWholeTensors* Isa/*/generic))
TSAN_FILTER := -SessionTest.EveryBackendAndFormat*:SchedulerTest.OneRequest*:AlignerTest.Batches*:StreamExactTest.*
TSAN_TESTS := qasr_base_test qasr_engine_api_test
names_to_regex = '^($(subst $(space),|,$(strip $(1))))$$'

.PHONY: help demo test check build asan asan-program tsan fuzz neon check-fullsize format lint sizes clean packages packages-build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: packages-build ## build the program and transcribe a sample recording with the built-in model
	@cmake -S . -B build/demo -G Ninja -DCMAKE_BUILD_TYPE=Release -DQASR_THIS_MACHINE_ONLY=ON $(unity) $(launcher) >&2
	@cmake --build build/demo --target qasr_program -j $(JOBS) >&2
	@echo 'build/demo/bin/qasr transcribe --timings models/demo-en/samples/meeting_rms.wav' >&2
	@build/demo/bin/qasr transcribe --timings models/demo-en/samples/meeting_rms.wav

test: packages asan tsan neon check ## everything: sanitizer subsets, AArch64 kernels, then all tests (installs packages)

check: build ## all tests of the release build, without sanitizers
	ctest --test-dir build/release -j $(JOBS) --output-on-failure --no-tests=error -LE fullsize

build: ## release build with tests
	cmake --preset release $(unity) $(launcher)
	cmake --build build/release -j $(JOBS)

asan: ## what reads foreign bytes, under AddressSanitizer and UndefinedBehaviorSanitizer
	cmake --preset asan-ubsan $(launcher)
	cmake --build build/asan-ubsan -j $(JOBS) --target $(ASAN_TESTS)
	GTEST_FILTER='$(ASAN_FILTER)' ctest --test-dir build/asan-ubsan -j $(JOBS) --output-on-failure --no-tests=error -R $(call names_to_regex,$(ASAN_TESTS))

asan-program: ## hostile recordings, checkpoints and requests against the whole program, under the same sanitizers
	cmake --preset asan-ubsan $(launcher)
	cmake --build build/asan-ubsan -j $(JOBS) --target qasr_program
	ctest --test-dir build/asan-ubsan -j $(JOBS) --output-on-failure --no-tests=error -R $(call names_to_regex,$(ASAN_PROGRAM_TESTS))

tsan: ## thread pool and concurrent sessions under ThreadSanitizer
	cmake --preset tsan $(launcher)
	cmake --build build/tsan -j $(JOBS) --target $(TSAN_TESTS)
	GTEST_FILTER='$(TSAN_FILTER)' $(fixed_addresses) ctest --test-dir build/tsan -j $(JOBS) --output-on-failure --no-tests=error -R $(call names_to_regex,$(TSAN_TESTS))

FUZZ_SECONDS ?= 600
fuzz: ## readers of foreign files under libFuzzer, FUZZ_SECONDS each (needs clang)
	cmake --preset fuzz $(launcher)
	cmake --build build/fuzz -j $(JOBS) --target fuzz_safetensors fuzz_gguf fuzz_config fuzz_tokenizer \
	  fuzz_words fuzz_multipart fuzz_parameters fuzz_realtime
	for target in safetensors gguf config tokenizer words multipart parameters realtime; do \
	  mkdir -p build/fuzz/found/$$target; \
	  build/fuzz/fuzz/fuzz_$$target -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
	    -artifact_prefix=build/fuzz/ build/fuzz/found/$$target fuzz/corpus/$$target || exit 1; done

ifeq ($(shell uname -m),x86_64)
neon: ## AArch64 kernels, cross-built and run in qemu-user on three processors
	cmake --preset neon $(launcher)
	cmake --build build/neon -j $(JOBS) --target qasr_tensor_test qasr_backend_test
	ctest --test-dir build/neon -j $(JOBS) --output-on-failure --no-tests=error -R '^(kernels_.*|qasr_tensor_test|qasr_isa_symbols)$$'
else
neon: # elsewhere the other tests run the kernels of the machine itself
endif

check-fullsize: build ## synthetic checkpoints of the true 0.6B and 1.7B sizes against the reference (memory: 12 GB)
	ctest --test-dir build/release --output-on-failure --no-tests=error -L fullsize

format: ## clang-format on every C++ and CUDA file
	git ls-files '*.h' '*.cc' '*.cu' '*.cuh' | xargs clang-format -i --style=file

lint: build ## clang-tidy on the library and the program (needs clang-tidy)
	git ls-files 'src/*.cc' 'apps/*.cc' | grep -v _test.cc | xargs -P $(JOBS) -n 4 clang-tidy --quiet -p build/release

sizes: ## long files and functions (information only)
	python3 tools/check_sizes.py

clean: ## remove build/
	rm -rf build

packages:
	@$(if $(SKIP_PACKAGES),true,scripts/install_packages.sh test)

packages-build:
	@$(if $(SKIP_PACKAGES),true,scripts/install_packages.sh build)
