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
.PHONY: bench-compare
bench-compare: host model  ## BASE=rev: this tree's speed relative to that revision's
	$(if $(BASE),,$(error make bench-compare BASE=revision))
	$(Q)git worktree prune && rm -rf $(BUILD)/bench/base && git worktree add -q --detach $(BUILD)/bench/base $(BASE)
	$(Q)$(MAKE) -s -C $(BUILD)/bench/base host
	$(Q)python3 scripts/bench.py --twins $(BUILD)/bench/base/build/host/marrow $(HOST_BIN) $(BENCH)
	$(Q)git worktree remove --force $(BUILD)/bench/base

HTTP_LOAD := $(BUILD)/host/http_load
$(HTTP_LOAD): $(BUILD)/host/tests/bench/http_load.o
	$(call say,LINK,$@)
	$(Q)g++-12 -no-pie -o $@ $^
-include $(BUILD)/host/tests/bench/http_load.d
.PHONY: bench-http
bench-http: host model $(HTTP_LOAD)  ## the API server beside its engine alone, 64 connections; BENCH="--rounds 5 --prompt 128"
	$(Q)python3 tests/system/http_load.py $(BENCH)
