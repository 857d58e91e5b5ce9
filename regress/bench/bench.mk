# The programs that `make bench` measures against.

bench-programs: $(addprefix $(B)/regress/,bench-stamp bench-floor bench-gen \
    bench-evhttp)

$(B)/regress/bench-%: regress/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(CFLAGS) -Wno-missing-prototypes -pie -o $@ $< \
	    $(if $(filter evhttp,$*),$(LIB_HTTP) $(LIB_BASE))
