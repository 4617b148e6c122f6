/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-manual PAGE...: write the tables of options in pages anew. Names that end in .md are
 * Markdown, others for man(1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ops/manual.h"

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *dot = strrchr(argv[i], '.');
		char *text = manual_read(argv[i]);
		char *page = text != NULL ? manual_page(text, dot == NULL || strcmp(dot, ".md") != 0) :
					    NULL;
		FILE *file = page != NULL ? fopen(argv[i], "w") : NULL;
		int bad = file == NULL || fputs(page, file) < 0;

		bad |= file != NULL && fclose(file) != 0;
		if (bad) {
			perror(argv[i]);
			return 1;
		}
		free(page);
		free(text);
	}
	return 0;
}
