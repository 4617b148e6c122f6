/* SPDX-License-Identifier: Apache-2.0 */
/* locale.c - see locale.h */
#include "tests/kit/locale.h"

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static char folder[64];

static bool run(const char *command)
{
	return system(command) == 0; /* NOLINT: the words are this file's */
}

const char *kit_locale_set(const char *name)
{
	char command[256], full[64];

	(void)snprintf(folder, sizeof folder, "/tmp/kolk-locale-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return "no folder can be made";
	(void)snprintf(full, sizeof full, "%s.UTF-8", name);
	(void)snprintf(command, sizeof command, "localedef -i %s -f UTF-8 %s/%s >%s/log 2>&1", name,
		       folder, full, folder);
	if (!run(command))
		return "localedef or its sources are not there (package locales)";
	(void)setenv("LOCPATH", folder, 1);
	return setlocale(LC_ALL, full) != NULL ? NULL : "the locale that was made is refused";
}

void kit_locale_reset(void)
{
	char command[128];

	(void)setlocale(LC_ALL, "C");
	(void)unsetenv("LOCPATH");
	(void)snprintf(command, sizeof command, "rm -rf %s", folder);
	(void)run(command);
}

int kit_locale_leave(void **state)
{
	(void)state;
	kit_locale_reset();
	return 0;
}
