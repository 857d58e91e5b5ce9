# keepd: build, install, check.  GNU make.  `make help` lists the targets.
#
#	make [all]		the six programs, below .build/$(CC)
#	make SAN=1 all		the same with ASan and UBSan, a tree of its own
#	make install		DESTDIR, PREFIX (default /usr/local)
#	make deps		install what is missing to build and test
#	make demo		build, then run the main job on etc/demo
#	make test		everything that .ci/run runs
#	make lint bench clean

PREFIX		?= /usr/local
DESTDIR		?=
CC		?= cc
YACC		?= bison
PKG_CONFIG	?= pkg-config

ifeq ($(origin CC),default)
CC		:= gcc
endif

OS		:= $(shell uname -s | tr A-Z a-z)
SANDBOX		:= $(if $(filter linux openbsd,$(OS)),$(OS),none)
VARIANT		:= $(notdir $(firstword $(CC)))$(if $(SAN),-san)
B		:= .build/$(VARIANT)

# --- flags ---------------------------------------------------------------
# CET and the stack-clash guard exist on some compilers and machines only.
try-cc		= $(shell echo 'int x;' | $(CC) -Werror $(1) -xc -c -o /dev/null - \
		    2>/dev/null && echo '$(1)')
HARDEN		:= -fstack-protector-strong -fPIE \
		   $(call try-cc,-fstack-clash-protection) \
		   $(call try-cc,-fcf-protection=full)
WARN		:= -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual \
		   -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
		   -Wformat=2 -Wundef -Wvla -Werror
ifdef SAN
OPT		:= -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer \
		   -fno-sanitize-recover=all -DKEEPD_SANITIZE=1
LDHARDEN	:= -fsanitize=address,undefined -pie
else
OPT		:= -O2 -g -D_FORTIFY_SOURCE=2
LDHARDEN	:= -pie -Wl,-z,relro,-z,now,-z,noexecstack
endif

BASE_CFLAGS	:= -std=gnu11 $(OPT) $(HARDEN) $(WARN) -D_GNU_SOURCE -I. -Icommon \
		   $(shell $(PKG_CONFIG) --cflags libbsd-overlay libevent_core 2>/dev/null)
LIB_BASE	:= $(shell $(PKG_CONFIG) --libs libbsd-overlay libevent_core 2>/dev/null)
LIB_HTTP	:= -levent_extra
LIB_JSON	:= -ljansson
LIB_PCRE2	:= -lpcre2-8

# `make V=1` shows the commands, `make -s` nothing.
SILENT		:= $(findstring s,$(filter-out --%,$(firstword $(MAKEFLAGS))))
Q		:= $(if $(V),,@)
tell		= $(if $(SILENT),,echo "  $(1)	$(patsubst $(B)/%,%,$@)";)
say		= $(if $(V),,@$(call tell,$(1)))

# --- what is made of what -------------------------------------------------
# A program's directory is its sources; searcher and keepctl live beside the
# program they belong to.
COMMON_SRC	:= $(filter-out common/sandbox_%.c,$(wildcard common/*.c)) \
		   common/sandbox_$(SANDBOX).c
SEARCHER_SRC	:= $(wildcard logger/searcher*.c logger/match.c logger/literal*.c) \
		   logger/ring_read.c
PARENT_SRC	:= $(wildcard parent/*.c)
SUPERVISOR_SRC	:= $(wildcard supervisor/*.c)
LOGGER_SRC	:= $(filter-out $(filter-out logger/ring_read.c,$(SEARCHER_SRC)),$(wildcard logger/*.c))
FRONTEND_SRC	:= $(wildcard frontend/*.c)
# keepctl shares the rendering of records and lines with the frontend.
KEEPCTL_SRC	:= $(wildcard frontend/ctl/*.c) frontend/record.c frontend/render.c

obj		= $(patsubst %.c,$(B)/obj/%.o,$(1))
COMMON_LIB	:= $(B)/libcommon.a

PROGRAMS	:= $(B)/sbin/keepd $(B)/bin/keepctl \
		   $(addprefix $(B)/libexec/keepd/,supervisor logger searcher frontend)

all: $(PROGRAMS)

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(BASE_CFLAGS) $(CFLAGS) -I$(<D) -I$(B)/gen \
	    -MMD -MP -c -o $@ $<

$(B)/gen/parse.c: parent/parse.y
	@mkdir -p $(@D)
	$(call say,YACC)$(YACC) -o $@ $<

$(B)/obj/parent/parse.o: $(B)/gen/parse.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(BASE_CFLAGS) $(CFLAGS) -Iparent -MMD -MP -c -o $@ $<

# The completions are part of keepctl, which can print them.
$(B)/obj/frontend/ctl/completion.o: $(wildcard etc/completion/*)

$(COMMON_LIB): $(call obj,$(COMMON_SRC))
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

link		= @mkdir -p $(@D); $(if $(V),,$(call tell,LD)) \
		  $(CC) $(LDHARDEN) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		  $(COMMON_LIB) $(1) $(LIB_BASE)

$(B)/sbin/keepd: $(call obj,$(PARENT_SRC)) $(B)/obj/parent/parse.o $(COMMON_LIB)
	$(call link,)
$(B)/libexec/keepd/supervisor: $(call obj,$(SUPERVISOR_SRC)) $(COMMON_LIB)
	$(call link,)
$(B)/libexec/keepd/logger: $(call obj,$(LOGGER_SRC)) $(COMMON_LIB)
	$(call link,)
$(B)/libexec/keepd/searcher: $(call obj,$(SEARCHER_SRC)) $(COMMON_LIB)
	$(call link,$(LIB_PCRE2))
$(B)/libexec/keepd/frontend: $(call obj,$(FRONTEND_SRC)) $(COMMON_LIB)
	$(call link,$(LIB_HTTP) $(LIB_JSON))
$(B)/bin/keepctl: $(call obj,$(KEEPCTL_SRC)) $(COMMON_LIB)
	$(call link,$(LIB_JSON))

clean:
	rm -rf .build

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d)
-include regress/regress.mk

.PHONY: all clean
