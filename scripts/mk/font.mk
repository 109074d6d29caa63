# build/generated/font.h: the screen's font, from the package console-setup-linux.
FONT_PSF ?= /usr/share/consolefonts/Uni2-Terminus16.psf.gz
FONT_H := $(BUILD)/generated/font.h
$(FONT_H): $(FONT_PSF) scripts/gen_font.py | setup
	$(call say,FONT,$@)
	$(Q)python3 scripts/gen_font.py $< $@
# A clean machine has no font yet: the set-up brings it.
$(FONT_PSF): | setup
GENERATED += $(FONT_H)
