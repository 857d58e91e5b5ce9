# What a locked-up role can and cannot do, tried for real.
#
#	make .build/gcc/regress/sandbox-probe
#	.build/gcc/regress/sandbox-probe --all		as root: both modes

SANDBOX_PROBE_SRC := $(wildcard regress/sandbox/*.c)

$(B)/regress/sandbox-probe: $(call obj,$(SANDBOX_PROBE_SRC)) $(COMMON_LIB)
	$(call link,$(LIB_PCRE2))
