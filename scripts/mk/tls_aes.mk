# AES-GCM of BearSSL, fetched and built by its own rules: once for the kernel, once for processes, once
# under sanitizers. Foreign C: no warnings; only kernel/crypto/aes_gcm.cpp sees its headers.
BEARSSL := $(BUILD)/third_party/bearssl
BEARSSL_READY := $(BEARSSL)/.extracted
BEARSSL_SRC := $(addprefix symcipher/,aes_ct64.c aes_ct64_enc.c aes_ct64_ctr.c) hash/ghash_ctmul64.c codec/dec32le.c codec/enc32le.c
BEARSSL_INCLUDE := -isystem $(BEARSSL)/inc
# BearSSL finds no clock or random numbers of an operating system here; AES needs neither.
BEARSSL_FLAGS := -std=gnu17 -w -g$(G) -MMD -MP -fno-omit-frame-pointer -fno-strict-aliasing -ffunction-sections -fdata-sections \
  -DBR_USE_UNIX_TIME=0 -DBR_USE_GETENTROPY=0 -DBR_USE_URANDOM=0 -DBR_AES_X86NI=0 -DBR_SSE2=0 -DBR_RDRAND=0 $(BEARSSL_INCLUDE) -I$(BEARSSL)/src
BEARSSL_SAN_FLAGS := -O1 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
BEARSSL_KERNEL_OBJ := $(BEARSSL_SRC:%.c=$(TARGET)/bearssl/%.o)
BEARSSL_HOST_OBJ := $(BEARSSL_SRC:%.c=$(BUILD)/host/bearssl/%.o)
BEARSSL_SAN_OBJ := $(BEARSSL_SRC:%.c=$(SAN_DIR)/bearssl/%.o)

$(BEARSSL_READY): $(THIRD_PARTY) | setup
	$(call say,EXTRACT,bearssl)
	$(Q)rm -rf $(BEARSSL) && mkdir -p $(BEARSSL)
	$(Q)archive=$$(python3 scripts/fetch_third_party.py --path bearssl) && tar xf "$$archive" -C $(BEARSSL) --strip-components=1
	@touch $@
$(BEARSSL_SRC:%=$(BEARSSL)/src/%): $(BEARSSL_READY) ;

$(BEARSSL_KERNEL_OBJ): $(TARGET)/bearssl/%.o: $(BEARSSL)/src/%.c
	$(call compiling,AES,$*.c)
	@mkdir -p $(@D)
	$(Q)$(KERNEL_CC) $(BEARSSL_FLAGS) $(LWIP_KERNEL_FLAGS) -c $< -o $@
$(BEARSSL_HOST_OBJ): $(BUILD)/host/bearssl/%.o: $(BEARSSL)/src/%.c
	$(call compiling,AES,$*.c)
	@mkdir -p $(@D)
	$(Q)$(CCACHE) gcc $(BEARSSL_FLAGS) -O2 -fno-pic -fno-pie -c $< -o $@
$(BEARSSL_SAN_OBJ): $(SAN_DIR)/bearssl/%.o: $(BEARSSL)/src/%.c | setup
	$(call compiling,AES,$*.c)
	@mkdir -p $(@D)
	$(Q)$(CCACHE) clang-19 $(BEARSSL_FLAGS) $(BEARSSL_SAN_FLAGS) -c $< -o $@

# The files that may include its headers.
$(TARGET)/kernel/kernel/crypto/aes_gcm.o: KERNEL_FLAGS += $(BEARSSL_INCLUDE)
$(BUILD)/host/kernel/crypto/aes_gcm.o: HOST_FLAGS += $(BEARSSL_INCLUDE)
$(SAN_DIR)/kernel/crypto/aes_gcm.o: SAN_FLAGS += $(BEARSSL_INCLUDE)
TIDY_FLAGS_HOSTED += $(BEARSSL_INCLUDE)
$(addsuffix /kernel/crypto/aes_gcm.o,$(TARGET)/kernel $(BUILD)/host $(SAN_DIR)): | $(BEARSSL_READY)

# The programs that link it.
KERNEL_LINK_OBJ += $(BEARSSL_KERNEL_OBJ)
$(TARGET)/marrow.elf: $(BEARSSL_KERNEL_OBJ)
$(HOST_BIN): $(BEARSSL_HOST_OBJ)
$(UNIT_TESTS): $(BEARSSL_SAN_OBJ)
$(patsubst tests/fuzz/%.cpp,$(FUZZ)/%,$(wildcard tests/fuzz/*.cpp)): $(BEARSSL_SAN_OBJ)
-include $(BEARSSL_KERNEL_OBJ:.o=.d) $(BEARSSL_HOST_OBJ:.o=.d) $(BEARSSL_SAN_OBJ:.o=.d)
