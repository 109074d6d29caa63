# The engine on ARM64, built by the cross compiler and run by QEMU's user-mode emulation, with and
# without dot products: the same tests, the same bits.
A64 := $(BUILD)/aarch64-user
A64_CXX := $(CCACHE) aarch64-linux-gnu-g++
A64_SRC := $(filter-out ai/openai/%,$(call find,kernel/base ai arch/aarch64/simd)) \
  arch/host/memory.cpp arch/host/cpu_features.cpp tools/host_platform.cpp tests/hosted/main.cpp tests/aarch64/no_threads.cpp \
  $(addprefix tests/hosted/test_,files.cpp model_runner.cpp platform.cpp tiny_model.cpp) \
  $(wildcard tests/hosted/ai/kernels/*_test.cpp tests/hosted/ai/attention/*_test.cpp) tests/hosted/ai/models/bits_test.cpp
A64_OBJ := $(A64_SRC:%.cpp=$(A64)/%.o)
A64_TESTS := $(A64)/unit_tests

$(A64)/%.o: %.cpp | setup $$(GENERATED)
	$(call compiling,A64,$<)
	@mkdir -p $(@D)
	$(Q)$(A64_CXX) $(COMMON) -Iarch/host/include -I$(BUILD)/generated -DMARROW_HOSTED=1 -c $< -o $@

$(A64_TESTS): $(A64_OBJ)
	$(call say,LINK,$@)
	$(Q)aarch64-linux-gnu-g++ -static -o $@ $^

.PHONY: test-aarch64
test-aarch64: $(A64_TESTS)  ## the engine's kernels and whole models on ARM64, under user-mode emulation
	$(Q)python3 scripts/run_tests.py aarch64
-include $(A64_OBJ:.o=.d)
