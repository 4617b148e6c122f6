/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-gateway-manual PAGE: write the tables of the gateway's keys in the page anew. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/ops/manual.h"
#include "tools/gateway/config/file.h"

int main(int argc, char **argv)
{
	char *text = argc == 2 ? manual_read(argv[1]) : NULL;
	char *page = text != NULL ? manual_program_page(text, &gw_file_section) : NULL;
	FILE *file = page != NULL ? fopen(argv[1], "w") : NULL;
	int bad = file == NULL || fputs(page, file) < 0;

	bad |= file != NULL && fclose(file) != 0;
	if (bad)
		perror(argc == 2 ? argv[1] : "kolk-gateway-manual PAGE");
	free(page);
	free(text);
	return bad;
}
