# build/host/pack: the packed form of a model, for images (ai/gguf/pack.h).
# MODEL_ENGINE_OBJ and HOST_PLATFORM_SRC are set in models.mk, which is read before.
PACK := $(BUILD)/host/pack
PACK_OBJ := $(patsubst %.cpp,$(BUILD)/host/%.o,tools/pack.cpp $(HOST_PLATFORM_SRC))
.PHONY: pack
pack: $(PACK)  ## build/host/pack: IN.gguf OUT.gguf, rows interleaved ahead of time
$(PACK): $(MODEL_ENGINE_OBJ) $(PACK_OBJ)
	$(call say,LINK,$@)
	$(Q)g++-12 -no-pie -pthread -o $@ $^
-include $(PACK_OBJ:.o=.d)
