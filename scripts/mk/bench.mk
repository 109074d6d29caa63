# Benchmarks. They are made of the product's own objects.
BENCH_KERNELS := $(BUILD)/host/bench_kernels
BENCH_OBJ := $(BUILD)/host/tests/bench/kernels.o
BENCH_HOST_OBJ := $(patsubst %,$(BUILD)/host/arch/host/%.o,cpu_features memory)
$(BENCH_KERNELS): $(BENCH_OBJ) $$(MODEL_ENGINE_OBJ) $(BENCH_HOST_OBJ)
	$(call say,LINK,$@)
	$(Q)g++ -no-pie -pthread -o $@ $^
.PHONY: bench-kernels
bench-kernels: $(BENCH_KERNELS)  ## products of every format beside the machine's limits; KERNELS=name
	$(Q)$< $(or $(KERNELS),auto)
-include $(BENCH_OBJ:.o=.d)

.PHONY: bench
bench: host $(BENCH_KERNELS) model  ## the twin beside llama.cpp on the same cores; BENCH="--rounds 3 --model FILE"
	$(Q)python3 scripts/bench.py $(BENCH)
