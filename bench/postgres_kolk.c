/* SPDX-License-Identifier: Apache-2.0 */
/* postgres_kolk.c - the queries on Kolk: acquire, run, release in one call, on a loop and by a
 * thread that blocks. */
#include <kolk/postgres.h>
#include <stdlib.h>
#include <string.h>

#include "bench/proto_kolk.h"

struct drive {
	struct side side;
	struct kolk_postgres_request request;
	struct kolk_postgres_value value;
	char bytes[12];
	uint32_t left; /* callers whose last answer is still to come */
};

struct caller {
	struct drive *drive;
	uint64_t sent_ns;
};

static void on_result(void *user, enum kolk_err err, struct kolk_postgres_result *result);

static void request_make(struct drive *drive, const struct load *load, uint32_t flags)
{
	struct kolk_postgres_statement *statements = calloc(load->depth, sizeof *statements);

	snprintf(drive->bytes, sizeof drive->bytes, "%u", load->bytes);
	drive->value = (struct kolk_postgres_value){ .data = drive->bytes,
						     .size = (uint32_t)strlen(drive->bytes) };
	for (uint32_t i = 0; i < load->depth; i++)
		statements[i] = (struct kolk_postgres_statement){
			.sql = "SELECT repeat('x', $1::int)", .values = &drive->value,
			.value_count = 1, .flags = flags
		};
	drive->request = (struct kolk_postgres_request)KOLK_INIT(kolk_postgres_request);
	drive->request.count = load->depth;
	drive->request.statements = statements;
}

static uint64_t resulted(struct load *load, struct kolk_postgres_result *result, uint64_t sent_ns)
{
	const struct kolk_postgres_result *at = result;
	uint64_t now_ns = 0;

	for (uint32_t i = 0; i < load->depth; i++) {
		if (at == NULL || kolk_postgres_result_rows(at) != 1 ||
		    kolk_postgres_result_value(at, 0, 0).size != load->bytes)
			die("kolk: not the row asked for");
		at = kolk_postgres_result_next(at);
		now_ns = load_done(load, sent_ns);
	}
	kolk_postgres_result_free(result);
	return now_ns;
}

static void ask(struct caller *caller, uint64_t now_ns)
{
	struct drive *drive = caller->drive;

	caller->sent_ns = now_ns;
	side_check(kolk_postgres_query_async(drive->side.loop, drive->side.key, &drive->request, 0,
					     on_result, caller, NULL),
		   "query");
}

static void on_result(void *user, enum kolk_err err, struct kolk_postgres_result *result)
{
	struct caller *caller = user;
	uint64_t now_ns;

	side_check(err, "result");
	now_ns = resulted(caller->drive->side.load, result, caller->sent_ns);
	if (now_ns != 0)
		ask(caller, now_ns);
	else
		caller->drive->left--;
}

static struct kolk_postgres_options options_of(const struct load *load)
{
	struct kolk_postgres_options options = KOLK_INIT(kolk_postgres_options);

	options.user = load->site->user;
	options.password = load->site->password;
	options.database = load->site->database;
	return options;
}

static void run(struct load *load, uint32_t flags)
{
	struct kolk_postgres_options options = options_of(load);
	struct caller *callers = calloc(load->concurrency, sizeof *callers);
	struct drive drive = { .left = load->concurrency };

	request_make(&drive, load, flags);
	side_open(&drive.side, load, kolk_driver_postgres(), &options, NULL);
	load_begin(load);
	for (uint32_t i = 0; i < load->concurrency; i++) {
		callers[i].drive = &drive;
		ask(&callers[i], load->began_ns);
	}
	side_run(&drive.side);
	while (drive.left > 0)
		side_check(kolk_loop_step(drive.side.loop, KOLK_MS_NS), "step");
	side_close(&drive.side);
	free((void *)(uintptr_t)drive.request.statements);
	free(callers);
}

void postgres_kolk(struct load *load)
{
	run(load, KOLK_POSTGRES_HARMLESS);
}

void postgres_kolk_prepared(struct load *load)
{
	run(load, KOLK_POSTGRES_HARMLESS | KOLK_POSTGRES_PREPARE);
}

void postgres_kolk_discarding(struct load *load)
{
	run(load, 0);
}

void postgres_kolk_blocking(struct load *load)
{
	struct kolk_postgres_options options = options_of(load);
	struct drive drive = { .left = 0 };
	uint64_t now_ns;

	request_make(&drive, load, KOLK_POSTGRES_HARMLESS);
	side_open_blocking(&drive.side, load, kolk_driver_postgres(), &options);
	load_begin(load);
	for (now_ns = load->began_ns; now_ns != 0;) {
		struct kolk_postgres_result *result;

		side_check(kolk_postgres_query(drive.side.key, &drive.request, 0, &result),
			   "query");
		now_ns = resulted(load, result, now_ns);
	}
	side_close(&drive.side);
	free((void *)(uintptr_t)drive.request.statements);
}
