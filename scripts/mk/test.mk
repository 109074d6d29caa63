# Running and testing. Every stage closes with `N passed, N failed`; `make test` adds them up.
# The default model's file, read without Python: a bare machine has none before the set-up.
ifeq ($(origin MODEL),undefined)
MODEL := $(BUILD)/models/$(shell awk -F'"' '/^default/ { head = "[model." $$2 "]" } $$0 == head { here = 1 } \
  here && /^file/ { print $$2; exit }' scripts/models.toml)
endif
ISO := $(BUILD)/marrow.iso
FUZZ_TARGETS := $(patsubst tests/fuzz/%.cpp,$(FUZZ)/%,$(wildcard tests/fuzz/*.cpp))

$(BUILD)/models/%: scripts/models.toml scripts/fetch_model.py | setup
	@python3 scripts/fetch_model.py
	@touch -h $@

.PHONY: run iso test test-qemu test-system test-machines test-boots test-bochs test-ubsan test-debug test-locks test-fuzz debug model
model: $(MODEL)  ## fetches the default model into build/models/
iso: $(ISO)  ## the bootable image with the default model (MODEL="FILE BUNDLE…" for others, MODEL= for none; KEY=site.pub; ARM=1: for ARM64 too)
ISO_ARM := $(if $(filter 1,$(ARM)),$(BUILD)/aarch64/marrow.efi)
ifneq ($(ISO_ARM),)
.PHONY: $(ISO_ARM)
$(ISO_ARM):
	$(Q)$(MAKE) ARCH=aarch64 kernel
endif
# MODEL may name several files and folders of bundles, KEY several public keys. An image of other ones is made anew.
ISO_WORDS := $(foreach model,$(MODEL),-m $(model)) $(foreach key,$(KEY),-p $(key)) $(if $(ISO_ARM),-a $(ISO_ARM))
ISO_SCRIPTS := $(addprefix scripts/,create_iso.sh stage_bundle.py make_manifest.py make_sbom.py make_manual.py)
$(BUILD)/iso.words: FORCE
	@mkdir -p $(BUILD)
	@echo '$(ISO_WORDS) CA=$(CA)' | cmp -s - $@ || echo '$(ISO_WORDS) CA=$(CA)' >$@
$(ISO): $(BUILD)/iso.words $(ISO_ARM) $(TARGET)/marrow.elf $(MODEL) $(foreach model,$(MODEL),$(wildcard $(model)/*)) $(KEY) $(CA) \
  $(wildcard iso/*) $(ISO_SCRIPTS) README.md $(wildcard wiki/*.md wiki/pictures/*) ai/quant/formats.def
	$(Q)CA=$(CA) SETUP=$(SETUP) scripts/create_iso.sh $(ISO_WORDS) -o $@

# An installed disk on a stick is all that a machine without a network needs, so both are one file.
.PHONY: disk stick
stick: disk  ## another name of `make disk`: `dd` writes the image to a USB stick just as well
disk: $(ISO) $(HOST_BIN)  ## build/marrow.img, the image of an installed disk or stick (MODEL="FILE BUNDLE…", KEY=site.pub, SIZE=MiB)
	$(Q)rm -f $(BUILD)/marrow.img
	$(Q)$(HOST_BIN) run="install --to-image $(BUILD)/marrow.img --from $(ISO)$(if $(SIZE), --size $(SIZE)); poweroff" </dev/null

.PHONY: netboot
netboot: $(ISO)  ## build/netboot, a folder from which a web server starts computers without a disk; SERVER=its address
	$(Q)SETUP=$(SETUP) scripts/create_netboot.sh $(if $(SERVER),-s $(SERVER)) -i $(ISO)

run: $(MODEL) $(KERNEL_IMAGE) | setup  ## QEMU with the default model; A="boot options", MODEL=FILE, ARCH=aarch64
	$(Q)scripts/run_qemu.sh --elf $(KERNEL_IMAGE) $(if $(MODEL),--model $(MODEL)) --append "$(if $(A),$(A),$(if $(MODEL),talk))"

# ARM64's kernel is made by a make of its own: what both would write is there before it begins.
.PHONY: kernel-arm test-arm test-arm-machines
kernel-arm: | setup $$(GENERATED) $$(LWIP_READY) $$(WOLFSSL_READY) $$(BEARSSL_READY)
	$(Q)$(MAKE) kernel ARCH=aarch64
test-arm: kernel-arm $(TINY_FILES) $(HOST_BIN) $(MODEL)  ## the ARM64 kernel: in-kernel tests, machines, faults, bits, a model's answers; F=substring
	$(if $(F),,$(Q)python3 scripts/qemu_test.py --arch aarch64)
	$(if $(F),,$(Q)python3 tests/system/test_bits.py on_arm64)
	$(if $(F),,$(Q)python3 tests/system/arm_answers.py)
	$(Q)python3 tests/system/test_arm.py $(F)
test-arm-machines: kernel-arm $(TARGET)/marrow.elf $(MODEL)  ## the ARM64 kernel in 30 machines of QEMU, with a table (F=substring)
	$(Q)python3 tests/system/arm_machines.py $(F)

test: $(UNIT_TESTS) $$(WEAK_TESTS) $$(ASKERS) $(SHIM_TEST) $(A64_TESTS) $(TINY_FILES) kernel-arm $(TARGET)/marrow.elf $(HOST_BIN) $(FUZZ_TARGETS) $(ISO) $(MODEL) | setup  ## everything; closes with N passed, N failed
	$(Q)python3 scripts/run_tests.py
test-qemu: $(KERNEL_IMAGE) | setup  ## the in-kernel tests under QEMU; ARCH=aarch64
	$(Q)python3 scripts/qemu_test.py --arch $(ARCH)
test-system: $(TARGET)/marrow.elf $(HOST_BIN) $(TINY_FILES) $(ISO) $(MODEL) | setup  ## end-to-end tests
	$(Q)python3 scripts/run_tests.py system
test-boots: $(TARGET)/marrow.elf | setup  ## N=100 boots by -kernel, by SeaBIOS and by OVMF; F=one of them
	$(Q)python3 tests/system/boots.py COUNT=$(if $(N),$(N),100) $(F)
test-machines: $(TARGET)/marrow.elf | setup  ## the image in 81 QEMU machines, judged by screen and serial line (F=substring); SEED=7 COUNT=200: drawn ones; ANSWERS=1: a question typed in seven
	$(Q)python3 tests/system/machines.py $(if $(ANSWERS),ANSWERS=1) $(if $(SEED),SEED=$(SEED) COUNT=$(if $(COUNT),$(COUNT),200) FIRST=$(if $(FIRST),$(FIRST),0),$(F))
test-bochs: $(TARGET)/marrow.elf $(MODEL) | setup  ## the image in Bochs, its text and bits compared with QEMU's: 2 rows; F=all: 6 CPU models with 1, 2 and 4 CPUs (two to five minutes a row)
	$(Q)python3 tests/system/bochs.py $(F)
test-ubsan: $(MODEL) | setup  ## the booted kernel with UBSan, heap poison and red zones (SAN=1 DEBUG=1); ARCH=aarch64
	$(Q)$(MAKE) kernel SAN=1 DEBUG=1
	$(Q)MARROW_KERNEL=$(BUILD)/$(ARCH)-san-debug/$(notdir $(KERNEL_IMAGE)) python3 tests/system/checked_build.py
test-debug: $(HOST_BIN) $(TINY_FILES) $(ISO) $(MODEL) | setup  ## the booted kernel's tests and the system tests on a DEBUG=1 kernel, and mistakes planted for it (an hour)
	$(Q)$(MAKE) kernel DEBUG=1
	$(Q)MARROW_KERNEL=$(BUILD)/x86_64-debug/marrow.elf python3 tests/system/checked_build.py
	$(Q)MARROW_KERNEL=$(BUILD)/x86_64-debug/marrow.elf python3 scripts/run_tests.py qemu system
test-locks: | setup  ## the drivers' tests on a kernel that checks the order of their locks (DEBUG=1; some minutes)
	$(Q)$(MAKE) kernel DEBUG=1
	$(Q)MARROW_KERNEL=$(BUILD)/x86_64-debug/marrow.elf python3 tests/system/test_drivers.py $(F)
test-fuzz: $(FUZZ_TARGETS)  ## every fuzz target over its corpus, some seconds each; FUZZ_SECONDS=60 for longer
	$(Q)python3 scripts/run_tests.py fuzz

.PHONY: timing
timing: $(UNIT_TESTS) $(TARGET)/marrow.elf | setup  ## tests that depend on the machine's speed; part of no other target: run it on an idle machine
	$(Q)python3 scripts/run_tests.py timing

.PHONY: test-images
test-images: $(UNIT_TESTS) | setup  ## file-system images with 10,000 files each (some minutes)
	$(Q)MARROW_IMAGE_FILES=10000 $(UNIT_TESTS) fs_images

debug: $(TARGET)/marrow.elf | setup  ## QEMU stopped at the first instruction, and gdb on it; console in build/debug-serial.log
	$(Q)scripts/run_qemu.sh --elf $(TARGET)/marrow.elf $(if $(MODEL),--model $(MODEL)) --append "$(A)" --serial file:$(BUILD)/debug-serial.log -- -s -S & \
	  gdb -q -x scripts/gdb_init.py $(TARGET)/marrow.elf

.PHONY: test-fresh
test-fresh: | setup  ## as root: README's two commands on bare Debian 12 and 13 systems (an hour each); F=12, COMMAND=run, PLANT=package
	$(Q)python3 scripts/test_fresh.py $(if $(F),--release $(F)) $(if $(COMMAND),--command $(COMMAND)) $(if $(PLANT),--plant $(PLANT)) $(if $(KEEP),--keep)
