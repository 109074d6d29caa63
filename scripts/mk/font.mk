# build/generated/font.h: the screen's font, from the package console-setup-linux.
FONT_PSF ?= /usr/share/consolefonts/Uni2-Terminus16.psf.gz
FONT_H := $(BUILD)/generated/font.h
$(FONT_H): $(FONT_PSF) scripts/gen_font.py
	$(call say,FONT,$@)
	$(Q)python3 scripts/gen_font.py $< $@
# A clean machine has no font yet: the set-up step brings it.
$(FONT_PSF): | $(SETUP_DONE)
GENERATED += $(FONT_H)
