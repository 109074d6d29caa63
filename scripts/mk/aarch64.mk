# The ARM64 kernel tables, built by the cross compiler and run by QEMU's user-mode emulation:
# the same tests, the same bits.
A64 := $(BUILD)/aarch64
A64_CXX := $(CCACHE) aarch64-linux-gnu-g++
A64_SRC := $(call find,kernel/base ai/quant ai/kernels arch/aarch64/simd) \
  ai/attention/pages.cpp ai/attention/walk.cpp ai/attention/reference.cpp \
  arch/host/memory.cpp arch/host/cpu_features.cpp tests/hosted/main.cpp \
  $(wildcard tests/hosted/kernels_*.cpp tests/hosted/attend_*.cpp tests/hosted/quant_*.cpp)
A64_OBJ := $(A64_SRC:%.cpp=$(A64)/%.o)
A64_TESTS := $(A64)/unit_tests

$(A64)/%.o: %.cpp
	$(call say,A64,$<)
	@mkdir -p $(@D)
	$(Q)$(A64_CXX) $(COMMON) -Iarch/host/include -I$(BUILD)/generated -DMARROW_HOSTED=1 -c $< -o $@

$(A64_TESTS): $(A64_OBJ)
	$(call say,LINK,$@)
	$(Q)aarch64-linux-gnu-g++ -static -o $@ $^

.PHONY: test-aarch64
test-aarch64: $(A64_TESTS)  ## the ARM64 kernel tables under user-mode emulation
	$(Q)qemu-aarch64 -cpu max $(A64_TESTS) tables
	$(Q)qemu-aarch64 -cpu cortex-a57 $(A64_TESTS) tables
-include $(A64_OBJ:.o=.d)
