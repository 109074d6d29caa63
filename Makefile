# Marrow's build. `make help` lists the targets.
#
# Sources are found by folder, so adding a file needs no edit here:
#   engine   kernel/base, ai, arch/$(ARCH)/simd  built once, linked into the kernel AND the hosted twin
#   kernel   the rest, general registers only    build/$(ARCH)/marrow.elf (ARCH=aarch64: marrow.efi)
#   twin     the console and services as a Linux process   build/host/marrow
#   tests    everything hosted again under clang with ASan and UBSan   build/host-san/unit_tests
ARCH ?= x86_64
V ?= 0
DEBUG ?= 0
SETUP ?= 1
SAN ?= 0
# Debug information: 1 is what back traces want, functions and lines; 2 is all, for gdb, and takes a
# quarter of the compilers' time on top.
G ?= $(if $(filter debug,$(MAKECMDGOALS)),2,1)
BUILD := build
Q := $(if $(filter 1,$(V)),,@)
# A line a step; a step that compiles one of many files also counts (scripts/mk/progress.mk).
say = $(if $(filter 1,$(V)),,@printf '$(if $(3),%9s, %s) %-8s %s\n' "$(3)" "$(1)" "$(2)")
compiling = $(call say,$(1),$(2),$(next_step))

CCACHE := $(shell command -v ccache 2>/dev/null)
# What goes into the kernel is compiled by one compiler wherever it is built; newer ones refuse parts of
# the library to a freestanding program (GCC 14: <charconv>).
CXX := $(CCACHE) g++-12
CC12 := $(CCACHE) gcc-12
CLANGXX := $(CCACHE) clang++-19
NASM := nasm
TARGET := $(BUILD)/$(ARCH)$(if $(filter 1,$(SAN)),-san)$(if $(filter-out 0,$(DEBUG)),-debug)$(if $(filter-out 1,$(G)),-g$(G))

.DEFAULT_GOAL := all
# One job more than processors, as some wait for the network; unless -j says otherwise.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell expr $$(nproc) + 1)
endif
.SECONDARY:
.DELETE_ON_ERROR:

# Where a rule waits for what stands further down.
.SECONDEXPANSION:
LINUX_OBJ := $(BUILD)/$(ARCH)/linux/linux.o  # scripts/mk/linux.mk; the same for every kernel
include scripts/mk/arch/$(ARCH).mk
# The twin, the unit tests and the image of GRUB are this machine's: x86_64's.
ARM_GOALS := all kernel run test-qemu test-arm test-ubsan clean help setup compile_commands.json tidy
ifeq ($(ARCH),aarch64)
ifneq ($(filter-out $(ARM_GOALS) build/aarch64/% build/check/%,$(MAKECMDGOALS)),)
$(error ARCH=aarch64 makes the kernel and runs it: $(ARM_GOALS); leave ARCH away for the rest)
endif
endif

# ---- flags ---------------------------------------------------------------------------------
# A warning is an error with the compiler that CI has. Another release of it may warn of more, and must
# not stop a build for that.
WARN := -Wall -Wextra $(if $(filter 12.2.%,$(shell g++-12 -dumpfullversion 2>/dev/null)),-Werror)
LANGUAGE := -std=c++23 -fno-exceptions -fno-rtti -fno-threadsafe-statics -ffp-contract=off \
  -fno-math-errno
COMMON := $(LANGUAGE) $(WARN) -I. -O2 -g$(G) -D_GLIBCXX_ASSERTIONS -fno-omit-frame-pointer -MMD -MP
# The engine's objects run in ring 0 and in a process: no red zone, no PIC, no TLS canary.
FREESTANDING := -ffreestanding -fno-pic -fno-pie $(ARCH_FLAGS) -fno-asynchronous-unwind-tables \
  -ffunction-sections -fdata-sections -fstack-protector-strong -mstack-protector-guard=global
ENGINE_FLAGS := $(COMMON) $(FREESTANDING) -I$(BUILD)/generated
KERNEL_FLAGS := $(COMMON) $(FREESTANDING) -mgeneral-regs-only -ftrivial-auto-var-init=zero \
  -Iarch/$(ARCH)/include -I$(BUILD)/generated -DMARROW_DEBUG=$(DEBUG)
HOST_FLAGS := $(COMMON) -fno-builtin-log -fno-pic -fno-pie -Iarch/host/include -I$(BUILD)/generated -pthread -DMARROW_HOSTED=1
SAN_FLAGS := $(LANGUAGE) -fno-builtin-log $(WARN) -I. -O1 -g$(G) -D_GLIBCXX_ASSERTIONS -fno-omit-frame-pointer -MMD -MP \
  -Iarch/host/include -I$(BUILD)/generated -pthread -DMARROW_HOSTED=1 \
  -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all

# Intrinsics are long inlined chains: ASan by calls, UBSan not at all, or a file compiles for minutes.
SAN_SIMD_FLAGS = $(subst address$(comma)undefined,address,$(SAN_FLAGS)) \
  -mllvm -asan-instrumentation-with-call-threshold=0
comma := ,
# Tests are under ASan alone: UBSan watches what they call, and would add a quarter to compiling them.
SAN_TEST_FLAGS = $(subst address$(comma)undefined,address,$(SAN_FLAGS))
san_flags = $(if $(findstring /simd/,$(1)),$(SAN_SIMD_FLAGS),$(if $(filter tests/hosted/%,$(1)),$(SAN_TEST_FLAGS),$(SAN_FLAGS)))

# ---- sources -------------------------------------------------------------------------------
find = $(sort $(shell find $(1) -name '*.cpp' 2>/dev/null))
ENGINE_SRC := $(call find,kernel/base ai arch/$(ARCH)/simd)
# What only a machine has: the hosted twin leaves these out.
MACHINE_SRC := $(call find,boot arch/$(ARCH) kernel/acpi kernel/irq drivers console/shell/machine)
MACHINE_ONLY := net/start.cpp mm/memory.cpp fault.cpp panic.cpp runtime.cpp string_functions.cpp symbols.cpp ubsan.cpp pci/*.cpp
MACHINE_SRC := $(filter-out arch/$(ARCH)/simd/% $(ARCH_LACKS),$(MACHINE_SRC)) $(wildcard $(addprefix kernel/,$(MACHINE_ONLY)))
MACHINE_SRC := $(sort $(MACHINE_SRC))
SERVICE_SRC := $(filter-out kernel/base/% $(MACHINE_SRC),$(call find,kernel service console))
# Tests in tests/kernel/machine/x86_64 and the like are one architecture's own.
FOREIGN_TESTS = $(filter-out tests/kernel/machine/$(ARCH)/%,$(wildcard tests/kernel/machine/*/*.cpp))
KERNEL_SRC := $(MACHINE_SRC) $(SERVICE_SRC) $(filter-out $(FOREIGN_TESTS),$(call find,tests/kernel))
KERNEL_ASM := $(sort $(wildcard arch/$(ARCH)/*.asm arch/$(ARCH)/*.S))
HOST_SRC := $(SERVICE_SRC) $(call find,arch/host)
TEST_SRC := $(call find,tests/hosted) $(filter-out tests/kernel/machine/%,$(call find,tests/kernel))
# Pure parts of the machine side that unit tests and fuzzers reach.
TEST_PURE_SRC := $(call find,boot) $(wildcard kernel/acpi/*.cpp kernel/pci/assign.cpp drivers/display/*_text.cpp drivers/input/scancode.cpp)

ENGINE_OBJ := $(ENGINE_SRC:%.cpp=$(TARGET)/engine/%.o)
KERNEL_OBJ := $(KERNEL_SRC:%.cpp=$(TARGET)/kernel/%.o) $(KERNEL_ASM:%=$(TARGET)/kernel/%.o)
HOST_OBJ := $(HOST_SRC:%.cpp=$(BUILD)/host/%.o)
SAN_DIR := $(BUILD)/host-san
SAN_LIB_SRC := $(ENGINE_SRC) $(filter-out arch/host/main.cpp,$(HOST_SRC)) $(TEST_PURE_SRC) tools/host_platform.cpp
SAN_LIB_OBJ := $(SAN_LIB_SRC:%.cpp=$(SAN_DIR)/%.o)
SAN_TEST_OBJ := $(TEST_SRC:%.cpp=$(SAN_DIR)/%.o)

all: kernel $(if $(filter x86_64,$(ARCH)),host)  ## the kernel and the hosted twin
.PHONY: all kernel host

# Tables made at build time (fonts, Unicode, version): rows of GENERATED, added by scripts/mk/*.mk.
# Every object waits for them; -MMD then tracks the real dependencies. They wait for the set-up
# (scripts/mk/setup.mk): whatever a rule runs, it is there.
GENERATED :=

# ---- compiling -----------------------------------------------------------------------------
$(TARGET)/engine/%.o: %.cpp Makefile scripts/mk/kernel.mk $(TARGET)/engine/precompiled.h.gch | setup $$(GENERATED)
	$(call compiling,ENGINE,$<)
	@mkdir -p $(@D)
	$(Q)$(KERNEL_CXX) $(ENGINE_FLAGS) $(ENGINE_HEADER) -c $< -o $@

$(TARGET)/kernel/%.o: %.cpp $(TARGET)/kernel/precompiled.h.gch | setup $$(GENERATED)
	$(call compiling,KERNEL,$<)
	@mkdir -p $(@D)
	$(Q)$(KERNEL_CXX) $(KERNEL_FLAGS) $(KERNEL_HEADER) -c $< -o $@

$(BUILD)/host/%.o: %.cpp $(BUILD)/host/precompiled.h.gch | setup $$(GENERATED)
	$(call compiling,HOST,$<)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(HOST_FLAGS) $(HOST_HEADER) -c $< -o $@

$(SAN_DIR)/%.o: %.cpp $(SAN_DIR)/precompiled.h.pch | setup $$(GENERATED)
	$(call compiling,SAN,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANGXX) $(call san_flags,$<) $(SAN_HEADER) -c $< -o $@

# ---- hosted twin and hosted tests ----------------------------------------------------------
HOST_BIN := $(BUILD)/host/marrow
host: $(HOST_BIN)  ## the hosted twin, build/host/marrow
$(HOST_BIN): $(ENGINE_OBJ) $(HOST_OBJ)
	$(call say,LINK,$@)
	$(Q)g++-12 -no-pie -pthread -o $@ $^

UNIT_TESTS := $(SAN_DIR)/unit_tests
$(UNIT_TESTS): $(SAN_LIB_OBJ) $(SAN_TEST_OBJ)
	$(call say,LINK,$@)
	$(Q)clang++-19 -fsanitize=address,undefined -pthread -o $@ $^

.PHONY: test-hosted
test-hosted: $(UNIT_TESTS)  ## unit tests under ASan and UBSan, a share a processor; F=substring selects
	$(Q)$(if $(F),$(UNIT_TESTS) $(F),python3 scripts/run_tests.py unit)

# ---- fuzzing: tests/fuzz/NAME.cpp is libFuzzer target NAME ---------------------------------
# The library objects are those of the unit tests: they carry the coverage probes already.
# tests/hosted/test_*.cpp is what tests and fuzzers share (the test platform).
TEST_SUPPORT_OBJ := $(patsubst %.cpp,$(SAN_DIR)/%.o,$(wildcard tests/hosted/test_*.cpp))
FUZZ := $(BUILD)/fuzz
T ?= 60
$(FUZZ)/%: $(SAN_DIR)/tests/fuzz/%.o $(TEST_SUPPORT_OBJ) $(SAN_LIB_OBJ)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)clang++-19 -fsanitize=address,undefined,fuzzer -pthread -o $@ $^
.PHONY: fuzz
fuzz: $(FUZZ)/$(F)  ## one fuzz target: F=name T=seconds; crashes land in build/fuzz/crashes
	$(Q)mkdir -p $(FUZZ)/corpus/$(F) $(FUZZ)/crashes
	$(Q)python3 scripts/fuzz_seeds.py $(F) $(FUZZ)/corpus/$(F)
	$(Q)$< -max_total_time=$(T) -timeout=5 -rss_limit_mb=2048 -artifact_prefix=$(FUZZ)/crashes/$(F)- \
	  $(FUZZ)/corpus/$(F) $(wildcard tests/fuzz/corpus/$(F))

# ---- parts with a page of their own --------------------------------------------------------
include $(sort $(wildcard scripts/mk/*.mk))

help:  ## this list
	@echo "To begin: make run (a chat in QEMU), make host (the same as a process), make quick (after a change)."
	@grep -hE '^[a-z0-9_-]+:.*##' $(MAKEFILE_LIST) | sort -u | \
	  sed -E 's/^([a-z0-9_-]+):[^#]*## *(.*)/\1\t\2/' | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'
clean:  ## removes the compiled kernel, twin and tests; downloads stay
	rm -rf $(TARGET) $(BUILD)/host $(SAN_DIR) $(FUZZ) $(BUILD)/generated
.PHONY: help clean

-include $(ENGINE_OBJ:.o=.d) $(KERNEL_OBJ:.o=.d) $(HOST_OBJ:.o=.d) $(SAN_LIB_OBJ:.o=.d) $(SAN_TEST_OBJ:.o=.d)
-include $(wildcard $(SAN_DIR)/tests/fuzz/*.d)
