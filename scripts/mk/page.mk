# build/generated/page.inc: the chat page as a list of bytes, for service/serve/page.cpp.
PAGE_INC := $(BUILD)/generated/page.inc
$(PAGE_INC): service/serve/page/index.html scripts/embed_file.py | setup
	$(call say,EMBED,$<)
	@mkdir -p $(@D)
	$(Q)python3 scripts/embed_file.py $< $@
GENERATED += $(PAGE_INC)
