# What is ARM64's own in the build of the kernel: its tools, its flags, its files.
CROSS := aarch64-linux-gnu-
KERNEL_CXX := $(CCACHE) $(CROSS)g++-12
KERNEL_CC := $(CCACHE) $(CROSS)gcc-12
OBJECT_FORMAT := elf64-littleaarch64
# Atomics inline, no landing pads: both would be for CPUs newer than the oldest one that runs this.
ARCH_FLAGS := -mno-outline-atomics -mbranch-protection=none
# What clang-tidy must not be told, and what it must.
ARCH_GCC_FLAGS := -mstack-protector-guard=global
ARCH_CLANG_FLAGS := --target=aarch64-linux-gnu
# Linked at 0 and position independent: RAM begins anywhere, and identity mapping must stay.
# ld makes room for what two errata of the Cortex-A53 forbid (843419: an ADRP at the end of a page;
# 835769: a multiplication behind a memory access). gcc asks for it, but here ld is called directly.
ARCH_LDFLAGS := -pie --no-dynamic-linker -Bsymbolic -z notext --fix-cortex-a53-843419 --fix-cortex-a53-835769
ARCH_LACKS := drivers/serial/uart16550_ports.cpp drivers/serial/x86_64.cpp drivers/input/ps2.cpp drivers/input/power_button.cpp \
  drivers/platform/x86_64.cpp
KERNEL_IMAGE := $(TARGET)/marrow.efi

# Its first instructions run with the MMU off, where every access must be aligned, and a loop must not
# become a call of memset.
$(TARGET)/kernel/arch/aarch64/%.o: KERNEL_FLAGS += -mstrict-align -fno-tree-loop-distribute-patterns

$(TARGET)/kernel/%.S.o: %.S | setup $$(GENERATED)
	$(call compiling,ASM,$<)
	@mkdir -p $(@D)
	$(Q)$(KERNEL_CC) -I. -g$(G) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

# An arm64 Linux `Image` and an EFI application at once (arch/aarch64/head.S): a file offset is an address.
$(KERNEL_IMAGE): $(TARGET)/marrow.elf
	$(call say,IMAGE,$@)
	$(Q)$(CROSS)objcopy -O binary $< $@
