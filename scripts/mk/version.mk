# build/generated/version.h: rewritten only when the version or the commit changed.
VERSION_H := $(BUILD)/generated/version.h
.PHONY: FORCE
$(VERSION_H): FORCE | setup
	@python3 scripts/gen_version.py $@
GENERATED += $(VERSION_H)
