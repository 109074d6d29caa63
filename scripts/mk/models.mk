# build/host/model_check: the engine's optimized objects with the tests' platform.
# The protocol (ai/openai) is left out: it needs crypto, which these tools do not have.
MODEL_ENGINE_OBJ := $(filter-out $(TARGET)/engine/ai/openai/%,$(ENGINE_OBJ))
# What a program must link to give the engine the platform of a process (tools/host_platform.h).
HOST_PLATFORM_SRC := tools/host_platform.cpp tools/guard.cpp arch/host/memory.cpp arch/host/cpu_features.cpp
MODEL_CHECK := $(BUILD)/host/model_check
MODEL_CHECK_OBJ := $(patsubst %.cpp,$(BUILD)/host/%.o,tests/tools/model_check.cpp \
  tests/hosted/test_model_runner.cpp tests/hosted/test_platform.cpp $(HOST_PLATFORM_SRC))
.PHONY: model-check
model-check: $(MODEL_CHECK)  ## build/host/model_check: greedy texts, logits and speed of a model file
$(MODEL_CHECK): $(MODEL_ENGINE_OBJ) $(MODEL_CHECK_OBJ)
	$(call say,LINK,$@)
	$(Q)g++-12 -no-pie -pthread -o $@ $^
-include $(MODEL_CHECK_OBJ:.o=.d)

# build/host/tiny_files: the tiny models of tests/goldens/models as files, for a booted kernel.
TINY_FILES := $(BUILD)/host/tiny_files
TINY_FILES_OBJ := $(patsubst %.cpp,$(BUILD)/host/%.o,tests/tools/tiny_files.cpp \
  $(addprefix tests/hosted/test_,files.cpp platform.cpp tiny_model.cpp) $(HOST_PLATFORM_SRC))
$(TINY_FILES): $(MODEL_ENGINE_OBJ) $(TINY_FILES_OBJ)
	$(call say,LINK,$@)
	$(Q)g++-12 -no-pie -pthread -o $@ $^
-include $(TINY_FILES_OBJ:.o=.d)

# Compares with llama.cpp. Needs PyPI's gguf, numpy and llama-cpp-python 0.3.36, and SmolLM2 (make model).
.PHONY: model-oracles
MODEL_ORACLE_PYTHON ?= python3
SMOLLM2 ?= $(BUILD)/models/SmolLM2-135M-Instruct.Q4_1.gguf
SMOLLM2_GOLDENS := tests/goldens/smollm2-q4_1.greedy.txt
model-oracles: $(MODEL_CHECK) $(BUILD)/tools/tokenize  ## every quantization, family, tokenizer and SmolLM2 against llama.cpp (minutes; SPREAD=1: and llama.cpp against itself)
	$(Q)$(MODEL_CHECK) greedy $(SMOLLM2) $(SMOLLM2_GOLDENS)
	$(Q)$(MODEL_ORACLE_PYTHON) tests/oracles/closeness.py families
	$(Q)$(MODEL_ORACLE_PYTHON) tests/oracles/closeness.py quants
	$(Q)$(MODEL_ORACLE_PYTHON) tests/oracles/embeddings.py $(SMOLLM2)
	$(Q)$(MODEL_ORACLE_PYTHON) tests/oracles/tokenizer_random.py $(SMOLLM2)
	$(Q)$(MODEL_ORACLE_PYTHON) tests/oracles/teacher_forced.py $(if $(SPREAD),--spread) $(SMOLLM2) $(SMOLLM2_GOLDENS) COPYING README.md

# build/host-san/hostile_models: damaged model files against the whole engine, under ASan and UBSan.
HOSTILE_MODELS := $(SAN_DIR)/hostile_models
.PHONY: hostile-models
hostile-models: $(HOSTILE_MODELS)  ## N=20000 damaged models must be refused or work: never crash, hang or leak
	$(Q)$(HOSTILE_MODELS) $(or $(N),20000)
$(HOSTILE_MODELS): $(SAN_DIR)/tests/tools/hostile_models.o $(TEST_SUPPORT_OBJ) $(SAN_LIB_OBJ) \
  $$(LWIP_SAN_OBJ) $$(WOLFSSL_SAN_OBJ) $$(BEARSSL_SAN_OBJ)
	$(call say,LINK,$@)
	$(Q)clang++-19 -fsanitize=address,undefined -pthread -o $@ $^
-include $(SAN_DIR)/tests/tools/hostile_models.d
