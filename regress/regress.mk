# Installing, checking, measuring.  Included by the Makefile.

include regress/unit/unit.mk
-include regress/sandbox/sandbox.mk
-include regress/breach/breach.mk
-include regress/bench/logger.mk
-include regress/bench/bench.mk

MANDIR		:= $(DESTDIR)$(PREFIX)/share/man
UNITDIR		:= $(DESTDIR)$(PREFIX)/lib/systemd
SHARE		:= $(DESTDIR)$(PREFIX)/share
INSTALL		:= install

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

deps:
	@sh regress/deps.sh build

install: all
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin \
	    $(DESTDIR)$(PREFIX)/libexec/keepd $(MANDIR)/man5 $(MANDIR)/man8 \
	    $(SHARE)/examples/keepd/demo $(SHARE)/doc/keepd \
	    $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions \
	    $(SHARE)/fish/vendor_completions.d \
	    $(UNITDIR)/system $(UNITDIR)/user \
	    $(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	$(INSTALL) -m 755 $(B)/sbin/keepd $(DESTDIR)$(PREFIX)/sbin/
	$(INSTALL) -m 755 $(B)/bin/keepctl $(DESTDIR)$(PREFIX)/bin/
	$(INSTALL) -m 755 $(addprefix $(B)/libexec/keepd/,supervisor logger \
	    searcher frontend) $(DESTDIR)$(PREFIX)/libexec/keepd/
	$(INSTALL) -m 644 parent/keepd.conf.5 $(MANDIR)/man5/
	$(INSTALL) -m 644 parent/keepd.8 frontend/ctl/keepctl.8 $(MANDIR)/man8/
	$(INSTALL) -m 644 etc/examples/*.conf $(SHARE)/examples/keepd/
	$(INSTALL) -m 644 $(filter-out %.sh,$(wildcard etc/demo/*)) \
	    etc/demo/worker.sh $(SHARE)/examples/keepd/demo/
	$(INSTALL) -m 644 etc/LICENSE $(SHARE)/doc/keepd/
	$(INSTALL) -m 644 etc/completion/keepctl.bash \
	    $(SHARE)/bash-completion/completions/keepctl
	$(INSTALL) -m 644 etc/completion/_keepctl $(SHARE)/zsh/site-functions/
	$(INSTALL) -m 644 etc/completion/keepctl.fish \
	    $(SHARE)/fish/vendor_completions.d/
	for k in system user; do \
	    sed 's|@PREFIX@|$(PREFIX)|g' etc/systemd/$$k/keepd.service \
		>$(UNITDIR)/$$k/keepd.service || exit 1; \
	done
	$(INSTALL) -m 644 etc/sysusers.d/keepd.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/
	$(INSTALL) -m 644 etc/tmpfiles.d/keepd.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/

check-programs: $(B)/regress/unit $(B)/regress/sandbox-probe \
    $(B)/regress/breach-frontend $(B)/regress/torture-logger

# The packages come first, in a make of their own: this one has already asked
# pkg-config for flags.
demo:
	@sh regress/deps.sh build demo
	@$(MAKE) --no-print-directory -s -j2 all
	@bash etc/demo/demo.sh $(MAKE)

test:
	@sh regress/deps.sh build demo test
	@MAKE="$(MAKE)" bash regress/test.sh

lint:
	@sh regress/deps.sh build lint
	@$(MAKE) --no-print-directory -s $(B)/gen/parse.c
	@BUILD=$(B) CFLAGS_LINT="$(filter-out -Werror,$(BASE_CFLAGS))" \
	    bash regress/lint.sh

bench:
	@sh regress/deps.sh build $(if $(NOPEERS),,bench)
	@$(MAKE) --no-print-directory -s -j2 all bench-programs
	@python3 regress/bench/bench.py --bin $(B) $(if $(NOPEERS),--no-peers)

.PHONY: help deps install demo test lint bench bench-programs \
	check-programs
