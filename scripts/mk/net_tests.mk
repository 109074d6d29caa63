# Tests of the server that take minutes or need more than the CI has.
NET_BASE := $(if $(BASE),--base $(BASE),--twin $(HOST_BIN) --model $(MODEL))
.PHONY: test-net-long test-rough-net test-gigabyte test-clients test-page
test-net-long: $(HOST_BIN) $(MODEL)  ## abuse of the server: 10,000 requests, 1,000 aborts, slow clients; BASE=http://… for another
	$(Q)python3 tests/system/http_abuse.py $(NET_BASE)
test-rough-net: $(TARGET)/marrow.elf $(MODEL)  ## as root: answers by wires that lose, swap, repeat and cut, through both cards; GUEST_MODEL=tiny.gguf
	$(Q)python3 tests/system/rough_net.py --model $(GUEST_MODEL)
test-gigabyte: $(TARGET)/marrow.elf  ## 1 GiB each way through each card, every byte compared; then by a wire that loses 5 % and reorders 5 %
	$(Q)python3 scripts/compare_linux.py net --alone --rounds 1
	$(Q)python3 scripts/compare_linux.py loss --alone --rounds 1
# CLIENT_PYTHON names an interpreter that has PyPI's openai, anthropic, ollama, pydantic, jsonschema, pydantic-ai-slim[openai],
# instructor, langchain-openai, langchain-ollama and llm; litellm needs another one (with mcp), as it needs an older openai; npm's
# openai, ai, @ai-sdk/openai and zod are looked for in NODE_FOLDER.
CLIENT_PYTHON ?= python3
LITELLM_PYTHON ?= python3
NODE_FOLDER ?= .
GUEST_MODEL ?= $(MODEL)
test-clients: $(HOST_BIN) $(TARGET)/marrow.elf $(MODEL)  ## the official clients against the twin and two guests: a table; PLACES= SUITES= GUEST_MODEL=tiny.gguf GUEST_ARCH=aarch64 BASE=http://…
	$(Q)CLIENT_PYTHON=$(CLIENT_PYTHON) LITELLM_PYTHON=$(LITELLM_PYTHON) NODE_FOLDER=$(NODE_FOLDER) \
	  python3 tests/system/client_suites.py --model $(MODEL) --guest-model $(GUEST_MODEL) $(if $(BASE),--base $(BASE)) \
	  $(if $(PLACES),--places $(PLACES)) $(if $(SUITES),--suites $(SUITES)) $(if $(GUEST_ARCH),--arch $(GUEST_ARCH))
test-page: $(HOST_BIN) $(MODEL)  ## the built-in page in headless Chromium (apt-get install chromium chromium-driver)
	$(Q)python3 tests/system/page.py --model $(MODEL) --screenshot $(BUILD)/page.png
