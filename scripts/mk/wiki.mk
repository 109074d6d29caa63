# Pages of the wiki that come from tables in the code.
.PHONY: wiki
wiki: $(HOST_BIN)  ## writes wiki/Configuration.md and wiki/Console-Commands.md from the tables
	$(Q)python3 scripts/gen_wiki.py
