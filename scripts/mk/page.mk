# build/generated/page.inc: the chat page as a list of bytes, for service/serve/page.cpp.
PAGE_INC := $(BUILD)/generated/page.inc
$(PAGE_INC): $(addprefix service/serve/page/,index.html page.css page.js) scripts/embed_page.py | setup
	$(call say,EMBED,$<)
	@mkdir -p $(@D)
	$(Q)python3 scripts/embed_page.py $(<D) $@
GENERATED += $(PAGE_INC)
