# build/generated/catalogue_table.h: the models that `model pull NAME` knows.
CATALOGUE_H := $(BUILD)/generated/catalogue_table.h
$(CATALOGUE_H): scripts/models.toml scripts/gen_catalogue.py | setup
	$(Q)python3 scripts/gen_catalogue.py $@
GENERATED += $(CATALOGUE_H)
