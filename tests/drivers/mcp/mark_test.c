/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream of events says about itself: ids of events without a message, and how long to wait. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/drivers/mcp/scripted.h"
#include "tests/kit/cmocka/run.h"

struct heard {
	struct kolk_mcp_client *client;
	char text[512];              /* what was told, in order */
	enum kolk_err started;
	kolk__atomic_u32 ends;
};

static int on_request(struct scripted *server, int fd, const struct scripted_request *request)
{
	static const char note[] = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n";

	(void)server;
	if (strncmp(request->head, "GET ", 4) != 0)
		return scripted_begins(fd, request);
	scripted_say(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
			 "id: e1\ndata: \n\n"        /* what a stream begins with (2025-11-25) */
			 "retry: 250\n\n"
			 "%s"
			 "id: e2\n%s"
			 "id: e3\nretry: 0\n%s"
			 "event: other\nid: e4\ndata: x\n\n"
			 "retry: 7\nid: e5\ndata:\n\n"
			 "retry: soon\n\n", note, note, note);
	return 0;
}

static void say(struct heard *heard, const char *what, const struct kolk_mcp_message *message)
{
	size_t had = strlen(heard->text);
	char retry[32] = "";

	if (message->has_retry)
		snprintf(retry, sizeof retry, ",%u", (unsigned)message->retry_ms);
	snprintf(heard->text + had, sizeof heard->text - had, "%s %.*s%s; ", what,
		 (int)message->event_id_size, message->event_id != NULL ? message->event_id : "", retry);
}

static void on_notification(void *user, struct kolk_mcp_call *call,
			    const struct kolk_mcp_message *message)
{
	(void)call;
	say(user, "message", message);
}

static void on_mark(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_message *event)
{
	(void)call;
	assert_int_equal(event->method_size, 0);
	say(user, "mark", event);
}

static void on_end(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct heard *heard = user;

	(void)call;
	(void)result;
	kolk__add_acq_rel(&heard->ends, 1);
}

static void listen(void *user)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .mark = on_mark,
							 .notification = on_notification, .end = on_end };
	struct heard *heard = user;

	heard->started = kolk_mcp_listen(heard->client, &handler, heard, NULL);
}

static void marks_are_told_in_order(void **state)
{
	struct scripted server = { .answer = on_request };
	struct heard heard = { .client = NULL };
	struct place place = { .server = NULL };

	(void)state;
	scripted_open(&server);
	place_open_at(&place, server.address);
	heard.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, listen, &heard);
	assert_int_equal(heard.started, KOLK_PENDING);
	for (int i = 0; i < 10000 && kolk__load_acquire(&heard.ends) == 0; i++)
		usleep(1000);
	assert_int_equal(kolk__load_acquire(&heard.ends), 1);
	assert_string_equal(heard.text, "mark e1; mark ,250; message e1; message e2; message e3,0; "
					"mark e4; mark e5,7; ");
	place_client_close(&place, heard.client);
	assert_int_equal(kolk_mcp_close(place.mcp, kolk_in_ms(10000)), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(place.engine), KOLK_OK);
	scripted_close(&server);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(marks_are_told_in_order),
};
CMOCKA_TESTS(mcp_mark, tests);
