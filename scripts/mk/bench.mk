# Benchmarks, which are linked from the product's own objects.
BENCH_KERNELS := $(BUILD)/host/bench_kernels
BENCH_OBJ := $(BUILD)/host/tests/bench/kernels.o
BENCH_HOST_OBJ := $(patsubst %,$(BUILD)/host/arch/host/%.o,cpu_features memory)
$(BENCH_KERNELS): $(BENCH_OBJ) $$(MODEL_ENGINE_OBJ) $(BENCH_HOST_OBJ)
	$(call say,LINK,$@)
	$(Q)g++-12 -no-pie -pthread -o $@ $^
.PHONY: bench-kernels
bench-kernels: $(BENCH_KERNELS)  ## products of every format beside the machine's limits; KERNELS=name
	$(Q)$< $(or $(KERNELS),auto)
-include $(BENCH_OBJ:.o=.d)

MACHINE_MODEL := $(BUILD)/bench/SmolLM2-135M-Instruct.Q4_1.packed.gguf
.PHONY: bench
bench: host pack $(BENCH_KERNELS) model  ## the twin beside llama.cpp on the same cores; BENCH="--rounds 3 --model FILE"
	$(Q)python3 scripts/bench.py --wiki wiki/Performance.md $(BENCH)
	$(if $(BENCH),,$(Q)python3 scripts/bench.py --quote --keep --wiki wiki/Performance.md)

.PHONY: bench-machine
bench-machine: kernel pack model  ## in QEMU beside a minimal Linux with llama.cpp; BENCH="--rounds 3 --busy --keep"
	$(Q)mkdir -p $(BUILD)/bench
	$(Q)test -e $(MACHINE_MODEL) || $(BUILD)/host/pack $(BUILD)/models/SmolLM2-135M-Instruct.Q4_1.gguf $(MACHINE_MODEL)
	$(Q)python3 scripts/compare_engine.py --wiki wiki/Performance.md $(BENCH)

# Builds another revision beside this tree and measures both in turns.
BENCH_BASE := $(BUILD)/bench/base
define bench_base
	$(Q)git worktree prune && rm -rf $(BENCH_BASE) && git worktree add -q --detach $(BENCH_BASE) $(1)
	$(Q)$(MAKE) -s -C $(BENCH_BASE) host
endef
.PHONY: bench-compare bench-gate
bench-compare: host model  ## BASE=rev: this tree's speed relative to that revision's; BENCH="--rounds 9"
	$(if $(BASE),,$(error make bench-compare BASE=revision))
	$(call bench_base,$(BASE))
	$(Q)python3 scripts/bench.py --twins $(BENCH_BASE)/build/host/marrow $(HOST_BIN) $(BENCH)
	$(Q)git worktree remove --force $(BENCH_BASE)
# The revision that set the last release's number stands for that release.
LAST_RELEASE = $(shell git log -1 --format=%h -- VERSION)
bench-gate: host model  ## before a release: fails if a model became slower than at the last release; BASE=rev, BENCH="--gate 5 --rounds 9"
	$(call bench_base,$(or $(BASE),$(LAST_RELEASE)))
	$(Q)python3 scripts/bench.py --twins $(BENCH_BASE)/build/host/marrow $(HOST_BIN) --gate 5 --rounds 9 $(BENCH)
	$(Q)git worktree remove --force $(BENCH_BASE)

HTTP_LOAD := $(BUILD)/host/http_load
$(HTTP_LOAD): $(BUILD)/host/tests/bench/http_load.o
	$(call say,LINK,$@)
	$(Q)g++-12 -no-pie -o $@ $^
-include $(BUILD)/host/tests/bench/http_load.d
.PHONY: bench-http
bench-http: host model $(HTTP_LOAD)  ## the API server beside its engine alone, 64 connections; BENCH="--rounds 5 --prompt 128"
	$(Q)python3 tests/system/http_load.py $(BENCH)
