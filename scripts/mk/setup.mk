# The set-up comes before everything and once: one apt transaction brings all that the goals need.
# Rules wait for it with `| setup`; it installs nothing when all is there. A goal that needs more
# than the compiler stands in the row of each group (scripts/setup.sh) that it needs.
NEEDS_model := model run iso disk stick netboot debug test test-system test-ubsan test-debug test-net-long test-rough-net test-clients test-page \
  bench bench-machine bench-compare bench-gate bench-http test-bochs test-arm-machines $(BUILD)/models/% $(BUILD)/marrow.iso
NEEDS_run := run debug test timing test-qemu test-system test-ubsan test-debug test-locks test-rough-net test-gigabyte \
  test-clients test-bochs test-machines test-boots bench-machine
NEEDS_iso := iso disk stick netboot test test-system test-debug test-machines test-boots test-bochs $(BUILD)/marrow.iso
NEEDS_test := test quick timing host-san test-hosted test-weak test-aarch64 test-shim test-system test-machines test-boots test-images test-schemas test-templates test-fuzz fuzz hostile-models \
  test-askers check tidy $(SAN_DIR)/% $(FUZZ)/% $(BUILD)/aarch64-user/% $(BUILD)/linux/test/% $(BUILD)/check/%
NEEDS_check := check quick check-fast tidy analyze format $(BUILD)/check/%
NEEDS_debug := debug
NEEDS_fresh := test-fresh
NEEDS_bochs := test-bochs
# ARM64's compiler and machine are installed where ARM64 is asked for or tested.
NEEDS_arm := test test-aarch64 test-arm test-arm-machines $(BUILD)/aarch64-user/% $(if $(filter aarch64,$(ARCH)),%)
# The packages of `build` are always installed; the row lists the goals that need no more.
NEEDS_build := all kernel host update pack wiki check-wiki model-check model-oracles bench-kernels compile-commands setup clean help
SETUP_GROUPS := build $(foreach group,model run iso test check debug fresh bochs arm,$(if \
  $(filter $(NEEDS_$(group)),$(or $(MAKECMDGOALS),all)),$(group)))

.PHONY: setup
setup:  ## installs what `make` needs; other targets do it themselves (SETUP=0 forbids it)
	@SETUP=$(SETUP) scripts/setup.sh $(SETUP_GROUPS)
