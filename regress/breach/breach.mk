# The hostile programs of the end-to-end tests: one that is put in the place of
# frontend and logger, one that plays the parent and every peer to one of them.

$(B)/regress/breach-frontend: $(call obj,regress/breach/hostile.c \
    regress/breach/cases.c) $(COMMON_LIB)
	$(call link,)

$(B)/regress/breach-links: $(call obj,regress/breach/links.c \
    regress/breach/cases.c) $(COMMON_LIB)
	$(call link,)

check-programs: $(B)/regress/breach-links
