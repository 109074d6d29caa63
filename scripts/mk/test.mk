# Running and testing. Every stage closes with `N passed, N failed`; `make test` adds them up.
MODEL ?= $(shell python3 scripts/fetch_model.py --path 2>/dev/null)
ISO := $(BUILD)/marrow.iso
FUZZ_TARGETS := $(patsubst tests/fuzz/%.cpp,$(FUZZ)/%,$(wildcard tests/fuzz/*.cpp))

$(BUILD)/models/%: scripts/models.toml scripts/fetch_model.py | $(BUILD)/.setup/model
	@python3 scripts/fetch_model.py
	@touch -h $@

.PHONY: run iso test test-qemu test-system test-matrix test-ubsan test-debug test-locks test-fuzz debug model
model: $(MODEL)  ## fetches the default model into build/models/
iso: $(ISO)  ## the bootable image with the default model (MODEL=FILE for another, MODEL= for none)
$(ISO): $(X86)/marrow.elf $(MODEL) $(wildcard iso/*) scripts/create_iso.sh scripts/make_manifest.py
	$(Q)SETUP=$(SETUP) scripts/create_iso.sh $(if $(MODEL),-m $(MODEL)) -o $@

run: $(X86)/marrow.elf $(MODEL) | $(BUILD)/.setup/run  ## QEMU with the default model; A="boot options", MODEL=FILE
	$(Q)scripts/run_qemu.sh $(if $(MODEL),--model $(MODEL)) --append "$(if $(A),$(A),$(if $(MODEL),talk))"

test: $(UNIT_TESTS) $(SHIM_TEST) $(A64_TESTS) $(X86)/marrow.elf $(HOST_BIN) $(FUZZ_TARGETS) $(ISO) $(MODEL) | $(BUILD)/.setup/run $(BUILD)/.setup/test  ## everything; closes with N passed, N failed
	$(Q)python3 scripts/run_tests.py
test-qemu: $(X86)/marrow.elf | $(BUILD)/.setup/run  ## the in-kernel tests under QEMU
	$(Q)python3 scripts/qemu_test.py
test-system: $(X86)/marrow.elf $(HOST_BIN) $(ISO) $(MODEL) | $(BUILD)/.setup/run  ## end-to-end tests
	$(Q)python3 scripts/run_tests.py system
test-matrix: $(X86)/marrow.elf | $(BUILD)/.setup/run $(BUILD)/.setup/iso $(BUILD)/.setup/test  ## the image in 32 machines: firmware, medium, CPUs, RAM, console; F=substring
	$(Q)python3 tests/system/boot_matrix.py $(F)
test-ubsan: $(MODEL) | $(BUILD)/.setup/run  ## the booted kernel with UBSan, heap poison and red zones (SAN=1 DEBUG=1)
	$(Q)$(MAKE) kernel SAN=1 DEBUG=1
	$(Q)python3 tests/system/checked_build.py
test-debug: $(HOST_BIN) $(ISO) $(MODEL) | $(BUILD)/.setup/run  ## the booted kernel's tests and the system tests on a DEBUG=1 kernel, and mistakes planted for it (an hour)
	$(Q)$(MAKE) kernel DEBUG=1
	$(Q)MARROW_KERNEL=$(BUILD)/x86_64-debug/marrow.elf python3 tests/system/checked_build.py
	$(Q)MARROW_KERNEL=$(BUILD)/x86_64-debug/marrow.elf python3 scripts/run_tests.py qemu system
test-locks: | $(BUILD)/.setup/run  ## the drivers' tests on a kernel that checks the order of their locks (DEBUG=1; some minutes)
	$(Q)$(MAKE) kernel DEBUG=1
	$(Q)MARROW_KERNEL=$(BUILD)/x86_64-debug/marrow.elf python3 tests/system/test_drivers.py $(F)
test-fuzz: $(FUZZ_TARGETS)  ## every fuzz target over its corpus, FUZZ_SECONDS=5 each
	$(Q)python3 scripts/run_tests.py fuzz

.PHONY: test-images
test-images: $(UNIT_TESTS) | $(BUILD)/.setup/test  ## file-system images with 10,000 files each (some minutes)
	$(Q)MARROW_IMAGE_FILES=10000 $(UNIT_TESTS) fs_images

debug: $(X86)/marrow.elf | $(BUILD)/.setup/run $(BUILD)/.setup/debug  ## QEMU stopped at the first instruction, and gdb on it; console in build/debug-serial.log
	$(Q)scripts/run_qemu.sh $(if $(MODEL),--model $(MODEL)) --append "$(A)" --serial file:$(BUILD)/debug-serial.log -- -s -S & \
	  gdb -q -x scripts/gdb_init.py $(X86)/marrow.elf
