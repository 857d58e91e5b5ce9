# Programs that drive the real logger and searcher without the rest of keepd.
#
#	bench-ingest, bench-search	figures, see the sources
#	torture-logger			kill -9 under load; see regress/e2e

RIG		:= $(call obj,regress/bench/rig.c)
$(RIG): CFLAGS += -Ilogger

$(B)/regress/bench-ingest: $(call obj,regress/bench/ingest.c) $(RIG) $(COMMON_LIB)
	$(call link,)
$(B)/regress/bench-search: $(call obj,regress/bench/search.c) $(RIG) $(COMMON_LIB)
	$(call link,)
$(B)/regress/torture-logger: $(call obj,regress/bench/torture.c) $(RIG) \
    $(COMMON_LIB)
	$(call link,)

bench-programs: $(B)/regress/bench-ingest $(B)/regress/bench-search
