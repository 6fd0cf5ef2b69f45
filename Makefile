# A thin front for CMake's presets. Every target that builds first lets tools/setup.sh install what is missing
# (NO_INSTALL=1: only say what is missing).

JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
BENCH_ARGS ?= --config wan-1.3b
BENCH_DEMO_ARGS ?=
OUT ?= out
SHOTS ?=

.DEFAULT_GOAL := help
.PHONY: help build demo test test-page test-asan test-tsan test-fixtures bench bench-demo demo-sheet gpu-check gpu-bench check format fuzz install deb clean

help:
	@echo 'make build          the program at build/kinora, the comparison tool at build/tests/parity'
	@echo 'make demo           build, then make a short video, $(OUT)/demo.mp4: PROMPT="a blue star spins"'
	@echo 'make test           build, then run all tests'
	@echo 'make test-page      the page in a browser, against the program; SHOTS=DIR keeps pictures of it'
	@echo 'make test-asan      the tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make test-tsan      the tests under ThreadSanitizer'
	@echo 'make test-fixtures  compare with recorded reference values: FIXTURES=DIR [DTYPE=f32|bf16|int8]'
	@echo 'make bench          measure this machine with random weights: BENCH_ARGS="$(BENCH_ARGS)"'
	@echo 'make bench-demo     score what the demo model makes of sentences it has never seen: BENCH_DEMO_ARGS="--count 60"'
	@echo 'make demo-sheet     draw docs/demo-sheet.png: what the demo model makes of 16 such sentences'
	@echo 'make gpu-check      build for NVIDIA cards and run every test of theirs on this one'
	@echo 'make gpu-bench      measure the card with random weights, beside the raw rate of its matrix products'
	@echo 'make check          format, include direction, warnings as errors, static analysis, documentation'
	@echo 'make format         rewrite the sources with clang-format'
	@echo 'make fuzz           fuzz every reader of files: FUZZ_SECONDS=$(FUZZ_SECONDS) each'
	@echo 'make install        install the program: PREFIX=/usr/local'
	@echo 'make deb            the Debian package: build/kinora_VERSION_ARCHITECTURE.deb'
	@echo 'make clean          remove everything that was built'
	@echo
	@echo 'NO_INSTALL=1 never installs packages, only names what is missing. JOBS=$(JOBS) limits parallelism.'

# configure PRESET: once; afterwards ninja itself notices changed CMake files.
configure = @[ -e $(2)/build.ninja ] || cmake --preset $(1)

build:
	@tools/setup.sh test
	$(call configure,release,build)
	@cmake --build build -j $(JOBS)

# Not ?=: the environment's PROMPT is a shell's.
PROMPT =
demo: export PROMPT := $(value PROMPT)
demo: build
	@tools/demo.sh "$(OUT)"

test: build
	@tools/npm-packages.sh tests/clients
	@ctest --preset release -j $(JOBS)

test-page: build
	@tools/setup.sh page
	@KINORA_SHOTS="$(abspath $(SHOTS))" tools/test-e2e.sh build/kinora

test-asan:
	@tools/setup.sh test
	$(call configure,dev,build-dev)
	@cmake --build build-dev -j $(JOBS)
	@ctest --preset dev -j $(JOBS)

test-tsan:
	@tools/setup.sh tsan
	$(call configure,tsan,build-tsan)
	@cmake --build build-tsan -j $(JOBS)
	@ctest --preset tsan -j $(JOBS)

test-fixtures: build
	@tools/test-fixtures.sh "$(FIXTURES)" $(DTYPE)

bench: build
	@build/kinora bench $(BENCH_ARGS)

bench-demo: build
	@build/tests/world bench --kinora build/kinora --model demo $(BENCH_DEMO_ARGS)

demo-sheet: build
	@build/tests/world sheet --kinora build/kinora --model demo -o docs/demo-sheet.png

gpu-check:
	@tools/gpu-check.sh $(JOBS)

gpu-bench:
	@tools/gpu-bench.sh

check:
	@tools/setup.sh check
	@tools/check.sh $(JOBS)

format:
	@tools/setup.sh check
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

fuzz:
	@tools/setup.sh fuzz
	$(call configure,fuzz,build-fuzz)
	@cmake --build build-fuzz -j $(JOBS)
	@tools/fuzz.sh $(FUZZ_SECONDS) $(JOBS)

install: build
	@cmake --install build --prefix $(or $(PREFIX),/usr/local)

deb: build
	@cd build && cpack -G DEB

clean:
	@rm -rf build build-dev build-tsan build-fuzz build-gcc build-clang $(OUT)
