/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kit/tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <kolk/engine.h>

#include "core/base/atomic.h"
#include "tests/kit/measure.h"

enum {
	REASON = 256,
	/* A look and the nap before it take no longer on a machine that has time for them. */
	LOOK_MS = 20,
	PATIENCE = 10
};

static kolk__atomic_u32 failures; /* checks of threads count, too */
static const char *skipped;

void tap_skip(const char *reason)
{
	skipped = reason;
}

bool tap_check(bool held, const char *what, const char *file, int line)
{
	if (!held && kolk__add_relaxed(&failures, 1) < 20)
		printf("# %s:%d: does not hold: %s\n", file, line, what);
	return held;
}

bool tap_check_err(int got, int expected, const char *what, const char *file, int line)
{
	if (got == expected)
		return true;
	if (kolk__add_relaxed(&failures, 1) < 20)
		printf("# %s:%d: %s: %s, not %s\n", file, line, what,
		       kolk_err_name((enum kolk_err)got), kolk_err_name((enum kolk_err)expected));
	return false;
}

bool tap_is_failing(void)
{
	return kolk__load_relaxed(&failures) > 0;
}

void tap_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	putchar('\n');
	va_end(args);
}

uint64_t tap_now_ms(void)
{
	return clock_now() / 1000000;
}

void tap_nap(void)
{
	struct timespec time = { 0, 200000 };

	nanosleep(&time, NULL);
}

struct tap_wait tap_wait_begin(uint64_t ms)
{
	uint64_t now_ms = tap_now_ms();

	return (struct tap_wait){ .looked_ms = now_ms, .left_ms = ms,
				  .until_ms = now_ms + PATIENCE * ms };
}

bool tap_wait_nap(struct tap_wait *wait)
{
	uint64_t now_ms, took_ms;

	tap_nap();
	now_ms = tap_now_ms();
	took_ms = now_ms - wait->looked_ms < LOOK_MS ? now_ms - wait->looked_ms : LOOK_MS;
	wait->looked_ms = now_ms;
	wait->left_ms -= took_ms < wait->left_ms ? took_ms : wait->left_ms;
	return wait->left_ms > 0 && now_ms < wait->until_ms;
}

int tap_skip_all(const char *suite, const char *reason)
{
	printf("ok 1 - %s # SKIP %s\n1..1\n", suite, reason);
	return 0;
}

static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	char *refused = user;

	(void)level;
	if (strcmp(subject, "transport") == 0 && refused[0] == 0)
		snprintf(refused, REASON, "%s", text);
}

const char *tap_io_uring_refused(void)
{
	static char refused[REASON];
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct kolk_engine *engine;

	o.loops = 1;
	o.backend = KOLK_BACKEND_IO_URING;
	o.on_log = on_log;
	o.log_user = refused;
	if (kolk_engine_create(&o, &engine) == KOLK_OK) {
		(void)kolk_engine_destroy(engine);
		return NULL;
	}
	return refused[0] != 0 ? refused : "io_uring cannot be used";
}

int tap_run(const char *suite, const struct tap_test *tests, size_t count, const char *only,
	    size_t *ran)
{
	int failed = 0, run = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < count; i++) {
		uint64_t began = tap_now_ms();

		if (only != NULL && strstr(tests[i].name, only) == NULL)
			continue;
		kolk__store_relaxed(&failures, 0);
		skipped = NULL;
		tests[i].run();
		run++;
		printf("%sok %d - %s: %s", kolk__load_relaxed(&failures) > 0 ? "not " : "", run,
		       suite, tests[i].name);
		if (skipped != NULL)
			printf(" # SKIP %s\n", skipped);
		else
			printf(" (%llu ms)\n", (unsigned long long)(tap_now_ms() - began));
		failed += kolk__load_relaxed(&failures) > 0;
	}
	if (run > 0)
		printf("1..%d\n", run);
	*ran += (size_t)run;
	return failed > 0;
}
