/*
 * The completion scripts of etc/completion inside the program, so that
 * `keepctl completion SHELL` can print them wherever it was installed.
 */
#include <string.h>

#include "ctl.h"
#include "util.h"

/* The assembler reads the files, from the directory that make runs in. */
#define EMBED(symbol, file)						\
	__asm__(".pushsection .rodata\n"				\
	    ".globl " #symbol "\n"					\
	    #symbol ":\n"						\
	    ".incbin \"etc/completion/" file "\"\n"			\
	    ".byte 0\n"							\
	    ".popsection\n");						\
	extern const char symbol[]

EMBED(completion_bash, "keepctl.bash");
EMBED(completion_zsh, "_keepctl");
EMBED(completion_fish, "keepctl.fish");

static const struct script {
	const char	*shell;
	const char	*text;
} scripts[] = {
	{ "bash", completion_bash },
	{ "zsh", completion_zsh },
	{ "fish", completion_fish },
};

const char *
completion_script(const char *shell)
{
	size_t	 i;

	for (i = 0; i < nitems(scripts); i++)
		if (strcmp(scripts[i].shell, shell) == 0)
			return (scripts[i].text);
	return (NULL);
}
