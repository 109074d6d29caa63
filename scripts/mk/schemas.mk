# The schema compiler beside PyPI's jsonschema. N schemas are random; SUITE= is the folder `tests` of a JSON-Schema-Test-Suite.
.PHONY: test-schemas
test-schemas: $(BUILD)/tools/schema  ## schemas compared with PyPI's jsonschema: N=2000 random ones, SUITE=folder
	$(Q)python3 tests/oracles/schemas.py real
	$(Q)python3 tests/oracles/schemas.py fuzz $(or $(N),2000)
	$(if $(SUITE),$(Q)python3 tests/oracles/schemas.py suite $(SUITE))
