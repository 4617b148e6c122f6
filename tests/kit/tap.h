/* SPDX-License-Identifier: Apache-2.0 */
/* tap.h - tests that are not cmocka's: arrays of functions, results in TAP lines. */
#ifndef KOLK_KIT_TAP_H
#define KOLK_KIT_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/kit/suite.h"

struct tap_test {
	const char *name;
	void (*run)(void);
};

/* Below the array of its tests: TAP_TESTS(tls, tests). */
#define TAP_TESTS(suite, array) \
	KIT_SUITE(suite, .tap = (array), .count = sizeof(array) / sizeof *(array))

/* Every test of the program whose name, or whose suite's or file's, contains `only` (NULL: all);
 * program is printed before the suite's name. The exit status: a name that none contains is an
 * error. */
int tap_suites_run(const char *program, const char *only);
/* Run those whose name contains the last argument, or all; adds to *ran. 1 = a test failed. */
int tap_run(const char *suite, const struct tap_test *tests, size_t count, const char *only,
	    size_t *ran);
/* This test cannot run here, and why. */
void tap_skip(const char *reason);
/* The whole suite cannot: one line for all of it. Its exit status. */
int tap_skip_all(const char *suite, const char *reason);
/* cmocka's skip() names no reason; tools/test puts this one behind its line. */
#define SKIP_BECAUSE(reason)                                 \
	do {                                                 \
		tap_note("skipped because " reason);         \
		skip();                                      \
	} while (0)
/* NULL where io_uring works; otherwise why not, in the engine's words. */
const char *tap_io_uring_refused(void);
bool tap_check(bool held, const char *what, const char *file, int line);
/* A check of the running test has failed. */
bool tap_is_failing(void);
void tap_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A failed CHECK is reported and the test goes on; a failed MUST ends the function. */
#define CHECK(x) tap_check((x), #x, __FILE__, __LINE__)
#define MUST(x)                                              \
	do {                                                 \
		if (!tap_check((x), #x, __FILE__, __LINE__)) \
			return;                              \
	} while (0)
/* What should be and is not, where it is known already. false. */
#define FAILED(what) tap_check(false, (what), __FILE__, __LINE__)
#define CHECK_ERR(call, expected) tap_check_err((call), (expected), #call, __FILE__, __LINE__)
bool tap_check_err(int got, int expected, const char *what, const char *file, int line);

/* Wait until it holds, at most so long; never longer than it takes. The time is what this thread had:
 * while other load keeps it from running, and with it most likely what it waits for, the clock stands
 * still (as in control.h), up to ten times as long. It is looked at once more when the time is up. */
#define WITHIN_MS(ms, x) ({                                             \
	struct tap_wait wait_ = tap_wait_begin((uint64_t)(ms));         \
	bool held_, over_ = false;                                      \
	while (!(held_ = (x)) && !over_)                                \
		over_ = !tap_wait_nap(&wait_);                          \
	held_;                                                          \
})
/* It is not seen to hold for so long, by the clock of all. */
#define NEVER_MS(ms, x) ({                                              \
	uint64_t until_ = tap_now_ms() + (uint64_t)(ms);                \
	bool held_ = false;                                             \
	while (!held_ && tap_now_ms() < until_) {                       \
		held_ = (x) && tap_now_ms() < until_;                   \
		tap_nap();                                              \
	}                                                               \
	!held_;                                                         \
})
struct tap_wait {
	uint64_t looked_ms, left_ms, until_ms;
};
struct tap_wait tap_wait_begin(uint64_t ms);
bool tap_wait_nap(struct tap_wait *wait); /* false = the time is up */
uint64_t tap_now_ms(void);
void tap_nap(void); /* 0.2 ms */

#endif
