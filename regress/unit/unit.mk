# The unit tests: one program of all test_*.c here, the common library and the
# parts of roles that can be tested by function call.
#
#	make .build/gcc/regress/unit && .build/gcc/regress/unit [suite]
#
# UNIT_ONLY="test_imsg.c test_link.c" builds only these, without other roles'
# sources unless UNIT_EXTRA_SRC names them.

UNIT_SRC	:= regress/unit/main.c $(if $(UNIT_ONLY),\
		    $(addprefix regress/unit/,$(UNIT_ONLY)),\
		    $(wildcard regress/unit/test_*.c))
ifndef UNIT_ONLY
UNIT_EXTRA_SRC	?= $(wildcard supervisor/policy.c \
		    supervisor/states.c logger/ring*.c \
		    logger/match.c logger/literal*.c \
		    logger/searcher_work.c logger/searcher_out.c \
		    frontend/era.c frontend/hosts.c frontend/jsonrpc.c)
endif
UNIT_CFLAGS	:= $(shell $(PKG_CONFIG) --cflags check 2>/dev/null) \
		    -Isupervisor -Ilogger -Ifrontend
UNIT_LIBS	:= $(shell $(PKG_CONFIG) --libs check 2>/dev/null) \
		    $(LIB_PCRE2) $(LIB_JSON)

$(B)/obj/regress/unit/%.o: CFLAGS += $(UNIT_CFLAGS)

# A restricted program has a name of its own: it must not pass for the whole.
UNIT_BIN	:= $(B)/regress/unit$(if $(UNIT_ONLY),-some)

$(UNIT_BIN): $(call obj,$(UNIT_SRC) $(UNIT_EXTRA_SRC)) $(COMMON_LIB)
	$(call link,$(UNIT_LIBS))
