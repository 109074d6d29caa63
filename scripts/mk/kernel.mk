# The kernel: build/$(ARCH)/marrow.elf, linked twice so that it carries its own symbol table.
KERNEL_ELF := $(TARGET)/marrow.elf
KERNEL_LD := arch/$(ARCH)/kernel.ld
# Kernel objects come first: of two copies of an inline function the linker keeps the first, and
# only these are built without vector registers, so an interrupt handler never touches one.
# For the same reason kernel/base, which both worlds share, is built that way.
KERNEL_LINK_OBJ := $(KERNEL_OBJ) $(LINUX_OBJ) $(filter $(TARGET)/engine/kernel/%,$(ENGINE_OBJ)) \
  $(filter-out $(TARGET)/engine/kernel/%,$(ENGINE_OBJ))
$(TARGET)/engine/kernel/base/%.o: ENGINE_FLAGS += -mgeneral-regs-only
# Backtraces follow frames, so no function may replace its caller's frame (sibling calls).
KERNEL_FLAGS += -fno-optimize-sibling-calls
# SAN=1: the kernel that boots checks itself for undefined behaviour (kernel/ubsan.cpp).
ifeq ($(SAN),1)
UBSAN_FLAGS := -fsanitize=undefined -fno-sanitize-recover=all
ENGINE_FLAGS += $(UBSAN_FLAGS)
KERNEL_FLAGS += $(UBSAN_FLAGS)
# While GCC 12 checks for null pointers, it cannot compare a function with null in a constant expression.
# The tables of the engine's functions assert that way that they are complete.
$(TARGET)/engine/ai/kernels/reference.o $(TARGET)/engine/arch/$(ARCH)/simd/tables.o: \
  ENGINE_FLAGS += -fno-sanitize=null,nonnull-attribute,returns-nonnull-attribute
endif
KERNEL_LDFLAGS := -nostdlib $(ARCH_LDFLAGS) --gc-sections -z max-page-size=4096 -z noexecstack \
  --build-id=none --fatal-warnings

.PHONY: kernel
kernel: $(KERNEL_IMAGE)  ## the kernel, build/$(ARCH)/marrow.elf or .efi (ARCH=aarch64)

# Pass 1 has an empty table; pass 2 the table of pass 1. Text lies before the table, so its symbols
# must not have moved: check_image.py compares the table made from pass 2 with the one it carries.
# The drivers come first: their download and their one-job steps pass while others compile.
$(KERNEL_ELF): $(LINUX_OBJ) $(KERNEL_LINK_OBJ) $(KERNEL_LD) scripts/gen_symbols.py scripts/check_image.py
	$(call say,LINK,$@)
	$(Q)$(CROSS)ld $(KERNEL_LDFLAGS) -T $(KERNEL_LD) -o $@.pass1 $(KERNEL_LINK_OBJ)
	$(Q)python3 scripts/gen_symbols.py $@.pass1 $(TARGET)/symbols.bin
	$(Q)cd $(TARGET) && $(CROSS)objcopy -I binary -O $(OBJECT_FORMAT) \
	  --rename-section .data=.symbols,alloc,load,readonly,data,contents symbols.bin symbols.o
	$(Q)$(CROSS)ld $(KERNEL_LDFLAGS) -T $(KERNEL_LD) -o $@.pass2 $(KERNEL_LINK_OBJ) $(TARGET)/symbols.o
	$(Q)python3 scripts/check_image.py $@.pass2 $(TARGET)/symbols.bin
	$(Q)rm -f $@.pass1 && mv $@.pass2 $@
