# lwIP, fetched and built by its own rules: once for the kernel, once for processes, once under
# sanitizers. Foreign C: no warnings; only kernel/net sees its headers.
LWIP := $(BUILD)/third_party/lwip
LWIP_READY := $(LWIP)/.extracted
LWIP_SRC := $(addprefix core/,altcp.c altcp_alloc.c altcp_tcp.c def.c dns.c inet_chksum.c init.c ip.c mem.c memp.c \
  netif.c pbuf.c raw.c stats.c sys.c tcp.c tcp_in.c tcp_out.c udp.c) \
  $(addprefix core/ipv4/,autoip.c dhcp.c etharp.c icmp.c igmp.c ip4.c ip4_addr.c ip4_frag.c) \
  $(addprefix core/ipv6/,ethip6.c icmp6.c inet6.c ip6.c ip6_addr.c ip6_frag.c mld6.c nd6.c) \
  netif/ethernet.c apps/sntp/sntp.c apps/mdns/mdns.c
LWIP_OPTIONS := kernel/net/lwip/lwipopts.h kernel/net/lwip/lwip_hooks.h kernel/net/lwip/arch/cc.h
LWIP_INCLUDE := -Ikernel/net/lwip -isystem $(LWIP)/src/include
LWIP_FLAGS := -std=gnu17 -w -g$(G) -MMD -MP -fno-omit-frame-pointer -fno-strict-aliasing -ffunction-sections -fdata-sections \
  $(LWIP_INCLUDE)
LWIP_KERNEL_FLAGS := -O2 -ffreestanding -fno-pic -fno-pie $(ARCH_FLAGS) -fno-asynchronous-unwind-tables -mgeneral-regs-only \
  -fstack-protector-strong -mstack-protector-guard=global -ftrivial-auto-var-init=zero -fno-optimize-sibling-calls
# Packed headers are read in place, which this CPU allows.
LWIP_SAN_FLAGS := -O1 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize=alignment -fno-sanitize-recover=all -DMEMP_MEM_MALLOC=1
LWIP_KERNEL_OBJ := $(LWIP_SRC:%.c=$(TARGET)/lwip/%.o)
LWIP_HOST_OBJ := $(LWIP_SRC:%.c=$(BUILD)/host/lwip/%.o)
LWIP_SAN_OBJ := $(LWIP_SRC:%.c=$(SAN_DIR)/lwip/%.o)

# Some of its files have lines that end in CR LF, where no patch would fit.
LWIP_PATCHES := $(sort $(wildcard scripts/patches/lwip-*.patch))
$(LWIP_READY): $(THIRD_PARTY) $(LWIP_PATCHES) | setup
	$(call say,EXTRACT,lwip)
	$(Q)rm -rf $(LWIP) && mkdir -p $(LWIP)
	$(Q)archive=$$(python3 scripts/fetch_third_party.py --path lwip) && tar xf "$$archive" -C $(LWIP) --strip-components=1
	$(Q)find $(LWIP)/src -name '*.[ch]' -exec sed -i 's/\r$$//' {} +
	$(Q)for patch in $(LWIP_PATCHES); do patch -s -f -p1 -d $(LWIP) <$$patch || exit 1; done
	@touch $@
$(LWIP_SRC:%=$(LWIP)/src/%): $(LWIP_READY) ;

$(LWIP_KERNEL_OBJ): $(TARGET)/lwip/%.o: $(LWIP)/src/%.c $(LWIP_OPTIONS)
	$(call compiling,LWIP,$*.c)
	@mkdir -p $(@D)
	$(Q)$(KERNEL_CC) $(LWIP_FLAGS) $(LWIP_KERNEL_FLAGS) -c $< -o $@
$(LWIP_HOST_OBJ): $(BUILD)/host/lwip/%.o: $(LWIP)/src/%.c $(LWIP_OPTIONS)
	$(call compiling,LWIP,$*.c)
	@mkdir -p $(@D)
	$(Q)$(CC12) $(LWIP_FLAGS) -O2 -fno-pic -fno-pie -c $< -o $@
$(LWIP_SAN_OBJ): $(SAN_DIR)/lwip/%.o: $(LWIP)/src/%.c $(LWIP_OPTIONS) | setup
	$(call compiling,LWIP,$*.c)
	@mkdir -p $(@D)
	$(Q)$(CCACHE) clang-19 $(LWIP_FLAGS) $(LWIP_SAN_FLAGS) -c $< -o $@

# The files that may include lwIP's headers. The compiler's own dependencies leave out what system headers
# include, so the options are named here: objects that disagree about them disagree about layouts.
$(TARGET)/kernel/kernel/net/%.o: KERNEL_FLAGS += $(LWIP_INCLUDE)
$(BUILD)/host/kernel/net/%.o: HOST_FLAGS += $(LWIP_INCLUDE)
$(SAN_DIR)/kernel/net/%.o: SAN_FLAGS += $(LWIP_INCLUDE)
$(SAN_DIR)/tests/fuzz/dns.o: SAN_FLAGS += $(LWIP_INCLUDE)
TIDY_FLAGS_HOSTED += $(LWIP_INCLUDE)
$(filter $(TARGET)/kernel/kernel/net/%,$(KERNEL_OBJ)) $(filter $(BUILD)/host/kernel/net/%,$(HOST_OBJ)) \
  $(filter $(SAN_DIR)/kernel/net/%,$(SAN_LIB_OBJ)) $(SAN_DIR)/tests/fuzz/dns.o: $(LWIP_OPTIONS) | $(LWIP_READY)

# The programs that link it.
KERNEL_LINK_OBJ += $(LWIP_KERNEL_OBJ)
$(TARGET)/marrow.elf: $(LWIP_KERNEL_OBJ)
$(HOST_BIN): $(LWIP_HOST_OBJ)
$(UNIT_TESTS): $(LWIP_SAN_OBJ)
$(patsubst tests/fuzz/%.cpp,$(FUZZ)/%,$(wildcard tests/fuzz/*.cpp)): $(LWIP_SAN_OBJ)
-include $(LWIP_KERNEL_OBJ:.o=.d) $(LWIP_HOST_OBJ:.o=.d) $(LWIP_SAN_OBJ:.o=.d)
