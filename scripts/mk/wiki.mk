# Pages of the wiki that come from tables in the code.
.PHONY: wiki
wiki: $(HOST_BIN)  ## writes the wiki's pages that come from tables: options, commands, Linux stubs
	$(Q)python3 scripts/gen_wiki.py
	$(Q)python3 scripts/gen_linux_page.py
