# Precompiled headers: what nearly every file includes is parsed once for each set of flags, which halves
# the compilers' time. The code stays the same. A file must still include what it uses: clang-tidy reads
# it without these headers. GCC does not list them among a file's headers, so each object waits for the whole.
PRECOMPILED := scripts/mk/precompiled.inc
# Compilers write different bytes for the same header. ccache goes by the file .sum beside it instead: the text.
export CCACHE_PCH_EXTSUM := true
export CCACHE_SLOPPINESS := pch_defines,time_macros

# GCC takes NAME.gch for `-include NAME`, and fails here where flags differ, as there is no NAME itself.
gcc_header = -fpch-preprocess -include $(1)/precompiled.h
ENGINE_HEADER := $(call gcc_header,$(TARGET)/engine)
KERNEL_HEADER := $(call gcc_header,$(TARGET)/kernel)
HOST_HEADER := $(call gcc_header,$(BUILD)/host)
SAN_HEADER := -include-pch $(SAN_DIR)/precompiled.h.pch

# The flags are taken now: a file that asks for a header may have flags of its own, which its prerequisites inherit.
# $(eval $(call precompile,file,compiler,flags))
define precompile
$(1): $(PRECOMPILED) Makefile | setup $$$$(GENERATED)
	$$(call say,HEADERS,$$@)
	@mkdir -p $$(@D)
	$$(Q)$(2) $(3) -MF $$@.d -E -x c++ $$< -o $$@.sum
	$$(Q)$(2) $(3) -MF $$@.d -MT $$@ -x c++-header $$< -o $$@
-include $(1).d
endef
$(eval $(call precompile,$(TARGET)/engine/precompiled.h.gch,$(filter-out $(CCACHE),$(KERNEL_CXX)),$(ENGINE_FLAGS)))
$(eval $(call precompile,$(TARGET)/kernel/precompiled.h.gch,$(filter-out $(CCACHE),$(KERNEL_CXX)),$(KERNEL_FLAGS)))
$(eval $(call precompile,$(BUILD)/host/precompiled.h.gch,g++-12,$(HOST_FLAGS)))
$(eval $(call precompile,$(SAN_DIR)/precompiled.h.pch,clang++-19,$(SAN_FLAGS) -fpch-instantiate-templates -Xclang -fno-pch-timestamp))

# These are compiled with flags of their own.
$(TARGET)/engine/kernel/base/%.o $(TARGET)/engine/arch/%.o: ENGINE_HEADER :=
# string_functions.cpp defines what <cstring> declares.
$(TARGET)/kernel/arch/aarch64/%.o $(TARGET)/kernel/kernel/string_functions.o: KERNEL_HEADER :=
$(SAN_DIR)/arch/x86_64/simd/%.o: SAN_HEADER :=

