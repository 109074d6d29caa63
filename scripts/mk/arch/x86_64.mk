# What is x86_64's own in the build of the kernel: its tools, its flags, its files.
KERNEL_CXX := $(CXX)
KERNEL_CC := $(CC12)
CROSS :=
OBJECT_FORMAT := elf64-x86-64
# Interrupts of ring 0 come on stacks of their own, but Linux's rules are kept: no red zone.
ARCH_FLAGS := -mno-red-zone
ARCH_LDFLAGS := -static
# Drivers of devices that this architecture's machines do not have.
ARCH_LACKS := drivers/serial/pl011.cpp drivers/serial/uart16550_memory.cpp drivers/serial/aarch64.cpp drivers/platform/aarch64.cpp
# What a machine is given to boot.
KERNEL_IMAGE := $(TARGET)/marrow.elf

# In functions with a target attribute GCC 12 forgets -mstack-protector-guard=global and reads its
# canary from %fs:0x28, which ring 0 does not have.
$(TARGET)/engine/arch/x86_64/simd/%.o: ENGINE_FLAGS += -fno-stack-protector
# Four floats of sse2.h stay four scalars.
$(TARGET)/engine/arch/x86_64/simd/sse2_%.o $(TARGET)/engine/arch/x86_64/simd/emulated_%.o: ENGINE_FLAGS += -fno-tree-vectorize -fno-tree-slp-vectorize

$(TARGET)/kernel/%.asm.o: %.asm | setup $$(GENERATED)
	$(call compiling,ASM,$<)
	@mkdir -p $(@D)
	$(Q)$(NASM) -f elf64 -g -F dwarf -w+error -MD $(@:.o=.d) -o $@ $<
