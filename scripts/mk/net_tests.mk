# Tests of the server that take minutes or need more than the CI has.
NET_BASE := $(if $(BASE),--base $(BASE),--twin $(HOST_BIN) --model $(MODEL))
.PHONY: test-net-long test-clients test-page
test-net-long: $(HOST_BIN) $(MODEL)  ## abuse of the server: 10,000 requests, 1,000 aborts, slow clients; BASE=http://… for another
	$(Q)python3 tests/system/http_abuse.py $(NET_BASE)
test-clients: $(HOST_BIN) $(MODEL)  ## the official Python clients (PyPI: openai anthropic pydantic jsonschema); BASE=http://… for another
	$(Q)python3 tests/system/openai_clients.py $(NET_BASE)
test-page: $(HOST_BIN) $(MODEL)  ## the built-in page in headless Chromium (apt-get install chromium chromium-driver)
	$(Q)python3 tests/system/page.py --model $(MODEL) --screenshot $(BUILD)/page.png
