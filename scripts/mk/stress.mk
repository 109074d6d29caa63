# build/host-san/askers: 32 askers at once against host and server, under ASan and UBSan.
ASKERS := $(SAN_DIR)/askers
ASKERS_OBJ := $(patsubst %.cpp,$(SAN_DIR)/%.o,$(wildcard tests/stress/*.cpp) tests/hosted/console_tiny_model.cpp)
.PHONY: test-askers
test-askers: $(ASKERS)  ## 1,000,000 seeded actions of 32 askers: streams, cancels, resets, loads, stops (N=actions)
	$(Q)$(ASKERS) engine=scripted actions=$(or $(N),1000000)
	$(Q)$(ASKERS) engine=tiny seconds=60
$(ASKERS): $(ASKERS_OBJ) $(TEST_SUPPORT_OBJ) $(SAN_LIB_OBJ) $$(LWIP_SAN_OBJ) $$(WOLFSSL_SAN_OBJ) $$(BEARSSL_SAN_OBJ)
	$(call say,LINK,$@)
	$(Q)clang++-19 -fsanitize=address,undefined -pthread -o $@ $^
-include $(ASKERS_OBJ:.o=.d)

# build/host-san/marrow: the twin itself under ASan and UBSan, for attacks over a real socket.
SAN_TWIN := $(SAN_DIR)/marrow
.PHONY: host-san
host-san: $(SAN_TWIN)  ## the hosted twin under ASan and UBSan, build/host-san/marrow
$(SAN_TWIN): $(SAN_LIB_OBJ) $(SAN_DIR)/arch/host/main.o $$(LWIP_SAN_OBJ) $$(WOLFSSL_SAN_OBJ) $$(BEARSSL_SAN_OBJ)
	$(call say,LINK,$@)
	$(Q)clang++-19 -fsanitize=address,undefined -pthread -o $@ $^
-include $(SAN_DIR)/arch/host/main.d
