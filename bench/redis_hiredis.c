/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redis_hiredis.c - hiredis by hand: its asynchronous interface on a bare epoll loop, a connection
 * for each conversation; and its blocking one, which pipelines.
 */
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/proto.h"

enum { EVENTS = 64 };

struct drive {
	struct load *load;
	struct lane *unsent; /* have commands to write: written at the end of the turn */
	int epoll;
};

struct lane {
	struct drive *drive;
	redisAsyncContext *redis;
	struct lane *next;
	bool queued, connecting;
	uint32_t owed;
	uint64_t sent_ns;
};

static void check_get(const struct load *load, const redisReply *reply, const char *problem)
{
	if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->len != (size_t)load->bytes)
		die("hiredis: %s", reply == NULL ? problem : "not the value asked for");
}

/* ---- what hiredis wants of an event loop */

static void want_write(void *user)
{
	struct lane *lane = user;

	if (lane->queued)
		return;
	lane->queued = true;
	lane->next = lane->drive->unsent;
	lane->drive->unsent = lane;
}

static void watch(struct lane *lane, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = lane };

	if (epoll_ctl(lane->drive->epoll, operation, lane->redis->c.fd, &event) != 0)
		die("hiredis: cannot watch a connection");
}

/* ---- conversations */

static void converse(struct lane *lane, uint64_t now_ns);
static void on_disconnect(const redisAsyncContext *redis, int status);

static void lane_open(struct lane *lane, uint64_t now_ns)
{
	const struct site *site = lane->drive->load->site;

	lane->redis = site->unix_path != NULL ? redisAsyncConnectUnix(site->unix_path) :
						redisAsyncConnect("127.0.0.1", site->port);
	if (lane->redis == NULL || lane->redis->err != 0)
		die("hiredis: cannot connect");
	lane->redis->data = lane;
	lane->redis->ev.data = lane;
	lane->redis->ev.addWrite = want_write;
	redisAsyncSetDisconnectCallback(lane->redis, on_disconnect);
	lane->connecting = true;
	lane->drive->load->connections++;
	watch(lane, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
	if (site->password != NULL)
		redisAsyncCommand(lane->redis, NULL, NULL, "AUTH %s", site->password);
	converse(lane, now_ns);
}

static void lane_close(struct lane *lane)
{
	redisAsyncContext *redis = lane->redis;

	lane->redis = NULL;
	redisAsyncFree(redis);
}

static void on_reply(redisAsyncContext *redis, void *reply, void *user)
{
	struct lane *lane = user;
	struct load *load = lane->drive->load;
	uint64_t now_ns;

	if (lane->redis == NULL)
		return; /* it is being closed */
	check_get(load, reply, redis->errstr);
	now_ns = load_done(load, lane->sent_ns);
	if (--lane->owed > 0 || now_ns == 0)
		return;
	if (load->fresh)
		redisAsyncDisconnect(redis); /* when this callback has returned */
	else
		converse(lane, now_ns);
}

static void on_disconnect(const redisAsyncContext *redis, int status)
{
	struct lane *lane = redis->data;

	(void)status;
	if (lane->redis == NULL)
		return;
	lane->redis = NULL;
	if (!lane->drive->load->over)
		lane_open(lane, clock_now());
}

static void converse(struct lane *lane, uint64_t now_ns)
{
	uint32_t depth = lane->drive->load->depth;

	lane->sent_ns = now_ns;
	lane->owed = depth;
	for (uint32_t i = 0; i < depth; i++)
		redisAsyncCommand(lane->redis, on_reply, lane, "GET %s", "value");
}

/* ---- the loop */

static void flush(struct drive *drive)
{
	struct lane *lane = drive->unsent;

	drive->unsent = NULL;
	for (struct lane *next; lane != NULL; lane = next) {
		next = lane->next;
		lane->queued = false;
		if (lane->redis != NULL && !lane->connecting)
			redisAsyncHandleWrite(lane->redis);
	}
}

static void turn(struct drive *drive)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(drive->epoll, events, EVENTS, 1000);

	for (int i = 0; i < count; i++) {
		struct lane *lane = events[i].data.ptr;

		if (events[i].events & EPOLLOUT) {
			lane->connecting = false;
			watch(lane, EPOLL_CTL_MOD, EPOLLIN);
			redisAsyncHandleWrite(lane->redis);
		}
		if (events[i].events & EPOLLIN)
			redisAsyncHandleRead(lane->redis);
	}
	flush(drive);
}

void redis_hiredis(struct load *load)
{
	struct drive drive = { .load = load, .epoll = epoll_create1(EPOLL_CLOEXEC) };
	struct lane *lanes = calloc(load->concurrency, sizeof *lanes);

	load_begin(load);
	for (uint32_t i = 0; i < load->concurrency; i++) {
		lanes[i].drive = &drive;
		lane_open(&lanes[i], load->began_ns);
	}
	while (!load->over)
		turn(&drive);
	for (uint32_t i = 0; i < load->concurrency; i++)
		if (lanes[i].redis != NULL)
			lane_close(&lanes[i]);
	close(drive.epoll);
	free(lanes);
}

/* ---- the blocking interface */

static redisContext *blocking_open(struct load *load)
{
	const struct site *site = load->site;
	redisContext *redis = site->unix_path != NULL ? redisConnectUnix(site->unix_path) :
							redisConnect("127.0.0.1", site->port);

	if (redis == NULL || redis->err != 0)
		die("hiredis: cannot connect");
	load->connections++;
	if (site->password != NULL)
		freeReplyObject(redisCommand(redis, "AUTH %s", site->password));
	return redis;
}

static uint64_t blocking_round(struct load *load, redisContext *redis, uint64_t sent_ns)
{
	uint64_t now_ns = 0;

	for (uint32_t i = 0; i < load->depth; i++)
		redisAppendCommand(redis, "GET %s", "value");
	for (uint32_t i = 0; i < load->depth; i++) {
		redisReply *reply = NULL;

		(void)redisGetReply(redis, (void **)&reply);
		check_get(load, reply, redis->errstr);
		freeReplyObject(reply);
		now_ns = load_done(load, sent_ns);
	}
	return now_ns;
}

void redis_hiredis_blocking(struct load *load)
{
	redisContext *redis = NULL;
	uint64_t now_ns;

	load_begin(load);
	for (now_ns = load->began_ns; now_ns != 0;) {
		if (redis == NULL)
			redis = blocking_open(load);
		now_ns = blocking_round(load, redis, now_ns);
		if (load->fresh || now_ns == 0) {
			redisFree(redis);
			redis = NULL;
		}
	}
}
