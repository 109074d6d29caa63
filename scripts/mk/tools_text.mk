# Small programs that scripts in tests/oracles drive: build/tools/tokenize, build/tools/template.
TEXT_TOOL_LIB := $(ENGINE_OBJ) $(LWIP_HOST_OBJ) $(WOLFSSL_HOST_OBJ) $(BEARSSL_HOST_OBJ) $(patsubst %.cpp,$(BUILD)/host/%.o,$(filter-out arch/host/main.cpp,$(HOST_SRC))) \
  $(BUILD)/host/tools/guard.o $(BUILD)/host/tools/host_platform.o $(BUILD)/host/tests/hosted/test_platform.o $(BUILD)/host/tests/hosted/test_files.o
$(BUILD)/tools/%: $(BUILD)/host/tests/tools/%.o $(TEXT_TOOL_LIB)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)g++-12 -no-pie -pthread -o $@ $^
# The chat templates beside PyPI's jinja2. N templates are random; TEMPLATES= is a folder of real ones.
.PHONY: test-templates
test-templates: $(BUILD)/tools/template  ## chat templates compared with PyPI's jinja2: N=3000 random ones, TEMPLATES=folder
	$(Q)python3 tests/oracles/templates_compared.py real $(TEMPLATES)
	$(Q)python3 tests/oracles/templates_compared.py fuzz $(or $(N),3000)
-include $(wildcard $(BUILD)/host/tests/tools/*.d)
