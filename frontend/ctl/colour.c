/*
 * Colours and symbols: on a terminal only, never with NO_COLOR, and symbols
 * only where the locale is one of UTF-8.  What a state looks like is here.
 */
#include <sys/ioctl.h>

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "util.h"

#define MAX_WIDTH	500

static const char *const sequences[COLOUR_COUNT] = {
	[COLOUR_NONE] = "",
	[COLOUR_BOLD] = "\033[1m",
	[COLOUR_DIM] = "\033[2m",
	[COLOUR_RED] = "\033[31m",
	[COLOUR_GREEN] = "\033[32m",
	[COLOUR_YELLOW] = "\033[33m",
	[COLOUR_BLUE] = "\033[34m",
	[COLOUR_MAGENTA] = "\033[35m",
	[COLOUR_CYAN] = "\033[36m",
};

static const struct look {
	enum colour	 colour;
	const char	*symbol;
} looks[ST_COUNT] = {
	[ST_STOPPED] = { COLOUR_DIM, "○" },
	[ST_WAITING] = { COLOUR_CYAN, "◌" },
	[ST_BUILDING] = { COLOUR_CYAN, "◆" },
	[ST_STARTING] = { COLOUR_CYAN, "◐" },
	[ST_RUNNING] = { COLOUR_GREEN, "●" },
	[ST_STOPPING] = { COLOUR_YELLOW, "◑" },
	[ST_BACKOFF] = { COLOUR_YELLOW, "▲" },
	[ST_FAILED] = { COLOUR_RED, "✗" },
};

static int	with_colour;
static int	with_symbols;

void
colour_init(void)
{
	const char	*no = getenv("NO_COLOR"), *term = getenv("TERM");
	int		 utf8;

	setlocale(LC_CTYPE, "");
	utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	if (!utf8)	/* to measure text; what is shown stays plain */
		setlocale(LC_CTYPE, "C.UTF-8");
	with_colour = isatty(STDOUT_FILENO) && (no == NULL || *no == '\0') &&
	    (term == NULL || strcmp(term, "dumb") != 0);
	with_symbols = with_colour && utf8;
}

int
colour_on(void)
{
	return (with_colour);
}

int
terminal_width(void)
{
	struct winsize	 ws;

	if (!isatty(STDOUT_FILENO) ||
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == -1)
		return (0);
	return (ws.ws_col > MAX_WIDTH ? MAX_WIDTH : ws.ws_col);
}

const char *
colour(enum colour c)
{
	return (with_colour ? sequences[c] : "");
}

const char *
colour_end(void)
{
	return (with_colour ? "\033[0m" : "");
}

const char *
symbol(const char *fine, const char *plain)
{
	return (with_symbols ? fine : plain);
}

enum colour
state_colour(const struct wire_state *st)
{
	/* Up, but not what it is there for yet. */
	if (st->state == ST_RUNNING && (st->flags & STF_READY) == 0)
		return (COLOUR_CYAN);
	return (looks[st->state].colour);
}

const char *
state_symbol(const struct wire_state *st)
{
	return (looks[st->state].symbol);
}

enum colour
name_colour(size_t n)
{
	static const enum colour wheel[] = {
		COLOUR_CYAN, COLOUR_YELLOW, COLOUR_GREEN, COLOUR_MAGENTA,
		COLOUR_BLUE
	};

	return (wheel[n % nitems(wheel)]);
}
