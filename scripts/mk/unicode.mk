# Character classes and case mappings of ai/tokenizer/unicode.cpp, from Debian's unicode-data.
UCD ?= /usr/share/unicode
UNICODE_TABLES := $(BUILD)/generated/unicode_tables.inc
$(UNICODE_TABLES): scripts/gen_unicode.py | setup
	$(call say,GEN,$@)
	$(Q)python3 $< $(UCD) $@
GENERATED += $(UNICODE_TABLES)
