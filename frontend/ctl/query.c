/*
 * Log queries over the control socket: sending, the lines that come, credit,
 * and the end.  What a line looks like is printer.c's.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "query.h"
#include "frontend/render.h"

struct frame {
	TAILQ_ENTRY(frame)	 entry;
	unsigned char		*data;
	uint32_t		 size;
	const unsigned char	*pos;		/* of the next line */
	size_t			 left;
};

static const unsigned char end_exits[] = {
	[END_OK] = CTL_OK,
	[END_NO_SUCH_RUN] = CTL_FAILED,
	[END_BAD_PATTERN] = CTL_USAGE,
	[END_TIMEOUT] = CTL_TIMED_OUT,
	[END_LIMIT] = CTL_FAILED,
	[END_DENIED] = CTL_DENIED,
	[END_BUSY] = CTL_FAILED,
	[END_CANCELLED] = CTL_FAILED,
	[END_FAILED] = CTL_FAILED,
	[END_MATCHED] = CTL_OK,
	[END_SETTLED] = CTL_OK,
	[END_EXITED] = CTL_FAILED,
	[END_WAIT_TIMEOUT] = CTL_TIMED_OUT,
	[END_SLOW] = CTL_FAILED,
};

static const char *const end_texts[] = {
	[END_NO_SUCH_RUN] = "no such run",
	[END_BAD_PATTERN] = "Invalid regex pattern",
	[END_TIMEOUT] = "the search took too long: make the pattern simpler",
	[END_LIMIT] = "a limit was reached",
	[END_DENIED] = "Permission denied",
	[END_BUSY] = "keepd has too many searches to do: try again",
	[END_CANCELLED] = "cancelled",
	[END_FAILED] = "the logs could not be read: see keepd's log",
	[END_EXITED] = "it has exited",
	[END_WAIT_TIMEOUT] = "timed out",
	[END_SLOW] = "lines came faster than they could be shown",
};

static struct query	*query_find(struct queries *, uint32_t);
static void		 query_data(struct query *, struct imsg *);
static void		 query_end(struct query *, struct imsg *);

void
queries_init(struct queries *qs, const struct services *all)
{
	struct query	*q;
	size_t		 i;

	qs->count = all->count;
	if ((qs->list = calloc(qs->count + 1, sizeof(*q))) == NULL)
		err(CTL_FAILED, NULL);
	for (i = 0; i < qs->count; i++) {
		q = &qs->list[i];
		q->id = i + 1;
		q->service = all->list[i].state.service;
		q->name = all->list[i].state.name;
		q->wire.query.index = -1;
		target_set(&q->wire.target, q->name, 0);
		TAILQ_INIT(&q->frames);
	}
}

void
queries_clear(struct queries *qs)
{
	struct frame	*f;
	size_t		 i;

	for (i = 0; i < qs->count; i++) {
		while ((f = TAILQ_FIRST(&qs->list[i].frames)) != NULL) {
			TAILQ_REMOVE(&qs->list[i].frames, f, entry);
			free(f->data);
			free(f);
		}
		free(qs->list[i].text);
	}
	free(qs->list);
	memset(qs, 0, sizeof(*qs));
}

void
query_send(struct client *c, struct query *q)
{
	size_t	 len = q->pattern != NULL ? strlen(q->pattern) : 0;

	if (len > PATTERN_MAX)
		errx(CTL_USAGE, "the pattern is too long: at most %d bytes",
		    PATTERN_MAX);
	if (q->pattern != NULL)
		q->wire.query.flags |= Q_PATTERN;
	client_send(c, IMSG_CTL_QUERY, q->id, &q->wire, sizeof(q->wire),
	    q->pattern, len);
	q->ended = 0;
}

int
query_peek(struct query *q, struct wire_line *line, const char **text)
{
	struct frame		*f;
	const unsigned char	*pos;
	size_t			 left;

	if ((f = TAILQ_FIRST(&q->frames)) == NULL)
		return (0);
	pos = f->pos;
	left = f->left;
	if (line_next(&pos, &left, line, text) != 1)
		errx(CTL_FAILED, "keepd sent an ill-formed line");
	return (1);
}

void
query_take(struct client *c, struct query *q)
{
	struct frame		*f = TAILQ_FIRST(&q->frames);
	struct wire_line	 line;
	struct wire_u32		 credit;
	const char		*text;

	if (line_next(&f->pos, &f->left, &line, &text) != 1)
		return;
	q->last_run = line.run;
	q->last_line = line.line;
	if (f->left > 0)
		return;
	credit.value = f->size;
	TAILQ_REMOVE(&q->frames, f, entry);
	free(f->data);
	free(f);
	if (!q->ended)
		client_send(c, IMSG_CREDIT, q->id, &credit, sizeof(credit),
		    NULL, 0);
}

void
queries_dispatch(struct queries *qs, struct imsg *imsg)
{
	struct query	*q;
	struct result	 r;

	if (imsg_get_type(imsg) == IMSG_RESULT) {
		result_read(imsg, &r);
		result_warn(&r);
		exit(r.wire.code == RES_OK ? CTL_FAILED :
		    result_exit(r.wire.code));
	}
	if ((q = query_find(qs, imsg_get_id(imsg))) == NULL)
		client_confused(imsg);
	if (imsg_get_type(imsg) == IMSG_DATA)
		query_data(q, imsg);
	else if (imsg_get_type(imsg) == IMSG_END)
		query_end(q, imsg);
	else
		client_confused(imsg);
	imsg_free(imsg);
}

int
query_exit(const struct query *q, int several)
{
	uint32_t	 code = q->end.code;

	if (q->end.lost > 0)
		warnx("%s: %llu lines left the buffer while they were read",
		    q->name, (unsigned long long)q->end.lost);
	if (q->end.truncated)
		warnx("%s: stopped at the limit of --max-bytes", q->name);
	if (code == END_NO_SUCH_RUN && q->end.runs == 0) {
		if (!several)
			warnx("%s: nothing was logged yet", q->name);
		return (CTL_OK);
	}
	if (end_exits[code] != CTL_OK)
		warnx("%s: %s", q->name, *q->text != '\0' ? q->text :
		    end_texts[code]);
	return (end_exits[code]);
}

static struct query *
query_find(struct queries *qs, uint32_t id)
{
	return (id == 0 || id > qs->count || qs->list[id - 1].ended ? NULL :
	    &qs->list[id - 1]);
}

static void
query_data(struct query *q, struct imsg *imsg)
{
	struct frame	*f;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		err(CTL_FAILED, NULL);
	f->size = imsg_get_len(imsg);
	if (f->size == 0 || (f->data = malloc(f->size)) == NULL)
		client_confused(imsg);
	if (imsg_get_data(imsg, f->data, f->size) == -1)
		client_confused(imsg);
	f->pos = f->data;
	f->left = f->size;
	TAILQ_INSERT_TAIL(&q->frames, f, entry);
	q->tries = 0;
}

static void
query_end(struct query *q, struct imsg *imsg)
{
	size_t	 len;
	char	*text;

	if (imsg_get_buf(imsg, &q->end, sizeof(q->end)) == -1 ||
	    q->end.code > END_SLOW)
		client_confused(imsg);
	len = imsg_get_len(imsg);
	if ((text = calloc(1, len + 1)) == NULL)
		err(CTL_FAILED, NULL);
	if (len > 0 && imsg_get_data(imsg, text, len) == -1)
		client_confused(imsg);
	free(q->text);
	q->text = clean_text(text);
	free(text);
	q->ended = 1;
}
