/* SPDX-License-Identifier: Apache-2.0 */
/* redis_kolk.c - the commands on Kolk: acquire, ask, release in one call, on a loop and by a thread
 * that blocks. */
#include <kolk/redis.h>
#include <stdlib.h>

#include "bench/proto_kolk.h"

struct drive {
	struct side side;
	struct kolk_redis_request request;
	uint32_t left; /* callers whose last answer is still to come */
};

struct caller {
	struct drive *drive;
	uint64_t sent_ns;
};

static void on_reply(void *user, enum kolk_err err, const struct kolk_redis_reply *reply);

static void request_make(struct drive *drive, const struct load *load)
{
	static const char *const get[] = { "GET", "value" };
	struct kolk_redis_command *commands = calloc(load->depth, sizeof *commands);

	for (uint32_t i = 0; i < load->depth; i++) {
		commands[i].count = 2;
		commands[i].arguments = get;
	}
	drive->request = (struct kolk_redis_request)KOLK_INIT(kolk_redis_request);
	drive->request.count = load->depth;
	drive->request.commands = commands;
}

static void check_reply(const struct load *load, const struct kolk_redis_reply *reply)
{
	const struct kolk_redis_reply *each = load->depth > 1 ? reply->elements : reply;

	for (uint32_t i = 0; i < load->depth; i++)
		if (each[i].type != KOLK_REDIS_STRING || each[i].size != load->bytes)
			die("kolk: not the value asked for");
}

static uint64_t replied(struct load *load, const struct kolk_redis_reply *reply, uint64_t sent_ns)
{
	uint64_t now_ns = 0;

	check_reply(load, reply);
	kolk_redis_reply_free(reply);
	for (uint32_t i = 0; i < load->depth; i++)
		now_ns = load_done(load, sent_ns);
	return now_ns;
}

static void ask(struct caller *caller, uint64_t now_ns)
{
	struct drive *drive = caller->drive;

	caller->sent_ns = now_ns;
	side_check(kolk_redis_call_start(drive->side.loop, drive->side.key, &drive->request,
					 on_reply, caller, NULL),
		   "command");
}

static void on_reply(void *user, enum kolk_err err, const struct kolk_redis_reply *reply)
{
	struct caller *caller = user;
	uint64_t now_ns;

	side_check(err, "reply");
	now_ns = replied(caller->drive->side.load, reply, caller->sent_ns);
	if (now_ns != 0)
		ask(caller, now_ns);
	else
		caller->drive->left--;
}

static struct kolk_redis_options options_of(const struct load *load)
{
	struct kolk_redis_options options = KOLK_INIT(kolk_redis_options);

	options.password = load->site->password;
	return options;
}

void redis_kolk(struct load *load)
{
	struct kolk_redis_options options = options_of(load);
	struct caller *callers = calloc(load->concurrency, sizeof *callers);
	struct drive drive = { .left = load->concurrency };

	request_make(&drive, load);
	side_open(&drive.side, load, kolk_driver_redis(), &options, NULL);
	load_begin(load);
	for (uint32_t i = 0; i < load->concurrency; i++) {
		callers[i].drive = &drive;
		ask(&callers[i], load->began_ns);
	}
	side_run(&drive.side);
	while (drive.left > 0)
		side_check(kolk_loop_step(drive.side.loop, KOLK_MS_NS), "step");
	side_close(&drive.side);
	free((void *)(uintptr_t)drive.request.commands);
	free(callers);
}

void redis_kolk_blocking(struct load *load)
{
	struct kolk_redis_options options = options_of(load);
	struct drive drive;
	uint64_t now_ns;

	request_make(&drive, load);
	side_open_blocking(&drive.side, load, kolk_driver_redis(), &options);
	load_begin(load);
	for (now_ns = load->began_ns; now_ns != 0;) {
		const struct kolk_redis_reply *reply;

		side_check(kolk_redis_call(drive.side.key, &drive.request, &reply), "command");
		now_ns = replied(load, reply, now_ns);
	}
	side_close(&drive.side);
	free((void *)(uintptr_t)drive.request.commands);
}
