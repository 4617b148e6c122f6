/* SPDX-License-Identifier: Apache-2.0 */
/* A cancellation that a server reads before the request that it names, and ignores then. */
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/drivers/mcp/scripted.h"
#include "tests/kit/cmocka/run.h"

/* What the server has seen: under the lock. */
struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool head_first;             /* the answer begins before anything else is done */
	bool stalls;                 /* the second cancellation is answered when `go` says so */
	bool read;                   /* the request has been */
	uint32_t early, known;       /* cancellations before that, and after */
	uint32_t go;
	bool timed_out;
};

/* 10 s at most. */
static void wait_until(struct seen *seen, const uint32_t *number)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	while (*number == 0 && !seen->timed_out)
		seen->timed_out = pthread_cond_timedwait(&seen->changed, &seen->lock, &until) != 0;
}

static int cancelled(struct seen *seen, int fd)
{
	(void)pthread_mutex_lock(&seen->lock);
	*(seen->read ? &seen->known : &seen->early) += 1;
	(void)pthread_cond_broadcast(&seen->changed);
	if (seen->stalls && seen->read)
		wait_until(seen, &seen->go);
	(void)pthread_mutex_unlock(&seen->lock);
	scripted_say(fd, "HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n");
	return 1;
}

/* The request is looked at when its cancellation has come. */
static int called(struct seen *seen, int fd)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: \n\n";

	(void)pthread_mutex_lock(&seen->lock);
	seen->read = seen->head_first;
	if (seen->head_first)
		scripted_say(fd, "%s", head);
	else
		wait_until(seen, &seen->early);
	seen->read = true;
	wait_until(seen, seen->stalls ? &seen->go : &seen->known);
	(void)pthread_mutex_unlock(&seen->lock);
	return 0;
}

static int on_request(struct scripted *server, int fd, const struct scripted_request *request)
{
	if (strstr(request->body, "notifications/cancelled") != NULL)
		return cancelled(server->user, fd);
	if (strstr(request->body, "\"tools/call\"") != NULL)
		return called(server->user, fd);
	return scripted_begins(fd, request);
}

static uint32_t leased(const struct place *place)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_pool_stats(place->connections, &stats), KOLK_OK);
	return stats.leased;
}

/* The request and the second cancellation have each a connection, until the first of them ends: that
 * has to be the request, long before the cancellation gives up. */
static void check_stalled(struct seen *seen, const struct place *place)
{
	for (int i = 0; i < 10000 && leased(place) > 1; i++)
		usleep(1000);
	assert_int_equal(leased(place), 1);
	(void)pthread_mutex_lock(&seen->lock);
	seen->go = 1;
	(void)pthread_cond_broadcast(&seen->changed);
	(void)pthread_mutex_unlock(&seen->lock);
}

static void run(struct seen *seen)
{
	struct scripted server = { .answer = on_request, .user = seen };
	struct tracked call = { .method = "tools/call", .params = "{\"name\":\"any\"}",
				.deadline_ns = KOLK_FOREVER };
	struct kolk_mcp_client *client;
	struct place place = { .server = NULL };

	scripted_open(&server);
	place_open_at(&place, server.address);
	call.client = client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, tracked_start, &call);
	for (int i = 0; i < 10000 && (kolk__load_acquire(&server.calls) == 0 ||
				      (seen->head_first && kolk__load_acquire(&call.heads) == 0)); i++)
		usleep(1000);
	place_on_loop(place.loop, tracked_cancel, &call);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_E_CANCELLED);
	(void)pthread_mutex_lock(&seen->lock);
	wait_until(seen, &seen->known);
	(void)pthread_mutex_unlock(&seen->lock);
	if (seen->stalls)
		check_stalled(seen, &place);
	place_client_close(&place, client);
	assert_int_equal(kolk_mcp_close(place.mcp, kolk_in_ms(10000)), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(place.engine), KOLK_OK);
	scripted_close(&server);
	assert_false(seen->timed_out);
}

static void it_is_said_once_more(void **state)
{
	struct seen seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

	(void)state;
	run(&seen);
	assert_int_equal(seen.early, 1);
	assert_int_equal(seen.known, 1);
}

/* The head of its answer says that it was read. */
static void one_that_was_read_is_cancelled_once(void **state)
{
	struct seen seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER,
			     .head_first = true };

	(void)state;
	run(&seen);
	assert_int_equal(seen.early, 0);
	assert_int_equal(seen.known, 1);
}

/* A server that is slow to take it holds up the connection of the request no longer than before. */
static void the_second_one_does_not_hold_the_request(void **state)
{
	struct seen seen = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER,
			     .stalls = true };

	(void)state;
	run(&seen);
	assert_int_equal(seen.known, 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(it_is_said_once_more),
	cmocka_unit_test(one_that_was_read_is_cancelled_once),
	cmocka_unit_test(the_second_one_does_not_hold_the_request),
};
CMOCKA_TESTS(mcp_overtaken, tests);
