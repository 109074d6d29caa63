# build/host-san/askers: 32 askers at once against host and server, under ASan and UBSan.
ASKERS := $(SAN_DIR)/askers
ASKERS_OBJ := $(patsubst %.cpp,$(SAN_DIR)/%.o,$(wildcard tests/stress/*.cpp) tests/hosted/console_tiny_model.cpp)
.PHONY: test-askers
test-askers: $(ASKERS)  ## 1,000,000 seeded actions of 32 askers: streams, cancels, resets, loads, stops (N=actions)
	$(Q)$(ASKERS) engine=scripted actions=$(or $(N),1000000)
	$(Q)$(ASKERS) engine=tiny seconds=60
$(ASKERS): $(ASKERS_OBJ) $(TEST_SUPPORT_OBJ) $(SAN_LIB_OBJ) $$(LWIP_SAN_OBJ) $$(WOLFSSL_SAN_OBJ)
	$(call say,LINK,$@)
	$(Q)clang++-19 -fsanitize=address,undefined -pthread -o $@ $^
-include $(ASKERS_OBJ:.o=.d)
