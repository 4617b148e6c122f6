/* SPDX-License-Identifier: Apache-2.0 */
/* How soon a server without sessions sees that a call was cancelled, while it has others to do. */
#include <stdlib.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"
#include "tests/kit/control.h"

/* Of the half that is seen first: other load makes some wait for long, but a cancel that is not told
 * waits for mend_timeout, a second, each time. */
enum { BUSY = 8, CANCELS = 100, SEEN_MAX_MS = 250 };

/* Calls that follow each other until they are to stop. */
struct busy {
	struct kolk_mcp_client *client;
	kolk__atomic_bool *stop;
	kolk__atomic_u64 *calls;
	kolk__atomic_bool done;
};

static void call_again(struct busy *busy);

static void on_end(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct busy *busy = user;

	(void)call;
	if (result->err == KOLK_OK)
		kolk__add_relaxed(busy->calls, 1);
	if (result->err != KOLK_OK || kolk__load_acquire(busy->stop))
		kolk__store_release(&busy->done, true);
	else
		call_again(busy);
}

static void call_again(struct busy *busy)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = on_end };
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);

	request.method = "tools/list";
	if (kolk_mcp_start(busy->client, &request, &handler, busy, NULL) != KOLK_PENDING)
		kolk__store_release(&busy->done, true);
}

static void start_busy(void *user)
{
	call_again(user);
}

/* From the cancel to when the server saw it: us, and ms of a thread that does nothing (control.h). */
struct took {
	uint64_t us, control_ms;
};

/* count: of the cancels so far, this one too. */
static struct took cancel_one(struct place *place, struct kolk_mcp_client *client,
			      const struct kit_control *control, const char *params, uint64_t count)
{
	struct tracked call = { .client = client, .method = "tools/call", .params = params,
				.deadline_ns = KOLK_FOREVER };
	uint64_t began_ns, began_ms;

	place_on_loop(place->loop, tracked_start, &call);
	place_wait_for(place, MCP_N_tool_calls, count);
	if (count % 2 == 0) /* in the midst of its answer */
		while (kolk__load_acquire(&call.heads) == 0)
			usleep(100);
	began_ms = kit_control_ms(control);
	began_ns = kolk_in_ns(0);
	place_on_loop(place->loop, tracked_cancel, &call);
	while (place_number(place, MCP_N_cancels_disconnect) < count &&
	       kolk_in_ns(0) - began_ns < 5 * KOLK_S_NS)
		usleep(100);
	began_ms = kit_control_ms(control) - began_ms;
	began_ns = kolk_in_ns(0) - began_ns;
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_E_CANCELLED);
	return (struct took){ began_ns / 1000, began_ms };
}

static int compare(const void *one, const void *other)
{
	const struct took *a = one, *b = other;

	return a->us < b->us ? -1 : a->us > b->us;
}

static int compare_control(const void *one, const void *other)
{
	const struct took *a = one, *b = other;

	return a->control_ms < b->control_ms ? -1 : a->control_ms > b->control_ms;
}

static void cancel_often(struct place *place, struct took took[CANCELS])
{
	static const char *const params[] = {
		"{\"name\":\"progress\",\"arguments\":{\"steps\":60000,\"ms\":1},"
		"\"_meta\":{\"progressToken\":1}}",
		"{\"name\":\"slow\",\"arguments\":{\"ms\":60000}}"
	};
	struct kolk_mcp_client *client = place_client(place, "alice", NULL);
	struct kit_control control;

	kit_control_begin(&control);
	for (uint64_t i = 1; i <= CANCELS; i++)
		took[i - 1] = cancel_one(place, client, &control, params[i % 2], i);
	(void)kit_control_end(&control);
	place_client_close(place, client);
}

static void a_cancel_is_seen_at_once(void **state)
{
	struct place_options options = { .mcp.era = KOLK_MCP_MODERN };
	kolk__atomic_bool stop = {0};
	kolk__atomic_u64 calls = {0};
	struct busy busy[BUSY];
	struct took took[CANCELS];
	struct place place;

	(void)state;
	place_open(&place, &options);
	for (int i = 0; i < BUSY; i++) {
		busy[i] = (struct busy){ .client = place_client(&place, "bob", NULL), .stop = &stop,
					 .calls = &calls };
		place_on_loop(place.loop, start_busy, &busy[i]);
	}
	cancel_often(&place, took);
	kolk__store_release(&stop, true);
	for (int i = 0; i < BUSY; i++) {
		while (!kolk__load_acquire(&busy[i].done))
			usleep(1000);
		place_client_close(&place, busy[i].client);
	}
	qsort(took, CANCELS, sizeof took[0], compare);
	print_message("seen after: p50 %llu us, p99 %llu us, worst %llu us, beside %llu calls\n",
		      (unsigned long long)took[CANCELS / 2].us,
		      (unsigned long long)took[CANCELS * 99 / 100 - 1].us,
		      (unsigned long long)took[CANCELS - 1].us,
		      (unsigned long long)kolk__load_acquire(&calls));
	qsort(took, CANCELS, sizeof took[0], compare_control);
	assert_true(took[CANCELS / 2 - 1].control_ms <= SEEN_MAX_MS);
	assert_true(kolk__load_acquire(&calls) > 0);
	place_close(&place);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_cancel_is_seen_at_once),
};
CMOCKA_TESTS(mcp_cancel, tests);
