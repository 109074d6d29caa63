# The unmodified Linux drivers and their shim, one relocatable object (wiki/Drivers.md). The script
# waits for the download itself: for a prerequisite that is being made, make would come back only
# after it had begun all other objects, and this is the longest job.
$(LINUX_OBJ): drivers/linux/drivers.list $(wildcard drivers/linux/config*) drivers/linux/fatal.list drivers/linux/host.h \
  $(wildcard $(addprefix drivers/linux/shim/,*.c *.h $(ARCH)/*.c $(ARCH)/include/asm/*.h)) scripts/build_linux.sh scripts/gen_linux_stubs.py scripts/third_party.lock | setup
	@MAKEFLAGS= MAKELEVEL= scripts/build_linux.sh $@ $(ARCH)

# The shim in a process, under ASan and UBSan, with the check of lock order on.
SHIM_TEST := $(BUILD)/linux/test/run
.PHONY: test-shim
test-shim: $(SHIM_TEST)  ## the Linux shim's unit tests under ASan and UBSan
	$(Q)$(SHIM_TEST)
$(SHIM_TEST): $(LINUX_OBJ) $(wildcard tests/shim/*) scripts/build_shim_test.sh | setup
	$(call say,SAN,$@)
	$(Q)scripts/build_shim_test.sh $@
