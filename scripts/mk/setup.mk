# The set-up comes before everything and once: one apt transaction brings all that the goals need.
# Rules wait for it with `| setup`; it installs nothing when all is there. A goal that needs more
# than the compiler stands in the row of each group (scripts/setup.sh) that it needs.
NEEDS_model := model run iso debug test test-system test-ubsan test-debug test-net-long test-rough-net test-clients test-page \
  bench bench-machine bench-compare bench-http $(BUILD)/models/% $(BUILD)/marrow.iso
NEEDS_run := run debug test test-qemu test-system test-matrix test-ubsan test-debug test-locks test-rough-net test-gigabyte \
  test-clients bench-machine
NEEDS_iso := iso test test-system test-debug test-matrix $(BUILD)/marrow.iso
NEEDS_test := test test-hosted test-aarch64 test-shim test-system test-matrix test-images test-fuzz fuzz hostile-models \
  test-askers check tidy $(SAN_DIR)/% $(FUZZ)/% $(BUILD)/aarch64-user/% $(BUILD)/linux/test/% $(BUILD)/check/%
NEEDS_check := check check-fast tidy analyze format $(BUILD)/check/%
NEEDS_debug := debug
NEEDS_fresh := test-fresh
# ARM64's compiler and machine are installed where ARM64 is asked for or tested.
NEEDS_arm := test test-aarch64 test-arm $(BUILD)/aarch64-user/% $(if $(filter aarch64,$(ARCH)),%)
SETUP_GROUPS := build $(foreach group,model run iso test check debug fresh arm,$(if \
  $(filter $(NEEDS_$(group)),$(or $(MAKECMDGOALS),all)),$(group)))

.PHONY: setup
setup:  ## installs what `make` needs; other targets do it themselves (SETUP=0 forbids it)
	@SETUP=$(SETUP) scripts/setup.sh $(SETUP_GROUPS)
