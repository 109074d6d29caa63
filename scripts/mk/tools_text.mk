# Small programs that scripts in tests/oracles drive: build/tools/tokenize, build/tools/template.
TEXT_TOOL_LIB := $(ENGINE_OBJ) $(LWIP_HOST_OBJ) $(WOLFSSL_HOST_OBJ) $(BEARSSL_HOST_OBJ) $(patsubst %.cpp,$(BUILD)/host/%.o,$(filter-out arch/host/main.cpp,$(HOST_SRC))) \
  $(BUILD)/host/tools/guard.o $(BUILD)/host/tools/host_platform.o $(BUILD)/host/tests/hosted/test_platform.o $(BUILD)/host/tests/hosted/test_files.o
$(BUILD)/tools/%: $(BUILD)/host/tests/tools/%.o $(TEXT_TOOL_LIB)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)g++-12 -no-pie -pthread -o $@ $^
-include $(wildcard $(BUILD)/host/tests/tools/*.d)
