/* SPDX-License-Identifier: Apache-2.0 */
/* h2_session_test.c - one HTTP/2 connection without I/O: how it begins, its answers, what is
 * delivered once, PING and GOAWAY; against a peer that is right. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/cmocka/run.h"
#include "tests/drivers/h2_peer.h"

/* ---- the connection begins */

static void it_begins_with_settings(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, false);
	struct h2_owner owner = { 0 };

	(void)state;
	assert_int_equal(pair_count(pair, NGHTTP2_SETTINGS, 0), 1);
	assert_int_equal(pair_count(pair, NGHTTP2_WINDOW_UPDATE, 0), 1);
	assert_false(h2_session_can_submit(pair->session));
	assert_int_equal(pair_get(pair, &owner), KOLK_E_LIMIT);
	pair_settings(pair, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 7);
	assert_int_equal(pair_say_slowly(pair), KOLK_OK);
	assert_true(h2_session_can_submit(pair->session));
	assert_int_equal(h2_session_limit(pair->session), 7);
	pair_close(pair);
}

static void the_limit_is_learned_again(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[4] = { 0 };

	(void)state;
	assert_int_equal(h2_session_limit(pair->session), 100);
	pair_settings(pair, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
	pair_say(pair);
	assert_int_equal(pair_get(pair, &owner[0]), KOLK_OK);
	assert_int_equal(pair_get(pair, &owner[1]), KOLK_OK);
	assert_int_equal(pair_get(pair, &owner[2]), KOLK_E_LIMIT);
	pair_settings(pair, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 3);
	pair_say(pair);
	assert_int_equal(pair_get(pair, &owner[2]), KOLK_OK);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_HEADERS, -1), 3);
	pair_settings(pair, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
	pair_say(pair); /* less than are open: they go on */
	for (int i = 0; i < 3; i++)
		pair_head(pair, 2 * i + 1, 200, true);
	pair_say(pair);
	for (int i = 0; i < 3; i++)
		assert_int_equal(owner[i].end.err, KOLK_OK);
	assert_int_equal(owner[2].ends, 1);
	assert_int_equal(pair_get(pair, &owner[3]), KOLK_OK);
	assert_false(h2_session_can_submit(pair->session));
	pair_close(pair);
}

static void streams_in_all_are_counted(void **state)
{
	struct h2_limits limits = h2_usual;
	struct h2_owner owner[3] = { 0 };
	struct h2_pair *pair;

	(void)state;
	limits.streams_total_max = 2;
	pair = pair_open(&limits, true);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pair_get(pair, &owner[i]), KOLK_OK);
		pair_take(pair);
		pair_head(pair, 2 * i + 1, 204, true);
		pair_say(pair);
		assert_int_equal(owner[i].end.err, KOLK_OK);
	}
	assert_int_equal(pair_get(pair, &owner[2]), KOLK_E_LIMIT);
	assert_false(h2_session_is_clean(pair->session));
	pair_close(pair);
}

/* ---- answers */

static void answer_whole(bool slowly)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .consumes = true };

	assert_int_equal(pair_get(pair, &owner), KOLK_OK);
	pair_take(pair);
	pair_head(pair, 1, 103, false);
	pair_head(pair, 1, 200, false);
	pair_data(pair, 1, 1000, false);
	pair_data(pair, 1, 1, false);
	pair_frame(pair, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
		   "\0\1a\1b", 5);
	assert_int_equal(slowly ? pair_say_slowly(pair) : pair_say(pair), KOLK_OK);
	assert_int_equal(owner.status, 200);
	assert_int_equal(owner.informational, 1);
	assert_int_equal(owner.trailers, 1);
	assert_int_equal(owner.body, 1001);
	assert_int_equal(owner.ends, 1);
	assert_int_equal(owner.end.err, KOLK_OK);
	assert_true(h2_session_is_clean(pair->session));
	pair_close(pair);
}

static void an_answer_with_all_there_is(void **state)
{
	(void)state;
	answer_whole(false);
	answer_whole(true);
}

/* Content-Length, and not as many bytes (RFC 9113, section 8.1.1). */
static void a_wrong_length_is_an_error_of_the_stream(void **state)
{
	static const char head[] = "\x08\x03" "200" "\x0f\x0d\x02" "10"; /* content-length: 10 */
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[2] = { { .consumes = true }, { .consumes = true } };

	(void)state;
	for (int i = 0; i < 2; i++)
		pair_get(pair, &owner[i]);
	pair_take(pair);
	pair_frame(pair, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, head, sizeof head - 1);
	pair_data(pair, 1, 9, true);
	pair_head(pair, 3, 200, true);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_take(pair);
	assert_int_equal(owner[0].end.err, KOLK_E_PROTOCOL);
	assert_false(owner[0].end.unprocessed);
	assert_int_equal(owner[1].end.err, KOLK_OK);
	assert_int_equal(pair_count(pair, NGHTTP2_RST_STREAM, 1), 1);
	pair_close(pair);
}

static void a_head_that_is_too_large_costs_the_stream(void **state)
{
	struct h2_limits limits = h2_usual;
	struct h2_owner owner = { 0 };
	struct h2_pair *pair;
	uint8_t head[600] = "\x08\x03" "200";
	size_t size = 5;

	(void)state;
	limits.fields_max = 64;
	pair = pair_open(&limits, true);
	pair_get(pair, &owner);
	pair_take(pair);
	for (int i = 0; i < 65; i++, size += 5)
		memcpy(head + size, "\0\1a\1b", 5);
	pair_frame(pair, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, head, size);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_take(pair);
	assert_int_equal(owner.ends, 1);
	assert_int_equal(owner.end.err, KOLK_E_PROTOCOL);
	assert_int_equal(owner.heads, 0);
	assert_true(h2_session_is_clean(pair->session));
	pair_close(pair);
}

static void too_many_informational_answers(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };

	(void)state;
	pair_get(pair, &owner);
	pair_take(pair);
	for (int i = 0; i < 90; i++)
		pair_head(pair, 1, 103, false);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_take(pair);
	assert_int_equal(owner.informational, 4);
	assert_int_equal(owner.end.err, KOLK_E_PROTOCOL);
	for (int i = 0; i < 10000; i++)
		pair_head(pair, 1, 103, false);
	assert_int_equal(pair_say(pair), KOLK_E_FLOOD);
	pair_close(pair);
}

/* ---- nothing is delivered twice, late, or to another */

static void nothing_comes_after_a_reset(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner abandoned = { .consumes = true }, other = { .consumes = true };

	(void)state;
	pair_get(pair, &abandoned);
	pair_get(pair, &other);
	pair_take(pair);
	pair_head(pair, 1, 200, false);
	pair_reset(pair, 1, NGHTTP2_CANCEL);
	pair_data(pair, 1, 100, false); /* in the same read: CVE-2026-26311 */
	pair_head(pair, 3, 200, true);
	assert_int_equal(pair_say(pair), KOLK_OK);
	assert_int_equal(abandoned.ends, 1);
	assert_int_equal(abandoned.end.err, KOLK_E_RESET);
	assert_int_equal(abandoned.body, 0);
	assert_int_equal(other.end.err, KOLK_OK);
	assert_int_equal(other.body, 0);
	pair_close(pair);
}

static void nothing_comes_after_a_cancel(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .leaves = true };

	(void)state;
	pair_get(pair, &owner);
	pair_take(pair);
	pair_head(pair, 1, 200, false);
	for (int i = 0; i < 3; i++)
		pair_data(pair, 1, 100, i == 2); /* the owner abandons it at the first */
	pair_say(pair);
	assert_int_equal(owner.body, 100);
	assert_int_equal(owner.ends, 0);
	pair_take(pair);
	assert_true(h2_session_is_clean(pair->session));
	pair_close(pair);
}

static void a_cancel_before_anything_was_sent_sends_nothing(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[2] = { 0 };

	(void)state;
	pair_get(pair, &owner[0]);
	pair_get(pair, &owner[1]);
	pair_leave(pair, &owner[0]);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_HEADERS, -1), 1);
	assert_int_equal(pair_count(pair, NGHTTP2_RST_STREAM, -1), 0);
	assert_int_equal(pair->session->open, 1);
	assert_int_equal(owner[0].ends, 0);
	pair_close(pair);
}

/* A burst of resets, then only what does not end by itself, and no new streams after that. */
/* The peer allows no more streams before it was sent: it holds none of them, and no connection. */
static void a_cancel_of_what_the_peer_lets_wait_ends_it(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[2] = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pair_get(pair, &owner[i]), KOLK_OK);
	pair_settings(pair, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0);
	pair_say(pair);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_HEADERS, -1), 0);
	h2_stream_abandon(owner[0].stream, 1);
	assert_int_equal(pair->session->open, 1);
	assert_int_equal(pair->session->zombies, 0);
	pair_settings(pair, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 10);
	pair_say(pair);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_HEADERS, 1), 0);
	assert_int_equal(pair_count(pair, NGHTTP2_HEADERS, 3), 1);
	pair_head(pair, 3, 200, true);
	pair_say(pair);
	assert_int_equal(owner[0].ends, 0);
	assert_int_equal(owner[1].end.err, KOLK_OK);
	assert_int_equal(pair->session->open, 0);
	pair_close(pair);
}

static void our_resets_are_rationed(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[20] = { 0 };

	(void)state;
	for (int i = 0; i < 20; i++)
		pair_get(pair, &owner[i]);
	pair_take(pair);
	for (int i = 0; i < 20; i++)
		pair_leave(pair, &owner[i]);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_RST_STREAM, -1), 10);
	assert_int_equal(pair->session->open, 10); /* they count until they end */
	pair_head(pair, 39, 200, false);
	pair_data(pair, 39, 5000, true);
	pair_say(pair);
	assert_int_equal(pair->session->open, 9);
	assert_true(h2_session_can_submit(pair->session));
	assert_int_equal(h2_session_sweep_zombies(pair->session, pair->now_ns),
			 pair->now_ns + KOLK_S_NS);
	pair->now_ns += KOLK_S_NS;
	assert_int_equal(h2_session_sweep_zombies(pair->session, pair->now_ns), 0);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_RST_STREAM, -1), 9);
	assert_int_equal(pair->session->open, 0);
	assert_false(h2_session_can_submit(pair->session));
	pair_close(pair);
}

/* ---- life */

static void a_ping_and_its_answer(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);

	(void)state;
	assert_int_equal(h2_session_ping(pair->session, pair->now_ns), KOLK_OK);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_PING, 0), 1);
	assert_false(h2_session_is_clean(pair->session));
	pair_frame(pair, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
	pair_say(pair);
	assert_int_equal(pair->session->pinged_ns, 0);
	assert_true(h2_session_is_clean(pair->session));
	pair_close(pair);
}

static void goaway_is_sent(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);

	(void)state;
	h2_session_queue_goaway(pair->session);
	pair_take(pair);
	assert_int_equal(pair_code(pair, NGHTTP2_GOAWAY), NGHTTP2_NO_ERROR);
	pair_close(pair);
}

/* ---- nghttp2 as a server, over a pair of sockets: any byte stream will do */

struct server {
	nghttp2_session *ng;
	int fd;
	size_t echoed;
};

static ssize_t server_body(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t capacity,
			   uint32_t *flags, nghttp2_data_source *source, void *user)
{
	(void)ng, (void)id, (void)user;
	memset(buffer, 'x', capacity);
	if (*(size_t *)source->ptr <= capacity) {
		capacity = *(size_t *)source->ptr;
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	*(size_t *)source->ptr -= capacity;
	return (ssize_t)capacity;
}

static int server_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	const nghttp2_nv status = { (uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "200",
				    7, 3, 0 };
	nghttp2_data_provider body = { .read_callback = server_body };
	struct server *server = user;

	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
	    !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	body.source.ptr = &server->echoed;
	return nghttp2_submit_response(ng, frame->hd.stream_id, &status, 1, &body);
}

static void server_open(struct server *server, int fd)
{
	nghttp2_session_callbacks *callbacks;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, server_frame);
	*server = (struct server){ .fd = fd, .echoed = 100000 };
	nghttp2_session_server_new(&server->ng, callbacks, server);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(server->ng, 0, NULL, 0);
}

static bool server_turn(struct server *server)
{
	uint8_t buffer[5000];
	const uint8_t *out;
	ssize_t size = recv(server->fd, buffer, sizeof buffer, MSG_DONTWAIT);
	bool moved = size > 0;

	if (size > 0)
		assert_int_equal(nghttp2_session_mem_recv(server->ng, buffer, (size_t)size), size);
	while ((size = nghttp2_session_mem_send(server->ng, &out)) > 0) {
		assert_int_equal(send(server->fd, out, (size_t)size, 0), size);
		moved = true;
	}
	return moved;
}

static bool client_turn(struct h2_session *session, int fd)
{
	uint8_t buffer[7000];
	size_t out = h2_session_output(session, buffer, 333, 1);
	ssize_t size;

	if (out > 0)
		assert_int_equal(send(fd, buffer, out, 0), out);
	size = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
	if (size > 0)
		assert_int_equal(h2_session_feed(session, buffer, (size_t)size, 1), KOLK_OK);
	return out > 0 || size > 0;
}

/* Both, and whether one of them got on. */
static bool turn(struct h2_session *session, int fd, struct server *server)
{
	bool client = client_turn(session, fd);

	return server_turn(server) || client;
}

static void over_a_pair_of_sockets(void **state)
{
	struct h2_pair pair = { .now_ns = 1 };
	struct h2_owner owner = { .consumes = true, .last = true };
	static char upload[50001];
	struct server server;
	int fd[2];

	(void)state;
	memset(upload, 'u', sizeof upload - 1);
	owner.upload = upload;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	server_open(&server, fd[1]);
	pair.session = h2_session_open(&h2_usual, 1);
	while (!pair.session->ready)
		assert_true(turn(pair.session, fd[0], &server));
	assert_int_equal(pair_post(&pair, &owner), KOLK_OK);
	while (owner.ends == 0)
		assert_true(turn(pair.session, fd[0], &server));
	assert_int_equal(owner.end.err, KOLK_OK);
	assert_int_equal(owner.uploaded, 50000);
	assert_int_equal(owner.body, 100000);
	assert_int_equal(owner.sum, 100000 * 'x');
	h2_session_unref(pair.session);
	nghttp2_session_del(server.ng);
	close(fd[0]);
	close(fd[1]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(it_begins_with_settings),
	cmocka_unit_test(the_limit_is_learned_again),
	cmocka_unit_test(streams_in_all_are_counted),
	cmocka_unit_test(an_answer_with_all_there_is),
	cmocka_unit_test(a_wrong_length_is_an_error_of_the_stream),
	cmocka_unit_test(a_head_that_is_too_large_costs_the_stream),
	cmocka_unit_test(too_many_informational_answers),
	cmocka_unit_test(nothing_comes_after_a_reset),
	cmocka_unit_test(nothing_comes_after_a_cancel),
	cmocka_unit_test(a_cancel_before_anything_was_sent_sends_nothing),
	cmocka_unit_test(a_cancel_of_what_the_peer_lets_wait_ends_it),
	cmocka_unit_test(our_resets_are_rationed),
	cmocka_unit_test(a_ping_and_its_answer),
	cmocka_unit_test(goaway_is_sent),
	cmocka_unit_test(over_a_pair_of_sockets),
};
CMOCKA_TESTS(h2_session, tests);
