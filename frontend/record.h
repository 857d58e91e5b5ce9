/*
 * The record of a service as JSON (interfaces.md, "The record"): one shape for
 * MCP, HTTP and keepctl -j.  Shared by the frontend and keepctl.
 */
#ifndef KEEPD_RECORD_H
#define KEEPD_RECORD_H

#include <jansson.h>

#include "proto.h"

/* The display text of a service, as IMSG_TEXT brought it.  Owns its words. */
struct display {
	struct wire_text	 text;
	char			*words;		/* command: words ended by NULs */
	size_t			 words_len;
};

/* Fills a display from an IMSG_TEXT; -1: ill-formed, nothing kept. */
int	 display_get(struct display *, struct imsg *);
void	 display_clear(struct display *);

/* A fresh record; every key of interfaces.md is there, null where it does not
 * apply (display NULL: its keys are null).  now: wall clock ms, for uptime. */
json_t	*record_json(const struct wire_state *, const struct display *,
	    uint64_t now);
/* {"mode","processes","total_count","running_count","stopped_count"}; takes
 * the array. */
json_t	*record_list_json(uint32_t mode, json_t *processes);
json_t	*event_json(const struct wire_event *);
/* "Started at 2026-11-20 10:00:00 UTC", "Crashed at ... (exit code: 1)" (S0-100);
 * returns buf. */
char	*short_event_text(const struct wire_short_event *, char *, size_t);
/* "H hours M minutes" (S0-99); returns buf. */
char	*hours_minutes(uint64_t ms, char *, size_t);

#endif
