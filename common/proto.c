/*
 * The message table, the words for the numbers on the wire, and the proof
 * that no wire struct has padding or changes its size unnoticed.  Who may send
 * what is not said here but in each role's permit tables.
 */
#include <stdint.h>
#include <string.h>

#include "proto.h"
#include "util.h"

#define SIZE_IS(name, size) \
	_Static_assert(sizeof(struct name) == (size), #name " is not " #size)

SIZE_IS(wire_u32, 4);
SIZE_IS(wire_serial, 8);
SIZE_IS(wire_key, 16);
SIZE_IS(wire_target, 264);
SIZE_IS(wire_global, 2120);
SIZE_IS(wire_service, 2128);
SIZE_IS(wire_str, 8);
SIZE_IS(wire_public, 400);
SIZE_IS(wire_listen, 1104);
SIZE_IS(wire_port, 8);
SIZE_IS(wire_admin, 8);
SIZE_IS(wire_ring, 104);
SIZE_IS(wire_run, 24);
SIZE_IS(wire_attach, 16);
SIZE_IS(wire_grant, 512);
SIZE_IS(wire_peeraddr, 48);
SIZE_IS(wire_identity, 624);
SIZE_IS(wire_action, 384);
SIZE_IS(wire_wait, 24);
SIZE_IS(wire_mode, 24);
SIZE_IS(wire_event, 472);
SIZE_IS(wire_short_event, 24);
SIZE_IS(wire_state, 1056);
SIZE_IS(wire_text, 1616);
SIZE_IS(wire_result, 56);
SIZE_IS(wire_query, 80);
SIZE_IS(wire_line, 32);
SIZE_IS(wire_end, 80);
SIZE_IS(wire_ctlaction, 648);
SIZE_IS(wire_ctlwait, 288);
SIZE_IS(wire_ctlquery, 344);
SIZE_IS(wire_ctlevents, 280);
SIZE_IS(wire_welcome, 1120);
SIZE_IS(wire_search, 88);

#define LOG_TAIL_MAX		2048
#define HOST_TAIL_MAX		255
#define STATUS_TAIL_MAX		255
#define RELOADED_TAIL_MAX	(32 * 1024)
#define WORDS_TAIL_MAX		(32 * 1024)

/* Rows: nothing but the header; a struct; a struct and a tail; a tail. */
#define ROW(NAME, MIN, MAX, FD) \
	[IMSG_##NAME] = { IMSG_##NAME, "IMSG_" #NAME, (MIN), (MAX), (FD) }
#define SIZE(S)			sizeof(struct S)
#define EMPTY(NAME)		ROW(NAME, 0, 0, PROTO_NOFD)
#define EMPTY_FD(NAME)		ROW(NAME, 0, 0, PROTO_FD)
#define EXACT(NAME, S)		ROW(NAME, SIZE(S), SIZE(S), PROTO_NOFD)
#define EXACT_FD(NAME, S)	ROW(NAME, SIZE(S), SIZE(S), PROTO_FD)
#define TAIL(NAME, S, MAX)	ROW(NAME, SIZE(S), SIZE(S) + (MAX), PROTO_NOFD)
#define TAIL_FD(NAME, S, MAX)	ROW(NAME, SIZE(S), SIZE(S) + (MAX), PROTO_FD)
#define TEXT(NAME, MAX)		ROW(NAME, 1, (MAX), PROTO_NOFD)

static const struct proto_row proto_rows[IMSG_TYPE_COUNT] = {
	/* parent -> each, and back */
	EMPTY_FD(PEER),
	EXACT(CONF_BEGIN, wire_serial),
	EXACT(CONF_GLOBAL, wire_global),
	EXACT(CONF_SERVICE, wire_service),
	TAIL(CONF_STR, wire_str, CONF_STR_MAX),
	EXACT(CONF_PUBLIC, wire_public),
	EXACT_FD(CONF_LISTEN, wire_listen),
	EXACT(CONF_PORT, wire_port),
	TEXT(CONF_HOST, HOST_TAIL_MAX),
	TEXT(CONF_ORIGIN, HOST_TAIL_MAX),
	EMPTY_FD(CONF_CONTROL),
	EXACT(CONF_ADMIN, wire_admin),
	EXACT_FD(CONF_RING, wire_ring),
	EXACT_FD(CONF_RING_RO, wire_ring),
	EXACT(CONF_END, wire_serial),
	EMPTY(START),
	EXACT(VERBOSE, wire_u32),
	EXACT(SHUTDOWN, wire_u32),
	EXACT(READY, wire_u32),
	EXACT(CONF_DONE, wire_serial),
	TAIL(LOG, wire_u32, LOG_TAIL_MAX),

	/* supervisor <-> parent */
	EXACT_FD(KEEP, wire_key),
	EXACT(FORGET, wire_key),
	EMPTY(RELOAD),
	EMPTY(ASK_SHUTDOWN),
	EMPTY(STOPPED),
	TEXT(SD_STATUS, STATUS_TAIL_MAX),
	TAIL(RELOADED, wire_u32, RELOADED_TAIL_MAX),

	/* supervisor <-> logger */
	EXACT(RUN, wire_run),
	EXACT_FD(ATTACH, wire_attach),
	EXACT(RUN_END, wire_run),
	EXACT(GRANT, wire_grant),
	EMPTY(REVOKE),
	EMPTY(GRANTED),
	EXACT(DRAINED, wire_attach),

	/* frontend <-> supervisor */
	EXACT(PEERADDR, wire_peeraddr),
	EMPTY(CONN_CLOSED),
	EXACT(DESCRIBE, wire_u32),
	EXACT(ACTION, wire_action),
	EXACT(WAIT, wire_wait),
	EXACT(UNWAIT, wire_u32),
	EMPTY(ACTIVITY),
	EXACT(IDENTITY, wire_identity),
	EXACT(MODE, wire_mode),
	EXACT(STATE, wire_state),
	EMPTY(GONE),
	TAIL(TEXT, wire_text, WORDS_TAIL_MAX),
	TAIL(RESULT, wire_result, ERRTEXT_SIZE),
	EMPTY(LOGS_READY),

	/* log queries */
	TAIL(QUERY, wire_query, PATTERN_MAX),
	EXACT(CREDIT, wire_u32),
	EMPTY(CANCEL),
	TEXT(DATA, FRAME_MAX),
	TAIL(END, wire_end, ERRTEXT_SIZE),

	/* keepctl <-> supervisor */
	EXACT(CTL_HELLO, wire_u32),
	EXACT(CTL_STATUS, wire_target),
	EXACT(CTL_ACTION, wire_ctlaction),
	EXACT(CTL_WAIT, wire_ctlwait),
	TAIL(CTL_QUERY, wire_ctlquery, PATTERN_MAX),
	EXACT(CTL_EVENTS, wire_ctlevents),
	EXACT(CTL_MODE, wire_u32),
	EMPTY(CTL_RELOAD),
	EMPTY(CTL_SHUTDOWN),
	EMPTY(CTL_VERSION),
	EXACT(CTL_WELCOME, wire_welcome),
	EXACT(EVENT, wire_event),

	/* logger <-> searcher */
	EXACT_FD(SRCH_RING, wire_ring),
	TAIL_FD(SRCH_START, wire_search, PATTERN_MAX),
	EMPTY(SRCH_KILL),
	EXACT(SRCH_EXIT, wire_u32)
};

const struct proto_row *
proto_row(uint32_t type)
{
	if (type >= IMSG_TYPE_COUNT || proto_rows[type].name == NULL)
		return (NULL);
	return (&proto_rows[type]);
}

const char *
proto_name(uint32_t type)
{
	const struct proto_row	*row = proto_row(type);

	return (row == NULL ? "unknown" : row->name);
}

int
proto_str_ok(const char *s, size_t size)
{
	size_t	i;

	for (i = 0; i < size && s[i] != '\0'; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return (0);
	return (i < size);
}

int
proto_str_ends(const char *s, size_t size)
{
	return (memchr(s, '\0', size) != NULL);
}

static const char *
word(const char *const *words, size_t n, uint32_t value)
{
	if (value >= n || words[value] == NULL)
		return ("unknown");
	return (words[value]);
}

const char *
proto_state_name(uint32_t state)
{
	static const char *const words[ST_COUNT] = {
		[ST_STOPPED] = "stopped", [ST_WAITING] = "waiting",
		[ST_BUILDING] = "building", [ST_STARTING] = "starting",
		[ST_RUNNING] = "running", [ST_STOPPING] = "stopping",
		[ST_BACKOFF] = "backoff", [ST_FAILED] = "failed"
	};

	return (word(words, nitems(words), state));
}

const char *
proto_exit_name(uint32_t reason)
{
	static const char *const words[EXIT_COUNT] = {
		[EXIT_NONE] = "none", [EXIT_EXITED] = "exited",
		[EXIT_FAILED] = "failed", [EXIT_REQUESTED] = "requested",
		[EXIT_KILLED] = "killed",
		[EXIT_START_FAILED] = "start_failed",
		[EXIT_STOP_TIMEOUT] = "stop_timeout",
		[EXIT_BUILD_FAILED] = "build_failed"
	};

	return (word(words, nitems(words), reason));
}

const char *
proto_verb_name(uint32_t verb)
{
	static const char *const words[VERB_COUNT] = {
		[VERB_START] = "start", [VERB_STOP] = "stop",
		[VERB_RESTART] = "restart", [VERB_REBUILD] = "rebuild"
	};

	return (word(words, nitems(words), verb));
}

const char *
proto_result_name(uint32_t code)
{
	static const char *const words[RES_COUNT] = {
		[RES_OK] = "OK",
		[RES_NOT_FOUND] = "PROCESS_NOT_FOUND",
		[RES_AMBIGUOUS] = "AMBIGUOUS_TARGET",
		[RES_ALREADY_RUNNING] = "ALREADY_RUNNING",
		[RES_NOT_RUNNING] = "NOT_RUNNING",
		[RES_COMMAND_FAILED] = "COMMAND_FAILED",
		[RES_BUILD_FAILED] = "BUILD_FAILED",
		[RES_PORT_CONFLICT] = "PORT_CONFLICT",
		[RES_TIMEOUT] = "OPERATION_TIMEOUT",
		[RES_PERMISSION] = "PERMISSION_DENIED",
		[RES_INVALID] = "INVALID_PARAMETER",
		[RES_SHUTTING_DOWN] = "SHUTTING_DOWN",
		[RES_BUSY] = "BUSY",
		[RES_DEPENDENCY] = "DEPENDENCY_FAILED",
		[RES_BREAKER] = "BREAKER_OPEN",
		[RES_STATE_ERROR] = "STATE_ERROR",
		[RES_CANCELLED] = "CANCELLED",
		[RES_EXITED] = "EXITED"
	};

	return (word(words, nitems(words), code));
}

const char *
proto_role_name(uint32_t role)
{
	static const char *const words[] = {
		[ROLE_NONE] = "none", [ROLE_OBSERVE] = "observe",
		[ROLE_OPERATE] = "operate", [ROLE_MANAGE] = "manage"
	};

	return (word(words, nitems(words), role));
}

const char *
proto_mode_name(uint32_t mode)
{
	static const char *const words[] = {
		[MODE_RELEASE] = "release", [MODE_DEV] = "dev"
	};

	return (word(words, nitems(words), mode));
}

const char *
proto_event_name(uint32_t kind)
{
	static const char *const words[EV_COUNT] = {
		[EV_STATE] = "state", [EV_STARTED] = "started",
		[EV_CRASHED] = "crashed", [EV_EXITED] = "exited",
		[EV_BUILD_STARTED] = "build_started", [EV_BUILT] = "built",
		[EV_BUILD_FAILED] = "build_failed", [EV_ACTION] = "action",
		[EV_REFUSED] = "refused", [EV_MODE] = "mode",
		[EV_STRAY] = "stray", [EV_RELOAD] = "reload"
	};

	return (word(words, nitems(words), kind));
}

/* How a stopped service came to stand still decides its word (U-12). */
static const char *
proto_stopped_word(uint32_t exit_reason)
{
	static const char *const words[EXIT_COUNT] = {
		[EXIT_NONE] = "stopped", [EXIT_EXITED] = "stopped",
		[EXIT_FAILED] = "failed", [EXIT_REQUESTED] = "stopped",
		[EXIT_KILLED] = "killed", [EXIT_START_FAILED] = "failed",
		[EXIT_STOP_TIMEOUT] = "failed", [EXIT_BUILD_FAILED] = "failed"
	};

	return (word(words, nitems(words), exit_reason));
}

const char *
proto_status_word(uint32_t state, uint32_t exit_reason)
{
	static const char *const words[ST_COUNT] = {
		[ST_WAITING] = "starting", [ST_BUILDING] = "starting",
		[ST_STARTING] = "starting", [ST_RUNNING] = "running",
		[ST_STOPPING] = "stopping", [ST_BACKOFF] = "failed",
		[ST_FAILED] = "failed"
	};

	if (state == ST_STOPPED)
		return (proto_stopped_word(exit_reason));
	return (word(words, nitems(words), state));
}
