# wolfSSL, fetched and built by its own rules: once for the kernel, once for processes, once under
# sanitizers. Foreign C: no warnings;
# only kernel/net/tls and kernel/crypto/ed25519.cpp see its headers.
WOLFSSL := $(BUILD)/third_party/wolfssl
WOLFSSL_READY := $(WOLFSSL)/.extracted
# Ed25519 signs bundles (kernel/crypto/ed25519). Only its own files are compiled with it, so TLS offers
# what it offered without.
WOLFSSL_ED25519_SRC := $(addprefix wolfcrypt/src/,ed25519.c ge_operations.c)
WOLFSSL_SRC := $(addprefix wolfcrypt/src/,asn.c chacha.c chacha20_poly1305.c coding.c curve25519.c ecc.c fe_operations.c \
  hash.c hmac.c kdf.c logging.c memory.c poly1305.c random.c rsa.c sha256.c sha512.c signature.c sp_c64.c sp_int.c \
  wc_encrypt.c wc_port.c wolfmath.c) \
  $(addprefix src/,internal.c keys.c ssl.c tls.c tls13.c wolfio.c) $(WOLFSSL_ED25519_SRC)
WOLFSSL_OPTIONS := kernel/net/tls/user_settings.h kernel/net/tls/shim.h
WOLFSSL_INCLUDE := -DWOLFSSL_USER_SETTINGS -Ikernel/net/tls -isystem $(WOLFSSL)
WOLFSSL_FLAGS := -std=gnu17 -w -g$(G) -MMD -MP -I. -fno-omit-frame-pointer -fno-strict-aliasing -fwrapv -ffunction-sections \
  -fdata-sections $(WOLFSSL_INCLUDE)
WOLFSSL_KERNEL_FLAGS := $(LWIP_KERNEL_FLAGS)
# Its arithmetic on words is unsigned where it must be; what it shifts and aligns is its own matter.
WOLFSSL_SAN_FLAGS := -O1 -fsanitize=address,fuzzer-no-link
WOLFSSL_KERNEL_OBJ := $(WOLFSSL_SRC:%.c=$(TARGET)/wolfssl/%.o)
WOLFSSL_HOST_OBJ := $(WOLFSSL_SRC:%.c=$(BUILD)/host/wolfssl/%.o)
WOLFSSL_SAN_OBJ := $(WOLFSSL_SRC:%.c=$(SAN_DIR)/wolfssl/%.o)

# The release as it was published, with Debian's corrections of its security and ours.
WOLFSSL_PATCHES := $(sort $(wildcard scripts/patches/wolfssl-*.patch))
$(WOLFSSL_READY): $(THIRD_PARTY) $(WOLFSSL_PATCHES) | setup
	$(call say,EXTRACT,wolfssl)
	$(Q)rm -rf $(WOLFSSL) && mkdir -p $(WOLFSSL)
	$(Q)archive=$$(python3 scripts/fetch_third_party.py --path wolfssl) && \
	  tar xf "$$archive" -C $(WOLFSSL) --strip-components=1 && \
	  tar xf "$${archive%/*}"/wolfssl_*.debian.tar.* -C $(WOLFSSL)
	$(Q)cd $(WOLFSSL) && while read -r name; do patch -s -f -p1 <debian/patches/$$name || exit 1; done <debian/patches/series
	$(Q)for patch in $(WOLFSSL_PATCHES); do patch -s -f -p1 -d $(WOLFSSL) <$$patch || exit 1; done
	@touch $@
$(WOLFSSL_SRC:%=$(WOLFSSL)/%): $(WOLFSSL_READY) ;

$(WOLFSSL_KERNEL_OBJ): $(TARGET)/wolfssl/%.o: $(WOLFSSL)/%.c $(WOLFSSL_OPTIONS)
	$(call compiling,TLS,$*.c)
	@mkdir -p $(@D)
	$(Q)$(KERNEL_CC) $(WOLFSSL_FLAGS) $(WOLFSSL_KERNEL_FLAGS) -c $< -o $@
$(WOLFSSL_HOST_OBJ): $(BUILD)/host/wolfssl/%.o: $(WOLFSSL)/%.c $(WOLFSSL_OPTIONS)
	$(call compiling,TLS,$*.c)
	@mkdir -p $(@D)
	$(Q)$(CC12) $(WOLFSSL_FLAGS) -O2 -fno-pic -fno-pie -c $< -o $@
$(WOLFSSL_SAN_OBJ): $(SAN_DIR)/wolfssl/%.o: $(WOLFSSL)/%.c $(WOLFSSL_OPTIONS) | setup
	$(call compiling,TLS,$*.c)
	@mkdir -p $(@D)
	$(Q)$(CCACHE) clang-19 $(WOLFSSL_FLAGS) $(WOLFSSL_SAN_FLAGS) -c $< -o $@

$(foreach dir,$(TARGET)/wolfssl $(BUILD)/host/wolfssl $(SAN_DIR)/wolfssl,$(WOLFSSL_ED25519_SRC:%.c=$(dir)/%.o)): \
  WOLFSSL_FLAGS += -DMARROW_ED25519

# The files that may include wolfSSL's headers.
$(TARGET)/kernel/kernel/net/tls/%.o: KERNEL_FLAGS += $(WOLFSSL_INCLUDE)
$(BUILD)/host/kernel/net/tls/%.o: HOST_FLAGS += $(WOLFSSL_INCLUDE)
$(SAN_DIR)/kernel/net/tls/%.o: SAN_FLAGS += $(WOLFSSL_INCLUDE)
$(SAN_DIR)/tests/hosted/kernel/net/tls/%.o: SAN_FLAGS += $(WOLFSSL_INCLUDE)
$(SAN_DIR)/tests/fuzz/tls.o: SAN_FLAGS += $(WOLFSSL_INCLUDE)
$(TARGET)/kernel/kernel/crypto/ed25519.o: KERNEL_FLAGS += $(WOLFSSL_INCLUDE)
$(BUILD)/host/kernel/crypto/ed25519.o: HOST_FLAGS += $(WOLFSSL_INCLUDE)
$(SAN_DIR)/kernel/crypto/ed25519.o: SAN_FLAGS += $(WOLFSSL_INCLUDE)
$(addsuffix /kernel/crypto/ed25519.o,$(TARGET)/kernel $(BUILD)/host $(SAN_DIR)): $(WOLFSSL_OPTIONS) | $(WOLFSSL_READY)
TIDY_FLAGS_HOSTED += $(WOLFSSL_INCLUDE)
$(filter $(TARGET)/kernel/kernel/net/tls/%,$(KERNEL_OBJ)) $(filter $(BUILD)/host/kernel/net/tls/%,$(HOST_OBJ)) \
  $(filter $(SAN_DIR)/kernel/net/tls/% $(SAN_DIR)/tests/hosted/kernel/net/tls/% $(SAN_DIR)/tests/fuzz/tls.o,$(SAN_LIB_OBJ) $(SAN_TEST_OBJ) $(SAN_DIR)/tests/fuzz/tls.o): $(WOLFSSL_OPTIONS) | $(WOLFSSL_READY)

# The programs that link it.
KERNEL_LINK_OBJ += $(WOLFSSL_KERNEL_OBJ)
$(TARGET)/marrow.elf: $(WOLFSSL_KERNEL_OBJ)
$(HOST_BIN): $(WOLFSSL_HOST_OBJ)
$(UNIT_TESTS): $(WOLFSSL_SAN_OBJ)
$(patsubst tests/fuzz/%.cpp,$(FUZZ)/%,$(wildcard tests/fuzz/*.cpp)): $(WOLFSSL_SAN_OBJ)
-include $(WOLFSSL_KERNEL_OBJ:.o=.d) $(WOLFSSL_HOST_OBJ:.o=.d) $(WOLFSSL_SAN_OBJ:.o=.d)
