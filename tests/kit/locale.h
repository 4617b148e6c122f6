/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locale.h - the process in the locale of another country: in tr_TR the upper case of "i" is not "I",
 * in de_DE numbers have a comma. Made by localedef in a folder of its own.
 */
#ifndef KOLK_KIT_LOCALE_H
#define KOLK_KIT_LOCALE_H

#include "tests/kit/tap.h"

/* Set all categories to NAME.UTF-8 ("tr_TR"). NULL, or why it cannot be had. Not while other
 * threads run. */
const char *kit_locale_set(const char *name);
/* Back to "C"; removes what was made. */
void kit_locale_reset(void);

/* For cmocka's tests: enter skips where the locale cannot be had, with the reason; leave is the
 * teardown. */
#define kit_locale_enter(name)                                             \
	do {                                                               \
		const char *why_ = kit_locale_set(name);                   \
									   \
		if (why_ != NULL) {                                        \
			kit_locale_reset();                                \
			tap_note("skipped because %s: %s", (name), why_);  \
			skip();                                            \
		}                                                          \
	} while (0)
int kit_locale_leave(void **state);

#endif
