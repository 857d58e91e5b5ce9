/*
 * The words of keepd.conf: quotes, macros, line ends, braces, files within
 * files.  Knows no keyword but those that open a block of statements.
 */
#ifndef KEEPD_LEX_H
#define KEEPD_LEX_H

#include "config.h"

enum lex_kind { LEX_EOF, LEX_WORD, LEX_END, LEX_OPEN, LEX_CLOSE, LEX_COMMA,
	LEX_EQUALS };

struct lex_token {
	enum lex_kind	 kind;
	const char	*text;		/* as it may be shown in a message */
	int		 plain;		/* LEX_WORD: no quotes, no macro in it */
	int		 in_list;	/* LEX_WORD: between the braces of a list */
	struct pos	 pos;
};

/* What an error message wants to know of the statement being read. */
struct lex_statement {
	struct pos	 pos;
	struct lex_token first;
	int		 ntokens;
	int		 block;		/* 0: top level, 1: in a block */
};

void	lex_open(struct config *);
void	lex_close(void);
/* Read this file from here on, then go on; pos is where it was asked for. */
void	lex_include(const struct pos *, const char *path);
void	lex_next(struct lex_token *);
/* Give no more tokens of the present statement, only its end. */
void	lex_skip(void);
const struct lex_statement *lex_statement(void);
const struct lex_token *lex_last(void);
void	lex_macro(const struct pos *, const char *name, const char *value);

#endif
