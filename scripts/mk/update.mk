# build/marrow.update: a kernel for machines that are installed already, signed with a key that they trust (wiki/Update.md).
ifneq ($(filter update,$(MAKECMDGOALS)),)
ifeq ($(wildcard $(SEED)),)
$(error make update needs SEED=FILE, the seed of a key that the machine trusts: `build/host/marrow bundle keygen site.seed site.pub` makes one)
endif
endif
UPDATE := $(BUILD)/marrow.update
UPDATE_WORK := $(BUILD)/update

# The file gets its name when it is signed, so that an unsigned one is never taken for it.
.PHONY: update
update: $(KERNEL_IMAGE) $(HOST_BIN) | setup  ## build/marrow.update, a signed kernel for installed machines; SEED=FILE signs, VERSION=0.3.0
	$(Q)rm -rf $(UPDATE) $(UPDATE_WORK) && mkdir -p $(UPDATE_WORK)
	$(Q)strip --strip-debug -o $(UPDATE_WORK)/marrow.elf $(KERNEL_IMAGE)
	$(Q)$(HOST_BIN) update make $(UPDATE_WORK)/marrow.elf $(UPDATE_WORK)/marrow.update $(VERSION) </dev/null
	$(Q)$(HOST_BIN) update sign $(UPDATE_WORK)/marrow.update $(SEED) </dev/null
	$(Q)mv $(UPDATE_WORK)/marrow.update $(UPDATE) && rm -r $(UPDATE_WORK)
	@echo "$(UPDATE): \`update $(notdir $(UPDATE))\` on the machine, or \`update https://HOST/$(notdir $(UPDATE))\` (wiki/Update.md)"
